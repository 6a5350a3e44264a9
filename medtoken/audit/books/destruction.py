"""What licensees attested to have destroyed once their licences were over, and what is overdue (R35)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from medtoken.audit.books.base import Book, Handler, hexed
from medtoken.audit.books.market import MarketBook
from medtoken.audit.journal import Event, Journal

PATIENCE = 30 * 86_400
"""Seconds after a licence's end from which on a missing attestation is listed as overdue."""


class DestructionBook(Book):
    """A statement for each licence whose licensee made one."""

    def __init__(self, journal: Journal, market: MarketBook) -> None:
        """Licences are in ``market``."""
        super().__init__(journal)
        self.market = market
        self.statements: dict[bytes, bytes] = {}

    def overdue(self, now: int) -> list[bytes]:
        """Licences that had ended ``PATIENCE`` before ``now`` and have no attestation.

        That is no violation of a rule that the chain could enforce: it is for the regulator.
        """
        return [
            licence
            for licence in sorted(self.market.licences)
            if licence not in self.statements and self.market.ended(licence, now - PATIENCE)
        ]

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        return {
            hexed(licence): hexed(statement)
            for licence, statement in sorted(self.statements.items())
        }

    def _attested(self, event: Event) -> None:
        args, journal = event.args, self.journal
        licence = args["licence"]
        name = f"destruction under licence {hexed(licence)}"
        found = self.market.licences.get(licence)
        if found is None:
            journal.require(False, 7, "R35", f"the {name}, which is unknown, was attested")
            return
        journal.expect(
            7,
            "R35",
            f"record and licensee of the {name}",
            (found.ref.record, found.ref.licensee),
            (args["record"], args["licensee"]),
        )
        journal.require(
            licence not in self.statements and any(args["statement"]),
            7,
            "R35",
            f"the {name} was attested twice, or without a statement",
        )
        journal.require(
            self.market.over(licence, journal.now),
            7,
            "R35",
            f"the {name} was attested while the licence was not over",
        )
        self.statements[licence] = args["statement"]

    handlers: ClassVar[Mapping[str, Handler]] = {"DestructionAttested": _attested}

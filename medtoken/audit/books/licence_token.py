"""Licences as tokens (R12): one appears for a licence that was bought, and never moves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, ClassVar

from medtoken.audit.books.base import ZERO_ADDRESS, Book, Handler, hexed
from medtoken.audit.books.market import MarketBook
from medtoken.audit.journal import Event, Journal


class LicenceTokenBook(Book):
    """Every licence that is shown as a token. A token's id is the licence's, as a number."""

    def __init__(self, journal: Journal, market: MarketBook) -> None:
        """What is shown is in ``market``."""
        super().__init__(journal)
        self.market = market
        self.owners: dict[bytes, str] = {}
        self.balances: dict[str, int] = defaultdict(int)
        # licence → what its token has yet to say in the transaction at hand
        self._due: dict[bytes, set[str]] = {}

    def end_transaction(self) -> None:
        """A token that appeared must have said that it is bound, and until when."""
        for licence, missing in self._due.items():
            for event in sorted(missing):
                self.journal.require(
                    False, 7, "R12", f"the token of licence {hexed(licence)} lacks its {event}"
                )
        self._due.clear()

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        return {hexed(licence): owner for licence, owner in sorted(self.owners.items())}

    def _transfer(self, event: Event) -> None:
        sender, to = event.args["from"], event.args["to"]
        licence = event.args["tokenId"].to_bytes(32)
        name = f"token of licence {hexed(licence)}"
        found = self.market.licences.get(licence)
        self.journal.require(
            sender == ZERO_ADDRESS and licence not in self.owners,
            7,
            "R12",
            f"the {name} moved, or appeared twice",
        )
        self.journal.expect(
            7, "R12", f"holder of the {name}", found.ref.licensee if found else None, to
        )
        self.owners[licence] = to
        self.balances[to] += 1
        self._due[licence] = {"Locked", "TokenExpiryUpdated"}

    def _locked(self, event: Event) -> None:
        self._said(event)

    def _expiry(self, event: Event) -> None:
        licence = self._said(event)
        found = self.market.licences.get(licence)
        if found is not None:
            self.journal.expect(
                7,
                "R12",
                f"start and end of the token of licence {hexed(licence)}",
                (found.word.start, found.word.end),
                (event.args["startTime"], event.args["endTime"]),
            )

    def _said(self, event: Event) -> bytes:
        """The licence whose token says something about itself, which it does once."""
        licence: bytes = event.args["tokenId"].to_bytes(32)
        missing = self._due.get(licence, set())
        self.journal.require(
            event.event in missing,
            7,
            "R12",
            f"{event.event} of the token of licence {hexed(licence)} came without its mint",
        )
        missing.discard(event.event)
        return licence

    handlers: ClassVar[Mapping[str, Handler]] = {
        "Transfer": _transfer,
        "Locked": _locked,
        "TokenExpiryUpdated": _expiry,
    }

"""What the books have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from medtoken.audit.journal import Event, Journal

Handler = Callable[[Any, Event], None]

ZERO_ADDRESS = "0x" + "00" * 20


class Book(ABC):
    """Folds the events of one contract. A subclass names its handlers in ``handlers``.

    ``silent`` are events that change nothing which the ledger keeps; any other event without a
    handler is a violation, for a ledger that skips what it does not know proves nothing.
    """

    handlers: ClassVar[Mapping[str, Handler]]
    silent: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, journal: Journal) -> None:
        """Start empty."""
        self.journal = journal

    def apply(self, event: Event) -> None:
        """Book one event. What is wrong with it goes to the journal."""
        handler = self.handlers.get(event.event)
        if handler is not None:
            handler(self, event)
        else:
            self.journal.require(
                event.event in self.silent,
                7,
                "R29",
                f"{event.contract} tells of {event.event}, which this ledger does not know",
            )

    def end_transaction(self) -> None:  # noqa: B027  most books have nothing to check then
        """Check what must be complete when a transaction is over."""

    @abstractmethod
    def as_dict(self) -> dict[str, Any]:
        """The book as it stands, ready for JSON: amounts as text, ids and addresses as 0x hex."""


def hexed(value: bytes) -> str:
    """0x hex of an id."""
    return "0x" + value.hex()


def amounts(values: Mapping[str, int]) -> dict[str, str]:
    """Base units by account as text, in the order of the accounts, without zeros."""
    return {key: str(values[key]) for key in sorted(values) if values[key]}

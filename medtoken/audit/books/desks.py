"""What a desk does with deposits and sells, held against what its own log says (R12).

A desk's contract says what moves and what was sold, and the market says what did. Both come in one
transaction, each in its own log: what one says alone is a violation.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from medtoken.audit.books.base import hexed
from medtoken.audit.journal import Journal

Move = tuple[str, str, int]  # from whose deposit, to whose, base units


@dataclass
class Till:
    """One desk's account in the market. Amounts are base units."""

    journal: Journal
    desk: str
    gifts: int = 0  # deposited for the desk by somebody, for nobody
    _due: deque[Move] = field(default_factory=deque)
    _sold: deque[bytes] = field(default_factory=deque)

    def announce(self, source: str, target: str, amount: int) -> None:
        """Say that this must be the desk's next move."""
        self._due.append((source, target, amount))

    def moved(self, source: str, target: str, amount: int) -> None:
        """Match what the market moved for the desk."""
        due = self._due.popleft() if self._due else None
        self.journal.expect(
            6,
            "R12",
            f"what the desk {self.desk} moves, by its own word",
            due,
            (source, target, amount),
        )

    def deposited(self, payer: str, amount: int) -> None:
        """Take note of what somebody deposited for the desk."""
        self.gifts += amount

    def reclaimed(self, amount: int) -> None:
        """A desk takes nothing out of the market."""
        self.journal.require(
            False, 6, "R12", f"the desk {self.desk} took {amount} out of the market"
        )

    def sold(self, licence: bytes) -> None:
        """Take note of a licence that the market issued for the desk's money."""
        self._sold.append(licence)

    def claim(self, licence: bytes) -> bool:
        """Whether this is the licence that was issued for the desk and that it has not named yet."""
        return bool(self._sold) and self._sold.popleft() == licence

    def end_transaction(self) -> None:
        """What was said must have moved, and what was issued must have been named."""
        for source, target, amount in self._due:
            self.journal.require(
                False, 6, "R12", f"{amount} never moved from {source} to {target}, as the desk said"
            )
        for licence in self._sold:
            self.journal.require(
                False,
                4,
                "R12",
                f"licence {hexed(licence)} was issued by the desk {self.desk}, which does not say why",
            )
        self._due.clear()
        self._sold.clear()


class Tills:
    """The tills of the suite's own desks, by address. Other desks keep no book here."""

    def __init__(self, *tills: Till) -> None:
        """One for each desk's contract."""
        self._tills = {till.desk: till for till in tills}

    def of(self, account: str) -> Till | None:
        """The till of a desk; None of any other account."""
        return self._tills.get(account)

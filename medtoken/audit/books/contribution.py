"""The data contribution token (R1): it appears by attestation, never moves, and burns (R26, R41)."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from medtoken.audit.books.base import ZERO_ADDRESS, Book, Handler, amounts
from medtoken.audit.journal import Event, Journal


class ContributionBook(Book):
    """Every DCT. Amounts in base units. A holder's votes are its balance (R28)."""

    symbol: ClassVar[str] = "DCT"
    rule: ClassVar[str] = "R1"
    invariant: ClassVar[int] = 5

    def __init__(self, journal: Journal, registry: str) -> None:
        """``registry`` is the only address that may be bound as the minter."""
        super().__init__(journal)
        self.registry = registry
        self.balances: dict[str, int] = defaultdict(int)
        self.minted = 0
        self.burned = 0
        self.minter = ZERO_ADDRESS
        self.authority = ZERO_ADDRESS
        self._announced: deque[tuple[str, int]] = deque()
        self._burns: deque[tuple[str, int]] = deque()  # that a redemption announced
        # (from, to, amount, balance of the sender before) until it turns out to be a recovery
        self._moves: deque[tuple[str, str, int, int]] = deque()
        # What was held, and the supply, at the end of each block that changed it (R28).
        self._held: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self._supplied: list[tuple[int, int]] = []

    @property
    def supply(self) -> int:
        """Minted less burned."""
        return self.minted - self.burned

    def held(self, account: str, moment: int) -> int:
        """What an account held at the end of a second, unix time."""
        return self._as_of(self._held.get(account, ()), moment)

    def supplied(self, moment: int) -> int:
        """The supply at the end of a second, unix time."""
        return self._as_of(self._supplied, moment)

    def _as_of(self, past: Sequence[tuple[int, int]], moment: int) -> int:
        before = self.journal.clock.before
        later = bisect_left(past, True, key=lambda mark: not before(mark[0], moment + 1))
        return past[later - 1][1] if later else 0

    def announce(self, owner: str, amount: int) -> None:
        """Say that this is about to be minted to its owner."""
        self._announced.append((owner, amount))

    def announce_burn(self, holder: str, amount: int) -> None:
        """Say that a redemption burns this (R26)."""
        self._burns.append((holder, amount))

    def end_transaction(self) -> None:
        """What was earned or redeemed must have been minted or burned, what moved recovered."""
        for holder, amount in self._burns:
            self.journal.require(
                False,
                self.invariant,
                "R26",
                f"{holder} redeemed {amount} {self.symbol} that were never burned",
            )
        self._burns.clear()
        for owner, amount in self._announced:
            self.journal.require(
                False,
                self.invariant,
                self.rule,
                f"{owner} was never minted the {amount} {self.symbol} that it earned",
            )
        for sender, to, amount, _ in self._moves:
            self.journal.require(
                False,
                self.invariant,
                self.rule,
                f"{amount} {self.symbol} moved from {sender} to {to} without a recovery",
            )
        self._announced.clear()
        self._moves.clear()

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        return {
            "minted": str(self.minted),
            "burned": str(self.burned),
            "total": str(self.supply),
            "minter": self.minter,
            "balances": amounts(self.balances),
        }

    def _transfer(self, event: Event) -> None:
        sender, to, amount = (event.args[k] for k in ("from", "to", "value"))
        if sender == ZERO_ADDRESS:
            due = self._announced.popleft() if self._announced else None
            text = f"owner and amount of a mint of {self.symbol}"
            self.journal.expect(self.invariant, self.rule, text, due, (to, amount))
            self.minted += amount
        else:
            if to != ZERO_ADDRESS:
                self._moves.append((sender, to, amount, self.balances[sender]))
            self.balances[sender] -= amount
            self.journal.require(
                self.balances[sender] >= 0,
                self.invariant,
                self.rule,
                f"{sender} lost more {self.symbol} than it held",
            )
        if to == ZERO_ADDRESS:
            self.burned += amount
            if self._burns:
                due = self._burns.popleft()
                text = f"who redeems {self.symbol}, and how much"
                self.journal.expect(self.invariant, "R26", text, due, (sender, amount))
        else:
            self.balances[to] += amount
        for account in (sender, to):
            if account == ZERO_ADDRESS:
                _mark(self._supplied, event.block, self.supply)
            else:
                _mark(self._held[account], event.block, self.balances[account])

    def _recovered(self, event: Event) -> None:
        previous, current, amount = (event.args[k] for k in ("previous", "current", "amount"))
        sender, to, moved, held = self._moves.popleft() if self._moves else (None, None, None, None)
        self.journal.expect(
            self.invariant,
            "R41",
            "old wallet, new wallet, amount, and all that the old one held",
            (sender, to, moved, held),
            (previous, current, amount, amount),
        )

    def _bound(self, event: Event) -> None:
        text = f"the minter of {self.symbol} that was bound before"
        self.journal.expect(self.invariant, self.rule, text, ZERO_ADDRESS, self.minter)
        self.minter = event.args["minter"]
        text = f"the minter of {self.symbol}"
        self.journal.expect(self.invariant, self.rule, text, self.registry, self.minter)

    def _authority(self, event: Event) -> None:
        self.authority = event.args["authority"]

    handlers: ClassVar[Mapping[str, Handler]] = {
        "Transfer": _transfer,
        "Recovered": _recovered,
        "MinterBound": _bound,
        "AuthorityUpdated": _authority,
    }
    silent = frozenset(
        {"Approval", "DelegateChanged", "DelegateVotesChanged", "EIP712DomainChanged"}
    )


def _mark(past: list[tuple[int, int]], block: int, amount: int) -> None:
    if past and past[-1][0] == block:
        past.pop()
    past.append((block, amount))

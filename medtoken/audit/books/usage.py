"""The data usage token (R2): balances, supply, standings, issuance.

Whenever the market, the treasury, the royalty vault or rewards say that money moves, it is announced
here which transfer must follow; one out of them that nobody announced is a violation, one in a gift.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from medtoken.audit.books.base import ZERO_ADDRESS, Book, Handler, amounts
from medtoken.audit.journal import Event, Journal
from medtoken.audit.rules import ISSUANCE_EPOCH

ADMITTED, PROTOCOL, FROZEN = 1, 2, 4


@dataclass(frozen=True)
class Announced:
    """A transfer that must come next, and the rule that it would break by staying away."""

    sender: str
    to: str
    amount: int
    invariant: int
    rule: str
    what: str


class UsageBook(Book):
    """Every DUT: who holds it, who may, and where it came from. Amounts in base units."""

    def __init__(
        self,
        journal: Journal,
        market: str,
        treasury: str,
        vault: str,
        rewards: str,
        disputes: str,
        assets: str,
        cover: str,
        fund: str,
    ) -> None:
        """The addresses whose money is booked elsewhere too; ``vault`` is the royalty vault's."""
        super().__init__(journal)
        self.market = market
        self.treasury = treasury
        self.disputes = disputes
        self._purses = {
            market: (6, "R15", "the market"),
            treasury: (3, "R16", "the reserve"),
            vault: (6, "R19", "the royalty vault"),
            rewards: (3, "R25", "the budget of donations"),
            disputes: (6, "R7", "the bonds"),
            assets: (6, "R3", "the asset desk"),
            cover: (6, "R23", "the breach cover"),
            fund: (6, "R22", "the compensation fund"),
        }
        self.balances: dict[str, int] = defaultdict(int)
        self.minted = 0
        self.burned = 0
        self.redeemed = 0
        self.standings: dict[str, int] = defaultdict(int)
        self.cap = 0
        self.issued_in: dict[int, int] = defaultdict(int)
        # What was sent to one of these without any reason that the rules know.
        self.gifts: dict[str, int] = defaultdict(int)
        self.authority = ZERO_ADDRESS
        self._announced: deque[Announced] = deque()
        self._mints: deque[tuple[str, int]] = deque()
        self._burns: deque[tuple[str, int]] = deque()

    @property
    def supply(self) -> int:
        """Minted less burned."""
        return self.minted - self.burned

    def announce(self, transfer: Announced) -> None:
        """Say that this transfer must be the next one of those whose money is booked elsewhere."""
        self._announced.append(transfer)

    def paid_out(self, transfer: Announced) -> None:
        """As ``announce``, for a withdrawal: to one of these it is a gift until it has a reason."""
        self.announce(transfer)
        if transfer.to in self._purses:
            self.gifts[transfer.to] += transfer.amount

    def may_hold(self, account: str) -> bool:
        """Whether an account may send and receive DUT now (R2)."""
        bits = self.standings.get(account, 0)
        return not bits & FROZEN and bool(bits & (ADMITTED | PROTOCOL))

    def end_transaction(self) -> None:
        """What was announced must have moved, and what was minted or burned must have a reason."""
        for due in self._announced:
            self.journal.require(
                False,
                due.invariant,
                due.rule,
                f"{due.what}: {due.amount} never moved from {due.sender} to {due.to}",
            )
        for to, amount in self._mints:
            self.journal.require(False, 1, "R2", f"{amount} minted to {to} that no exchange issued")
        for holder, amount in self._burns:
            self.journal.require(
                False, 1, "R2", f"{amount} of {holder} burned that nobody redeemed and no levy was"
            )
        self._announced.clear()
        self._mints.clear()
        self._burns.clear()

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        return {
            "minted": str(self.minted),
            "burned": str(self.burned),
            "redeemed": str(self.redeemed),
            "total": str(self.supply),
            "cap": str(self.cap),
            "balances": amounts(self.balances),
            "standings": {k: v for k, v in sorted(self.standings.items()) if v},
            "issued": {str(k): str(v) for k, v in sorted(self.issued_in.items())},
            "gifts": amounts(self.gifts),
        }

    def _transfer(self, event: Event) -> None:
        sender, to, amount = (event.args[k] for k in ("from", "to", "value"))
        if sender in self._purses or to in self._purses:
            self._reason(sender, to, amount)
        for account in (sender, to):
            if account != ZERO_ADDRESS:
                self.journal.require(
                    self.may_hold(account),
                    7,
                    "R2",
                    f"{account} moved DUT without being admitted, or while frozen",
                )
        if sender == ZERO_ADDRESS:
            self.minted += amount
            self._mints.append((to, amount))
        else:
            self.balances[sender] -= amount
            self.journal.require(
                self.balances[sender] >= 0, 1, "R2", f"{sender} sent more DUT than it held"
            )
        if to == ZERO_ADDRESS:
            self.burned += amount
            if sender != self.treasury:
                self._burns.append((sender, amount))
        else:
            self.balances[to] += amount

    def _reason(self, sender: str, to: str, amount: int) -> None:
        """Match a transfer with what was announced."""
        if self._announced:
            due = self._announced.popleft()
            self.journal.expect(
                due.invariant,
                due.rule,
                f"{due.what}: sender, receiver and amount of the transfer",
                (due.sender, due.to, due.amount),
                (sender, to, amount),
            )
        elif sender in self._purses:
            invariant, rule, name = self._purses[sender]
            self.journal.require(
                False, invariant, rule, f"{amount} left {name} for {to}: no reason"
            )
        else:
            self.gifts[to] += amount

    def _issued(self, event: Event) -> None:
        to, amount = event.args["to"], event.args["amount"]
        found = self._mints.popleft() if self._mints else None
        self.journal.expect(1, "R2", "receiver and amount of an issue", (to, amount), found)
        epoch = self.journal.now // ISSUANCE_EPOCH
        self.issued_in[epoch] += amount
        self.journal.require(
            self.issued_in[epoch] <= self.cap, 7, "R2", "more was issued in a day than its cap"
        )

    def _redeemed(self, event: Event) -> None:
        holder, amount = event.args["exchange"], event.args["amount"]
        found = self._burns.popleft() if self._burns else None
        self.journal.expect(1, "R2", "holder and amount of a redeeming", (holder, amount), found)
        self.redeemed += amount

    def _standing(self, event: Event) -> None:
        account = event.args["account"]
        self.journal.expect(
            7,
            "R2",
            f"the standing that {account} had",
            self.standings.get(account, 0),
            event.args["previous"],
        )
        self.standings[account] = event.args["current"]

    def _cap(self, event: Event) -> None:
        self.journal.expect(7, "R2", "the cap that was", self.cap, event.args["previous"])
        self.cap = event.args["current"]

    def _authority(self, event: Event) -> None:
        self.authority = event.args["authority"]

    handlers: ClassVar[Mapping[str, Handler]] = {
        "Transfer": _transfer,
        "Issued": _issued,
        "Redeemed": _redeemed,
        "StandingChanged": _standing,
        "CapChanged": _cap,
        "AuthorityUpdated": _authority,
    }
    # Spending an allowance emits nothing, so allowances cannot be rebuilt and are not kept.
    silent = frozenset({"Approval", "EIP712DomainChanged"})

"""The reserve (R16), what is burned of the levies that reach it (R17), and what budgets spend of it."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar

from medtoken._keccak import keccak
from medtoken.audit import rules
from medtoken.audit.books.base import ZERO_ADDRESS, Book, Handler
from medtoken.audit.books.market import MarketBook
from medtoken.audit.books.royalty import RoyaltyBook
from medtoken.audit.books.usage import Announced, UsageBook
from medtoken.audit.journal import Event, Journal
from medtoken.chain.words import BudgetWord, DrawnWord

_PARAMETERS = {keccak(text=name): name for name in ("ceiling", "burn_share")}


class TreasuryBook(Book):
    """Levies, burns, and what was spent within budgets; base units."""

    def __init__(
        self,
        journal: Journal,
        usage: UsageBook,
        market: MarketBook,
        royalties: RoyaltyBook,
        *spenders: str,
    ) -> None:
        """The treasury moves DUT; it takes the levies of what is settled and paid as royalties.

        ``spenders`` are the suite's own contracts with budgets: each says in its own log what for.
        """
        super().__init__(journal)
        self.usage = usage
        self.market = market
        self.royalties = royalties
        self.levies = 0
        self.burned = 0
        self.parameters = dict.fromkeys(_PARAMETERS.values(), 0)
        self.budgets: dict[str, BudgetWord] = {}
        self.drawn: dict[str, DrawnWord] = defaultdict(DrawnWord)
        self._expected: dict[str, deque[int]] = {spender: deque() for spender in spenders}

    @property
    def spent(self) -> int:
        """Spent within budgets and not given back."""
        return sum(word.drawn for word in self.drawn.values())

    @property
    def reserve(self) -> int:
        """Levies less what was burned and spent."""
        return self.levies - self.burned - self.spent

    def expect(self, spender: str, amount: int) -> None:
        """Say that one of the suite's spenders spends this next, or gives it back where negative."""
        self._expected[spender].append(amount)

    def end_transaction(self) -> None:
        """What was to be spent or given back must have been."""
        for spender, due in self._expected.items():
            for amount in due:
                self.journal.require(
                    False, 3, "R16", f"{amount} of the reserve never moved for {spender}"
                )
            due.clear()

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        return {
            "levies": str(self.levies),
            "burned": str(self.burned),
            "reserve": str(self.reserve),
            "ceiling": str(self.parameters["ceiling"]),
            "burn_share": self.parameters["burn_share"],
            "spent": str(self.spent),
            "budgets": {
                spender: asdict(word)
                | {"limit": str(word.limit), "drawn": str(self.drawn[spender].drawn)}
                for spender, word in sorted(self.budgets.items())
            },
        }

    def _received(self, event: Event) -> None:
        payer, amount = event.args["payer"], event.args["amount"]
        told = amount
        if payer == self.usage.market:
            amount = self.market.take_levy()
            self.journal.expect(2, "R15", "the levy of what was settled", amount, told)
        elif payer == self.royalties.vault:
            amount = self.royalties.take_levy()
            self.journal.expect(2, "R15", "the levy on royalties and options", amount, told)
        burned = rules.burn(
            amount, self.usage.supply, self.parameters["ceiling"], self.parameters["burn_share"]
        )
        self.levies += amount
        self.burned += burned
        self.journal.expect(3, "R17", "burned of the levy", burned, event.args["burned"])
        self.journal.expect(3, "R16", "the reserve", self.reserve, event.args["reserve"])
        self.usage.announce(Announced(payer, self.usage.treasury, amount, 3, "R15", "the levy"))
        if burned:
            self.usage.announce(
                Announced(self.usage.treasury, ZERO_ADDRESS, burned, 3, "R17", "the burn")
            )

    def _burned(self, event: Event) -> None:
        amount = event.args["amount"]
        self.journal.require(
            0 < amount <= self.reserve,
            3,
            "R17",
            f"{amount} burned are nothing, or over the reserve",
        )
        self.burned += amount
        self.journal.expect(
            3, "R16", "the reserve after a burn", self.reserve, event.args["reserve"]
        )
        self.usage.announce(
            Announced(self.usage.treasury, ZERO_ADDRESS, amount, 3, "R17", "a burn of the reserve")
        )

    def _parameter(self, event: Event) -> None:
        name = _PARAMETERS.get(event.args["name"])
        if name is None:
            self.journal.require(False, 7, "R17", "the treasury changed an unknown parameter")
            return
        self.journal.expect(
            7, "R17", f"{name} as it was", self.parameters[name], event.args["previous"]
        )
        self.parameters[name] = event.args["current"]

    def _approved(self, event: Event) -> None:
        args, journal, now = event.args, self.journal, self.journal.now
        spender, current = args["spender"], BudgetWord(**args["current"])
        name = f"the budget of {spender}"
        before = asdict(self.budgets.get(spender, BudgetWord()))
        journal.expect(3, "R16", f"{name} as it was", before, args["previous"])
        journal.require(
            current == BudgetWord()
            or (
                current.limit > 0
                and rules.within(current.period, rules.BUDGET_PERIOD)
                and rules.within(current.until - now, (current.period, rules.BUDGET_LENGTH))
                and current.since == now
            ),
            3,
            "R16",
            f"{name} is out of bounds",
        )
        self.budgets[spender] = current
        self.drawn[spender] = DrawnWord(drawn=self.drawn[spender].drawn)

    def _spent(self, event: Event) -> None:
        args, journal, now = event.args, self.journal, self.journal.now
        spender, amount = args["spender"], args["amount"]
        budget, text = self.budgets.get(spender, BudgetWord()), f"what {spender} spent"
        number, used = self._used(spender)
        journal.require(
            now < budget.until and 0 < amount <= budget.limit - used,
            3,
            "R16",
            f"{text}, {amount}, was not within its budget",
        )
        journal.require(amount <= self.reserve, 3, "R16", f"{text} was more than the reserve")
        self._moved(event, number, used + amount, amount)
        self.usage.announce(
            Announced(self.usage.treasury, spender, amount, 3, "R16", "what a budget spends")
        )

    def _returned(self, event: Event) -> None:
        spender, amount = event.args["spender"], event.args["amount"]
        number, used = self._used(spender)
        self.journal.require(
            0 < amount <= self.drawn[spender].drawn,
            3,
            "R16",
            f"{spender} gave back {amount}, more than it has spent or nothing",
        )
        self._moved(event, number, used - min(used, amount), -amount)
        self.usage.announce(
            Announced(spender, self.usage.treasury, amount, 3, "R16", "what a budget gets back")
        )

    def _used(self, spender: str) -> tuple[int, int]:
        """The number of a budget's running period, and what is used of its limit."""
        budget, drawn = self.budgets.get(spender, BudgetWord()), self.drawn[spender]
        if not budget.limit:
            return 0, 0
        number = budget.number(self.journal.now)
        return number, drawn.used if drawn.number == number else 0

    def _moved(self, event: Event, number: int, used: int, amount: int) -> None:
        """Book what a spender spent, or gave back where ``amount`` is negative."""
        args, spender = event.args, event.args["spender"]
        self.drawn[spender] = DrawnWord(used, number, self.drawn[spender].drawn + amount)
        self.journal.expect(
            3,
            "R16",
            f"period, use of its limit and reserve after a move by {spender}",
            (number, used, self.reserve),
            (args["period"], args["used"], args["reserve"]),
        )
        expected = self._expected.get(spender)
        if expected is not None:
            due = expected.popleft() if expected else None
            self.journal.expect(3, "R16", f"what {spender} spends, by its own word", due, amount)

    handlers: ClassVar[Mapping[str, Handler]] = {
        "LevyReceived": _received,
        "ReserveBurned": _burned,
        "ParameterChanged": _parameter,
        "BudgetApproved": _approved,
        "BudgetSpent": _spent,
        "BudgetReturned": _returned,
    }

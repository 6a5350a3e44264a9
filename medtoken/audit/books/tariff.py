"""The tariff (R13): reference prices, factors, emergencies, and scarcity that follows demand.

It holds what every price is recomputed from. Scarcity is changed by governance, or moves by itself
once a week and kind; the event is the same, so which it was is told when the transaction is over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from medtoken.audit import rules
from medtoken.audit.books.base import ZERO_ADDRESS, Book, Handler, amounts
from medtoken.audit.books.registry import KINDS, RegistryBook
from medtoken.audit.journal import Event, Journal
from medtoken.chain.words import GRAIN, FactorsWord, KindWord

# The factors by their number in the contract.
FACTORS = tuple(name for name, _ in FactorsWord.layout)
_MAX_REGION = 999
_MAX_TIME = 2**40 - 1


@dataclass(frozen=True)
class Change:
    """A change of scarcity in the transaction at hand, and what it would rest on as a move."""

    kind: int
    previous: int  # bps
    current: int
    week: int
    demand: int  # base units a record in the week before


class TariffBook(Book):
    """Everything that the tariff keeps, and what its scarcity follows."""

    def __init__(self, journal: Journal, registry: RegistryBook, market: str) -> None:
        """Supply comes from ``registry``; only ``market`` may be bound as the demand's source."""
        super().__init__(journal)
        self.registry = registry
        self._due = market
        self.market = ZERO_ADDRESS
        self.kinds = dict.fromkeys(KINDS, KindWord())
        self.factors = FactorsWord()
        self.emergencies: dict[int, int] = {}  # region → unix seconds
        # kind → base units a week and record that its scarcity stands for
        self.levels: dict[int, int] = defaultdict(int)
        # (kind, week) → base units; the market's book counts it as it settles
        self.demand: dict[tuple[int, int], int] = defaultdict(int)
        self._changes: list[Change] = []

    def price(self, record: bytes, scene: rules.Scene, floor: int) -> int:
        """Base units per unit of a known record by R13, now; zero when it is not for sale."""
        facts = self.registry.records[record].facts
        kind = self.kinds.get(facts.kind, KindWord())
        return rules.unit_price(kind, self.factors, facts.dvi, scene, floor)

    @property
    def scarcity_changed(self) -> bool:
        """Whether the transaction at hand has changed a scarcity."""
        return bool(self._changes)

    def conclude(self, ordered: Iterable[tuple[int, int]], others: bool) -> None:
        """End the transaction at hand: what was not set by governance must be a move.

        ``ordered`` are kind and scarcity that the timelock set in it; ``others`` says whether
        somebody else may set it too.
        """
        left = list(ordered)
        for change in self._changes:
            if (change.kind, change.current) in left:
                left.remove((change.kind, change.current))
                self.levels[change.kind] = 0
                continue
            level, word = self.levels[change.kind], self.kinds[change.kind]
            moved, level = rules.moved(change.previous, level, change.demand)
            if others and (moved != change.current or word.moved == change.week):
                self.levels[change.kind] = 0
                continue
            name = f"scarcity of kind {change.kind}"
            self.journal.require(
                word.moved != change.week, 7, "R13", f"{name} moved twice in one week"
            )
            self.journal.expect(7, "R13", f"{name} after a move", moved, change.current)
            self.kinds[change.kind] = replace(word, moved=change.week)
            self.levels[change.kind] = level
        self._changes.clear()

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        return {
            "kinds": {
                str(kind): {
                    "reference": str(word.reference),
                    "scarcity": word.scarcity,
                    "moved_in_week": word.moved or None,
                    "supply": self.registry.supply[kind],
                }
                for kind, word in self.kinds.items()
            },
            "factors": {name: getattr(self.factors, name) for name in FACTORS},
            "emergencies": {str(k): v for k, v in sorted(self.emergencies.items()) if v},
            "market": self.market,
            "demand": amounts({f"{k}/{week}": v for (k, week), v in self.demand.items()}),
        }

    def _reference(self, event: Event) -> None:
        kind, current = event.args["kind"], event.args["current"]
        word = self._kind(kind)
        name = f"reference price of kind {kind}"
        self.journal.expect(7, "R13", f"{name} that was", word.reference, event.args["previous"])
        self.journal.require(
            current == 0 or (rules.within(current, rules.REFERENCES) and current % GRAIN == 0),
            7,
            "R13",
            f"the {name} is out of bounds",
        )
        self.kinds[kind] = replace(word, reference=current)

    def _scarcity(self, event: Event) -> None:
        kind, current = event.args["kind"], event.args["current"]
        word = self._kind(kind)
        name = f"scarcity of kind {kind}"
        self.journal.expect(7, "R13", f"{name} that was", word.scarcity, event.args["previous"])
        self.journal.require(
            rules.within(current, rules.SCARCITY), 7, "R13", f"the {name} is out of bounds"
        )
        self.kinds[kind] = replace(word, scarcity=current)
        if word.scarcity == 0:  # the first one, as it is deployed
            self.journal.expect(7, "R13", f"{name} to begin with", rules.BPS, current)
            return
        week = self.journal.period(rules.WEEK)
        settled = self.demand.get((kind, week - 1), 0)
        demand = rules.demanded(settled, word.reference, self.registry.supply[kind])
        self._changes.append(Change(kind, word.scarcity, current, week, demand))

    def _kind(self, kind: int) -> KindWord:
        self.journal.require(kind in KINDS, 7, "R13", f"there is no kind {kind} of record")
        return self.kinds.get(kind, KindWord())

    def _factor(self, event: Event) -> None:
        number, current = event.args["factor"], event.args["current"]
        if number >= len(FACTORS):
            self.journal.require(False, 7, "R13", f"the tariff changed an unknown factor {number}")
            return
        name = FACTORS[number]
        self.journal.expect(
            7,
            "R13",
            f"the factor {name} that was",
            getattr(self.factors, name),
            event.args["previous"],
        )
        self.journal.require(
            rules.within(current, rules.FACTORS[name]),
            7,
            "R13",
            f"the factor {name} is out of bounds",
        )
        self.factors = replace(self.factors, **{name: current})

    def _emergency(self, event: Event) -> None:
        region, until = event.args["region"], event.args["until"]
        self.journal.require(
            0 < region <= _MAX_REGION and until <= _MAX_TIME,
            7,
            "R13",
            f"an emergency was declared where or when there is none: region {region}",
        )
        self.emergencies[region] = until

    def _bound(self, event: Event) -> None:
        text = "the market that was bound before"
        self.journal.expect(7, "R13", text, ZERO_ADDRESS, self.market)
        self.market = event.args["market"]
        self.journal.expect(7, "R13", "the market that makes demand", self._due, self.market)

    handlers: ClassVar[Mapping[str, Handler]] = {
        "ReferenceChanged": _reference,
        "ScarcityChanged": _scarcity,
        "FactorChanged": _factor,
        "EmergencyDeclared": _emergency,
        "MarketBound": _bound,
    }

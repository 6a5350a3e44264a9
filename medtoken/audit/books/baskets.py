"""Baskets (R12): what was reserved, taken with which discount, and returned, by the rules.

What a basket has left is what was reserved less what its licences cost; the desk's deposit is what all
open baskets have left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from eth_abi import encode

from medtoken import vocabulary
from medtoken._keccak import keccak
from medtoken.audit import rules
from medtoken.audit.books.base import Book, Handler, hexed
from medtoken.audit.books.desks import Till
from medtoken.audit.books.market import Licence, MarketBook
from medtoken.audit.journal import Event, Journal
from medtoken.chain.words import GRAIN
from medtoken.vocabulary import Form

_TERMS = (
    "address",
    "bytes32",
    *["uint256"] * 6,
    "bytes32",
    "bool",
    "uint256",
    "bytes32",
    "uint256",
)
_LICENCE = (
    "licensee",
    "form",
    "units",
    "end",
    "purposes",
    "diseases",
    "urgent",
    "agreement",
    "salt",
)
_MAX_STEPS = 6
_MAX_DISCOUNT = 5_000  # bps
_MAX_COUNT = 2**28 - 1

Steps = tuple[tuple[int, int], ...]  # from the how-manieth record on, bps


@dataclass(frozen=True)
class Basket:
    """A basket: its terms, what is left (base units), and what was taken out of it."""

    terms: dict[str, Any]
    steps: int  # version
    left: int
    block: int
    taken: tuple[bytes, ...] = ()  # licences, in their order
    closed: bool = False


class BasketBook(Book):
    """Every basket of the desk, and its discount steps by version."""

    def __init__(self, journal: Journal, market: MarketBook, till: Till) -> None:
        """Licences, consents and prices come from ``market``."""
        super().__init__(journal)
        self.market = market
        self.till = till
        self.baskets: dict[bytes, Basket] = {}
        self.steps: dict[int, Steps] = {}
        self._undrawn: set[bytes] = set()  # baskets that have yet to say what is left

    @property
    def version(self) -> int:
        """The version of the steps for baskets that are reserved now."""
        return max(self.steps, default=0)

    @property
    def held(self) -> int:
        """Base units that open baskets have left."""
        return sum(basket.left for basket in self.baskets.values())

    def discount(self, version: int, number: int) -> int:
        """The discount on the ``number``-th record of a basket, bps."""
        return rules.discount(self.steps.get(version, ()), number)

    def end_transaction(self) -> None:
        """What the desk said must have happened, and what was taken must be drawn."""
        self.till.end_transaction()
        for basket in self._undrawn:
            self.journal.require(
                False, 6, "R12", f"basket {hexed(basket)} does not say what is left of it"
            )
        self._undrawn.clear()

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        return {
            "steps": {
                str(version): [{"count": count, "discount": bps} for count, bps in steps]
                for version, steps in sorted(self.steps.items())
            },
            "held": str(self.held),
            "baskets": {hexed(k): _basket_dict(v) for k, v in sorted(self.baskets.items())},
        }

    def _reserved(self, event: Event) -> None:
        args, journal, terms = event.args, self.journal, event.args["terms"]
        basket = args["basket"]
        name = f"basket {hexed(basket)}"
        journal.expect(4, "R12", f"id of {name}", basket_id(terms), basket)
        journal.expect(4, "R12", f"licensee of {name}", terms["licensee"], args["licensee"])
        journal.expect(7, "R12", f"version of the steps of {name}", self.version, args["steps"])
        metered = terms["form"] == Form.METERED
        for holds, what in (
            (basket not in self.baskets, "was reserved twice"),
            (metered or terms["form"] == Form.FIXED_TERM, "has a form that is not sold in baskets"),
            ((terms["units"] > 0) == metered, "has units for a term, or none to count"),
            (0 < terms["count"] <= _MAX_COUNT and any(terms["root"]), "is of no records"),
            (
                journal.before(terms["until"]) and terms["until"] <= terms["end"],
                "was reserved for no time, or to be taken after its licences end",
            ),
            (args["amount"] > 0, "was reserved for nothing"),
            (
                terms["agreement"] == self.market.agreement and any(terms["agreement"]),
                "was reserved without signing the agreement in force",
            ),
        ):
            journal.require(holds, 4, "R12", f"{name} {what}")
        self.till.announce(args["licensee"], self.till.desk, args["amount"])
        self.baskets[basket] = Basket(terms, args["steps"], args["amount"], event.block)

    def _topped_up(self, event: Event) -> None:
        basket, amount = event.args["basket"], event.args["amount"]
        found = self._open(basket, "was topped up", in_time=True)
        if found is None:
            return
        self.till.announce(found.terms["licensee"], self.till.desk, amount)
        self.baskets[basket] = replace(found, left=found.left + amount)

    def _taken(self, event: Event) -> None:
        args, journal = event.args, self.journal
        basket, licence = args["basket"], args["licence"]
        name = f"basket {hexed(basket)}"
        journal.require(
            self.till.claim(licence), 4, "R12", f"{name} names a licence that was not issued for it"
        )
        found = self._open(basket, "had a record taken", in_time=True)
        sold = self.market.licences.get(licence)
        if found is None or sold is None:
            return
        number = len(found.taken) + 1
        journal.expect(4, "R12", f"number of a record taken from {name}", number, args["number"])
        journal.require(
            number <= found.terms["count"], 4, "R12", f"{name} had more records taken than it has"
        )
        # A licence's id is its consent, record, licensee and salt: the market issues it once.
        journal.require(licence not in found.taken, 4, "R12", f"{name} had a record taken twice")
        self._fits(name, found, sold)
        bps = self.discount(found.steps, number)
        journal.expect(2, "R12", f"discount on record {number} of {name}", bps, args["discount"])
        self._priced(f"record {number} of {name}", sold, found.terms, bps)
        left = found.left - sold.paid - sold.levy
        journal.require(left >= 0, 6, "R12", f"{name} spent more than was reserved")
        self.baskets[basket] = replace(found, left=left, taken=(*found.taken, licence))
        self._undrawn.add(basket)

    def _fits(self, name: str, found: Basket, sold: Licence) -> None:
        """Whether a licence says what its basket's terms say."""
        terms = found.terms
        told = (
            sold.ref.licensee,
            sold.word.form,
            sold.word.units,
            sold.word.end,
            sold.purposes,
            sold.diseases,
            sold.urgent,
            sold.agreement,
            sold.ref.salt,
        )
        wanted = tuple(terms[field] for field in _LICENCE)
        self.journal.expect(4, "R12", f"{', '.join(_LICENCE)} of {name}", wanted, told)

    def _priced(self, name: str, sold: Licence, terms: dict[str, Any], bps: int) -> None:
        """Whether a licence cost the tariff's price less the discount, never below the floor."""
        tariff, floor = self.market.unit_price(sold)
        unit = tariff * (rules.BPS - bps) // rules.BPS
        unit = max(unit - unit % GRAIN, floor)
        units = sold.word.units
        if not sold.word.metered:
            units = rules.started_years(sold.word.end - sold.word.start)
        self.journal.expect(2, "R12", f"price of {name}", unit * units, sold.paid)
        self.journal.require(
            unit <= terms["maxPrice"], 2, "R12", f"{name} cost more than its licensee accepts"
        )

    def _drawn(self, event: Event) -> None:
        basket, journal = event.args["basket"], self.journal
        found = self._open(basket, "was drawn from", in_time=True)
        if found is None:
            return
        name = f"basket {hexed(basket)}"
        journal.expect(6, "R12", f"left of {name}", found.left, event.args["left"])
        journal.expect(4, "R12", f"taken of {name}", len(found.taken), event.args["taken"])
        self._undrawn.discard(basket)

    def _closed(self, event: Event) -> None:
        basket = event.args["basket"]
        found = self._open(basket, "was closed", in_time=False)
        if found is None:
            return
        self.journal.expect(
            6, "R12", f"returned of basket {hexed(basket)}", found.left, event.args["returned"]
        )
        self.till.announce(self.till.desk, found.terms["licensee"], found.left)
        self.baskets[basket] = replace(found, left=0, closed=True)

    def _open(self, basket: bytes, what: str, *, in_time: bool) -> Basket | None:
        """A basket that is not closed, and whose time is not over where that counts."""
        found, name = self.baskets.get(basket), f"basket {hexed(basket)}"
        if found is None or found.closed:
            self.journal.require(False, 4, "R12", f"{name} {what}, but is none that is open")
            return None
        if in_time:
            self.journal.require(
                self.journal.before(found.terms["until"]), 4, "R12", f"{name} {what} after its time"
            )
        return found

    def _steps(self, event: Event) -> None:
        version, journal = event.args["version"], self.journal
        steps = tuple((step["count"], step["discount"]) for step in event.args["steps"])
        journal.expect(7, "R12", "the version of new steps", self.version + 1, version)
        rising = all(
            a[0] < b[0] and a[1] < b[1] for a, b in zip(((0, 0), *steps), steps, strict=False)
        )
        journal.require(
            rising
            and len(steps) <= _MAX_STEPS
            and all(count <= _MAX_COUNT and bps <= _MAX_DISCOUNT for count, bps in steps),
            7,
            "R12",
            "the discount steps of baskets are out of bounds",
        )
        self.steps[version] = steps

    handlers: ClassVar[Mapping[str, Handler]] = {
        "BasketReserved": _reserved,
        "BasketToppedUp": _topped_up,
        "BasketTaken": _taken,
        "BasketDrawn": _drawn,
        "BasketClosed": _closed,
        "StepsChanged": _steps,
    }


def basket_id(terms: dict[str, Any]) -> bytes:
    """The id of the basket with these terms."""
    return keccak(encode(_TERMS, list(terms.values())))


def packed_steps(steps: Steps) -> int:
    """The word in which the desk keeps steps: count 28 bits, bps 14, the lowest step first."""
    return sum((count | bps << 28) << 42 * place for place, (count, bps) in enumerate(steps))


def _basket_dict(basket: Basket) -> dict[str, Any]:
    terms = basket.terms
    return {
        "licensee": terms["licensee"],
        "root": hexed(terms["root"]),
        "count": terms["count"],
        "form": terms["form"],
        "units": terms["units"],
        "end": terms["end"],
        "until": terms["until"],
        "purposes": vocabulary.duo_names(terms["purposes"]),
        "urgent": terms["urgent"],
        "max_price": str(terms["maxPrice"]),
        "steps": basket.steps,
        "left": str(basket.left),
        "taken": [hexed(licence) for licence in basket.taken],
        "closed": basket.closed,
        "block": basket.block,
    }

"""The reserve (R16) and what is burned of the levies that reach it (R17)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from eth_utils import keccak

from medtoken.audit import rules
from medtoken.audit.books.base import ZERO_ADDRESS, Book, Handler
from medtoken.audit.books.market import MarketBook
from medtoken.audit.books.royalty import RoyaltyBook
from medtoken.audit.books.usage import Announced, UsageBook
from medtoken.audit.journal import Event, Journal

_PARAMETERS = {keccak(text=name): name for name in ("ceiling", "burn_share")}


class TreasuryBook(Book):
    """Levies and burns, base units. Nothing else leaves the reserve yet."""

    def __init__(
        self, journal: Journal, usage: UsageBook, market: MarketBook, royalties: RoyaltyBook
    ) -> None:
        """The treasury moves DUT; it takes the levies of what is settled and paid as royalties."""
        super().__init__(journal)
        self.usage = usage
        self.market = market
        self.royalties = royalties
        self.levies = 0
        self.burned = 0
        self.parameters = dict.fromkeys(_PARAMETERS.values(), 0)

    @property
    def reserve(self) -> int:
        """Levies less what was burned and spent; nothing can be spent yet."""
        return self.levies - self.burned

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        return {
            "levies": str(self.levies),
            "burned": str(self.burned),
            "reserve": str(self.reserve),
            "ceiling": str(self.parameters["ceiling"]),
            "burn_share": self.parameters["burn_share"],
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

    def _parameter(self, event: Event) -> None:
        name = _PARAMETERS.get(event.args["name"])
        if name is None:
            self.journal.require(False, 7, "R17", "the treasury changed an unknown parameter")
            return
        self.journal.expect(
            7, "R17", f"{name} as it was", self.parameters[name], event.args["previous"]
        )
        self.parameters[name] = event.args["current"]

    handlers: ClassVar[Mapping[str, Handler]] = {
        "LevyReceived": _received,
        "ParameterChanged": _parameter,
    }

"""Records that trustees manage (R21): who may be one, what they offer, what they are paid.

A trustee's part is 15 % of the price, on top of it. The desk holds it beside the licence; as the market
settles, so is the trustee paid, and what is never earned goes back to the licensee. So at any time
what was taken is what trustees were paid, what went back, and what the desk's deposit holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from medtoken.audit import rules
from medtoken.audit.books.base import Book, Handler, hexed
from medtoken.audit.books.market import Licence, MarketBook
from medtoken.audit.books.registry import RegistryBook
from medtoken.audit.books.research import ChargingTill
from medtoken.audit.books.usage import FROZEN
from medtoken.audit.journal import Event, Journal
from medtoken.chain.words import GRAIN, LicenceWord, OfferWord, SaleWord

EVERY_RECORD = bytes(32)


class TrustBook(Book):
    """Trustees, their offers and their sales."""

    def __init__(
        self, journal: Journal, market: MarketBook, registry: RegistryBook, till: ChargingTill
    ) -> None:
        """Licences are in ``market``, records in ``registry``; ``till`` is the desk's."""
        super().__init__(journal)
        self.market = market
        self.registry = registry
        self.till = till
        self.trustees: dict[str, bool] = {}
        self.offers: dict[tuple[bytes, bytes], OfferWord] = {}
        self.sales: dict[bytes, SaleWord] = {}
        self.taken = 0  # base units of fees, over all time
        self.paid = 0
        self.returned = 0

    @property
    def held(self) -> int:
        """Base units of fees that lie beside licences which run."""
        return self.taken - self.paid - self.returned

    @property
    def outstanding(self) -> int:
        """The same, by the licences' words."""
        return sum(
            rules.trust_fee(self._grains(licence) - sale.settled)
            for licence, sale in self.sales.items()
            if not sale.done
        )

    def end_transaction(self) -> None:
        """What was charged must have been explained."""
        self.till.end_transaction()

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        return {
            "trustees": sorted(account for account, named in self.trustees.items() if named),
            "offers": {
                f"{hexed(consent)} {hexed(record)}": {
                    "price": str(word.price * GRAIN),
                    "open": word.open,
                }
                for (consent, record), word in sorted(self.offers.items())
            },
            "sales": {
                hexed(licence): {
                    "trustee": word.trustee,
                    "settled": str(word.settled * GRAIN),
                    "done": word.done,
                }
                for licence, word in sorted(self.sales.items())
            },
            "taken": str(self.taken),
            "paid": str(self.paid),
            "returned": str(self.returned),
        }

    def _grains(self, licence: bytes) -> int:
        found = self.market.licences.get(licence)
        return found.word.paid // GRAIN if found else 0

    def _trustee(self, event: Event) -> None:
        self.trustees[event.args["trustee"]] = event.args["accredited"]

    def _mandated(self, name: str, consent: bytes, trustee: str) -> None:
        """Whether a patient's consent, which lives, names this trustee, which may act (R21)."""
        found, journal = self.market.consents.get(consent), self.journal
        terms = found.terms if found else None
        journal.expect(
            4, "R21", f"trustee of the {name}", terms.trustee if terms else None, trustee
        )
        journal.require(
            found is not None
            and found.word.revoked_at == 0
            and journal.before(found.word.expiry)
            and self.trustees.get(trustee, False),
            4,
            "R21",
            f"the {name} is by a trustee that may not act, or whose mandate has ended",
        )

    def _offered(self, event: Event) -> None:
        args = event.args
        consent, record, price = (args[k] for k in ("consent", "record", "price"))
        name = f"offer of {hexed(record)} under consent {hexed(consent)}"
        self._mandated(name, consent, args["trustee"])
        self.journal.require(price % GRAIN == 0, 7, "R21", f"the price of the {name} is uneven")
        self.offers[consent, record] = OfferWord(price // GRAIN, said=True, open=args["open"])

    def _sold(self, event: Event) -> None:
        args, journal = event.args, self.journal
        licence, trustee, fee = (args[k] for k in ("licence", "trustee", "fee"))
        name = f"sale of licence {hexed(licence)}"
        journal.require(
            self.till.claim(licence) and licence not in self.sales,
            4,
            "R21",
            f"the {name} is of one that was not bought of the trust",
        )
        sold, charged = self.market.licences.get(licence), self.till.charged()
        if sold is None:
            return  # its claim was told already
        due = rules.trust_fee(sold.paid // GRAIN)
        journal.expect(2, "R21", f"the trustee's part in the {name}", due, fee)
        journal.expect(
            2,
            "R21",
            f"who paid how much in the {name}",
            (sold.ref.licensee, self.till.desk, sold.paid + sold.levy + due),
            charged,
        )
        journal.expect(4, "R21", f"licensee in the {name}", sold.ref.licensee, args["licensee"])
        self._mandated(name, sold.ref.consent, trustee)
        self._priced(name, sold, args["asked"])
        self._apart(name, sold, trustee)
        self.taken += due
        self.sales[licence] = SaleWord(trustee)

    def _priced(self, name: str, sold: Licence, asked: int) -> None:
        """Whether it is offered, and cost the tariff's price from what the trustee asks on (R13)."""
        ref = sold.ref
        offer = self.offers.get((ref.consent, ref.record))
        if offer is None:
            offer = self.offers.get((ref.consent, EVERY_RECORD), OfferWord())
        journal = self.journal
        journal.require(offer.open, 4, "R21", f"the {name} is of what its trustee does not offer")
        journal.expect(2, "R21", f"asked for the {name}", offer.price * GRAIN, asked)
        unit, _ = self.market.unit_price(sold, asked)
        units = sold.word.units
        if not sold.word.metered:
            units = rules.started_years(sold.word.end - sold.word.start)
        journal.expect(2, "R13", f"price in the {name}", unit * units, sold.paid)

    def _apart(self, name: str, sold: Licence, trustee: str) -> None:
        """That a trustee acts for the patient: it is no party, and neither sells nor buys for itself."""
        parties = self.registry.parties(sold.ref.record)
        sellers = {parties.owner, parties.custodian, parties.annotator} if parties else set()
        self.journal.require(
            trustee not in sellers and sold.ref.licensee not in sellers | {trustee},
            4,
            "R21",
            f"the {name} is by one of its own parties",
        )
        self.journal.require(
            not self.market.usage.standings.get(trustee, 0) & FROZEN,
            7,
            "R2",
            f"the {name} is by a frozen trustee",
        )

    def _paid(self, event: Event) -> None:
        args, journal = event.args, self.journal
        licence = args["licence"]
        name = f"payment for licence {hexed(licence)}"
        sale, sold = self.sales.get(licence), self.market.licences.get(licence)
        if sale is None or sale.done or sold is None:
            journal.require(False, 6, "R21", f"the {name} is of no sale, or of one that is done")
            return
        settled = _settled(sold.word)
        amount = rules.trust_fee(settled - sale.settled)
        rest = rules.trust_fee(sold.word.paid // GRAIN - settled) if sold.word.closed else 0
        journal.require(bool(amount) or sold.word.closed, 6, "R21", f"the {name} is of nothing")
        trustee, licensee = sale.trustee, sold.ref.licensee
        journal.expect(
            6,
            "R21",
            f"trustee, amount, licensee and rest of the {name}",
            (trustee, amount, licensee, rest),
            tuple(args[k] for k in ("trustee", "amount", "licensee", "returned")),
        )
        self.sales[licence] = replace(sale, settled=settled, done=sold.word.closed)
        self.paid += amount
        self.returned += rest
        if amount:
            self.till.announce(self.till.desk, trustee, amount)
        if rest:
            self.till.announce(self.till.desk, licensee, rest)

    handlers: ClassVar[Mapping[str, Handler]] = {
        "TrusteeChanged": _trustee,
        "OfferChanged": _offered,
        "LicenceTrusted": _sold,
        "TrusteePaid": _paid,
    }


def _settled(word: LicenceWord) -> int:
    """Grains of a licence's price that the market has settled."""
    return word.earned(word.settled) // GRAIN

"""Auctions (R12): what was offered, bid, held, awarded and given back, by the rules.

An auction holds the highest bid's money until it ends in an award or gives it back; a bid that is
exceeded is returned in the same transaction. So at any time the house's deposit is what its running
auctions hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from eth_abi import encode

from medtoken._keccak import keccak
from medtoken.audit import rules
from medtoken.audit.books.base import ZERO_ADDRESS, Book, Handler, hexed
from medtoken.audit.books.desks import Till
from medtoken.audit.books.market import MarketBook
from medtoken.audit.books.registry import RegistryBook
from medtoken.audit.journal import Event, Journal
from medtoken.chain.words import GRAIN, LicenseeWord
from medtoken.messages import AuctionOffer
from medtoken.vocabulary import Form, Tier

_TERMS = ("increment", "extension", "patience")
_BOUNDS = {"increment": (100, 5_000), "extension": (60, 86_400), "patience": (1, 30)}
_DAY = 86_400
_MAX_LENGTH = 90 * _DAY
_MAX_PRICE = (2**64 - 1) * GRAIN
_UNDERTAKING = ("purposes", "diseases", "agreement")


@dataclass(frozen=True)
class Terms:
    """What governance sets for auctions that are opened from then on."""

    increment: int = 0  # bps
    extension: int = 0  # seconds
    patience: int = 0  # days


@dataclass(frozen=True)
class Auction:
    """An auction: its offer and terms, its highest bid, and how it ended."""

    offer: AuctionOffer | None  # None when it was withdrawn before it was ever opened
    patient: str
    terms: Terms
    block: int
    ends: int = 0  # unix seconds, late bids included
    bidder: str = ZERO_ADDRESS
    price: int = 0  # base units for the whole term
    undertaking: tuple[int, bytes, bytes] | None = None  # purposes, diseases, agreement
    bids: int = 0
    outcome: str | None = None  # awarded, given back, withdrawn
    licence: bytes | None = None
    spent: int = 0

    @property
    def held(self) -> int:
        """Base units of the bidder that the house holds."""
        return 0 if self.outcome else rules.held(self.price)


class AuctionBook(Book):
    """Every auction of the house."""

    def __init__(
        self, journal: Journal, registry: RegistryBook, market: MarketBook, till: Till
    ) -> None:
        """Records come from ``registry``, consents and licensees from ``market``."""
        super().__init__(journal)
        self.registry = registry
        self.market = market
        self.till = till
        self.auctions: dict[bytes, Auction] = {}
        self.terms = Terms()

    @property
    def held(self) -> int:
        """Base units of bids that running auctions hold."""
        return sum(auction.held for auction in self.auctions.values())

    def end_transaction(self) -> None:
        """What the house said must have happened."""
        self.till.end_transaction()

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        return {
            "terms": vars(self.terms),
            "held": str(self.held),
            "auctions": {hexed(k): _auction_dict(v) for k, v in sorted(self.auctions.items())},
        }

    # -------------------------------------------------------------- opening

    def _opened(self, event: Event) -> None:
        args, journal = event.args, self.journal
        offer, auction = AuctionOffer(**args["offer"]), args["auction"]
        name = f"auction {hexed(auction)}"
        journal.expect(4, "R12", f"id of {name}", offer.struct_hash(), auction)
        journal.expect(4, "R12", f"record of {name}", offer.record, args["record"])
        journal.require(
            auction not in self.auctions, 4, "R12", f"{name} was opened twice, or after its end"
        )
        told = Terms(**{term: args[term] for term in _TERMS})
        journal.expect(7, "R12", f"terms of {name}", vars(self.terms), vars(told))
        length = offer.ends - offer.opens
        journal.require(
            journal.before(offer.opens + 1)
            and 0 < length <= _MAX_LENGTH
            and offer.certifiedFirst < length
            and offer.term > 0,
            4,
            "R12",
            f"{name} was opened too late, or its times are out of range",
        )
        self._offered(name, offer, args["patient"])
        self.auctions[auction] = Auction(offer, args["patient"], told, event.block, offer.ends)

    def _offered(self, name: str, offer: AuctionOffer, patient: str) -> None:
        """Whether consent and record allow what is offered (R9)."""
        consent = self.market.consents.get(offer.consent)
        record = self.registry.records.get(offer.record)
        if consent is None or consent.terms is None or record is None:
            self.journal.require(False, 4, "R9", f"{name} is of an unknown consent or record")
            return
        terms, facts = consent.terms, record.facts
        units = rules.started_years(offer.term)
        for holds, rule, what in (
            (self._live(offer.consent), "R9", "was opened under a consent that was not live"),
            (terms.patient == patient == facts.owner, "R8", "is not by the record's owner"),
            (offer.ends + offer.term <= terms.expiry, "R9", "outlives its consent"),
            (facts.live, "R7", "is of a record that is not attested, or was replaced or destroyed"),
            (facts.tier <= terms.tier, "R10", "is of a tier above its consent's"),
            (terms.tier < Tier.HIGHLY_SENSITIVE, "R10", "lacks the patient's passkey"),
            (
                offer.reserve % GRAIN == 0
                and max(terms.floorPrice, GRAIN) * units <= offer.reserve <= _MAX_PRICE,
                "R12",
                "has a reserve that is uneven or below the floor of its consent",
            ),
        ):
            self.journal.require(bool(holds), 4, rule, f"{name} {what}")

    def _live(self, consent: bytes) -> bool:
        found = self.market.consents.get(consent)
        return (
            found is not None
            and found.word.revoked_at == 0
            and self.journal.before(found.word.expiry)
        )

    # -------------------------------------------------------------- bids

    def _bid(self, event: Event) -> None:
        args, journal = event.args, self.journal
        name = f"auction {hexed(args['auction'])}"
        found = self.auctions.get(args["auction"])
        if found is None or found.offer is None:
            journal.require(False, 4, "R12", f"somebody bid in the unknown {name}")
            return
        offer, price, bidder = found.offer, args["price"], args["bidder"]
        self._bidder(name, found, offer, args)
        least = offer.reserve
        if found.price:
            least = rules.least_bid(found.price, found.terms.increment)
        for holds, what in (
            (found.outcome is None, "had a bid after it was over"),
            (
                not journal.before(offer.opens) and journal.before(found.ends),
                "had a bid outside its time",
            ),
            (price >= least and price % GRAIN == 0 and price <= _MAX_PRICE, "had a bid too low"),
            (self._live(offer.consent), "had a bid under a consent that was not live"),
        ):
            journal.require(holds, 4, "R12", f"{name} {what}")
        journal.expect(6, "R12", f"held for a bid in {name}", rules.held(price), args["held"])
        ends = self._extended(found, offer)
        journal.expect(4, "R12", f"end of {name} after a bid", ends, args["ends"])
        if found.held:
            self.till.announce(self.till.desk, found.bidder, found.held)
        self.till.announce(bidder, self.till.desk, rules.held(price))
        self.auctions[args["auction"]] = replace(
            found,
            ends=ends,
            bidder=bidder,
            price=price,
            undertaking=tuple(args[k] for k in _UNDERTAKING),
            bids=found.bids + 1,
        )

    def _extended(self, found: Auction, offer: AuctionOffer) -> int:
        """The end after a bid now: a late one leaves time to answer, within the consent's."""
        extension = found.terms.extension
        if self.journal.before(found.ends - extension + 1):
            return found.ends
        consent = self.market.consents.get(offer.consent)
        last = consent.word.expiry - offer.term if consent else found.ends
        return max(found.ends, min(self.journal.now + extension, last))

    def _bidder(self, name: str, found: Auction, offer: AuctionOffer, args: dict[str, Any]) -> None:
        """Whether this licensee may bid for this (R9, R12)."""
        bidder = args["bidder"]
        licensee = self.market.licensees.get(bidder, LicenseeWord())
        consent = self.market.consents.get(offer.consent)
        parties = self.registry.parties(offer.record)
        if consent is None or consent.terms is None or parties is None:
            return  # it was opened without them, which was told then
        terms = consent.terms
        for holds, rule, what in (
            (not self.market.is_frozen(bidder), "R2", "had a bid of a frozen licensee"),
            (
                self.market.covers(terms, licensee),
                "R9",
                "had a bid of a licensee whom its consent does not cover",
            ),
            (
                licensee.certified or not self.journal.before(offer.opens + offer.certifiedFirst),
                "R12",
                "had a bid of somebody not certified while the certified came first",
            ),
            (
                rules.permits(terms.purposes, terms.diseases, args["purposes"], args["diseases"]),
                "R9",
                "had a bid for a purpose that its consent does not permit",
            ),
            (
                args["agreement"] == self.market.agreement and any(args["agreement"]),
                "R12",
                "had a bid without signing the agreement in force",
            ),
            (
                bidder not in (parties.owner, parties.custodian, parties.annotator),
                "R12",
                "had a bid of one of its sellers",
            ),
        ):
            self.journal.require(bool(holds), 4, rule, f"{name} {what}")

    # -------------------------------------------------------------- ends

    def _awarded(self, event: Event) -> None:
        args, journal = event.args, self.journal
        name = f"auction {hexed(args['auction'])}"
        found = self._ending(name, args["auction"])
        journal.require(
            self.till.claim(args["licence"]),
            4,
            "R12",
            f"{name} names a licence that was not issued for it",
        )
        if found is None or found.offer is None:
            return
        journal.require(
            not journal.before(found.ends), 4, "R12", f"{name} was awarded before its end"
        )
        journal.expect(4, "R12", f"winner of {name}", found.bidder, args["licensee"])
        spent = self._issued(name, found, found.offer, args["licence"])
        returned = found.held - spent
        journal.expect(2, "R12", f"price and levy of {name}", spent, args["spent"])
        journal.expect(6, "R12", f"returned of {name}", returned, args["returned"])
        self.till.announce(self.till.desk, found.bidder, returned)
        self.auctions[args["auction"]] = replace(
            found, outcome="awarded", licence=args["licence"], spent=spent
        )

    def _issued(self, name: str, found: Auction, offer: AuctionOffer, licence: bytes) -> int:
        """Hold the winner's licence against its bid; what it cost, levy included."""
        journal, sold = self.journal, self.market.licences.get(licence)
        if sold is None:
            return 0  # its claim was told already
        end = found.ends + offer.term
        journal.expect(
            4,
            "R12",
            f"what {name} was won for: consent, record, licensee, form, end, purposes, diseases, agreement",
            (offer.consent, offer.record, found.bidder, Form.FIXED_TERM, end, found.undertaking),
            (
                sold.ref.consent,
                sold.ref.record,
                sold.ref.licensee,
                sold.word.form,
                sold.word.end,
                (sold.purposes, sold.diseases, sold.agreement),
            ),
        )
        # As the market counts: a price in grains for each started year that is left.
        years = rules.started_years(max(end - journal.now, 1))
        price = found.price // GRAIN // years * GRAIN * years
        journal.expect(2, "R12", f"price at which {name} was won", price, sold.paid)
        return sold.paid + sold.levy

    def _given_back(self, event: Event) -> None:
        args, journal = event.args, self.journal
        name = f"auction {hexed(args['auction'])}"
        found = self._ending(name, args["auction"])
        if found is None or found.offer is None:
            return
        record = self.registry.records.get(found.offer.record)
        alive = self._live(found.offer.consent) and record is not None and record.facts.live
        patience = min(found.terms.patience * _DAY, found.offer.term)
        journal.require(
            not alive or not journal.before(found.ends + patience),
            4,
            "R12",
            f"{name} gave back what could be awarded",
        )
        journal.expect(4, "R12", f"bidder of {name}", found.bidder, args["bidder"])
        journal.expect(6, "R12", f"returned of {name}", found.held, args["returned"])
        self.till.announce(self.till.desk, found.bidder, found.held)
        self.auctions[args["auction"]] = replace(found, outcome="given back")

    def _ending(self, name: str, auction: bytes) -> Auction | None:
        """An auction that runs and has a bid."""
        found = self.auctions.get(auction)
        runs = found is not None and found.outcome is None and found.bids > 0
        self.journal.require(runs, 4, "R12", f"{name} ended twice, or without a bid")
        return found if runs else None

    def _withdrawn(self, event: Event) -> None:
        auction = event.args["auction"]
        # Taken back before anybody opened it, unless it is there.
        found = self.auctions.get(auction) or Auction(None, ZERO_ADDRESS, Terms(), event.block)
        self.journal.require(
            found.outcome is None and not found.bids,
            4,
            "R12",
            f"auction {hexed(auction)} was withdrawn after its end, or after a bid",
        )
        self.auctions[auction] = replace(found, outcome="withdrawn")

    def _terms(self, event: Event) -> None:
        self.terms = Terms(**{term: event.args[term] for term in _TERMS})
        for term, bounds in _BOUNDS.items():
            self.journal.require(
                rules.within(event.args[term], bounds),
                7,
                "R12",
                f"the {term} of auctions is out of bounds",
            )

    handlers: ClassVar[Mapping[str, Handler]] = {
        "AuctionOpened": _opened,
        "AuctionBid": _bid,
        "AuctionAwarded": _awarded,
        "AuctionGivenBack": _given_back,
        "AuctionWithdrawn": _withdrawn,
        "TermsChanged": _terms,
    }


def undertaken(undertaking: tuple[int, bytes, bytes]) -> int:
    """What the house keeps of an undertaking: the low 192 bits of its hash."""
    digest = keccak(encode(["uint256", "bytes32", "bytes32"], list(undertaking)))
    return int.from_bytes(digest) & (2**192 - 1)


def _auction_dict(auction: Auction) -> dict[str, Any]:
    known: dict[str, Any] = {"outcome": auction.outcome, "block": auction.block}
    if auction.offer is None:
        return known
    offer = auction.offer
    return known | {
        "consent": hexed(offer.consent),
        "record": hexed(offer.record),
        "patient": auction.patient,
        "reserve": str(offer.reserve),
        "opens": offer.opens,
        "ends": auction.ends,
        "term": offer.term,
        "certified_first": offer.certifiedFirst,
        **vars(auction.terms),
        "bidder": None if auction.bidder == ZERO_ADDRESS else auction.bidder,
        "price": str(auction.price),
        "bids": auction.bids,
        "held": str(auction.held),
        "licence": hexed(auction.licence) if auction.licence else None,
        "spent": str(auction.spent),
    }

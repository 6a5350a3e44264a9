"""Auctions from every side (R12): the patient offers, anybody opens and awards, licensees bid."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from medtoken import vocabulary
from medtoken.chain.contracts import Suite
from medtoken.chain.desks import Auction, AuctionHouse, Undertaking
from medtoken.chain.node import Receipt, Wallet
from medtoken.errors import BadInput
from medtoken.messages import AuctionOffer, AuctionWithdrawal

DAY = 86_400


@dataclass(frozen=True)
class Awarded:
    """A licence that was won, and what it cost; base units, the levy in it."""

    licence: bytes
    licensee: str
    spent: int
    returned: int


class Auctions:
    """The auction house of one deployment."""

    def __init__(self, suite: Suite) -> None:
        """Nothing is sent yet."""
        self._suite = suite
        self.house = AuctionHouse(suite.node, suite.deployment)

    def offer(
        self,
        record: bytes,
        consent: bytes,
        *,
        reserve: int,
        days: float,
        term_days: int,
        certified_hours: float = 0,
        opens_in: int = 600,
    ) -> AuctionOffer:
        """Draw up an offer; nothing is signed yet, so that it can be read first (``render``).

        ``reserve`` is base units for the whole term; the offer must reach the chain before it opens,
        in ``opens_in`` seconds. Raises BadInput on anything that no auction house takes.
        """
        now = self._suite.node.head().timestamp
        opens = now + opens_in
        made = AuctionOffer(
            consent=consent,
            record=record,
            reserve=reserve,
            opens=opens,
            ends=opens + round(days * DAY),
            term=term_days * DAY,
            certifiedFirst=round(certified_hours * 3600),
            nonce=secrets.randbits(256),
        )
        made.check(now)
        return made

    def sign(self, wallet: Wallet, message: AuctionOffer | AuctionWithdrawal) -> bytes:
        """Sign as the patient, for this auction house."""
        return message.sign(wallet.key, self.house.domain)

    def open(
        self,
        relay: Wallet,
        offer: AuctionOffer,
        signature: bytes,
        *,
        proof: Sequence[bytes] = (),
        key: str | None = None,
    ) -> bytes:
        """Bring a signed offer; the auction's id. Bringing it again changes nothing."""
        auction = offer.struct_hash()
        if self.house.auction(auction).opened:
            return auction
        terms = self._suite.market.consent_terms(offer.consent)
        receipt = self.house.open(relay, offer, terms, list(proof), signature, key=key)
        # Where ``key`` names a run that was killed, the auction that it opened counts.
        return bytes(self.house.events(receipt.logs, "AuctionOpened")[0].args["auction"])

    def bid(
        self,
        licensee: Wallet,
        auction: bytes,
        price: int | None = None,
        *,
        purposes: Sequence[str],
        diseases: Sequence[str] = (),
        key: str | None = None,
    ) -> int:
        """Bid ``price`` base units (None: the least that counts); the price bid."""
        offer = self.house.offer(auction)
        bidden = self.house.least_bid(offer) if price is None else price
        undertaking = Undertaking(
            purposes=vocabulary.duo_mask(purposes),
            diseases=vocabulary.disease_commitment(diseases),
            agreement=self._suite.market.agreement(),
        )
        terms = self._suite.market.consent_terms(offer.consent)
        receipt = self.house.bid(licensee, offer, terms, bidden, undertaking, key=key)
        return int(self.house.events(receipt.logs, "AuctionBid")[0].args["price"])

    def award(
        self,
        wallet: Wallet,
        auction: bytes,
        *,
        proof: Sequence[bytes] = (),
        key: str | None = None,
    ) -> Awarded:
        """Have the winner's licence issued, after the end."""
        offer, last = self.house.offer(auction), self.house.last_bid(auction)
        terms = self._suite.market.consent_terms(offer.consent)
        undertaking = Undertaking(last["purposes"], last["diseases"], last["agreement"])
        receipt = self.house.award(wallet, offer, terms, list(proof), undertaking, key=key)
        args = self.house.events(receipt.logs, "AuctionAwarded")[0].args
        return Awarded(args["licence"], args["licensee"], args["spent"], args["returned"])

    def give_back(self, wallet: Wallet, auction: bytes, *, key: str | None = None) -> int:
        """Return everything to the highest bidder of an auction that cannot be awarded; how much."""
        receipt = self.house.give_back(wallet, self.house.offer(auction), key=key)
        return int(self.house.events(receipt.logs, "AuctionGivenBack")[0].args["returned"])

    def withdraw(
        self, relay: Wallet, patient: Wallet, auction: bytes, *, key: str | None = None
    ) -> Receipt:
        """Sign and bring the withdrawal of an auction without bids."""
        signature = self.sign(patient, AuctionWithdrawal(auction))
        return self.house.withdraw(relay, self.house.offer(auction), signature, key=key)

    def show(self, auction: bytes) -> tuple[AuctionOffer, Auction]:
        """An auction's offer and state. Raises BadInput on a word that is no id."""
        if len(auction) != 32:
            raise BadInput("An auction's id has 32 bytes.")
        return self.house.offer(auction), self.house.auction(auction)

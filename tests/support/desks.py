"""The suite with people in it, as stories of desks and vouchers need it: auctions, baskets, meters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from eth_abi import encode
from eth_utils import keccak

from medtoken import vocabulary
from medtoken.deploy.plan import agreement_hash
from medtoken.merkle import Tree
from medtoken.messages import AuctionOffer, AuctionWithdrawal, Consent, Domain
from support.evm import CHAIN_ID
from support.world import DAY, DUT, FIXED, JAPAN, METERED, NONE, TAIWAN, YEAR, Actor, World

PURPOSES = vocabulary.duo_mask(["HMB", "NCU"])
CERTIFIED = int(vocabulary.LicenseeFlag.CERTIFIED)
FROZEN = int(vocabulary.LicenseeFlag.FROZEN)


class Desks(World):
    """A ``World`` with short ways to say what happens at the auction house and the basket desk."""

    def __init__(self, region: int = JAPAN) -> None:
        """Records live in ``region``; where they are used too, in Taiwan, they cost 1.3 times as much."""
        super().__init__()
        self.region = region
        self.house = self.suite["AuctionHouse"]
        self.baskets = self.suite["BasketDesk"]
        self.house_domain = Domain(CHAIN_ID, self.house.address)

    def settle_in(self) -> Desks:
        super().settle_in()
        return self

    def draft(self, **changes: Any) -> dict[str, Any]:
        return super().draft(**({"region": self.region} | changes))

    def levy(self, price: int) -> int:
        """5 % of a price, as the devnet's rates have it."""
        return price * self.params.rates["levy"] // 10_000

    def pause(self) -> None:
        self.market.pause(sender=self.people.guardian)

    def unpause(self) -> None:
        self.as_timelock(self.market, "unpause")

    def freeze(self, who: str) -> None:
        self.license(who, flags=FROZEN)

    # ------------------------------------------------------------- auctions

    def offer(self, consent: Consent, **changes: Any) -> AuctionOffer:
        """Two days, from in a minute on, for a licence of 90 days at 100 DUT or more."""
        values = {
            "consent": consent.struct_hash(),
            "record": consent.records,
            "reserve": 100 * DUT,
            "opens": self.now + 60,
            "ends": self.now + 60 + 2 * DAY,
            "term": 90 * DAY,
            "certifiedFirst": 0,
            "nonce": int.from_bytes(self.fresh("offer")),
        }
        return AuctionOffer(**(values | changes))

    def open(
        self,
        offer: AuctionOffer,
        consent: Consent,
        *,
        signer: Actor | None = None,
        proof: Sequence[bytes] = (),
    ) -> bytes:
        """Have the patient sign an offer and the relay bring it."""
        signature = offer.sign((signer or self.people.patient).key, self.house_domain)
        args = (offer.values(), consent.values(), list(proof), signature)
        return bytes(self.house.open_auction(*args, sender=self.people.relay))

    def opened(self, **changes: Any) -> tuple[AuctionOffer, Consent]:
        """An auction of a new record that takes bids now."""
        consent = self.granted()
        offer = self.offer(consent, **changes)
        self.open(offer, consent)
        self.evm.warp(offer.opens - self.now)
        return offer, consent

    def undertaking(self, **changes: Any) -> dict[str, Any]:
        return {"purposes": PURPOSES, "diseases": NONE, "agreement": agreement_hash()} | changes

    def bid(
        self,
        offer: AuctionOffer,
        consent: Consent,
        price: int,
        *,
        sender: str | None = None,
        **changes: Any,
    ) -> None:
        args = (offer.values(), consent.values(), price, self.undertaking(**changes))
        self.house.bid(*args, sender=sender or self.people.licensee)

    def award(
        self,
        offer: AuctionOffer,
        consent: Consent,
        *,
        proof: Sequence[bytes] = (),
        **changes: Any,
    ) -> bytes:
        args = (offer.values(), consent.values(), list(proof), self.undertaking(**changes))
        return bytes(self.house.award(*args, sender=self.people.relay))

    def give_back(self, offer: AuctionOffer) -> None:
        self.house.give_back(offer.values(), sender=self.people.stranger)

    def withdraw_auction(self, offer: AuctionOffer, signer: Actor | None = None) -> None:
        message = AuctionWithdrawal(offer.struct_hash())
        signature = message.sign((signer or self.people.patient).key, self.house_domain)
        self.house.withdraw_auction(offer.values(), signature, sender=self.people.relay)

    def auction(self, offer: AuctionOffer) -> dict[str, Any]:
        return dict(self.house.auction(offer.struct_hash()))

    # ------------------------------------------------------------- baskets

    def basket(self, leaves: Sequence[tuple[bytes, Consent]], **changes: Any) -> dict[str, Any]:
        """The licensee's terms for these records: a fixed term of 90 days, taken within 30."""
        metered = changes.get("form") == METERED
        return {
            "licensee": str(self.people.licensee),
            "root": tree(leaves).root,
            "count": len(leaves),
            "form": FIXED,
            "units": 10 if metered else 0,
            "end": self.now + 90 * DAY,
            "until": self.now + 30 * DAY,
            "purposes": PURPOSES,
            "diseases": NONE,
            "urgent": False,
            "maxPrice": 2**256 - 1,
            "agreement": agreement_hash(),
            "salt": int.from_bytes(self.fresh("basket")[:12]) << 160,
        } | changes

    def reserve(self, terms: dict[str, Any], amount: int, sender: str | None = None) -> bytes:
        return bytes(self.baskets.reserve(terms, amount, sender=sender or terms["licensee"]))

    def take(self, terms: dict[str, Any], item: dict[str, Any], sender: str | None = None) -> bytes:
        return bytes(self.baskets.take(terms, item, sender=sender or self.people.relay))

    def take_many(self, terms: dict[str, Any], chosen: Sequence[dict[str, Any]]) -> int:
        return int(self.baskets.take_many(terms, list(chosen), sender=self.people.relay))

    def close(self, terms: dict[str, Any], sender: str | None = None) -> None:
        self.baskets.close(terms, sender=sender or terms["licensee"])

    def state(self, terms: dict[str, Any]) -> dict[str, Any]:
        return dict(self.baskets.basket(self.baskets.basket_id(terms)))

    # ------------------------------------------------------------- vouchers

    def metered(self, signer: Actor | None, units: int = 10, **changes: Any) -> dict[str, Any]:
        """A metered licence of a new record whose vouchers this key signs."""
        salt = int(signer, 16) if signer else 0
        return self.buy(self.granted(), units=units, salt=salt, **changes)


def exact(text: str) -> int:
    """DUT as base units, such as 68.25."""
    return int(Decimal(text) * DUT)


def leaf(record: bytes, consent: Consent) -> bytes:
    return keccak(keccak(encode(["bytes32", "bytes32"], [record, consent.struct_hash()])))


def tree(leaves: Sequence[tuple[bytes, Consent]]) -> Tree:
    return Tree([leaf(*one) for one in leaves])


def items(
    leaves: Sequence[tuple[bytes, Consent]],
    chosen: Sequence[int] | None = None,
    record_proofs: dict[int, list[bytes]] | None = None,
) -> list[dict[str, Any]]:
    """What ``take`` wants of some leaves, by default of all."""
    built = tree(leaves)
    return [
        {
            "record": leaves[i][0],
            "consent": asdict(leaves[i][1]),
            "proof": built.proof(i),
            "recordProof": (record_proofs or {}).get(i, []),
        }
        for i in (range(len(leaves)) if chosen is None else chosen)
    ]


def item(leaves: Sequence[tuple[bytes, Consent]], chosen: int) -> dict[str, Any]:
    """What ``take`` wants of one leaf."""
    return items(leaves, [chosen])[0]


__all__ = [
    "CERTIFIED",
    "DAY",
    "DUT",
    "FIXED",
    "FROZEN",
    "METERED",
    "NONE",
    "PURPOSES",
    "TAIWAN",
    "YEAR",
    "Actor",
    "Desks",
    "exact",
    "item",
    "items",
    "leaf",
    "tree",
]

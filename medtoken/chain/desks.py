"""The desks' contracts as Python objects: auctions and bulk baskets (R12).

As in ``contracts``: a method that sends takes the sender's wallet first and an optional ``key``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from medtoken._keccak import keccak
from medtoken.chain.abi import abi
from medtoken.chain.contracts import _Contract
from medtoken.chain.node import Receipt, Wallet
from medtoken.errors import ContractRefused
from medtoken.messages import AuctionOffer, Consent, Domain


@dataclass(frozen=True)
class Undertaking:
    """What a bidder wants a licence for; naming the agreement signs it."""

    purposes: int
    diseases: bytes
    agreement: bytes


@dataclass(frozen=True)
class Auction:
    """What is stored of an auction; ``price`` and ``bidder`` are the highest bid's."""

    opened: bool
    done: bool
    bidder: str
    price: int
    undertaking: int
    ends: int
    increment: int
    extension: int
    patience: int


@dataclass(frozen=True)
class Basket:
    """What a licensee reserves: the same terms for every record of a basket."""

    licensee: str
    root: bytes
    count: int
    form: int
    units: int
    end: int
    until: int
    purposes: int
    diseases: bytes
    urgent: bool
    maxPrice: int  # noqa: N815  the ABI's name
    agreement: bytes
    salt: int

    def id(self) -> bytes:
        """The basket's id: keccak256 of the ABI encoding."""
        return keccak(abi("BasketDesk").call("basket_id", asdict(self))[4:])


@dataclass(frozen=True)
class Item:
    """A record to take out of a basket, with its consent and proofs."""

    record: bytes
    consent: Consent
    proof: list[bytes]
    recordProof: list[bytes]  # noqa: N815  the ABI's name


@dataclass(frozen=True)
class BasketState:
    """What is stored of a basket."""

    reserved: bool
    closed: bool
    left: int
    taken: int
    steps: int


def leaf(record: bytes, consent: bytes) -> bytes:
    """A record under a consent, as a leaf of a basket's Merkle tree."""
    return keccak(keccak(record + consent))


class AuctionHouse(_Contract):
    """English auctions."""

    name = "AuctionHouse"

    @property
    def domain(self) -> Domain:
        """The EIP-712 domain that offers bind to."""
        return Domain(self._node.chain_id, self.address)

    def auction(self, auction: bytes) -> Auction:
        """What is stored of an auction."""
        return Auction(**self.read("auction", auction))

    def least_bid(self, offer: AuctionOffer) -> int:
        """The lowest price that a bid must name now; zero when there is nothing to bid on."""
        return int(self.read("least_bid", offer.values()))

    def offer(self, auction: bytes) -> AuctionOffer:
        """The offer of an opened auction, from its event. Raises ContractRefused when unknown."""
        found = self.find("AuctionOpened", auction)
        if not found:
            raise ContractRefused("auction: unknown auction")
        return AuctionOffer(**found[0][1].args["offer"])

    def last_bid(self, auction: bytes) -> dict[str, Any]:
        """The highest bid's event. Raises ContractRefused when nobody has bid."""
        found = self.find("AuctionBid", auction)
        if not found:
            raise ContractRefused("auction: there was no bid")
        return found[-1][1].args

    def open(
        self,
        wallet: Wallet,
        offer: AuctionOffer,
        consent: Consent,
        proof: list[bytes],
        signature: bytes,
        key: str | None = None,
    ) -> Receipt:
        """Open the auction that a patient signed. Anybody may."""
        args = (offer.values(), consent.values(), proof, signature)
        return self.send(wallet, "open_auction", *args, key=key)

    def withdraw(
        self, wallet: Wallet, offer: AuctionOffer, signature: bytes, key: str | None = None
    ) -> Receipt:
        """Bring a signed withdrawal of an auction without bids."""
        return self.send(wallet, "withdraw_auction", offer.values(), signature, key=key)

    def bid(
        self,
        wallet: Wallet,
        offer: AuctionOffer,
        consent: Consent,
        price: int,
        undertaking: Undertaking,
        key: str | None = None,
    ) -> Receipt:
        """Bid from the wallet's deposit."""
        args = (offer.values(), consent.values(), price, asdict(undertaking))
        return self.send(wallet, "bid", *args, key=key)

    def award(
        self,
        wallet: Wallet,
        offer: AuctionOffer,
        consent: Consent,
        proof: list[bytes],
        undertaking: Undertaking,
        key: str | None = None,
    ) -> Receipt:
        """Have the winner's licence issued. Anybody may."""
        args = (offer.values(), consent.values(), proof, asdict(undertaking))
        return self.send(wallet, "award", *args, key=key)

    def give_back(self, wallet: Wallet, offer: AuctionOffer, key: str | None = None) -> Receipt:
        """Return what is held of an auction that cannot be awarded. Anybody may."""
        return self.send(wallet, "give_back", offer.values(), key=key)


class BasketDesk(_Contract):
    """Bulk licences."""

    name = "BasketDesk"

    def state(self, basket: bytes) -> BasketState:
        """What is stored of a basket."""
        return BasketState(**self.read("basket", basket))

    def terms(self, basket: bytes) -> Basket:
        """The terms of a reserved basket, from its event. Raises ContractRefused when unknown."""
        found = self.find("BasketReserved", basket)
        if not found:
            raise ContractRefused("basket: unknown basket")
        return Basket(**found[0][1].args["terms"])

    def discount(self, version: int, number: int) -> int:
        """The discount on the ``number``-th record taken, bps."""
        return int(self.read("discount", version, number))

    def reserve(
        self, wallet: Wallet, terms: Basket, amount: int, key: str | None = None
    ) -> Receipt:
        """Reserve a basket from the wallet's deposit."""
        return self.send(wallet, "reserve", asdict(terms), amount, key=key)

    def top_up(self, wallet: Wallet, terms: Basket, amount: int, key: str | None = None) -> Receipt:
        """Reserve more for a basket of the wallet."""
        return self.send(wallet, "top_up", asdict(terms), amount, key=key)

    def take(self, wallet: Wallet, terms: Basket, item: Item, key: str | None = None) -> Receipt:
        """Take one record's licence out of a basket; a refusal tells why. Anybody may."""
        return self.send(wallet, "take", asdict(terms), asdict(item), key=key)

    def take_many(
        self, wallet: Wallet, terms: Basket, items: list[Item], key: str | None = None
    ) -> Receipt:
        """Take up to 32, passing over those that cannot be licensed now. Anybody may."""
        args = (asdict(terms), [asdict(item) for item in items])
        return self.send(wallet, "take_many", *args, key=key)

    def close(self, wallet: Wallet, terms: Basket, key: str | None = None) -> Receipt:
        """Return what is left of a basket to its licensee."""
        return self.send(wallet, "close", asdict(terms), key=key)

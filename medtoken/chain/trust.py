"""The trust's desk as a Python object: records that a trustee manages (R21).

As in ``contracts``: a method that sends takes the sender's wallet first and an optional ``key``.
"""

from __future__ import annotations

from dataclasses import asdict

from medtoken.chain.contracts import LicenceRef, Order, _Contract
from medtoken.chain.node import Receipt, Wallet
from medtoken.chain.words import OfferWord, SaleWord
from medtoken.messages import Consent

EVERY_RECORD = bytes(32)


class DataTrust(_Contract):
    """Trustees, what they offer, and what they are paid."""

    name = "DataTrust"

    def is_trustee(self, account: str) -> bool:
        """Whether an account may act as a trustee."""
        return bool(self.read("is_trustee", account))

    def offer(self, consent: bytes, record: bytes) -> OfferWord:
        """What a trustee offers a record at; its own offer goes before that for every record."""
        own = OfferWord.unpack(int(self.read("offer_word", consent, record)))
        if own.said:
            return own
        return OfferWord.unpack(int(self.read("offer_word", consent, EVERY_RECORD)))

    def sale(self, licence: bytes, block: int | None = None) -> SaleWord:
        """What is stored of a licence that a trustee sold; a trustee of zero is none."""
        return SaleWord.unpack(int(self.read("sale_word", licence, block=block)))

    def set_trustee(
        self, wallet: Wallet, trustee: str, accredited: bool, key: str | None = None
    ) -> Receipt:
        """Name a trustee, or bar it. Caller: the accreditation role."""
        return self.send(wallet, "set_trustee", trustee, accredited, key=key)

    def set_offer(
        self,
        wallet: Wallet,
        consent: Consent,
        record: bytes,
        price: int,
        open_: bool,
        key: str | None = None,
    ) -> Receipt:
        """Offer a record, or with zeros every one, from ``price`` base units a unit on; or hold it back."""
        return self.send(wallet, "set_offer", consent.values(), record, price, open_, key=key)

    def buy(
        self,
        wallet: Wallet,
        order: Order,
        consent: Consent,
        proof: list[bytes],
        key: str | None = None,
    ) -> Receipt:
        """Buy a licence from the wallet's deposit: price, levy, and 15 % of the price on top."""
        return self.send(wallet, "buy", asdict(order), consent.values(), proof, key=key)

    def settle(self, wallet: Wallet, refs: list[LicenceRef], key: str | None = None) -> Receipt:
        """Settle licences in the market and pay their trustees. Anybody may."""
        return self.send(wallet, "settle", [asdict(ref) for ref in refs], key=key)

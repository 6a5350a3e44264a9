"""The certificate of a record's destruction (R35): the keepers' signed receipts, and their hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from medtoken import bodies
from medtoken.errors import BadInput, IntegrityError
from medtoken.keeper import wire
from medtoken.keys import ANY_KEEPER, Action, KeeperOrder, Rendition, ShredReceipt, signer_of

FORMAT = "medtoken destruction certificate 1"
_ENOUGH = 2
"""Shares that must be gone so that nobody can open the record."""


class _Document(bodies.Body, frozen=True):
    format: str
    chain_id: int
    registry: str
    market: str
    record: str
    custodian: str
    receipts: list[wire.Receipt]


@dataclass(frozen=True)
class Certificate:
    """A certificate, as its document's bytes: canonical JSON, so that it has one hash."""

    document: bytes

    @classmethod
    def of(
        cls, record: bytes, custodian: str, registry: str, receipts: Sequence[ShredReceipt]
    ) -> Certificate:
        """Draw it up. The same receipts make the same document."""
        ordered = sorted(receipts, key=lambda receipt: receipt.card.keeper_id)
        document = _Document(
            format=FORMAT,
            chain_id=ordered[0].chain_id,
            registry=registry,
            market=ordered[0].market,
            record=bodies.hexed(record),
            custodian=custodian,
            receipts=[wire.Receipt.of(receipt) for receipt in ordered],
        )
        return cls(_canonical(document))

    @property
    def hash(self) -> bytes:
        """SHA-256 of the document: what the chain keeps."""
        return hashlib.sha256(self.document).digest()

    def check(self, record: bytes) -> list[ShredReceipt]:
        """The receipts, once all of it holds without asking anybody.

        Raises IntegrityError unless it is about this record, and two or more different keepers have
        signed that they destroyed a share which they held, by an order that the custodian signed.
        Which keepers a record had is not on the chain: compare the ids with those that were pinned.
        """
        document = self._parsed()
        if document.format != FORMAT or document.record != bodies.hexed(record):
            raise IntegrityError("The certificate is not of this record.")
        receipts = [one.receipt() for one in document.receipts]
        for receipt in receipts:
            _check(document, record, receipt)
        gone = {receipt.card.keeper_id for receipt in receipts if receipt.version}
        if len(gone) < _ENOUGH:
            raise IntegrityError(
                f"The certificate shows that {len(gone)} of three shares are gone; two must be."
            )
        return receipts

    def _parsed(self) -> _Document:
        try:
            document = bodies.decoded(self.document, _Document)
        except BadInput as error:
            raise IntegrityError(f"This is no destruction certificate: {error}") from None
        if _canonical(document) != self.document:
            raise IntegrityError("The certificate is not written in its one canonical form.")
        return document


def _canonical(document: _Document) -> bytes:
    plain = msgspec.to_builtins(document)
    return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()


def _check(document: _Document, record: bytes, receipt: ShredReceipt) -> None:
    receipt.check()
    named = (receipt.record, receipt.chain_id, receipt.market, receipt.custodian)
    if named != (record, document.chain_id, document.market, document.custodian):
        raise IntegrityError("A receipt in the certificate is for something else.")
    order = KeeperOrder(
        chain_id=document.chain_id,
        market=document.market,
        action=Action.DESTROY,
        rendition=Rendition(record, bytes(32)),
        keeper=ANY_KEEPER,
        version=0,
        content=bytes(32),
        deadline=receipt.deadline,
    )
    if order.digest() != receipt.order:
        raise IntegrityError("A receipt in the certificate names another order.")
    if signer_of(receipt.order, receipt.order_signature) != document.custodian:
        raise IntegrityError("The order to destroy is not signed by the custodian.")

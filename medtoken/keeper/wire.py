"""What goes over the line between a key keeper and its callers: JSON, checked field by field.

Bytes are 0x hexadecimal; whole numbers that may pass 2^53 are decimal strings.
"""

from __future__ import annotations

import hashlib

from medtoken.bodies import Body, hexed, unhexed, word
from medtoken.errors import BadInput
from medtoken.keys import (
    MAX_BATCH,
    Action,
    Code,
    Holding,
    KeeperCard,
    KeeperOrder,
    KeyRequest,
    LogEntry,
    LogHead,
    Refused,
    Rendition,
    ShredReceipt,
    SignedKeyRequest,
    SignedOrder,
)


class ReleaseRequest(Body, frozen=True):
    """A licensee's signed KeyRequest."""

    chain_id: int
    market: str
    licence: str
    record: str
    requester: str
    keeper: str
    nonce: str
    block: int
    expiry: int
    public_key: str
    """Encoded HPKE key; the KeyRequest signs its SHA-256."""
    signature: str

    @classmethod
    def of(cls, signed: SignedKeyRequest) -> ReleaseRequest:
        """For the line."""
        request = signed.request
        return cls(
            chain_id=request.chain_id,
            market=request.market,
            licence=hexed(request.licence),
            record=hexed(request.record),
            requester=request.requester,
            keeper=hexed(request.keeper),
            nonce=str(request.nonce),
            block=request.block,
            expiry=request.expiry,
            public_key=hexed(signed.public_key),
            signature=hexed(signed.signature),
        )

    def signed(self) -> SignedKeyRequest:
        """From the line. Raises BadInput."""
        public_key = unhexed(self.public_key)
        request = KeyRequest(
            chain_id=self.chain_id,
            market=self.market,
            licence=unhexed(self.licence),
            record=unhexed(self.record),
            requester=self.requester,
            public_key_hash=hashlib.sha256(public_key).digest(),
            block=self.block,
            expiry=self.expiry,
            keeper=unhexed(self.keeper),
            nonce=_number(self.nonce),
        )
        return SignedKeyRequest(request, public_key, unhexed(self.signature))


class ReleaseBatch(Body, frozen=True):
    """Up to 100 requests that are answered together."""

    requests: list[ReleaseRequest]


class Released(Body, frozen=True):
    """A share, HPKE-sealed to the key in the request."""

    share: str


class Problem(Body, frozen=True):
    """Why not, as RFC 9457 problem details: a stable ``code``, one sentence, worth a retry or not."""

    code: str
    detail: str
    status: int
    retry: bool

    @classmethod
    def of(cls, refusal: Refused) -> Problem:
        """For the line."""
        return cls(refusal.code.value, str(refusal), STATUS[refusal.code], refusal.passing)

    def refusal(self) -> Refused:
        """From the line; a code that is not known here is one that no retry helps."""
        try:
            return Refused(Code(self.code), self.detail)
        except ValueError:
            return Refused(Code.MALFORMED, self.detail)


class Answer(Body, frozen=True):
    """One answer of a batch: the sealed share, or why not."""

    share: str | None = None
    problem: Problem | None = None

    @classmethod
    def of(cls, answer: bytes | Refused) -> Answer:
        """For the line."""
        if isinstance(answer, Refused):
            return cls(problem=Problem.of(answer))
        return cls(share=hexed(answer))

    def answer(self) -> bytes | Refused:
        """From the line. Raises BadInput."""
        if self.share is not None:
            return unhexed(self.share)
        return self.problem.refusal() if self.problem else Refused(Code.BROKEN, "gave nothing")


class Answers(Body, frozen=True):
    """One answer for each request of a batch, in order."""

    answers: list[Answer]


class Order(Body, frozen=True):
    """A custodian's signed KeeperOrder."""

    chain_id: int
    market: str
    action: str
    record: str
    fields: str
    """Masking profile of the copy; zero to destroy."""
    licence: str
    """The one licence that the copy is for, or zero."""
    keeper: str
    version: int
    content: str
    deadline: int
    signature: str
    custodian: int = 0
    tag: str = "0x" + "00" * 32

    @classmethod
    def of(cls, signed: SignedOrder) -> Order:
        """For the line."""
        order = signed.order
        return cls(
            chain_id=order.chain_id,
            market=order.market,
            action=order.action.value,
            record=hexed(order.record),
            fields=hexed(order.rendition.fields),
            licence=hexed(order.rendition.licence),
            keeper=hexed(order.keeper),
            version=order.version,
            content=hexed(order.content),
            deadline=order.deadline,
            signature=hexed(signed.signature),
            custodian=signed.custodian,
            tag=hexed(signed.tag),
        )

    def signed(self) -> SignedOrder:
        """From the line. Raises BadInput."""
        if self.action not in list(Action):
            raise BadInput("no such action can be ordered")
        order = KeeperOrder(
            chain_id=self.chain_id,
            market=self.market,
            action=Action(self.action),
            rendition=Rendition(word(self.record), word(self.fields), word(self.licence)),
            keeper=word(self.keeper),
            version=self.version,
            content=word(self.content),
            deadline=self.deadline,
        )
        return SignedOrder(order, unhexed(self.signature), self.custodian, word(self.tag))


class Deposit(Body, frozen=True):
    """A share, HPKE-sealed to the keeper's key, and the order to hold it."""

    order: Order
    share: str


class Rotation(Body, frozen=True):
    """A change of the share in use, HPKE-sealed to the keeper's key, and the order to prepare it."""

    order: Order
    rotation: str
    change: str


class Completion(Body, frozen=True):
    """The commitments of a rotation's three shares, and the order to take them into use."""

    order: Order
    rotation: str
    commitments: list[str]


class Plain(Body, frozen=True):
    """An order that needs nothing else."""

    order: Order


class Commitment(Body, frozen=True):
    """What the prepared share commits to."""

    commitment: str


class RevocationNotice(Body, frozen=True):
    """A patient's signature over the market's Revocation of a consent."""

    consent: str
    signature: str


class Done(Body, frozen=True):
    """Whether anything was changed; false when it had been so before."""

    changed: bool


class HoldingAnswer(Body, frozen=True):
    """Which versions are held of a share of the key of a record's copy."""

    version: int
    shredded: bool
    staged: int
    rotation: str
    commitments: list[str]

    @classmethod
    def of(cls, holding: Holding) -> HoldingAnswer:
        """For the line."""
        return cls(
            holding.version,
            holding.shredded,
            holding.staged,
            hexed(holding.rotation),
            [hexed(one) for one in holding.commitments],
        )

    def holding(self) -> Holding:
        """From the line. Raises BadInput."""
        return Holding(
            self.version,
            self.shredded,
            self.staged,
            unhexed(self.rotation),
            tuple(word(one) for one in self.commitments),
        )


class Receipt(Body, frozen=True):
    """A keeper's signed receipt of a shredding."""

    chain_id: int
    market: str
    address: str
    public_key: str
    record: str
    version: int
    order: str
    deadline: int
    order_signature: str
    custodian: str
    time: int
    entry: int
    entry_hash: str
    signature: str

    @classmethod
    def of(cls, receipt: ShredReceipt) -> Receipt:
        """For the line, and for a certificate."""
        return cls(
            chain_id=receipt.chain_id,
            market=receipt.market,
            address=receipt.card.address,
            public_key=hexed(receipt.card.public_key),
            record=hexed(receipt.record),
            version=receipt.version,
            order=hexed(receipt.order),
            deadline=receipt.deadline,
            order_signature=hexed(receipt.order_signature),
            custodian=receipt.custodian,
            time=receipt.time,
            entry=receipt.entry,
            entry_hash=hexed(receipt.entry_hash),
            signature=hexed(receipt.signature),
        )

    def receipt(self) -> ShredReceipt:
        """From the line, or a certificate. Raises BadInput."""
        return ShredReceipt(
            chain_id=self.chain_id,
            market=self.market,
            card=KeeperCard(self.address, unhexed(self.public_key)),
            record=word(self.record),
            version=self.version,
            order=word(self.order),
            deadline=self.deadline,
            order_signature=unhexed(self.order_signature),
            custodian=self.custodian,
            time=self.time,
            entry=self.entry,
            entry_hash=word(self.entry_hash),
            signature=unhexed(self.signature),
        )


class Info(Body, frozen=True):
    """Who the keeper is: its id is the hash of its two public keys."""

    keeper: str
    name: str
    address: str
    """Signs receipts and log heads."""
    public_key: str
    """Encoded HPKE key that shares are sealed to."""
    chain_id: int
    market: str
    longest_request: int
    """Seconds that a request may be valid for at most."""
    largest_batch: int = MAX_BATCH

    def card(self) -> KeeperCard:
        """The keys. Raises BadInput."""
        return KeeperCard(self.address, unhexed(self.public_key))


class Health(Body, frozen=True):
    """Whether shares would be released now, and if not why."""

    ok: bool
    head: int = 0
    final: int = 0
    code: str = ""
    detail: str = ""


class Head(Body, frozen=True):
    """How long the log is and what it ends with, signed."""

    entries: int
    hash: str
    time: int
    signature: str

    @classmethod
    def of(cls, head: LogHead) -> Head:
        """For the line."""
        return cls(head.entries, hexed(head.hash), head.time, hexed(head.signature))

    def head(self, chain_id: int, market: str, card: KeeperCard) -> LogHead:
        """From the line. Raises BadInput."""
        return LogHead(
            chain_id,
            market,
            card,
            self.entries,
            word(self.hash),
            self.time,
            unhexed(self.signature),
        )


class Entry(Body, frozen=True):
    """One line of the log: ``hash`` is over the previous hash, the number and the body."""

    number: int
    body: str
    hash: str

    @classmethod
    def of(cls, entry: LogEntry) -> Entry:
        """For the line."""
        return cls(entry.number, entry.body, hexed(entry.hash))

    def entry(self) -> LogEntry:
        """From the line. Raises BadInput."""
        return LogEntry(self.number, self.body, word(self.hash))


STATUS = {
    Code.MALFORMED: 400,
    Code.BAD_SIGNATURE: 401,
    Code.EXPIRED: 401,
    Code.VALID_TOO_LONG: 400,
    Code.NOT_FOUND: 404,
    Code.TOO_LARGE: 413,
    Code.TOO_MANY: 429,
    Code.WRONG_CHAIN: 400,
    Code.WRONG_MARKET: 400,
    Code.WRONG_KEEPER: 400,
    Code.WRONG_PUBLIC_KEY: 400,
    Code.WRONG_RECORD: 403,
    Code.WRONG_VERSION: 409,
    Code.NOT_LICENSEE: 403,
    Code.NOT_CUSTODIAN: 403,
    Code.NOT_PATIENT: 403,
    Code.NOT_LIVE: 403,
    Code.REVOKED: 403,
    Code.NONCE_USED: 409,
    Code.NO_SHARE: 404,
    Code.SHREDDED: 410,
    Code.NOT_FINAL: 503,
    Code.UNKNOWN_CONSENT: 503,
    Code.CHAIN_UNREACHABLE: 503,
    Code.CHAIN_LAGS: 503,
    Code.CHAIN_REORGANISED: 503,
    Code.BUSY: 503,
    Code.UNREACHABLE: 503,
    Code.BROKEN: 500,
}


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 78:
        raise BadInput("a nonce is a decimal number")
    return int(text)

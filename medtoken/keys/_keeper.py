"""A key keeper: holds one share per record and gives it only to whom the chain allows now (R34)."""

from __future__ import annotations

import functools
import hashlib
import hmac
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from eth_utils import is_address, to_canonical_address, to_checksum_address

from medtoken.errors import BadInput, IntegrityError, MedtokenError

from . import _signing
from ._hpke import HpkePublicKey
from ._identity import KeeperCard, KeeperIdentity, LogHead, ShredReceipt
from ._log import GENESIS, Event, LogEntry
from ._order import ANY_KEEPER, Action, SignedOrder, sealing_info
from ._refusal import Code, Refused
from ._rendition import Rendition
from ._request import SignedKeyRequest, check_signer
from ._shamir import SHARES, Share, changed, commitment
from ._vault import Held, Release, ShareVault, Staged

MAX_LIFETIME = 900
"""Seconds that a request may be valid for at most, so that a stolen one soon is worthless."""
MAX_BATCH = 100
"""Requests that are answered at once."""
MAX_SIGNATURE = 1024
"""Bytes; the contracts take no longer ones either."""

_T = TypeVar("_T")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tip:
    """Where a keeper's node stands: its newest block and its newest final one."""

    head: int
    head_hash: bytes
    time: int
    """Of the newest block, unix seconds."""
    final: int
    final_hash: bytes


@dataclass(frozen=True, slots=True)
class LicenceState:
    """What a keeper's own node says about a licence now."""

    live: bool
    """Licence and consent live at a final block, and not revoked, suspended, expired or frozen in
    any block up to the head."""
    reason: str = ""
    """When not live: why, as a sentence part such as ``the consent was revoked``."""
    licensee: str = ""
    """Address that may use the licence."""
    record: bytes = b""
    """The record it is for, 32 bytes."""
    expires: int = 0
    """Unix time in seconds; 0 is never a live licence."""
    block: int = 0
    """The final block that permission was read at."""
    consent: bytes = b""
    """The consent that it was bought under, 32 bytes."""
    fields: bytes = b""
    """The masking profile that this consent names, 32 bytes: what it lets out (R9)."""
    code: Code = Code.NOT_LIVE
    """When not live: why."""


class ChainView(Protocol):
    """A keeper's own reading of the chain: permission waits for finality, refusal does not.

    Every method may raise, Refused or anything else, when the node does not answer or is not to be
    relied on at the moment; a keeper then refuses.
    """

    def tip(self) -> Tip:
        """Ask the node where it stands, now."""

    def licence_states(self, tip: Tip, wanted: Sequence[tuple[bytes, int]]) -> list[LicenceState]:
        """The states of licences: each a 32-byte id and the block in which it was bought."""

    def custodian(self, tip: Tip, record: bytes, number: int, tag: bytes) -> str:
        """The account of a record's custodian; "" when there is none.

        Of a record that is not registered: of the accredited custodian ``number``, if the record's
        id follows from it and ``tag``.
        """

    def patient(self, tip: Tip, consent: bytes) -> str:
        """Whose consent it is, final or not; "" when there is none."""

    def approves(self, tip: Tip, account: str, digest: bytes, signature: bytes) -> bool:
        """Whether there is a smart wallet at ``account`` that takes this signature (ERC-1271)."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What a keeper tells anybody about a copy of a record: versions, nothing of their values."""

    version: int
    """Of the oldest share in use, or last held; 0 if there never was one."""
    shredded: bool = False
    staged: int = 0
    """The version that a rotation prepares, or 0."""
    rotation: bytes = b""
    """Which rotation, 32 bytes."""
    commitments: tuple[bytes, ...] = ()
    """Of the version that is prepared, once it is complete."""

    @property
    def newest(self) -> int:
        """The newest version that may be released."""
        return self.staged if self.commitments else self.version


class KeyKeeper:
    """One of a record's three keepers. Whatever it is not sure of, it refuses with KeyRefused."""

    def __init__(
        self,
        identity: KeeperIdentity,
        *,
        name: str,
        chain_id: int,
        market: str,
        chain: ChainView,
        vault: ShareVault,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """``clock`` tells unix time; None takes the time of the chain's newest block."""
        if not is_address(market):
            raise BadInput(f"{market!r} is not an address")
        self.name = name
        self.card: KeeperCard = identity.card
        self.keeper_id = identity.card.keeper_id
        self.chain_id = chain_id
        self.market = str(to_checksum_address(market))
        self._identity = identity
        self._chain = chain
        self._vault = vault
        self._clock = clock

    longest_request = MAX_LIFETIME

    # ------------------------------------------------------------------ what anybody may know

    def tip(self) -> Tip:
        """Where this keeper's node stands; Refused when it is not to be relied on now."""
        return self._asked(self._chain.tip)

    def holding(self, rendition: bytes) -> Holding:
        """Which versions are held of a copy: ``Rendition.id``."""
        held = self._vault.held([rendition])[0]
        staged = held.staged
        return Holding(
            version=held.version,
            shredded=held.shredded,
            staged=staged.share.version if staged else 0,
            rotation=staged.rotation if staged else b"",
            commitments=staged.share.commitments if staged and staged.complete else (),
        )

    def share_version(self, rendition: bytes) -> int:
        """The newest version in use, or last held; 0 if there never was one."""
        return self.holding(rendition).newest

    def log(self, after: int = 0, limit: int | None = None) -> Iterator[LogEntry]:
        """What this keeper did, hash-chained, behind entry number ``after``."""
        return self._vault.log(after, limit)

    def log_head(self) -> LogHead:
        """How long the log is and what it ends with, signed: it cannot be denied later."""
        newest = self._vault.head()
        head = LogHead(
            self.chain_id,
            self.market,
            self.card,
            newest.number if newest else 0,
            newest.hash if newest else GENESIS,
            int(self._clock() if self._clock else time.time()),
        )
        return replace(head, signature=self._identity.sign(head.digest()))

    # ------------------------------------------------------------------ what licensees may ask

    def release(self, signed: SignedKeyRequest) -> bytes:
        """This keeper's share, HPKE-sealed to the key in the request: see ``release_many``."""
        (answer,) = self.release_many([signed])
        if isinstance(answer, Refused):
            raise answer
        return answer

    def release_many(self, requests: Sequence[SignedKeyRequest]) -> list[bytes | Refused]:
        """For each request this keeper's share, HPKE-sealed to the key in it, or why not.

        The share is of the copy by the profile that the live consent names: the one made for this
        licence alone if there is one, else the one for every licence (R9, R35).

        The chain's newest block is read once for all, after the last of them has arrived. A release
        is in the log, with the licensee's signature, before the share leaves. The share comes in
        two versions while a rotation is being finished.
        """
        if len(requests) > MAX_BATCH:
            raise Refused(Code.TOO_LARGE, f"at most {MAX_BATCH} requests are answered at once")
        try:
            tip = self.tip()
        except Refused as refusal:
            return [refusal] * len(requests)
        now = self._now(tip)
        answers: list[bytes | Refused | None] = [None] * len(requests)
        keys: dict[int, HpkePublicKey] = {}
        for at, signed in enumerate(requests):
            try:
                keys[at] = self._check_form(signed, now)
                signed.check_signature(functools.partial(self._approves, tip))
            except Refused as refusal:
                answers[at] = refusal
        left = [at for at in keys if answers[at] is None]
        states = dict(zip(left, self._states(tip, [requests[at] for at in left]), strict=True))
        releases: list[tuple[int, Release, bytes]] = []
        held: dict[tuple[bytes, bytes, bytes], tuple[Rendition, Held] | Refused] = {}
        for at, state in states.items():
            request = requests[at].request
            try:
                if isinstance(state, Refused):
                    raise state
                _check_licence(request.requester, request.record, request.block, state, now)
                which = (request.record, state.fields, request.licence)
                if which not in held:
                    held[which] = self._held(*which)
                answer = held[which]
                if isinstance(answer, Refused):
                    raise answer
                rendition, found = answer
                plain = b"".join(bytes(share) for share in found.usable)
                sealed = keys[at].seal(plain, request.info())
            except Refused as refusal:
                answers[at] = refusal
            except BadInput as error:
                answers[at] = Refused(Code.WRONG_PUBLIC_KEY, str(error))
            else:
                version = found.usable[-1].version
                release = self._release(requests[at], state, tip, now, rendition, version)
                releases.append((at, release, sealed))
        logged = self._vault.release([release for _, release, _ in releases]) if releases else []
        for (at, _, sealed), entry in zip(releases, logged, strict=True):
            answers[at] = entry if isinstance(entry, Refused) else sealed
        return [a if a is not None else Refused(Code.BROKEN, "no answer") for a in answers]

    # ------------------------------------------------------------------ what patients may say

    def revoke(self, consent: bytes, signature: bytes) -> bool:
        """Take a patient's signed Revocation directly (R9): every grant under it ends here, now.

        False if that was known before. It is the message that the market takes, too.
        """
        if len(consent) != 32 or len(signature) > MAX_SIGNATURE:
            raise Refused(Code.MALFORMED, "the revocation is malformed")
        if self._vault.revoked(consent):
            return False
        tip = self.tip()
        patient = self._asked(lambda: self._chain.patient(tip, consent))
        if not patient:
            raise Refused(
                Code.UNKNOWN_CONSENT,
                f"consent 0x{consent.hex()} is not on the chain yet: try again",
            )
        digest = revocation_digest(self.chain_id, self.market, consent)
        approves = functools.partial(self._approves, tip)
        check_signer("patient", patient, digest, signature, approves)
        event = self._event(
            "revocation",
            self._now(tip),
            consent="0x" + consent.hex(),
            patient=patient,
            chain_id=self.chain_id,
            market=self.market,
            head_block=tip.head,
            signature="0x" + signature.hex(),
        )
        return self._vault.revoke(consent, event)

    # ------------------------------------------------------------------ what custodians may order

    def deposit(self, signed: SignedOrder, sealed: bytes) -> None:
        """Hold a share, HPKE-sealed to this keeper, in place of an earlier version's."""
        order = signed.order
        event = self._ordered(signed, Action.DEPOSIT, hashlib.sha256(sealed).digest())
        share = Share.from_bytes(self._opened(signed, sealed))
        if (share.record, share.version) != (order.rendition.id, order.version):
            raise Refused(Code.WRONG_RECORD, "the share is for another record, copy or version")
        if not share.genuine:
            raise BadInput("the share is not the one that its commitments name")
        self._vault.put(share, event, order.record)

    def rotate(self, signed: SignedOrder, rotation: bytes, sealed: bytes) -> bytes:
        """Prepare the next version: the share in use with a change added; its commitment.

        The change is a share of zero, so the key stays the same; the share in use stays in use.
        """
        event = self._ordered(signed, Action.ROTATE, rotation_content(rotation, sealed))
        share = self._in_use(signed)
        if signed.order.version != share.version + 1:
            raise Refused(
                Code.WRONG_VERSION,
                f"version {signed.order.version} does not follow version {share.version}",
            )
        value = changed(share.value, self._opened(signed, sealed))
        following = replace(
            share,
            version=signed.order.version,
            value=value,
            commitments=(bytes(32),) * SHARES,
        )
        self._vault.stage(Staged(rotation, following, complete=False), event)
        return commitment(share.record, following.version, share.index, value)

    def complete(
        self, signed: SignedOrder, rotation: bytes, commitments: tuple[bytes, ...]
    ) -> None:
        """Take the next version into use, beside the one before. Repeating it changes nothing."""
        content = rotation_content(rotation, b"".join(commitments))
        event = self._ordered(signed, Action.COMPLETE, content)
        staged = self._vault.held([signed.order.rendition.id])[0].staged
        if (
            staged is None
            or staged.share.version != signed.order.version
            or not hmac.compare_digest(staged.rotation, rotation)
        ):
            raise Refused(Code.WRONG_VERSION, "that rotation is not prepared here")
        share = replace(staged.share, commitments=commitments)
        if not share.genuine:
            raise Refused(Code.WRONG_VERSION, "the commitments are not those of this rotation")
        if staged.complete and staged.share == share:
            return
        self._vault.stage(Staged(rotation, share, complete=True), event)

    def abandon(self, signed: SignedOrder) -> bool:
        """Forget the next version and keep the one before: for rotations that got mixed up."""
        event = self._ordered(signed, Action.ABANDON, bytes(32))
        return self._vault.abandon(signed.order.rendition.id, signed.order.version, event)

    def finish(self, signed: SignedOrder) -> bool:
        """Forget every share before a version that all three keepers have in use."""
        event = self._ordered(signed, Action.FINISH, bytes(32))
        return self._vault.finish(signed.order.rendition.id, signed.order.version, event)

    def shred(self, signed: SignedOrder) -> ShredReceipt:
        """Destroy the shares of a record and of all its copies (R35) and sign that they are gone.

        They can never be put back. Asking again gives the same receipt.
        """
        event = self._ordered(signed, Action.DESTROY, bytes(32))
        self._vault.shred(signed.order.record, event)
        return self._receipt(signed.order.record)

    # ------------------------------------------------------------------ checks

    def _check_form(self, signed: SignedKeyRequest, now: float) -> HpkePublicKey:
        """Everything that needs neither the signature nor the chain."""
        request = signed.request
        self._check_place(request.chain_id, request.market)
        if request.keeper != self.keeper_id:
            raise Refused(Code.WRONG_KEEPER, "the request is for another keeper")
        _check_time(request.expiry - now, MAX_LIFETIME)
        if len(signed.signature) > MAX_SIGNATURE:
            raise Refused(Code.BAD_SIGNATURE, "the request's signature is too long")
        if hashlib.sha256(signed.public_key).digest() != request.public_key_hash:
            _parsed(signed.public_key)
            raise Refused(
                Code.WRONG_PUBLIC_KEY, "the public key is not the one that was signed for"
            )
        return _parsed(signed.public_key)

    def _check_place(self, chain_id: int, market: str) -> None:
        if chain_id != self.chain_id:
            raise Refused(
                Code.WRONG_CHAIN, f"the request is for chain {chain_id}, not {self.chain_id}"
            )
        if market != self.market:
            raise Refused(Code.WRONG_MARKET, "the request is for another market")

    def _ordered(self, signed: SignedOrder, action: Action, content: bytes) -> Event:
        """The log's event of an order, once it is certain that the custodian gave it."""
        order = signed.order
        self._check_place(order.chain_id, order.market)
        if order.action is not action:
            raise Refused(Code.MALFORMED, f"the order is to {order.action}, not to {action}")
        whom = ANY_KEEPER if action is Action.DESTROY else self.keeper_id
        if order.keeper != whom:
            raise Refused(Code.WRONG_KEEPER, "the order is for another keeper")
        whole = Rendition(order.record, bytes(32))
        if action is Action.DESTROY and order.rendition != whole:
            raise Refused(
                Code.MALFORMED, "an order to destroy is about a record and all its copies"
            )
        if action is not Action.DESTROY and order.rendition.fields == bytes(32):
            raise Refused(Code.MALFORMED, "the order names no masking profile")
        if order.content != content:
            raise Refused(Code.MALFORMED, "what came with the order is not what was signed")
        if len(signed.signature) > MAX_SIGNATURE:
            raise Refused(Code.BAD_SIGNATURE, "the order's signature is too long")
        tip = self.tip()
        now = self._now(tip)
        # An order to destroy may wait for a keeper that is down: it can be carried out only once.
        _check_time(order.deadline - now, None if action is Action.DESTROY else MAX_LIFETIME)
        account = self._asked(
            lambda: self._chain.custodian(tip, order.record, signed.custodian, signed.tag)
        )
        if not account:
            raise Refused(Code.NOT_CUSTODIAN, "no custodian of this record is known")
        approves = functools.partial(self._approves, tip)
        try:
            check_signer("custodian", account, order.digest(), signed.signature, approves)
        except Refused as refusal:
            raise Refused(Code.NOT_CUSTODIAN, str(refusal)) from None
        return self._event(
            "shred" if action is Action.DESTROY else action.value,
            now,
            record="0x" + order.record.hex(),
            fields="0x" + order.rendition.fields.hex(),
            copy_for="0x" + order.rendition.licence.hex(),
            version=order.version,
            custodian=account,
            chain_id=order.chain_id,
            market=order.market,
            content="0x" + order.content.hex(),
            deadline=order.deadline,
            order="0x" + order.digest().hex(),
            signature="0x" + signed.signature.hex(),
        )

    def _opened(self, signed: SignedOrder, sealed: bytes) -> bytes:
        """What a custodian sealed to this keeper, for this very order."""
        order = signed.order
        info = sealing_info(
            order.action,
            order.chain_id,
            order.market,
            order.rendition,
            order.keeper,
            order.version,
        )
        try:
            return self._identity.hpke.open(sealed, info)
        except IntegrityError:
            raise Refused(
                Code.MALFORMED, "what came with the order was not sealed for this keeper and order"
            ) from None

    def _in_use(self, signed: SignedOrder) -> Share:
        held = self._vault.held([signed.order.rendition.id])[0]
        if held.share is None:
            raise Refused(Code.NO_SHARE, "no share of this record's key is held here")
        return held.share

    def _held(
        self, record: bytes, fields: bytes, licence: bytes
    ) -> tuple[Rendition, Held] | Refused:
        """The copy that a licence under a consent to these fields opens, and its shares."""
        own, common = Rendition(record, fields, licence), Rendition(record, fields)
        try:
            for_one, for_all = self._vault.held([own.id, common.id])
        except IntegrityError as error:
            _logger.error("keeper %s: %s", self.name, error)  # noqa: TRY400  no traceback needed
            return Refused(Code.BROKEN, "the share that is held here is damaged")
        # Whoever has a copy of its own gets no other.
        rendition, held = (own, for_one) if for_one.version else (common, for_all)
        if not held.usable:
            return Refused(
                Code.NO_SHARE,
                "no share of this record's key is held here for the profile that the consent names",
            )
        return rendition, held

    # ------------------------------------------------------------------ the chain

    def _approves(self, tip: Tip, account: str, digest: bytes, signature: bytes) -> bool:
        return self._asked(lambda: self._chain.approves(tip, account, digest, signature))

    def _states(
        self, tip: Tip, requests: Sequence[SignedKeyRequest]
    ) -> Sequence[LicenceState | Refused]:
        if not requests:
            return []
        wanted = [(signed.request.licence, signed.request.block) for signed in requests]
        try:
            return self._asked(lambda: self._chain.licence_states(tip, wanted))
        except Refused as refusal:
            return [refusal] * len(requests)

    def _asked(self, question: Callable[[], _T]) -> _T:
        """The chain's answer; whatever goes wrong, Refused."""
        try:
            return question()
        except Refused:
            raise
        except MedtokenError as error:
            raise Refused(
                Code.CHAIN_UNREACHABLE, f"the chain could not be read: {error}"
            ) from error
        except Exception as error:
            _logger.exception("keeper %s could not read the chain", self.name)
            raise Refused(Code.CHAIN_UNREACHABLE, "the chain could not be read") from error

    def _now(self, tip: Tip) -> float:
        return self._clock() if self._clock else float(tip.time)

    # ------------------------------------------------------------------ the log

    def _release(
        self,
        signed: SignedKeyRequest,
        state: LicenceState,
        tip: Tip,
        now: float,
        rendition: Rendition,
        version: int,
    ) -> Release:
        request = signed.request
        event = self._event(
            "release",
            now,
            record="0x" + request.record.hex(),
            licence="0x" + request.licence.hex(),
            consent="0x" + state.consent.hex(),
            fields="0x" + rendition.fields.hex(),
            copy_for="0x" + rendition.licence.hex(),
            requester=request.requester,
            public_key_hash="0x" + request.public_key_hash.hex(),
            nonce=str(request.nonce),
            chain_id=request.chain_id,
            market=request.market,
            requested_block=request.block,
            expiry=request.expiry,
            final_block=state.block,
            head_block=tip.head,
            head_hash="0x" + tip.head_hash.hex(),
            version=version,
            request="0x" + request.digest().hex(),
            signature="0x" + signed.signature.hex(),
        )
        nonce = to_canonical_address(request.requester) + request.nonce.to_bytes(32, "big")
        return Release(event, nonce, rendition.id, state.consent)

    def _receipt(self, record: bytes) -> ShredReceipt:
        version, number = self._vault.shredded(record) or (0, 0)
        entry = self._vault.entry(number)
        if entry is None:
            raise IntegrityError("the log entry of a shredding is missing")
        event = entry.event
        receipt = ShredReceipt(
            chain_id=self.chain_id,
            market=self.market,
            card=self.card,
            record=record,
            version=version,
            order=bytes.fromhex(str(event["order"])[2:]),
            deadline=int(event["deadline"]),
            order_signature=bytes.fromhex(str(event["signature"])[2:]),
            custodian=str(event["custodian"]),
            time=int(event["time"]),
            entry=entry.number,
            entry_hash=entry.hash,
        )
        return replace(receipt, signature=self._identity.sign(receipt.digest()))

    def _event(self, kind: str, now: float, **more: str | int) -> Event:
        return {"kind": kind, "time": int(now), "keeper": "0x" + self.keeper_id.hex(), **more}


def rotation_content(rotation: bytes, content: bytes) -> bytes:
    """What an order of a rotation signs: which rotation, and what comes with it."""
    if len(rotation) != 32:
        raise BadInput("a rotation's id has 32 bytes")
    return hashlib.sha256(rotation + content).digest()


def revocation_digest(chain_id: int, market: str, consent: bytes) -> bytes:
    """The EIP-712 digest of the market's ``Revocation``."""
    fields = (("consent", "bytes32"),)
    return _signing.digest(chain_id, market, "Revocation", fields, (consent,), domain="medtoken")


def _parsed(public_key: bytes) -> HpkePublicKey:
    try:
        return HpkePublicKey(public_key)
    except BadInput as error:
        raise Refused(Code.WRONG_PUBLIC_KEY, str(error)) from error


def _check_time(left: float, most: int | None) -> None:
    if left <= 0:
        raise Refused(Code.EXPIRED, "the request has expired")
    if most is not None and left > most:
        raise Refused(Code.VALID_TOO_LONG, f"the request is valid for longer than {most} seconds")


def _check_licence(
    requester: str, record: bytes, block: int, state: LicenceState, now: float
) -> None:
    """Refused unless a licence's state allows this release."""
    if state.live is not True:
        raise Refused(state.code, state.reason or "the licence is not live")
    if state.expires <= now:
        raise Refused(Code.NOT_LIVE, "the licence has expired")
    if state.licensee.lower() != requester.lower():
        raise Refused(Code.NOT_LICENSEE, "the requester is not the licensee")
    if state.record != record:
        raise Refused(Code.WRONG_RECORD, "the licence is for another record")
    if state.block < block:
        raise Refused(
            Code.NOT_FINAL,
            f"block {block} is not final here yet (block {state.block} is): try again",
        )

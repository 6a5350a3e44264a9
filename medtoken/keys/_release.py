"""What a custodian and a licensee do with three keepers: deposit, rotate, shred, release."""

from __future__ import annotations

import hashlib
import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from medtoken.errors import BadInput, IntegrityError, KeyRefused, MedtokenError

from ._hpke import HpkePrivateKey, HpkePublicKey
from ._identity import KeeperCard, ShredReceipt
from ._keeper import Holding, rotation_content
from ._order import Action, Custodianship, SignedOrder, sealing_info
from ._refusal import Code, Refused
from ._rendition import Rendition
from ._request import KeyRequest, SignedKeyRequest
from ._shamir import SHARES, THRESHOLD, Share, combine, shares_of_zero, split

PATIENCE = 20.0
"""Seconds after which what keepers have not answered counts as refused."""
HEDGE = 1.0
"""Seconds without an answer after which another keeper is asked."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 2.0

_T = TypeVar("_T")
_logger = logging.getLogger(__name__)


class Keeper(Protocol):
    """A key keeper as its callers see it, in this process or behind a network."""

    @property
    def keeper_id(self) -> bytes:
        """32 bytes."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def card(self) -> KeeperCard:
        """The public keys behind ``keeper_id``."""

    def holding(self, rendition: bytes) -> Holding: ...

    def share_version(self, rendition: bytes) -> int: ...

    def deposit(self, signed: SignedOrder, sealed: bytes) -> None: ...

    def rotate(self, signed: SignedOrder, rotation: bytes, sealed: bytes) -> bytes: ...

    def complete(
        self, signed: SignedOrder, rotation: bytes, commitments: tuple[bytes, ...]
    ) -> None: ...

    def abandon(self, signed: SignedOrder) -> bool: ...

    def finish(self, signed: SignedOrder) -> bool: ...

    def shred(self, signed: SignedOrder) -> ShredReceipt: ...

    def revoke(self, consent: bytes, signature: bytes) -> bool: ...

    def release(self, signed: SignedKeyRequest) -> bytes: ...

    def release_many(self, requests: Sequence[SignedKeyRequest]) -> Sequence[bytes | Refused]: ...


# ---------------------------------------------------------------------- custodians


def deposit(
    rendition: Rendition, dek: bytes, keepers: Sequence[Keeper], custodian: Custodianship
) -> int:
    """Split the key of a record's copy among exactly three keepers; the version of the split.

    Keep ``dek`` until this returns. After a failure, call it again: every call is a new version.
    Shares of different versions never combine.
    """
    _require_three(keepers)
    answers, holdings = _ask(keepers, lambda keeper: keeper.holding(rendition.id))
    if not answers:
        version = max(holding.newest for holding in holdings) + 1
        shares = {
            keeper.keeper_id: share
            for keeper, share in zip(keepers, split(dek, rendition.id, version), strict=True)
        }

        def hold(keeper: Keeper) -> None:
            plain = bytes(shares[keeper.keeper_id])
            sealed = _seal(custodian, Action.DEPOSIT, rendition, keeper, version, plain)
            content = hashlib.sha256(sealed).digest()
            order = custodian.order(Action.DEPOSIT, rendition, keeper.keeper_id, version, content)
            keeper.deposit(order, sealed)

        answers, _ = _ask(keepers, hold)
        if not answers:
            return version
    raise KeyRefused(f"the key is not deposited with all three keepers: {'; '.join(answers)}")


def rotate(rendition: Rendition, keepers: Sequence[Keeper], custodian: Custodianship) -> int:
    """Give the three keepers fresh shares of a copy's same key; the version they then hold.

    The custodian deals shares of zero, which each keeper adds to its own: nobody, the custodian
    included, sees the key, and a share that leaked before is worth nothing together with one that
    leaks after. At any moment any two keepers have a version in common. After a failure or a crash
    call it again: it goes on where it stopped.
    """
    _require_three(keepers)
    holdings = _all(keepers, lambda keeper: keeper.holding(rendition.id))
    if any(holding.shredded for holding in holdings):
        raise KeyRefused(f"the shares of record 0x{rendition.record.hex()} were shredded")
    version, rotation, commitments = _on_its_way(holdings)
    if version and _mixed_up(holdings, version, rotation):
        # All still hold the version before, so nothing is lost by starting over.
        abandoned = version

        def abandon(keeper: Keeper) -> None:
            order = custodian.order(Action.ABANDON, rendition, keeper.keeper_id, abandoned)
            keeper.abandon(order)

        _all(keepers, abandon)
        holdings = _all(keepers, lambda keeper: keeper.holding(rendition.id))
        version, rotation, commitments = _on_its_way(holdings)
    if not version:
        if len({holding.version for holding in holdings}) != 1 or not holdings[0].version:
            raise KeyRefused("the three keepers do not hold the same version of the key")
        version, rotation = holdings[0].version + 1, secrets.token_bytes(32)
        changes = dict(zip((k.keeper_id for k in keepers), shares_of_zero(), strict=True))

        def prepare(keeper: Keeper) -> bytes:
            plain = changes[keeper.keeper_id]
            sealed = _seal(custodian, Action.ROTATE, rendition, keeper, version, plain)
            content = rotation_content(rotation, sealed)
            order = custodian.order(Action.ROTATE, rendition, keeper.keeper_id, version, content)
            return keeper.rotate(order, rotation, sealed)

        commitments = tuple(_all(keepers, prepare))

    def complete(keeper: Keeper) -> None:
        content = rotation_content(rotation, b"".join(commitments))
        order = custodian.order(Action.COMPLETE, rendition, keeper.keeper_id, version, content)
        keeper.complete(order, rotation, commitments)

    def finish(keeper: Keeper) -> None:
        keeper.finish(custodian.order(Action.FINISH, rendition, keeper.keeper_id, version))

    _all([k for k, h in zip(keepers, holdings, strict=True) if h.newest < version], complete)
    _all(keepers, finish)
    return version


def shred(record: bytes, keepers: Sequence[Keeper], custodian: Custodianship) -> list[ShredReceipt]:
    """Destroy the shares of a record and of all its copies at every keeper (R35).

    KeyRefused names those that did not answer. With two of three shares gone nobody can open the
    record again. Calling it again is safe.
    """
    order = custodian.order(Action.DESTROY, Rendition(record, bytes(32)))
    answers, receipts = _ask(keepers, lambda keeper: keeper.shred(order))
    if answers:
        raise KeyRefused(f"not every share was shredded: {'; '.join(answers)}")
    return receipts


def revoke(consent: bytes, signature: bytes, keepers: Sequence[Keeper]) -> None:
    """Bring a patient's signed Revocation to the keepers themselves (R9).

    KeyRefused names those that did not take it: one that did not may still release its share.
    """
    answers, _ = _ask(keepers, lambda keeper: keeper.revoke(consent, signature))
    if answers:
        raise KeyRefused(f"not every keeper took the revocation: {'; '.join(answers)}")


def _on_its_way(holdings: Sequence[Holding]) -> tuple[int, bytes, tuple[bytes, ...]]:
    """The rotation that at least one keeper has in use and not all have finished, if any."""
    newest = max(holding.newest for holding in holdings)
    if all(holding.version == newest for holding in holdings):
        return 0, b"", ()
    for holding in holdings:
        if holding.commitments and holding.staged == newest:
            return newest, holding.rotation, holding.commitments
    return 0, b"", ()


def _mixed_up(holdings: Sequence[Holding], version: int, rotation: bytes) -> bool:
    """Whether a keeper never prepared what another has in use, and none has finished."""
    prepared = all(
        holding.version == version or (holding.staged, holding.rotation) == (version, rotation)
        for holding in holdings
    )
    return not prepared and all(holding.version == version - 1 for holding in holdings)


def _seal(
    custodian: Custodianship,
    action: Action,
    rendition: Rendition,
    keeper: Keeper,
    version: int,
    plain: bytes,
) -> bytes:
    info = sealing_info(
        action, custodian.chain_id, custodian.market, rendition, keeper.keeper_id, version
    )
    return HpkePublicKey(keeper.card.public_key).seal(plain, info)


def _require_three(keepers: Sequence[Keeper]) -> None:
    if len(keepers) != SHARES or len({keeper.keeper_id for keeper in keepers}) != SHARES:
        raise BadInput("a record's key is deposited with exactly three different keepers")


def _all(keepers: Sequence[Keeper], call: Callable[[Keeper], _T]) -> list[_T]:
    """What each keeper returned; KeyRefused unless all did."""
    answers, results = _ask(keepers, call)
    if answers:
        raise KeyRefused(f"the shares are not rotated: {'; '.join(answers)}")
    return results


def _ask(keepers: Sequence[Keeper], call: Callable[[Keeper], _T]) -> tuple[list[str], list[_T]]:
    """Call each keeper; what went wrong with which, and what the others returned."""
    answers: list[str] = []
    results: list[_T] = []
    for keeper in keepers:
        try:
            results.append(call(keeper))
        except Exception as error:
            answers.append(f"{keeper.name}: {_answer(error)}")
    return answers, results


# ---------------------------------------------------------------------- licensees


@dataclass(frozen=True)
class Wanted:
    """One key that a licensee asks for."""

    request: KeyRequest
    rendition: Rendition
    """Of which copy of the record: keepers give the one that the licence is for, and no other."""
    commits_to: Callable[[bytes], bool]
    """Whether a key is that copy's: its ``Trailer.commits_to``."""


def release_key(
    keepers: Sequence[Keeper],
    request: KeyRequest,
    private_key: HpkePrivateKey,
    *,
    rendition: Rendition,
    sign: Callable[[KeyRequest], bytes],
    commits_to: Callable[[bytes], bool],
    patience: float = PATIENCE,
    hedge: float = HEDGE,
) -> bytes:
    """The 32-byte key of a record's copy from any two honest keepers: see ``release_keys``."""
    (key,) = release_keys(
        keepers,
        [Wanted(request, rendition, commits_to)],
        private_key,
        sign=sign,
        patience=patience,
        hedge=hedge,
    )
    if isinstance(key, KeyRefused):
        raise key
    return key


def release_keys(
    keepers: Sequence[Keeper],
    wanted: Sequence[Wanted],
    private_key: HpkePrivateKey,
    *,
    sign: Callable[[KeyRequest], bytes],
    patience: float = PATIENCE,
    hedge: float = HEDGE,
) -> list[bytes | KeyRefused]:
    """The 32-byte keys of records from any two honest keepers each, or why not.

    Each request is readdressed to a keeper and signed by ``sign`` (65 bytes; in this thread). Two
    keepers are asked at the same time, and another as soon as one of them refuses, lies, or has not
    answered within ``hedge`` seconds. One that refuses for a passing reason, or does not answer, is
    asked again, until ``patience`` seconds are over. None is asked for a share that would be of no use,
    because too many have refused for good. A KeyRefused says what each one answered.
    """
    for one in wanted:
        if one.request.public_key_hash != private_key.public_key.fingerprint:
            raise BadInput("the request names another public key than the one given")
    if not keepers:
        raise BadInput("no key keeper was named")
    return _Asking(keepers, wanted, private_key, sign, patience, hedge).run()


@dataclass
class _Goal:
    """One key on its way: what keepers answered, and the shares that came."""

    wanted: Wanted
    answers: dict[bytes, str] = field(default_factory=dict)
    final: set[bytes] = field(default_factory=set)
    """Keepers whose answer will stay no."""
    received: list[tuple[bytes, Share]] = field(default_factory=list)
    signed: dict[bytes, SignedKeyRequest] = field(default_factory=dict)
    key: bytes | None = None

    @property
    def reached(self) -> bool:
        return self.key is not None

    def refuse(self, keeper: bytes, answer: str, *, final: bool) -> None:
        self.answers[keeper] = answer
        if final:
            self.final.add(keeper)

    def take(self, keeper: bytes, plain: bytes) -> None:
        """Try what a keeper gave against everything that came before."""
        size = len(plain) // 2 if len(plain) == 2 * Share.SIZE else len(plain)
        shares = [Share.from_bytes(plain[at : at + size]) for at in range(0, len(plain), size)]
        if not shares:
            raise IntegrityError("gave nothing")
        if not all(share.genuine for share in shares):
            raise IntegrityError("gave a false share")
        if any(share.record != self.wanted.rendition.id for share in shares):
            raise IntegrityError("gave a share of the key of another record or copy")
        self.answers[keeper] = "gave a share that fits no other"
        for share in shares:
            for other, earlier in self.received:
                try:
                    key = combine((earlier, share))
                except IntegrityError:
                    continue
                if self.wanted.commits_to(key):
                    self.key = key
                    for one in (other, keeper):
                        del self.answers[one]
                    return
                self.answers[other] = self.answers[keeper] = (
                    "gave a share of a key that does not open the record"
                )
        self.received += [(keeper, share) for share in shares]


class _Asking:
    """Asks keepers for several keys at once."""

    def __init__(
        self,
        keepers: Sequence[Keeper],
        wanted: Sequence[Wanted],
        private_key: HpkePrivateKey,
        sign: Callable[[KeyRequest], bytes],
        patience: float,
        hedge: float,
    ) -> None:
        self._keepers = keepers
        self._private_key = private_key
        self._public_key = bytes(private_key.public_key)
        self._sign = sign
        self._patience = patience
        self._hedge = hedge
        self._goals = [_Goal(one) for one in wanted]
        self._answers: queue.SimpleQueue[tuple[int, list[_Goal], _Answers]] = queue.SimpleQueue()
        self._asked = 0
        self._in_flight: set[int] = set()
        self._again: dict[int, float] = {}
        self._pauses: dict[int, float] = {}

    def run(self) -> list[bytes | KeyRefused]:
        """Ask until every key has come or cannot come any more."""
        deadline = time.monotonic() + self._patience
        for _ in range(min(THRESHOLD, len(self._keepers))):
            self._ask_another()
        hedge_at = time.monotonic() + self._hedge
        while self._open():
            now = time.monotonic()
            for at in [at for at, due in self._again.items() if due <= now]:
                del self._again[at]
                self._ask(at)
            if now >= hedge_at:
                self._ask_another()
                hedge_at = now + self._hedge
            if not self._in_flight and not self._again:
                if self._asked == len(self._keepers):
                    break
                self._ask_another()
                continue
            if now >= deadline and (self._in_flight or self._again):
                self._give_up()
                self._in_flight.clear()
                break
            due = min([deadline, *self._again.values()])
            if self._asked < len(self._keepers):
                due = min(due, hedge_at)
            try:
                answer = self._answers.get(timeout=max(0.001, due - now))
            except queue.Empty:
                continue
            self._take(*answer, deadline)
        self._hear_out()
        return [self._result(goal) for goal in self._goals]

    def _open(self) -> list[_Goal]:
        """Goals that may still be reached."""
        most = len(self._keepers) - THRESHOLD if len(self._keepers) >= THRESHOLD else 0
        return [g for g in self._goals if g.key is None and len(g.final) <= most]

    def _ask_another(self) -> None:
        if self._asked < len(self._keepers):
            self._asked += 1
            self._ask(self._asked - 1)

    def _ask(self, at: int) -> None:
        keeper = self._keepers[at]
        keeper_id = keeper.keeper_id
        goals = [g for g in self._goals if g.key is None and keeper_id not in g.final]
        # Who gave a share for a goal is not asked for it again.
        goals = [g for g in goals if not any(k == keeper_id for k, _ in g.received)]
        if not goals:
            return
        for goal in goals:
            if keeper_id not in goal.signed:
                addressed = goal.wanted.request.for_keeper(keeper_id)
                goal.signed[keeper_id] = SignedKeyRequest(
                    addressed, self._public_key, self._sign(addressed)
                )
        requests = [goal.signed[keeper_id] for goal in goals]
        self._in_flight.add(at)

        def call() -> None:
            answers: _Answers
            try:
                if len(requests) == 1:
                    answers = (keeper.release(requests[0]),)
                else:
                    answers = tuple(keeper.release_many(requests))
                    if len(answers) != len(requests):
                        raise IntegrityError("did not answer each request")
            except Exception as error:
                answers = (error,) * len(requests)
            self._answers.put((at, goals, answers))

        threading.Thread(target=call, name=f"ask {keeper.name}", daemon=True).start()

    def _take(self, at: int, goals: list[_Goal], answers: _Answers, deadline: float) -> None:
        self._in_flight.discard(at)
        keeper_id = self._keepers[at].keeper_id
        again = unhelpful = False
        for goal, answer in zip(goals, answers, strict=True):
            if goal.reached:
                continue
            signed = goal.signed[keeper_id]
            if isinstance(answer, bytes):
                try:
                    plain = self._private_key.open(answer, signed.request.info())
                    goal.take(keeper_id, plain)
                except Exception as error:
                    goal.refuse(keeper_id, _answer(error), final=True)
            else:
                passing = isinstance(answer, Refused) and answer.passing
                goal.refuse(keeper_id, _answer(answer), final=not passing)
                again = again or passing
                if isinstance(answer, Refused) and answer.code is Code.UNREACHABLE:
                    # It may have been answered, and the answer lost: that nonce is used.
                    del goal.signed[keeper_id]
            gave = any(one == keeper_id for one, _ in goal.received)
            alone = not gave or not self._in_flight
            unhelpful = unhelpful or (alone and not goal.reached)
        if again:
            pause = self._pauses.get(at, _FIRST_PAUSE)
            self._pauses[at] = min(2 * pause, _LONGEST_PAUSE)
            if time.monotonic() + pause < deadline:
                self._again[at] = time.monotonic() + pause
        if unhelpful and self._open():
            self._ask_another()

    def _hear_out(self) -> None:
        """When a key cannot come any more: let those that were asked already have their say."""
        until = time.monotonic() + self._hedge
        while self._in_flight and any(goal.key is None for goal in self._goals):
            try:
                answer = self._answers.get(timeout=max(0.001, until - time.monotonic()))
            except queue.Empty:
                return
            self._take(*answer, 0.0)

    def _give_up(self) -> None:
        for at in self._in_flight:
            for goal in self._goals:
                goal.answers.setdefault(self._keepers[at].keeper_id, "did not answer in time")

    def _result(self, goal: _Goal) -> bytes | KeyRefused:
        told = {k.keeper_id: k.name for k in self._keepers}
        lines = [f"{n}: {goal.answers[k]}" for k, n in told.items() if k in goal.answers]
        if goal.key is None:
            return KeyRefused(f"the key was not released: {'; '.join(lines)}")
        for keeper_id, name in told.items():
            answer = goal.answers.get(keeper_id)
            if answer is not None:
                _logger.warning("key keeper %s: %s", name, answer)
        return goal.key


_Answers = tuple[bytes | Exception, ...]


def _answer(error: Exception) -> str:
    """An error as a keeper's answer."""
    return str(error) if isinstance(error, MedtokenError) else f"did not answer ({error!r})"

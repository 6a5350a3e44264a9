"""What a custodian and a licensee do with three keepers: deposit, shred, release."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from medtoken.errors import BadInput, IntegrityError, KeyRefused, MedtokenError

from ._hpke import HpkePrivateKey
from ._request import KeyRequest, SignedKeyRequest
from ._shamir import SHARES, Share, combine, split

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

    def share_version(self, record: bytes) -> int: ...

    def deposit(self, share: Share) -> None: ...

    def shred(self, record: bytes) -> bool: ...

    def release(self, signed: SignedKeyRequest) -> bytes: ...


def deposit(record: bytes, dek: bytes, keepers: Sequence[Keeper]) -> int:
    """Split a record's key among exactly three keepers; the version of the split.

    Keep ``dek`` until this returns. After a failure, or for fresh shares of the same key, call it
    again: every call is a new version. Shares of different versions never combine.
    """
    if len(keepers) != SHARES or len({keeper.keeper_id for keeper in keepers}) != SHARES:
        raise BadInput("a record's key is deposited with exactly three different keepers")
    answers, versions = _ask(keepers, lambda keeper: keeper.share_version(record))
    if not answers:
        version = max(versions) + 1
        shares = {
            keeper.keeper_id: share
            for keeper, share in zip(keepers, split(dek, record, version), strict=True)
        }
        answers, _ = _ask(keepers, lambda keeper: keeper.deposit(shares[keeper.keeper_id]))
        if not answers:
            return version
    raise KeyRefused(f"the key is not deposited with all three keepers: {'; '.join(answers)}")


def shred(record: bytes, keepers: Sequence[Keeper]) -> None:
    """Destroy a record's shares at every keeper (R35); KeyRefused names those that did not answer.

    With two of three shares gone nobody can open the record again. Calling it again is safe.
    """
    answers, _ = _ask(keepers, lambda keeper: keeper.shred(record))
    if answers:
        raise KeyRefused(f"not every share was shredded: {'; '.join(answers)}")


def release_key(
    keepers: Sequence[Keeper],
    request: KeyRequest,
    private_key: HpkePrivateKey,
    *,
    sign: Callable[[KeyRequest], bytes],
    commits_to: Callable[[bytes], bool],
) -> bytes:
    """The record's 32-byte key from any two honest keepers.

    ``request`` is readdressed to each keeper in turn and signed by ``sign`` (65 bytes), until two
    shares make a key that ``commits_to`` accepts: the sealed record's ``Trailer.commits_to``. A
    keeper that is dead, lies or refuses is passed over; KeyRefused says what each one answered.
    """
    public_key = bytes(private_key.public_key)
    if request.public_key_hash != private_key.public_key.fingerprint:
        raise BadInput("the request names another public key than the one given")
    answers: dict[str, str] = {}
    received: list[tuple[str, Share]] = []
    for keeper in keepers:
        addressed = request.for_keeper(keeper.keeper_id)
        signed = SignedKeyRequest(addressed, public_key, sign(addressed))
        try:
            share = Share.from_bytes(private_key.open(keeper.release(signed), addressed.info()))
            if share.record != request.record or not share.genuine:
                raise IntegrityError("gave a false share")
        except Exception as error:
            answers[keeper.name] = _answer(error)
            continue
        answers[keeper.name] = "gave a share that fits no other"
        for other, earlier in received:
            try:
                dek = combine((earlier, share))
            except IntegrityError:
                continue
            if commits_to(dek):
                for name in answers.keys() - {other, keeper.name}:
                    _logger.warning("key keeper %s: %s", name, answers[name])
                return dek
            answers[other] = answers[keeper.name] = (
                "gave a share of a key that does not open the record"
            )
        received.append((keeper.name, share))
    if not answers:
        raise BadInput("no key keeper was named")
    told = "; ".join(f"{name}: {answer}" for name, answer in answers.items())
    raise KeyRefused(f"the key was not released: {told}")


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


def _answer(error: Exception) -> str:
    """An error as a keeper's answer."""
    return str(error) if isinstance(error, MedtokenError) else f"did not answer ({error!r})"

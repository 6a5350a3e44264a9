"""Two-of-three shares of a 32-byte record key, each checkable on its own."""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from Crypto.Protocol.SecretSharing import Shamir

from medtoken.errors import BadInput, IntegrityError

THRESHOLD = 2
SHARES = 3
_LABEL = b"medtoken key share v1"
_FIELD = 1 << 128 | 0x87
"""x^128 + x^7 + x^2 + x + 1."""
_FORMAT = struct.Struct(">B32sIB32s96s")
_FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Share:
    """One keeper's share of one record's key."""

    SIZE: ClassVar[int] = _FORMAT.size
    """Bytes of an encoded share."""

    record: bytes
    """The record's id, 32 bytes."""
    version: int
    """1 for the first split; each new split of the same key counts one up."""
    index: int
    """1, 2 or 3."""
    value: bytes = field(repr=False)
    """32 bytes: the shares of the key's two halves, both at ``index``. Secret."""
    commitments: tuple[bytes, ...]
    """Each share's SHA-256 commitment in the order of the indices, 32 bytes each. Not secret."""

    def __post_init__(self) -> None:
        if len(self.record) != 32 or len(self.value) != 32:
            raise BadInput("a share has a record id and a value of 32 bytes each")
        if not 1 <= self.index <= SHARES or not 1 <= self.version < 1 << 32:
            raise BadInput("a share's index is 1 to 3 and its version is 1 or more")
        if len(self.commitments) != SHARES or any(len(one) != 32 for one in self.commitments):
            raise BadInput("a share carries three commitments of 32 bytes")

    @property
    def genuine(self) -> bool:
        """Whether the share is the one that its own list of commitments names."""
        commitment = _commit(self.record, self.version, self.index, self.value)
        return hmac.compare_digest(commitment, self.commitments[self.index - 1])

    def __bytes__(self) -> bytes:
        return _FORMAT.pack(
            _FORMAT_VERSION,
            self.record,
            self.version,
            self.index,
            self.value,
            b"".join(self.commitments),
        )

    @classmethod
    def from_bytes(cls, binary: bytes) -> Share:
        """Read what ``bytes(share)`` wrote; BadInput if it is anything else."""
        if len(binary) != _FORMAT.size or binary[0] != _FORMAT_VERSION:
            raise BadInput("these bytes are not a key share of version 1")
        _, record, version, index, value, commitments = _FORMAT.unpack(binary)
        parts = tuple(commitments[at : at + 32] for at in range(0, 96, 32))
        return cls(record, version, index, value, parts)


def split(dek: bytes, record: bytes, version: int = 1) -> list[Share]:
    """Three shares of a 32-byte key, any two of which give it back; one alone says nothing."""
    if len(dek) != 32:
        raise BadInput(f"a record key has 32 bytes, not {len(dek)}")
    halves = [Shamir.split(THRESHOLD, SHARES, half, ssss=False) for half in (dek[:16], dek[16:])]
    values = [low + high for (_, low), (_, high) in zip(*halves, strict=True)]
    indices = range(1, SHARES + 1)
    commitments = tuple(
        _commit(record, version, index, value) for index, value in zip(indices, values, strict=True)
    )
    return [
        Share(record, version, index, value, commitments)
        for index, value in zip(indices, values, strict=True)
    ]


def combine(shares: Sequence[Share]) -> bytes:
    """The 32-byte key from two shares of one split.

    IntegrityError if they are not two different, genuine shares of the same split.
    """
    if len(shares) != THRESHOLD or shares[0].index == shares[1].index:
        raise IntegrityError("two different shares are needed")
    if len({(share.record, share.version, share.commitments) for share in shares}) != 1:
        raise IntegrityError("the shares are not of the same split")
    if not all(share.genuine for share in shares):
        raise IntegrityError("a share is not the one that was committed to")
    one, other = shares
    return b"".join(
        _at_zero(one.index, one.value[half], other.index, other.value[half])
        for half in (slice(0, 16), slice(16, 32))
    )


def _at_zero(a: int, at_a: bytes, b: int, at_b: bytes) -> bytes:
    """The value at 0 of the line through two points, in pycryptodome's field GF(2^128).

    (b·f(a) + a·f(b)) / (a + b) for ``a`` and ``b`` of 1, 2, 3, whose sum is always the third. Written
    out because pycryptodome's general way takes a hundred times as long; the tests hold both to the
    same values.
    """
    total = _times(b, int.from_bytes(at_a)) ^ _times(a, int.from_bytes(at_b))
    match a ^ b:
        case 2:  # divided by x
            total = (total ^ _FIELD if total & 1 else total) >> 1
        case 3:  # divided by x + 1: every bit becomes the sum of itself and those below
            total = total ^ _FIELD if total.bit_count() & 1 else total
            for shift in (1, 2, 4, 8, 16, 32, 64, 128):
                total ^= total << shift
            total &= (1 << 128) - 1
    return total.to_bytes(16)


def _times(small: int, value: int) -> int:
    """``value`` times 1, 2 or 3 in the field."""
    doubled = value << 1
    doubled = doubled ^ _FIELD if doubled >> 128 else doubled
    return (value, doubled, doubled ^ value)[small - 1]


def shares_of_zero() -> list[bytes]:
    """Three changes of 32 bytes which, each added to its share, give other shares of the same key.

    They are shares of zero: whoever draws them learns nothing of the key, and neither does a keeper
    that gets one of them.
    """
    halves = [Shamir.split(THRESHOLD, SHARES, bytes(16), ssss=False) for _ in range(2)]
    return [low + high for (_, low), (_, high) in zip(*halves, strict=True)]


def changed(value: bytes, change: bytes) -> bytes:
    """A share's value with a change added to it (addition in GF(2^128) is exclusive or)."""
    if len(value) != 32 or len(change) != 32:
        raise BadInput("a share's value and its change have 32 bytes each")
    return bytes(a ^ b for a, b in zip(value, change, strict=True))


def commitment(record: bytes, version: int, index: int, value: bytes) -> bytes:
    """What a share commits to; it does not tell the value, which nobody can guess."""
    return _commit(record, version, index, value)


def _commit(record: bytes, version: int, index: int, value: bytes) -> bytes:
    position = struct.pack(">IB", version, index)
    return hashlib.sha256(_LABEL + record + position + value).digest()

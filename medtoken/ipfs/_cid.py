"""CIDv1 over SHA-256, the only kind of content identifier that medtoken makes or accepts."""

from __future__ import annotations

import base64
import binascii
import enum
import hashlib
from dataclasses import dataclass

from medtoken.errors import BadInput

_VERSION = 1
_SHA2_256 = 0x12
_BINARY_LENGTH = 36
_TEXT_LENGTH = 59


class Codec(enum.IntEnum):
    """How the bytes behind a CID are read (multicodec numbers)."""

    RAW = 0x55
    DAG_PB = 0x70


@dataclass(frozen=True, order=True, slots=True)
class CID:
    """A CIDv1: ``codec`` and the 32-byte SHA-256 ``digest`` of one block."""

    codec: Codec
    digest: bytes

    def __post_init__(self) -> None:
        if len(self.digest) != 32:
            raise BadInput(f"a CID needs a 32-byte digest, not {len(self.digest)} bytes")

    @classmethod
    def of(cls, block: bytes | bytearray | memoryview, codec: Codec = Codec.RAW) -> CID:
        """The CID of one block of bytes."""
        return cls(codec, hashlib.sha256(block).digest())

    @classmethod
    def parse(cls, text: str) -> CID:
        """Read the base32 text form (``bafk…`` or ``bafy…``, 59 characters, lower case)."""
        if len(text) != _TEXT_LENGTH or text[:1] != "b" or text != text.lower():
            raise BadInput(f"{text[:80]!r} is not a CIDv1 in lower-case base32")
        try:
            cid = cls.from_bytes(base64.b32decode(text[1:].upper() + "=" * 6))
        except (binascii.Error, ValueError) as error:
            raise BadInput(f"{text!r} is not a CIDv1 in lower-case base32") from error
        if str(cid) != text:
            raise BadInput(f"{text!r} is not the canonical form of a CID")
        return cid

    @classmethod
    def from_bytes(cls, binary: bytes) -> CID:
        """Read the 36-byte binary form: version, codec, hash function, hash length, digest."""
        if len(binary) != _BINARY_LENGTH or binary[0] != _VERSION:
            raise BadInput("not a CIDv1 with a SHA-256 digest")
        if binary[2] != _SHA2_256 or binary[3] != 32:
            raise BadInput("only CIDs with a SHA-256 digest are supported")
        try:
            codec = Codec(binary[1])
        except ValueError:
            raise BadInput("only raw and dag-pb CIDs are supported") from None
        return cls(codec, binary[4:])

    def __bytes__(self) -> bytes:
        return bytes((_VERSION, self.codec, _SHA2_256, 32)) + self.digest

    def __str__(self) -> str:
        return "b" + base64.b32encode(bytes(self)).decode().rstrip("=").lower()

    def matches(self, block: bytes | bytearray | memoryview) -> bool:
        """Whether ``block`` is the block that this CID names."""
        return hashlib.sha256(block).digest() == self.digest

"""The bytes of a sealed record, format version 1 (``docs/format.md`` is the specification).

A sealed record is its segments followed by a trailer of 512 bytes. Everything that depends on the
layout is here; ``_seal`` and ``_open`` only move bytes.
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass, field
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from medtoken.errors import BadInput, IntegrityError
from medtoken.ipfs import LEAF_SIZE

TAG_SIZE = 16
SEGMENT_SIZE = LEAF_SIZE
"""Bytes of a full sealed segment: exactly one leaf, tag included."""
CHUNK_SIZE = SEGMENT_SIZE - TAG_SIZE
"""Bytes of plaintext in a full segment."""
MAX_SEGMENTS = 1 << 20
"""Bounds one key's use (2^36 AES blocks of data) and the record (1.1 TB)."""
TRAILER_SIZE = 512
KEY_SIZE = 32

_FIXED = b"MTSEALED" + bytes((1, 1, 20, 0)) + TRAILER_SIZE.to_bytes(4, "big")
_HEAD = struct.Struct(">16s32s32sQ")
_MANIFEST = struct.Struct(">32s32sQB335s")
_MEDIA_TYPE_MAX = 127
_LABEL = b"medtoken sealed record v1 "


class Keys(NamedTuple):
    """What one DEK and one record salt give; no key serves two ends."""

    segments: bytes
    manifest: bytes
    nonce_prefix: bytes
    commitment: bytes


def derive_keys(dek: bytes, salt: bytes) -> Keys:
    """HKDF-SHA256 with the record's salt, one label per use and the parameters in each label."""
    if len(dek) != KEY_SIZE:
        raise BadInput(f"a record key has 32 bytes, not {len(dek)}")

    def derive(use: bytes, length: int = KEY_SIZE) -> bytes:
        return HKDF(hashes.SHA256(), length, salt, _LABEL + use + _FIXED).derive(dek)

    return Keys(derive(b"segments"), derive(b"manifest"), derive(b"nonce", 7), derive(b"commit"))


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the trailer says under encryption, for whoever holds the record's key."""

    media_type: str
    plaintext_size: int
    """Bytes."""
    fingerprint: bytes
    """SHA-256 of ``salt`` and the plaintext, 32 bytes: what the registry holds (R6)."""
    salt: bytes = field(repr=False)
    """32 random bytes."""

    def __post_init__(self) -> None:
        check_media_type(self.media_type)


def check_media_type(media_type: str) -> None:
    """BadInput unless the media type can be written: 1 to 127 printable ASCII characters."""
    if not (media_type.isascii() and media_type.isprintable()):
        raise BadInput("a media type is printable ASCII text")
    if not 0 < len(media_type) <= _MEDIA_TYPE_MAX:
        raise BadInput(f"a media type has 1 to {_MEDIA_TYPE_MAX} characters")


@dataclass(frozen=True, slots=True)
class Trailer:
    """The readable part of the last 512 bytes, and the encrypted manifest after it."""

    salt: bytes
    """32 random bytes, unique to this sealing; keys are derived with it."""
    commitment: bytes
    """32 bytes that bind the one key which opens the record: GCM alone would not."""
    content_size: int
    """Bytes of all segments."""
    sealed_manifest: bytes = field(repr=False)

    @classmethod
    def parse(cls, raw: bytes) -> Trailer:
        """Read the last 512 bytes of a sealed record; IntegrityError if they are not a trailer."""
        if len(raw) != TRAILER_SIZE or not raw.startswith(_FIXED[:8]):
            raise IntegrityError("this is not a sealed record, or its end is missing")
        fixed, salt, commitment, content_size = _HEAD.unpack_from(raw)
        if fixed[8] != _FIXED[8]:
            raise IntegrityError(f"this record is sealed in format version {fixed[8]}, not 1")
        if fixed != _FIXED:
            raise IntegrityError("the sealed record's parameters are not those of version 1")
        last = content_size % SEGMENT_SIZE
        if not 0 < content_size <= MAX_SEGMENTS * SEGMENT_SIZE or 0 < last <= TAG_SIZE:
            raise IntegrityError("the sealed record states a size that no record can have")
        return cls(salt, commitment, content_size, raw[_HEAD.size :])

    @property
    def head(self) -> bytes:
        """The 88 readable bytes, which are the manifest's associated data."""
        return _HEAD.pack(_FIXED, self.salt, self.commitment, self.content_size)

    @property
    def segments(self) -> int:
        """How many segments there are, 1 at least."""
        return -(-self.content_size // SEGMENT_SIZE)

    @property
    def plaintext_size(self) -> int:
        """Bytes of plaintext."""
        return self.content_size - self.segments * TAG_SIZE

    def commits_to(self, dek: bytes) -> bool:
        """Whether ``dek`` is the key that this record was sealed with."""
        if len(dek) != KEY_SIZE:
            return False
        return hmac.compare_digest(derive_keys(dek, self.salt).commitment, self.commitment)

    def open_manifest(self, keys: Keys) -> Manifest:
        """Decrypt and check the manifest with keys already checked against the commitment."""
        try:
            plain = AESGCM(keys.manifest).decrypt(bytes(12), self.sealed_manifest, self.head)
        except InvalidTag:
            raise IntegrityError("the sealed record's trailer was altered") from None
        salt, fingerprint, size, length, text = _MANIFEST.unpack(plain)
        if size != self.plaintext_size or length > _MEDIA_TYPE_MAX or any(text[length:]):
            raise IntegrityError("the sealed record's manifest contradicts its trailer")
        try:
            return Manifest(text[:length].decode("ascii"), size, fingerprint, salt)
        except (UnicodeDecodeError, BadInput):
            raise IntegrityError("the sealed record's manifest has no valid media type") from None


def build_trailer(salt: bytes, keys: Keys, manifest: Manifest) -> bytes:
    """The 512 bytes that end a sealed record."""
    segments = -(-manifest.plaintext_size // CHUNK_SIZE)
    content_size = manifest.plaintext_size + segments * TAG_SIZE
    head = Trailer(salt, keys.commitment, content_size, b"").head
    text = manifest.media_type.encode("ascii")
    plain = _MANIFEST.pack(
        manifest.salt, manifest.fingerprint, manifest.plaintext_size, len(text), text
    )
    return head + AESGCM(keys.manifest).encrypt(bytes(12), plain, head)


class SegmentCipher:
    """AES-256-GCM in the STREAM construction over one record's segments.

    The nonce is the prefix (7 bytes), the segment's number (4, big-endian) and 1 for the last
    segment, else 0; the associated data are the record's parameters, salt and commitment.
    """

    def __init__(self, salt: bytes, keys: Keys) -> None:
        self._cipher = AESGCM(keys.segments)
        self._prefix = keys.nonce_prefix
        self._associated = _LABEL + b"segment" + _FIXED + salt + keys.commitment

    def encrypt_into(self, index: int, last: bool, plain: memoryview, out: memoryview) -> None:
        """Write ``len(plain) + 16`` bytes to ``out``."""
        self._cipher.encrypt_into(self._nonce(index, last), plain, self._associated, out)

    def decrypt_into(self, index: int, last: bool, sealed: memoryview, out: memoryview) -> None:
        """Write ``len(sealed) - 16`` bytes to ``out``; IntegrityError if anything is altered."""
        try:
            self._cipher.decrypt_into(self._nonce(index, last), sealed, self._associated, out)
        except InvalidTag:
            raise IntegrityError(f"segment {index} of the sealed record was altered") from None

    def _nonce(self, index: int, last: bool) -> bytes:
        return self._prefix + index.to_bytes(4, "big") + bytes((last,))

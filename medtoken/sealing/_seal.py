"""Sealing: one pass over the plaintext, constant memory, three hashes side by side."""

from __future__ import annotations

import hashlib
import hmac
import io
import os
import secrets
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from medtoken.errors import BadInput
from medtoken.ipfs import CID, Store
from medtoken.ipfs._unixfs import Readable, fill

from ._format import (
    CHUNK_SIZE,
    KEY_SIZE,
    MAX_SEGMENTS,
    SEGMENT_SIZE,
    TAG_SIZE,
    Manifest,
    SegmentCipher,
    build_trailer,
    check_media_type,
    derive_keys,
)

_BUFFERS = 4
"""Plaintext segments in flight: one read ahead, the others for the hashes to catch up."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed record and everything that its registration and its key keepers need."""

    cid: CID
    """The CID of the whole sealed record: the one that the chain stores."""
    dek: bytes = field(repr=False)
    """The record's key, 32 bytes, secret: deposit it with the key keepers, then forget it."""
    duplicate_tag: bytes
    """HMAC-SHA256 of the plaintext under the custodian's secret, 32 bytes (R6)."""
    commitment: bytes
    """The public key commitment, 32 bytes."""
    sealed_size: int
    """Bytes of the sealed record."""
    manifest: Manifest
    """Fingerprint, its salt, plaintext size and media type, as sealed in the record."""


def seal(
    path: str | os.PathLike[str],
    *,
    custodian_secret: bytes,
    store: Store,
    media_type: str = "application/octet-stream",
) -> Sealed:
    """Seal the file at ``path`` under a new random key into ``store``.

    ``custodian_secret`` (32 bytes or more, the same for all of a custodian's records) keys the
    duplicate tag. Nothing is pinned in the store unless the whole record was sealed. An empty or
    unreadable file is BadInput.
    """
    try:
        with (
            open(path, "rb", buffering=0) as file,
            SealStream(file, custodian_secret, media_type) as stream,
        ):
            return stream.result(store.add_file(stream))
    except OSError as error:
        raise BadInput(f"{os.fspath(path)} cannot be read: {error.strerror}") from error


class SealStream(io.RawIOBase):
    """A readable stream of the sealed form of ``source``; afterwards ``result`` tells the rest.

    For sealing into anything that reads a stream: a store, a socket, a file. ``source`` is read
    once, from where it stands to its end, and not closed.
    """

    def __init__(
        self,
        source: Readable,
        custodian_secret: bytes,
        media_type: str = "application/octet-stream",
        *,
        _random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        super().__init__()
        self._pieces = self._seal(source)
        self._piece = memoryview(b"")
        if len(custodian_secret) < KEY_SIZE:
            raise BadInput("the custodian's secret needs at least 32 bytes")
        check_media_type(media_type)
        self._dek, self._salt, self._record_salt = (_random(32) for _ in range(3))
        self._tag = hmac.new(custodian_secret, digestmod=hashlib.sha256)
        self._media_type = media_type
        self._manifest: Manifest | None = None
        self._sealed_size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Copy the next sealed bytes: at most to the end of the current segment."""
        if not self._piece:
            self._piece = next(self._pieces, self._piece)
        piece = self._piece[: len(buffer)]
        buffer[: len(piece)] = piece
        self._piece = self._piece[len(piece) :]
        self._sealed_size += len(piece)
        return len(piece)

    def result(self, cid: CID) -> Sealed:
        """The sealed record's facts, once the stream was read to its end and stored as ``cid``."""
        if self._manifest is None or self._piece:
            raise BadInput("the record was not sealed to its end")
        keys = derive_keys(self._dek, self._record_salt)
        return Sealed(
            cid,
            self._dek,
            self._tag.digest(),
            keys.commitment,
            self._sealed_size,
            self._manifest,
        )

    def close(self) -> None:
        self._pieces.close()
        super().close()

    def _seal(self, source: Readable) -> Generator[memoryview, None, None]:
        """The sealed record in pieces, each valid until the next is asked for."""
        keys = derive_keys(self._dek, self._record_salt)
        cipher = SegmentCipher(self._record_salt, keys)
        fingerprint = hashlib.sha256(self._salt)
        plain = [memoryview(bytearray(CHUNK_SIZE)) for _ in range(_BUFFERS)]
        hashing: list[list[Future[None]]] = [[] for _ in range(_BUFFERS)]
        sealed = memoryview(bytearray(SEGMENT_SIZE))
        size = fill(source, plain[0])
        if not size:
            raise BadInput("an empty file cannot be sealed")
        count, index = size, 0
        with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
            while count:
                turn, ahead = index % _BUFFERS, (index + 1) % _BUFFERS
                chunk = plain[turn][:count]
                hashing[turn] = [
                    first.submit(fingerprint.update, chunk),
                    second.submit(self._tag.update, chunk),
                ]
                for done in hashing[ahead]:
                    done.result()
                following = fill(source, plain[ahead]) if count == CHUNK_SIZE else 0
                out = sealed[: count + TAG_SIZE]
                cipher.encrypt_into(index, not following, chunk, out)
                yield out
                count, index, size = following, index + 1, size + following
                if index == MAX_SEGMENTS and count:
                    raise BadInput("a record larger than 1.1 TB must be split before sealing")
        self._manifest = Manifest(self._media_type, size, fingerprint.digest(), self._salt)
        yield memoryview(build_trailer(self._record_salt, keys, self._manifest))

"""Opening: each segment is authenticated before a byte of it is used, the whole at the end."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Protocol

from medtoken.errors import BadInput, IntegrityError
from medtoken.ipfs._unixfs import Readable, fill

from ._format import (
    CHUNK_SIZE,
    SEGMENT_SIZE,
    TAG_SIZE,
    TRAILER_SIZE,
    Manifest,
    SegmentCipher,
    Trailer,
    derive_keys,
)


class Source(Readable, Protocol):
    """A sealed record as a seekable binary stream: a file, or ``store.open(cid)``."""

    def seek(self, offset: int, whence: int = 0, /) -> int: ...


class SealedReader:
    """Verified reads anywhere in a sealed record.

    Opening checks the key against the commitment, the trailer, the manifest and the total size.
    ``fingerprint`` is the one that the registry holds: give it to be sure that this is that record.
    A reader must not be shared between threads.
    """

    def __init__(self, source: Source, dek: bytes, *, fingerprint: bytes | None = None) -> None:
        self.trailer = read_trailer(source)
        if not self.trailer.commits_to(dek):
            raise IntegrityError("this key does not open this record")
        keys = derive_keys(dek, self.trailer.salt)
        self.manifest: Manifest = self.trailer.open_manifest(keys)
        if fingerprint is not None and not hmac.compare_digest(
            fingerprint, self.manifest.fingerprint
        ):
            raise IntegrityError("this is another record: its fingerprint is not the one asked for")
        self._source = source
        self._cipher = SegmentCipher(self.trailer.salt, keys)
        self._sealed = memoryview(bytearray(SEGMENT_SIZE))

    def read_range(self, offset: int, length: int) -> bytes:
        """``length`` bytes of plaintext from ``offset``, fewer at the end of the record."""
        if offset < 0 or length < 0:
            raise BadInput("an offset and a length are never negative")
        end = min(offset + length, self.manifest.plaintext_size)
        out = bytearray()
        plain = memoryview(bytearray(CHUNK_SIZE))
        while offset < end:
            index, inside = divmod(offset, CHUNK_SIZE)
            count = self._read_segment(index, plain)
            piece = plain[inside : min(count, inside + end - offset)]
            out += piece
            offset += len(piece)
        return bytes(out)

    def chunks(self) -> Iterator[memoryview]:
        """The plaintext in order, one segment at a time, each valid until the next is asked for.

        IntegrityError at the end if the whole is not what the manifest's fingerprint names: only a
        caller that has seen the last chunk may act on any.
        """
        fingerprint = hashlib.sha256(self.manifest.salt)
        buffers = (memoryview(bytearray(CHUNK_SIZE)), memoryview(bytearray(CHUNK_SIZE)))
        pending: Future[None] | None = None
        with ThreadPoolExecutor(1, thread_name_prefix="medtoken-open") as worker:
            for index in range(self.trailer.segments):
                plain = buffers[index % 2]
                plain = plain[: self._read_segment(index, plain)]
                if pending:
                    pending.result()
                pending = worker.submit(fingerprint.update, plain)
                yield plain
        if not hmac.compare_digest(fingerprint.digest(), self.manifest.fingerprint):
            raise IntegrityError("the record's content is not what its fingerprint names")

    def _read_segment(self, index: int, plain: memoryview) -> int:
        """Decrypt one segment into ``plain``; its number of bytes."""
        start = index * SEGMENT_SIZE
        sealed = self._sealed[: min(SEGMENT_SIZE, self.trailer.content_size - start)]
        self._source.seek(start)
        if fill(self._source, sealed) != len(sealed):
            raise IntegrityError("the sealed record is truncated")
        count = len(sealed) - TAG_SIZE
        last = index == self.trailer.segments - 1
        self._cipher.decrypt_into(index, last, sealed, plain[:count])
        return count


def read_trailer(source: Source) -> Trailer:
    """The trailer of a sealed record, its sizes checked. No key is needed."""
    size = source.seek(0, os.SEEK_END)
    raw = bytearray(TRAILER_SIZE)
    source.seek(max(0, size - TRAILER_SIZE))
    count = fill(source, memoryview(raw))
    trailer = Trailer.parse(bytes(raw[:count]))
    if size != trailer.content_size + TRAILER_SIZE:
        raise IntegrityError("the sealed record has bytes missing or added")
    return trailer


def open_sealed(
    source: Source,
    dek: bytes,
    destination: str | os.PathLike[str],
    *,
    fingerprint: bytes | None = None,
) -> Manifest:
    """Open a sealed record into the file ``destination`` and return its manifest.

    The plaintext goes to a hidden file beside it, readable by the owner only, and takes the final
    name (replacing what was there) after every segment and the fingerprint were verified; on
    failure the hidden file is deleted.
    """
    reader = SealedReader(source, dek, fingerprint=fingerprint)
    with written_whole(destination) as file:
        for chunk in reader.chunks():
            file.write(chunk)
    return reader.manifest


@contextlib.contextmanager
def written_whole(destination: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A hidden file beside ``destination``, for the owner only, that takes its name at the end.

    Replaces what was there; after any exception the hidden file is deleted. BadInput when it
    cannot be written.
    """
    final = Path(destination)
    hidden = final.with_name(f".{final.name}.{secrets.token_hex(8)}.part")
    try:
        with open(os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(hidden, final)
    except OSError as error:
        raise BadInput(f"{final} cannot be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            hidden.unlink()

"""The SHA-256 tree over the chunks of one sealed record."""

from __future__ import annotations

import hashlib
from typing import Protocol

from medtoken.errors import BadInput

CHUNK = 1024
_SEGMENT = 1 << 20
_TAG = 16
_TRAILER = 512
_MAX_SEALED = 1 << 40


class Source(Protocol):
    """A sealed record that can be read from its beginning."""

    def read(self, size: int, /) -> bytes | None: ...


def chunk_count(size: int) -> int:
    """How many chunks a sealed record of ``size`` bytes has; the last one may be shorter."""
    return -(-size // CHUNK)


def plain_size(size: int) -> int:
    """The bytes of plaintext in a sealed record of ``size`` bytes. Raises BadInput on no such size."""
    content = size - _TRAILER
    if not _TAG < content <= _MAX_SEALED:
        raise BadInput(f"No sealed record has {size} bytes.")
    return content - -(-content // _SEGMENT) * _TAG


class ChunkTree:
    """All levels of the tree over a sealed record: 64 bytes of memory for each chunk.

    A leaf is SHA-256(0x00 ‖ chunk), a node SHA-256(left ‖ right); the last node of an odd level is
    carried up as it is.
    """

    def __init__(self, source: Source) -> None:
        """Read ``source`` to its end. Raises BadInput when it is empty."""
        self.size = 0
        level = []
        while chunk := _read(source, CHUNK):
            self.size += len(chunk)
            level.append(hashlib.sha256(b"\0" + chunk).digest())
        if not level:
            raise BadInput("An empty file has no chunks.")
        self._levels = [level]
        while len(level) > 1:
            level = [
                hashlib.sha256(level[i] + level[i + 1]).digest() if i + 1 < len(level) else level[i]
                for i in range(0, len(level), 2)
            ]
            self._levels.append(level)

    @property
    def root(self) -> bytes:
        """32 bytes."""
        return self._levels[-1][0]

    def path(self, index: int) -> list[bytes]:
        """The siblings from chunk ``index`` up to the root."""
        path = []
        for level in self._levels[:-1]:
            if index ^ 1 < len(level):
                path.append(level[index ^ 1])
            index >>= 1
        return path


def _read(source: Source, size: int) -> bytes:
    """Exactly ``size`` bytes, fewer only at the end."""
    parts = b""
    while len(parts) < size and (part := source.read(size - len(parts))):
        parts += part
    return parts

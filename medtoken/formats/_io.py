"""Opening files that strangers made: bounded in memory, one sentence for each refusal."""

from __future__ import annotations

import gzip
import io
import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from medtoken.errors import BadInput, MalformedFile

HEAD_BYTES = 64 * 1024
"""How much of a file is looked at to tell its format."""

_EXPANSION = 250
_EXPANSION_FREE = 16 * 1024 * 1024


def label(path: Path) -> str:
    """The file's name as an error may print it: one line, no control characters."""
    return "".join(c if c.isprintable() else "?" for c in path.name) or str(path)


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading, or raise BadInput (never block on a pipe or a device)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise BadInput(f"{label(path)}: there is no such file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its path is not valid"
        raise BadInput(f"{label(path)}: cannot be opened ({reason})") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BadInput(f"{label(path)}: is not a regular file")
    return os.fdopen(descriptor, "rb")


def size_of(stream: BinaryIO) -> int:
    """Bytes of an open regular file."""
    return os.fstat(stream.fileno()).st_size


def lines(stream: BinaryIO, name: str, limit: int) -> Iterator[str]:
    """The stream's lines as text without their line ends, none longer than ``limit`` bytes.

    Raises MalformedFile for a longer line, for text that is not UTF-8, and for a gzip stream that
    ends early or is corrupt.
    """
    number = 0
    while True:
        number += 1
        try:
            raw = stream.readline(limit + 1)
        except EOFError:
            raise MalformedFile(f"{name}: the gzip data are truncated") from None
        except (gzip.BadGzipFile, zlib.error):
            raise MalformedFile(f"{name}: the gzip data are corrupt") from None
        if not raw:
            return
        if len(raw) > limit:
            raise MalformedFile(f"{name}: line {number} is longer than {limit:,} bytes")
        try:
            yield raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise MalformedFile(f"{name}: line {number} is not UTF-8 text") from None


class _Gunzip(io.RawIOBase):
    """Decompresses gzip as a stream and stops a bomb: a file that grows out of all proportion."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._inner = gzip.GzipFile(fileobj=stream, mode="rb")
        self._name = name
        self._left = _EXPANSION_FREE + _EXPANSION * size_of(stream)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._inner.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise MalformedFile(
                f"{self._name}: expands to more than {_EXPANSION} times its size, so it is refused"
            )
        buffer[: len(data)] = data
        return len(data)


def gunzip(stream: BinaryIO, name: str) -> BinaryIO:
    """The gzip stream's contents, decompressed as they are read."""
    return io.BufferedReader(_Gunzip(stream, name), 256 * 1024)

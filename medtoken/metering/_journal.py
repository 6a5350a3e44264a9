"""An append-only journal with group commit: what was committed survives a kill at any moment.

Entries gather in memory; ``commit`` writes all of them as one block with its checksum and flushes it
to the disk. Whoever waits meanwhile is served by the next flush, so one flush carries many calls. A
block that a crash cut off is dropped when the journal is opened: nobody was told of it.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

from medtoken.chain.outbox import write_durably
from medtoken.errors import StateError

_MAGIC = b"medtoken meter 2\n"
_HEAD = struct.Struct(
    "<III"
)  # length of the payload, CRC-32 of it, CRC-32 of the eight bytes before
_BINDING = 32


class Journal:
    """One file, held by one process. ``binding`` says whose it is: another's is refused."""

    def __init__(self, path: Path, binding: bytes) -> None:
        """Open or make it; the entries in it are read by ``replay``. Raises StateError."""
        self._path = path
        self._binding = binding
        self._buffer: list[bytes] = []
        self._turn = threading.Condition()
        self._busy = False
        self._appended = self._durable = 0  # entries
        self._failed = False
        self._lock_fd = self._locked()
        if not path.exists():
            write_durably(path, _MAGIC + binding)
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND)
        self.size = os.fstat(self._fd).st_size

    def append(self, entry: bytes) -> None:
        """Keep an entry for the next commit. One thread at a time appends."""
        self._buffer.append(entry)
        self._appended += 1

    def commit(self) -> None:
        """Return when everything appended before is on the disk.

        Raises StateError when the disk refuses; then nothing is taken any more, for memory knows more
        than the disk.
        """
        wanted = self._appended
        if not self._my_turn(wanted):
            return
        try:
            # Others go on appending meanwhile: what comes from here on goes to the next block.
            count = len(self._buffer)
            payload = b"".join(self._buffer[:count])
            del self._buffer[:count]
            self._failed = True  # unless it succeeds
            self._write(_framed(payload))
            self._durable += count
            self._failed = False
        except OSError as error:
            raise StateError(
                f"The journal {self._path} cannot be written: {error.strerror}."
            ) from None
        finally:
            self._pass_on()

    def replay(self, take: Callable[[bytes], None]) -> None:
        """Give every committed block to ``take``, and cut off what a crash left of the last one.

        Raises StateError when the journal is another's or was damaged.
        """
        with open(self._path, "rb") as file:
            if file.read(len(_MAGIC) + _BINDING) != _MAGIC + self._binding:
                raise StateError(f"{self._path} is no journal of this meter on this market.")
            good = file.tell()
            for payload in self._blocks(file):
                take(payload)
                good = file.tell()
        if good < self.size:
            os.ftruncate(self._fd, good)
            os.fsync(self._fd)
            self.size = good

    def rewrite(self, entries: Iterable[bytes]) -> None:
        """Replace everything by ``entries``, in one step that a crash cannot leave half done."""
        self._my_turn(None)
        try:
            body = _MAGIC + self._binding + _framed(b"".join(entries))
            write_durably(self._path, body)
            os.close(self._fd)
            self._fd = os.open(self._path, os.O_RDWR | os.O_APPEND)
            self.size = len(body)
            self._buffer.clear()
            self._durable = self._appended
        finally:
            self._pass_on()

    def close(self) -> None:
        """Let go of the file without committing."""
        os.close(self._fd)
        os.close(self._lock_fd)

    def _my_turn(self, wanted: int | None) -> bool:
        """Wait until nobody writes; False when another's flush carried the entries up to ``wanted``."""
        with self._turn:
            while self._busy and (wanted is None or self._durable < wanted):
                self._turn.wait()
            if wanted is not None and self._durable >= wanted:
                return False
            if self._failed:
                raise StateError(f"The journal {self._path} could not be written; open it again.")
            self._busy = True
            return True

    def _pass_on(self) -> None:
        with self._turn:
            self._busy = False
            self._turn.notify_all()

    def _write(self, block: bytes) -> None:
        view = memoryview(block)
        while view:
            view = view[os.write(self._fd, view) :]
        os.fdatasync(self._fd)
        self.size += len(block)

    def _blocks(self, file: IO[bytes]) -> Iterator[bytes]:
        while True:
            start = file.tell()
            head = file.read(_HEAD.size)
            if not head:
                return
            payload = b""
            if len(head) == _HEAD.size:
                length, check, guard = _HEAD.unpack(head)
                if zlib.crc32(head[:8]) == guard:
                    payload = file.read(length)
                    if len(payload) == length and zlib.crc32(payload) == check:
                        yield payload
                        continue
                    if len(payload) < length:
                        return  # cut off
            # A crash leaves a part of a block, or zeros, at the very end, and nothing after it.
            file.seek(start)
            rest = file.read()
            if len(rest) < _HEAD.size or not any(rest):
                return
            raise StateError(f"The journal {self._path} was damaged at byte {start}.")

    def _locked(self) -> int:
        path = self._path.with_suffix(".lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            held = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StateError(
                f"The folder {path.parent} cannot be used: {error.strerror}."
            ) from None
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(held)
            raise StateError(f"Another process holds the meter {self._path}.") from None
        return held


def _framed(payload: bytes) -> bytes:
    head = struct.pack("<II", len(payload), zlib.crc32(payload))
    return head + struct.pack("<I", zlib.crc32(head)) + payload

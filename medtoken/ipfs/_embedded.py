"""A store in a folder: nothing to install, safe under kills and several processes at once.

``blocks/<shard>/<cid>`` holds one block each (the shard is the two characters before the last, as
in Kubo's flatfs), ``pins/<cid>`` marks a complete file, ``tmp/`` holds blocks being written, and
``lock`` is held shared while writing and exclusively while deleting. A block is written to
``tmp/``, flushed to disk and renamed, so a name in ``blocks/`` always has all its bytes; a pin is
written after the last block, so a pinned file is whole. What a killed process leaves is not pinned,
and ``collect`` deletes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from medtoken.errors import IntegrityError, StoreError

from ._cid import CID, Codec
from ._reader import BlockReader
from ._store import BlockMissing, Metered, Progress, walk
from ._unixfs import Readable, add_blocks

_UNFLUSHED = 16
"""Blocks that may wait to be flushed while the next ones are hashed."""


class EmbeddedStore:
    """Blocks as files below ``folder``, which is created when missing.

    ``durable`` flushes each block to disk before it counts as stored; without it a power cut (not a
    killed process) can lose what was just added.
    """

    def __init__(self, folder: str | os.PathLike[str], *, durable: bool = True) -> None:
        self._folder = Path(folder)
        self.name = f"the store at {self._folder}"
        self._durable = durable
        with self._storing("opened"):
            for name in ("blocks", "pins", "tmp"):
                (self._folder / name).mkdir(parents=True, exist_ok=True)

    def put_block(self, block: bytes | memoryview, codec: Codec = Codec.RAW) -> CID:
        cid = CID.of(block, codec)
        with self._lock(fcntl.LOCK_SH), self._storing("written"):
            if not self._holds(cid, block):
                self._settle(self._stage(block), self._path(cid))
                self._flush_folders({cid})
        return cid

    def get_block(self, cid: CID) -> bytes:
        try:
            block = self._path(cid).read_bytes()
        except FileNotFoundError:
            raise BlockMissing(f"block {cid} is not in {self.name}") from None
        except OSError as error:
            raise StoreError(f"block {cid} cannot be read: {error.strerror}") from error
        if not cid.matches(block):
            raise IntegrityError(f"block {cid} was altered: its bytes are not those of its CID")
        return block

    def has(self, cid: CID) -> bool:
        return self._path(cid).is_file()

    def add_file(self, stream: Readable, progress: Progress | None = None) -> CID:
        written: set[CID] = set()
        settling: deque[Future[None]] = deque()
        flusher = ThreadPoolExecutor(1, thread_name_prefix="medtoken-flush")

        def put(cid: CID, block: bytes | memoryview) -> None:
            with self._storing("written"):
                if cid in written or self._holds(cid, block):
                    return
                written.add(cid)
                settling.append(flusher.submit(self._settle, self._stage(block), self._path(cid)))
                if len(settling) > _UNFLUSHED:
                    settling.popleft().result()

        try:
            with self._lock(fcntl.LOCK_SH):
                with flusher:
                    cid, _ = add_blocks(Metered(stream, progress), put)
                with self._storing("written"):
                    for settled in settling:
                        settled.result()
                    self._flush_folders(written)
                    self._settle(self._stage(b""), self._pin(cid))
                    self._flush(self._folder / "pins")
        except BaseException:
            with self._lock(fcntl.LOCK_EX):
                self._discard(written)
            raise
        return cid

    def open(self, cid: CID) -> BlockReader:
        return BlockReader(cid, self.get_block)

    def pin(self, cid: CID) -> None:
        with self._lock(fcntl.LOCK_SH), self._storing("written"):
            for block in self._tree(cid):
                if not self.has(block):
                    raise BlockMissing(f"block {block} of {cid} is not in {self.name}")
            self._settle(self._stage(b""), self._pin(cid))
            self._flush(self._folder / "pins")

    def pins(self) -> Iterator[CID]:
        with self._storing("read"):
            names = sorted(os.listdir(self._folder / "pins"))
        return map(CID.parse, names)

    def delete(self, cid: CID) -> None:
        pin = self._pin(cid)
        with self._lock(fcntl.LOCK_EX), self._storing("written"):
            if not pin.exists():
                raise StoreError(f"file {cid} is not in the store at {self._folder}")
            self._discard(reversed(list(self._tree(cid, damaged=True))), but=cid)
            pin.unlink()

    def collect(self) -> int:
        """Delete every block that no pinned file uses (what killed processes left); how many."""
        with self._lock(fcntl.LOCK_EX), self._storing("written"):
            names = [path.name for path in self._folder.glob("blocks/*/*")]
            return self._discard(map(CID.parse, names))

    def _discard(self, candidates: Iterable[CID], but: CID | None = None) -> int:
        """Delete blocks that no pinned file other than ``but`` uses, and what is left in ``tmp/``.

        Needs the exclusive lock.
        """
        for left in (self._folder / "tmp").iterdir():
            left.unlink(missing_ok=True)
        kept: set[CID] = set()
        for pinned in self.pins():
            if pinned != but:
                kept.update(self._tree(pinned))
        gone = [cid for cid in candidates if cid not in kept]
        for cid in gone:
            self._path(cid).unlink(missing_ok=True)
        return len(gone)

    def _tree(self, cid: CID, *, damaged: bool = False) -> Iterator[CID]:
        """A file's blocks, as far as its nodes are here (see ``walk``)."""
        return walk(cid, self.get_block, damaged=damaged)

    def _path(self, cid: CID) -> Path:
        name = str(cid)
        return self._folder / "blocks" / name[-3:-1] / name

    def _pin(self, cid: CID) -> Path:
        return self._folder / "pins" / str(cid)

    def _holds(self, cid: CID, block: bytes | memoryview) -> bool:
        """Whether the block is here, unaltered."""
        path = self._path(cid)
        return path.exists() and path.read_bytes() == block

    def _stage(self, data: bytes | memoryview) -> Path:
        """Write ``data`` to a new temporary file, not yet flushed to disk."""
        temporary = self._folder / "tmp" / secrets.token_hex(16)
        with open(temporary, "xb") as file:
            file.write(data)
        return temporary

    def _settle(self, temporary: Path, path: Path) -> None:
        """Flush a staged file to disk and give it its name."""
        path.parent.mkdir(exist_ok=True)
        self._flush(temporary)
        os.replace(temporary, path)

    def _flush_folders(self, cids: Iterable[CID]) -> None:
        """Make the names of these blocks durable."""
        for folder in {self._path(cid).parent for cid in cids}:
            self._flush(folder)
        self._flush(self._folder / "blocks")

    def _flush(self, path: Path) -> None:
        if self._durable:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    @contextlib.contextmanager
    def _lock(self, kind: int) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            with self._storing("locked"):
                file = stack.enter_context(open(self._folder / "lock", "ab"))
                fcntl.flock(file, kind)
            yield

    @contextlib.contextmanager
    def _storing(self, verb: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            raise StoreError(f"the store at {self._folder} cannot be {verb}: {reason}") from error

"""What every store offers: ``EmbeddedStore`` (a folder) and ``KuboStore`` (a daemon) are two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from medtoken.errors import IntegrityError, StoreError

from ._cid import CID, Codec
from ._reader import BlockReader
from ._unixfs import Readable, decode_node

Progress = Callable[[int], object]
"""Told, as work goes on, how many bytes of the file are done so far."""


class BlockMissing(StoreError):
    """The store or source answered, and does not have the block."""


class Source(Protocol):
    """Where blocks can be had: a store, a gateway, a CAR file. It is never trusted."""

    @property
    def name(self) -> str:
        """What messages call it."""

    def get_block(self, cid: CID) -> bytes:
        """The block that the CID names, verified.

        Raises BlockMissing when it is not there, StoreError when the source does not answer or
        stalls, IntegrityError when it lies.
        """


class Opener(Protocol):
    """What a reader of records needs: a store, or several sources behind ``FirstOf``."""

    def open(self, cid: CID) -> BlockReader:
        """A seekable stream over a file, verified block by block."""


class Store(Source, Opener, Protocol):
    """Blocks by CID, and whole files pinned by their root.

    A read returns exactly the bytes that the CID names or raises: StoreError when they are not
    there, IntegrityError when they are not those bytes.
    """

    def put_block(self, block: bytes | memoryview, codec: Codec = Codec.RAW) -> CID:
        """Store one block durably and return its CID.

        A block that is there already is left alone, an altered one is put right.
        """

    def has(self, cid: CID) -> bool:
        """Whether the block is here (not verified)."""

    def add_file(self, stream: Readable, progress: Progress | None = None) -> CID:
        """Store and pin a file, streamed. It is pinned only once every block is on disk."""

    def pin(self, cid: CID) -> None:
        """Keep a file whose blocks are all here already; BlockMissing when one is not."""

    def pins(self) -> Iterator[CID]:
        """The roots of all files held."""

    def delete(self, cid: CID) -> None:
        """Unpin a file and delete those of its blocks that no other pinned file uses."""


class Metered:
    """A stream that reports how many bytes were read from it."""

    def __init__(self, stream: Readable, progress: Progress | None) -> None:
        self._stream, self._progress, self._done = stream, progress, 0

    def readinto(self, buffer: memoryview, /) -> int | None:
        count = self._stream.readinto(buffer)
        self._done += count or 0
        if self._progress and count:
            self._progress(self._done)
        return count


def verified(name: str, cid: CID, block: bytes) -> bytes:
    """``block``, once it is the one that ``cid`` names; else IntegrityError that says who lied."""
    if not cid.matches(block):
        raise IntegrityError(f"{name} gave other bytes than those that block {cid} has")
    return block


def walk(cid: CID, get_block: Callable[[CID], bytes], *, damaged: bool = False) -> Iterator[CID]:
    """A file's blocks, each before those it links to, as far as its nodes can be had.

    Leaves are not read. An altered node raises IntegrityError, or with ``damaged`` counts, as a
    missing one does, as having no children.
    """
    yield cid
    if cid.codec is not Codec.DAG_PB:
        return
    try:
        links = decode_node(get_block(cid))
    except BlockMissing:
        return
    except IntegrityError:
        if not damaged:
            raise
        return
    for link in links:
        yield from walk(link.cid, get_block, damaged=damaged)

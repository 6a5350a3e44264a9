"""What every store offers; ``EmbeddedStore`` is one, a Kubo daemon can be another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from ._cid import CID, Codec
from ._reader import BlockReader
from ._unixfs import Readable


class Store(Protocol):
    """Blocks by CID, and whole files pinned by their root.

    A read returns exactly the bytes that the CID names or raises: StoreError when they are not
    there, IntegrityError when they are not those bytes.
    """

    def put_block(self, block: bytes | memoryview, codec: Codec = Codec.RAW) -> CID:
        """Store one block durably and return its CID; storing it again changes nothing."""

    def get_block(self, cid: CID) -> bytes:
        """The verified block."""

    def has(self, cid: CID) -> bool:
        """Whether the block is here (not verified)."""

    def add_file(self, stream: Readable) -> CID:
        """Store and pin a file, streamed. It is pinned only once every block is on disk."""

    def open(self, cid: CID) -> BlockReader:
        """A seekable stream over a stored file, verified block by block."""

    def pins(self) -> Iterator[CID]:
        """The roots of all files held."""

    def delete(self, cid: CID) -> None:
        """Unpin a file and delete those of its blocks that no other pinned file uses."""

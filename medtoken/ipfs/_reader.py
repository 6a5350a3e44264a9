"""A stored file as a seekable stream that verifies every block it touches."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache
from itertools import accumulate

from medtoken.errors import IntegrityError

from ._cid import CID, Codec
from ._unixfs import LEAF_SIZE, Link, decode_node

_MAX_HEIGHT = 6
"""Deeper than any file that fits in 2^63 bytes: a tree below this is an attack."""


class BlockReader(io.RawIOBase):
    """Random access to the file behind ``cid``, block by block from ``get_block``.

    ``get_block`` must return the block that the CID names or raise: the stores here verify each.
    Sizes that the tree states are checked against what the leaves hold. Memory: the last leaf and
    the last few inner nodes.
    """

    def __init__(self, cid: CID, get_block: Callable[[CID], bytes]) -> None:
        super().__init__()
        self._get = get_block
        self._node = lru_cache(maxsize=8)(self._load_node)
        self._leaf: tuple[int, bytes] = (0, b"")
        self._position = 0
        if cid.codec is Codec.RAW:
            block = get_block(cid)
            if len(block) > LEAF_SIZE:
                raise IntegrityError(f"block {cid} is larger than a leaf may be")
            self._leaf = (0, block)
            self._root = Link(cid, len(block), len(block))
        else:
            ends, links = self._node(cid)
            self._root = Link(cid, ends[-1], sum(link.total for link in links))

    @property
    def size(self) -> int:
        """Bytes of the file, as its tree states them."""
        return self._root.size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError("negative seek position")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Copy from one leaf: at most to its end, so that a caller may get fewer bytes."""
        if self._position >= self.size or not len(buffer):
            return 0
        start, data = self._leaf_at(self._position)
        inside = self._position - start
        piece = memoryview(data)[inside : inside + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def _leaf_at(self, position: int) -> tuple[int, bytes]:
        """The start offset and the bytes of the leaf that holds ``position``."""
        start, data = self._leaf
        if start <= position < start + len(data):
            return self._leaf
        link, start = self._root, 0
        for _ in range(_MAX_HEIGHT):
            if link.cid.codec is Codec.RAW:
                data = self._get(link.cid)
                if len(data) != link.size:
                    raise IntegrityError(f"block {link.cid} has not the size that its tree states")
                self._leaf = (start, data)
                return self._leaf
            ends, links = self._node(link.cid)
            if ends[-1] != link.size:
                raise IntegrityError(f"node {link.cid} has not the size that its tree states")
            child = bisect_right(ends, position - start)
            start += ends[child - 1] if child else 0
            link = links[child]
        raise IntegrityError("the file's tree is deeper than any file needs")

    def _load_node(self, cid: CID) -> tuple[list[int], list[Link]]:
        links = decode_node(self._get(cid))
        return list(accumulate(link.size for link in links)), links

"""A file as a tree of blocks, in the ``unixfs-v1-2025`` profile.

Raw leaves of 1 MiB, at most 1,024 links per node, balanced, inner nodes dag-pb, CIDv1. A file of
at most 1 MiB is its single raw leaf. The dag-pb and UnixFS messages are written here by hand: both
are a handful of protobuf fields, and their canonical form is the only one that is accepted back.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, Protocol

from medtoken.errors import BadInput, IntegrityError

from ._cid import CID, Codec

LEAF_SIZE = 1 << 20
"""Bytes per leaf; only the last leaf of a file may be shorter."""

MAX_LINKS = 1024
"""Links per inner node."""

Put = Callable[[CID, "bytes | memoryview"], object]
"""Receives each finished block, leaves before the nodes that link to them."""


class Readable(Protocol):
    """A binary stream to read from; short reads are fine, 0 means the end."""

    def readinto(self, buffer: memoryview, /) -> int | None: ...


class Link(NamedTuple):
    """A child of an inner node."""

    cid: CID
    size: int
    """Bytes of the file below this child."""
    total: int
    """Bytes of all blocks below this child, itself included (dag-pb's Tsize)."""


def fill(stream: Readable, buffer: memoryview) -> int:
    """Read until ``buffer`` is full or the stream ends; the number of bytes read."""
    done = 0
    while done < len(buffer):
        count = stream.readinto(buffer[done:])
        if not count:
            break
        done += count
    return done


def add_blocks(stream: Readable, put: Put) -> tuple[CID, int]:
    """Cut a stream into blocks and hand each to ``put``; the root CID and the file's size in bytes.

    Memory is constant: two leaves and the open nodes. One thread reads the next leaf while another
    hashes and puts the one before.
    """
    builder = Builder(put)
    buffers = (memoryview(bytearray(LEAF_SIZE)), memoryview(bytearray(LEAF_SIZE)))
    with ThreadPoolExecutor(1, thread_name_prefix="medtoken-blocks") as worker:
        pending: Future[None] | None = None
        turn = 0
        while True:
            count = fill(stream, buffers[turn])
            if pending:
                pending.result()
            if count == 0:
                break
            pending = worker.submit(builder.leaf, buffers[turn][:count])
            turn ^= 1
    return builder.finish(), builder.size


def file_cid(stream: Readable) -> CID:
    """The CID that a store would give this stream; nothing is stored."""
    return add_blocks(stream, lambda cid, block: None)[0]


class Builder:
    """The balanced tree, built from the left with one list of links per level."""

    def __init__(self, put: Put) -> None:
        self._put = put
        self._levels: list[list[Link]] = [[]]
        self.size = 0

    def leaf(self, data: memoryview) -> None:
        """Add the next leaf; only the last one may be shorter than ``LEAF_SIZE``."""
        cid = CID.of(data)
        self._put(cid, data)
        self.size += len(data)
        self._push(0, Link(cid, len(data), len(data)))

    def finish(self) -> CID:
        """Close the open nodes; the root's CID."""
        if not self.size:
            self.leaf(memoryview(b""))
        height = 0
        while height < len(self._levels) - 1 or len(self._levels[height]) > 1:
            self._close(height)
            height += 1
        return self._levels[height][0].cid

    def _push(self, height: int, link: Link) -> None:
        if height == len(self._levels):
            self._levels.append([])
        if len(self._levels[height]) == MAX_LINKS:
            self._close(height)
        self._levels[height].append(link)

    def _close(self, height: int) -> None:
        links = self._levels[height]
        block = encode_node(links)
        cid = CID.of(block, Codec.DAG_PB)
        self._put(cid, block)
        total = len(block) + sum(link.total for link in links)
        self._levels[height] = []
        self._push(height + 1, Link(cid, sum(link.size for link in links), total))


def encode_node(links: list[Link]) -> bytes:
    """The dag-pb block of an inner node: its links, then the UnixFS message with their sizes."""
    out = bytearray()
    unixfs = bytearray(b"\x08\x02\x18") + varint(sum(link.size for link in links))
    for link in links:
        cid = bytes(link.cid)
        body = b"\x0a" + varint(len(cid)) + cid + b"\x12\x00\x18" + varint(link.total)
        out += b"\x12" + varint(len(body)) + body
        unixfs += b"\x20" + varint(link.size)
    return bytes(out + b"\x0a" + varint(len(unixfs)) + unixfs)


def decode_node(block: bytes) -> list[Link]:
    """The links of an inner node; IntegrityError unless ``encode_node`` would write ``block``."""
    try:
        found: list[tuple[CID, int]] = []
        at = 0
        while block[at] == 0x12:
            _, at = read_varint(block, at + 1)
            if block[at : at + 2] != b"\x0a\x24":
                raise ValueError("link without a CID")
            cid = CID.from_bytes(block[at + 2 : at + 38])
            total, at = read_varint(block, at + 41)
            found.append((cid, total))
        _, at = read_varint(block, at + 1)
        _, at = read_varint(block, at + 3)
        links = []
        for cid, total in found:
            size, at = read_varint(block, at + 1)
            links.append(Link(cid, size, total))
        if links and encode_node(links) == block:
            return links
    except (ValueError, IndexError, BadInput):
        pass
    raise IntegrityError("a block of the file's tree is not in the unixfs-v1-2025 profile")


def varint(number: int) -> bytes:
    """A number as protobuf and IPFS write it: seven bits a byte, the lowest first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def read_varint(block: bytes, at: int) -> tuple[int, int]:
    """The number at an offset and the offset after it; ValueError when it is too long."""
    number = shift = 0
    while True:
        byte = block[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return number, at
        shift += 7
        if shift > 63:
            raise ValueError("varint too long")

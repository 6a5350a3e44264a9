"""Checking and repairing stored files, block by block."""

from __future__ import annotations

from dataclasses import dataclass

from medtoken.errors import IntegrityError

from ._cid import CID, Codec
from ._store import BlockMissing, Progress, Source, Store
from ._unixfs import Link, decode_node


@dataclass(frozen=True, slots=True)
class Health:
    """What a check found."""

    cid: CID
    blocks: int
    """Good blocks."""
    size: int
    """Their bytes."""
    missing: tuple[CID, ...]
    """Blocks that are not there. What lies below a missing node is not known, and not counted."""
    altered: tuple[CID, ...]
    """Blocks that are there with other bytes."""
    repaired: tuple[CID, ...] = ()
    """Blocks that were missing or altered and are good now."""

    @property
    def sound(self) -> bool:
        """Whether every block is there and right."""
        return not (self.missing or self.altered)


def check(store: Source, cid: CID, progress: Progress | None = None) -> Health:
    """Read and verify every block of a file. StoreError when the store itself does not answer.

    A daemon that is not ``offline`` gets what it lacks from its peers, so that nothing is missing.
    """
    return _go_through(store, cid, progress, None)


def repair(store: Store, cid: CID, source: Source, progress: Progress | None = None) -> Health:
    """Fetch every missing or altered block of a file from ``source`` into ``store``, and pin it.

    Nothing is stored that was not verified. Raises what ``source`` raises when a block cannot be
    had: what was repaired until then stays, and calling it again goes on from there.
    """
    health = _go_through(store, cid, progress, (store, source))
    store.pin(cid)
    return health


def _go_through(
    store: Source, root: CID, progress: Progress | None, mending: tuple[Store, Source] | None
) -> Health:
    missing: list[CID] = []
    altered: list[CID] = []
    repaired: list[CID] = []
    blocks = size = 0
    ahead: list[tuple[CID, int | None]] = [(root, None)]
    while ahead:
        cid, expected = ahead.pop()
        try:
            block, links = _read(store, cid, expected)
        except (BlockMissing, IntegrityError) as error:
            if not mending:
                (missing if isinstance(error, BlockMissing) else altered).append(cid)
                continue
            target, source = mending
            block, links = _read(source, cid, expected)
            target.put_block(block, cid.codec)
            repaired.append(cid)
        ahead += [(link.cid, link.size) for link in reversed(links)]
        blocks, size = blocks + 1, size + len(block)
        if progress:
            progress(size)
    return Health(root, blocks, size, tuple(missing), tuple(altered), tuple(repaired))


def _read(source: Source, cid: CID, expected: int | None) -> tuple[bytes, list[Link]]:
    """A block and its links; ``expected`` is the size in bytes that the tree states for it."""
    block = source.get_block(cid)
    links = decode_node(block) if cid.codec is Codec.DAG_PB else []
    stated = sum(link.size for link in links) if links else len(block)
    if expected is not None and stated != expected:
        raise IntegrityError(f"block {cid} has not the size that its tree states")
    return block, links

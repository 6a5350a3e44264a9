"""Merkle trees over 32-byte leaves with sorted pairs, as the contracts verify them.

A set of one is its leaf. An odd node at the end of a level is carried up unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict

from medtoken._keccak import keccak
from medtoken.chain.abi import abi
from medtoken.chain.contracts import Draft
from medtoken.errors import BadInput

_SIZE = 32


class Tree:
    """All levels of a tree, leaves first; leaves keep the order they were given in.

    A level is one string of bytes, so that a million leaves take 64 MB, and leaves may be streamed.
    """

    def __init__(self, leaves: Iterable[bytes]) -> None:
        """Raises BadInput without leaves, or on one that is not 32 bytes."""
        level = bytearray()
        count = 0
        for count, leaf in enumerate(leaves, 1):  # noqa: B007  counted to the end
            level += leaf
        if not count:
            raise BadInput("A Merkle tree needs at least one leaf.")
        if len(level) != count * _SIZE:
            raise BadInput("A leaf of a Merkle tree is 32 bytes.")
        self._levels = [bytes(level)]
        while len(self._levels[-1]) > _SIZE:
            self._levels.append(_above(self._levels[-1]))

    @property
    def root(self) -> bytes:
        """32 bytes."""
        return self._levels[-1]

    def proof(self, index: int) -> list[bytes]:
        """The siblings from leaf ``index`` to the root; empty for a set of one."""
        proof = []
        for level in self._levels[:-1]:
            at = (index ^ 1) * _SIZE
            if at < len(level):
                proof.append(level[at : at + _SIZE])
            index >>= 1
        return proof


def verify(proof: Sequence[bytes], root: bytes, leaf: bytes) -> bool:
    """Whether a proof leads from a leaf to a root."""
    node = leaf
    for sibling in proof:
        node = keccak(node + sibling if node < sibling else sibling + node)
    return node == root


def draft_leaf(draft: Draft) -> bytes:
    """The leaf of a record in a batch: keccak256(keccak256(abi.encode(draft)))."""
    return keccak(keccak(abi("RecordRegistry").call("register", asdict(draft))[4:]))


def _above(level: bytes) -> bytes:
    """The level over this one."""
    made = bytearray()
    whole = len(level) // (2 * _SIZE) * (2 * _SIZE)
    for at in range(0, whole, 2 * _SIZE):
        left, right = level[at : at + _SIZE], level[at + _SIZE : at + 2 * _SIZE]
        made += keccak(left + right if left < right else right + left)
    return bytes(made) + level[whole:]

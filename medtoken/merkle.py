"""Merkle trees over 32-byte leaves with sorted pairs, as the contracts verify them.

A set of one is its leaf. An odd node at the end of a level is carried up unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from eth_utils import keccak

from medtoken.chain.abi import abi
from medtoken.chain.contracts import Draft
from medtoken.errors import BadInput


class Tree:
    """All levels of a tree, leaves first; leaves keep the order they were given in."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        """Raises BadInput without leaves."""
        if not leaves:
            raise BadInput("A Merkle tree needs at least one leaf.")
        self._levels = [list(leaves)]
        while len(self._levels[-1]) > 1:
            level = self._levels[-1]
            self._levels.append([_pair(level[i : i + 2]) for i in range(0, len(level), 2)])

    @property
    def root(self) -> bytes:
        """32 bytes."""
        return self._levels[-1][0]

    def proof(self, index: int) -> list[bytes]:
        """The siblings from leaf ``index`` to the root; empty for a set of one."""
        proof = []
        for level in self._levels[:-1]:
            if index ^ 1 < len(level):
                proof.append(level[index ^ 1])
            index >>= 1
        return proof


def verify(proof: Sequence[bytes], root: bytes, leaf: bytes) -> bool:
    """Whether a proof leads from a leaf to a root."""
    node = leaf
    for sibling in proof:
        node = _pair([node, sibling])
    return node == root


def draft_leaf(draft: Draft) -> bytes:
    """The leaf of a record in a batch: keccak256(keccak256(abi.encode(draft)))."""
    return keccak(keccak(abi("RecordRegistry").call("register", asdict(draft))[4:]))


def _pair(nodes: Sequence[bytes]) -> bytes:
    return keccak(b"".join(sorted(nodes))) if len(nodes) == 2 else nodes[0]

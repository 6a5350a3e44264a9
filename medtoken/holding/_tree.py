"""The tree over everything that a custodian stores: it sums, and it is sorted."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from eth_abi import encode

from medtoken._keccak import keccak
from medtoken.errors import BadInput
from medtoken.holding._chunks import chunk_count, plain_size

_LINE_TYPE = keccak(text="medtoken holding line")
_NODE_TYPE = keccak(text="medtoken holding node")
_MAX_DEPTH = 24


@dataclass(frozen=True, order=True)
class Line:
    """One sealed record: the root of its chunks (the key), its id, and its bytes, sealed."""

    root: bytes
    record: bytes
    size: int

    @property
    def plain(self) -> int:
        """Its bytes of plaintext."""
        return plain_size(self.size)

    def hash(self) -> bytes:
        """The leaf of the holding's tree."""
        return keccak(
            encode(
                ["bytes32", "bytes32", "bytes32", "uint256"],
                [_LINE_TYPE, self.root, self.record, self.size],
            )
        )


@dataclass(frozen=True)
class Step:
    """One step from a node to its parent: the sibling, the plaintext bytes below it, the split."""

    sibling: bytes
    size: int
    split: bytes


@dataclass(frozen=True)
class Place:
    """Where a byte of a holding is: its line, the chunk in it, and the way up to the root."""

    line: Line
    chunk: int
    steps: tuple[Step, ...]
    right: int  # bit i: the node of step i is the right child


@dataclass(frozen=True)
class _Node:
    hash: bytes
    size: int


class Holding:
    """The tree over some lines. Each root of chunks occurs once, however many records it has."""

    def __init__(self, lines: Sequence[Line]) -> None:
        """Raises BadInput without lines, on more than 2^24, and when two have the same root."""
        self.lines = tuple(sorted(lines))
        if not self.lines or len(self.lines) > 1 << _MAX_DEPTH:
            raise BadInput("A holding has between one and 2^24 records.")
        roots = [line.root for line in self.lines]
        if len(set(roots)) != len(roots):
            raise BadInput("Two records of a holding have the same sealed bytes.")
        self._ends = list(accumulate(line.plain for line in self.lines))
        self._cache: dict[tuple[int, int], _Node] = {}

    @property
    def size(self) -> int:
        """Plaintext bytes of all lines."""
        return self._ends[-1]

    @property
    def root(self) -> bytes:
        """32 bytes."""
        return self._node(0, len(self.lines)).hash

    def place(self, at: int) -> Place:
        """Where byte ``at`` of the plaintext is, counted through the lines from 0."""
        if not 0 <= at < self.size:
            raise BadInput(f"The holding has no byte {at}.")
        index = bisect_right(self._ends, at)
        line = self.lines[index]
        before = self._ends[index] - line.plain
        steps: list[Step] = []
        right = 0
        low, high = 0, len(self.lines)
        ways: list[tuple[int, int, int, bool]] = []
        while high - low > 1:
            middle = (low + high) // 2
            ways.append((low, middle, high, index >= middle))
            low, high = (middle, high) if index >= middle else (low, middle)
        for place, (low, middle, high, on_right) in enumerate(reversed(ways)):
            other = self._node(low, middle) if on_right else self._node(middle, high)
            steps.append(Step(other.hash, other.size, self.lines[middle].root))
            right |= int(on_right) << place
        chunk = (at - before) * chunk_count(line.size) // line.plain
        return Place(line, chunk, tuple(steps), right)

    def _node(self, low: int, high: int) -> _Node:
        """The node over the lines from ``low`` up to ``high``."""
        if high - low == 1:
            return _Node(self.lines[low].hash(), self.lines[low].plain)
        found = self._cache.get((low, high))
        if found is None:
            middle = (low + high) // 2
            left, right = self._node(low, middle), self._node(middle, high)
            kinds = ["bytes32", "bytes32", "uint256", "bytes32", "bytes32", "uint256"]
            split = self.lines[middle].root
            values = [_NODE_TYPE, left.hash, left.size, split, right.hash, right.size]
            found = _Node(keccak(encode(kinds, values)), left.size + right.size)
            self._cache[low, high] = found
        return found

"""A study's roster: who has which weight, and the proofs of it.

Lines are in the order of the accounts' bytes, so that one cohort gives one root, whoever computes it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

from eth_utils import to_checksum_address

from medtoken._keccak import keccak
from medtoken.chain.contracts import Membership
from medtoken.errors import BadInput
from medtoken.merkle import Tree

_ADDRESS = 20
_MAX_TOTAL = 2**96 - 1
_MAX_COUNT = 2**32 - 1


def leaf(study: bytes, index: int, account: bytes, weight: int) -> bytes:
    """keccak256(keccak256(abi.encode(study, index, account, weight))); the account as 20 bytes."""
    encoded = study + index.to_bytes(32) + bytes(12) + account + weight.to_bytes(32)
    return keccak(keccak(encoded))


class Roster:
    """The lines of one study. A million take about 150 MB with their tree."""

    def __init__(
        self, study: bytes, weights: Mapping[str, int] | Iterable[tuple[str | bytes, int]]
    ) -> None:
        """From account to weight, or pairs of them; accounts that weigh nothing are left out.

        Raises BadInput when nobody weighs anything, on an account that is not an address or is zero,
        when an account is named twice (in another spelling), and when weights are out of range.
        """
        if len(study) != 32:
            raise BadInput("A study's id is 32 bytes.")
        pairs = weights.items() if isinstance(weights, Mapping) else weights
        lines = sorted((_account(a), w) for a, w in pairs if w != 0)
        if not lines or len(lines) > _MAX_COUNT:
            raise BadInput("A roster has between one line and 2^32 − 1.")
        self.study = study
        if any(a[0] == b[0] for a, b in pairwise(lines)):
            raise BadInput("A roster names an account once.")
        self._accounts = b"".join(a for a, _ in lines)
        self.weights = [w for _, w in lines]
        self.total = sum(self.weights)
        if min(self.weights) < 0 or self.total > _MAX_TOTAL:
            raise BadInput("The weights of a roster are positive, and make less than 2^96.")
        self._tree: Tree | None = None

    def __len__(self) -> int:
        """Lines."""
        return len(self.weights)

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Account and weight, line by line."""
        for index in range(len(self)):
            yield self.account(index), self.weights[index]

    @property
    def root(self) -> bytes:
        """The Merkle root that is sealed."""
        return self._grown().root

    def account(self, index: int) -> str:
        """The account of a line."""
        return str(to_checksum_address(self._raw(index)))

    def index(self, account: str) -> int | None:
        """The line of an account, or None."""
        raw = _account(account)
        found = bisect_left(range(len(self)), raw, key=self._raw)
        return found if found < len(self) and self._raw(found) == raw else None

    def member(self, index: int) -> Membership:
        """A line with its proof."""
        if not 0 <= index < len(self):
            raise BadInput(f"The roster has no line {index}.")
        proof = self._grown().proof(index)
        return Membership(index, self.account(index), self.weights[index], proof)

    def _raw(self, index: int) -> bytes:
        return self._accounts[index * _ADDRESS : (index + 1) * _ADDRESS]

    def _grown(self) -> Tree:
        if self._tree is None:
            self._tree = Tree(
                leaf(self.study, i, self._raw(i), w) for i, w in enumerate(self.weights)
            )
        return self._tree


def _account(text: str | bytes) -> bytes:
    try:
        raw = text if isinstance(text, bytes) else bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raw = b""
    if len(raw) != _ADDRESS or not any(raw):
        raise BadInput(f"{text!r} is not an account.")
    return raw

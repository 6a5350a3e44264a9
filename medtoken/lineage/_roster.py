"""An asset's roster: which licence has which weight, the proofs of it, and the list that is published.

Lines are in the order of the licences' bytes, so that one lineage gives one root, whoever computes it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from medtoken._keccak import keccak
from medtoken.errors import BadInput
from medtoken.ipfs import CID, file_cid
from medtoken.merkle import Tree
from medtoken.vocabulary import duo_mask

_MAX_TOTAL = 2**96 - 1
_MAX_COUNT = 2**32 - 1
_FORMAT = "medtoken-lineage/1"
_MALFORMED = (
    ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError,
)  # fmt: skip
# DUO modifiers of a consent under which nothing may be derived that is sold.
FORBIDDING = duo_mask(["NMDS", "NPUNCU", "NPU", "NCU"])


def may_derive(purposes: int) -> bool:
    """Whether a consent to these purposes allows to derive something that is sold."""
    return not purposes & FORBIDDING


def leaf(asset: bytes, index: int, licence: bytes, weight: int) -> bytes:
    """keccak256(keccak256(abi.encode(asset, index, licence, weight)))."""
    return keccak(keccak(asset + index.to_bytes(32) + licence + weight.to_bytes(32)))


@dataclass(frozen=True)
class Line:
    """One line of a roster, with its proof."""

    index: int
    licence: bytes
    weight: int
    proof: list[bytes]

    def values(self) -> dict[str, Any]:
        """As the contract takes it."""
        return asdict(self)


class Roster:
    """The lines of one asset."""

    def __init__(
        self, asset: bytes, weights: Mapping[bytes, int] | Iterable[tuple[bytes, int]]
    ) -> None:
        """From licence to weight, or pairs of them.

        Raises BadInput without lines, on a licence that is named twice or is not 32 bytes, and on
        weights that are not positive or make 2^96 and more.
        """
        pairs = weights.items() if isinstance(weights, Mapping) else weights
        lines = sorted(pairs)
        if len(asset) != 32 or any(len(licence) != 32 for licence, _ in lines):
            raise BadInput("The ids of an asset and of licences are 32 bytes.")
        if not lines or len(lines) > _MAX_COUNT:
            raise BadInput("A lineage has between one line and 2^32 − 1.")
        if any(a[0] == b[0] for a, b in pairwise(lines)):
            raise BadInput("A lineage names a licence once.")
        self.asset = asset
        self.licences = [licence for licence, _ in lines]
        self.weights = [weight for _, weight in lines]
        self.total = sum(self.weights)
        if min(self.weights) <= 0 or self.total > _MAX_TOTAL:
            raise BadInput("The weights of a lineage are positive, and make less than 2^96.")
        leaves = (leaf(asset, i, licence, weight) for i, (licence, weight) in enumerate(lines))
        self._tree = Tree(leaves)

    def __len__(self) -> int:
        """Lines."""
        return len(self.licences)

    @property
    def root(self) -> bytes:
        """The Merkle root that is stated."""
        return self._tree.root

    def index(self, licence: bytes) -> int | None:
        """The line of a licence, or None."""
        return self.licences.index(licence) if licence in self.licences else None

    def line(self, index: int) -> Line:
        """A line with its proof. Raises BadInput when there is no such line."""
        if not 0 <= index < len(self):
            raise BadInput(f"The lineage has no line {index}.")
        proof = self._tree.proof(index)
        return Line(index, self.licences[index], self.weights[index], proof)


@dataclass(frozen=True)
class Manifest:
    """The published list of a lineage: from it anybody builds the roster again."""

    asset: bytes
    weights: Mapping[bytes, int]  # licence → weight

    def roster(self) -> Roster:
        """The roster. Raises BadInput as it does."""
        return Roster(self.asset, self.weights)

    def encode(self) -> bytes:
        """Canonical JSON: sorted keys, no spaces, UTF-8."""
        lines = {"0x" + k.hex(): v for k, v in self.weights.items()}
        data = {"format": _FORMAT, "asset": "0x" + self.asset.hex(), "licences": lines}
        return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, data: bytes) -> Manifest:
        """Read ``encode``'s bytes. Raises BadInput on anything else."""
        try:
            found = json.loads(data)
            asset = bytes.fromhex(found["asset"][2:])
            weights = {bytes.fromhex(k[2:]): int(v) for k, v in found["licences"].items()}
            made = cls(asset, weights)
            same = made.encode() == data
        except _MALFORMED as error:
            raise BadInput(f"This is no lineage's manifest: {error}") from None
        if not same:
            raise BadInput("This is no lineage's manifest: it is not in canonical form.")
        return made

    def cid(self) -> CID:
        """Where it is found; the digest is what is stated on the chain."""
        return file_cid(io.BytesIO(self.encode()))

"""What a custodian stores, under one root, and the proofs that it does (R5).

``ChunkTree`` is the tree over one sealed record, ``Holding`` the tree over all of them; StorageRewards
on the chain checks both. ``docs/holdings.md`` describes them to the byte.
"""

from medtoken.holding._chunks import CHUNK, ChunkTree, chunk_count, plain_size
from medtoken.holding._tree import Holding, Line, Place, Step

__all__ = [
    "CHUNK",
    "ChunkTree",
    "Holding",
    "Line",
    "Place",
    "Step",
    "chunk_count",
    "plain_size",
]

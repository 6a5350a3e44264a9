"""Content addressing and block stores: the same bytes give the same CID here as in Kubo (R33).

Every read is verified against the CID that was asked for, so no store, node or gateway is trusted.
"""

from ._cid import CID, Codec
from ._embedded import EmbeddedStore
from ._reader import BlockReader
from ._store import Store
from ._unixfs import LEAF_SIZE, MAX_LINKS, add_blocks, file_cid

__all__ = [
    "CID",
    "LEAF_SIZE",
    "MAX_LINKS",
    "BlockReader",
    "Codec",
    "EmbeddedStore",
    "Store",
    "add_blocks",
    "file_cid",
]

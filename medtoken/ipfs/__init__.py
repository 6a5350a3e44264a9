"""Content addressing and block stores: the same bytes give the same CID here as in Kubo (R33).

Every read is verified against the CID that was asked for, so no store, node or gateway is trusted.
"""

from ._car import CarFile, write_car
from ._check import Health, check, repair
from ._cid import CID, Codec
from ._embedded import EmbeddedStore
from ._gateway import Gateway
from ._kubo import DEFAULT_API, KuboStore
from ._multi import FirstOf
from ._open import STORES, open_source, open_store
from ._reader import BlockReader
from ._store import BlockMissing, Opener, Progress, Source, Store
from ._unixfs import LEAF_SIZE, MAX_LINKS, add_blocks, file_cid

__all__ = [
    "CID",
    "DEFAULT_API",
    "LEAF_SIZE",
    "MAX_LINKS",
    "STORES",
    "BlockMissing",
    "BlockReader",
    "CarFile",
    "Codec",
    "EmbeddedStore",
    "FirstOf",
    "Gateway",
    "Health",
    "KuboStore",
    "Opener",
    "Progress",
    "Source",
    "Store",
    "add_blocks",
    "check",
    "file_cid",
    "open_source",
    "open_store",
    "repair",
    "write_car",
]

"""Stores and sources by the words that a person uses for them."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from medtoken.errors import BadInput

from ._car import CarFile
from ._embedded import EmbeddedStore
from ._gateway import Gateway
from ._kubo import DEFAULT_API, KuboStore
from ._store import Source, Store

STORES = ("embedded", "kubo")
_MULTIADDRESSES = ("/ip4/", "/ip6/", "/dns/", "/dns4/", "/dns6/", "/unix/")


def open_store(
    kind: str, folder: str | os.PathLike[str], api: str = DEFAULT_API, *, offline: bool = False
) -> Store:
    """``embedded``: blocks in ``folder``; ``kubo``: the daemon at the multiaddress ``api``.

    ``offline`` keeps a daemon to the blocks that it holds itself.
    """
    if kind == "embedded":
        return EmbeddedStore(folder)
    if kind == "kubo":
        return KuboStore(api, offline=offline)
    raise BadInput(f"{kind!r} is no kind of store; there are {' and '.join(STORES)}")


def open_source(word: str) -> Source:
    """A daemon's multiaddress, a gateway's URL, a CAR file, or the folder of an embedded store."""
    if word == "kubo":
        return KuboStore()
    if word.startswith(_MULTIADDRESSES):
        return KuboStore(word)
    if urlsplit(word).scheme in ("http", "https"):
        return Gateway(word)
    path = Path(word)
    if (path / "blocks").is_dir():
        return EmbeddedStore(path)
    if path.is_file():
        return CarFile(path)
    raise BadInput(
        f"{word!r} is no source of blocks: neither a daemon's multiaddress, a gateway's URL, a CAR "
        "file nor the folder of a store"
    )

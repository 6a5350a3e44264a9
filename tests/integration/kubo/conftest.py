"""Real Kubo daemons. Without Kubo these tests are skipped, or fail under MEDTOKEN_NEEDS_KUBO."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import binaries
from support.kubo import Daemon, daemon

from medtoken.ipfs import LEAF_SIZE, EmbeddedStore, KuboStore

# Everything on which a CID depends, set otherwise than medtoken needs it.
ADVERSE = {
    "Import__CidVersion": 0,
    "Import__UnixFSRawLeaves": False,
    "Import__UnixFSChunker": "size-262144",
    "Import__UnixFSFileMaxLinks": 174,
    "Import__HashFunction": "sha2-512",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    binaries.mark_all(items, Path(__file__).parent, pytest.mark.kubo)


@pytest.fixture(scope="session")
def program() -> Path:
    return binaries.needed("ipfs", "kubo")


@pytest.fixture(scope="session")
def node(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A node whose configuration would give every file another CID."""
    with daemon(program, tmp_path_factory.mktemp("kubo") / "repo", **ADVERSE) as made:
        yield made


@pytest.fixture
def own(program: Path, tmp_path: Path) -> Iterator[Daemon]:
    """A node that the test may break."""
    with daemon(program, tmp_path / "own") as made:
        yield made


@pytest.fixture
def store(node: Daemon) -> Iterator[KuboStore]:
    """The node as a store, empty of medtoken's files."""
    made = KuboStore(node.api, patience=20)
    for cid in made.pins():
        made.delete(cid)
    yield made
    made.close()


@pytest.fixture
def embedded(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "embedded", durable=False)


@pytest.fixture
def content() -> bytes:
    """Twenty leaves and a bit, new in each test."""
    return os.urandom(20 * LEAF_SIZE + 123)


@pytest.fixture
def stream(content: bytes) -> io.BytesIO:
    return io.BytesIO(content)

"""A file of four leaves under one node, in a store."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from medtoken.ipfs import CID, LEAF_SIZE, EmbeddedStore

CONTENT = b"".join(bytes([i]) * LEAF_SIZE for i in range(3)) + b"the end"


@pytest.fixture
def content() -> bytes:
    return CONTENT


@pytest.fixture
def full(tmp_path: Path) -> EmbeddedStore:
    """A store that has the file."""
    return EmbeddedStore(tmp_path / "full", durable=False)


@pytest.fixture
def cid(full: EmbeddedStore) -> CID:
    return full.add_file(io.BytesIO(CONTENT))


@pytest.fixture
def bare(tmp_path: Path) -> EmbeddedStore:
    """A store that has nothing."""
    return EmbeddedStore(tmp_path / "bare", durable=False)

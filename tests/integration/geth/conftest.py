"""A real geth. Without it these tests are skipped, or fail under MEDTOKEN_NEEDS_GETH."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import binaries


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    binaries.mark_all(items, Path(__file__).parent, pytest.mark.geth)


@pytest.fixture(scope="session")
def program() -> Path:
    return binaries.needed("geth", "geth")

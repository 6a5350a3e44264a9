"""A real geth. Without it these tests are skipped, or fail under MEDTOKEN_NEEDS_GETH."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.geth import find_geth


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.geth)


@pytest.fixture(scope="session")
def program() -> Path:
    found = find_geth()
    if found is None:
        missing = "geth is neither on PATH nor built (`make geth`)"
        if os.environ.get("MEDTOKEN_NEEDS_GETH"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found

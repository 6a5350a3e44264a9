"""What every pytest run in this repository has in common; fixtures are in tests/conftest.py.

Ape registers itself with every pytest run of an environment that it is installed in, and would
start a node for unit tests too. Here `ape test` runs what is in tests/ape, and only that, while
plain pytest runs everything else without Ape.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

APE_TESTS = Path(__file__).parent / "tests" / "ape"
UNDER_APE = Path(sys.argv[0]).name == "ape"


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Drop Ape's plugin from a plain run, before it is configured."""
    if not UNDER_APE and pluginmanager.has_plugin("ape_test"):
        pluginmanager.unregister(name="ape_test")


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out the other half of the tests."""
    if UNDER_APE:
        related = APE_TESTS in (collection_path, *collection_path.parents)
        return None if related or collection_path in APE_TESTS.parents else True
    return True if collection_path == APE_TESTS else None

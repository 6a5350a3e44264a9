"""The suite with a reserve and outcomes, once per process, put back after each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.research import Research


@pytest.fixture(scope="session")
def _lab() -> Research:
    return Research().settle_in()


@pytest.fixture
def lab(_lab: Research) -> Iterator[Research]:
    with _lab.evm.anchor():
        yield _lab

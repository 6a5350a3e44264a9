"""The suite with a trustee, once per process, put back after each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.trust import Trust


@pytest.fixture(scope="session")
def _office() -> Trust:
    return Trust().settle_in()


@pytest.fixture
def office(_office: Trust) -> Iterator[Trust]:
    with _office.evm.anchor():
        yield _office

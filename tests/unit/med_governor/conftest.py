"""The suite under its governor, once per process, put back after each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.governance import Governed


@pytest.fixture(scope="session")
def _governed() -> Governed:
    return Governed()


@pytest.fixture
def governed(_governed: Governed) -> Iterator[Governed]:
    with _governed.evm.anchor():
        yield _governed

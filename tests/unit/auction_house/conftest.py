"""The suite with desks, once per process, put back after each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.desks import TAIWAN, Desks


@pytest.fixture(scope="session")
def _desks() -> Desks:
    made = Desks(TAIWAN)
    made.settle_in()
    return made


@pytest.fixture
def desks(_desks: Desks) -> Iterator[Desks]:
    with _desks.evm.anchor():
        yield _desks

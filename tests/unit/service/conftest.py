"""The service on a chain that remembers its logs; what a test does to it is undone."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import patch

import pytest
from support.recording import RecordingEvm
from support.service import Live, serving
from support.world import Actor, World


@pytest.fixture(scope="session")
def _recorded() -> World:
    with patch("support.world.Evm", RecordingEvm):
        return World().settle_in()


@pytest.fixture
def world(_recorded: World) -> Iterator[World]:
    with _recorded.evm.anchor():
        yield _recorded


@pytest.fixture
def live(world: World) -> Live:
    return serving(world)


@pytest.fixture
def patient(world: World) -> Actor:
    return world.people.patient

"""Fixtures for every test. The suite is deployed once per process and put back after each test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))  # `support` is a package of helpers, not of tests

from support.desks import TAIWAN, Desks
from support.evm import Contract, Evm
from support.world import People, World, people

settings.register_profile("medtoken", deadline=None, print_blob=True)
settings.load_profile("medtoken")


@pytest.fixture(scope="session")
def _deployed() -> World:
    return World()


@pytest.fixture(scope="session")
def _settled_in() -> World:
    return World().settle_in()


@pytest.fixture(scope="session")
def _desks() -> Desks:
    return Desks(TAIWAN).settle_in()


@pytest.fixture
def bare(_deployed: World) -> Iterator[World]:
    """The suite as the deployment leaves it: roles are held, nobody has done anything."""
    with _deployed.evm.anchor():
        yield _deployed


@pytest.fixture
def world(_settled_in: World) -> Iterator[World]:
    """The suite with accredited institutions and licensees who have a deposit."""
    with _settled_in.evm.anchor():
        yield _settled_in


@pytest.fixture
def desks(_desks: Desks) -> Iterator[Desks]:
    """The suite as ``world`` has it, with what auctions and baskets need; records are in Taiwan."""
    with _desks.evm.anchor():
        yield _desks


@pytest.fixture
def evm(world: World) -> Evm:
    return world.evm


@pytest.fixture
def suite(world: World) -> dict[str, Contract]:
    """The contracts of ``world`` by name."""
    return world.suite


@pytest.fixture(scope="session")
def actors() -> People:
    """Every account by role: ``actors.patient``, ``actors.stranger`` …"""
    return people()

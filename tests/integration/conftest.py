"""The suite on a real Anvil, one for each worker, and put back after each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.live import Chain, chain, populated
from support.stage import Stage

from medtoken.chain.node import Wallet
from medtoken.demo.fixtures import real_files
from medtoken.formats import Format
from medtoken.home import Home


@pytest.fixture(scope="session")
def _chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    with chain(tmp_path_factory.mktemp("chain")) as made:
        yield made


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[Format, Path]:
    """One real file of each format."""
    found = real_files(tmp_path_factory.mktemp("files"))
    return {fixture.format: fixture.path for fixture in found}


@pytest.fixture(scope="session")
def _settled(
    _chain: Chain, files: dict[Format, Path], tmp_path_factory: pytest.TempPathFactory
) -> Stage:
    """A record, registered and attested, and the folder of who did it."""
    folder = tmp_path_factory.mktemp("settled") / "home"
    stage = Stage(_chain, populated(folder, _chain), files, Wallet.create())
    stage.registered = stage.record()
    return stage


@pytest.fixture
def live(_chain: Chain) -> Iterator[Chain]:
    """The deployed suite; whatever a test does to the chain is undone."""
    with _chain.anchor():
        yield _chain


@pytest.fixture
def stage(_settled: Stage, tmp_path: Path) -> Iterator[Stage]:
    """Everybody at work on a record that is there; what a test does is undone."""
    folder = shutil.copytree(_settled.home.folder, tmp_path / "home")
    with _settled.chain.anchor():
        yield Stage(
            _settled.chain,
            Home(folder),
            _settled.files,
            _settled.patient_wallet,
            _settled.registered,
        )


@pytest.fixture
def fresh(_settled: Stage, tmp_path: Path) -> Iterator[Stage]:
    """Everybody at work with an empty folder and a patient of whom there is no record."""
    home = populated(tmp_path / "home", _settled.chain)
    with _settled.chain.anchor():
        yield Stage(_settled.chain, home, _settled.files, Wallet.create())

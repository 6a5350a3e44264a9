"""A real browser on the service's pages, the service on a real Anvil. `make test-page` brings both."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.live import Chain, chain, populated
from support.pages import CHROMIUM, BrowserWallet, Person, ServiceProcess, chromium, serving
from support.stage import Stage

from medtoken.chain.node import Wallet
from medtoken.demo.fixtures import real_files
from medtoken.formats import Format


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    with chain(tmp_path_factory.mktemp("chain")) as made:
        yield made


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    where = chromium()
    if where is None:
        if os.environ.get("MEDTOKEN_NEEDS_CHROMIUM"):
            pytest.fail("Chromium is not installed")
        pytest.skip("Chromium is not installed; `make test-page` installs it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=where, args=list(CHROMIUM))
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[Format, Path]:
    found = real_files(tmp_path_factory.mktemp("files"))
    return {fixture.format: fixture.path for fixture in found}


@pytest.fixture(scope="session")
def service(live: Chain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with serving(live, tmp_path_factory.mktemp("service")) as process:
        yield process


@pytest.fixture
def stage(live: Chain, files: dict[Format, Path], tmp_path: Path) -> Stage:
    """Everybody at work, and a patient of whom nobody has heard."""
    return Stage(live, populated(tmp_path / "home", live), files, Wallet.create())


@pytest.fixture
def someone(browser: Any, live: Chain, service: ServiceProcess) -> Iterator[Callable[..., Person]]:
    """People at the page: by wallet, at ``base`` or the shared service."""
    there: list[Person] = []

    def come(wallet: Wallet, base: str | None = None, **settings: Any) -> Person:
        held = BrowserWallet(wallet, live.node.url, live.node.chain_id)
        person = Person.at(browser, held, base or service.url, **settings)
        there.append(person)
        return person

    yield come
    for person in there:
        person.close()

"""docs/powers.md is what a fresh deployment gives (`make powers` writes it)."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from support.declared import Declared, declared

from medtoken.deploy.roles import Role

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def fresh() -> Declared:
    return declared()


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "scripts" / "powers_table.py"))


def test_the_page_is_up_to_date(fresh: Declared, script: dict[str, Any]) -> None:
    written = (ROOT / "docs" / "powers.md").read_text(encoding="utf-8")
    assert written == script["page"](fresh.powers()), "run `make powers`"


def test_a_power_that_changes_changes_the_page(fresh: Declared, script: dict[str, Any]) -> None:
    before = script["page"](fresh.powers())
    with fresh.world.evm.anchor():
        stranger = fresh.world.people.stranger
        fresh.world.as_timelock(fresh.world.manager, "grantRole", int(Role.GUARDIAN), stranger, 0)
        changed = script["page"](fresh.powers())
    lines = set(changed.splitlines()) - set(before.splitlines())
    assert f"| GUARDIAN | guardian, {stranger} | ADMIN | ADMIN |" in lines
    assert f"| `pause` | GUARDIAN: guardian, {stranger} |" in lines

"""`medtoken devnet --page`: the demo's people find their records on the pages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.live import PATIENCE, running
from support.pages import BrowserWallet, Person

from medtoken.home import Home

pytestmark = pytest.mark.page


def test_the_demos_people_are_there(browser: Any, tmp_path: Path) -> None:
    home = tmp_path / "home"
    options = ("--json", "--page", "--port", "0", "--page-port", "0", "--home", home)
    with running("devnet", *options) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or lines[-1] != "}\n":
            line = process.stdout.readline()
            assert line, process.stderr and process.stderr.read()
            lines.append(line)
        told = json.loads("".join(lines))
        assert len(told["patients"]) == 5
        for name in told["patients"]:
            wallet = Home(home).wallet(name)
            held = BrowserWallet(wallet, told["rpc"], told["chain_id"])
            patient = Person.at(browser, held, told["page"])
            patient.open("/#uses")
            patient.page.locator("article[data-licence]").first.wait_for()
            patient.tab("earnings")
            patient.shows("says the same")
            patient.shot(f"devnet-{name.partition('.')[0]}")
            patient.close()
        process.terminate()
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0

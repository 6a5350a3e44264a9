"""R22, R23 by the command line on a real chain: a premium, a claim, its payment; a contribution."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.stage import Stage

from medtoken.audit import replay
from medtoken.cli import cli
from medtoken.errors import ContractRefused, InsufficientFunds, NotPermitted
from medtoken.messages import DUT


@pytest.fixture
def run(stage: Stage) -> Any:
    where = ["--rpc", stage.chain.node.url, "--home", str(stage.home.folder), "--json"]

    def invoke(*words: str) -> dict[str, Any]:
        done = CliRunner().invoke(cli, [*words, *where], catch_exceptions=False)
        return dict(json.loads(done.stdout[done.stdout.index("{") :]))

    return invoke


def test_a_breach_is_covered(stage: Stage, run: Any, tmp_path: Path) -> None:
    suite, cast = stage.suite, stage.chain.cast
    suite.usage.admit(cast["operator"], cast["hospital"].address)
    suite.usage.issue(cast["exchange"], cast["hospital"].address, 100 * DUT, b"\2" * 32)
    paid = run("cover", "pay", "100")
    assert paid["cover"] == str(4_000 * DUT)
    policy, report = str(paid["policy"]), tmp_path / "report.txt"
    report.write_text("what happened")
    now = stage.chain.node.head().timestamp
    claim = run("cover", "claim", policy, "250", "--occurred", str(now), "--evidence", str(report))[
        "claim"
    ]
    with pytest.raises(NotPermitted):
        run("cover", "decide", claim, "250", "--reason", str(report), "--as", "hospital")
    decided = run("cover", "decide", claim, "250", "--reason", str(report))
    assert (decided["granted"], decided["paid"]) == (str(250 * DUT), str(100 * DUT))
    with pytest.raises(ContractRefused, match="no such claim is open"):
        run("cover", "decide", claim, "0", "--reason", str(report))
    assert run("cover", "show", policy)["paid"] == str(100 * DUT)
    assert run("cover", "show")["pool"] == "0"
    before = suite.usage.balance(cast["hospital"].address)
    assert run("cover", "withdraw")["amount"] == str(100 * DUT)
    assert suite.usage.balance(cast["hospital"].address) == before + 100 * DUT
    with pytest.raises(InsufficientFunds):
        run("cover", "withdraw")
    found = replay(suite.node, suite.deployment)
    assert [f.detail for f in found.invariants if not f.holds] == []


def test_a_use_is_contributed_for(stage: Stage, run: Any) -> None:
    suite = stage.suite
    bought = stage.earn(10)
    licence = "0x" + bought.licence.hex()
    suite.usage.issue(
        stage.chain.cast["exchange"], stage.chain.cast["pharma"].address, 10 * DUT, b"\3" * 32
    )
    paid = run("compensation", "pay", licence, "10")
    assert [int(paid[k]) // DUT for k in ("custodian", "patient", "kept")] == [4, 3, 3]
    shown = run("compensation", "show", stage.patient.address)
    assert (shown["kept"], shown["credited"]) == (str(3 * DUT), str(3 * DUT))
    hospital = run("compensation", "withdraw", "--as", "hospital")
    assert hospital["amount"] == str(4 * DUT)
    found = replay(suite.node, suite.deployment)
    assert [f.detail for f in found.invariants if not f.holds] == []
    assert found.ledger.as_dict()["fund"]["kept"] == str(3 * DUT)

"""Credit, badges, vouchers and outcomes through the command line (R25, R26, R27)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.live import Ran

from medtoken.chain.abi import abi
from medtoken.messages import DUT

pytestmark = pytest.mark.e2e

Run = Callable[..., Ran]
MONTH = 30 * 86_400


def test_credit_outcomes_and_a_voucher(devnet: Any, run: Run, tmp_path: Path) -> None:
    def command(*args: str | Path) -> Ran:
        return run(*args, *devnet.where, "--json")

    counted = command("rewards", "count-record", devnet.record).ok()
    assert [p["points"] for p in counted["points"]] == [counted["points"][0]["points"]] * 2
    assert command("rewards", "count-record", devnet.record).code == 10
    command("rewards", "count-use", devnet.licence).ok()
    score = command("rewards", "score", "patient").ok()
    assert score["points"] == counted["points"][0]["points"] + 20
    assert score["boards"]["patients-month"] == score["points"]

    statement = tmp_path / "paper.txt"
    statement.write_text("a publication")
    stated = command("licence", "outcome", "publication", statement, devnet.licence).ok()
    assert stated["records"] == [devnet.record]
    told = command("record", "outcomes", devnet.record).ok()["outcomes"]
    assert [(t["outcome"], t["kind"]) for t in told] == [(1, "publication")]
    refused = command("licence", "outcome", "model", statement, devnet.licence, "--as", "relay")
    assert refused.code == 10

    # Governance lists a service; the patient, without ether, redeems; the hospital serves.
    offer = {
        "provider": devnet.chain.cast["hospital"].address,
        "token": 0,
        "price": 3 * DUT,
        "points": 0,
    }
    propose(devnet, abi("Rewards").call("set_service", 1, offer))
    voucher = command("rewards", "redeem", "1").ok()
    assert (voucher["voucher"], voucher["burned"]) == (1, str(3 * DUT))
    assert command("rewards", "serve", "1", "--as", "pharma").code == 10
    assert command("rewards", "serve", "1", "--note", "check-up").ok()["served"]

    # The month ends: anybody nominates, a week later the badges are given.
    month = score["month"]
    now = devnet.chain.node.head().timestamp
    devnet.chain.warp((month + 1) * MONTH - now)
    board = command("rewards", "nominate", "patients-month", str(month), "patient").ok()
    assert board["top"] == [{"account": score["account"], "points": score["points"]}]
    devnet.chain.warp(7 * 86_400)
    assert command("rewards", "award", "patients-month", str(month)).ok()["awarded"]
    report = command("audit", "replay").ok()
    assert [i["holds"] for i in report["invariants"]] == [True] * 7
    assert list(report["ledger"]["rewards"]["badges"].values()) == [score["account"]]


def propose(devnet: Any, data: bytes) -> None:
    """Have the timelock call rewards."""
    node, suite = devnet.chain.node, devnet.chain.suite
    timelock, operator = (
        suite.deployment.address("TimelockController"),
        devnet.chain.cast["operator"],
    )
    args = (suite.rewards.address, 0, data, bytes(32), bytes(32))
    node.send(operator, timelock, abi("TimelockController").call("schedule", *args, 0))
    node.send(operator, timelock, abi("TimelockController").call("execute", *args))

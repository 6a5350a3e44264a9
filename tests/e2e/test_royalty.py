"""A study's royalties through the command line: from the chain's events to money in hand (R18–R20)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.live import Ran

from medtoken.messages import DUT

pytestmark = pytest.mark.e2e

Run = Callable[..., Ran]
WEEK = 7 * 86_400


@pytest.fixture
def paper(tmp_path: Path) -> str:
    """A report, an approval, a finding: something with a digest."""
    file = tmp_path / "report.txt"
    file.write_text("what was sold")
    return str(file)


def test_a_study_pays_its_contributors(
    devnet: Any, process: Run, tmp_path: Path, paper: str
) -> None:
    manifest = str(tmp_path / "study.json")
    made = process("royalty", "roster", "7", manifest).ok()
    assert made["lines"] == 1
    study = made["study"]
    assert process("royalty", "seal", "7", manifest).ok()["root"] == made["root"]
    assert process("royalty", "check", study, manifest).ok()["right"]
    devnet.chain.warp(WEEK)

    # The company undertakes to pay; sales are attested; anybody has them paid.
    process("royalty", "undertake", study, "--allow", "2000").ok()
    attested = process("royalty", "attest", study, "202503", "100000", "--evidence", paper).ok()
    assert attested["royalty"] == str(1_000 * DUT)
    paid = process("royalty", "pay", study).ok()
    assert (paid["paid"], paid["levy"]) == (str(1_000 * DUT), str(50 * DUT))

    # A first claim needs the roster; later ones do not, and nothing is credited twice.
    refused = process("royalty", "claim", study)
    assert (refused.code, "for the first time" in refused.err) == (2, True)
    first = process("royalty", "claim", study, "--manifest", manifest).ok()
    assert first["total"] == str(1_000 * DUT)
    assert process("royalty", "claim", study).ok()["total"] == "0"

    # An option vests into the same pot.
    process("royalty", "option", "grant", study, "approval", "100", "--days", "30").ok()
    assert process("royalty", "option", "return", study, "approval").code == 10
    done = process("royalty", "option", "vest", study, "approval", "--evidence", paper).ok()
    assert done["state"] == "vested"
    shown = process("royalty", "show", study, "patient").ok()
    assert (shown["claimable"], shown["pot"]) == (str(100 * DUT), str(1_100 * DUT))
    process("royalty", "claim", study).ok()

    # The patient, without ether, is paid out by signature; the levies go to the reserve.
    out = process("royalty", "withdraw", "--as", "patient").ok()
    assert out["amount"] == str(1_100 * DUT)
    assert process("earnings", "show", "patient").ok()["dut"] == out["amount"]
    assert process("royalty", "hand-over", study).ok()["levy"] == str(55 * DUT)
    report = process("audit", "replay").ok()
    assert [i["holds"] for i in report["invariants"]] == [True] * 7
    assert report["ledger"]["royalties"]["claimed"] == str(1_100 * DUT)


def test_an_option_that_expired_goes_back(devnet: Any, process: Run, tmp_path: Path) -> None:
    manifest = str(tmp_path / "study.json")
    study = process("royalty", "roster", "8", manifest).ok()["study"]
    process("royalty", "seal", "8", manifest).ok()
    devnet.chain.warp(WEEK)
    process("royalty", "option", "grant", study, "approval", "10", "--days", "1").ok()
    devnet.chain.warp(86_400)
    back = process("royalty", "option", "return", study, "approval").ok()
    assert back["state"] == "returned"
    out = process("royalty", "withdraw", "--as", "pharma").ok()
    assert out["amount"] == str(10 * DUT + DUT // 2)


def test_wrong_rosters_are_seen_and_cancelled(
    devnet: Any, process: Run, tmp_path: Path, paper: str
) -> None:
    manifest, other = str(tmp_path / "study.json"), str(tmp_path / "other.json")
    study = process("royalty", "roster", "9", manifest).ok()["study"]
    last = str(devnet.chain.height())
    process("royalty", "roster", "9", other, "--to-block", last, "--from-block", "1").ok()
    assert process("royalty", "seal", "8", manifest).code == 2  # another study's
    process("royalty", "seal", "9", manifest).ok()
    wrong = process("royalty", "check", study, other)
    assert wrong.code == 1
    assert "The manifest is not the one that was sealed." in wrong.out
    assert process("royalty", "cancel", study, "--reason", paper, "--as", "stranger").code == 14
    process("royalty", "cancel", study, "--reason", paper).ok()
    assert process("royalty", "show", study).ok()["cancelled"]
    empty = process("royalty", "roster", "9", other, "--to-block", "1")
    assert (empty.code, empty.out) == (2, "")

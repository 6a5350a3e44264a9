"""Research tokens through the command line: verified, spent, released, audited (R4)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.live import Ran

from medtoken.messages import DUT

pytestmark = pytest.mark.e2e

Run = Callable[..., Ran]
PURPOSE = ("--purpose", "HMB", "--purpose", "NPUNCU")


def test_an_outcome_helps_to_pay_the_next_licence(
    devnet: Any, process: Run, tmp_path: Path
) -> None:
    paper = tmp_path / "paper.txt"
    paper.write_text("what was found")
    record, consent = devnet.record, devnet.consent
    buy = ("licence", "buy", record, "--consent", consent, "--form", "metered", *PURPOSE)
    process("licence", "deposit", "10000").ok()
    first = process(*buy, "--units", "100").ok()["licence"]
    process("licence", "use", first, "--units", "100").ok()
    process("earnings", "settle", first).ok()

    verify = ("research", "verify", first, "--kind", "publication", "--evidence", str(paper))
    made = process(*verify).ok()
    assert (made["votes"], made["rt"]) == (1, str(2_000 * DUT))
    refused = process(*verify, "--as", "operator")
    assert (refused.code, "it was rewarded" in refused.err) == (10, True)
    shown = process("research", "show").ok()
    assert shown["rt"] == str(2_000 * DUT)
    assert int(shown["available"]) > 100 * DUT

    helped = process(*buy, "--units", "20", "--research", "100").ok()
    assert helped["research"] == str(100 * DUT)
    process("licence", "use", helped["licence"], "--units", "5").ok()
    done = process("research", "release", helped["licence"]).ok()
    assert (done["released"], done["returned"]) == (str(25 * DUT), "0")
    assert process("research", "show").ok()["rt"] == str(1_900 * DUT)
    found = process("research", "outcomes", first).ok()
    assert [(one["kind"], one["rewarded"]) for one in found["outcomes"]] == [("publication", True)]
    assert process("research", "outcomes", helped["licence"]).ok()["released"] == str(25 * DUT)

    report = process("audit", "replay").ok()
    assert [i["holds"] for i in report["invariants"]] == [True] * 7
    assert report["ledger"]["research"]["held"] == str(75 * DUT)

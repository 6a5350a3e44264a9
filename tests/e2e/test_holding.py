"""What a custodian stores, through the command line: witnessed, committed, challenged, answered (R5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.live import Ran

from medtoken.formats import Format
from medtoken.messages import DUT

pytestmark = pytest.mark.e2e

Run = Callable[..., Ran]
DAY = 86_400
TERABYTE = 10**12


def test_what_is_stored_earns_and_what_is_not_shown_earns_nothing(
    devnet: Any, process: Run
) -> None:
    # A record whose data are worth too little does not count.
    process("holding", "witness", devnet.record).ok()
    poor = process("holding", "commit")
    assert (poor.code, "witnessed and counts" in poor.err) == (2, True)
    process("record", "attest", devnet.unattested, devnet.file(Format.CGM)).ok()
    witnessed = process("holding", "witness", devnet.unattested).ok()
    assert witnessed["sealed_bytes"] > witnessed["plaintext_bytes"] > 0
    made = process("holding", "commit").ok()
    assert (made["records"], made["plaintext_bytes"]) == (1, witnessed["plaintext_bytes"])

    # A period is a week old before anybody can challenge it; the next block draws.
    early = process("holding", "challenge", "hospital")
    assert (early.code, "the period is too young" in early.err) == (10, True)
    devnet.chain.warp(30 * DAY)
    opened = process("holding", "challenge", "hospital").ok()
    assert opened["samples"] == 44
    for _ in range(2):
        devnet.chain.mine()
    again = process("holding", "challenge", "hospital")
    assert (again.code, "a challenge is open" in again.err) == (10, True)

    answered = process("holding", "answer").ok()
    assert (answered["answered"], answered["samples"]) == (44, 44)
    month = made["plaintext_bytes"] * 100 * DUT // TERABYTE
    assert int(answered["gt"]) == month > 0
    shown = process("holding", "show", "hospital").ok()
    assert (shown["gt"], shown["challenged"]) == (str(month), None)

    # The calls of a licence count from when it was first marked.
    assert process("holding", "mark", devnet.licence).ok()["counted"] == 0
    process("licence", "use", devnet.licence, "--units", "3").ok()
    process("earnings", "settle", devnet.licence).ok()
    assert process("holding", "mark", devnet.licence).ok()["counted"] == 3

    # A challenge that nobody answers costs the period and the holding.
    devnet.chain.warp(7 * DAY)
    process("holding", "challenge", "hospital").ok()
    assert process("holding", "fail", "hospital").code == 10
    devnet.chain.warp(2 * DAY)
    process("holding", "fail", "hospital").ok()
    gone = process("holding", "show", "hospital").ok()
    assert (gone["root"], gone["plaintext_bytes"], gone["gt"]) == (None, 0, str(month))
    report = process("audit", "replay").ok()
    assert [i["holds"] for i in report["invariants"]] == [True] * 7

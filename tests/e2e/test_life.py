"""The whole life of a record through the command line, a process for each verb."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.live import Ran

from medtoken.formats import Format
from medtoken.messages import DUT

pytestmark = pytest.mark.e2e

Run = Callable[..., Ran]


def test_a_record_lives_is_sold_earns_and_rests(devnet: Any, process: Run, tmp_path: Path) -> None:
    # The hospital seals and registers; the laboratory attests.
    file = devnet.file(Format.DICOM)
    added = process("record", "add", file, "--owner", "somebody", "--region", "TW",
                    "--annotator", "annotator").ok()  # fmt: skip
    record = added["record"]
    assert added["new"]
    assert (added["kind"], added["bytes"]) == ("imaging", Path(file).stat().st_size)
    assert added["owner"] == devnet.stage.home.wallet("somebody").address
    attested = process("record", "attest", record, file).ok()
    shown = process("record", "show", record).ok()
    assert (shown["quality"], shown["dvi"]) == (attested["quality"], attested["dvi"])
    assert shown["fingerprint"] == added["fingerprint"]

    # The patient consents with a wallet that holds no ether.
    granted = process("consent", "grant", record, "--purpose", "HMB", "--purpose", "NCU",
                      "--licensee", "pharma", "--region", "TW", "--floor", "12.5",
                      "--as", "somebody")  # fmt: skip
    consent = granted.ok()["consent"]
    assert "You allow certified pharmaceutical companies" in granted.err
    assert process("consent", "show", consent).ok()["state"] == "live"

    # The company prepays, buys, uses, opens.
    process("licence", "deposit", "100").ok()
    bought = process("licence", "buy", record, "--consent", consent, "--form", "metered",
                     "--units", "4", "--purpose", "HMB", "--purpose", "NCU").ok()  # fmt: skip
    licence, paid = bought["licence"], int(bought["paid"])
    assert paid >= 4 * 12.5 * DUT
    assert int(bought["levy"]) == paid // 20
    for used in (3, 4):
        units = "3" if used == 3 else "1"
        assert process("licence", "use", licence, "--units", units).ok()["used"] == used
    state = process("licence", "show", licence).ok()
    assert (state["used"], state["usable"]) == (4, True)
    assert int(state["earned_unsettled"]) == paid
    devnet.chain.mine()
    # The consent lets out a de-identified image: until the hospital made one, nothing opens.
    assert process("record", "open", licence, tmp_path / "opened.dcm").code == 7
    copy = process("record", "copy", record, file, "--licence", licence, "--inspected").ok()
    assert copy["new"]
    assert copy["marked_places"] > 100
    assert not process("record", "copy", record, file, "--licence", licence, "--inspected").ok()[
        "new"
    ]
    devnet.chain.mine()
    opened = process("record", "open", licence, tmp_path / "opened.dcm").ok()
    assert opened["fingerprint"] == copy["fingerprint"] != added["fingerprint"]
    content = (tmp_path / "opened.dcm").read_bytes()
    assert hashlib.sha256(content).hexdigest() == copy["sha256"].removeprefix("0x")
    assert b"CompressedSamples^MR1" in Path(file).read_bytes()
    assert b"CompressedSamples^MR1" not in content

    # What was paid is split, and the patient is paid out.
    settled = process("earnings", "settle", licence).ok()
    assert int(settled["gross"]) == paid
    earned = process("earnings", "show", "somebody").ok()
    assert int(earned["earned"]) == int(settled["settled"][0]["patientAmount"])
    assert int(earned["earned"]) == paid * 7 // 10 * 3 // 4
    assert int(earned["dct"]) == int(attested["dct"]) > 0
    withdrawn = process("earnings", "withdraw", "--as", "somebody").ok()
    assert withdrawn["amount"] == earned["earned"]
    after = process("earnings", "show", "somebody").ok()
    assert (after["earned"], after["dut"]) == ("0", earned["earned"])
    assert devnet.chain.node.balance(after["account"]) == 0

    # The patient takes the consent back: everything stops.
    assert process("consent", "revoke", consent, "--as", "somebody").ok()["revoked_at"]
    assert process("consent", "show", consent).ok()["state"] == "revoked"
    refusals = {
        "use": process("licence", "use", licence),
        "key": process("record", "open", licence, tmp_path / "again.dcm"),
        "buy": process("licence", "buy", record, "--consent", consent, "--purpose", "HMB",
                       "--purpose", "NCU"),
    }  # fmt: skip
    assert {what: ran.code for what, ran in refusals.items()} == {"use": 12, "key": 7, "buy": 12}
    assert all(ran.out == "" for ran in refusals.values())
    assert not (tmp_path / "again.dcm").exists()

    # The auditor finds every rule kept, and the money where it belongs.
    report = process("audit", "replay").ok()
    assert [i["holds"] for i in report["invariants"]] == [True] * 7
    assert report["to_block"] == devnet.chain.height()

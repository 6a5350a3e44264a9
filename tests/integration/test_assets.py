"""An institution asset from its file to its sources' money, by command line on a real node (R3)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.stage import Stage

from medtoken.audit import replay
from medtoken.cli.asset import asset as commands
from medtoken.errors import BadInput, ContractRefused
from medtoken.formats import Format, RecordKind
from medtoken.lineage import Manifest
from medtoken.messages import DUT
from medtoken.parties import Licensee, attest_record
from medtoken.parties.assets import Assets
from medtoken.vocabulary import Form, group_mask, region_code


def licence(stage: Stage, *purposes: str) -> bytes:
    """A licence that the hospital buys on the patient's genome."""
    suite, cast = stage.suite, stage.chain.cast
    hospital = cast["hospital"]
    suite.market.set_licensee(
        cast["operator"], hospital.address, group_mask(["pharma"]), region_code("TW")
    )
    suite.usage.issue(cast["exchange"], hospital.address, 10_000 * DUT, b"\5" * 32)
    buyer = Licensee(suite, hospital)
    buyer.deposit(10_000 * DUT)
    record = stage.record()
    terms = stage.patient.consent(
        record,
        purposes=purposes,
        licensees=["pharma"],
        region="TW",
        fields="all",
        floor_price=50 * DUT,
        days=365,
    )
    consent = stage.relay.grant(terms, stage.patient.sign(terms))
    made = buyer.buy(record, consent, form=Form.METERED, purposes=purposes, days=90, units=1)
    return made.licence


def runner(stage: Stage) -> Any:
    where = ["--rpc", stage.chain.node.url, "--home", str(stage.home.folder), "--json"]

    def run(*words: Any) -> dict[str, Any]:
        line = [str(word) for word in words]
        done = CliRunner().invoke(commands, [*line, *where], catch_exceptions=False)
        return dict(json.loads(done.stdout))

    return run


def derived(stage: Stage, run: Any) -> str:
    """The glucose series, registered as derived and attested."""
    path = stage.files[Format.CGM]
    made = run("add", path, "--region", "TW")
    assert made["kind"] == "derived"
    record = bytes.fromhex(made["record"][2:])
    assert made["owner"] == stage.suite.assets.account_of(record)
    assert stage.suite.registry.facts(record).kind == RecordKind.DERIVED
    attest_record(stage.suite, stage.chain.cast["laboratory"], record, path)
    return str(made["record"])


def test_an_asset_pays_what_it_came_from(stage: Stage, tmp_path: Path) -> None:
    suite, cast, run = stage.suite, stage.chain.cast, runner(stage)
    bought = "0x" + licence(stage, "HMB").hex()
    asset, listed = derived(stage, run), tmp_path / "list.json"
    word = bytes.fromhex(asset[2:])
    made = run("lineage", asset, listed, bought)
    source = suite.registry.facts(stage.record())
    assert (made["lines"], made["total_weight"]) == (1, str(source.dvi))
    made = run("create", listed)
    assert (made["holder"], made["share"]) == (cast["hospital"].address, 2_000)
    assert run("check", listed)["right"]
    with pytest.raises(ContractRefused, match="the line counts"):
        run("refute", listed, bought)
    with pytest.raises(ContractRefused, match="not open yet"):
        run("offer", asset, "--purpose", "HMB", "--licensee", "pharma", "--floor", 100)
    stage.later(7)
    offered = run(
        "offer", asset, "--purpose", "HMB", "--licensee", "pharma", "--floor", 100, "--region", "TW"
    )
    stage.licensee.deposit(2_000 * DUT)
    sold = stage.licensee.buy(
        word,
        bytes.fromhex(offered["consent"][2:]),
        form=Form.METERED,
        purposes=["HMB"],
        days=90,
        units=10,
    )
    stage.licensee.use(sold.licence, 10)
    suite.market.settle(cast["relay"], [sold.ref])

    got = run("collect", asset)
    assert got == {"asset": asset, "lineage": str(180 * DUT), "kept": str(540 * DUT)}
    assert run("collect", asset)["kept"] == "0"
    assert run("join", listed)["joined"] == 1
    assert run("claim", asset)["credited"] == str(180 * DUT)
    assert suite.assets.earnings(stage.patient.address).earned == 135 * DUT
    shown = run("show", asset)
    assert (shown["joined"], shown["earned"], shown["claimed"]) == (
        1,
        str(720 * DUT),
        str(180 * DUT),
    )

    # The patient is paid without ether; the hospital has its 25 % of the part, and what it kept.
    withdrawal = stage.patient.withdrawal(purse=suite.assets)
    signature = stage.patient.sign(withdrawal, suite.assets)
    stage.relay.withdraw(withdrawal, signature, purse=suite.assets)
    assert suite.usage.balance(stage.patient.address) == 135 * DUT
    assert suite.assets.earnings(cast["hospital"].address).earned == (540 + 45) * DUT

    moved = run("transfer", asset, cast["pharma"].address)
    assert moved["holder"] == suite.institution_assets.holder(word) == cast["pharma"].address
    run("withdraw-offer", asset, offered["consent"], "--as", "pharma")
    assert suite.market.consent(bytes.fromhex(offered["consent"][2:])).revoked_at
    report = replay(suite.node, suite.deployment)
    assert [found.detail for found in report.invariants if not found.holds] == []


def test_a_source_that_forbids_it_is_refused_and_refuted(stage: Stage, tmp_path: Path) -> None:
    suite, cast, run = stage.suite, stage.chain.cast, runner(stage)
    bad = licence(stage, "HMB", "NCU")
    asset, listed = derived(stage, run), tmp_path / "list.json"
    run("lineage", asset, listed, "0x" + bad.hex())
    with pytest.raises(BadInput, match="forbids to derive or to sell"):
        run("create", listed)
    # An institution that goes around the command line is found out by anybody.
    manifest = Manifest.decode(listed.read_bytes())
    roster = manifest.roster()
    lineage = {
        "root": roster.root,
        "total": roster.total,
        "count": 1,
        "manifest": manifest.cid().digest,
    }
    suite.assets.send(cast["hospital"], "create", manifest.asset, lineage)
    checked = run("check", listed)
    assert not checked["right"]
    assert "forbids" in checked["faults"][0]
    run("refute", listed, "0x" + bad.hex())
    assert suite.assets.lineage(manifest.asset) == (bytes(32), 0)
    assert "taken back" in run("check", listed)["faults"][-1]
    report = replay(suite.node, suite.deployment)
    assert [found.detail for found in report.invariants if not found.holds] == []


def test_a_licence_that_nobody_bought_has_no_weight_and_no_place(stage: Stage) -> None:
    assets = Assets(stage.suite)
    with pytest.raises(ContractRefused, match="unknown licence"):
        assets.manifest(b"\1" * 32, [b"\2" * 32])
    invented = Manifest(b"\1" * 32, {b"\2" * 32: 1})
    faults = assets.faults(invented, stage.chain.cast["hospital"].address)
    assert [fault.sentence for fault in faults] == [
        "Licence 0x" + "02" * 32 + " was bought by nobody."
    ]
    with pytest.raises(BadInput, match="is not in the lineage"):
        assets.refute(stage.chain.cast["relay"], invented, b"\3" * 32)

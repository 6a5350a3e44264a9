"""A lie about quality and its end: recomputed from the file, challenged, judged, paid (R7)."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from click.testing import CliRunner
from support.stage import Stage

from medtoken.audit import replay
from medtoken.chain.contracts import Scores
from medtoken.cli.record import record as commands
from medtoken.errors import BadInput, ContractRefused, NotPermitted
from medtoken.formats import Format
from medtoken.messages import DUT
from medtoken.parties import attest_record, challenge_record
from medtoken.parties.attester import measure
from medtoken.parties.challenger import stake
from medtoken.quality import DIMENSIONS, assess

BOND = 100 * DUT


def lie(stage: Stage, **changes: Any) -> bytes:
    """A record whose attester says more than its file gives."""
    record = stage.add(Format.CGM).record
    _, scores = measure(stage.suite, record, stage.files[Format.CGM], stage.suite.today())
    told = Scores(**{**scores.__dict__, **dict.fromkeys((*DIMENSIONS, "dvi"), 99), **changes})
    stage.suite.registry.attest(stage.chain.cast["laboratory"], record, told)
    return record


def test_an_attestation_states_what_the_file_gives_and_its_day(stage: Stage) -> None:
    path = stage.files[Format.CGM]
    record = stage.add(Format.CGM).record
    day = dt.date(2020, 2, 29)
    made = attest_record(stage.suite, stage.chain.cast["laboratory"], record, path, as_of=day)
    assert made.quality == assess(path, day)
    scores = stage.suite.registry.scores(record)
    assert scores == measure(stage.suite, record, path, day)[1]
    assert scores is not None
    assert scores.day == day
    again = attest_record(stage.suite, stage.chain.cast["laboratory"], record, path)
    assert again == made, "a second call goes by the day that was attested"


def test_a_lie_is_challenged_and_put_right(stage: Stage) -> None:
    suite, cast, path = stage.suite, stage.chain.cast, stage.files[Format.CGM]
    record = lie(stage)
    suite.usage.admit(cast["operator"], cast["laboratory"].address)
    suite.usage.issue(cast["exchange"], cast["laboratory"].address, BOND, b"\1" * 32)
    assert stake(suite, cast["laboratory"], BOND) == BOND
    held = suite.usage.balance(cast["pharma"].address)
    made = challenge_record(suite, cast["pharma"], record, path)
    assert (made.attested.dvi, made.claim.dvi, made.bond) == (
        99,
        assess(path, suite.today()).dvi,
        BOND,
    )
    assert challenge_record(suite, cast["pharma"], record, path) == made, "one challenge, one bond"
    assert suite.usage.balance(cast["pharma"].address) == held - BOND
    with pytest.raises(NotPermitted):
        suite.disputes.resolve(cast["stranger"], record, True, b"\2" * 32)
    suite.disputes.resolve(cast["operator"], record, True, b"\2" * 32)
    facts = suite.registry.facts(record)
    assert (facts.dvi, facts.attester, facts.attested) == (made.claim.dvi, 0, True)
    assert suite.registry.scores(record) == made.claim
    suite.disputes.withdraw(cast["pharma"])
    assert suite.usage.balance(cast["pharma"].address) == held + BOND
    with pytest.raises(BadInput, match="the very scores"):
        challenge_record(suite, cast["pharma"], record, path)
    report = replay(suite.node, suite.deployment)
    assert [found.detail for found in report.invariants if not found.holds] == []


def test_the_truth_cannot_be_challenged_from_the_file(stage: Stage) -> None:
    record = stage.record(Format.CGM)
    pharma, path = stage.chain.cast["pharma"], stage.files[Format.CGM]
    with pytest.raises(BadInput, match="gives the very scores"):
        challenge_record(stage.suite, pharma, record, path)
    with pytest.raises(BadInput, match="is not the file of record"):
        challenge_record(stage.suite, pharma, record, stage.files[Format.DICOM])
    with pytest.raises(BadInput, match="is not attested"):
        challenge_record(stage.suite, pharma, stage.add(Format.DICOM).record, path)


def test_a_method_that_is_not_known_here_is_not_guessed(stage: Stage) -> None:
    record = lie(stage, method=b"\7" * 32)
    with pytest.raises(BadInput, match="does not compute"):
        challenge_record(stage.suite, stage.chain.cast["pharma"], record, stage.files[Format.CGM])


def test_a_challenge_lapses_from_the_command_line(stage: Stage) -> None:
    record = "0x" + lie(stage).hex()
    where = ["--rpc", stage.chain.node.url, "--home", str(stage.home.folder), "--json"]

    def run(*words: str) -> dict[str, Any]:
        done = CliRunner().invoke(commands, [*words, *where], catch_exceptions=False)
        return dict(json.loads(done.stdout))

    path = str(stage.files[Format.CGM])
    shown = run("show", record)
    assert shown["scores"]["dvi"] == 99
    assert shown["scores"]["asOf"] == stage.suite.today().isoformat()
    assert not shown["challenged"]
    made = run("challenge", record, path)
    assert made["attested"]["dvi"] == 99 > made["claim"]["dvi"]
    assert made["bond"] == str(BOND)
    assert run("show", record)["challenged"]
    with pytest.raises(ContractRefused, match="the deadline has not passed"):
        run("lapse", record)
    stage.later(15)
    run("lapse", record)
    assert run("show", record)["dvi"] == 99
    assert run("collect")["amount"] == str(BOND)
    with pytest.raises(BadInput, match="No challenge has returned anything"):
        run("collect")
    run("challenge", record, path)
    decided = run("resolve", record, "--rejected", "--reason", "the device was mended")
    assert (decided["upheld"], decided["dvi"]) == (False, 99)
    with pytest.raises(BadInput, match="No challenge of record"):
        run("resolve", record, "--upheld", "--reason", "x")

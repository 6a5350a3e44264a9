"""The demo: the same story however often its process is killed, and no process left behind."""

from __future__ import annotations

import hashlib
import json
import random
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.live import (
    MEDTOKEN,
    PATIENCE,
    Chain,
    alive,
    children,
    environment,
    kill_after,
    kill_after_line,
    medtoken,
    places,
    running,
    wait_until_gone,
)

from medtoken.chain.contracts import Suite
from medtoken.chain.devnet import anvil
from medtoken.chain.node import Node
from medtoken.demo.people import cast
from medtoken.deploy.record import Deployment
from medtoken.home import Home
from medtoken.messages import DUT

pytestmark = pytest.mark.e2e


def slow(value: object) -> object:
    return pytest.param(value, marks=pytest.mark.slow)


Summary = dict[str, Any]
# What differs from run to run: where things are, what they were encrypted to, when it was.
PERSONAL = ("record", "cid", "fingerprint", "sealed_bytes", "let_out_sha256")


def summary(out: Path) -> Summary:
    data: Summary = json.loads((out / "summary.json").read_text())
    return data


def comparable(story: Summary) -> Summary:
    """Every amount and every count of a story, without what chance or the clock decides."""
    return {
        "records": [
            {k: v for k, v in record.items() if k not in PERSONAL} for record in story["records"]
        ],
        **{k: story[k] for k in ("worked_example", "uses", "withdrawn", "after_revoke")},
        "minted": story["supply"]["minted"],
        "holds": [(i["id"], i["holds"]) for i in story["audit"]["invariants"]],
    }


def assert_told_once(node: Node, out: Path) -> None:
    """Each thing of the story happened once on the chain, and the sums say the same."""
    home = Home(out / "home")
    suite = Suite(node, Deployment.load(home.deployment(node.chain_id)))
    chain = Chain(node, suite, cast(), home)
    story = summary(out)
    count = len(story["records"])
    once = {
        "RecordRegistered": count,
        "RecordAttested": count,
        "ConsentGranted": count,
        "ConsentRevoked": 1,
        "Deposited": 1,
        "LicenceBought": count,
        "LicenceUsed": count - 1 + 4,
        "Withdrawn": 1,
        "Issued": 1,
    }
    assert {name: len(chain.events(name)) for name in once} == once
    assert sum(used["units"] for used in chain.events("LicenceUsed")) == story["uses"]
    settled = chain.events("LicenceSettled")
    marks = [(s["licence"], s["settled"]) for s in settled if s["gross"]]
    assert len(set(marks)) == len(marks)
    levies = chain.events("LevyReceived")
    assert sum(s["levy"] for s in settled) == sum(levy["amount"] for levy in levies)
    burned = sum(levy["burned"] for levy in levies)
    assert story["supply"]["burned"] == str(burned)
    assert story["supply"]["total"] == str(20_000_000 * DUT - burned) == str(suite.usage.supply())


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """An undisturbed demo as a newcomer starts it, and what it said. It leaves no process."""
    out = tmp_path_factory.mktemp("told")
    with running("demo", "--out", out) as process:
        assert process.stderr
        first = process.stderr.readline()
        started = children(process.pid)
        said, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert said.startswith("Every rule held.")
    assert started
    assert not any(alive(pid) for pid in started)
    return out, first + err


@pytest.fixture(scope="module")
def undisturbed(told: tuple[Path, str]) -> Summary:
    return summary(told[0])


@pytest.fixture(scope="module")
def lines(told: tuple[Path, str]) -> int:
    """How many lines of progress the demo has."""
    return len(told[1].splitlines())


@pytest.fixture
def lasting() -> Iterator[Node]:
    """A chain that outlives whoever works on it."""
    with anvil() as node:
        yield node


# ------------------------------------------------------------------ what it tells


def test_the_story_is_the_one_that_was_promised(undisturbed: Summary) -> None:
    story = undisturbed
    assert {r["kind"] for r in story["records"]} == {"fhir-r4", "dicom", "cgm-csv", "vcf"}
    assert all(r["opened_as_consented"] for r in story["records"])
    assert all(int(r["dct"]) > 0 for r in story["records"])
    worked = {k: int(v) for k, v in story["worked_example"].items()}
    assert {k: v // DUT for k, v in worked.items() if k not in ("calls", "transactions")} == {
        "price": 50,
        "gross": 5_000_000,
        "provider": 3_500_000,
        "annotator": 1_000_000,
        "platform": 500_000,
        "levy": 250_000,
        "burned": 125_000,
        "patient": 2_625_000,
        "custodian": 875_000,
    }
    assert all(v % DUT == 0 for k, v in worked.items() if k not in ("calls", "transactions"))
    assert worked["calls"] == 100_000
    assert story["uses"] == 100_004
    supply = {k: int(v) for k, v in story["supply"].items()}
    assert supply["minted"] - supply["burned"] == supply["total"]
    assert set(story["after_revoke"]) == {"use", "key", "purchase"}
    assert all("revoked" in text for text in story["after_revoke"].values())
    assert [i["holds"] for i in story["audit"]["invariants"]] == [True] * 7
    assert story["withdrawn"]["eth_balance"] == "0"


def test_its_files_are_where_it_says(told: tuple[Path, str]) -> None:
    out = told[0]
    page = (out / "report.html").read_text()
    assert "5,000,000" in page
    for record in summary(out)["records"]:
        opened = (out / "opened" / record["file"]).read_bytes()
        original = (out / "files" / record["file"]).read_bytes()
        assert len(original) == record["bytes"]
        assert "0x" + hashlib.sha256(opened).hexdigest() == record["let_out_sha256"]
        # A genome is let out whole, of everything else a masked and marked copy.
        same = hashlib.sha256(opened).digest() == hashlib.sha256(original).digest()
        assert same == (record["kind"] == "vcf")
    assert not (out / "opened" / "after-revocation").exists()


def test_it_can_be_told_again_in_the_same_place(
    told: tuple[Path, str], tmp_path: Path, undisturbed: Summary
) -> None:
    out = told[0]
    ran = medtoken("demo", "--out", out, "--json")
    assert comparable(ran.ok()) == comparable(undisturbed)
    assert ran.json == summary(out)


# ------------------------------------------------------------------ killed


def told_to_the_end(node: Node, out: Path, undisturbed: Summary) -> None:
    done = medtoken("demo", "--rpc", node.url, "--out", out)
    assert done.code == 0, done.err
    assert comparable(summary(out)) == comparable(undisturbed)
    assert_told_once(node, out)


@pytest.mark.slow
def test_killed_along_the_way_the_story_is_the_same(
    lasting: Node, tmp_path: Path, undisturbed: Summary, lines: int
) -> None:
    """One run, killed at several places one after another."""
    for line in (5, 25, lines - 6):
        assert kill_after_line(line, "demo", "--rpc", lasting.url, "--out", tmp_path)
    told_to_the_end(lasting, tmp_path, undisturbed)
    # Told once more from the start, it finds everything done.
    height = lasting.head().number
    told_to_the_end(lasting, tmp_path, undisturbed)
    empty = lasting.head().number - height
    assert empty <= 3  # those that it lets pass for the keepers


@pytest.mark.slow
@pytest.mark.parametrize("line", places(45, 5))
def test_killed_at_any_line_the_story_is_the_same(
    lasting: Node, tmp_path: Path, undisturbed: Summary, lines: int, line: int
) -> None:
    if line > lines:
        pytest.skip("the story has fewer lines")
    kill_after_line(line, "demo", "--rpc", lasting.url, "--out", tmp_path)
    told_to_the_end(lasting, tmp_path, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", places(16, 2))
def test_killed_at_any_time_the_story_is_the_same(
    lasting: Node, tmp_path: Path, undisturbed: Summary, seed: int
) -> None:
    """Up to six kills at times that no line of progress marks."""
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 6)):
        moment = chance.uniform(0.5, 1.3 * undisturbed["seconds"] + 2)
        if not kill_after(moment, "demo", "--rpc", lasting.url, "--out", tmp_path):
            break
    told_to_the_end(lasting, tmp_path, undisturbed)


# ------------------------------------------------------------------ beside each other


@pytest.mark.slow
def test_two_at_the_same_time_do_not_disturb_each_other(
    tmp_path: Path, undisturbed: Summary
) -> None:
    both = [
        subprocess.Popen(
            [*MEDTOKEN, "demo", "--out", str(tmp_path / name)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        for name in ("one", "two")
    ]
    for process in both:
        _, err = process.communicate(timeout=2 * PATIENCE)
        assert process.returncode == 0, err
    for name in ("one", "two"):
        assert comparable(summary(tmp_path / name)) == comparable(undisturbed)


def test_a_folder_is_one_demo_s_at_a_time(tmp_path: Path) -> None:
    with running("demo", "--out", tmp_path) as first:
        assert first.stderr
        first.stderr.readline()
        second = medtoken("demo", "--out", tmp_path)
        assert second.code == 17
        assert second.err == f"Error: Another process is using the folder {tmp_path}.\n"
        assert first.poll() is None


# ------------------------------------------------------------------ what is left behind


@pytest.mark.parametrize("end", [signal.SIGINT, slow(signal.SIGTERM), slow(signal.SIGKILL)])
def test_a_demo_that_is_stopped_leaves_no_process(tmp_path: Path, end: signal.Signals) -> None:
    with running("demo", "--out", tmp_path) as process:
        assert process.stderr
        for _ in range(4):
            process.stderr.readline()
        started = children(process.pid)
        process.send_signal(end)
        out, err = process.communicate(timeout=PATIENCE)
    assert len(started) == 4  # Anvil and three key keepers
    assert all(wait_until_gone(pid) for pid in started)
    assert out == ""
    if end is signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 130
        assert err.endswith("Stopped.\n")
        assert "Traceback" not in err
    assert not (tmp_path / "summary.json").exists()


@pytest.mark.parametrize("end", [slow(signal.SIGINT), slow(signal.SIGTERM), signal.SIGKILL])
def test_a_devnet_that_is_stopped_leaves_no_process(tmp_path: Path, end: signal.Signals) -> None:
    with running("devnet", "--port", "0", "--home", tmp_path / "home") as process:
        assert process.stdout
        said = ""
        while "Ready at" not in said:
            said = process.stdout.readline()
        found = re.search(r"Ready at (http://127\.0\.0\.1:\d+);", said)
        assert found
        (pid,) = children(process.pid)
        assert Node.connect(found[1]).chain_id == 31337
        process.send_signal(end)
        _, err = process.communicate(timeout=PATIENCE)
    assert wait_until_gone(pid)
    assert process.returncode == (-signal.SIGKILL if end is signal.SIGKILL else 0)
    assert "Traceback" not in err

"""The auditor's way over tables: extracted from a real chain, checked, reported, signed and verified."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.live import Chain, Ran, medtoken_here

from medtoken.errors import IntegrityError, InvariantViolated

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

pytestmark = [pytest.mark.e2e, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@dataclass(frozen=True)
class Books:
    """A chain's tables, and the report on them that its operator signed."""

    tables: Path
    page: Path
    chain: Chain
    report: dict[str, Any]
    where: tuple[str, ...]

    def audit(self, *args: str | Path) -> Ran:
        return medtoken_here("audit", *args)

    def person(self, name: str) -> str:
        return str(self.chain.cast[name].address)


@pytest.fixture(scope="module")
def books(_prepared: Any, tmp_path_factory: pytest.TempPathFactory) -> Books:
    stage, _, _ = _prepared
    folder = tmp_path_factory.mktemp("audit")
    tables, page = folder / "tables", folder / "report.html"
    where = ("--rpc", stage.chain.node.url, "--home", str(stage.home.folder))
    record = str(stage.home.deployment(31337))
    with stage.chain.anchor():
        told = medtoken_here(
            "audit", "extract", *where, "--deployment", record, "--depth", "0", "--out", tables, "--json"
        ).ok()  # fmt: skip
    assert told["undecoded"] == 0
    medtoken_here(
        "audit", "report", *where, "--tables", tables, "--out", page, "--sign", "operator", "--json"
    ).ok()
    body = json.loads(page.with_suffix(".json").read_bytes())
    return Books(tables, page, stage.chain, body, where)


def test_a_report_tells_what_happened_on_the_chain(books: Books) -> None:
    report = books.report
    assert report["holds"]
    assert report["last_block"]["number"] <= books.chain.height()
    page = books.page.read_text()
    assert report["last_block"]["hash"] in page
    assert page.count("<html") == 1


def test_a_statement_names_its_signer_and_nothing_may_change(books: Books, tmp_path: Path) -> None:
    signed = books.page.with_suffix(".json")
    said = books.audit("verify", signed, "--json").ok()
    assert said["signer"] == books.person("operator")
    assert books.report["last_block"]["hash"] in said["text"]
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(books.report | {"events": books.report["events"] + 1}))
    ran = books.audit("verify", changed)
    assert ran.code == IntegrityError.exit_code
    assert ran.err.endswith("it was changed, or is by another.\n")


def test_a_credibility_report_is_about_whom_it_names(books: Books, tmp_path: Path) -> None:
    out = tmp_path / "pharma.html"
    who = books.person("pharma")
    ran = books.audit(
        "credibility", *books.where, "--tables", books.tables, "--party", who, "--out", out
    )
    assert ran.code == 0, ran.err
    body = json.loads(out.with_suffix(".json").read_bytes())
    assert body["party"].lower() == who.lower()
    assert who.lower() in out.read_text().lower()


def test_a_check_of_a_rule_that_nothing_breaks(books: Books) -> None:
    found = books.audit("check", "--tables", books.tables, "--rule", "R15", "--json").ok()
    assert found["holds"]
    assert len(found["checks"]) == 5


def test_a_made_up_economy_breaks_no_rule_but_where_it_lies(books: Books, tmp_path: Path) -> None:
    """What the benchmark of the checks measures: on this chain's own deployment, in small."""
    from _bench.audit import history

    made, lie = history.fill(books.tables, tmp_path / "made", 2_000, say=lambda line: None)
    assert made > 2_000
    rules = ("R1", "R2", "R7", "R8", "R12", "R13", "R15", "R16", "R17", "R28")
    chosen = [word for rule in rules for word in ("--rule", rule)]
    ran = books.audit("check", "--tables", tmp_path / "made", *chosen, "--json")
    assert ran.code == InvariantViolated.exit_code
    told = [v for check in ran.json["checks"] for v in check["violations"]]
    assert [(v["check"], v["transaction"]) for v in told] == [("r15_split", lie)]

"""The report: the same bytes from the same tables, nothing from outside, and a statement that is signed."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from support.tables import write

from medtoken.audit import report
from medtoken.audit.checks import Check, Outcome, Violation, all_checks
from medtoken.audit.tables import Tables, load
from medtoken.errors import BadInput, IntegrityError

KEY = b"\x11" * 32


@pytest.fixture(scope="module")
def found(honest: Any, tmp_path_factory: pytest.TempPathFactory) -> Tables:
    out = tmp_path_factory.mktemp("report") / "tables"
    write(out, honest.events, honest.suite.addresses, honest.world.evm.times.__getitem__)
    return load(out)


def outcomes(*violations: Violation) -> tuple[Outcome, ...]:
    """All checks as if they had run; the violations belong to the one that they name."""
    every: tuple[Check, ...] = all_checks()
    return tuple(Outcome(c, tuple(v for v in violations if v.check == c.name)) for c in every)


def violation(party: str) -> Violation:
    return Violation(
        "R17",
        "r17_burn",
        129,
        "0x" + "ab" * 32,
        3,
        "burned of a <levy>",
        "",
        (party.lower(),),
        "7",
        "8",
    )


class Reader(HTMLParser):
    """Every tag is closed, and no attribute leads outside."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)
        values = [v or "" for k, v in attrs if k in ("href", "src", "xlink:href")]
        self.outside += [v for v in values if not v.startswith(("#", "data:"))]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(page: str) -> None:
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    assert reader.outside == []
    assert "url(" not in page


def test_the_same_tables_give_the_same_bytes(found: Tables) -> None:
    one, two = (report.figures(found, outcomes()) for _ in range(2))
    assert one == two
    page = report.report_page(one)
    assert page == report.report_page(json.loads(json.dumps(two)))
    read(page)
    assert "Every rule held" in page
    assert page.index("Every rule held") < page.index("Supply over time")


def test_the_sums_are_those_of_the_ledger(found: Tables, honest: Any) -> None:
    body, ledger = report.figures(found, outcomes()), honest.fold(honest.events)
    totals = ledger.market.totals
    assert body["totals"]["gross"] == str(totals.settled)
    assert body["totals"]["patient"] == str(totals.patients)
    assert body["totals"]["levy"] == str(totals.levy)
    assert body["supply"]["DUT"][-1][1] == str(ledger.usage.supply)
    assert body["supply"]["DCT"][-1][1] == str(ledger.contribution.supply)
    paid = sum(int(payer["paid"]) for payer in body["payers"])
    assert paid == totals.settled + totals.levy
    assert body["consents"]["total"] == sum(1 for c in ledger.market.consents.values() if c.terms)


def test_an_exception_is_on_the_page_with_its_numbers(found: Tables, honest: Any) -> None:
    page = report.report_page(report.figures(found, outcomes(violation("0x" + "0e" * 20))))
    read(page)
    assert "1 exception" in page
    assert "burned of a &lt;levy&gt;" in page
    assert re.search(r"<td>7</td><td>8</td>", page)


def test_a_credibility_report_is_about_one_account(found: Tables, honest: Any) -> None:
    people = honest.world.people
    licensee = report.party_figures(found, outcomes(), str(people.licensee))
    bought = [e for e in honest.events if e.event == "LicenceBought"]
    mine = [e for e in bought if e.args["licensee"] == str(people.licensee)]
    assert licensee["licensee"]["licences"] == len(mine)
    custodian = report.party_figures(
        found, outcomes(violation(str(people.custodian))), str(people.custodian)
    )
    assert custodian["institution"]["records"] > 0
    page = report.credibility_page(custodian)
    read(page)
    assert "1 exception name" in page
    read(report.credibility_page(licensee))
    nobody = report.party_figures(found, outcomes(), "0x" + "0e" * 20)
    assert "Unknown here" in report.credibility_page(nobody)


def test_a_statement_is_signed_and_what_was_changed_is_refused(found: Tables) -> None:
    who = Account.from_key(KEY).address
    signed = report.sign(report.figures(found, outcomes()), KEY, who)
    again = json.loads(json.dumps(signed))
    signer, statement = report.verify(again)
    assert signer == who
    assert statement.violations == 0
    assert statement.lastBlock == signed["last_block"]["number"]
    again["totals"]["burned"] = "1"
    with pytest.raises(IntegrityError, match="did not sign this report"):
        report.verify(again)
    with pytest.raises(BadInput, match="no report with a signed statement"):
        report.verify({})


def test_a_drawing_has_words_for_who_does_not_see_it(found: Tables) -> None:
    page = report.report_page(report.figures(found, outcomes()))
    assert page.count("<svg") == page.count("<desc") == page.count('role="img"') > 2
    assert Path(report.__file__).with_name("_page.css").exists()

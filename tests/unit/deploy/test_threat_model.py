"""docs/threat-model.md names tests that are there, for every actor and nearly every claim."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)))
ACTORS = (
    "patient",
    "custodian",
    "licensee",
    "relay",
    "key keeper",
    "operator",
    "council",
    "RPC node",
)


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_that_the_page_names_is_there(path: str, name: str) -> None:
    text = (ROOT / "tests" / path).read_text(encoding="utf-8")
    assert re.search(rf"^def {name}\(", text, re.MULTILINE)


def test_every_reference_is_one_that_was_checked() -> None:
    assert len(re.findall(r"::", PAGE)) == len(re.findall(r"`[\w/]+\.py::\w+`", PAGE))
    assert len(NAMED) > 60


@pytest.mark.parametrize("actor", ACTORS)
def test_a_malicious_actor_has_its_section_with_tests(actor: str) -> None:
    section = PAGE.split(f"## A malicious {actor}")[1].split("\n## ")[0]
    assert "::" in section
    assert "**Can**" in section


def test_what_an_actor_cannot_do_has_its_test() -> None:
    tables = PAGE.split("## A malicious patient")[1]
    for row in re.findall(r"^\| (?!cannot|---)(.+) \|$", tables, re.MULTILINE):
        assert "::" in row, row

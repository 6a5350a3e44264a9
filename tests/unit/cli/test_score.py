"""``medtoken record score`` tells the data value index of a file, and why, without a chain (R7)."""

from __future__ import annotations

import datetime as dt
import json
from fractions import Fraction
from pathlib import Path

import pytest
from click.testing import CliRunner

from medtoken.cli.record import record
from medtoken.errors import UnsupportedFile
from medtoken.quality import DIMENSIONS, assess


@pytest.fixture
def series(tmp_path: Path) -> Path:
    rows = [f"a,2020-01-01 {hour:02}:00:00,100" for hour in range(24)]
    path = tmp_path / "glucose.csv"
    path.write_text("\n".join(["id,time,glucose (mg/dL)", *rows]), encoding="utf-8")
    return path


def test_each_dimension_comes_with_its_reasons(series: Path) -> None:
    done = CliRunner().invoke(record, ["score", str(series), "--as-of", "2020-01-01", "--json"])
    shown = json.loads(done.stdout)
    found = assess(series, dt.date(2020, 1, 1))
    assert (shown["dvi"], shown["quality"], shown["as_of"]) == (found.dvi, found.q, "2020-01-01")
    assert shown["method_hash"] == "0x" + found.method_hash.hex()
    assert {name: each["weight"] for name, each in shown["dimensions"].items()} == DIMENSIONS
    for name, each in shown["dimensions"].items():
        earned = sum(Fraction(part["share"]) * part["points"] for part in each["parts"])
        assert each["score"] == int(earned) == getattr(found, name)


def test_the_day_of_reference_is_today_unless_named(series: Path) -> None:
    before = dt.datetime.now(dt.UTC).date()
    done = CliRunner().invoke(record, ["score", str(series), "--json"])
    assert before.isoformat() <= json.loads(done.stdout)["as_of"]
    assert json.loads(done.stdout)["as_of"] <= dt.datetime.now(dt.UTC).date().isoformat()
    text = CliRunner().invoke(record, ["score", str(series), "--as-of", "2021-01-01"]).stdout
    assert "timeliness" in text
    assert text.endswith("by medtoken-dvi/1 as of 2021-01-01.\n")


def test_what_is_no_medical_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("nothing to see", encoding="utf-8")
    done = CliRunner().invoke(record, ["score", str(path)])
    assert isinstance(done.exception, UnsupportedFile)
    assert CliRunner().invoke(record, ["score", str(path), "--as-of", "soon"]).exit_code == 2

"""Golden vectors of the data value index: the package and a second reading of the text agree (R7)."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from medtoken.quality import DIMENSIONS, METHOD, assess, method_hash

from . import independent

PATH = Path(__file__).parents[2] / "vectors" / "dvi.json"
VECTORS: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
CASES = [(name, as_of) for name, file in VECTORS["files"].items() for as_of in file["scores"]]


def test_the_vectors_are_of_the_method() -> None:
    assert VECTORS["method"] == METHOD
    assert VECTORS["method_hash"] == method_hash().hex()
    assert VECTORS["order"] == [*DIMENSIONS, "q", "dvi"]
    assert len(CASES) == 15


@pytest.mark.parametrize("name", VECTORS["files"])
def test_the_files_are_those_of_the_vectors(name: str, real: dict[str, Path]) -> None:
    file = VECTORS["files"][name]
    assert hashlib.sha256(real[name].read_bytes()).hexdigest() == file["sha256"]


@pytest.mark.parametrize(("name", "as_of"), CASES)
def test_the_package_computes_the_vectors(name: str, as_of: str, real: dict[str, Path]) -> None:
    found = assess(real[name], dt.date.fromisoformat(as_of))
    expected = VECTORS["files"][name]["scores"][as_of]
    assert [getattr(found, each) for each in VECTORS["order"]] == expected


@pytest.mark.parametrize(("name", "as_of"), CASES)
def test_a_second_reading_of_the_text_computes_them_too(
    name: str, as_of: str, real: dict[str, Path]
) -> None:
    expected = VECTORS["files"][name]["scores"][as_of]
    assert independent.scores(real[name], as_of) == expected

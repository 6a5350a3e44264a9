"""The score: published, the same everywhere, and lower where a file is damaged (R1, R7)."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import os
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from medtoken.errors import MalformedFile
from medtoken.formats import read
from medtoken.quality import DIMENSIONS, METHOD, Quality, assess, method_hash, method_text
from medtoken.quality._assess import dimensions
from medtoken.quality._parts import (
    Part,
    ratio,
    ratio_of_at_least,
    recency,
    saturating,
    score,
    without,
)

ROOT = Path(__file__).parents[3]
AS_OF = dt.date(2026, 1, 1)
SECTIONS = {
    "record.json": "FHIR R4 bundle",
    "ct.dcm": "DICOM image",
    "mr.dcm": "DICOM image",
    "glucose.csv": "Glucose series (CSV)",
    "genome.vcf.gz": "VCF",
}
SCORES = {
    "record.json": (89, 95, 87, 100, 100, 80, 97, 92),
    "ct.dcm": (5, 89, 72, 87, 56, 75, 72, 66),
    "mr.dcm": (1, 85, 31, 75, 50, 87, 67, 57),
    "glucose.csv": (44, 85, 64, 100, 40, 60, 62, 68),
    "genome.vcf.gz": (27, 20, 45, 100, 56, 30, 38, 47),
}


def numbers(quality: Quality) -> tuple[int, ...]:
    return (*(getattr(quality, name) for name in DIMENSIONS), quality.q, quality.dvi)


@pytest.mark.parametrize("name", SCORES)
def test_real_files_score_what_is_published(name: str, real: dict[str, Path]) -> None:
    quality = assess(real[name], AS_OF)
    assert numbers(quality) == SCORES[name]
    assert all(type(number) is int for number in numbers(quality))
    assert quality == assess(read(real[name]), AS_OF)
    row = " | ".join(map(str, SCORES[name]))
    assert f"| {row} |" in (ROOT / "docs" / "dvi.md").read_text(encoding="utf-8")


def test_the_method_is_pinned_and_its_hash_published() -> None:
    assert METHOD == "medtoken-dvi/1"
    assert method_text().startswith(b"# medtoken-dvi/1\n")
    assert method_hash() == hashlib.sha256(method_text()).digest()
    # A change of the text is a new method: add dvi-2.md, do not edit this line.
    assert method_hash().hex() == "882026987a7b110e324633bab834b11b66fd34da0e17b9c6e4019abff9d3ed6d"
    assert f"`{method_hash().hex()}`" in (ROOT / "docs" / "dvi.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SCORES)
def test_the_code_has_the_parts_and_points_of_the_text(name: str, real: dict[str, Path]) -> None:
    section = method_text().decode().split(f"## {SECTIONS[name]}\n")[1].partition("\n## ")[0]
    rows = re.findall(r"^\| ([a-z]+) \| (.+?) \| ([0-9]+) \| .+ \|$", section, re.MULTILINE)
    parts = dimensions(read(real[name]), AS_OF)
    assert [(score_, part, int(points)) for score_, part, points in rows] == [
        (score_, part.name, part.points) for score_, of in parts.items() for part in of
    ]
    assert list(parts) == list(DIMENSIONS)
    assert all(sum(part.points for part in of) == 100 for of in parts.values())
    assert all(0 <= part.share <= 1 for of in parts.values() for part in of)


def test_the_weights_of_the_text_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| ([a-z]+) \| ([0-9]+) \|$", method_text().decode(), re.MULTILINE)
    assert {name: int(weight) for name, weight in rows} == DIMENSIONS
    assert sum(DIMENSIONS.values()) == 100


def test_q_and_dvi_follow_from_the_six(real: dict[str, Path]) -> None:
    for path in real.values():
        quality = assess(path, AS_OF)
        assert quality.q == (quality.completeness + quality.annotation) // 2
        assert quality.dvi == (
            15 * quality.volume
            + 20 * quality.completeness
            + 15 * quality.timeliness
            + 20 * quality.accuracy
            + 15 * quality.annotation
            + 15 * quality.traceability
        ) // 100  # fmt: skip


def test_the_explanation_says_where_points_are_lost(real: dict[str, Path]) -> None:
    quality = assess(real["genome.vcf.gz"], AS_OF)
    assert quality.explanation == (
        "volume 27: sound variants 27/100",
        "completeness 20: genotypes called 16/80, filter stated 3/10, quality stated 0/10",
        "timeliness 45: date of the file 30/60, recent at the day of reference 15/40",
        "accuracy 100: sound rows 100/100",
        "annotation 56: names declared in the header 50/50, variants with an identifier 6/30, "
        "known reference genome 0/20",
        "traceability 30: samples named 30/30, program named 0/30, reference named 0/20, "
        "contigs declared 0/20",
    )
    assert all(score(parts) == getattr(quality, name) for name, parts in quality.parts)


@pytest.mark.parametrize("name", SCORES)
def test_only_timeliness_knows_the_day_of_reference(name: str, real: dict[str, Path]) -> None:
    file = read(real[name])
    assert file.end is not None
    fresh, decade = assess(file, file.end), assess(file, file.end + dt.timedelta(3653))
    early = assess(file, file.end - dt.timedelta(1))
    assert fresh.timeliness == decade.timeliness + 20, "half of 40 points go in ten years"
    assert early.timeliness == fresh.timeliness - 40, "no day of reference lies before the data"
    for other in set(DIMENSIONS) - {"timeliness"}:
        assert getattr(fresh, other) == getattr(decade, other) == getattr(early, other)


def test_another_process_clock_locale_and_hash_seed_give_the_same(real: dict[str, Path]) -> None:
    code = (
        "import datetime, sys; from medtoken.quality import assess\n"
        "for path in sys.argv[1:]: print(repr(assess(path, datetime.date(2026, 1, 1))))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code, *map(str, real.values())],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": locale},
            capture_output=True,
            check=True,
        ).stdout
        for seed, zone, locale in (("1", "Asia/Taipei", "C"), ("2", "America/Lima", "C.UTF-8"))
    }
    assert outputs == {"".join(f"{assess(path, AS_OF)!r}\n" for path in real.values()).encode()}


def test_a_bad_file_has_no_score(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    with pytest.raises(MalformedFile, match="^empty: the file is empty$"):
        assess(empty, AS_OF)


def test_shares_are_exact_and_bounded() -> None:
    assert ratio(1, 3) == Fraction(1, 3)
    assert (ratio(5, 3), ratio(-1, 3), ratio(0, 0)) == (Fraction(1), Fraction(0), Fraction(0))
    assert ratio_of_at_least(1, 3, 4) == Fraction(1, 4)
    assert ratio_of_at_least(1, 5, 4) == Fraction(1, 5)
    day = dt.date(2020, 1, 1)
    assert recency(day, day) == 1
    assert recency(day, day + dt.timedelta(3653)) == Fraction(1, 2)
    assert recency(None, day) == recency(day, day - dt.timedelta(1)) == 0
    assert (without(1, 4), without(0, 0)) == (Fraction(3, 4), Fraction(1))
    assert saturating(100, 100) == Fraction(1, 2)
    thirds = [Part("a", 50, Fraction(1, 3)), Part("b", 50, Fraction(2, 3))]
    assert score(thirds) == 50, "parts are added before the sum is rounded down"


def test_a_quality_cannot_be_changed(real: dict[str, Path]) -> None:
    quality = assess(real["ct.dcm"], AS_OF)
    with pytest.raises(dataclasses.FrozenInstanceError):
        quality.q = 100  # type: ignore[misc]

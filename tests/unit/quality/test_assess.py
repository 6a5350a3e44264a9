"""The score: published, the same everywhere, and lower where a file is damaged (R1, R7)."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from medtoken.demo.fixtures import real_files
from medtoken.errors import MalformedFile
from medtoken.formats import read
from medtoken.quality import DIMENSIONS, METHOD, Quality, assess, method_hash, method_text
from medtoken.quality._assess import dimensions
from medtoken.quality._parts import Part, ratio, saturating, score, without

ROOT = Path(__file__).parents[3]
SECTIONS = {
    "record.json": "FHIR R4 bundle",
    "ct.dcm": "DICOM image",
    "mr.dcm": "DICOM image",
    "glucose.csv": "Glucose series (CSV)",
    "genome.vcf.gz": "VCF",
}
SCORES = {
    "record.json": (90, 95, 100, 100, 100, 79, 97, 94),
    "ct.dcm": (5, 89, 100, 87, 56, 75, 72, 70),
    "mr.dcm": (1, 85, 32, 75, 50, 87, 67, 57),
    "glucose.csv": (44, 90, 83, 100, 40, 60, 65, 72),
    "genome.vcf.gz": (27, 54, 50, 100, 66, 30, 60, 56),
}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {found.path.name: found.path for found in real_files(tmp_path_factory.mktemp("real"))}


def numbers(quality: Quality) -> tuple[int, ...]:
    return (*(getattr(quality, name) for name in DIMENSIONS), quality.q, quality.dvi)


@pytest.mark.parametrize("name", SCORES)
def test_real_files_score_what_is_published(name: str, real: dict[str, Path]) -> None:
    quality = assess(real[name])
    assert numbers(quality) == SCORES[name]
    assert all(type(number) is int for number in numbers(quality))
    assert quality == assess(read(real[name]))
    row = " | ".join(map(str, SCORES[name]))
    assert f"| {row} |" in (ROOT / "docs" / "quality.md").read_text(encoding="utf-8")


def test_the_method_is_pinned_and_its_hash_published() -> None:
    assert METHOD == "medtoken-quality/1"
    assert method_text().startswith(b"# medtoken-quality/1\n")
    assert method_hash() == hashlib.sha256(method_text()).digest()
    # A change of the text is a new method: add method-2.md, do not edit this line.
    assert method_hash().hex() == "4391c1bdb3481fc49c24212fafccd123374fc6d6f05b57079e93fec9695aa308"
    assert f"`{method_hash().hex()}`" in (ROOT / "docs" / "quality.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SCORES)
def test_the_code_has_the_parts_and_points_of_the_text(name: str, real: dict[str, Path]) -> None:
    section = method_text().decode().split(f"## {SECTIONS[name]}\n")[1].partition("\n## ")[0]
    rows = re.findall(r"^\| ([a-z]+) \| (.+?) \| ([0-9]+) \| .+ \|$", section, re.MULTILINE)
    parts = dimensions(read(real[name]).facts)
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
        quality = assess(path)
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
    assert assess(real["genome.vcf.gz"]).explanation == (
        "volume 27: variants 27/100",
        "completeness 54: genotypes called 44/80, filter stated 10/10, quality stated 0/10",
        "timeliness 50: date of the file 50/100",
        "accuracy 100: sound rows 100/100",
        "annotation 66: names declared in the header 50/50, variants with an identifier 16/30, "
        "known reference genome 0/20",
        "traceability 30: samples named 30/30, program named 0/30, reference named 0/20, "
        "contigs declared 0/20",
    )


def test_another_process_clock_locale_and_hash_seed_give_the_same(real: dict[str, Path]) -> None:
    code = (
        "import sys; from medtoken.quality import assess\n"
        "for path in sys.argv[1:]: print(repr(assess(path)))"
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
    assert outputs == {"".join(f"{assess(path)!r}\n" for path in real.values()).encode()}


def test_a_bad_file_has_no_score(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    with pytest.raises(MalformedFile, match="^empty: the file is empty$"):
        assess(empty)


def test_shares_are_exact_and_bounded() -> None:
    assert ratio(1, 3) == Fraction(1, 3)
    assert (ratio(5, 3), ratio(-1, 3), ratio(0, 0)) == (Fraction(1), Fraction(0), Fraction(0))
    assert (without(1, 4), without(0, 0)) == (Fraction(3, 4), Fraction(1))
    assert saturating(100, 100) == Fraction(1, 2)
    thirds = [Part("a", 50, Fraction(1, 3)), Part("b", 50, Fraction(2, 3))]
    assert score(thirds) == 50, "parts are added before the sum is rounded down"


# What lowers which score. Each damage is done to a real file and may raise no score at all.

Damage = Callable[[bytes, Path], bytes]


def _json(change: Callable[[list[dict[str, Any]]], object]) -> Damage:
    def damage(whole: bytes, _: Path) -> bytes:
        bundle = json.loads(whole)
        change([entry["resource"] for entry in bundle["entry"]])
        return json.dumps(bundle).encode()

    return damage


def _each(kind: str, change: Callable[[dict[str, Any]], object]) -> Damage:
    return _json(lambda all_: [change(one) for one in all_ if one["resourceType"] == kind])


def _lines(change: Callable[[int, str], str | None]) -> Damage:
    def damage(whole: bytes, _: Path) -> bytes:
        rows = (change(number, row) for number, row in enumerate(whole.decode().splitlines()))
        return "\n".join(row for row in rows if row is not None).encode() + b"\n"

    return damage


def _gunzipped(damage: Damage) -> Damage:
    return lambda whole, path: damage(gzip.decompress(whole), path)


def _dataset(change: Callable[[Any], object]) -> Damage:
    def damage(_: bytes, path: Path) -> bytes:
        dataset = pydicom.dcmread(path)
        change(dataset)
        changed = path.with_suffix(".changed")
        dataset.save_as(changed)
        return changed.read_bytes()

    return damage


def _cells(row: str, column: int, cell: str) -> str:
    cells = row.split("\t")
    return row if row.startswith("#") else "\t".join([*cells[:column], cell, *cells[column + 1 :]])


def _in_some_rows(change: Callable[[str], str | None]) -> Damage:
    return _lines(lambda number, row: change(row) if number % 9 == 5 else row)


DAMAGES: list[tuple[str, str, str, Damage]] = [
    ("record.json", "completeness", "no subject",
     _each("Observation", lambda one: one.pop("subject"))),
    ("record.json", "completeness", "no birth date",
     _each("Patient", lambda one: one.pop("birthDate"))),
    ("record.json", "timeliness", "no dates",
     _each("Procedure", lambda one: one.pop("performedDateTime"))),
    ("record.json", "accuracy", "bad status",
     _each("Procedure", lambda one: one.update(status=["x"]))),
    ("record.json", "accuracy", "lost encounters",
     _each("Observation", lambda one: one["encounter"].update(reference="urn:uuid:gone"))),
    ("record.json", "accuracy", "impossible dates",
     _each("Immunization", lambda one: one.update(occurrenceDateTime="1900-01-01"))),
    ("record.json", "annotation", "mistyped codes",
     _each("Observation", lambda one: one["code"]["coding"][0].update(code="8480-5"))),
    ("record.json", "annotation", "home-made codes",
     _each("Condition", lambda one: one["code"]["coding"][0].update(system="urn:ours"))),
    ("record.json", "traceability", "no provenance",
     _each("Provenance", lambda one: one["target"].clear())),
    ("record.json", "traceability", "no encounters",
     _each("Procedure", lambda one: one.pop("encounter"))),
    ("ct.dcm", "completeness", "no technique", _dataset(lambda ds: delattr(ds, "KVP"))),
    ("ct.dcm", "completeness", "no place", _dataset(lambda ds: delattr(ds, "SliceThickness"))),
    ("ct.dcm", "timeliness", "no time", _dataset(lambda ds: setattr(ds, "AcquisitionTime", ""))),
    ("ct.dcm", "timeliness", "no study date", _dataset(lambda ds: setattr(ds, "StudyDate", ""))),
    ("ct.dcm", "accuracy", "wrong bits", _dataset(lambda ds: setattr(ds, "HighBit", 3))),
    ("ct.dcm", "accuracy", "more frames", _dataset(lambda ds: setattr(ds, "NumberOfFrames", 9))),
    ("ct.dcm", "accuracy", "wrong modality", _dataset(lambda ds: setattr(ds, "Modality", "US"))),
    ("ct.dcm", "accuracy", "other instance",
     _dataset(lambda ds: setattr(ds, "SOPInstanceUID", "1.2"))),
    ("ct.dcm", "annotation", "no modality", _dataset(lambda ds: setattr(ds, "Modality", ""))),
    ("ct.dcm", "annotation", "no description",
     _dataset(lambda ds: delattr(ds, "StudyDescription"))),
    ("ct.dcm", "traceability", "no maker", _dataset(lambda ds: setattr(ds, "StationName", ""))),
    ("glucose.csv", "volume", "second half lost",
     _lines(lambda number, row: row if number < 1400 else None)),
    ("glucose.csv", "completeness", "values lost",
     _in_some_rows(lambda row: row.rpartition(",")[0] + ",NA")),
    ("glucose.csv", "completeness", "a night lost",
     _lines(lambda number, row: None if 300 < number < 400 else row)),
    ("glucose.csv", "timeliness", "thinned",
     _lines(lambda number, row: None if number and number % 2 == 0 else row)),
    ("glucose.csv", "accuracy", "absurd values",
     _in_some_rows(lambda row: row.rpartition(",")[0] + ",9999")),
    ("glucose.csv", "accuracy", "unreadable values",
     _in_some_rows(lambda row: row.rpartition(",")[0] + ",?")),
    ("glucose.csv", "accuracy", "rows repeated", _in_some_rows(lambda row: row + "\n" + row)),
    ("glucose.csv", "traceability", "ids lost",
     _in_some_rows(lambda row: row.replace("Subject 1", ""))),
    ("genome.vcf.gz", "completeness", "calls lost",
     _gunzipped(_in_some_rows(lambda row: row.replace("0/0", "./.").replace("0|0", ".|.")))),
    ("genome.vcf.gz", "completeness", "filters lost",
     _gunzipped(_in_some_rows(lambda row: _cells(row, 6, ".")))),
    ("genome.vcf.gz", "timeliness", "dates lost",
     _gunzipped(_lines(lambda _, row: row.replace("20100804", "").replace("20101112", "")))),
    ("genome.vcf.gz", "accuracy", "wrong order",
     _gunzipped(_in_some_rows(lambda row: _cells(row, 1, "1")))),
    ("genome.vcf.gz", "accuracy", "wrong bases",
     _gunzipped(_in_some_rows(lambda row: _cells(row, 3, "?")))),
    ("genome.vcf.gz", "annotation", "declaration lost",
     _gunzipped(_lines(lambda _, row: None if row.startswith("##INFO=<ID=AF") else row))),
    ("genome.vcf.gz", "annotation", "identifiers lost",
     _gunzipped(_lines(lambda _, row: _cells(row, 2, ".")))),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "lowered", "damage"),
    [
        pytest.param(name, lowered, damage, id=f"{name}: {about}")
        for name, lowered, about, damage in DAMAGES
    ],
)
def test_damage_lowers_its_score_and_raises_none(
    name: str, lowered: str, damage: Damage, real: dict[str, Path], tmp_path: Path
) -> None:
    copy = tmp_path / name
    copy.write_bytes(real[name].read_bytes())
    copy.write_bytes(damage(copy.read_bytes(), copy))
    before, after = assess(real[name]), assess(copy)
    assert getattr(after, lowered) < getattr(before, lowered)
    raised = [
        each for each in (*DIMENSIONS, "q", "dvi") if getattr(after, each) > getattr(before, each)
    ]
    assert raised == []


def test_losing_rows_of_a_genome_lowers_its_volume(real: dict[str, Path], tmp_path: Path) -> None:
    """Shares are of the rows that are left, so the other scores may move either way."""
    rows = gzip.decompress(real["genome.vcf.gz"].read_bytes()).splitlines(keepends=True)
    copy = tmp_path / "cut.vcf"
    copy.write_bytes(b"".join(rows[:-200]))
    assert assess(copy).volume < assess(real["genome.vcf.gz"]).volume


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_losing_any_inner_readings_of_a_series_raises_nothing(
    data: st.DataObject, real: dict[str, Path], tmp_path: Path
) -> None:
    rows = real["glucose.csv"].read_text(encoding="utf-8").splitlines()
    start: int = data.draw(st.integers(2, len(rows) - 3))
    stop: int = data.draw(st.integers(start + 1, len(rows) - 2))
    step = data.draw(st.integers(1, 12))
    assume(stop - start < len(rows) // 2)
    del rows[start:stop:step]
    copy = tmp_path / "copy.csv"
    copy.write_text("\n".join(rows), encoding="utf-8")
    before, after = assess(real["glucose.csv"]), assess(copy)
    assert all(getattr(after, each) <= getattr(before, each) for each in (*DIMENSIONS, "q", "dvi"))


def test_a_quality_cannot_be_changed(real: dict[str, Path]) -> None:
    quality = assess(real["ct.dcm"])
    with pytest.raises(dataclasses.FrozenInstanceError):
        quality.q = 100  # type: ignore[misc]

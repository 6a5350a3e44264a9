"""What is done to a file lowers the score that it concerns, and never raises another (R7)."""

from __future__ import annotations

import copy
import datetime as dt
import functools
import gzip
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medtoken.errors import MalformedFile
from medtoken.formats import _fhir
from medtoken.quality import DIMENSIONS, Quality, assess

AS_OF = dt.date(2026, 1, 1)
NUMBERS = (*DIMENSIONS, "q", "dvi")


@pytest.fixture(scope="module", autouse=True)
def _each_resource_is_validated_once() -> Any:
    """Validating a bundle takes seconds, and nearly all of each damaged bundle is the same."""

    @functools.cache
    def known(text: str, package: str) -> bool:
        return really(json.loads(text), package)

    really = _fhir.is_valid
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            _fhir, "is_valid", lambda one, package: known(json.dumps(one, default=float), package)
        )
        yield


@pytest.fixture(scope="module")
def whole(real: dict[str, Path]) -> dict[str, Quality]:
    """The scores of the files as they are."""
    return {name: assess(path, AS_OF) for name, path in real.items()}


def raised(before: Quality, after: Quality) -> list[str]:
    return [each for each in NUMBERS if getattr(after, each) > getattr(before, each)]


Damage = Callable[[bytes, Path], bytes]


def _json(change: Callable[[list[dict[str, Any]]], object]) -> Damage:
    def damage(whole: bytes, _: Path) -> bytes:
        bundle = json.loads(whole)
        change([entry["resource"] for entry in bundle["entry"]])
        return json.dumps(bundle).encode()

    return damage


def _each(kind: str, change: Callable[[dict[str, Any]], object]) -> Damage:
    return _json(lambda all_: [change(one) for one in all_ if one["resourceType"] == kind])


def _entries(change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Damage:
    def damage(whole: bytes, _: Path) -> bytes:
        bundle = json.loads(whole)
        bundle["entry"] = change(bundle["entry"])
        return json.dumps(bundle).encode()

    return damage


def _later(resource: dict[str, Any], year: str) -> bool:
    text = json.dumps({key: value for key, value in resource.items() if key != "meta"})
    return any(found >= year for found in re.findall(r'"([12][0-9]{3})-[0-9]{2}-[0-9]{2}', text))


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
    ("record.json", "annotation", "unknown codes",
     _each("Observation", lambda one: one["code"]["coding"][0].update(code="unknown"))),
    ("record.json", "traceability", "no provenance",
     _each("Provenance", lambda one: one["target"].clear())),
    ("record.json", "traceability", "provenance without anybody",
     _json(lambda all_: [one.pop("agent", None) or one.pop("encounter", None) for one in all_
                         if one["resourceType"] in ("Provenance", "Procedure")])),
    ("record.json", "volume", "observations lost", _entries(
        lambda entries: [one for one in entries if one["resource"]["resourceType"] != "Observation"])),
    ("record.json", "timeliness", "nothing after 2010", _entries(
        lambda entries: [one for one in entries if not _later(one["resource"], "2011")])),
    ("record.json", "accuracy", "entries repeated", _entries(lambda entries: entries + entries[:60])),
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
    ("glucose.csv", "completeness", "first half lost",
     _lines(lambda number, row: row if number < 1 or number > 1400 else None)),
    ("glucose.csv", "timeliness", "last days lost",
     _lines(lambda number, row: row if number < 2500 else None)),
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
     _gunzipped(_lines(lambda _, row: _cells(row, 6, ".")))),
    ("genome.vcf.gz", "volume", "rows lost",
     _gunzipped(_in_some_rows(lambda row: row if row.startswith("#") else None))),
    ("genome.vcf.gz", "accuracy", "rows repeated",
     _gunzipped(_in_some_rows(lambda row: row if row.startswith("#") else row + "\n" + row))),
    ("genome.vcf.gz", "accuracy", "impossible genotypes",
     _gunzipped(_in_some_rows(lambda row: row.replace("0/0", "7/7").replace("0|0", "7|7")))),
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
    name: str,
    lowered: str,
    damage: Damage,
    real: dict[str, Path],
    whole: dict[str, Quality],
    tmp_path: Path,
) -> None:
    copied = tmp_path / name
    copied.write_bytes(real[name].read_bytes())
    copied.write_bytes(damage(copied.read_bytes(), copied))
    after = assess(copied, AS_OF)
    assert getattr(after, lowered) < getattr(whole[name], lowered)
    assert raised(whole[name], after) == []


# Any damage of a kind: hypothesis chooses where, and several kinds may meet in one file.


def _fhir_damage(  # noqa: PLR0912  # one kind after the other
    bundle: dict[str, Any], kind: str, dice: random.Random
) -> None:
    entries = bundle["entry"]
    some = dice.sample(entries, dice.choice([1, 5, 50, len(entries) // 3]))
    match kind:
        case "drop":
            kept = [one for one in entries if not any(one is gone for gone in some)]
            bundle["entry"] = kept
        case "blank":
            for entry in some:
                keys = sorted(set(entry["resource"]) - {"resourceType"})
                entry["resource"].pop(dice.choice(keys))
        case "truncate":
            year = str(dice.randint(1999, 2022))
            bundle["entry"] = [one for one in entries if not _later(one["resource"], year)]
        case "codes":
            for entry in some:
                for _, node in _fhir._walk(entry["resource"]):
                    if "system" in node and "code" in node:
                        node[dice.choice(["system", "code"])] = "urn:unknown"
        case "provenance":
            gone = dice.choice([True, False])
            for entry in list(entries):
                if entry["resource"]["resourceType"] == "Provenance":
                    entries.remove(entry) if gone else entry["resource"].pop("agent")
        case "repeat":
            for entry in some:
                entries.insert(dice.randrange(len(entries)), copy.deepcopy(entry))
        case "copy":
            for number, entry in enumerate(copy.deepcopy(some)):
                entry["fullUrl"] = f"urn:uuid:copy-{number}"
                entry["resource"]["id"] = f"copy-{number}"
                entries.append(entry)
        case "permute":
            dice.shuffle(entries)


def _csv_damage(rows: list[str], kind: str, dice: random.Random) -> None:
    inner = range(1, len(rows))
    some = dice.sample(inner, dice.choice([1, 20, len(rows) // 4]))
    match kind:
        case "drop":
            for row in sorted(some, reverse=True):
                del rows[row]
        case "gap":
            start = dice.choice(inner)
            del rows[start : start + dice.randint(1, len(rows) // 3)]
        case "blank":
            for row in some:
                cells = rows[row].split(",")
                cells[dice.randrange(len(cells))] = dice.choice(["", "?"])
                rows[row] = ",".join(cells)
        case "truncate":
            del rows[dice.randint(len(rows) // 3, len(rows) - 1) :]
        case "repeat":
            for row in sorted(some, reverse=True):
                rows.insert(dice.randint(row, len(rows)), rows[row])
        case "permute":
            first, second = sorted(dice.sample(inner, 2))
            part = rows[first:second]
            dice.shuffle(part)
            rows[first:second] = part


def _vcf_damage(rows: list[str], kind: str, dice: random.Random) -> None:
    header = sum(row.startswith("#") for row in rows)
    body = range(header, len(rows))
    some = dice.sample(body, dice.choice([1, 20, len(body) // 3]))
    match kind:
        case "drop":
            for row in sorted(some, reverse=True):
                del rows[row]
        case "blank":
            for row in some:
                cells = rows[row].split("\t")
                cells[dice.choice([2, 3, 4, 5, 6, 7, *range(9, len(cells))])] = "."
                rows[row] = "\t".join(cells)
        case "genotypes":
            broken = dice.choice(["9/9", "x", "./.", "."])
            for row in some:
                cells = rows[row].split("\t")
                for column in dice.sample(range(9, len(cells)), dice.choice([1, 100, 600])):
                    cells[column] = broken + ":" + cells[column].partition(":")[2]
                rows[row] = "\t".join(cells)
        case "header":
            del rows[dice.randrange(1, header - 1)]
        case "repeat":
            for row in sorted(some, reverse=True):
                rows.insert(dice.randint(row, len(rows)), rows[row])
        case "permute":
            part = rows[header:]
            dice.shuffle(part)
            rows[header:] = part


def _damaged(name: str, real: Path, kinds: list[str], dice: random.Random) -> bytes:
    data = real.read_bytes()
    if name == "record.json":
        bundle = json.loads(data)
        for kind in kinds:
            _fhir_damage(bundle, kind, dice)
        return json.dumps(bundle).encode()
    packed = name.endswith(".gz")
    rows = (gzip.decompress(data) if packed else data).decode().splitlines()
    for kind in kinds:
        (_vcf_damage if packed else _csv_damage)(rows, kind, dice)
    return "\n".join(rows).encode() + b"\n"


KINDS = {
    "record.json": [
        "drop", "blank", "truncate", "codes", "provenance", "repeat", "copy", "permute",
    ],
    "glucose.csv": ["drop", "gap", "blank", "truncate", "repeat", "permute"],
    "genome.vcf.gz": ["drop", "blank", "genotypes", "header", "repeat", "permute"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name, kinds in KINDS.items() for kind in kinds]
)
def test_no_damage_of_a_kind_raises_anything(
    name: str, kind: str, real: dict[str, Path], whole: dict[str, Quality], tmp_path: Path
) -> None:
    @settings(max_examples=4, deadline=None)
    @given(seed=st.integers(0, 2**32))
    def holds(seed: int) -> None:
        copied = tmp_path / name
        copied.write_bytes(_damaged(name, real[name], [kind], random.Random(seed)))
        try:
            after = assess(copied, AS_OF)
        except MalformedFile:
            return  # mostly unusable: no score at all
        assert raised(whole[name], after) == []

    holds()


@pytest.mark.parametrize("name", ["ct.dcm", "mr.dcm"])
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32), number=st.integers(1, 40), blank=st.booleans())
def test_no_tags_removed_or_emptied_raise_anything(
    name: str,
    seed: int,
    number: int,
    blank: bool,
    real: dict[str, Path],
    whole: dict[str, Quality],
    tmp_path: Path,
) -> None:
    dataset = pydicom.dcmread(real[name])
    tags = [element.tag for element in dataset if element.keyword != "PixelData"]
    for tag in random.Random(seed).sample(tags, min(number, len(tags))):
        if blank:
            dataset[tag].value = None
        else:
            del dataset[tag]
    copied = tmp_path / name
    dataset.save_as(copied)
    try:
        after = assess(copied, AS_OF)
    except MalformedFile:
        return
    assert raised(whole[name], after) == []


def test_the_order_of_a_bundle_means_nothing(
    real: dict[str, Path], whole: dict[str, Quality], tmp_path: Path
) -> None:
    copied = tmp_path / "record.json"
    copied.write_bytes(_damaged("record.json", real["record.json"], ["permute"], random.Random(1)))
    assert assess(copied, AS_OF) == whole["record.json"]


def test_copies_under_other_names_add_nothing(
    real: dict[str, Path], whole: dict[str, Quality], tmp_path: Path
) -> None:
    bundle = json.loads(real["record.json"].read_bytes())
    for seed in range(5):
        _fhir_damage(bundle, "copy", random.Random(seed))
    copied = tmp_path / "record.json"
    copied.write_text(json.dumps(bundle), encoding="utf-8")
    assert assess(copied, AS_OF).volume == whole["record.json"].volume


def test_cutting_out_what_is_worse_is_curation_and_costs_volume(tmp_path: Path) -> None:
    """Beyond what a whole takes, a share is of what is there: the method says so."""
    header = (
        '##fileformat=VCFv4.2\n##FORMAT=<ID=GT,Number=1,Type=String,Description="x">\n'
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\n"
    )
    rows = [
        f"1\t{place}\t.\tA\tC\t.\t.\t.\tGT\t{'./.' if place % 2 else '0/1'}\n"
        for place in range(1, 4001)
    ]
    path = tmp_path / "x.vcf"
    path.write_text(header + "".join(rows), encoding="utf-8")
    before = assess(path, AS_OF)
    path.write_text(header + "".join(rows[1::2]), encoding="utf-8")
    after = assess(path, AS_OF)
    assert after.completeness > before.completeness
    assert after.volume < before.volume

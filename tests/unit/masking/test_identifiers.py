"""No identifier of a real file survives, the copy still reads, and intervals are what they were."""

from __future__ import annotations

import csv
import datetime as dt
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest

from medtoken import formats
from medtoken.masking import load_profile, mask_file

from .conftest import FILES, PROFILES, SECRET

DAY = re.compile(r"\d{4}-\d\d-\d\d")


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, f"{path}.{key}")
    elif isinstance(node, list):
        for value in node:
            yield from leaves(value, path)
    else:
        yield path, node


def identifiers_of_bundle(bundle: dict[str, Any]) -> set[str]:
    """Every string of it but codes of a terminology, statuses, and the names of resource types."""
    harmless = (".code", ".system", ".status", ".resourceType", ".gender", ".type", ".intent",
                ".comparator", ".unit", ".use", ".url", ".method", ".outcome")  # fmt: skip
    found = set()
    for entry in bundle["entry"]:
        for path, value in leaves(entry):
            if isinstance(value, str) and not path.endswith(harmless):
                found.add(value)
                if DAY.match(value):
                    found.add(value[:10])
                found.add(value.removeprefix("urn:uuid:"))
    types = {entry["resource"]["resourceType"] for entry in bundle["entry"]}
    return {text for text in found - types if len(text) >= 4}


@pytest.mark.parametrize("profile", PROFILES)
def test_no_identifier_of_a_health_record_survives(
    profile: str, real: dict[str, Path], masked: dict[tuple[str, str], Path]
) -> None:
    bundle = json.loads(real["record.json"].read_bytes())
    text = masked[profile, "record.json"].read_text("utf-8")
    left = {value for _, value in leaves(json.loads(text)) if isinstance(value, str)}
    identifiers = identifiers_of_bundle(bundle)
    assert len(identifiers) > 2000
    names = {v for p, v in leaves(bundle) if p.endswith((".family", ".given", ".line", ".city"))}
    assert names
    assert not [name for name in names if re.search(rf"\b{re.escape(name)}\b", text)]
    days = {one for one in identifiers if DAY.fullmatch(one)}
    # A moved date may fall on a date that the record also has; the same date in the same place not.
    assert not sorted((identifiers - days) & left)
    assert not any(one in text for one in identifiers if len(one) >= 16)


@pytest.mark.parametrize("profile", PROFILES)
def test_no_identifier_of_a_series_survives(
    profile: str, real: dict[str, Path], masked: dict[tuple[str, str], Path]
) -> None:
    rows = list(csv.DictReader(real["glucose.csv"].read_text().splitlines()))
    text = masked[profile, "glucose.csv"].read_text()
    assert len(text.splitlines()) == len(rows) + 1
    assert not any(row[key] in text for row in rows for key in ("id", "time"))


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", ["ct.dcm", "mr.dcm"])
def test_no_identifier_of_an_image_survives(
    profile: str, name: str, real: dict[str, Path], masked: dict[tuple[str, str], Path]
) -> None:
    source = pydicom.dcmread(real[name])
    copy = pydicom.dcmread(masked[profile, name])
    data = masked[profile, name].read_bytes().replace(copy.PixelData, b"")
    data = data.replace(str(copy.get("Manufacturer")).encode(), b"")
    kept = {"SOPClassUID", "MediaStorageSOPClassUID", "TransferSyntaxUID"}
    seen = 0
    for element in [*source.iterall(), *source.file_meta]:
        if element.VR not in ("PN", "LO", "SH", "ST", "LT", "UI", "DA", "AE", "UT", "UN"):
            continue
        if element.keyword in kept | {"Manufacturer"} or element.tag.group == 2:
            continue
        for value in [element.value] if element.VM <= 1 else element.value:
            text = value if isinstance(value, bytes) else str(value).encode()
            if len(text.strip()) >= 4 and str(value) != str(source.get("Manufacturer")):
                seen += 1
                assert text.strip() not in data, (element.keyword, text)
    assert seen > 10
    assert not [element for element in copy.iterall() if element.tag.is_private]
    assert copy.PatientIdentityRemoved == "YES"
    assert copy.PatientName == copy.PatientBirthDate == copy.AccessionNumber == ""
    assert source.PixelData == copy.PixelData
    assert data[:128] == bytes(128)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", FILES)
def test_a_masked_copy_still_reads(
    profile: str, name: str, real: dict[str, Path], masked: dict[tuple[str, str], Path]
) -> None:
    before, after = formats.read(real[name]), formats.read(masked[profile, name])
    assert after.format == before.format
    assert after.subjects == before.subjects
    assert 0 < after.entries <= before.entries


def test_the_health_record_is_valid_and_refers_to_nothing_that_stayed(
    masked: dict[tuple[str, str], Path],
) -> None:
    facts = formats.read(masked["de-identified", "record.json"]).facts
    assert isinstance(facts, formats.FhirFacts)
    assert facts.invalid == 0
    assert facts.references > 1000
    assert facts.unresolved == 0


@pytest.mark.parametrize("name", FILES)
def test_the_same_file_gives_the_same_bytes(
    name: str, real: dict[str, Path], masked: dict[tuple[str, str], Path], tmp_path: Path
) -> None:
    profile = load_profile("de-identified")
    again, other = tmp_path / "again", tmp_path / "other"
    mask_file(real[name], again, profile, SECRET, inspected=True)
    assert again.read_bytes() == masked["de-identified", name].read_bytes()
    mask_file(real[name], other, profile, bytes(32), inspected=True)
    assert other.read_bytes() != again.read_bytes()
    mask_file(real[name], other, profile, SECRET, scope="another", inspected=True)
    assert other.read_bytes() != again.read_bytes()


def test_a_scope_keeps_a_study_together(real: dict[str, Path], tmp_path: Path) -> None:
    source = pydicom.dcmread(real["ct.dcm"])
    source.SOPInstanceUID = source.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    source.save_as(tmp_path / "second.dcm")
    profile = load_profile("de-identified")
    found = []
    for number, path in enumerate([real["ct.dcm"], tmp_path / "second.dcm"]):
        mask_file(path, tmp_path / f"{number}.dcm", profile, SECRET, scope="study")
        found.append(pydicom.dcmread(tmp_path / f"{number}.dcm"))
    first, second = found
    assert first.StudyInstanceUID == second.StudyInstanceUID
    assert first.PatientID == second.PatientID
    assert first.StudyDate == second.StudyDate
    assert first.SOPInstanceUID != second.SOPInstanceUID


def test_intervals_of_a_series_are_kept_to_the_second(
    real: dict[str, Path], masked: dict[tuple[str, str], Path]
) -> None:
    before = list(csv.DictReader(real["glucose.csv"].read_text().splitlines()))
    for profile in PROFILES:
        after = list(csv.DictReader(masked[profile, "glucose.csv"].read_text().splitlines()))
        moved = {
            dt.datetime.fromisoformat(a["time"]) - dt.datetime.fromisoformat(b["time"])
            for a, b in zip(after, before, strict=True)
        }
        assert len(moved) == 1
        assert [row["gl"] for row in after] == [row["gl"] for row in before]
        assert {row["id"] for row in after} != {row["id"] for row in before}
        (by,) = moved
        if profile == "de-identified":
            assert -1827 < by.days <= -366
            assert by.seconds == 0


def test_intervals_of_a_health_record_are_kept_to_the_second(
    real: dict[str, Path], masked: dict[tuple[str, str], Path]
) -> None:
    def times(path: Path) -> list[dt.datetime]:
        entries = json.loads(path.read_bytes())["entry"]
        return [
            dt.datetime.fromisoformat(entry["resource"]["effectiveDateTime"]).replace(microsecond=0)
            for entry in entries
            if entry["resource"]["resourceType"] == "Observation"
        ]

    before = times(real["record.json"])
    for profile in PROFILES:
        after = times(masked[profile, "record.json"])
        assert len(after) == len(before) > 600
        assert len({a - b for a, b in zip(after, before, strict=True)}) == 1
    assert min(after).year == 2000  # the last profile's times are relative

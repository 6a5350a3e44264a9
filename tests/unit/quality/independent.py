"""The method's text computed a second time, from the raw files and by other means.

Nothing of medtoken is imported. It reads the real files only: it takes valid resources for granted,
which the reader checks, and no file that is damaged.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pydicom

WEIGHTS = (15, 20, 15, 20, 15, 15)


def scores(path: Path, as_of: str) -> list[int]:
    """Volume, completeness, timeliness, accuracy, annotation, traceability, Q, DVI."""
    by_name = {".json": _fhir, ".dcm": _dicom, ".csv": _series, ".gz": _variants}
    last, tenths = by_name[path.suffix](path)
    days = (dt.date.fromisoformat(as_of) - dt.date.fromisoformat(last)).days
    tenths[2] += 40 * (Fraction(3653, 3653 + days) if days >= 0 else 0)
    six = [int(points) for points in tenths]
    index = sum(weight * score for weight, score in zip(WEIGHTS, six, strict=True)) // 100
    return [*six, (six[1] + six[4]) // 2, index]


def _towards(count: int, half: int) -> Fraction:
    return Fraction(100 * count, count + half)


def _has(node: Any, systems: dict[str, str]) -> bool:
    if isinstance(node, list):
        return any(_has(child, systems) for child in node)
    if not isinstance(node, dict):
        return False
    coded = node.get("system") in systems and "code" in node
    return coded or "reference" in node or any(_has(child, systems) for child in node.values())


def _fhir(path: Path) -> tuple[str, list[Fraction]]:
    clinical = [
        "AllergyIntolerance", "CarePlan", "Condition", "DiagnosticReport", "DocumentReference",
        "Encounter", "FamilyMemberHistory", "ImagingStudy", "Immunization",
        "MedicationAdministration", "MedicationDispense", "MedicationRequest",
        "MedicationStatement", "Observation", "Procedure",
    ]  # fmt: skip
    about = {
        "CarePlan": "category", "Encounter": "type", "ImagingStudy": "procedureCode",
        "Immunization": "vaccineCode", "MedicationRequest": "medicationCodeableConcept",
        "MedicationAdministration": "medicationCodeableConcept",
    }  # fmt: skip
    standard = dict.fromkeys(
        ("http://loinc.org", "http://snomed.info/sct", "http://hl7.org/fhir/sid/cvx",
         "http://www.nlm.nih.gov/research/umls/rxnorm",
         "http://dicom.nema.org/resources/ontology/DCM"), "",
    )  # fmt: skip
    when = [
        "effectiveDateTime", "effectivePeriod", "occurrenceDateTime", "performedDateTime",
        "performedPeriod", "period", "onsetDateTime", "authoredOn", "started", "created",
        "recordedDate", "issued",
    ]  # fmt: skip
    bundle = json.loads(path.read_bytes())
    said: dict[str, tuple[str, dict[str, Any]]] = {}
    by_type: dict[str, list[dict[str, Any]]] = {}
    for entry in bundle["entry"]:
        one = entry["resource"]
        by_type.setdefault(one["resourceType"], []).append(one)
        if one["resourceType"] in clinical:
            bare = {k: v for k, v in one.items() if k not in ("id", "identifier", "meta", "text")}
            said.setdefault(json.dumps(bare, sort_keys=True), (entry["fullUrl"], one))
    ids = [(one["resourceType"], one.get("id")) for each in by_type.values() for one in each]
    assert len(set(ids)) == len(ids) == len({e["fullUrl"] for e in bundle["entry"]})
    targets = {t["reference"] for p in by_type["Provenance"] for t in p["target"]}
    assert all(p["agent"] for p in by_type["Provenance"])
    (person,) = by_type["Patient"]
    birth = dt.date.fromisoformat(person["birthDate"])
    sections = [
        "Condition", "MedicationRequest", "AllergyIntolerance", "Immunization", "Procedure",
        "Observation", "DiagnosticReport", "Encounter",
    ]  # fmt: skip
    dates, filled, coded, made, aware, after = [], 0, 0, 0, 0, 0
    for url, one in said.values():
        found = next(one[key] for key in when if key in one)
        day = (found if isinstance(found, str) else found["start"])[:10]
        dates.append(day)
        after += (birth - dt.date.fromisoformat(day)).days <= 300
        what = one.get(about.get(one["resourceType"], "code"))
        filled += bool(what)
        filled += bool(one.get("subject") or one.get("patient"))
        filled += bool(one.get("status") or one.get("clinicalStatus"))
        coded += _has(what, standard)
        made += url in targets
        aware += url in targets or "encounter" in one
    n = len(said)
    urls = {e["fullUrl"] for e in bundle["entry"]}
    quoted = json.dumps(bundle).split('"reference": "urn:')[1:]
    refs = ["urn:" + text.partition('"')[0] for text in quoted]
    fields = sum(bool(person.get(k)) for k in ("gender", "birthDate", "identifier", "name"))
    return max(dates), [
        _towards(n, 100),
        Fraction(40 * sum(s in by_type for s in sections), 8)
        + 5 * fields
        + Fraction(40 * filled, 3 * n),
        Fraction(60 * len(dates), n),
        60 + Fraction(20 * sum(r in urls for r in refs), len(refs)) + Fraction(20 * after, n),
        Fraction(70 * coded, n) + 30,
        Fraction(50 * made, n) + Fraction(30 * aware, n),
    ]


def _dicom(path: Path) -> tuple[str, list[Fraction]]:
    image = pydicom.dcmread(path)

    def there(names: str) -> Fraction:
        keys = names.split()
        return Fraction(sum(str(image.get(key, "")) not in ("", "None") for key in keys), len(keys))

    dates = ["AcquisitionDate", "SeriesDate", "ContentDate", "StudyDate"]
    days = [str(image[key].value) for key in dates if image.get(key)]
    technique = {
        "CT": "KVP XRayTubeCurrent ExposureTime ConvolutionKernel RescaleIntercept RescaleSlope",
        "MR": "RepetitionTime EchoTime MagneticFieldStrength FlipAngle ScanningSequence "
        "SequenceVariant",
    }
    taken, studied = image.get("AcquisitionDate"), image.get("StudyDate")
    stored = image.get("InstanceCreationDate")
    size = image.Rows * image.Columns * image.SamplesPerPixel * image.BitsAllocated // 8
    checks = [
        len(image.PixelData) == size + size % 2,
        all(pydicom.uid.UID(image[f"{key}UID"].value).is_valid
            for key in ("StudyInstance", "SeriesInstance", "SOPInstance", "SOPClass")),
        image.file_meta.MediaStorageSOPInstanceUID == image.SOPInstanceUID
        and image.file_meta.MediaStorageSOPClassUID == image.SOPClassUID,
        image.HighBit == image.BitsStored - 1 <= image.BitsAllocated - 1,
        image.SOPClassUID.name.startswith(image.Modality),
        all(distance > 0 for distance in image.PixelSpacing),
        bool(taken and studied and studied <= taken),
        bool(taken and stored and taken <= stored),
    ]  # fmt: skip
    last = max(days)
    return f"{last[:4]}-{last[4:6]}-{last[6:]}", [
        _towards(image.Rows * image.Columns, 512 * 512),
        60
        * there(
            "StudyInstanceUID SeriesInstanceUID SOPInstanceUID SOPClassUID PatientID PatientSex "
            "PatientBirthDate StudyDate StudyTime StudyID AccessionNumber ReferringPhysicianName "
            "SeriesNumber InstanceNumber Modality Manufacturer Rows Columns SamplesPerPixel "
            "PhotometricInterpretation BitsAllocated BitsStored HighBit PixelRepresentation"
        )
        + 20
        * there(
            "PixelSpacing ImageOrientationPatient ImagePositionPatient SliceThickness "
            "FrameOfReferenceUID BodyPartExamined"
        )
        + 20 * there(technique[image.Modality]),
        35 * there(" ".join(dates))
        + 20 * there("AcquisitionTime SeriesTime ContentTime StudyTime")
        + 5 * there("TimezoneOffsetFromUTC"),
        Fraction(100 * sum(checks), len(checks)),
        30
        + 20
        + 15 * there("BodyPartExamined")
        + 20 * there("StudyDescription SeriesDescription ProtocolName"),
        100
        * there(
            "InstitutionName Manufacturer ManufacturerModelName DeviceSerialNumber StationName "
            "SoftwareVersions AccessionNumber InstanceCreationDate"
        ),
    ]


def _series(path: Path) -> tuple[str, list[Fraction]]:
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    times = [dt.datetime.fromisoformat(row["time"]) for row in rows]
    start = dt.datetime(1970, 1, 1)  # noqa: DTZ001  # the file's times are naive
    seconds = [int((time - start).total_seconds()) for time in times]
    gaps = [after - before for before, after in pairwise(seconds)]
    values = [Fraction(row["gl"]) for row in rows]
    assert all(gap > 0 for gap in gaps)
    steady = all(
        gap > 900 or abs(after - before) * 60 <= 25 * max(gap, 60)
        for gap, (before, after) in zip(gaps, pairwise(values), strict=True)
    )
    assert steady
    assert all(20 <= value <= 600 for value in values)
    two_weeks = 14 * 86_400
    span = max(seconds[-1] - seconds[0], two_weeks)
    quarters = max(seconds[-1] // 900 - seconds[0] // 900 + 1, two_weeks // 900)
    return times[-1].date().isoformat(), [
        _towards(sum(gap for gap in gaps if gap <= 45 * 60), two_weeks),
        Fraction(70 * len({second // 900 for second in seconds}), quarters) + 30,
        Fraction(30 * sum(min(gap, 900) for gap in gaps), span)
        + Fraction(30 * sum(min(gap, 330) for gap in gaps), span),
        Fraction(100),
        Fraction(40),
        Fraction(60 * sum(bool(row["id"]) for row in rows), len(rows)),
    ]


def _variants(path: Path) -> tuple[str, list[Fraction]]:
    text = gzip.decompress(path.read_bytes()).decode().splitlines()
    header = [line for line in text if line.startswith("##")]
    names, *rows = (line.split("\t") for line in text if not line.startswith("##"))
    samples = len(names) - 9
    places = [(row[0], int(row[1])) for row in rows]
    assert places == sorted(places)
    assert len({row[0] for row in rows}) == 1
    assert len({(*row[:2], row[3], row[4]) for row in rows}) == len(rows)
    called = sum("." not in cell.partition(":")[0] for row in rows for cell in row[9:])
    known = {line.split("ID=")[1].split(",")[0] for line in header if "=<ID=" in line}
    used = {item.partition("=")[0] for row in rows for item in row[7].split(";")}
    used |= {key for row in rows for key in row[8].split(":")}
    assert used <= known
    assert {row[6] for row in rows} == {"PASS"}
    days = [line.partition("=")[2] for line in header if line.partition("=")[2][:2] == "20"]
    last, n = max(days), max(len(rows), 1000)
    assert not any(line.lower().startswith("##filedate=") for line in header)
    return f"{last[:4]}-{last[4:6]}-{last[6:8]}", [
        _towards(len(rows), 1000),
        Fraction(80 * called, n * samples)
        + Fraction(10 * len(rows), n)
        + Fraction(10 * sum(row[5] != "." for row in rows), n),
        Fraction(30),
        Fraction(100),
        50 + Fraction(30 * sum(row[2] != "." for row in rows), n),
        Fraction(30),
    ]

"""FHIR bundles: what is measured, and every way of not being one."""

from __future__ import annotations

import copy
import datetime as dt
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medtoken.errors import MalformedFile, MedtokenError, UnsupportedFile
from medtoken.formats import FhirFacts, MedicalFile, read

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "gender": "female",
    "birthDate": "1980-05-01",
}
PRESSURE: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
    "subject": {"reference": "urn:uuid:p"},
    "effectiveDateTime": "2020-02-29T10:00:00Z",
}
ENCOUNTER: dict[str, Any] = {
    "resourceType": "Encounter",
    "status": "finished",
    "class": {"code": "AMB"},
    "subject": {"reference": "urn:uuid:p"},
}
ENCOUNTER_R5 = {"resourceType": "Encounter", "status": "completed", "class": [{"text": "AMB"}]}
CARE_STU3 = {
    "resourceType": "ImagingStudy",
    "uid": "urn:oid:1.2.3",
    "patient": {"reference": "Patient/p"},
}


def bundle(*resources: Any, **more: Any) -> dict[str, Any]:
    entries = [
        {"fullUrl": f"urn:uuid:{one['id']}", "resource": one}
        if isinstance(one, dict) and "id" in one
        else {"resource": one}
        for one in resources
    ]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries, **more}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x"


def read_json(path: Path, content: Any) -> MedicalFile:
    path.write_text(json.dumps(content), encoding="utf-8")
    return read(path)


def test_a_small_bundle_is_measured_exactly(path: Path) -> None:
    wrong = copy.deepcopy(PRESSURE)
    wrong["code"]["coding"][0]["code"] = "8480-5"
    wrong["effectiveDateTime"] = "1970"
    wrong["subject"]["reference"] = "urn:uuid:nobody"
    old = {**PRESSURE, "effectiveDateTime": "1950-01-01", "performer": [{"display": "lab"}]}
    made = {
        "resourceType": "Provenance",
        "recorded": "2020-03-01T00:00:00Z",
        "target": [{"reference": "urn:uuid:e"}],
        "agent": [{"who": {"display": "ward"}}],
    }
    encounter = {**ENCOUNTER, "id": "e"}
    file = read_json(
        path,
        bundle(PATIENT, PRESSURE, wrong, old, encounter, made, timestamp="2021-01-01T00:00:00Z"),
    )
    assert file.units == Fraction(1)
    assert file.milliunits == 1000
    assert file.entries == 6
    assert file.codes == ("LOINC:8480-6",)
    assert (file.start, file.end) == (dt.date(1950, 1, 1), dt.date(2020, 2, 29))
    assert file.facts == FhirFacts(
        bundle_type="collection",
        resources=6,
        invalid=0,
        repeated=0,
        types=(("Encounter", 1), ("Observation", 3), ("Patient", 1), ("Provenance", 1)),
        patients=1,
        patient_fields=2,
        clinical=4,
        dated=2,
        after_birth=1,
        named=3,
        coded=2,
        status=4,
        attached=4,
        attributed=2,
        provenanced=1,
        references=5,
        unresolved=1,
        codings=3,
        right_codes=2,
        identified=True,
    )


def test_invalid_resources_are_counted_while_most_are_valid(path: Path) -> None:
    broken = {**PRESSURE, "status": ["final"]}
    file = read_json(path, bundle(PATIENT, PRESSURE, ENCOUNTER, broken))
    assert isinstance(file.facts, FhirFacts)
    assert file.facts.invalid == 1
    with pytest.raises(MalformedFile) as refusal:
        read_json(path, bundle(PATIENT, broken, broken))
    assert str(refusal.value) == "x: 2 of its 3 resources are not valid FHIR R4"


@pytest.mark.parametrize(("version", "alien"), [("R5", ENCOUNTER_R5), ("STU3", CARE_STU3)])
def test_another_version_of_fhir_is_named(version: str, alien: Any, path: Path) -> None:
    with pytest.raises(UnsupportedFile) as refusal:
        read_json(path, bundle(PATIENT, PRESSURE, PRESSURE, alien))
    assert str(refusal.value) == f"x: is FHIR {version}, and medtoken reads FHIR R4"


def test_a_byte_order_mark_is_tolerated(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(bundle(PATIENT)).encode())
    assert read(path).subjects == 1


REFUSED: dict[str, tuple[bytes, type[MedtokenError], str]] = {
    "truncated": (
        b'{"resourceType": "Bundle",',
        MalformedFile,
        "x: is not valid JSON or is truncated (Expecting property name enclosed in double quotes "
        "at line 1)",
    ),
    "not utf-8": (b'{"a": "\xff"}', MalformedFile, "x: is not UTF-8 text"),
    "not a number": (b'{"a": NaN}', MalformedFile, "x: holds NaN, which is not a JSON number"),
    "infinite": (
        b'{"a": -Infinity}',
        MalformedFile,
        "x: holds -Infinity, which is not a JSON number",
    ),
    "property twice": (
        b'{"resourceType": "Bundle", "resourceType": "Patient"}',
        MalformedFile,
        "x: a JSON object names the same property twice",
    ),
    "endless number": (
        b'{"a": ' + b"9" * 5000 + b"}",
        MalformedFile,
        "x: holds a number too long to read",
    ),
    "very deep": (
        b'{"a": ' + b"[" * 200_000,
        MalformedFile,
        "x: its JSON is nested too deeply",
    ),
    "deep": (
        b'{"a": ' + b"[" * 70 + b"]" * 70 + b"}",
        MalformedFile,
        "x: its JSON is nested more than 64 deep",
    ),
    "deep objects": (
        b'{"a": ' * 70 + b"1" + b"}" * 70,
        MalformedFile,
        "x: its JSON is nested more than 64 deep",
    ),
    "other json": (b'{"a": 1}', UnsupportedFile, "x: is JSON, but not a FHIR resource"),
    "resource type of a wrong type": (
        b'{"resourceType": 3}',
        UnsupportedFile,
        "x: is JSON, but not a FHIR resource",
    ),
    "a patient": (
        json.dumps(PATIENT).encode(),
        UnsupportedFile,
        "x: is a FHIR Patient, and medtoken reads a Bundle",
    ),
    "no entry": (
        b'{"resourceType": "Bundle", "type": "collection"}',
        MalformedFile,
        "x: is a FHIR Bundle without entries",
    ),
    "empty entry": (
        json.dumps(bundle(PATIENT, None)).encode(),
        MalformedFile,
        "x: entry 2 of the bundle holds no FHIR resource",
    ),
    "entries of a wrong type": (
        b'{"resourceType": "Bundle", "type": "collection", "entry": ["a"]}',
        MalformedFile,
        "x: entry 1 of the bundle holds no FHIR resource",
    ),
    "no bundle type": (
        json.dumps({**bundle(PATIENT), "type": None}).encode(),
        MalformedFile,
        "x: its Bundle element is not valid FHIR R4",
    ),
    "unknown property": (
        json.dumps(bundle(PATIENT, colour="red")).encode(),
        MalformedFile,
        "x: its Bundle element is not valid FHIR R4",
    ),
    "unknown resource": (
        json.dumps(bundle({"resourceType": "os.system"})).encode(),
        MalformedFile,
        "x: 1 of its 1 resource is not valid FHIR R4",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_bundle_is_refused_in_one_sentence(case: str, path: Path) -> None:
    content, error, sentence = REFUSED[case]
    path.write_bytes(content)
    with pytest.raises(UnsupportedFile) as refusal:
        read(path)
    assert type(refusal.value) is error
    assert str(refusal.value) == sentence


def test_a_bundle_too_large_for_memory_is_refused_unread(path: Path) -> None:
    path.write_bytes(b"{" + b" " * 70_000)
    with path.open("r+b") as stream:
        stream.truncate(64 * 1024 * 1024 + 1)
    with pytest.raises(UnsupportedFile) as refusal:
        read(path)
    assert str(refusal.value) == (
        "x: is a JSON file of 67,108,865 bytes, and bundles are read up to 67,108,864"
    )


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["resourceType", "code", "coding", "system", "subject", "reference", "period"]
            ),
            below,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    kind=st.sampled_from(["Observation", "Encounter", "Patient", "Provenance", "Bundle", "Zzz"]),
    key=st.sampled_from(["code", "subject", "target", "effectivePeriod", "period", "birthDate"]),
    value=_JSON,
)
def test_any_value_anywhere_is_read_or_refused(kind: str, key: str, value: Any, path: Path) -> None:
    content = bundle(PATIENT, PRESSURE, ENCOUNTER, {"resourceType": kind, key: value})
    try:
        file = read_json(path, content)
    except UnsupportedFile as refusal:
        assert str(refusal).startswith("x: ")
    else:
        assert file.entries == 4


def test_what_says_the_same_counts_once_and_a_repeated_id_is_counted(path: Path) -> None:
    copies = [{**PRESSURE, "id": name} for name in "aab"]
    found = read_json(path, bundle(PATIENT, *copies, ENCOUNTER)).facts
    assert isinstance(found, FhirFacts)
    assert (found.clinical, found.repeated) == (2, 1)

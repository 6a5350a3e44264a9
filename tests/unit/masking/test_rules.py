"""What each rule lets out, on files made for it; deny by default."""

from __future__ import annotations

import contextlib
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medtoken.errors import BadInput, MalformedFile, UnsupportedFile
from medtoken.masking import load_profile, mask_file, select

from .conftest import SECRET

LOINC = {"system": "http://loinc.org", "code": "2339-0", "display": "Glucose of Jane Roe"}
UCUM = "http://unitsofmeasure.org"


def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {"fullUrl": f"urn:uuid:00000000-0000-4000-8000-{number:012}", "resource": one}
            for number, one in enumerate(resources)
        ],
    }


def patient(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": "p", "name": [{"family": "Roe"}], **more}


def observation(who: str = "Patient/p", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [LOINC], "text": "Jane Roe's sugar"},
        "subject": {"reference": who, "display": "Jane Roe"},
        "effectiveDateTime": "2020-03-04T05:06:07.5+02:00",
        "valueQuantity": {"value": 101.5, "unit": "mg/dL", "system": UCUM, "code": "mg/dL"},
        **more,
    }


def masked(tmp_path: Path, document: Any, profile: str = "de-identified") -> list[dict[str, Any]]:
    source, copy = tmp_path / "in.json", tmp_path / "out.json"
    source.write_text(json.dumps(document))
    mask_file(source, copy, load_profile(profile), SECRET)
    text = copy.read_text()
    assert "Roe" not in text
    return [entry["resource"] for entry in json.loads(text)["entry"]]


def test_an_observation_leaves_as_codes_values_and_a_moved_time(tmp_path: Path) -> None:
    _, found = masked(tmp_path, bundle(patient(gender="female"), observation()))
    assert found["code"] == {"coding": [{"system": "http://loinc.org", "code": "2339-0"}]}
    assert found["valueQuantity"] == {"value": 101.5, "system": UCUM, "code": "mg/dL"}
    assert found["effectiveDateTime"].endswith("T03:06:07Z")
    assert set(found["subject"]) == {"reference"}


@pytest.mark.parametrize(
    "more",
    [
        {"valueQuantity": None, "valueString": "Jane Roe"},
        {"note": [{"text": "Jane Roe"}]},
        {
            "text": {
                "status": "generated",
                "div": "<div xmlns='http://www.w3.org/1999/xhtml'>Roe</div>",
            }
        },
        {"extension": [{"url": "http://x.org/name", "valueString": "Roe"}]},
        {"contained": [{"resourceType": "Patient", "name": [{"family": "Roe"}]}]},
        {"device": {"display": "Roe's meter"}},
        {"identifier": [{"system": "http://x.org", "value": "Roe-1"}]},
        {"meta": {"source": "http://roe.org/Roe", "tag": [{"code": "Roe"}]}},
        {"category": [{"coding": [{"system": "http://x.org", "code": "Roe"}], "text": "Roe"}]},
        {"category": [{"coding": [{"system": "http://loinc.org", "code": "Roe"}]}]},
        {
            "category": [
                {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/x", "code": "Roe"}]}
            ]
        },
        {"valueQuantity": {"value": 1, "unit": "{Roe}", "system": UCUM, "code": "{Roe}"}},
        {"valueQuantity": {"value": 1, "unit": "Roe"}},
        {"interpretation": [{"text": "Roe"}]},
        {"_status": {"extension": [{"url": "http://x.org", "valueString": "Roe"}]}},
    ],
)
def test_text_never_leaves(tmp_path: Path, more: dict[str, Any]) -> None:
    one = {key: value for key, value in observation(**more).items() if value is not None}
    masked(tmp_path, bundle(patient(), one))


def test_a_resource_without_what_it_must_have_stays(tmp_path: Path) -> None:
    nameless = observation(code={"text": "Roe's own test"})
    assert len(masked(tmp_path, bundle(patient(), nameless, observation()))) == 2


def test_a_resource_of_nobody_known_stays_when_there_are_two_people(tmp_path: Path) -> None:
    two = [patient(), patient(id="q")]
    found = masked(
        tmp_path, bundle(*two, observation(), observation("Patient/q"), observation("Patient/x"))
    )
    assert len(found) == 4
    days = {one["effectiveDateTime"] for one in found if "effectiveDateTime" in one}
    assert len(days) == 2  # each person's dates moved by their own number of days


def test_an_age_above_89_is_told_nowhere(tmp_path: Path) -> None:
    old = patient(birthDate="1925-01-01", gender="male")
    condition = {
        "resourceType": "Condition",
        "code": {"coding": [LOINC]},
        "subject": {"reference": "Patient/p"},
        "onsetAge": {"value": 93, "unit": "a", "system": UCUM, "code": "a"},
    }
    early = observation(effectiveDateTime="1928-05-06")
    found = masked(tmp_path, bundle(old, observation(), early, condition))
    who, now, then, what = found
    assert "birthDate" not in who
    assert "effectiveDateTime" in now
    assert "effectiveDateTime" not in then
    assert what["onsetAge"] == {"value": 90, "system": UCUM, "code": "a"}


def test_at_89_the_year_of_birth_may_be_told(tmp_path: Path) -> None:
    who, _ = masked(tmp_path, bundle(patient(birthDate="1930-06-01"), observation()))
    assert len(who["birthDate"]) == 4


def csv_masked(tmp_path: Path, text: str, profile: str = "de-identified") -> list[dict[str, str]]:
    source, copy = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(text)
    mask_file(source, copy, load_profile(profile), SECRET)
    return list(csv.DictReader(copy.read_text().splitlines()))


def test_a_table_leaves_by_column(tmp_path: Path) -> None:
    rows = csv_masked(
        tmp_path,
        "patient_id;name;Age;sex;visit date;HbA1c;zip;remark\n"
        "MRN-1;Jane Roe;93;F;2020-01-05;6.1;10001;likes tea\n"
        "MRN-1;Jane Roe;93;F;2020-02-05;call Jane;10001;\n"
        "MRN-2;John Doe;41;unsaid;2020-01-05;NA;10002;\n",
    )
    assert [set(row) for row in rows] == [{"id", "age", "sex", "date", "hba1c"}] * 3
    assert [row["age"] for row in rows] == ["90", "90", "41"]
    assert [row["hba1c"] for row in rows] == ["6.1", "", "NA"]
    assert [row["sex"] for row in rows] == ["F", "F", ""]
    assert rows[0]["id"] == rows[1]["id"] != rows[2]["id"]
    assert rows[0]["date"] != rows[2]["date"]  # the same day, of two people


def test_a_table_that_no_column_of_is_named_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFile):
        csv_masked(tmp_path, "name,zip\nJane Roe,10001\n")


def test_a_row_of_another_width_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(MalformedFile):
        csv_masked(tmp_path, "id,age,bmi\nx,1,2\nx,1\n")
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_a_genome_is_refused(real: dict[str, Path], tmp_path: Path) -> None:
    for profile in ("de-identified", "measurements"):
        with pytest.raises(UnsupportedFile, match="a genome identifies"):
            mask_file(real["genome.vcf.gz"], tmp_path / "out", load_profile(profile), SECRET)
    mask_file(real["genome.vcf.gz"], tmp_path / "out", load_profile("all"), SECRET)
    assert (tmp_path / "out").read_bytes() == real["genome.vcf.gz"].read_bytes()


def changed(real: dict[str, Path], tmp_path: Path, **values: Any) -> Path:
    source = pydicom.dcmread(real["ct.dcm"])
    for keyword, value in values.items():
        setattr(source, keyword, value)
    source.save_as(tmp_path / "in.dcm")
    return tmp_path / "in.dcm"


@pytest.mark.parametrize(
    "values",
    [
        {"BurnedInAnnotation": "YES"},
        {"BurnedInAnnotation": "PERHAPS"},
        {"RecognizableVisualFeatures": "YES"},
        {"Modality": "US"},
        {"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]},
    ],
)
def test_an_image_that_may_show_who_it_is_is_refused(
    real: dict[str, Path], tmp_path: Path, values: dict[str, Any]
) -> None:
    path = changed(real, tmp_path, **values)
    with pytest.raises(UnsupportedFile):
        mask_file(path, tmp_path / "out.dcm", load_profile("de-identified"), SECRET)
    assert not (tmp_path / "out.dcm").exists()


def test_a_capture_leaves_once_somebody_has_looked(real: dict[str, Path], tmp_path: Path) -> None:
    profile = load_profile("de-identified")
    with pytest.raises(UnsupportedFile, match="somebody has to look"):
        mask_file(real["capture.dcm"], tmp_path / "out.dcm", profile, SECRET)
    mask_file(real["capture.dcm"], tmp_path / "out.dcm", profile, SECRET, inspected=True)
    path = changed(real, tmp_path, BurnedInAnnotation="YES")
    with pytest.raises(UnsupportedFile, match="has text burned"):
        mask_file(path, tmp_path / "out.dcm", profile, SECRET, inspected=True)


def test_text_in_coded_attributes_stays(real: dict[str, Path], tmp_path: Path) -> None:
    path = changed(
        real, tmp_path, PatientSex="ROE", BodyPartExamined="ROES HEAD", Manufacturer="Dr Roe",
        ScanningSequence="ROE", PatientAge="095Y", SeriesDescription="Roe", RescaleType="ROE",
    )  # fmt: skip
    mask_file(path, tmp_path / "out.dcm", load_profile("de-identified"), SECRET)
    assert b"R" + b"oe" not in (tmp_path / "out.dcm").read_bytes()
    assert b"ROE" not in (tmp_path / "out.dcm").read_bytes()
    copy = pydicom.dcmread(tmp_path / "out.dcm")
    assert copy.PatientAge == "090Y"


def test_what_hides_beside_the_pixels_stays(real: dict[str, Path], tmp_path: Path) -> None:
    """An overlay in the bits that pixels do not use, and bytes behind the last pixel."""
    source = pydicom.dcmread(real["ct.dcm"])
    del source.PixelPaddingValue
    source.BitsStored, source.HighBit, source.PixelRepresentation = 12, 11, 0
    pixels = np.frombuffer(source.PixelData, "<u2") & 0x0FFF
    drawn = (pixels | (np.arange(pixels.size) % 16 << 12)).astype("<u2")
    source.PixelData = drawn.tobytes() + b"Jane Roe was here"[:16]
    source.save_as(tmp_path / "in.dcm")
    mask_file(tmp_path / "in.dcm", tmp_path / "out.dcm", load_profile("de-identified"), SECRET)
    copy = pydicom.dcmread(tmp_path / "out.dcm")
    assert copy.PixelData == pixels.astype("<u2").tobytes()


def test_a_query_answers_through_the_profile(real: dict[str, Path]) -> None:
    profile = load_profile("de-identified")
    rows = list(select(real["glucose.csv"], profile, SECRET, fields=["gl"], limit=2))
    assert rows == [{"gl": "153"}, {"gl": "137"}]
    assert not list(select(real["glucose.csv"], profile, SECRET, where={"id": "Subject 1"}))
    assert len(list(select(real["glucose.csv"], profile, SECRET, where={"gl": "153"}))) > 3
    (image,) = select(real["mr.dcm"], profile, SECRET)
    assert image["Modality"] == "MR"
    assert "PixelData" not in image


def test_a_query_of_a_health_record_equals_its_masked_copy(
    real: dict[str, Path], masked: dict[tuple[str, str], Path]
) -> None:
    profile = load_profile("de-identified")
    wanted = {"code.coding.code": "85354-9"}
    found = list(select(real["record.json"], profile, SECRET, kind="Observation", where=wanted))
    copy = json.loads(masked["de-identified", "record.json"].read_bytes())
    assert found
    assert found == [
        entry["resource"]
        for entry in copy["entry"]
        if entry["resource"]["resourceType"] == "Observation"
        and entry["resource"]["code"]["coding"][0]["code"] == "85354-9"
    ]


def test_a_query_through_a_profile_that_hides_nothing_is_refused(real: dict[str, Path]) -> None:
    with pytest.raises(BadInput, match="hides nothing"):
        select(real["glucose.csv"], load_profile("all"), SECRET)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_masked_or_refused_in_a_sentence(
    data: st.DataObject, real: dict[str, Path], tmp_path: Path
) -> None:
    name = data.draw(st.sampled_from(["ct.dcm", "mr.dcm", "glucose.csv"]))
    raw = bytearray(real[name].read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, min(len(raw), 3000) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    source, copy = tmp_path / "damaged", tmp_path / "copy"
    source.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    copy.unlink(missing_ok=True)
    try:
        mask_file(source, copy, load_profile("de-identified"), SECRET, inspected=True)
    except UnsupportedFile as refusal:
        assert len(str(refusal).splitlines()) == 1
        assert not copy.exists()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.just("Roe"),
        lambda below: (
            st.lists(below, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["status", "code", "coding", "system", "value", "subject", "reference"]
                ),
                below,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_a_strange_resource_is_masked_or_refused(tmp_path: Path, node: Any) -> None:
    document = bundle(patient(gender="male"), {"resourceType": "Observation", "code": node})
    with contextlib.suppress(UnsupportedFile):
        masked(tmp_path, document)


@pytest.mark.parametrize("where", [".", "no/such/folder/out", "\0"])
def test_a_copy_that_cannot_be_written_is_refused(
    real: dict[str, Path], tmp_path: Path, where: str
) -> None:
    from medtoken.errors import MedtokenError

    with pytest.raises(MedtokenError):
        mask_file(real["glucose.csv"], tmp_path / where, load_profile("de-identified"), SECRET)


def test_a_short_secret_is_refused(real: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="32 bytes"):
        mask_file(real["glucose.csv"], tmp_path / "out", load_profile("de-identified"), b"short")

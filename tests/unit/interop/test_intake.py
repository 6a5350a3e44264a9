"""Records from FHIR and DICOMweb servers: what comes, and what a bad server cannot do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.data import get_testdata_file
from support.hospital import (
    FHIR_JSON,
    Handler,
    Server,
    dicomweb_server,
    fhir_server,
    has_orthanc,
    orthanc,
    reply,
    stored,
)

from medtoken import formats
from medtoken.demo.fixtures import _simulated_bundle
from medtoken.errors import BadInput, SourceError
from medtoken.interop._web import Web
from medtoken.interop.dicomweb import fetch_instance, find_instances
from medtoken.interop.fhir_server import fetch_patient

CT, MR = (Path(str(get_testdata_file(name))) for name in ("CT_small.dcm", "MR_small.dcm"))


@pytest.fixture(scope="module")
def record() -> tuple[str, list[dict[str, Any]]]:
    """A simulated patient's resources as a server keeps them."""
    return stored(json.loads(_simulated_bundle(11)))


@pytest.fixture
def hospital(record: tuple[str, list[dict[str, Any]]]) -> Iterator[Server]:
    with fhir_server(record[1]) as server:
        yield server


def web(server: Server, **more: Any) -> Web:
    return Web(f"{server.url}/fhir", **{"patience": 20.0, **more})


# ---------------------------------------------------------------------------- FHIR


def test_a_patient_comes_whole(
    record: tuple[str, list[dict[str, Any]]], hospital: Server, tmp_path: Path
) -> None:
    patient, resources = record
    path = tmp_path / "record.json"
    assert fetch_patient(web(hospital), patient, path) == len(resources)
    bundle = json.loads(path.read_bytes())
    found = {
        (e["resource"]["resourceType"], e["resource"]["id"]): e["resource"] for e in bundle["entry"]
    }
    assert found == {(r["resourceType"], r["id"]): r for r in resources}
    assert len(hospital.asked) == -(-len(resources) // 50)
    file = formats.read(path)
    assert (file.format, file.subjects, file.entries) == (formats.Format.FHIR, 1, len(resources))
    # An unchanged record is the same file, whatever the pages.
    with fhir_server(resources[::-1], page=7) as other:
        again = tmp_path / "again.json"
        fetch_patient(web(other), patient, again)
    assert (
        again.read_bytes().replace(other.url.encode(), hospital.url.encode()) == path.read_bytes()
    )


def test_a_server_without_everything_is_searched(
    record: tuple[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    patient, resources = record
    with fhir_server(resources, everything=False) as server:
        fetch_patient(web(server), patient, tmp_path / "all")
        fetch_patient(web(server), patient, tmp_path / "some", types=["Condition"])

    def kinds(name: str) -> set[str]:
        entries = json.loads((tmp_path / name).read_bytes())["entry"]
        return {entry["resource"]["resourceType"] for entry in entries}

    assert kinds("some") == {"Patient", "Condition"}
    assert {"Patient", "Condition", "Observation", "Encounter"} <= kinds("all")


def test_numbers_keep_their_digits(tmp_path: Path) -> None:
    raw = b'{"resourceType":"Observation","id":"o","subject":{"reference":"Patient/p"},"v":1.10}'
    page = b'{"resourceType":"Bundle","entry":[{"resource":' + raw + b'},{"resource":'
    page += b'{"resourceType":"Patient","id":"p"}}]}'
    with fhir_server([]) as server:
        server.answer = lambda handler, path: bool(reply(handler, page, FHIR_JSON) or True)
        fetch_patient(web(server), "p", tmp_path / "record")
    assert raw in (tmp_path / "record").read_bytes()


def test_the_authorization_goes_to_this_server_only(
    record: tuple[str, list[dict[str, Any]]], hospital: Server, tmp_path: Path
) -> None:
    fetch_patient(web(hospital, authorization="Bearer abc"), record[0], tmp_path / "record")
    assert {head.get("Authorization") for head in hospital.headers} == {"Bearer abc"}
    with pytest.raises(BadInput, match="no authorization is sent"):
        Web("http://hospital.example/fhir", authorization="Bearer abc")
    with pytest.raises(BadInput, match="one line"):
        Web("https://hospital.example/fhir", authorization="Bearer abc\r\nX: y")


def bundle(*resources: dict[str, Any], **more: Any) -> bytes:
    entries = [{"resource": one} for one in resources]
    return json.dumps({"resourceType": "Bundle", "entry": entries, **more}).encode()


PATIENT = {"resourceType": "Patient", "id": "p"}


def says(body: bytes, content_type: str = FHIR_JSON, status: int = 200) -> Callable[..., bool]:
    def answer(handler: Handler, path: str) -> bool:
        reply(handler, body, content_type, status)
        return True

    return answer


def cut(handler: Handler, path: str) -> bool:
    handler.send_response(200)
    handler.send_header("Content-Type", FHIR_JSON)
    handler.send_header("Content-Length", "10000")
    handler.end_headers()
    handler.wfile.write(bundle(PATIENT)[:20])
    handler.close_connection = True
    return True


def redirects(handler: Handler, path: str) -> bool:
    handler.send_response(302)
    handler.send_header("Location", "http://elsewhere.example/")
    handler.send_header("Content-Length", "0")
    handler.end_headers()
    return True


def leads(to: str) -> Callable[..., bool]:
    return says(bundle(PATIENT, link=[{"relation": "next", "url": to}]))


BAD: dict[str, tuple[Callable[..., bool], str]] = {
    "a page of HTML": (says(b"<html>", "text/html"), "did not answer in FHIR JSON"),
    "XML": (says(b"<Bundle/>", "application/fhir+xml"), "did not answer in FHIR JSON"),
    "half a page": (says(bundle(PATIENT)[:-9]), "cut off or no FHIR"),
    "a broken line": (cut, "broke off"),
    "not a bundle": (says(json.dumps(PATIENT).encode()), "no FHIR Bundle"),
    "a list": (says(b"[]"), "cut off or no FHIR"),
    "deep": (says(b'{"a":' * 50_000), "cut off or no FHIR"),
    "not UTF-8": (says(b'{"resourceType": "\xff"}'), "cut off or no FHIR"),
    "a redirect": (redirects, "elsewhere"),
    "a page elsewhere": (leads("https://elsewhere.example/fhir?page=2"), "elsewhere"),
    "another port": (leads("http://127.0.0.1:1/fhir?page=2"), "elsewhere"),
    "another scheme": (leads("file:///etc/passwd"), "elsewhere"),
    "a loop": (leads("?page=2"), "without an end"),
    "no way in": (says(b"", status=401), "does not let us in"),
    "a failure": (says(b"", status=500), "answered 500"),
    "nobody": (says(bundle()), "did not send Patient/p"),
    "another patient": (says(bundle({**PATIENT, "id": "q"})), "another patient"),
    "data of another": (
        says(
            bundle(
                PATIENT,
                {"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/q"}},
            )
        ),
        "another patient",
    ),
    "no id": (says(bundle({"resourceType": "Patient"})), "without an id"),
    "an id that is a path": (
        says(bundle({"resourceType": "Patient", "id": "../x"})),
        "without an id",
    ),
    "a name twice": (
        says(
            b'{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","id":"p","id":"p"}}]}'
        ),
        "malformed",
    ),
    "a change in between": (
        says(bundle(PATIENT, {**PATIENT, "gender": "male"})),
        "twice, and changed",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_a_bad_server_sends_is_refused(hospital: Server, tmp_path: Path, name: str) -> None:
    hospital.answer, words = BAD[name]
    with pytest.raises(SourceError, match=words) as caught:
        fetch_patient(web(hospital), "p", tmp_path / "record")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "record").exists()


def test_a_server_that_hangs_or_drips(hospital: Server, tmp_path: Path) -> None:
    def hangs(handler: Handler, path: str) -> bool:
        return hospital.over.wait(10)

    def drips(handler: Handler, path: str) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Type", FHIR_JSON)
        handler.end_headers()
        while not hospital.over.wait(0.05):
            handler.wfile.write(b" ")
            handler.wfile.flush()
        return True

    for answer in (hangs, drips):
        hospital.answer = answer
        with pytest.raises(SourceError, match="within 0.5 s"):
            fetch_patient(web(hospital, patience=0.5), "p", tmp_path / "record")


def test_a_server_that_sends_too_much(
    hospital: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medtoken.interop.fhir_server._SIZE_MOST", 1000)
    hospital.answer = says(bundle(PATIENT) + b" " * 1000)
    with pytest.raises(SourceError, match="more than 1,000 bytes"):
        fetch_patient(web(hospital), "p", tmp_path / "record")


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be reached"):
        fetch_patient(Web("http://127.0.0.1:1/fhir"), "p", tmp_path / "record")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hospital",
        "ftp://x",
        "http://",
        "http://a:b@x/",
        "http://x?y",
        "http://x:99999",
        "http://[::1",
    ],
)
def test_bad_addresses(url: str) -> None:
    with pytest.raises(BadInput):
        Web(url)


@pytest.mark.parametrize("patient", ["", "a/b", "a?b", "x" * 65, "é"])
def test_bad_ids(hospital: Server, tmp_path: Path, patient: str) -> None:
    with pytest.raises(BadInput):
        fetch_patient(web(hospital), patient, tmp_path / "record")
    assert not hospital.asked


# ---------------------------------------------------------------------------- DICOMweb


@pytest.fixture
def archive() -> Iterator[Server]:
    with dicomweb_server([CT, MR]) as server:
        yield server


def dicom(server: Server, **more: Any) -> Web:
    return Web(f"{server.url}/dicom-web", **{"patience": 20.0, **more})


@pytest.mark.parametrize("pages", [True, False])
def test_images_come_as_they_are(tmp_path: Path, pages: bool) -> None:
    with dicomweb_server([CT, MR], pages=pages) as server:
        for source in (CT, MR):
            patient = formats_patient(source)
            (found,) = find_instances(dicom(server), patient=patient)
            path = tmp_path / source.name
            assert (
                fetch_instance(dicom(server), found, path, patient=patient) == source.stat().st_size
            )
            assert path.read_bytes() == source.read_bytes()
            assert find_instances(dicom(server), study=found.study) == [found]


def formats_patient(path: Path) -> str:
    import pydicom

    return str(pydicom.dcmread(path, stop_before_pixels=True).PatientID)


@pytest.mark.skipif(not has_orthanc(), reason="Orthanc and its DICOMweb plugin are not installed")
def test_images_come_from_orthanc(tmp_path: Path) -> None:
    with orthanc(tmp_path, [CT, MR]) as url:
        web = Web(url)
        for source in (CT, MR):
            patient = formats_patient(source)
            (found,) = find_instances(web, patient=patient)
            path = tmp_path / source.name
            fetch_instance(web, found, path, patient=patient)
            assert path.read_bytes() == source.read_bytes()
            assert find_instances(web, study=found.study) == [found]
        with pytest.raises(SourceError, match="no images"):
            find_instances(web, patient="nobody")


HEAD = 'multipart/related; type="application/dicom"; boundary=b'
PART = b"--b\r\nContent-Type: application/dicom\r\n\r\n"

BAD_LISTS: dict[str, tuple[Callable[..., bool], str]] = {
    "HTML": (says(b"<html>", "text/html"), "did not answer in DICOM JSON"),
    "cut": (says(b'[{"0020000D":', "application/dicom+json"), "cut off"),
    "an object": (says(b"{}", "application/dicom+json"), "cut off or no DICOM JSON"),
    "no UIDs": (
        says(b'[{"0020000D": {"vr": "UI"}}]', "application/dicom+json"),
        "without the UIDs",
    ),
    "a path for a UID": (
        says(b'[{"0020000D": {"vr": "UI", "Value": ["../../x"]}}]', "application/dicom+json"),
        "without the UIDs",
    ),
    "a failure": (says(b"", status=503), "answered 503"),
    "nothing": (says(b"[]", "application/dicom+json"), "no images"),
    "a redirect": (redirects, "elsewhere"),
}
BAD_IMAGES: dict[str, tuple[Callable[..., bool], str]] = {
    "a failure": (says(b"", status=404), "answered 404"),
    "not multipart": (says(b"x", "image/jpeg"), "one DICOM file"),
    "no boundary": (says(b"x", "multipart/related"), "one DICOM file"),
    "no part": (says(b"--b--", HEAD), "one DICOM file"),
    "an endless head": (says(b"--b\r\n" + b"x" * 100_000, HEAD), "one DICOM file"),
    "no end": (says(PART + CT.read_bytes(), HEAD), "one DICOM file"),
    "two parts": (says(PART + b"x\r\n" + PART + b"x\r\n--b--", HEAD), "one DICOM file"),
    "noise": (says(PART + b"x" * 5000 + b"\r\n--b--", HEAD), "no DICOM"),
    "another image": (says(PART + MR.read_bytes() + b"\r\n--b--\r\n", HEAD), "another image"),
    "another image, bare": (says(MR.read_bytes(), "application/dicom"), "another image"),
    "a cut one": (says(CT.read_bytes()[:200], "application/dicom"), "no DICOM|another image"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_LISTS)
def test_bad_lists(archive: Server, name: str) -> None:
    archive.answer, words = BAD_LISTS[name]
    with pytest.raises(SourceError, match=words):
        find_instances(dicom(archive), patient="x")


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_bad_images(archive: Server, tmp_path: Path, name: str) -> None:
    (found,) = find_instances(dicom(archive), patient=formats_patient(CT))
    archive.answer, words = BAD_IMAGES[name]
    with pytest.raises(SourceError, match=words):
        fetch_instance(dicom(archive), found, tmp_path / "image")


def test_an_image_of_another_patient(archive: Server, tmp_path: Path) -> None:
    (found,) = find_instances(dicom(archive), patient=formats_patient(CT))
    with pytest.raises(SourceError, match="another image"):
        fetch_instance(dicom(archive), found, tmp_path / "image", patient="somebody else")


@pytest.mark.parametrize(
    "chosen",
    [{}, {"study": "1.2", "patient": "x"}, {"study": "a/b"}, {"patient": "*"}, {"patient": ""}],
)
def test_bad_choices(archive: Server, chosen: dict[str, str]) -> None:
    with pytest.raises(BadInput):
        find_instances(dicom(archive), **chosen)
    assert not archive.asked

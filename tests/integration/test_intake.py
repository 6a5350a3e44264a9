"""Records that come in from servers and folders, through the command line, on a live chain (R40)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from pydicom import dcmread
from support.hospital import dicomweb_server, fhir_server, stored
from support.live import Ran, listing, medtoken_here
from support.stage import Stage

from medtoken.formats import Format


def run(stage: Stage, *words: str | Path) -> Ran:
    where = ("--home", stage.home.folder, "--rpc", stage.chain.node.url, "--json")
    registering = ("--owner", stage.patient.address, "--region", "TW")
    return medtoken_here("intake", *words, *where, *registering)


def test_a_record_comes_from_a_fhir_server_once(fresh: Stage) -> None:
    patient, resources = stored(json.loads(fresh.files[Format.FHIR].read_bytes()))
    with fhir_server(resources) as server:
        words = ("fhir", f"{server.url}/fhir", "--patient", patient)
        (first,) = run(fresh, *words).ok()["records"]
        (again,) = run(fresh, *words).ok()["records"]
    assert (first["new"], first["kind"]) == (True, "health_record")
    assert (again["new"], again["record"]) == (False, first["record"])
    draft = fresh.suite.registry.draft(bytes.fromhex(first["record"][2:]))
    assert draft.owner == fresh.patient.address
    assert not (fresh.home.folder / "scratch").exists()


def test_images_come_from_a_dicomweb_server(fresh: Stage) -> None:
    patient = str(dcmread(fresh.files[Format.DICOM], stop_before_pixels=True).PatientID)
    with dicomweb_server([fresh.files[Format.DICOM]]) as server:
        (found,) = run(fresh, "dicomweb", f"{server.url}/dicom-web", "--patient", patient).ok()[
            "records"
        ]
    assert (found["new"], found["kind"]) == (True, "imaging")
    # The very file: adding it by hand finds it registered.
    assert not fresh.add(Format.DICOM).new


def test_the_images_of_a_study_come_as_one_record(fresh: Stage, tmp_path: Path) -> None:
    """R1 counts imaging studies."""
    paths = []
    for number in range(3):
        image = dcmread(fresh.files[Format.DICOM])
        image.SOPInstanceUID = f"1.2.3.{number}"
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        paths.append(tmp_path / f"{number}.dcm")
        image.save_as(paths[-1])
    study = str(dcmread(paths[0], stop_before_pixels=True).StudyInstanceUID)
    with dicomweb_server(paths) as server:
        words = ("dicomweb", f"{server.url}/dicom-web", "--study", study)
        (first,) = run(fresh, *words).ok()["records"]
        (again,) = run(fresh, *words).ok()["records"]
    assert (first["new"], first["kind"]) == (True, "imaging")
    assert (again["new"], again["record"]) == (False, first["record"])
    folder = tmp_path / "in"
    folder.mkdir()
    for path in paths:
        shutil.copy(path, folder)
    (found,) = run(fresh, "folder", folder).ok()["records"]
    assert (found["new"], found["record"]) == (False, first["record"])


def test_a_folder_comes_whole_or_not_at_all(fresh: Stage, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "below").mkdir(parents=True)
    shutil.copy(fresh.files[Format.CGM], folder / "below" / "a.csv")
    shutil.copy(fresh.files[Format.DICOM], folder / "b.dcm")
    (folder / ".hidden").write_text("x")
    (folder / "c.txt").write_text("nothing medical")
    before, height = listing(fresh.home.folder), fresh.chain.height()
    ran = run(fresh, "folder", folder)
    assert (ran.code, "c.txt" in ran.err, ran.err.count("\n")) == (3, True, 1)
    assert (listing(fresh.home.folder), fresh.chain.height()) == (before, height)
    (folder / "c.txt").unlink()
    kinds = [one["kind"] for one in run(fresh, "folder", folder).ok()["records"]]
    assert kinds == ["imaging", "series"]


def test_what_a_server_does_wrong_changes_nothing(fresh: Stage) -> None:
    before, height = listing(fresh.home.folder), fresh.chain.height()
    with fhir_server([]) as server:
        url = f"{server.url}/fhir"
        ran = run(fresh, "fhir", url, "--patient", "nobody")
    assert ran.code == 21
    assert ran.err.count("\n") == 1
    for words in (
        ("fhir", url, "--patient", "p"),
        ("dicomweb", url, "--study", "1.2.3"),
    ):
        ran = run(fresh, *words)
        assert (ran.code, "cannot be reached" in ran.err) == (21, True)
    assert run(fresh, "dicomweb", url).code == 2
    assert run(fresh, "fhir", "nowhere", "--patient", "p").code == 2
    assert (listing(fresh.home.folder), fresh.chain.height()) == (before, height)

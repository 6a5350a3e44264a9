"""R1 counts imaging studies: the images of one study are one file, one record, one unit."""

from __future__ import annotations

import importlib.metadata
import random
import tarfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pydicom
import pytest

from medtoken import formats, masking
from medtoken.errors import BadInput, MalformedFile, MedtokenError, UnsupportedFile
from medtoken.formats import Format, RecordKind, by_study, pack_study
from medtoken.marking import mark_file
from medtoken.quality import assess


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four real slices, given the UIDs of one study; their dates and technique are as they were."""
    folder = tmp_path_factory.mktemp("ct")
    name = "pydicom/data/test_files/CT_small.dcm"
    source = Path(str(importlib.metadata.distribution("pydicom").locate_file(name)))
    found = []
    for number in range(4):
        image = pydicom.dcmread(source)
        image.SOPInstanceUID = f"1.2.3.{number}"
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        image.InstanceNumber = number + 1
        found.append(folder / f"slice-{9 - number}.dcm")
        image.save_as(found[-1])
    return found


def changed(path: Path, folder: Path, **values: str) -> Path:
    image = pydicom.dcmread(path)
    for keyword, value in values.items():
        setattr(image, keyword, value)
    target = folder / f"changed-{'-'.join(values)}.dcm"
    image.save_as(target)
    return target


def packed(images: list[Path], folder: Path, name: str = "study.tar") -> Path:
    pack_study(images, folder / name)
    return folder / name


def test_a_study_of_many_images_is_one_unit(ct: list[Path], tmp_path: Path) -> None:
    study = formats.read(packed(ct, tmp_path))
    one = formats.read(ct[0])
    assert (study.format, study.kind) == (Format.STUDY, RecordKind.IMAGING)
    assert study.units == one.units == Fraction(1)
    assert study.milliunits == 1000
    assert study.entries == 4 * one.entries
    assert (study.codes, study.start, study.end) == (one.codes, one.start, one.end)
    assert "4 images" in study.describe()


def test_the_same_images_give_the_same_file(ct: list[Path], tmp_path: Path) -> None:
    first = packed(ct, tmp_path).read_bytes()
    shuffled = list(ct)
    random.Random(5).shuffle(shuffled)
    for number, path in enumerate(shuffled):
        (tmp_path / f"other-{number}").write_bytes(path.read_bytes())
    again = [tmp_path / f"other-{number}" for number in range(4)]
    assert packed(again, tmp_path, "again.tar").read_bytes() == first


def test_its_quality_is_that_of_its_images_together(ct: list[Path], tmp_path: Path) -> None:
    day = formats.read(ct[0]).end
    assert day
    one, study = assess(ct[0], day), assess(packed(ct, tmp_path), day)
    assert study.volume > one.volume
    for name in ("completeness", "timeliness", "accuracy", "annotation", "traceability"):
        assert getattr(study, name) == getattr(one, name)
    worse = changed(ct[3], tmp_path, Manufacturer="", StudyDate="")
    poor = assess(packed([*ct[:3], worse], tmp_path, "poor.tar"), day)
    assert poor.completeness < study.completeness
    assert poor.timeliness < study.timeliness


def test_images_are_put_together_by_study_and_patient(ct: list[Path], tmp_path: Path) -> None:
    lone = changed(ct[0], tmp_path, StudyInstanceUID="1.2.3.9")
    other = changed(ct[0], tmp_path, PatientID="somebody else")
    table = tmp_path / "glucose.csv"
    table.write_text("id,time,gl\n1,2024-01-01 00:00:00,100\n")
    found = by_study([ct[0], table, lone, ct[1], other, ct[2]], tmp_path / "studies")
    assert [path.suffix for path in found] == [".tar", ".csv", ".dcm", ".dcm"]
    assert found[1:] == [table, lone, other]
    (study,) = [path for path in found if path.suffix == ".tar"]
    assert formats.read(study).entries == 3


@pytest.mark.parametrize("wrong", [{"StudyInstanceUID": "1.2.3.9"}, {"PatientID": "somebody else"}])
def test_images_of_another_study_do_not_come_in(
    ct: list[Path], tmp_path: Path, wrong: dict[str, str]
) -> None:
    with pytest.raises(BadInput, match="several studies or patients"):
        pack_study([*ct, changed(ct[0], tmp_path, **wrong)], tmp_path / "study.tar")
    with pytest.raises(BadInput, match="twice"):
        pack_study([*ct, ct[0]], tmp_path / "study.tar")
    with pytest.raises(BadInput, match="from 1 to"):
        pack_study([], tmp_path / "study.tar")


Change = Callable[[tarfile.TarInfo], None]


def renamed(member: tarfile.TarInfo) -> None:
    member.name = "../" + member.name


def linked(member: tarfile.TarInfo) -> None:
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"


@pytest.mark.parametrize("change", [renamed, linked])
def test_a_tar_of_something_else_is_refused(ct: list[Path], tmp_path: Path, change: Change) -> None:
    with tarfile.open(tmp_path / "odd.tar", "x:", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo("00000.dcm")
        change(member)
        member.size = ct[0].stat().st_size if member.isreg() else 0
        with open(ct[0], "rb") as file:
            archive.addfile(member, file)
    with pytest.raises(UnsupportedFile, match="not of the images of a study"):
        formats.read(tmp_path / "odd.tar")


def test_two_studies_or_one_image_twice_in_a_tar_are_refused(
    ct: list[Path], tmp_path: Path
) -> None:
    other = changed(ct[1], tmp_path, StudyInstanceUID="1.2.3.9")
    for number, second in enumerate((ct[0], other)):
        path = tmp_path / f"odd-{number}.tar"
        with tarfile.open(path, "x:", format=tarfile.USTAR_FORMAT) as archive:
            for at, image in enumerate((ct[0], second)):
                archive.add(image, f"{at:05}.dcm")
        with pytest.raises(MalformedFile, match="several studies, or an image twice"):
            formats.read(path)


def test_whatever_is_cut_or_changed_is_one_sentence(ct: list[Path], tmp_path: Path) -> None:
    whole = packed(ct, tmp_path).read_bytes()
    chance = random.Random(11)
    refused = 0
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            at = chance.choice([chance.randrange(600), chance.randrange(len(data))])
            data[at] = chance.randrange(256)
        if chance.random() < 0.5:
            del data[chance.randrange(512, len(data)) :]
        (tmp_path / "odd.tar").write_bytes(data)
        try:
            formats.read(tmp_path / "odd.tar")
        except MedtokenError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 10


def test_a_study_is_masked_as_one_and_not_marked(ct: list[Path], tmp_path: Path) -> None:
    study, masked = packed(ct, tmp_path), tmp_path / "masked.tar"
    profile = masking.load_profile("de-identified")
    result = masking.mask_file(study, masked, profile, b"s" * 32)
    assert result.dropped > 0
    found = formats.read(masked)
    assert (found.format, found.units) == (Format.STUDY, Fraction(1))
    assert b"CompressedSamples^CT1" in study.read_bytes()
    assert b"CompressedSamples^CT1" not in masked.read_bytes()
    rows = list(masking.select(study, profile, b"s" * 32, fields=["PatientID", "Modality"]))
    assert len(rows) == 4
    assert len({row["PatientID"] for row in rows}) == 1
    with pytest.raises(UnsupportedFile, match="only tables and images are marked"):
        mark_file(study, tmp_path / "marked", b"s" * 32, "somebody")

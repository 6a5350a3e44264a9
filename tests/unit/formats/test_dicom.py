"""DICOM: attributes are read, pixels are weighed but not loaded, hostile bytes are survived."""

from __future__ import annotations

import datetime as dt
import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pydicom
import pydicom.data
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit

from medtoken.errors import MalformedFile, UnsupportedFile
from medtoken.formats import DicomFacts, MedicalFile, _dicom, read


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x"


def facts(file: MedicalFile) -> DicomFacts:
    assert isinstance(file.facts, DicomFacts)
    return file.facts


Change = Callable[[Callable[[Dataset], object]], MedicalFile]


@pytest.fixture
def changed(real: dict[str, Path], path: Path) -> Change:
    """Reads the real CT after a change of its data set."""

    def change(how: Callable[[Dataset], object]) -> MedicalFile:
        dataset = pydicom.dcmread(real["ct.dcm"])
        how(dataset)
        dataset.save_as(path)
        return read(path)

    return change


def test_the_real_slice_is_measured(real: dict[str, Path]) -> None:
    file = read(real["ct.dcm"])
    found = facts(file)
    assert (file.milliunits, file.entries, file.subjects) == (1000, 1, 1)
    assert file.codes == ("DICOM-SOP:1.2.840.10008.5.1.4.1.1.2", "DICOM:CT")
    assert (file.start, file.end) == (dt.date(1997, 4, 30), dt.date(2004, 1, 19))
    assert (found.frames, found.rows, found.columns) == (1, 128, 128)
    assert (found.valid_dates, found.valid_times) == (4, 4)
    assert [name for name, holds in found.checks if not holds] == [
        "the study began no later than the image was taken"  # 2004, of an image of 1997
    ]
    assert "AccessionNumber" not in found.present, "present and empty is not present"
    assert "KVP" in found.present


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_bigendian", "MR_small_implicit", "MR_small_RLE", "examples_ybr_color",
        "SC_ybr_full_422_uncompressed", "SC_rgb_rle_2frame", "rtdose", "JPEG2000",
        "examples_jpeg2k", "SC_rgb_small_odd", "liver_1frame",
    ],
)  # fmt: skip
def test_encodings_frames_and_compression(name: str) -> None:
    source = pydicom.data.get_testdata_file(f"{name}.dcm", download=False)
    assert isinstance(source, str)
    dataset = pydicom.dcmread(source)
    found = facts(read(source))
    assert (found.rows, found.columns) == (dataset.Rows, dataset.Columns)
    assert found.frames == int(dataset.get("NumberOfFrames") or 1)
    assert dict(found.checks)["the pixel data have the size that the attributes give"]


def test_pixel_data_longer_than_the_image_do_not_pass_the_check() -> None:
    source = pydicom.data.get_testdata_file("MR_small_padded.dcm", download=False)
    assert isinstance(source, str)
    assert not facts(read(source)).checks[0][1]


def test_a_file_that_lies_about_its_encoding_is_read_without_a_warning() -> None:
    source = pydicom.data.get_testdata_file("SC_rgb_jpeg.dcm", download=False)
    assert isinstance(source, str)
    assert (facts(read(source)).frames, facts(read(source)).rows) == (1, 256)


def test_standard_codes_of_the_region_are_found(
    changed: Change,
) -> None:
    def code(dataset: Dataset) -> None:
        chest, typo = Dataset(), Dataset()
        chest.CodeValue, chest.CodingSchemeDesignator = "51185008", "SCT"
        typo.CodeValue, typo.CodingSchemeDesignator = "51185009", "SCT"
        dataset.AnatomicRegionSequence = Sequence([chest, typo])

    file = changed(code)
    assert "SNOMED:51185008" in file.codes
    assert facts(file).coded_regions == 1


def test_more_pixels_than_there_are_cannot_be_claimed(
    changed: Change,
) -> None:
    with pytest.raises(MalformedFile) as refusal:
        changed(lambda dataset: setattr(dataset, "Rows", 60_000))
    assert str(refusal.value) == "x: is a DICOM image whose pixel data do not hold one frame"
    file = changed(lambda dataset: setattr(dataset, "NumberOfFrames", 1000))
    assert file.entries == 1
    assert not facts(file).checks[0][1]


def test_values_that_cannot_be_decoded_count_as_absent(real: dict[str, Path], path: Path) -> None:
    whole = real["ct.dcm"].read_bytes()
    assert whole.count(b"\x18\x00\x60\x00DS\x04\x00120 ") == 1  # KVP
    path.write_bytes(whole.replace(b"DS\x04\x00120 ", b"DS\x04\x00high"))
    assert "KVP" not in facts(read(path)).present


@pytest.mark.parametrize(
    ("how", "error", "sentence"),
    [
        (
            lambda whole: whole[128:],
            MalformedFile,
            "x: looks like DICOM but lacks the 128-byte preamble and 'DICM'",
        ),
        (
            lambda whole: whole[132:],
            MalformedFile,
            "x: looks like DICOM but lacks the 128-byte preamble and 'DICM'",
        ),
        (
            lambda whole: whole[:132],
            MalformedFile,
            "x: its DICOM file header is truncated or names no encoding",
        ),
        (
            lambda whole: whole[: whole.index(b"\xe0\x7f\x10\x00") + 4],
            MalformedFile,
            "x: is a DICOM image, truncated before its pixel data",
        ),
        (
            lambda whole: whole[: whole.index(b"\xe0\x7f\x10\x00") + 1000],
            MalformedFile,
            "x: is a DICOM image, truncated within its pixel data",
        ),
    ],
)
def test_cut_files_are_refused_in_one_sentence(
    how: Callable[[bytes], bytes],
    error: type[Exception],
    sentence: str,
    real: dict[str, Path],
    path: Path,
) -> None:
    path.write_bytes(how(real["ct.dcm"].read_bytes()))
    with pytest.raises(UnsupportedFile) as refusal:
        read(path)
    assert type(refusal.value) is error
    assert str(refusal.value) == sentence


def test_a_report_is_not_an_image() -> None:
    source = pydicom.data.get_testdata_file("test-SR.dcm", download=False)
    assert isinstance(source, str)
    with pytest.raises(UnsupportedFile) as refusal:
        read(source)
    assert type(refusal.value) is UnsupportedFile
    assert str(refusal.value) == (
        "test-SR.dcm: is a DICOM object without an image, and medtoken reads images"
    )


def test_deflated_files_are_refused_before_they_can_expand(
    changed: Change,
) -> None:
    def deflate(dataset: Dataset) -> None:
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian

    with pytest.raises(UnsupportedFile) as refusal:
        changed(deflate)
    assert str(refusal.value) == "x: is deflated DICOM, which medtoken does not read"


def test_compressed_pixels_cut_short_are_refused(changed: Change, path: Path) -> None:
    def compress(dataset: Dataset) -> None:
        del dataset[0xFFFC, 0xFFFC]  # padding behind the pixels
        dataset.PixelData = encapsulate([b"\xff\xd8" * 500])
        dataset["PixelData"].VR = "OB"
        dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit

    assert changed(compress).entries == 1
    whole = path.read_bytes()
    for cut in (8, 100, 1010):
        path.write_bytes(whole[:-cut])
        with pytest.raises(MalformedFile) as refusal:
            read(path)
        assert str(refusal.value) == "x: is a DICOM image, truncated within its pixel data"


def test_pixels_are_never_loaded(real: dict[str, Path], path: Path) -> None:
    dataset = pydicom.dcmread(real["ct.dcm"])
    dataset.Rows = dataset.Columns = 32_768
    dataset.PixelData = b""
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    head = buffer.getvalue()
    at = head.index(b"\xe0\x7f\x10\x00")
    size = 2 * 32_768**2
    path.write_bytes(head[: at + 8] + size.to_bytes(4, "little"))
    with path.open("r+b") as stream:
        stream.truncate(at + 12 + size)  # sparse: 2 GiB that take no room
    tracemalloc.start()
    try:
        file = read(path)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
    assert facts(file).checks[0][1]
    assert file.size == at + 12 + size


def test_attributes_cannot_fill_the_memory(
    real: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_dicom, "_DATASET_LIMIT", 1000)
    with pytest.raises(MalformedFile) as refusal:
        read(real["ct.dcm"])
    assert str(refusal.value) == "ct.dcm: has more than 1,000 bytes before its pixel data"


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_change_of_bytes_is_read_or_refused(
    data: st.DataObject, real: dict[str, Path], path: Path
) -> None:
    whole = bytearray(real["mr.dcm"].read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(132, 1800))
        whole[place] = data.draw(st.integers(0, 255))
    path.write_bytes(whole)
    try:
        file = read(path)
    except UnsupportedFile as refusal:
        assert str(refusal).startswith("x: ")
        assert "\n" not in str(refusal)
    else:
        assert file.entries >= 1

"""The format is told from the contents; what is none of them is refused in one sentence."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import pytest

from medtoken.errors import BadInput, MalformedFile, MedtokenError, UnsupportedFile
from medtoken.formats import Format, RecordKind, identify, read

FORMATS = {
    "record.json": (Format.FHIR, RecordKind.HEALTH_RECORD),
    "ct.dcm": (Format.DICOM, RecordKind.IMAGING),
    "mr.dcm": (Format.DICOM, RecordKind.IMAGING),
    "glucose.csv": (Format.CGM, RecordKind.SERIES),
    "genome.vcf.gz": (Format.VCF, RecordKind.GENOMIC),
}


def test_kinds_have_the_numbers_of_the_contracts_and_none_is_zero() -> None:
    assert [kind.value for kind in RecordKind] == [1, 2, 3, 4, 5, 6, 7]
    assert RecordKind(4).name == "GENOMIC"
    with pytest.raises(ValueError, match="0 is not a valid RecordKind"):
        RecordKind(0)


@pytest.mark.parametrize("name", FORMATS)
def test_every_real_file_is_recognised_under_a_misleading_name(
    name: str, real: dict[str, Path], tmp_path: Path
) -> None:
    disguised = tmp_path / "holiday.jpg"
    shutil.copyfile(real[name], disguised)
    file = read(disguised)
    assert (identify(disguised), file.kind) == FORMATS[name]
    assert file.format is FORMATS[name][0]
    assert file.size == real[name].stat().st_size
    assert file == read(real[name])


REFUSED = {
    "empty": (b"", MalformedFile, "x: the file is empty"),
    "blank": (b" \n\n\t", MalformedFile, "x: holds nothing but white space"),
    "prose": (
        b"Dear doctor,\nthank you",
        UnsupportedFile,
        "x: is not a FHIR R4 bundle, DICOM, CGM CSV or VCF file",
    ),
    "latin1": (
        b"caf\xe9,th\xe9\n",
        UnsupportedFile,
        "x: is not a FHIR R4 bundle, DICOM, CGM CSV or VCF file",
    ),
    "pdf": (b"%PDF-1.7\n\0\0", UnsupportedFile, "x: is a binary file, but not DICOM"),
    "xml": (
        b"<Bundle xmlns='http://hl7.org/fhir'/>",
        UnsupportedFile,
        "x: is XML or HTML, and FHIR is read as JSON only",
    ),
    "list": (b"[]", UnsupportedFile, "x: is a JSON list, and a FHIR bundle is a JSON object"),
    "gzip of text": (
        gzip.compress(b"hello"),
        UnsupportedFile,
        "x: is gzip, but what it holds is not a VCF file",
    ),
    "gzip header only": (
        b"\x1f\x8b\xff" + bytes(9),
        MalformedFile,
        "x: the gzip data are corrupt",
    ),
    "vcf without its first line": (
        b"#CHROM\tPOS\tID\n",
        MalformedFile,
        "x: looks like VCF but does not begin with ##fileformat=VCFv4",
    ),
    "vcf with another first line": (
        b"##source=me\n",
        MalformedFile,
        "x: looks like VCF but does not begin with ##fileformat=VCFv4",
    ),
    "csv without time": (
        b"id,gl\n1,90\n",
        MalformedFile,
        "x: has a glucose column but no time column (such as 'time')",
    ),
    "csv without glucose": (
        b"id;time\n1;2020-01-01\n",
        MalformedFile,
        "x: has a time column but no glucose column (such as 'gl')",
    ),
    "other csv": (
        b"name,age\nA,3\n",
        UnsupportedFile,
        "x: is not a FHIR R4 bundle, DICOM, CGM CSV or VCF file",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_medical_file_is_refused_in_one_sentence(case: str, tmp_path: Path) -> None:
    content, error, sentence = REFUSED[case]
    path = tmp_path / "x"
    path.write_bytes(content)
    for call in (identify, read):
        with pytest.raises(UnsupportedFile) as refusal:
            call(path)
        assert type(refusal.value) is error
        assert str(refusal.value) == sentence


def test_a_path_that_is_no_readable_file_is_bad_input(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # opening one for reading would wait for a writer for ever
    for path, sentence in (
        (tmp_path / "nowhere", "nowhere: there is no such file"),
        (tmp_path, f"{tmp_path.name}: is not a regular file"),
        (pipe, "pipe: is not a regular file"),
        (tmp_path / "a\0b", "a?b: cannot be opened (its path is not valid)"),
    ):
        with pytest.raises(BadInput) as refusal:
            identify(path)
        assert str(refusal.value) == sentence


def test_a_hostile_file_name_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[2J\nb"
    path.touch()
    with pytest.raises(MalformedFile) as refusal:
        read(path)
    assert str(refusal.value) == "a?[2J?b: the file is empty"


def test_descriptions_name_nobody_and_no_day(real: dict[str, Path]) -> None:
    assert {name: read(path).describe() for name, path in real.items()} == {
        "record.json": "FHIR R4 bundle of 1,069 resources about 1 patient, 1998 to 2021, "
        "with 156 standard codes.",
        "ct.dcm": "DICOM CT of 1 frame of 128 by 128 pixels, 1997 to 2004, with 2 standard codes.",
        "mr.dcm": "DICOM MR of 1 frame of 64 by 64 pixels, 2004, with 2 standard codes.",
        "glucose.csv": "Glucose series of 2,915 readings of 1 person, 11 days covered, 2015, "
        "with 1 standard code.",
        "genome.vcf.gz": "VCF 4.0 of 381 variants and 629 samples, 2010, with 1 standard code.",
    }


@pytest.mark.parametrize("name", FORMATS)
def test_no_beginning_of_a_real_file_is_taken_for_the_whole_or_crashes(
    name: str, real: dict[str, Path], tmp_path: Path
) -> None:
    whole = real[name].read_bytes()
    entries = read(real[name]).entries
    path = tmp_path / "cut"
    for part in range(40):
        path.write_bytes(whole[: len(whole) * part // 40])
        try:
            cut = read(path)
        except MedtokenError as refusal:
            assert isinstance(refusal, MalformedFile), refusal
            assert str(refusal).count("\n") == 0
        else:  # a table cut between or within two rows is a shorter table
            assert name == "glucose.csv"
            assert cut.entries < entries

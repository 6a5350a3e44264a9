"""DICOM images, read with pydicom up to the pixel data, which is measured but never loaded."""

from __future__ import annotations

import datetime as dt
import re
import struct
import warnings
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pydicom
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from medtoken.errors import MalformedFile, MedtokenError, UnsupportedFile
from medtoken.formats._codes import DICOM_SCHEMES, MODALITIES, conforms
from medtoken.formats._io import label, open_regular, size_of
from medtoken.formats._types import Format, MedicalFile, RecordKind, count

_DATASET_LIMIT = 64 * 1024 * 1024
_DEFER = 64 * 1024
_FRAGMENT_LIMIT = 1_000_000
_PIXEL_TAGS = {(0x7FE0, 0x0008): 32, (0x7FE0, 0x0009): 64, (0x7FE0, 0x0010): 0}
"""Where pixels are, and the bits of a cell when the tag fixes them (float 32, double 64)."""
_UID = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]*))+")
_NUMERIC = {"DS", "FD", "FL", "IS", "SS", "UL", "US"}
_TIME = re.compile(r"(?:[01][0-9]|2[0-3])(?:[0-5][0-9](?:[0-5][0-9](?:\.[0-9]{1,6})?)?)?")
_DATES = ("AcquisitionDate", "SeriesDate", "ContentDate", "StudyDate")
_TIMES = ("AcquisitionTime", "SeriesTime", "ContentTime", "StudyTime")
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
_LABELS = ("StudyDescription", "SeriesDescription", "ProtocolName", "TimezoneOffsetFromUTC")
_CLASS_MODALITIES = {
    "CT Image": "CT", "MR Image": "MR", "Enhanced CT": "CT", "Enhanced MR": "MR",
    "Ultrasound": "US", "Digital Mammography": "MG", "Positron Emission": "PT", "RT Dose": "RTDOSE",
}  # fmt: skip

CORE = (
    *_UIDS,
    "PatientID", "PatientSex", "PatientBirthDate", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber", "ReferringPhysicianName", "SeriesNumber", "InstanceNumber", "Modality",
    "Manufacturer", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
)  # fmt: skip
"""Attributes of the patient, study, series, equipment and image modules (PS3.3 C.7, types 1, 2)."""

GEOMETRY = (
    "PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient", "SliceThickness",
    "FrameOfReferenceUID", "BodyPartExamined",
)  # fmt: skip
"""Attributes that say where in the body the image lies."""

TECHNIQUE = {
    "CT": ("KVP", "XRayTubeCurrent", "ExposureTime", "ConvolutionKernel", "RescaleIntercept",
           "RescaleSlope"),
    "MR": ("RepetitionTime", "EchoTime", "MagneticFieldStrength", "FlipAngle", "ScanningSequence",
           "SequenceVariant"),
}  # fmt: skip
"""Attributes that say how the image was made, for the modalities that define them."""

ORIGIN = (
    "InstitutionName", "Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "StationName",
    "SoftwareVersions", "AccessionNumber", "InstanceCreationDate",
)  # fmt: skip
"""Attributes that say where the image comes from."""


@dataclass(frozen=True)
class DicomFacts:
    """What was measured on an image; presence of attributes only, never their values."""

    modality: str | None
    """When it is one of DICOM's defined terms."""
    transfer_syntax: str
    frames: int
    """Frames that the pixel data really hold."""
    rows: int
    columns: int
    present: tuple[str, ...]
    """Keywords that have a value, of CORE, GEOMETRY, TECHNIQUE, ORIGIN and a few more; sorted."""
    valid_dates: int
    """Of the acquisition, series, content and study date: how many are days (0 to 4)."""
    valid_times: int
    """Of the same four times: how many are times (0 to 4)."""
    checks: tuple[tuple[str, bool], ...]
    """Named consistency checks and whether each holds."""
    coded_regions: int
    """Coded anatomic regions, procedures and views in a standard code system."""
    registered_class: bool
    """Whether the SOP class is one that DICOM registers."""


def lacks_preamble(head: bytes) -> bool:
    """Whether the bytes are a DICOM data set that does not begin with preamble and ``DICM``."""
    if head.startswith(b"DICM"):
        return True
    if len(head) < 8 or head[:2] not in (b"\x02\x00", b"\x08\x00") or head[3] != 0:
        return False
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    return explicit or struct.unpack("<I", head[4:8])[0] < 256


class Identity(NamedTuple):
    """What ties an image to a study. It stays with the custodian."""

    study: str
    patient: str
    series: str
    instance: str


def read(path: Path) -> MedicalFile:
    """Read a DICOM image: every attribute before the pixel data, of 64 MiB at most in memory."""
    with open_regular(path) as stream:
        return measure(label(path), stream, size_of(stream))[0]


def measure(name: str, stream: BinaryIO, size: int) -> tuple[MedicalFile, Identity]:
    """As ``read``, of a stream of ``size`` bytes; and which image it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bounded = _Bounded(stream, name, size)
        try:
            dataset, syntax = _dataset(name, bounded)
            facts = _facts(name, dataset, syntax, stream, size)
            codes = _codes(dataset, facts)
            days = [day for key in _DATES if (day := _day(_text(dataset, key))) is not None]
            keys = ("StudyInstanceUID", "PatientID", "SeriesInstanceUID", "SOPInstanceUID")
            identity = Identity(*(_text(dataset, key) for key in keys))
        except MedtokenError:
            raise
        except Exception as error:  # pydicom raises almost anything on a hostile file
            raise MalformedFile(
                f"{name}: is DICOM, but truncated or damaged ({type(error).__name__})"
            ) from None
    file = MedicalFile(
        format=Format.DICOM,
        kind=RecordKind.IMAGING,
        size=size,
        units=Fraction(1),
        entries=facts.frames,
        subjects=1,
        codes=codes,
        start=min(days, default=None),
        end=max(days, default=None),
        summary=(
            f"DICOM {facts.modality or 'image'} of {count(facts.frames, 'frame')} of "
            f"{facts.columns} by {facts.rows} pixels"
        ),
        facts=facts,
    )
    return file, identity


def header(name: str, stream: BinaryIO, size: int) -> Dataset:
    """The data set up to its pixel data, of a stream of ``size`` bytes, in little memory.

    Raises MalformedFile, UnsupportedFile, or whatever pydicom raises on a hostile file.
    """
    return _dataset(name, _Bounded(stream, name, size))[0]


class _Bounded:
    """A file that gives at most 64 MiB to the parser, however often it is read."""

    def __init__(self, stream: BinaryIO, name: str, size: int) -> None:
        self._stream, self._label, self._left = stream, name, _DATASET_LIMIT
        self._size = size
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        # A reader sets aside what it is asked for, and a hostile length asks for far more than is there.
        there = max(0, self._size - self._stream.tell())
        data = self._stream.read(min(there, self._left + 1, size if size >= 0 else there))
        self._left -= len(data)
        if self._left < 0:
            raise MalformedFile(
                f"{self._label}: has more than {_DATASET_LIMIT:,} bytes before its pixel data"
            )
        return data


def _dataset(name: str, bounded: Any) -> tuple[Dataset, str]:
    """The data set up to its pixel data and its transfer syntax UID."""
    bounded.seek(132)
    meta = read_dataset(bounded, False, True, stop_when=lambda tag, vr, length: tag.group != 2)
    syntax = _text(meta, "TransferSyntaxUID")
    if not syntax:
        raise MalformedFile(f"{name}: its DICOM file header is truncated or names no encoding")
    if syntax == DeflatedExplicitVRLittleEndian:
        raise UnsupportedFile(f"{name}: is deflated DICOM, which medtoken does not read")
    bounded.seek(0)
    return pydicom.dcmread(bounded, stop_before_pixels=True, defer_size=_DEFER), syntax


def _facts(name: str, dataset: Any, syntax: str, stream: BinaryIO, size: int) -> DicomFacts:
    modality = _text(dataset, "Modality")
    rows, columns = _number(dataset, "Rows"), _number(dataset, "Columns")
    kind, length, fragments = _pixel_data(name, dataset, stream, size)
    if kind is None and not (rows and columns) and " Image " not in _class_name(dataset.file_meta):
        raise UnsupportedFile(
            f"{name}: is a DICOM object without an image, and medtoken reads images"
        )
    if kind is None:
        raise MalformedFile(f"{name}: is a DICOM image, truncated before its pixel data")
    if not (rows and columns):
        raise MalformedFile(f"{name}: is a DICOM image without rows or columns")
    frames = max(1, _number(dataset, "NumberOfFrames"))
    samples = max(1, _number(dataset, "SamplesPerPixel"))
    allocated = kind or _number(dataset, "BitsAllocated")
    bits = rows * columns * samples * max(1, allocated)
    if _text(dataset, "PhotometricInterpretation") == "YBR_FULL_422":
        bits = bits * 2 // 3
    if fragments is None:
        exact = length == (bits * frames + 15) // 16 * 2
        frames = min(frames, length * 8 // bits)
    else:
        exact = fragments >= frames
        frames = min(frames, fragments)
    if frames == 0:
        raise MalformedFile(f"{name}: is a DICOM image whose pixel data do not hold one frame")
    wanted = {*CORE, *GEOMETRY, *ORIGIN, *_DATES, *_TIMES, *_LABELS}
    wanted.update(keyword for group in TECHNIQUE.values() for keyword in group)
    dates = {key: _day(_text(dataset, key)) for key in (*_DATES, "InstanceCreationDate")}
    return DicomFacts(
        modality=modality if modality in MODALITIES else None,
        transfer_syntax=syntax,
        frames=frames,
        rows=rows,
        columns=columns,
        present=tuple(sorted(key for key in wanted if _text(dataset, key))),
        valid_dates=sum(dates[key] is not None for key in _DATES),
        valid_times=sum(bool(_TIME.fullmatch(_text(dataset, key))) for key in _TIMES),
        checks=(
            ("the pixel data have the size that the attributes give", exact),
            ("identifiers are well formed", all(_is_uid(_text(dataset, key)) for key in _UIDS)),
            ("the file header names the same instance and class", _same_instance(dataset)),
            ("the bits of a pixel fit their cell", _bits_fit(dataset)),
            ("the modality is that of the image's class", _class_fits(dataset, modality)),
            ("distances between pixels are positive", _spaced(dataset)),
            ("the study began no later than the image was taken", _ordered(dates, "Study")),
            ("the image was stored no earlier than it was taken", _ordered(dates, "Instance")),
        ),
        coded_regions=len(_regions(dataset)),
        registered_class=_class_name(dataset) != "",
    )


def _pixel_data(
    name: str, dataset: Any, stream: BinaryIO, size: int
) -> tuple[int | None, int, int | None]:
    """The element at which parsing stopped: (bits per cell it implies or 0, bytes, fragments).

    The first is None when there is no pixel data element; fragments is None for native pixels.
    """
    implicit, little = dataset.original_encoding
    end = "<" if little else ">"
    head = stream.read(12)
    if len(head) < 12:
        return None, 0, None
    group, element = struct.unpack(f"{end}HH", head[:4])
    kind = _PIXEL_TAGS.get((group, element))
    if kind is None:
        return None, 0, None
    if implicit or head[4:6] not in (b"OB", b"OW", b"OF", b"OD", b"UN"):
        stream.seek(-4, 1)
        length = struct.unpack(f"{end}I", head[4:8])[0]
    else:
        length = struct.unpack(f"{end}I", head[8:12])[0]
    if length != 0xFFFFFFFF:
        if stream.tell() + length > size:
            raise MalformedFile(f"{name}: is a DICOM image, truncated within its pixel data")
        return kind, length, None
    start = stream.tell()
    for fragment in range(_FRAGMENT_LIMIT):
        head = stream.read(8)
        if len(head) < 8:
            raise MalformedFile(f"{name}: is a DICOM image, truncated within its pixel data")
        group, element, length = struct.unpack(f"{end}HHI", head)
        if (group, element) == (0xFFFE, 0xE0DD):
            return kind, stream.tell() - start, max(0, fragment - 1)  # first item: offset table
        if (group, element) != (0xFFFE, 0xE000) or stream.tell() + length > size:
            raise MalformedFile(f"{name}: is a DICOM image, truncated within its pixel data")
        stream.seek(length, 1)
    raise MalformedFile(f"{name}: has more than {_FRAGMENT_LIMIT:,} fragments of pixel data")


def _value(dataset: Any, keyword: str) -> Any:
    """An attribute's value; None when it is absent, empty or cannot be decoded."""
    try:
        value = dataset.get(keyword)
    except Exception:  # a converter of pydicom may raise almost anything on a hostile value
        return None
    if isinstance(value, (str, bytes)) and dictionary_VR(keyword) in _NUMERIC:
        return None  # pydicom gives what is no number as text
    return value


def _text(dataset: Any, keyword: str) -> str:
    value = _value(dataset, keyword)
    return "" if value is None else str(value).strip("\0 ")


def _number(dataset: Any, keyword: str) -> int:
    value = _value(dataset, keyword)
    return value if isinstance(value, int) and 0 <= value < 2**31 else 0


def _day(text: str) -> dt.date | None:
    if not re.fullmatch("[0-9]{8}", text):
        return None
    try:
        return dt.date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None


def _is_uid(text: str) -> bool:
    return len(text) <= 64 and bool(_UID.fullmatch(text))


def _class_name(dataset: Any) -> str:
    """The registered name of a data set's (or header's) SOP class, empty when there is none."""
    uid = UID(_text(dataset, "SOPClassUID") or _text(dataset, "MediaStorageSOPClassUID"))
    return uid.name if uid.type == "SOP Class" else ""


def _class_fits(dataset: Any, modality: str) -> bool:
    name = _class_name(dataset)
    for prefix, expected in _CLASS_MODALITIES.items():
        if name.startswith(prefix):
            return modality == expected
    return bool(name) and modality in MODALITIES


def _same_instance(dataset: Any) -> bool:
    meta = dataset.file_meta
    return all(
        _text(meta, f"MediaStorage{key}") == _text(dataset, key) != ""
        for key in ("SOPInstanceUID", "SOPClassUID")
    )


def _bits_fit(dataset: Any) -> bool:
    allocated, stored = _number(dataset, "BitsAllocated"), _number(dataset, "BitsStored")
    return 1 <= stored <= allocated and _number(dataset, "HighBit") == stored - 1


def _spaced(dataset: Any) -> bool:
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        value = _value(dataset, keyword)
        if value and len(value) == 2 and all(distance > 0 for distance in value):
            return True
    return False


def _ordered(dates: dict[str, dt.date | None], other: str) -> bool:
    taken = dates["AcquisitionDate"]
    day = dates["StudyDate"] if other == "Study" else dates["InstanceCreationDate"]
    if taken is None or day is None:
        return False
    return day <= taken if other == "Study" else taken <= day


def _regions(dataset: Any) -> set[str]:
    """Standard codes of the anatomic region, the procedure and the view."""
    found = set()
    for keyword in ("AnatomicRegionSequence", "ProcedureCodeSequence", "ViewCodeSequence"):
        for item in list(_value(dataset, keyword) or [])[:100]:
            scheme = DICOM_SCHEMES.get(_text(item, "CodingSchemeDesignator"))
            code = _text(item, "CodeValue")
            if scheme and conforms(scheme, code):
                found.add(f"{scheme}:{code}")
    return found


def _codes(dataset: Any, facts: DicomFacts) -> tuple[str, ...]:
    codes = _regions(dataset)
    if facts.modality:
        codes.add(f"DICOM:{facts.modality}")
    if facts.registered_class:
        codes.add(f"DICOM-SOP:{_text(dataset, 'SOPClassUID')}")
    return tuple(sorted(codes))

"""Masking DICOM images: a data set is built anew from the attributes that the profile names.

This is the Basic Application Level Confidentiality Profile (PS3.15 E) turned round: its table says
what to remove, and what it has not heard of (a private attribute, a later edition's) stays; here it
goes. Pixels are copied bit for bit within the bits that are stored, and nothing around them.
"""

from __future__ import annotations

import datetime as dt
import io
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from medtoken.errors import BadInput, MalformedFile, MedtokenError, UnsupportedFile
from medtoken.formats import _dicom as dicom
from medtoken.formats._io import label
from medtoken.masking._file import Masked
from medtoken.masking._keyed import AGED, EPOCH, OLDEST, Calendar, Keyed
from medtoken.masking._profile import Part, Profile, Rule

_SIZE_LIMIT = 1 << 30
_NUMERIC = {"DS", "FD", "FL", "IS", "SL", "SS", "UL", "US"}
_NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
_TEXTED = {"ES", "GM", "OT", "SC", "SM", "US", "XC"}
"""Modalities whose images usually have text on them: they need a word that theirs have none."""
_FACES = {"HEAD", "BRAIN", "SKULL", "FACE", "NECK", "HEADNECK"}
_CODES = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
)


def write(
    path: Path, target: Path, part: Part, keyed: Keyed, result: Masked, profile: Profile
) -> None:
    """Write the masked image under its own file header."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source, syntax = _source(path, inspected=result.inspected)
        try:
            masked = _masked(path, source, part, keyed, result)
            for rule in part.rules:
                if rule.as_ == "pixels":
                    _pixels(path, source, masked)
            _sign(masked, profile)
            meta = FileMetaDataset()
            meta.MediaStorageSOPClassUID = masked.SOPClassUID
            meta.MediaStorageSOPInstanceUID = masked.SOPInstanceUID
            meta.TransferSyntaxUID = syntax
            masked.file_meta = meta
            written = io.BytesIO()
            pydicom.dcmwrite(written, masked, enforce_file_format=True)
        except MedtokenError:
            raise
        except Exception as error:  # pydicom raises almost anything on a hostile value
            raise MalformedFile(
                f"{label(path)}: is DICOM, but damaged ({type(error).__name__})"
            ) from None
    target.write_bytes(written.getbuffer())


def attributes(path: Path, part: Part, keyed: Keyed) -> Iterator[dict[str, Any]]:
    """The masked attributes by keyword, without pixels: one object."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source, _ = _source(path, inspected=True)  # no pixels leave
        try:
            masked = _masked(path, source, part, keyed, Masked("", b"", "dicom"))
        except MedtokenError:
            raise
        except Exception as error:  # pydicom raises almost anything on a hostile value
            raise MalformedFile(
                f"{label(path)}: is DICOM, but damaged ({type(error).__name__})"
            ) from None
    yield {
        element.keyword: [_simple(v) for v in element.value]
        if element.VM > 1
        else _simple(element.value)
        for element in masked
    }


def _simple(value: Any) -> Any:
    if isinstance(value, int):
        return int(value)
    return float(value) if isinstance(value, float) or hasattr(value, "as_tuple") else str(value)


def _source(path: Path, *, inspected: bool) -> tuple[Dataset, UID]:
    found = dicom.read(path)  # refuses what is no sound image, and bounds what follows
    if found.size > _SIZE_LIMIT:
        raise UnsupportedFile(f"{label(path)}: is larger than {_SIZE_LIMIT:,} bytes")
    try:
        source = pydicom.dcmread(path)
        syntax = UID(str(source.file_meta.TransferSyntaxUID))
    except Exception as error:
        raise MalformedFile(
            f"{label(path)}: is DICOM, but truncated or damaged ({type(error).__name__})"
        ) from None
    if syntax not in _NATIVE:
        raise UnsupportedFile(
            f"{label(path)}: its pixels are compressed, and compressed data may carry comments; "
            "decompress it first"
        )
    _refuse_text(path, source, inspected=inspected)
    return source, syntax


def _refuse_text(path: Path, source: Dataset, *, inspected: bool) -> None:
    """Refuse an image that shows text, or may and nobody said that it shows none."""
    burned = dicom._text(source, "BurnedInAnnotation").upper()
    if burned not in ("", "NO"):
        raise UnsupportedFile(f"{label(path)}: has text burned into its pixels")
    kinds = {part.strip() for part in re.split(r"[\[\]',\\]", dicom._text(source, "ImageType"))}
    captured = "Secondary Capture" in dicom._class_name(source) or "SECONDARY" in kinds
    may = captured or dicom._text(source, "Modality") in _TEXTED
    if may and burned != "NO" and not inspected:
        raise UnsupportedFile(
            f"{label(path)}: may have text burned into its pixels; somebody has to look first, and "
            "say so"
        )
    if dicom._text(source, "RecognizableVisualFeatures").upper() == "YES":
        raise UnsupportedFile(f"{label(path)}: shows features that a person is recognised by")


def _masked(path: Path, source: Dataset, part: Part, keyed: Keyed, result: Masked) -> Dataset:
    masked = Dataset()
    calendar = Calendar(_shift(source, part, keyed))
    for rule in part.rules:
        if rule.as_ == "pixels":
            continue
        if rule.as_ not in (*_HOW, "empty"):
            raise MalformedFile(
                f"The profile has a rule {rule.as_!r}, which no attribute of an image has."
            )
        for keyword in rule.of:
            tag = tag_for_keyword(keyword)
            if tag is None:
                raise BadInput(f"The profile names {keyword}, which is no attribute of DICOM.")
            value = "" if rule.as_ == "empty" else None
            if tag in source and value is None:
                value = _HOW[rule.as_](_values(source, keyword), keyword, rule, keyed, calendar)
            if value is not None:
                setattr(masked, keyword, value)
            elif rule.must:
                raise MalformedFile(f"{label(path)}: lacks a sound {keyword}")
    result.kept = len(masked) + any(rule.as_ == "pixels" for rule in part.rules)
    result.dropped = len(source) - result.kept
    if dicom._text(source, "BodyPartExamined").upper() in _FACES:
        result.notes.append("A face may be rebuilt from slices of a head: remove it beforehand.")
    return masked


def _shift(source: Dataset, part: Part, keyed: Keyed) -> dt.timedelta:
    if part.dates == "shifted":
        return keyed.shift(dicom._text(source, "PatientID"))
    days = [dicom._day(dicom._text(source, keyword)) for keyword in dicom._DATES]
    first = min((day for day in days if day), default=EPOCH.date())
    return dt.timedelta(days=EPOCH.date().toordinal() - first.toordinal())


def _values(source: Dataset, keyword: str) -> list[Any]:
    value = dicom._value(source, keyword)
    if value is None or value == "":
        return []
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        return [value]
    return list(value)


_Value = Callable[[list[Any], str, Rule, Keyed, Calendar], Any]


def _several(found: list[Any], given: list[Any]) -> Any:
    """All of an attribute's values or, when one may not leave, none of them."""
    if not found or len(found) != len(given):
        return None
    return found if len(found) > 1 else found[0]


def _number(values: list[Any], keyword: str, rule: Rule, keyed: Keyed, calendar: Calendar) -> Any:
    if dictionary_VR(keyword) not in _NUMERIC and "US" not in dictionary_VR(keyword):
        return None
    found = [v for v in values if isinstance(v, int | float) or hasattr(v, "as_tuple")]
    return _several(found, values)


def _code(values: list[Any], keyword: str, rule: Rule, keyed: Keyed, calendar: Calendar) -> Any:
    """Listed values only. Of several, those listed: a type has its first two wherever it has any."""
    found = [text for v in values if (text := str(v).strip("\0 ")) in rule.values]
    return (found if len(found) > 1 else found[0]) if found else None


def _uid(values: list[Any], keyword: str, rule: Rule, keyed: Keyed, calendar: Calendar) -> Any:
    return _several([keyed.uid(str(v)) for v in values if str(v)], values)


def _registered(
    values: list[Any], keyword: str, rule: Rule, keyed: Keyed, calendar: Calendar
) -> Any:
    return _several([v for v in values if UID(str(v)).type], values)


def _date(values: list[Any], keyword: str, rule: Rule, keyed: Keyed, calendar: Calendar) -> Any:
    days = [dicom._day(str(v)) for v in values]
    moved = [m.strftime("%Y%m%d").rjust(8, "0") for d in days if d and (m := calendar.day(d))]
    return _several(moved, values)


def _time(values: list[Any], keyword: str, rule: Rule, keyed: Keyed, calendar: Calendar) -> Any:
    found = [str(v)[:6] for v in values if dicom._TIME.fullmatch(str(v).strip())]
    return _several(found, values)


def _age(values: list[Any], keyword: str, rule: Rule, keyed: Keyed, calendar: Calendar) -> Any:
    text = str(values[0]).strip() if len(values) == 1 else ""
    if not re.fullmatch(r"[0-9]{3}[DWMY]", text):
        return None
    years = int(text[:3]) / {"D": 365, "W": 52, "M": 12, "Y": 1}[text[3]]
    return f"{AGED:03}Y" if years > OLDEST else text


def _pseudonym(
    values: list[Any], keyword: str, rule: Rule, keyed: Keyed, calendar: Calendar
) -> Any:
    return keyed.pseudonym(str(values[0])) if values else None


_HOW: dict[str, _Value] = {
    "age": _age,
    "code": _code,
    "date": _date,
    "number": _number,
    "pseudonym": _pseudonym,
    "registered-uid": _registered,
    "time": _time,
    "uid": _uid,
}


def _pixels(path: Path, source: Dataset, masked: Dataset) -> None:
    """Copy the stored bits of the pixels and nothing else that their element may hold."""
    name = label(path)
    if "PixelData" not in source:
        raise UnsupportedFile(f"{name}: has pixels of a kind that is not masked (floating point)")
    allocated, stored = int(masked.BitsAllocated), int(masked.BitsStored)
    if allocated not in (8, 16, 32) or int(masked.HighBit) != stored - 1 or stored > allocated:
        raise UnsupportedFile(f"{name}: stores its pixels in a way that is not masked")
    frames = int(masked.get("NumberOfFrames") or 1)
    samples = int(masked.SamplesPerPixel)
    if str(masked.PhotometricInterpretation) == "YBR_FULL_422":
        raise UnsupportedFile(f"{name}: stores its pixels in a way that is not masked")
    size = int(masked.Rows) * int(masked.Columns) * samples * frames * allocated // 8
    data = bytes(source.PixelData)
    if len(data) < size:
        raise MalformedFile(f"{name}: is a DICOM image, truncated within its pixel data")
    data = data[:size]
    if stored < allocated:
        data = _without_unused(data, allocated, stored, source, bool(masked.PixelRepresentation))
    masked.PixelData = data + b"\0" * (len(data) % 2)
    masked["PixelData"].VR = "OW" if allocated > 8 else "OB"


def _without_unused(
    data: bytes, allocated: int, stored: int, source: Dataset, signed: bool
) -> bytes:
    """Old files keep overlays in the bits that pixels do not use: those become the sign or 0."""
    import numpy

    order = "<" if source.original_encoding[1] else ">"
    cells = numpy.frombuffer(data, f"{order}u{allocated // 8}").astype(numpy.int64)
    cells &= (1 << stored) - 1
    if signed:
        cells -= (cells >> (stored - 1)) << stored
    return bytes(
        cells.astype(f"{order}i{allocated // 8}" if signed else f"{order}u{allocated // 8}")
    )


def _sign(masked: Dataset, profile: Profile) -> None:
    """Say in the image how it was masked (PS3.15 E.1.1)."""
    masked.PatientIdentityRemoved = "YES"
    masked.DeidentificationMethod = f"medtoken {profile.name} {profile.version}"[:64]
    items = []
    for code, meaning in _CODES:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "DCM", meaning
        items.append(item)
    masked.DeidentificationMethodCodeSequence = items
    masked.LongitudinalTemporalInformationModified = "MODIFIED"

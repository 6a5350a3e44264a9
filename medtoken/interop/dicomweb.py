"""Images from a DICOMweb server as they are: QIDO-RS finds them, WADO-RS brings them (R40)."""

from __future__ import annotations

import email.message
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from medtoken.errors import BadInput, SourceError
from medtoken.formats._dicom import header
from medtoken.interop._web import Answer, Web

_INSTANCE_MOST = 4 << 30
"""Bytes of one image."""
_LIST_MOST = 64 << 20
_INSTANCES_MOST = 20_000
_PAGE = 200
_HEAD_MOST = 64 * 1024
_JSON = "application/dicom+json"
_PART = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_STUDY, _SERIES, _INSTANCE, _PATIENT = "0020000D", "0020000E", "00080018", "00100020"


@dataclass(frozen=True, order=True)
class Instance:
    """One image by its study, series and SOP instance UIDs."""

    study: str
    series: str
    uid: str


def find_instances(
    web: Web, *, study: str | None = None, patient: str | None = None
) -> list[Instance]:
    """The images of a study, or of all studies with a PatientID, sorted.

    Raises SourceError when there are none or the server answers what no DICOMweb server may.
    """
    if (study is None) == (patient is None):
        raise BadInput("Name a study or a patient.")
    if study is not None and not _good(study):
        raise BadInput(f"{study!r} is not a DICOM UID.")
    if patient is not None and (
        not patient.isprintable() or set(patient) & set("*?\\") or not patient
    ):
        raise BadInput("A PatientID is printable and names one patient, without wildcards.")
    studies = [study] if study else sorted(
        {_uid(web, one, _STUDY) for one in _listed(web, "studies", PatientID=patient)}
    )  # fmt: skip
    found = {
        Instance(str(one), _uid(web, line, _SERIES), _uid(web, line, _INSTANCE))
        for one in studies
        for line in _listed(web, f"studies/{one}/instances")
    }
    if not found:
        raise SourceError(f"{web.name} has no images of that {'study' if study else 'patient'}.")
    return sorted(found)


def fetch_instance(web: Web, instance: Instance, path: Path, *, patient: str | None = None) -> int:
    """Write one image to ``path`` as the server keeps it; its bytes.

    Raises SourceError when it is not that image, or not of that patient, or was cut off.
    """
    url = f"studies/{instance.study}/series/{instance.series}/instances/{instance.uid}"
    with web.get(url, _PART) as answer, path.open("wb") as file:
        if answer.status != 200:
            raise SourceError(f"{web.name} answered {answer.status} for image {instance.uid}.")
        size = _part(web, answer, file)
    try:
        with path.open("rb") as stream:
            dataset = header(web.name, stream, size)
            stated = Instance(
                str(dataset.get("StudyInstanceUID")),
                str(dataset.get("SeriesInstanceUID")),
                str(dataset.get("SOPInstanceUID")),
            )
            whose = str(dataset.get("PatientID"))
    except Exception:  # pydicom raises almost anything on a hostile file
        raise SourceError(
            f"{web.name} sent something for image {instance.uid} that is no DICOM."
        ) from None
    if stated != instance or (patient is not None and whose != patient):
        raise SourceError(f"{web.name} sent another image than {instance.uid}.")
    return size


def _listed(web: Web, url: str, **parameters: Any) -> Iterator[dict[str, Any]]:
    """All answers of a QIDO-RS search, page after page, until a page brings nothing new."""
    seen: set[bytes] = set()
    while True:
        with web.get(url, _JSON, limit=_PAGE, offset=len(seen), **parameters) as answer:
            if answer.status == 204:
                return
            if answer.status != 200:
                raise SourceError(f"{web.name} answered {answer.status} to a search.")
            if answer.media_type not in (_JSON, "application/json"):
                raise SourceError(f"{web.name} did not answer in DICOM JSON.")
            body = answer.body(_LIST_MOST)
        try:
            page = msgspec.json.decode(body, type=list[dict[str, Any]])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise SourceError(f"{web.name} sent a list that is cut off or no DICOM JSON.") from None
        before = len(seen)
        for line in page:
            mark = msgspec.json.encode([line.get(tag) for tag in (_STUDY, _SERIES, _INSTANCE)])
            if mark not in seen:
                seen.add(mark)
                yield line
        if len(seen) > _INSTANCES_MOST:
            raise SourceError(f"{web.name} lists more than {_INSTANCES_MOST:,} images.")
        if len(seen) == before or not page:
            return


def _uid(web: Web, line: dict[str, Any], tag: str) -> str:
    element = line.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    value = values[0] if isinstance(values, list) and values else None
    if not isinstance(value, str) or not _good(value):
        raise SourceError(f"{web.name} sent a list without the UIDs that it must have.")
    return value


def _good(uid: str) -> bool:
    return len(uid) <= 64 and bool(_UID.fullmatch(uid))


def _part(web: Web, answer: Answer, file: BinaryIO) -> int:
    """Write the one part of a multipart answer, or an answer that is the file itself."""
    malformed = SourceError(f"{web.name} did not answer with one DICOM file, or it was cut off.")
    pieces = answer.pieces(_INSTANCE_MOST)
    if answer.media_type == "application/dicom":
        return sum(file.write(piece) for piece in pieces)
    head = email.message.Message()
    head["Content-Type"] = answer.content_type
    boundary = head.get_boundary()
    if answer.media_type != "multipart/related" or not boundary or len(boundary) > 200:
        raise malformed
    try:
        mark = b"\r\n--" + boundary.encode("ascii")
    except UnicodeEncodeError:
        raise malformed from None
    held = bytearray(b"\r\n")  # so that a boundary at the very beginning is found, too
    inside, written = False, 0
    for piece in pieces:
        held += piece
        if not inside:
            start = held.find(mark)
            end = held.find(b"\r\n\r\n", start + len(mark)) if start >= 0 else -1
            if end < 0:
                if len(held) > _HEAD_MOST:
                    raise malformed
                continue
            del held[: end + 4]
            inside = True
        stop = held.find(mark)
        if stop >= 0:
            tail = bytes(held[stop + len(mark) :])
            while len(tail) <= _HEAD_MOST and (more := next(pieces, b"")):
                tail += more
            if not tail.startswith(b"--") or len(tail) > _HEAD_MOST:
                raise malformed  # a second part, or what does not end
            file.write(held[:stop])
            return written + stop
        keep = len(mark) - 1
        if len(held) > keep:
            written += file.write(held[:-keep])
            del held[:-keep]
    raise malformed

"""Which format a file has, by its first bytes, and the reader for each."""

from __future__ import annotations

import zlib
from os import PathLike
from pathlib import Path

from medtoken.errors import MalformedFile, UnsupportedFile
from medtoken.formats import _cgm, _dicom, _fhir, _study, _vcf
from medtoken.formats._io import HEAD_BYTES, label, open_regular
from medtoken.formats._types import Format, MedicalFile

_READERS = {
    Format.FHIR: _fhir.read,
    Format.DICOM: _dicom.read,
    Format.STUDY: _study.read,
    Format.CGM: _cgm.read,
    Format.VCF: _vcf.read,
}


def identify(path: str | PathLike[str]) -> Format:
    """The format of the file at ``path``, told from its first 64 KiB alone.

    Raises BadInput when there is no readable file, MalformedFile when it is empty or begins as one
    of the formats but breaks it at once, UnsupportedFile when it is none of them.
    """
    path = Path(path)
    name = label(path)
    with open_regular(path) as stream:
        head = stream.read(HEAD_BYTES)
    if not head:
        raise MalformedFile(f"{name}: the file is empty")
    if head[128:132] == b"DICM":
        return Format.DICOM
    if _study.looks_like(head):
        return Format.STUDY
    if _dicom.lacks_preamble(head):
        raise MalformedFile(f"{name}: looks like DICOM but lacks the 128-byte preamble and 'DICM'")
    if head.startswith(b"\x1f\x8b"):
        try:
            inner = zlib.decompressobj(wbits=31).decompress(head, HEAD_BYTES)
        except zlib.error:
            raise MalformedFile(f"{name}: the gzip data are corrupt") from None
        if inner.startswith(b"##fileformat=VCF"):
            return Format.VCF
        raise UnsupportedFile(f"{name}: is gzip, but what it holds is not a VCF file")
    if b"\0" in head:
        raise UnsupportedFile(f"{name}: is a binary file, but not DICOM")
    return _identify_text(name, head)


def _identify_text(name: str, head: bytes) -> Format:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        raise MalformedFile(f"{name}: holds nothing but white space")
    if text.startswith(b"##fileformat=VCF"):
        return Format.VCF
    if text.startswith((b"##", b"#CHROM")):
        raise MalformedFile(f"{name}: looks like VCF but does not begin with ##fileformat=VCFv4")
    if text.startswith(b"{"):
        return Format.FHIR
    if text.startswith(b"["):
        raise UnsupportedFile(f"{name}: is a JSON list, and a FHIR bundle is a JSON object")
    if text.startswith(b"<"):
        raise UnsupportedFile(f"{name}: is XML or HTML, and FHIR is read as JSON only")
    first = text.split(b"\n", 1)[0]
    try:
        header = first.decode("utf-8")
    except UnicodeDecodeError:
        header = ""
    columns = _cgm.find_columns(header)
    if columns.time is not None and columns.glucose is not None:
        return Format.CGM
    if columns.time is not None:
        raise MalformedFile(f"{name}: has a time column but no glucose column (such as 'gl')")
    if columns.glucose is not None:
        raise MalformedFile(f"{name}: has a glucose column but no time column (such as 'time')")
    raise UnsupportedFile(f"{name}: is not a FHIR R4 bundle, DICOM, CGM CSV or VCF file")


def read(path: str | PathLike[str]) -> MedicalFile:
    """Read and measure the medical file at ``path``; raises as :func:`identify` does."""
    path = Path(path)
    return _READERS[identify(path)](path)

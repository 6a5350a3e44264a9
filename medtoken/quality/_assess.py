"""The scores of a file and how they come about."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
from dataclasses import dataclass
from importlib import resources
from os import PathLike

from medtoken.formats import (
    CgmFacts,
    DicomFacts,
    FhirFacts,
    MedicalFile,
    VcfFacts,
    read,
)
from medtoken.quality import _cgm, _dicom, _fhir, _vcf
from medtoken.quality._parts import Dimensions, Part, recency, score

METHOD = "medtoken-dvi/1"
_TEXT = "dvi-1.md"

DIMENSIONS = {
    "volume": 15,
    "completeness": 20,
    "timeliness": 15,
    "accuracy": 20,
    "annotation": 15,
    "traceability": 15,
}
"""R7's six dimensions of the data and their weights in the DVI; the weights make 100."""


@dataclass(frozen=True)
class Quality:
    """The assessment of one file: integers from 0 to 100."""

    method: str
    method_hash: bytes
    """SHA-256 of the method's text (32 bytes)."""
    as_of: dt.date
    """The day of reference, by which the data's age counts."""
    volume: int
    completeness: int
    timeliness: int
    accuracy: int
    annotation: int
    traceability: int
    q: int
    """R1's Q: the mean of completeness and annotation, rounded down."""
    dvi: int
    """R7's Data Value Index: the weighted mean of the six, rounded down."""
    parts: tuple[tuple[str, tuple[Part, ...]], ...]
    """Why: each dimension with what was looked at in it, without personal data."""

    @property
    def explanation(self) -> tuple[str, ...]:
        """One line for each dimension: its score, and what each of its parts earned."""
        return tuple(
            f"{name} {getattr(self, name)}: "
            + ", ".join(f"{part.name} {int(part.points * part.share)}/{part.points}" for part in of)
            for name, of in self.parts
        )


@functools.cache
def method_text() -> bytes:
    """The published method, exactly as it is hashed."""
    return resources.files("medtoken.quality").joinpath(_TEXT).read_bytes()


def method_hash() -> bytes:
    """SHA-256 of :func:`method_text`, 32 bytes: what an attestation names (R7)."""
    return hashlib.sha256(method_text()).digest()


def assess(source: str | PathLike[str] | MedicalFile, as_of: dt.date) -> Quality:
    """Judge a file as it was worth on the day ``as_of``, the attestation's day of reference.

    ``source`` is its path, or the file that was read already; raises as ``formats.read`` does.
    """
    file = source if isinstance(source, MedicalFile) else read(source)
    parts = dimensions(file, as_of)
    scores = {name: score(parts[name]) for name in DIMENSIONS}
    return Quality(
        method=METHOD,
        method_hash=method_hash(),
        as_of=as_of,
        **scores,
        q=(scores["completeness"] + scores["annotation"]) // 2,
        dvi=sum(weight * scores[name] for name, weight in DIMENSIONS.items()) // 100,
        parts=tuple((name, tuple(parts[name])) for name in DIMENSIONS),
    )


def dimensions(file: MedicalFile, as_of: dt.date) -> Dimensions:
    """The parts of all six dimensions, judged for the file's own format."""
    recent = recency(file.end, as_of)
    match file.facts:
        case FhirFacts() as facts:
            return _fhir.dimensions(facts, recent)
        case DicomFacts() as facts:
            return _dicom.dimensions(facts, recent)
        case CgmFacts() as facts:
            return _cgm.dimensions(facts, recent)
        case VcfFacts() as facts:
            return _vcf.dimensions(facts, recent)

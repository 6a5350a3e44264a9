"""The scores of a file and how they come about."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from importlib import resources
from os import PathLike

from medtoken.formats import (
    CgmFacts,
    DicomFacts,
    Facts,
    FhirFacts,
    MedicalFile,
    VcfFacts,
    read,
)
from medtoken.quality import _cgm, _dicom, _fhir, _vcf
from medtoken.quality._parts import Dimensions, score

METHOD = "medtoken-quality/1"
_TEXT = "method-1.md"

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
    explanation: tuple[str, ...]
    """One line for each dimension, without personal data."""


@functools.cache
def method_text() -> bytes:
    """The published method, exactly as it is hashed."""
    return resources.files("medtoken.quality").joinpath(_TEXT).read_bytes()


def method_hash() -> bytes:
    """SHA-256 of :func:`method_text`, 32 bytes: what an attestation names (R7)."""
    return hashlib.sha256(method_text()).digest()


def assess(source: str | PathLike[str] | MedicalFile) -> Quality:
    """Judge a file by its path, or one that was read already; raises as ``formats.read`` does."""
    file = source if isinstance(source, MedicalFile) else read(source)
    parts = dimensions(file.facts)
    scores = {name: score(parts[name]) for name in DIMENSIONS}
    return Quality(
        method=METHOD,
        method_hash=method_hash(),
        **scores,
        q=(scores["completeness"] + scores["annotation"]) // 2,
        dvi=sum(weight * scores[name] for name, weight in DIMENSIONS.items()) // 100,
        explanation=tuple(
            f"{name} {scores[name]}: "
            + ", ".join(f"{part.name} {int(part.points * part.share)}/{part.points}" for part in of)
            for name, of in parts.items()
        ),
    )


def dimensions(facts: Facts) -> Dimensions:
    """The parts of all six dimensions, judged for the facts' own format."""
    match facts:
        case FhirFacts():
            return _fhir.dimensions(facts)
        case DicomFacts():
            return _dicom.dimensions(facts)
        case CgmFacts():
            return _cgm.dimensions(facts)
        case VcfFacts():
            return _vcf.dimensions(facts)

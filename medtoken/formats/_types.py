"""What a medical file is to the rest of medtoken: its kind, its size in units, its codes."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from medtoken.formats._cgm import CgmFacts
    from medtoken.formats._dicom import DicomFacts
    from medtoken.formats._fhir import FhirFacts
    from medtoken.formats._vcf import VcfFacts

Facts: TypeAlias = "FhirFacts | DicomFacts | CgmFacts | VcfFacts"


class Format(enum.Enum):
    """The file formats that medtoken reads."""

    FHIR = "fhir-r4"
    DICOM = "dicom"
    STUDY = "dicom-study"
    """The images of one imaging study in one file: see ``pack_study``."""
    CGM = "cgm-csv"
    VCF = "vcf"


class RecordKind(enum.IntEnum):
    """The kinds of record (R6), with the numbers the contracts use. Zero is never a kind."""

    HEALTH_RECORD = 1
    SERIES = 2
    IMAGING = 3
    GENOMIC = 4
    DOCUMENT = 5
    SUPPLY = 6
    DERIVED = 7


@dataclass(frozen=True)
class MedicalFile:
    """One file, read and measured once. Holds no name, identifier, value or free text of a person.

    ``start`` and ``end`` are the first and last day the data speak of. A day is personal data:
    keep it with the custodian and publish years only, as :meth:`describe` does.
    """

    format: Format
    kind: RecordKind
    size: int
    """Bytes of the file as stored."""
    units: Fraction
    """R1's units of one person's data, exact, before the coefficient: 1 for a health record, an
    imaging study or a genomic sample; years covered / 3 for a series."""
    entries: int
    """Resources of a bundle, frames of an image, rows of a series, variants of a VCF."""
    subjects: int
    """How many people the file speaks of. A record belongs to one: units never count the others."""
    codes: tuple[str, ...]
    """Codes found, ``SYSTEM:code``, sorted and distinct, each checked against its system's form."""
    start: dt.date | None
    end: dt.date | None
    summary: str
    """What was read, as a phrase without personal data."""
    facts: Facts
    """What the quality method (R7) judges; one class per format."""

    @property
    def milliunits(self) -> int:
        """``units`` times 1000, rounded down, at least 1: no file is worth nothing."""
        return max(1, int(self.units * 1000))

    def describe(self) -> str:
        """One sentence for a person, naming nobody and no day."""
        years = ""
        if self.start and self.end:
            first, last = self.start.year, self.end.year
            years = f", {first}" if first == last else f", {first} to {last}"
        noun = "code" if len(self.codes) == 1 else "codes"
        return f"{self.summary}{years}, with {len(self.codes):,} standard {noun}."


def count(number: int, singular: str, plural: str | None = None) -> str:
    """``1 patient``, ``1,204 resources``."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"

"""Medical files as medtoken reads them: FHIR R4 bundles, DICOM images and studies, CGM series, VCF.

:func:`identify` tells the format from the contents (never from the name), :func:`read` measures the
file once and returns a :class:`MedicalFile`. Files come from strangers: every reader is bounded in
memory, none loads pixel data, and whatever is wrong is one sentence in an UnsupportedFile,
MalformedFile or BadInput.
"""

from __future__ import annotations

from medtoken.formats._cgm import CgmFacts
from medtoken.formats._dicom import CORE, GEOMETRY, ORIGIN, TECHNIQUE, DicomFacts
from medtoken.formats._fhir import FhirFacts
from medtoken.formats._identify import identify, read
from medtoken.formats._study import by_study, pack_study
from medtoken.formats._types import Facts, Format, MedicalFile, RecordKind
from medtoken.formats._vcf import VcfFacts

__all__ = [
    "CORE",
    "GEOMETRY",
    "ORIGIN",
    "TECHNIQUE",
    "CgmFacts",
    "DicomFacts",
    "Facts",
    "FhirFacts",
    "Format",
    "MedicalFile",
    "RecordKind",
    "VcfFacts",
    "by_study",
    "identify",
    "pack_study",
    "read",
]

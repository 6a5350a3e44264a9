"""Clinical code systems: which ones count as standard, and whether a code has its system's form."""

from __future__ import annotations

import re
from functools import lru_cache

SYSTEMS = {
    "http://loinc.org": "LOINC",
    "http://snomed.info/sct": "SNOMED",
    "http://hl7.org/fhir/sid/icd-10": "ICD-10",
    "http://hl7.org/fhir/sid/icd-10-cm": "ICD-10-CM",
    "http://hl7.org/fhir/sid/icd-11": "ICD-11",
    "http://id.who.int/icd/release/11/mms": "ICD-11",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "RXNORM",
    "http://www.whocc.no/atc": "ATC",
    "http://hl7.org/fhir/sid/cvx": "CVX",
    "http://dicom.nema.org/resources/ontology/DCM": "DCM",
}
"""FHIR's URI of each code system that counts as standard, and the prefix used for its codes."""

DICOM_SCHEMES = {"SCT": "SNOMED", "LN": "LOINC", "I10": "ICD-10", "I11": "ICD-11", "DCM": "DCM"}
"""Coding scheme designators of DICOM (PS3.16 section 8)."""

# fmt: off
MODALITIES = frozenset({
    "AR", "ASMT", "AU", "BDUS", "BI", "BMD", "CFM", "CR", "CT", "CTPROTOCOL", "DG", "DMS", "DOC",
    "DX", "ECG", "EEG", "EMG", "EOG", "EPS", "ES", "FID", "GM", "HC", "HD", "IO", "IOL", "IVOCT",
    "IVUS", "KER", "KO", "LEN", "LS", "M3D", "MG", "MR", "NM", "OAM", "OCT", "OP", "OPM", "OPT",
    "OPTBSV", "OPTENF", "OPV", "OSS", "OT", "PA", "PLAN", "POS", "PR", "PT", "PX", "REG", "RESP",
    "RF", "RG", "RTDOSE", "RTIMAGE", "RTINTENT", "RTPLAN", "RTRAD", "RTRECORD", "RTSEGANN",
    "RTSTRUCT", "RWV", "SEG", "SM", "SMR", "SR", "SRF", "STAIN", "TEXTUREMAP", "TG", "US", "VA",
    "XA", "XAPROTOCOL", "XC",
})
# fmt: on
"""Defined terms of the DICOM attribute Modality (PS3.3 C.7.3.1.1.1)."""

_FORMS = {
    "LOINC": re.compile(r"(?:LP|LA)?[0-9]{1,7}-[0-9]"),
    "SNOMED": re.compile(r"[1-9][0-9]{5,17}"),
    "ICD-10": re.compile(r"[A-Z][0-9][0-9](?:\.[0-9X]{1,3})?"),
    "ICD-10-CM": re.compile(r"[A-Z][0-9][0-9A-Z](?:\.[0-9A-Z]{1,4})?"),
    "ICD-11": re.compile(r"[0-9A-HJ-NP-Z]{4}(?:\.[0-9A-HJ-NP-Z]{1,3})?(?:[&/][0-9A-HJ-NP-Z.]+)*"),
    "RXNORM": re.compile(r"[1-9][0-9]{0,7}"),
    "ATC": re.compile(r"[A-Z](?:[0-9]{2}(?:[A-Z](?:[A-Z](?:[0-9]{2})?)?)?)?"),
    "CVX": re.compile(r"[0-9]{1,3}"),
    "DCM": re.compile(r"[A-Z0-9_]{1,16}"),
}

_VERHOEFF_TIMES = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_VERHOEFF_MOVE = (
    "0123456789", "1576283094", "5803796142", "8916043527",
    "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def _mod10(code: str) -> bool:
    """LOINC's check digit (mod 10, the digit after the dash)."""
    body, _, check = code.partition("-")
    total = 0
    for place, digit in enumerate(reversed(body)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value // 10 + value % 10
    return (10 - total % 10) % 10 == int(check)


def _verhoeff(code: str) -> bool:
    """SNOMED CT's check digit (Verhoeff's dihedral scheme, the last digit)."""
    check = 0
    for place, digit in enumerate(reversed(code)):
        check = int(_VERHOEFF_TIMES[check][int(_VERHOEFF_MOVE[place % 8][int(digit)])])
    return check == 0


@lru_cache(maxsize=65_536)
def conforms(system: str, code: str) -> bool:
    """Whether ``code`` has the form of ``system`` (a prefix of SYSTEMS), check digit included."""
    if not _FORMS[system].fullmatch(code):
        return False
    if system == "LOINC" and code[0] != "L":  # answers (LA) and parts (LP) have another scheme
        return _mod10(code)
    if system == "SNOMED":
        return _verhoeff(code)
    return True

"""Codes that contracts store and the words that people read: one table each, used both ways.

Sources: GA4GH Data Use Ontology (DUO), UN M49 for regions, R6 for kinds, R10 for tiers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from enum import IntEnum

from medtoken.errors import BadInput
from medtoken.masking import load_profile, profile_of


class Tier(IntEnum):
    """How sensitive a record is (R10)."""

    PUBLIC = 1
    SENSITIVE = 2
    HIGHLY_SENSITIVE = 3


TIER_WORDS: dict[int, str] = {
    Tier.PUBLIC: "public data only",
    Tier.SENSITIVE: "public and sensitive data",
    Tier.HIGHLY_SENSITIVE: "highly sensitive data too, where each licence needs your passkey",
}


class Form(IntEnum):
    """Forms of a licence (R12)."""

    FIXED_TERM = 1
    METERED = 2
    RENTAL = 3


class OutcomeKind(IntEnum):
    """Kinds of outcome that earn research tokens (R4)."""

    MODEL_ACCURACY = 1
    PUBLICATION = 2
    APPROVED_PRODUCT = 3


class Capability(IntEnum):
    """What an accredited institution may do, as bits."""

    CUSTODIAN = 1
    ANNOTATOR = 2
    ATTESTER = 4


class LicenseeFlag(IntEnum):
    """Standing of a licensee beside its groups and region, as bits."""

    FROZEN = 1
    CERTIFIED = 2


# DUO permissions: a consent names one or more, an order exactly one (never NRES).
DUO_PERMISSIONS: dict[str, tuple[int, str]] = {
    "NRES": (4, "any use"),
    "HMB": (6, "health, medical and biomedical research"),
    "DS": (7, "research on the diseases named"),
    "POA": (11, "research on population origins or ancestry"),
    "GRU": (42, "general research"),
}

# DUO modifiers: whoever relies on the consent undertakes each of those that it names.
DUO_MODIFIERS: dict[str, tuple[int, str]] = {
    "RS": (12, "only for the research type named"),
    "NMDS": (15, "not for developing methods in general"),
    "GSO": (16, "only for genetic studies"),
    "NPUNCU": (18, "only by not-for-profit organisations, and not commercially"),
    "PUB": (19, "results must be published"),
    "COL": (20, "only together with the hospital that holds the record"),
    "IRB": (21, "only with approval of an ethics board"),
    "GS": (22, "only in the region named"),
    "MOR": (24, "no publication before the date agreed"),
    "TS": (25, "only for the time agreed"),
    "US": (26, "only by the users named"),
    "PS": (27, "only for the project named"),
    "IS": (28, "only by the institutions named"),
    "RTN": (29, "results come back to the hospital"),
    "CC": (43, "for clinical care"),
    "NPU": (45, "only by not-for-profit organisations"),
    "NCU": (46, "not for commercial use"),
}
_DUO = DUO_PERMISSIONS | DUO_MODIFIERS

# Credential groups of licensees, as bits of a consent's ``licensees`` (96 at most).
GROUPS: dict[str, tuple[int, str]] = {
    "research": (0, "research institutes"),
    "pharma": (1, "certified pharmaceutical companies"),
    "hospital": (2, "other hospitals"),
    "insurer": (3, "insurers"),
    "public-health": (4, "public health authorities"),
}
# The bit of a consent's licensees by which the patient sells by auction only, or through a trustee.
AUCTION_ONLY = 1 << 255
# The patient's share, bps of the whole price, that mandates a trustee (R21), whom the nonce names.
TRUST_SHARE = 6_000

# UN M49 codes; WORLD stands for everywhere.
REGIONS: dict[str, tuple[int, str]] = {
    "WORLD": (1, "everywhere"),
    "CN": (156, "China"),
    "DE": (276, "Germany"),
    "FR": (250, "France"),
    "GB": (826, "the United Kingdom"),
    "HK": (344, "Hong Kong"),
    "JP": (392, "Japan"),
    "SG": (702, "Singapore"),
    "TW": (158, "Taiwan"),
    "US": (840, "the United States"),
}


def mask(names: Iterable[str], table: Mapping[str, tuple[int, str]], what: str) -> int:
    """The bits of ``names`` in a table. Raises BadInput on an unknown name or when there is none."""
    bits = 0
    for name in names:
        if name not in table:
            raise BadInput(f"{name} is no {what}; known are {', '.join(table)}.")
        bits |= 1 << table[name][0]
    if bits == 0:
        raise BadInput(f"no {what} is named.")
    return bits


def duo_mask(codes: Iterable[str]) -> int:
    """The bitmask of DUO codes such as ``HMB`` and ``NCU``: bit n stands for DUO:00000nn."""
    return mask(codes, _DUO, "DUO code")


def duo_names(bits: int) -> list[str]:
    """The DUO codes in a bitmask, permissions first; an unknown bit shows as ``DUO:00000nn``."""
    known = {number: name for name, (number, _) in _DUO.items()}
    found = [name for name, (number, _) in _DUO.items() if bits >> number & 1]
    rest = [n for n in range(bits.bit_length()) if bits >> n & 1 and n not in known]
    return found + [f"DUO:{n:07d}" for n in rest]


def group_mask(names: Iterable[str]) -> int:
    """The bitmask of credential groups such as ``research``."""
    return mask(names, GROUPS, "credential group")


def group_names(bits: int) -> list[str]:
    """The credential groups in a bitmask; an unknown bit shows as ``group n``."""
    known = {number: name for name, (number, _) in GROUPS.items()}
    return [known.get(n, f"group {n}") for n in range(bits.bit_length()) if bits >> n & 1]


def region_code(name: str) -> int:
    """The UN M49 code of a region name such as ``TW``, or of a number as text."""
    if name in REGIONS:
        return REGIONS[name][0]
    if name.isdigit() and 0 < int(name) <= 999:
        return int(name)
    raise BadInput(f"{name} is no region; known are {', '.join(REGIONS)} and UN M49 numbers.")


def region_name(code: int) -> str:
    """Words for a UN M49 code."""
    for number, words in REGIONS.values():
        if number == code:
            return words
    return f"the region with UN M49 code {code}"


def tier_words(tier: int) -> str:
    """Words for the sensitivity tiers that a consent covers."""
    return TIER_WORDS.get(tier, f"data up to the unknown tier {tier}")


def profile_hash(name: str) -> bytes:
    """The commitment to a masking profile, a name or a file's path: SHA-256 of its file (R9)."""
    return load_profile(name).digest


def profile_words(digest: bytes) -> str:
    """Words for the commitment to a masking profile."""
    found = profile_of(digest)
    return found.line if found else f"the fields of profile 0x{digest.hex()}"


def disease_commitment(codes: Iterable[str]) -> bytes:
    """The commitment to disease codes (ICD-11, MONDO): SHA-256 of the sorted codes, a line each.

    No codes give 32 zero bytes, which never satisfy a DS permission.
    """
    lines = sorted({code.strip() for code in codes if code.strip()})
    return hashlib.sha256("\n".join(lines).encode()).digest() if lines else bytes(32)

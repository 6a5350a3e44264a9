"""The arithmetic of the rules, in integers of base units and bps, apart from any contract.

The auditor recomputes with these what the contracts say they did; they are written from the rules,
not from the contracts.
"""

from __future__ import annotations

from dataclasses import dataclass

from medtoken.chain.words import GRAIN, LicenceWord, RatesWord
from medtoken.vocabulary import DUO_PERMISSIONS

BPS = 10_000
REFERENCE_DVI = 85
YEAR = 365 * 86_400  # seconds
ISSUANCE_EPOCH = 86_400  # seconds

_BIT = {name: 1 << number for name, (number, _) in DUO_PERMISSIONS.items()}
_PERMISSIONS = sum(_BIT.values())


@dataclass(frozen=True)
class Split:
    """What a price becomes, base units (R8, R15). All but the levy add up to the price."""

    patient: int
    custodian: int
    annotator: int
    platform: int
    levy: int


def quality(completeness: int, annotation: int) -> int:
    """Q, 0 to 100: the mean of two scores (R1, R7)."""
    return (completeness + annotation) // 2


def minted(units: int, coefficient: int, q: int, least: int) -> int:
    """Base units of DCT for a record's first attestation (R1).

    ``units`` and ``coefficient`` are thousandths; below the ``least`` quality nothing is minted.
    """
    if q < least:
        return 0
    # units/1000 * coefficient/1000 * 100 * (1 + 4Q/100) * 10^18
    return units * coefficient * (100 + 4 * q) * 10**12


def unit_price(reference: int, dvi: int, floor: int) -> int:
    """Base units per metered unit or started year (R13): the reference by DVI, or the floor."""
    scaled = reference * dvi // REFERENCE_DVI
    return max(floor, scaled - scaled % GRAIN)


def started_years(seconds: int) -> int:
    """How many units a fixed term of this length has (R12)."""
    return -(-seconds // YEAR)


def levy(rates: RatesWord, gross: int) -> int:
    """Base units of reserve levy on top of ``gross`` (R15)."""
    return gross * rates.levy // BPS


def split(rates: RatesWord, gross: int, patient_share: int, annotated: bool) -> Split:
    """Split a settled amount (R8, R15). Without an annotator its part is the provider's.

    ``patient_share`` is in bps of the provider part, as the patient signed it.
    """
    annotator = gross * rates.annotator // BPS if annotated else 0
    platform = gross * rates.platform // BPS
    provider = gross - annotator - platform
    custodian = provider * (BPS - patient_share) // BPS
    return Split(provider - custodian, custodian, annotator, platform, levy(rates, gross))


def owed(word: LicenceWord, rates: RatesWord) -> int:
    """Base units that the market still holds for a licence: its unsettled price with the levy."""
    return word.unsettled + levy(rates, word.unsettled)


def burn(amount: int, supply: int, ceiling: int, share: int) -> int:
    """How much of a levy is burned when it arrives at this supply of DUT (R17); share in bps."""
    return amount * share // BPS if supply > ceiling else 0


def permits(allowed: int, allowed_diseases: bytes, asked: int, asked_diseases: bytes) -> bool:
    """Whether a purpose lies inside a consent (R9), both as DUO bits: bit n is DUO:00000nn.

    The asker names one permission and undertakes every modifier of the consent.
    """
    if allowed & ~_PERMISSIONS & ~asked:
        return False
    enough = _BIT["NRES"] | _BIT["GRU"]
    purpose = asked & _PERMISSIONS
    if purpose == _BIT["DS"]:
        if asked_diseases == bytes(32):
            return False
        enough |= _BIT["HMB"] | (_BIT["DS"] if allowed_diseases == asked_diseases else 0)
    elif purpose in (_BIT["HMB"], _BIT["POA"]):
        enough |= purpose
    elif purpose != _BIT["GRU"]:
        return False
    return bool(allowed & enough)

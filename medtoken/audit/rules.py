"""The arithmetic of the rules, in integers of base units and bps, apart from any contract.

The auditor recomputes with these what the contracts say they did; they are written from the rules,
not from the contracts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from eth_utils import to_checksum_address

from medtoken._keccak import keccak
from medtoken.chain.words import GRAIN, FactorsWord, KindWord, LicenceWord, RatesWord
from medtoken.vocabulary import DUO_MODIFIERS, DUO_PERMISSIONS, Form, Tier

BPS = 10_000
REFERENCE_DVI = 85
YEAR = 365 * 86_400  # seconds
RENTAL = 90 * 86_400  # seconds that a rental lasts at most (R12)
ISSUANCE_EPOCH = 86_400  # seconds
WEEK = 7 * 86_400  # seconds: demand is counted, and scarcity moves, by the week (R13)

MAX_LEVY = 1_000  # bps, the most that the market's rates may be (R15)
MONTH = 30 * 86_400  # seconds
TERABYTE = 10**12
STORAGE_REWARD = 100 * 10**18  # base units of GT for a terabyte and a month (R5)

# Bounds of what governance may set, both included: seconds (R14), base units and bps (R13).
MAX_WINDOW = 30 * 86_400
BONDS = (10**18, 100_000 * 10**18)  # of a challenge (R7)
DISPUTE_WINDOWS = (86_400, 90 * 86_400)
LINEAGE_SHARES = (500, 5_000)  # of an asset's provider part (R3)
LINEAGE_WINDOWS = (86_400, 90 * 86_400)  # in which a wrong lineage can be taken back
COVER = 40  # premiums that a policy of the breach cover pays at most (R23)
COVER_TERMS = (30 * 86_400, 366 * 86_400)  # seconds
PASSKEY_DELAYS = (86_400, 30 * 86_400)  # seconds until a change of a passkey counts (R10)
APPROVAL = 7 * 86_400  # seconds that an approval by passkey is good for at most (R10)
CURATION, HARMED = 4_000, 3_000  # bps of a contribution: custodian, patient; the rest is kept (R22)
TRUST_SHARE, TRUST_FEE = 6_000, 1_500  # bps of the whole price: patient, and trustee on top (R21)
OWNER_SHARE = 8_000  # of an asset's provider part that its account earns
REFERENCES = (REFERENCE_DVI * GRAIN, 10**24)
LEAST_UNITS = 10  # at the reference price: less in a week counts as no demand (R13)
SCARCITY = (5_000, 100_000)
FACTORS: dict[str, tuple[int, int]] = {
    "commercial": (10_000, 100_000),
    "emergency": (1_000, 10_000),
    "public": (1_000, 10_000),
    "sensitive": (5_000, 20_000),
    "highly_sensitive": (10_000, 50_000),
    "in_region": (10_000, 30_000),
    "compliance_discount": (0, 5_000),
    "rental": (1_000, 10_000),
}

# R19: bps of attested sales, and seconds in which a wrong roster can be cancelled.
ROYALTY: dict[str, tuple[int, int]] = {"rate": (1, 1_000), "window": (86_400, 90 * 86_400)}
OPTION_TERM = 30 * YEAR  # the longest that an option's escrow is held (R20)
STORAGE: dict[str, tuple[int, int]] = {
    "threshold": (1, 100),
    "samples": (30, 256),
    "gap": (86_400, MONTH),
    "window": (3_600, 86_400),
    "price": (10**16, 10**24),
}
# How many seats verify an outcome, bps of a price that RT may pay, base units of RT for an outcome (R4).
RESEARCH: dict[str, tuple[int, int]] = {
    "seats": (1, 20),
    "share": (1, 5_000),
    "reward": (GRAIN, 10**24),
}
# A budget's period and length, seconds (R16).
BUDGET_PERIOD = (86_400, 366 * 86_400)
BUDGET_LENGTH = 5 * 366 * 86_400
BONUSES = ((1, 10**12), (1, 20_000))  # calls, bps

# R28: bps of the whole council by chamber, the most seats, the council's least seconds; bounds of a vote's
# seconds, of the votes of a proposer in base units, of DCT to a contribution, of the quorum.
CHAMBERS = {1: 4_000, 2: 4_000, 3: 2_000}
SEATS = 45
GATE = 7 * 86_400
PERIODS = (86_400, 30 * 86_400)
THRESHOLDS = (1, 100_000 * 10**18)
DIVISORS = (1, 1_000_000)
QUORUM_SHARES = (1, 5_000)

# R25: a month is 30 days and a year twelve of them, counted from 1970.
MONTH = 30 * 86_400
MONTHS = 12
NOMINATIONS = 7 * 86_400  # seconds after its end in which a board takes nominations
TEN = 10
STREAK = 6  # months
REFERRALS = 5  # that count in a month

_BIT = {name: 1 << number for name, (number, _) in DUO_PERMISSIONS.items()}
_PERMISSIONS = sum(_BIT.values())
_NON_COMMERCIAL = sum(1 << DUO_MODIFIERS[name][0] for name in ("NPUNCU", "NCU"))
_SENSITIVITY: dict[int, str] = {
    Tier.PUBLIC: "public",
    Tier.SENSITIVE: "sensitive",
    Tier.HIGHLY_SENSITIVE: "highly_sensitive",
}


@dataclass(frozen=True)
class Scene:
    """What a price depends on beside the record's kind and value (R13)."""

    purposes: int  # DUO bits that the licensee asks for and undertakes
    urgent: bool  # under a declared emergency
    tier: int
    in_region: bool  # used where the data live
    certified: bool
    form: int


@dataclass(frozen=True)
class Split:
    """What a price becomes, base units (R8, R15). All but the levy add up to the price."""

    patient: int
    custodian: int
    annotator: int
    platform: int
    levy: int


WEIGHTS = {
    "volume": 15,
    "completeness": 20,
    "timeliness": 15,
    "accuracy": 20,
    "annotation": 15,
    "traceability": 15,
}
"""The six dimensions of R7 and their weights by the method that this version publishes."""


def value_index(scores: Mapping[str, int]) -> int:
    """The DVI that follows from six scores, 0 to 100 (R7)."""
    return sum(weight * scores[name] for name, weight in WEIGHTS.items()) // 100


def quality(completeness: int, annotation: int) -> int:
    """Q, 0 to 100: the mean of two scores (R1, R7)."""
    return (completeness + annotation) // 2


def minted(units: int, coefficient: int, points: int, least: int) -> int:
    """Base units of DCT for a record's first attestation (R1).

    ``units`` and ``coefficient`` are thousandths; ``points`` are twice Q, so that half a point
    counts; below the ``least`` Q nothing is minted.
    """
    if points < 2 * least:
        return 0
    # units/1000 * coefficient/1000 * 100 * (1 + 4Q/100) * 10^18
    return units * coefficient * (100 + 2 * points) * 10**12


def storage_reward(size: int, seconds: int, share: int) -> int:
    """Base units of GT for storing ``size`` plaintext bytes so long (R5); ``share`` is bps on top."""
    return size * seconds * STORAGE_REWARD * (BPS + share) // (TERABYTE * MONTH * BPS)


def storage_bonus(bonuses: Sequence[tuple[int, int]], calls: int) -> int:
    """How many bps this many paid calls in a period add to its reward (R5)."""
    return max((share for least, share in bonuses if calls >= least), default=0)


def unit_price(kind: KindWord, factors: FactorsWord, dvi: int, scene: Scene, floor: int) -> int:
    """Base units per metered unit, started year, or rental (R13); ``floor`` is the consent's.

    Zero when it is not for sale. A rental costs its share of whichever is higher, floor or price,
    and everything is rounded once.
    """
    if not kind.reference or not dvi:
        return 0
    amount = kind.reference * dvi
    divisor = REFERENCE_DVI
    for factor in (
        BPS if scene.purposes & _NON_COMMERCIAL else factors.commercial,
        factors.emergency if scene.urgent else BPS,
        getattr(factors, _SENSITIVITY[scene.tier]) if scene.tier in _SENSITIVITY else BPS,
        factors.in_region if scene.in_region else BPS,
        kind.scarcity,
        BPS - (factors.compliance_discount if scene.certified else 0),
    ):
        amount *= factor
        divisor *= BPS
    share = factors.rental if scene.form == Form.RENTAL else BPS
    price = max(amount * share // (divisor * BPS), floor * share // BPS)
    return price - price % GRAIN


def desk_price(price: int, units: int, floor: int) -> bool:
    """Whether a desk may sell ``units`` at this price in all: even, and not below the floor."""
    unit, rest = divmod(price, units) if units > 0 else (0, 0)
    return rest == 0 and unit > 0 and unit % GRAIN == 0 and unit >= floor


def held(price: int) -> int:
    """What an auction holds for a bid, base units: the price and the highest levy there may be."""
    return price * (BPS + MAX_LEVY) // BPS


def least_bid(price: int, increment: int) -> int:
    """The least price, base units, that exceeds a bid by ``increment`` bps (R12)."""
    grains = price // GRAIN
    more = -(-grains * increment // BPS)
    return (grains + more) * GRAIN


def discount(steps: Sequence[tuple[int, int]], number: int) -> int:
    """The discount in bps on the ``number``-th record taken out of a basket (R12).

    ``steps`` say from the how-manieth record on which discount holds, in their order.
    """
    return max((bps for count, bps in steps if number >= count), default=0)


def demanded(settled: int, reference: int, supply: int) -> int:
    """Base units a record that a week settled, as scarcity counts them (R13).

    Under ten references in all there is no demand; ``supply`` is how many records there are.
    """
    return settled // max(supply, 1) if settled >= LEAST_UNITS * reference else 0


def moved(scarcity: int, level: int, demand: int) -> tuple[int, int]:
    """Scarcity in bps and the level that it stands for, after a week's demand (R13).

    ``level`` and ``demand`` are base units a week and record; a level of zero becomes the demand.
    Otherwise scarcity moves by a tenth and the level by a quarter up or a fifth down, within bounds.
    """
    least, most = SCARCITY
    if level == 0:
        return scarcity, demand
    if demand * 4 > level * 5 and scarcity < most:
        return min(scarcity * 11 // 10, most), level * 5 // 4
    if demand * 5 < level * 4 and scarcity > least:
        return max(scarcity * 9 // 10, least), level * 4 // 5
    return scarcity, level


def within(value: int, bounds: tuple[int, int]) -> bool:
    """Whether a value lies in its bounds, both included."""
    return bounds[0] <= value <= bounds[1]


def started_years(seconds: int) -> int:
    """How many units a fixed term of this length has (R12)."""
    return -(-seconds // YEAR)


def levy(rates: RatesWord, gross: int) -> int:
    """Base units of reserve levy on top of ``gross`` (R15)."""
    return gross * rates.levy // BPS


def split(rates: RatesWord, gross: int, patient_share: int, annotated: bool) -> Split:
    """Split a settled amount (R8, R15). Without an annotator its part is the provider's.

    ``patient_share`` is in bps of the provider part, as the patient signed it; under a trustee that is
    the whole price (R21).
    """
    trusted = patient_share == TRUST_SHARE
    annotator = gross * rates.annotator // BPS if annotated and not trusted else 0
    platform = 0 if trusted else gross * rates.platform // BPS
    provider = gross - annotator - platform
    custodian = provider * (BPS - patient_share) // BPS
    return Split(provider - custodian, custodian, annotator, platform, levy(rates, gross))


def trust_fee(grains: int) -> int:
    """Base units of a trustee's part for so many grains of a price (R21): always exact."""
    return grains * GRAIN * TRUST_FEE // BPS


def owed(word: LicenceWord, rates: RatesWord) -> int:
    """Base units that the market still holds for a licence: its unsettled price with the levy."""
    return word.unsettled + levy(rates, word.unsettled)


def burn(amount: int, supply: int, ceiling: int, share: int) -> int:
    """How much of a levy is burned when it arrives at this supply of DUT (R17); share in bps."""
    return amount * share // BPS if supply > ceiling else 0


def royalty(sales: int, rate: int) -> int:
    """Base units that sales owe at a rate in bps (R19), rounded up to a grain."""
    return -(-sales * rate // (BPS * GRAIN)) * GRAIN


def royalty_share(pot: int, weight: int, total: int) -> int:
    """Base units of all that ever came into a study's pot that a weight has earned (R19)."""
    return pot * weight // total if total else 0


def lineage(earned: int, share: int) -> int:
    """Base units of all that an asset's account has earned that are its lineage's (R3); share in bps.

    The account earns ``OWNER_SHARE`` of the provider part, and the share is of the whole of that.
    """
    return earned * share // OWNER_SHARE


def minimal_proxy(creator: str, logic: str, salt: bytes) -> str:
    """The address of an ERC-1167 proxy of ``logic`` that a contract makes with CREATE2."""
    code = bytes.fromhex(
        f"602d3d8160093d39f3363d3d373d3d3d363d73{logic[2:]}5af43d82803e903d91602b57fd5bf3"
    )
    digest = keccak(b"\xff" + bytes.fromhex(creator[2:]) + salt + keccak(code))
    return str(to_checksum_address(digest[12:]))


def votes(gt: int, dct: int, divisor: int) -> int:
    """Base units that GT and DCT weigh in a vote (R28); ``divisor`` DCT are one contribution."""
    return (3 * gt + (dct // divisor if divisor else 0)) // 2


def carried(against: int, pro: int, abstain: int, quorum: int) -> bool:
    """Whether votes carry a proposal (R28): who abstains counts to the quorum and takes no side."""
    return pro + abstain >= quorum and 10 * pro > 6 * (pro + against)


def council_weight(chambers: Mapping[str, int], objectors: Set[str]) -> int:
    """Bps of the whole council that objectors weigh (R28); ``chambers`` are those of all seats."""
    found = 0
    for chamber, share in CHAMBERS.items():
        seats = {account for account, held in chambers.items() if held == chamber}
        found += share * len(seats & objectors) // len(seats) if seats else 0
    return found


def board_end(board: int, period: int) -> int:
    """Unix seconds at which a period of a board is over: months on even boards, years on odd."""
    return (period + 1) * MONTH * (MONTHS if board % 2 else 1)


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


def covered(granted: int, premium: int, paid: int, pool: int) -> int:
    """Base units that a claim is paid of what it was granted: what cover and pool have left (R23)."""
    return min(granted, premium * COVER - paid, pool)


def contribution(amount: int) -> tuple[int, int, int]:
    """A contribution's parts: custodian, patient, and kept, which has what rounding leaves (R22)."""
    custodian, patient = amount * CURATION // BPS, amount * HARMED // BPS
    return custodian, patient, amount - custodian - patient

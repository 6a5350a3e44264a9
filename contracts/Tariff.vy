# pragma version ~=0.4.3
"""
@title Tariff
@license AGPL-3.0-only
@notice The price of one unit (R13): max(floor, reference(kind) × DVI/85 × purpose × urgency × sensitivity × region
        × scarcity × (1 − discount)). A unit is one metered call or MB, or one started year of a fixed term; a
        rental is a share of a year's price. A kind without a reference is not for sale.
        Scarcity follows supply and demand by itself: once a week and kind, by a tenth at most, from money that
        was settled in the last completed week for each record there is. Moving it takes real settlements, which
        pay levy, platform and annotator; within one block it does not move.
@dev Factors are bps, applied exactly and floored once, at the end, to the grain of 10^9 base units. Behind a proxy.
"""

from interfaces import IDataMarket
from interfaces import IRecordRegistry
from interfaces import ITariff
from modules import access
from modules import initializer

initializes: initializer
initializes: access

implements: ITariff

exports: access.authority

_REGISTRY: immutable(IRecordRegistry)

_BPS: constant(uint256) = 10_000
# The DVI at which a reference price holds.
_REFERENCE_DVI: constant(uint256) = 85
_GRAIN: constant(uint256) = 10**9
_KINDS: constant(uint256) = 8
_RENTAL_FORM: constant(uint256) = 3
# The lowest reference that is not zero: at a DVI of 1 it makes one grain before the other factors.
_MIN_REFERENCE: constant(uint256) = _REFERENCE_DVI * _GRAIN
# The highest reference that governance may set: 10^6 DUT.
_MAX_REFERENCE: constant(uint256) = 10**24
_MIN_SCARCITY: constant(uint256) = 5_000
_MAX_SCARCITY: constant(uint256) = 100_000
# Units at the reference price under which a week's demand counts as none.
_LEAST_UNITS: constant(uint256) = 10
_MAX_REGION: constant(uint256) = 999
_TIME: constant(uint256) = 2**40 - 1
_WEEK: constant(uint256) = 7 * 86400
# DUO modifiers by which a licensee undertakes not to use commercially: NPUNCU and NCU.
_NON_COMMERCIAL: constant(uint256) = (1 << 18) | (1 << 46)

# The factors by their place, and the bounds within which the timelock may move each.
_COMMERCIAL: constant(uint256) = 0
_EMERGENCY: constant(uint256) = 1
_OPEN_DATA: constant(uint256) = 2  # then sensitive, then highly sensitive
_IN_REGION: constant(uint256) = 5
_COMPLIANCE: constant(uint256) = 6  # the discount of a licensee that is certified compliant
_RENTAL: constant(uint256) = 7  # what a rental costs of a year
_FACTORS: constant(uint256) = 8
_LEAST: constant(uint256[_FACTORS]) = [10_000, 1_000, 1_000, 5_000, 10_000, 10_000, 0, 1_000]
_MOST: constant(uint256[_FACTORS]) = [
    100_000, 10_000, 10_000, 20_000, 50_000, 30_000, 5_000, 10_000
]

_AMOUNT: constant(uint256) = 2**96 - 1
_CODE: constant(uint256) = 2**32 - 1
_SCARCITY_AT: constant(uint256) = 96
_MOVED_AT: constant(uint256) = 128

# kind → reference (base units per unit at DVI 85) 96 | scarcity 32 | week in which it moved last 32
_kinds: HashMap[uint256, uint256]
# eight factors of 32 bits, lowest bits first
_factors: uint256
# region → when its public-health emergency ends, unix seconds
_emergencies: HashMap[uint256, uint256]
_market: IDataMarket
# kind → base units a week and record that scarcity stands for; zero until a week has demand
_levels: HashMap[uint256, uint256]
__gap: uint256[16]


@deploy
def __init__(deployer: address, manager: address, registry: address):
    """
    @param deployer The account that initialises the proxy, once.
    @param manager The AccessManager.
    @param registry The RecordRegistry's proxy.
    """
    access.__init__(manager)
    initializer.__init__(deployer)
    assert registry != empty(address), "tariff: no registry is named"
    _REGISTRY = IRecordRegistry(registry)


@external
def initialize(references: uint256[_KINDS], factors: uint256[_FACTORS]):
    """
    @notice Set the first parameters, once.
    @param references The reference price of each kind at DVI 85, from kind 1 on, base units per unit.
    @param factors The factors in bps, in the order of `set_factor`.
    @dev Caller: the deployer, through the proxy.
    """
    initializer._initialize()
    for i: uint256 in range(_KINDS):
        self._set_reference(i + 1, references[i])
        self._set_scarcity(i + 1, _BPS)
        self._set_factor(i, factors[i])


@external
def set_reference(kind: uint256, amount: uint256):
    """
    @notice Set the reference price of a kind at DVI 85, base units per unit; zero takes the kind off sale.
    @dev Caller: the timelock. Reverts on an unknown kind, over 10^6 DUT, under 85 grains of 10^9 base units, or
         off that grain.
    """
    access._restricted()
    self._set_reference(kind, amount)


@external
def set_scarcity(kind: uint256, scarcity: uint256):
    """
    @notice Set a kind's scarcity, 5,000–100,000 bps, from where it moves on by itself; the next week with demand
            sets the level that it stands for.
    @dev Caller: the timelock. Reverts on an unknown kind or out of bounds.
    """
    access._restricted()
    self._set_scarcity(kind, scarcity)


@external
def set_factor(factor: uint256, amount: uint256):
    """
    @notice Set one of the factors, in bps: 0 commercial, 1 emergency, 2 public, 3 sensitive, 4 highly
            sensitive, 5 in region, 6 compliance discount, 7 rental.
    @dev Caller: the timelock. Reverts on an unknown factor or out of its bounds.
    """
    access._restricted()
    self._set_factor(factor, amount)


@external
def declare_emergency(region: uint256, until: uint256):
    """
    @notice Declare a public-health emergency for records of a region; `until` zero ends it.
    @param until Unix seconds.
    @dev Caller: the regulator role. Reverts on an unknown region or a time out of range.
    """
    access._restricted()
    assert region != 0 and region <= _MAX_REGION, "tariff: unknown region"
    assert until <= _TIME, "tariff: out of bounds"
    self._emergencies[region] = until
    log ITariff.EmergencyDeclared(region=region, until=until)


@external
def bind_market(market: address):
    """
    @notice Name the market whose settlements are the demand, once.
    @dev Caller: the manager's admin role, at deployment. Reverts when it is bound or none is named.
    """
    access._restricted()
    assert self._market.address == empty(address), "tariff: the market is bound"
    assert market != empty(address), "tariff: no market is named"
    self._market = IDataMarket(market)
    log ITariff.MarketBound(market=market)


@external
def move_scarcity(kind: uint256) -> uint256:
    """
    @notice Let a kind's scarcity follow supply and demand. Demand is what the last completed week settled for each
            record of the kind; a week that settled less than ten units at the reference price counts as one without.
            Over 5/4 of the level that scarcity stands for, both go up: scarcity by a tenth, the level by a quarter.
            Under 4/5 of it scarcity goes down by a tenth, the level by a fifth; within 5,000–100,000.
    @return The scarcity from now on, in bps.
    @dev Anybody may call, once a week and kind. The first week with demand only sets the level. Since each tenth up
         needs a week of a quarter more than the level, alternating strong and weak weeks gains nothing, nor do
         settlements that were held back. Reverts when it has moved this week.
    """
    assert kind != 0 and kind <= _KINDS, "tariff: unknown kind"
    word: uint256 = self._kinds[kind]
    week: uint256 = block.timestamp // _WEEK
    assert (word >> _MOVED_AT) != week, "tariff: it moved this week"
    demand: uint256 = staticcall self._market.demand(kind, week - 1)
    # Any dust would be a rise over nothing, and to push a price would cost next to nothing.
    if demand < _LEAST_UNITS * (word & _AMOUNT):
        demand = 0
    demand = demand // max(staticcall _REGISTRY.supply(kind), 1)
    previous: uint256 = (word >> _SCARCITY_AT) & _CODE
    scarcity: uint256 = previous
    level: uint256 = self._levels[kind]
    if level == 0:
        self._levels[kind] = demand
    elif demand * 4 > level * 5 and scarcity < _MAX_SCARCITY:
        scarcity = min(scarcity * 11 // 10, _MAX_SCARCITY)
        self._levels[kind] = level * 5 // 4
    elif demand * 5 < level * 4 and scarcity > _MIN_SCARCITY:
        scarcity = max(scarcity * 9 // 10, _MIN_SCARCITY)
        self._levels[kind] = level * 4 // 5
    log ITariff.ScarcityChanged(kind=kind, previous=previous, current=scarcity)
    self._kinds[kind] = (word & _AMOUNT) | (scarcity << _SCARCITY_AT) | (week << _MOVED_AT)
    return scarcity


@external
@view
def quote(ask: ITariff.Ask) -> ITariff.Quote:
    """
    @notice What one unit of a record costs now, with every factor, so that a page can show why.
    @dev The price is zero when the record's kind is not for sale or it is not attested. Reverts when urgency is
         claimed and no emergency is declared for the record's region.
    """
    terms: IRecordRegistry.Terms = staticcall _REGISTRY.terms(ask.record)
    word: uint256 = self._kinds[terms.kind]
    factors: uint256 = self._factors
    found: ITariff.Quote = ITariff.Quote(
        price=0,
        owner=terms.owner,
        tier=terms.tier,
        live=terms.live,
        reference=word & _AMOUNT,
        dvi=terms.dvi,
        scarcity=(word >> _SCARCITY_AT) & _CODE,
        purpose=_BPS,
        urgency=_BPS,
        sensitivity=_BPS,
        locality=_BPS,
        discount=0,
        rental=_BPS,
    )
    if ask.purposes & _NON_COMMERCIAL == 0:
        found.purpose = self._factor(factors, _COMMERCIAL)
    if ask.urgent:
        assert self._emergencies[terms.region] > block.timestamp, "tariff: no emergency there"
        found.urgency = self._factor(factors, _EMERGENCY)
    if terms.tier != 0:
        found.sensitivity = self._factor(factors, _OPEN_DATA + terms.tier - 1)
    if ask.region == terms.region:
        found.locality = self._factor(factors, _IN_REGION)
    if ask.certified:
        found.discount = self._factor(factors, _COMPLIANCE)
    if ask.form == _RENTAL_FORM:
        found.rental = self._factor(factors, _RENTAL)
    if found.reference != 0 and found.dvi != 0:
        found.price = self._price(found, ask.floorPrice)
    return found


@external
@view
def kind_word(kind: uint256) -> uint256:
    """
    @notice What is stored of a kind: reference (base units per unit at DVI 85) 96, scarcity in bps 32, number of
            the week in which it moved last 32, lowest bits first.
    """
    return self._kinds[kind]


@external
@view
def factors_word() -> uint256:
    """
    @notice The eight factors, 32 bits each, lowest bits first, in the order of `set_factor`.
    """
    return self._factors


@external
@view
def emergency(region: uint256) -> uint256:
    """
    @notice When a region's public-health emergency ends, unix seconds; zero or past: there is none.
    """
    return self._emergencies[region]


@internal
@view
def _price(found: ITariff.Quote, floorPrice: uint256) -> uint256:
    """
    @dev At most 10^24 · 100 · 10^5 · 10^5 · 10^4 · 5·10^4 · 3·10^4 · 10^4 · 10^4 < 2^256. The floor holds for a whole
         year or unit; a rental takes its share of whichever is higher, before anything is rounded.
    """
    amount: uint256 = found.reference * found.dvi * found.scarcity * found.purpose * found.urgency
    amount = amount * found.sensitivity * found.locality * (_BPS - found.discount) * found.rental
    amount = max(amount // (_REFERENCE_DVI * _BPS**7), floorPrice * found.rental // _BPS)
    return amount - amount % _GRAIN


@internal
def _set_reference(kind: uint256, amount: uint256):
    assert kind != 0 and kind <= _KINDS, "tariff: unknown kind"
    assert (
        amount == 0 or amount >= _MIN_REFERENCE and amount <= _MAX_REFERENCE
    ) and amount % _GRAIN == 0, "tariff: out of bounds"
    word: uint256 = self._kinds[kind]
    self._kinds[kind] = (word & ~_AMOUNT) | amount
    log ITariff.ReferenceChanged(kind=kind, previous=word & _AMOUNT, current=amount)


@internal
def _set_scarcity(kind: uint256, scarcity: uint256):
    assert kind != 0 and kind <= _KINDS, "tariff: unknown kind"
    assert (scarcity >= _MIN_SCARCITY and scarcity <= _MAX_SCARCITY), "tariff: out of bounds"
    word: uint256 = self._kinds[kind]
    log ITariff.ScarcityChanged(
        kind=kind, previous=(word >> _SCARCITY_AT) & _CODE, current=scarcity
    )
    self._kinds[kind] = (word & ~(_CODE << _SCARCITY_AT)) | (scarcity << _SCARCITY_AT)
    self._levels[kind] = 0


@internal
def _set_factor(factor: uint256, amount: uint256):
    assert factor < _FACTORS, "tariff: unknown factor"
    assert amount >= _LEAST[factor] and amount <= _MOST[factor], "tariff: out of bounds"
    at: uint256 = 32 * factor
    word: uint256 = self._factors
    self._factors = (word & ~(_CODE << at)) | (amount << at)
    log ITariff.FactorChanged(factor=factor, previous=(word >> at) & _CODE, current=amount)


@internal
@pure
def _factor(factors: uint256, factor: uint256) -> uint256:
    return (factors >> (32 * factor)) & _CODE

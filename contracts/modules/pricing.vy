# pragma version ~=0.4.3
"""
@title pricing
@license AGPL-3.0-only
@notice The price of one unit (R13): the reference of the record's kind scaled by its data value index, and
        never below the floor that the patient signed. A unit is one metered call or MB, or one started year
        of a fixed term. A kind without a reference is not for sale.
"""

from ..interfaces import IDataMarket
from . import access

uses: access

# The DVI at which a reference price holds.
_REFERENCE_DVI: constant(uint256) = 85
_GRAIN: constant(uint256) = 10**9
_KINDS: constant(uint256) = 8
# The lowest reference that is not zero: at a DVI of 1 it makes one grain, so that nothing is sold for nothing.
_MIN_REFERENCE: constant(uint256) = _REFERENCE_DVI * _GRAIN
# The highest reference that governance may set: 10^6 DUT.
_MAX_REFERENCE: constant(uint256) = 10**24

# kind → base units of DUT per unit at DVI 85
_references: HashMap[uint256, uint256]
__gap: uint256[16]


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
@view
def reference(kind: uint256) -> uint256:
    """
    @notice The reference price of a kind at DVI 85, base units per unit.
    """
    return self._references[kind]


@internal
def _set_reference(kind: uint256, amount: uint256):
    assert kind != 0 and kind <= _KINDS, "pricing: unknown kind"
    assert (
        amount == 0
        or (amount >= _MIN_REFERENCE and amount <= _MAX_REFERENCE and amount % _GRAIN == 0)
    ), "pricing: out of bounds"
    log IDataMarket.ReferenceChanged(
        kind=kind, previous=self._references[kind], current=amount
    )
    self._references[kind] = amount


@internal
@view
def _unit_price(kind: uint256, dvi: uint256, floorPrice: uint256) -> uint256:
    """
    @dev Base units, a multiple of 10^9.
    """
    amount: uint256 = self._references[kind]
    assert amount != 0, "pricing: kind is not for sale"
    amount = amount * dvi // _REFERENCE_DVI
    return max(floorPrice, amount - amount % _GRAIN)

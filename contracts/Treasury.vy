# pragma version ~=0.4.3
"""
@title Treasury
@license AGPL-3.0-only
@notice The reserve (R16): holds the levies of all payments, and burns a part of each levy that arrives while
        the supply of DUT is above its ceiling (R17). Nothing leaves it yet but by that burn; spending comes
        with governance. Its books always say: reserve = levies − burned.
@dev Behind a proxy.
"""

from interfaces import ITreasury
from interfaces import IUsageToken
from modules import access
from modules import initializer

initializes: initializer
initializes: access

implements: ITreasury

exports: access.authority

_DUT: immutable(IUsageToken)
_BPS: constant(uint256) = 10_000

_levies: uint256
_burned: uint256
_ceiling: uint256
_burn_share: uint256
__gap: uint256[16]


@deploy
def __init__(deployer: address, manager: address, usage: address):
    """
    @param deployer The account that initialises the proxy, once.
    @param manager The AccessManager.
    @param usage The UsageToken (DUT).
    """
    access.__init__(manager)
    initializer.__init__(deployer)
    assert usage != empty(address), "treasury: no usage token is named"
    _DUT = IUsageToken(usage)


@external
def initialize(ceiling: uint256, burnShare: uint256):
    """
    @notice Set the first parameters, once.
    @param ceiling Supply of DUT, in base units, above which levies are burned in part.
    @param burnShare How much of a levy is burned then, in bps.
    @dev Caller: the deployer, through the proxy.
    """
    initializer._initialize()
    self._set_ceiling(ceiling)
    self._set_burn_share(burnShare)


@external
def receive_levy(amount: uint256):
    """
    @notice Take a levy of `amount` base units from the caller, and burn its part when supply is above the
            ceiling as the levy arrives.
    @dev Caller: a contract with the levy role that has approved this one. Reverts on zero.
    """
    access._restricted()
    assert amount != 0, "treasury: the levy is zero"
    levies: uint256 = self._levies + amount
    burned: uint256 = self._burned
    burn: uint256 = 0
    if staticcall _DUT.totalSupply() > self._ceiling:
        burn = amount * self._burn_share // _BPS
        burned += burn
        self._burned = burned
    self._levies = levies
    log ITreasury.LevyReceived(
        payer=msg.sender, amount=amount, burned=burn, reserve=levies - burned
    )
    assert extcall _DUT.transferFrom(msg.sender, self, amount)
    if burn != 0:
        extcall _DUT.burn(burn)


@external
def set_ceiling(ceiling: uint256):
    """
    @notice Set the supply of DUT, in base units, above which levies are burned in part.
    @dev Caller: the timelock.
    """
    access._restricted()
    self._set_ceiling(ceiling)


@external
def set_burn_share(burnShare: uint256):
    """
    @notice Set how much of a levy is burned above the ceiling, in bps.
    @dev Caller: the timelock. Reverts over 10,000.
    """
    access._restricted()
    self._set_burn_share(burnShare)


@external
@view
def books() -> (uint256, uint256, uint256):
    """
    @notice Levies received, burned of them, and the reserve that is left; base units.
    """
    return self._levies, self._burned, self._levies - self._burned


@external
@view
def burn_rule() -> (uint256, uint256):
    """
    @notice The ceiling of supply (base units) and the share of a levy that is burned above it (bps).
    """
    return self._ceiling, self._burn_share


@internal
def _set_ceiling(ceiling: uint256):
    log ITreasury.ParameterChanged(name="ceiling", previous=self._ceiling, current=ceiling)
    self._ceiling = ceiling


@internal
def _set_burn_share(burnShare: uint256):
    assert burnShare <= _BPS, "treasury: the share to burn is over 10,000 bps"
    log ITreasury.ParameterChanged(name="burn_share", previous=self._burn_share, current=burnShare)
    self._burn_share = burnShare

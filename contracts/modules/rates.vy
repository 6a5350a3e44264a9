# pragma version ~=0.4.3
"""
@title rates
@license AGPL-3.0-only
@notice How a price is split (R15): provider, annotator and platform in bps of the price, and the reserve levy
        in bps on top. Each change opens a new epoch; a licence keeps the epoch in which its money was
        taken, so nothing is repriced. The pause that stops money from coming in (R29) sits in the same word.
"""

from ..interfaces import IDataMarket
from . import access

uses: access

_BPS: constant(uint256) = 10_000
# Bounds within which the timelock may move the rates.
_MIN_PROVIDER: constant(uint256) = 5_000
_MAX_PLATFORM: constant(uint256) = 2_000
_MAX_LEVY: constant(uint256) = 1_000
_MAX_EPOCH: constant(uint256) = 2**16 - 1

_CODE: constant(uint256) = 2**16 - 1
_ANNOTATOR_AT: constant(uint256) = 16
_PLATFORM_AT: constant(uint256) = 32
_LEVY_AT: constant(uint256) = 48
_EPOCH_AT: constant(uint256) = 64
_PAUSED: constant(uint256) = 1 << 80

# provider 16 | annotator 16 | platform 16 | levy 16 | epoch 16 | paused 1, lowest bits first
_current: uint256
# epoch → the same word, without the pause
_epochs: HashMap[uint256, uint256]
_platform: address
__gap: uint256[8]


@external
def set_rates(current: IDataMarket.Rates):
    """
    @notice Open a new epoch with other rates, for money that is taken from now on.
    @param current bps; provider, annotator and platform make 10,000, the levy comes on top.
    @dev Caller: the timelock. Reverts when they do not make 10,000 or leave their bounds: provider at least
         5,000, platform at most 2,000, levy at most 1,000.
    """
    access._restricted()
    self._set_rates(current)


@external
def set_platform(account: address):
    """
    @notice Name the account that earns the platform's part from the next settlement on.
    @dev Caller: the timelock. Reverts on no account.
    """
    access._restricted()
    self._set_platform(account)


@external
def pause():
    """
    @notice Stop deposits and purchases. Uses, settlement, withdrawals and revocations go on (R29).
    @dev Caller: the guardian role.
    """
    access._restricted()
    self._current |= _PAUSED
    log IDataMarket.PauseChanged(paused=True)


@external
def unpause():
    """
    @notice Let money in again.
    @dev Caller: the timelock.
    """
    access._restricted()
    self._current &= ~_PAUSED
    log IDataMarket.PauseChanged(paused=False)


@external
@view
def rates_of(epoch: uint256) -> IDataMarket.Rates:
    """
    @notice The rates of an epoch, in bps; zeros for one that never was.
    """
    return self._unpack(self._epochs[epoch])


@external
@view
def rates_word() -> uint256:
    """
    @notice The rates for money taken now: provider 16, annotator 16, platform 16, levy 16 (all bps), epoch 16,
            paused 1, lowest bits first.
    """
    return self._current


@external
@view
def platform() -> address:
    """
    @notice The account that earns the platform's part.
    """
    return self._platform


@internal
def _set_rates(current: IDataMarket.Rates):
    assert (
        current.provider >= _MIN_PROVIDER
        and current.platform <= _MAX_PLATFORM
        and current.levy <= _MAX_LEVY
        and current.provider + current.annotator + current.platform == _BPS
    ), "rates: out of bounds"
    previous: uint256 = self._current
    epoch: uint256 = self._epoch(previous) + 1
    assert epoch <= _MAX_EPOCH, "rates: no epoch is left"
    word: uint256 = (
        current.provider
        | (current.annotator << _ANNOTATOR_AT)
        | (current.platform << _PLATFORM_AT)
        | (current.levy << _LEVY_AT)
        | (epoch << _EPOCH_AT)
    )
    self._epochs[epoch] = word
    self._current = word | (previous & _PAUSED)
    log IDataMarket.RatesChanged(epoch=epoch, previous=self._unpack(previous), current=current)


@internal
def _set_platform(account: address):
    assert account != empty(address), "rates: no platform is named"
    log IDataMarket.PlatformChanged(previous=self._platform, current=account)
    self._platform = account


@internal
@view
def _require_open() -> uint256:
    """
    @dev The current word; refuses while money may not come in.
    """
    word: uint256 = self._current
    assert word & _PAUSED == 0, "market: paused"
    return word


@internal
@pure
def _epoch(word: uint256) -> uint256:
    return (word >> _EPOCH_AT) & _CODE


@internal
@pure
def _levy(word: uint256, gross: uint256) -> uint256:
    """
    @dev Base units of levy on `gross`, which is a multiple of 10^9, so that nothing is rounded.
    """
    return gross * ((word >> _LEVY_AT) & _CODE) // _BPS


@internal
@pure
def _unpack(word: uint256) -> IDataMarket.Rates:
    return IDataMarket.Rates(
        provider=word & _CODE,
        annotator=(word >> _ANNOTATOR_AT) & _CODE,
        platform=(word >> _PLATFORM_AT) & _CODE,
        levy=(word >> _LEVY_AT) & _CODE,
    )

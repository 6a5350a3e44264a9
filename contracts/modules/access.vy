# pragma version ~=0.4.3
"""
@title access
@license AGPL-3.0-only
@notice Who may call a restricted function is decided in one place for the whole suite: OpenZeppelin's
        AccessManager. Delayed callers go through `AccessManager.execute`. A check costs about 11,000
        gas, so nothing that a patient or a licensee does every day asks it.
"""

from ..interfaces import IAccessManager

_MANAGER: immutable(IAccessManager)


@deploy
def __init__(manager: address):
    assert manager != empty(address), "access: no manager is named"
    _MANAGER = IAccessManager(manager)


@external
@view
def authority() -> address:
    """
    @notice The AccessManager that decides who may call this contract's restricted functions.
    """
    return _MANAGER.address


@internal
@view
def _restricted():
    """
    @dev Refuses the caller unless the AccessManager lets it call this very selector now.
    """
    immediate: bool = False
    delay: uint32 = 0
    immediate, delay = staticcall _MANAGER.canCall(
        msg.sender, self, convert(slice(msg.data, 0, 4), bytes4)
    )
    assert immediate, "access: caller may not do this"

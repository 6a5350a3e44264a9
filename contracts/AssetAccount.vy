# pragma version ~=0.4.3
"""
@title AssetAccount
@license AGPL-3.0-only
@notice The account of one institution asset (R3): the owner of its derived record, and so who grants and revokes the
        consents that the asset is licensed under and earns the owner's part of what is settled. It does what the
        AssetDesk says and nothing else, and keeps no money: whatever it has earned goes to the desk.
@dev The desk makes one minimal proxy (ERC-1167) of this for each asset, in the transaction that creates the asset.
"""

from interfaces import IDataMarket


interface Market:
    def grant_consent(consent: IDataMarket.Consent, signature: Bytes[1024]) -> bytes32: nonpayable
    def revoke_consent(consent: bytes32, signature: Bytes[1024]): nonpayable
    def earnings_word(account: address) -> uint256: view
    def withdraw(
        account: address, to: address, amount: uint256, deadline: uint256, signature: Bytes[1024]
    ): nonpayable


_MARKET: immutable(Market)

_AMOUNT: constant(uint256) = 2**128 - 1

_desk: address


@deploy
def __init__(market: address):
    """
    @param market The DataMarket's proxy.
    @dev The bare logic belongs to itself: nobody opens it.
    """
    assert market != empty(address), "asset: no market is named"
    _MARKET = Market(market)
    self._desk = self


@external
def open():
    """
    @notice Belong to the caller, once.
    @dev Caller: the desk, in the transaction that makes this account. Reverts when it belongs to somebody.
    """
    assert self._desk == empty(address), "asset: the account is open"
    self._desk = msg.sender


@external
def grant(consent: IDataMarket.Consent) -> bytes32:
    """
    @notice Grant a consent over this account's records; returns its id.
    @dev Caller: the desk. Reverts as the market does.
    """
    self._require_desk()
    return extcall _MARKET.grant_consent(consent, b"")


@external
def revoke(consent: bytes32):
    """
    @notice Revoke a consent that this account granted.
    @dev Caller: the desk. Reverts as the market does.
    """
    self._require_desk()
    extcall _MARKET.revoke_consent(consent, b"")


@external
def sweep() -> uint256:
    """
    @notice Withdraw all that this account has earned in the market to the desk; returns the base units.
    @dev Caller: the desk. Reverts as the market does; zero earnings are no error.
    """
    self._require_desk()
    amount: uint256 = staticcall _MARKET.earnings_word(self) & _AMOUNT
    if amount != 0:
        extcall _MARKET.withdraw(self, self._desk, amount, block.timestamp, b"")
    return amount


@internal
@view
def _require_desk():
    assert msg.sender == self._desk, "asset: only the desk may do this"

# pragma version ~=0.4.3
"""
@title payouts
@license AGPL-3.0-only
@notice What accounts have been credited with and not yet withdrawn. Crediting is one word and asks nobody, so
        anybody can do it for everybody; only the account's own signature takes it out, for patients hold no
        ETH. Withdrawals are never paused.
@dev The same message as the market's withdrawal, under the domain of the contract that composes this module.
"""

from ..interfaces import IRoyaltyVault
from ..interfaces import IUsageToken
from . import signing

uses: signing

DUT: immutable(IUsageToken)

_WITHDRAWAL_TYPE: constant(bytes32) = keccak256(
    "Withdrawal(address account,address to,uint256 amount,uint256 nonce,uint256 deadline)"
)
_MAX_SIGNATURE: constant(uint256) = 1024
_AMOUNT: constant(uint256) = 2**128 - 1
_NONCE_AT: constant(uint256) = 128
# DUT's standing bits for an account that may hold it: admitted 1, protocol 2; and for one that is frozen.
_MAY_HOLD: constant(uint8) = 3
_HELD_BACK: constant(uint8) = 4

# account → credited 128 | withdrawal nonce 64, lowest bits first
_balances: HashMap[address, uint256]
__gap: uint256[8]


@deploy
def __init__(usage: address):
    assert usage != empty(address), "payouts: no usage token is named"
    DUT = IUsageToken(usage)


@external
@nonreentrant
def withdraw(
    account: address,
    to: address,
    amount: uint256,
    deadline: uint256,
    signature: Bytes[_MAX_SIGNATURE],
):
    """
    @notice Pay `amount` base units of what `account` was credited with to `to`. Never paused.
    @param deadline Unix seconds after which this may not be carried out.
    @param signature The account's EIP-712 signature over Withdrawal with its next nonce; empty when the
           account sends the transaction itself.
    @dev Anybody may relay. An account's first withdrawal to itself admits it to DUT (R2). Reverts on zero, to this
         contract itself, over what was credited, past the deadline, on another's signature, from an account that DUT has frozen, and
         when DUT refuses the receiver (frozen, or not admitted).
    """
    word: uint256 = self._balances[account]
    assert deadline >= block.timestamp, "payout: signature is too late"
    assert amount != 0 and to != self, "payout: nothing would be paid"
    assert amount <= word & _AMOUNT, "payout: more than was credited"
    signing._require(
        account,
        keccak256(abi_encode(_WITHDRAWAL_TYPE, account, to, amount, word >> _NONCE_AT, deadline)),
        signature,
    )
    # Frozen money goes nowhere: DUT would refuse the account itself, but not a friend of its.
    standing: uint8 = staticcall DUT.standing(account)
    assert standing & _HELD_BACK == 0, "payout: it is frozen"
    self._balances[account] = word + (1 << _NONCE_AT) - amount
    log IRoyaltyVault.Withdrawn(account=account, to=to, amount=amount)
    if to == account and standing & _MAY_HOLD == 0:
        extcall DUT.admit(to)
    assert extcall DUT.transfer(to, amount)


@external
@view
def balance_word(account: address) -> uint256:
    """
    @notice What is stored of an account: credited and not withdrawn (base units) 128, nonce of the next
            withdrawal 64, lowest bits first.
    """
    return self._balances[account]


@internal
def _credit(account: address, amount: uint256):
    # No sum can reach 128 bits: DUT issues at most 10^30 base units a day.
    self._balances[account] += amount

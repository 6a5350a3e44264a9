# pragma version ~=0.4.3
"""
@title accounts
@license AGPL-3.0-only
@notice Money inside the market: what licensees have deposited and not yet spent, and what everybody has
        earned and not yet withdrawn. Withdrawals work by signature, for patients hold no ETH, and are
        never paused.
"""

from ..interfaces import IDataMarket
from . import access
from . import links
from . import rates
from . import signing

uses: access
uses: links
uses: rates
uses: signing

_WITHDRAWAL_TYPE: constant(bytes32) = keccak256(
    "Withdrawal(address account,address to,uint256 amount,uint256 nonce,uint256 deadline)"
)
_MAX_SIGNATURE: constant(uint256) = 1024
_AMOUNT: constant(uint256) = 2**128 - 1
_GROUPS: constant(uint256) = 2**96 - 1
_CODE: constant(uint256) = 2**16 - 1
_MAX_REGION: constant(uint256) = 999

FROZEN: constant(uint256) = 1
CERTIFIED: constant(uint256) = 2
_ALL_FLAGS: constant(uint256) = FROZEN | CERTIFIED

_GROUPS_AT: constant(uint256) = 128
_REGION_AT: constant(uint256) = 224
_FLAGS_AT: constant(uint256) = 240
_NONCE_AT: constant(uint256) = 128
# DUT's standing bits for an account that may hold it: admitted 1, protocol 2.
_MAY_HOLD: constant(uint8) = 3
# The bit of one that the sanctions role has frozen.
HELD_BACK: constant(uint8) = 4

# licensee → deposit 128 | credential groups 96 | region 16 | flags 16, lowest bits first
_licensees: HashMap[address, uint256]
# earner → earned 128 | withdrawal nonce 64, lowest bits first
_earnings: HashMap[address, uint256]
__gap: uint256[8]


@external
def set_licensee(account: address, groups: uint256, region: uint256, flags: uint256):
    """
    @notice State which credential groups a licensee belongs to and where it works; its deposit stays.
    @param groups Credential groups as bits; zero bars every purchase.
    @param region UN M49 code of where it uses data; zero bars every purchase.
    @param flags Bits: 1 frozen, 2 certified compliant.
    @dev Caller: the credential role. Reverts on no account or a value out of range.
    """
    access._restricted()
    assert account != empty(address), "account: no account is named"
    assert (
        groups <= _GROUPS and region <= _MAX_REGION and flags <= _ALL_FLAGS
    ), "account: unknown group or region"
    deposited: uint256 = self._licensees[account] & _AMOUNT
    self._licensees[account] = (
        deposited | (groups << _GROUPS_AT) | (region << _REGION_AT) | (flags << _FLAGS_AT)
    )
    log IDataMarket.LicenseeChanged(account=account, groups=groups, region=region, flags=flags)


@external
@nonreentrant
def deposit(account: address, amount: uint256):
    """
    @notice Prepay `amount` base units of the caller's DUT (approved before) for the licensee `account`.
    @dev Reverts while the market is paused, on zero, and when DUT refuses the transfer.
    """
    self._deposit(account, amount)


@external
@nonreentrant
def deposit_with_permit(
    account: address, amount: uint256, deadline: uint256, v: uint8, r: bytes32, s: bytes32
):
    """
    @notice As `deposit`, with the caller's ERC-2612 permit over exactly `amount` in the same transaction.
    @dev A permit that somebody else submitted first does no harm: the allowance is then there already.
    """
    # Whether the permit went through is seen by the transfer that needs its allowance.
    tried: bool = raw_call(
        links.DUT.address,
        abi_encode(
            msg.sender,
            self,
            amount,
            deadline,
            v,
            r,
            s,
            method_id=method_id("permit(address,address,uint256,uint256,uint8,bytes32,bytes32)"),
        ),
        revert_on_failure=False,
    )
    self._deposit(account, amount)


@external
@nonreentrant
def reclaim(amount: uint256):
    """
    @notice Take back `amount` base units of the caller's unspent deposit. Never paused.
    @dev Reverts on zero, over what is there, and when DUT refuses the transfer (a frozen account).
    """
    assert amount != 0, "account: the amount is zero"
    self._debit(msg.sender, self._licensees[msg.sender], amount)
    log IDataMarket.DepositReclaimed(account=msg.sender, amount=amount)
    assert extcall links.DUT.transfer(msg.sender, amount)


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
    @notice Pay `amount` base units of what `account` earned to `to`. Never paused.
    @param deadline Unix seconds after which this may not be carried out.
    @param signature The earner's EIP-712 signature over Withdrawal with its next nonce; empty when the
           earner sends the transaction itself.
    @dev Anybody may relay. An earner's first withdrawal to itself admits it to DUT (R2). Reverts on zero, over
         what was earned, past the deadline, on another's signature, from an account that DUT has frozen, and
         when DUT refuses the receiver (frozen, or not admitted).
    """
    word: uint256 = self._earnings[account]
    assert deadline >= block.timestamp, "account: signature is too late"
    assert amount != 0 and to != self, "account: nothing would be paid"
    assert amount <= word & _AMOUNT, "account: more than was earned"
    signing._require(
        account,
        keccak256(abi_encode(_WITHDRAWAL_TYPE, account, to, amount, word >> _NONCE_AT, deadline)),
        signature,
    )
    # Frozen earnings go nowhere: DUT would refuse the earner's own wallet, but not a friend's.
    standing: uint8 = staticcall links.DUT.standing(account)
    assert standing & HELD_BACK == 0, "account: it is frozen"
    self._earnings[account] = word + (1 << _NONCE_AT) - amount
    log IDataMarket.Withdrawn(account=account, to=to, amount=amount)
    if to == account and standing & _MAY_HOLD == 0:
        extcall links.DUT.admit(to)
    assert extcall links.DUT.transfer(to, amount)


@external
def charge(account: address, amount: uint256):
    """
    @notice Move `amount` base units from `account`'s deposit to the calling desk's.
    @dev Caller: the desk role; a desk asks only for what the account told it to take. Reverts while the market is
         paused, from a frozen account, and over what is there.
    """
    access._restricted()
    rates._require_open()
    self._require_free(account, self._licensees[account])
    self._move(account, msg.sender, amount)


@external
def release(account: address, amount: uint256):
    """
    @notice Move `amount` base units from the calling desk's deposit to `account`'s. Never paused.
    @dev Caller: the desk role. Reverts over what is there.
    """
    access._restricted()
    self._move(msg.sender, account, amount)


@external
@view
def licensee_word(account: address) -> uint256:
    """
    @notice What is stored of a licensee: unspent deposit (base units) 128, credential groups 96, region 16,
            flags 16, lowest bits first.
    """
    return self._licensees[account]


@external
@view
def earnings_word(account: address) -> uint256:
    """
    @notice What is stored of an earner: earned and not withdrawn (base units, of settled licences) 128, nonce
            of the next withdrawal 64, lowest bits first.
    """
    return self._earnings[account]


@internal
def _deposit(account: address, amount: uint256):
    rates._require_open()
    assert account != empty(address), "account: no account is named"
    assert amount != 0, "account: the amount is zero"
    self._refund(account, amount)
    log IDataMarket.Deposited(account=account, payer=msg.sender, amount=amount)
    assert extcall links.DUT.transferFrom(msg.sender, self, amount)


@internal
def _debit(account: address, word: uint256, amount: uint256):
    """
    @dev Takes from a deposit whose word the caller has just read.
    """
    assert amount <= word & _AMOUNT, "account: deposit is too small"
    self._licensees[account] = word - amount


@internal
def _move(source: address, target: address, amount: uint256):
    self._debit(source, self._licensees[source], amount)
    self._refund(target, amount)
    log IDataMarket.DeskMoved(desk=msg.sender, source=source, target=target, amount=amount)


@internal
def _refund(account: address, amount: uint256):
    # No amount can reach 128 bits: DUT issues at most 10^30 base units a day.
    self._licensees[account] += amount


@internal
def _earn(account: address, amount: uint256):
    if amount != 0:
        self._earnings[account] += amount


@internal
@view
def _require_free(account: address, word: uint256):
    """
    @dev Sanctions freeze an account in DUT; a deposit made before must not be spent either (R2).
    """
    assert (
        self._flags(word) & FROZEN == 0 and staticcall links.DUT.standing(account) & HELD_BACK == 0
    ), "licence: the licensee is frozen"


@internal
@pure
def _groups(word: uint256) -> uint256:
    return (word >> _GROUPS_AT) & _GROUPS


@internal
@pure
def _region(word: uint256) -> uint256:
    return (word >> _REGION_AT) & _CODE


@internal
@pure
def _flags(word: uint256) -> uint256:
    return word >> _FLAGS_AT

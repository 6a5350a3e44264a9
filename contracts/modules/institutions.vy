# pragma version ~=0.4.3
"""
@title institutions
@license AGPL-3.0-only
@notice Accredited institutions under a number each. Records name the number, so an institution that moves
        to a new account keeps its records and what they earn.
"""

from ..interfaces import IRecordRegistry
from . import access

uses: access

# What an institution may do, as bits.
CUSTODIAN: constant(uint256) = 1
ANNOTATOR: constant(uint256) = 2
ATTESTER: constant(uint256) = 4
_ALL: constant(uint256) = CUSTODIAN | ANNOTATOR | ATTESTER
# Numbers must fit into 20 bits of a record's facts.
_MAX_NUMBER: constant(uint256) = 2**20 - 1
_ADDRESS: constant(uint256) = 2**160 - 1

_count: uint256
# number → account (160 bits) | capabilities << 160
_institutions: HashMap[uint256, uint256]
# account → number; zero is nobody
_numbers: HashMap[address, uint256]
__gap: uint256[8]


@external
def accredit(account: address, capabilities: uint256) -> uint256:
    """
    @notice Accredit `account`, or change what it may do; `capabilities` zero withdraws its accreditation.
    @param account The institution's account.
    @param capabilities Bits: 1 custodian, 2 annotator, 4 attester.
    @return The institution's number.
    @dev Caller: the accreditation role. Reverts on no account or unknown bits.
    """
    access._restricted()
    assert account != empty(address), "institutions: no account is named"
    assert capabilities <= _ALL, "institutions: unknown capability"
    number: uint256 = self._numbers[account]
    if number == 0:
        number = self._count + 1
        assert number <= _MAX_NUMBER, "institutions: no number is left"
        self._count = number
        self._numbers[account] = number
    self._write(number, account, capabilities)
    return number


@external
def move(number: uint256, account: address):
    """
    @notice Move institution `number` to a new account; its records and future earnings follow.
    @dev Caller: the accreditation role. Reverts when the institution is unknown or the account is taken.
    """
    access._restricted()
    word: uint256 = self._institutions[number]
    assert word != 0, "institutions: unknown institution"
    assert account != empty(address), "institutions: no account is named"
    assert self._numbers[account] == 0, "institutions: the account is taken"
    self._numbers[convert(word & _ADDRESS, address)] = 0
    self._numbers[account] = number
    self._write(number, account, word >> 160)


@external
def disqualify(number: uint256):
    """
    @notice Withdraw the accreditation of institution `number` as attester; what else it may do stays.
    @dev Caller: the disputes, when an attester's word fell and its stake did not cover the bond (R7).
    """
    access._restricted()
    word: uint256 = self._institutions[number]
    assert word != 0, "institutions: unknown institution"
    self._write(number, convert(word & _ADDRESS, address), (word >> 160) & (_ALL - ATTESTER))


@external
@view
def institution(number: uint256) -> (address, uint256):
    """
    @notice Account and capabilities of institution `number`; zeros when there is none.
    """
    word: uint256 = self._institutions[number]
    return convert(word & _ADDRESS, address), word >> 160


@external
@view
def number_of(account: address) -> uint256:
    """
    @notice The number of the institution at `account`, or zero.
    """
    return self._numbers[account]


@internal
@view
def _account(number: uint256) -> address:
    return convert(self._institutions[number] & _ADDRESS, address)


@internal
@view
def _may(number: uint256, capability: uint256) -> bool:
    return (self._institutions[number] >> 160) & capability != 0


@internal
@view
def _caller(capability: uint256) -> uint256:
    """
    @dev The number of the calling institution; refuses one without the capability.
    """
    number: uint256 = self._numbers[msg.sender]
    assert self._may(number, capability), "institutions: the caller is not accredited for this"
    return number


@internal
def _write(number: uint256, account: address, capabilities: uint256):
    previous: uint256 = self._institutions[number]
    self._institutions[number] = convert(account, uint256) | (capabilities << 160)
    log IRecordRegistry.InstitutionChanged(
        number=number,
        account=account,
        capabilities=capabilities,
        previousAccount=convert(previous & _ADDRESS, address),
        previousCapabilities=previous >> 160,
    )

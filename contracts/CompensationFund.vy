# pragma version ~=0.4.3
"""
@title CompensationFund
@license AGPL-3.0-only
@notice Licensees pay in for licences that they use, beside what they paid for them, as much as they decide (R22). Of each
        payment 40 % go to the record's custodian for its curation, 30 % to the patient, and 30 % are kept for those who
        are harmed. What is kept leaves by a decision of the timelock alone, which is an executed proposal: it names
        whom, how much, and why. Everything is credited, and pulled by signature.
        A payment here buys nothing, so it carries no levy (R15); as a way around the market it would cost 30 %.
        Nobody, the timelock included, can take a credit from whose it is.
@dev Holds exactly: kept + credits. Behind a proxy.
"""

from interfaces import ICompensationFund
from interfaces import IDataMarket
from interfaces import IRecordRegistry
from modules import access
from modules import initializer
from modules import payouts
from modules import signing

initializes: initializer
initializes: access
initializes: signing
initializes: payouts[signing := signing]

exports: (
    access.authority,
    signing.eip712Domain,
    payouts.withdraw,
    payouts.balance_word,
)


interface Registry:
    def parties(record: bytes32) -> IRecordRegistry.Parties: view


interface Market:
    def licence_word(id: bytes32) -> uint256: view


_REGISTRY: immutable(Registry)
_MARKET: immutable(Market)

_BPS: constant(uint256) = 10_000
# Of each payment; the rest is kept, rounding included.
_CUSTODIANS: constant(uint256) = 4_000
_PATIENTS: constant(uint256) = 3_000

_DERIVED: constant(uint256) = 7

# Of a licence's word in the market.
_NUMBER: constant(uint256) = 2**40 - 1
_FORM_AT: constant(uint256) = 120
_FORM: constant(uint256) = 3
_METERED: constant(uint256) = 2
_START_AT: constant(uint256) = 136
_MARK_AT: constant(uint256) = 176
_AMOUNT: constant(uint256) = 2**128 - 1

_kept: uint256
_paused: bool
__gap: uint256[16]


@deploy
def __init__(
    deployer: address, manager: address, usage: address, registry: address, market: address
):
    """
    @param deployer The account that initialises the proxy, once.
    @param manager The AccessManager.
    @param usage The UsageToken (DUT).
    @param registry The RecordRegistry's proxy.
    @param market The DataMarket's proxy.
    """
    access.__init__(manager)
    initializer.__init__(deployer)
    signing.__init__("medtoken", "1")
    payouts.__init__(usage)
    assert registry != empty(address) and market != empty(address), "fund: a contract is missing"
    _REGISTRY = Registry(registry)
    _MARKET = Market(market)


@external
def initialize():
    """
    @notice Begin, once. There is nothing to set.
    @dev Caller: the deployer, through the proxy.
    """
    initializer._initialize()


@external
@nonreentrant
def pay(ref: IDataMarket.LicenceRef, amount: uint256):
    """
    @notice Pay `amount` base units of DUT, approved before, for the use of a licence: to the record's custodian and
            patient, and into what is kept.
    @dev Caller: the licence's licensee. Reverts while paused, on another's licence or an unknown one, before it was used
         (a term: settled in part), on an amount of zero, on a derived record, which has no patient, and when DUT
         refuses the transfer.
    """
    assert not self._paused, "fund: paused"
    assert ref.licensee == msg.sender, "fund: not the caller's licence"
    licence: bytes32 = keccak256(abi_encode(ref))
    assert self._used(staticcall _MARKET.licence_word(licence)), "fund: the licence was not used"
    assert amount != 0 and amount <= _AMOUNT, "fund: amount out of range"
    parties: IRecordRegistry.Parties = staticcall _REGISTRY.parties(ref.record)
    assert parties.kind != _DERIVED, "fund: a derived record has no patient"
    custodian: uint256 = amount * _CUSTODIANS // _BPS
    patient: uint256 = amount * _PATIENTS // _BPS
    kept: uint256 = amount - custodian - patient
    self._kept += kept
    payouts._credit(parties.owner, patient)
    payouts._credit(parties.custodian, custodian)
    log ICompensationFund.ContributionPaid(
        licence=licence,
        record=ref.record,
        licensee=msg.sender,
        amount=amount,
        patient=parties.owner,
        patientAmount=patient,
        custodian=parties.custodian,
        custodianAmount=custodian,
        kept=kept,
    )
    assert extcall payouts.DUT.transferFrom(msg.sender, self, amount)


@external
def compensate(account: address, amount: uint256, reason: bytes32):
    """
    @notice Credit `amount` base units of what is kept to somebody who was harmed.
    @param reason Digest of the finding.
    @dev Caller: the timelock, that is, an executed proposal. Reverts on no account, on zero, over what is kept, and
         without a reason.
    """
    access._restricted()
    assert account != empty(address), "fund: no account is named"
    kept: uint256 = self._kept
    assert amount != 0 and amount <= kept, "fund: more than is kept"
    assert reason != empty(bytes32), "fund: no reason is named"
    self._kept = kept - amount
    payouts._credit(account, amount)
    log ICompensationFund.Compensated(
        account=account, amount=amount, left=kept - amount, reason=reason
    )


@external
def pause():
    """
    @notice Let no payment in. Compensation and withdrawals go on (R29).
    @dev Caller: the guardian role.
    """
    access._restricted()
    self._paused = True
    log ICompensationFund.PauseChanged(paused=True)


@external
def unpause():
    """
    @notice Let payments in again.
    @dev Caller: the timelock.
    """
    access._restricted()
    self._paused = False
    log ICompensationFund.PauseChanged(paused=False)


@external
@view
def kept() -> uint256:
    """
    @notice Base units that are kept for those who are harmed.
    """
    return self._kept


@external
@view
def paused() -> bool:
    """
    @notice Whether payments are paused.
    """
    return self._paused


@internal
@pure
def _used(word: uint256) -> bool:
    """
    @dev Units used of a metered licence, or a term that was settled in part; never of an unknown one.
    """
    mark: uint256 = (word >> _MARK_AT) & _NUMBER
    if (word >> _FORM_AT) & _FORM == _METERED:
        return mark != 0
    return mark > (word >> _START_AT) & _NUMBER

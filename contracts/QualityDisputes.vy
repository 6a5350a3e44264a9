# pragma version ~=0.4.3
"""
@title QualityDisputes
@license AGPL-3.0-only
@notice Anybody who has a record's file can compute its quality again and challenge what was attested (R7),
        with a bond in DUT and the scores that they claim instead. An arbitrator, who is no institution,
        decides before a deadline. Upheld: the registry takes the claimed scores, the challenger gets the
        bond back and the attester's stake at risk, and an attester whose stake did not match the bond
        loses its accreditation as attester. Rejected: the bond is added to the attester's stake. Silence:
        the attestation stands and everybody gets their own back.
        DCT that was minted stays with the patient, and nothing is minted again; licences keep their price.
        Nothing of it is a levy, so the reserve's books know nothing of it (R16).
@dev Holds exactly: stakes + credits + bonds and stakes at risk of open challenges. Behind a proxy.
"""

from interfaces import IQualityDisputes
from interfaces import IRecordRegistry
from interfaces import IUsageToken
from modules import access
from modules import attestations
from modules import initializer

initializes: initializer
initializes: access

exports: access.authority


interface IRegistry:
    def attester(record: bytes32) -> uint256: view
    def number_of(account: address) -> uint256: view
    def revise(record: bytes32, scores: IRecordRegistry.Scores): nonpayable
    def disqualify(number: uint256): nonpayable


_DUT: immutable(IUsageToken)
_REGISTRY: immutable(IRegistry)

# Bounds within which the timelock may move the parameters.
_MIN_BOND: constant(uint256) = 10**18
_MAX_BOND: constant(uint256) = 100_000 * 10**18
_MIN_WINDOW: constant(uint256) = 86_400
_MAX_WINDOW: constant(uint256) = 90 * 86_400


struct Dispute:
    challenger: address  # zero: no challenge is open
    attester: uint256
    claim: bytes32  # keccak256(abi.encode(scores))
    bond: uint256
    atRisk: uint256  # of the attester's stake, at most the bond
    deadline: uint256  # unix seconds; an arbitrator decides no later


# record → its open challenge
_disputes: HashMap[bytes32, Dispute]
# institution's number → base units that back its attestations and are not at risk
_stakes: HashMap[uint256, uint256]
# challenger → base units to withdraw
_credits: HashMap[address, uint256]
_bond: uint256
_window: uint256
_paused: bool
__gap: uint256[16]


@deploy
def __init__(deployer: address, manager: address, usage: address, registry: address):
    """
    @param deployer The account that initialises the proxy, once.
    @param manager The AccessManager.
    @param usage The UsageToken (DUT).
    @param registry The RecordRegistry.
    """
    access.__init__(manager)
    initializer.__init__(deployer)
    assert usage != empty(address), "disputes: no usage token is named"
    assert registry != empty(address), "disputes: no registry is named"
    _DUT = IUsageToken(usage)
    _REGISTRY = IRegistry(registry)


@external
def initialize(bond: uint256, window: uint256):
    """
    @notice Set the first parameters, once.
    @param bond What a challenge costs until it is decided, in base units.
    @param window Seconds that an arbitrator has.
    @dev Caller: the deployer, through the proxy.
    """
    initializer._initialize()
    self._set_bond(bond)
    self._set_window(window)


# ------------------------------------------------------------------ stakes


@external
@nonreentrant
def stake(amount: uint256):
    """
    @notice Back the caller's attestations with `amount` more base units of DUT, approved before.
    @dev Caller: an institution. Reverts while paused, on zero, and when DUT refuses the transfer.
    """
    self._open()
    number: uint256 = self._institution()
    assert amount != 0, "disputes: the amount is zero"
    self._set_stake(number, self._stakes[number] + amount)
    assert extcall _DUT.transferFrom(msg.sender, self, amount)


@external
@nonreentrant
def unstake(amount: uint256):
    """
    @notice Take back `amount` base units of the caller's stake that no open challenge puts at risk. Never
            paused.
    @dev Caller: an institution. Reverts on zero, over what is there, and when DUT refuses the transfer.
    """
    number: uint256 = self._institution()
    assert amount != 0, "disputes: the amount is zero"
    assert amount <= self._stakes[number], "disputes: not so much is staked"
    self._set_stake(number, self._stakes[number] - amount)
    assert extcall _DUT.transfer(msg.sender, amount)


# ------------------------------------------------------------------ challenges


@external
@nonreentrant
def challenge(record: bytes32, claim: IRecordRegistry.Scores, evidence: bytes32):
    """
    @notice Challenge the attestation of `record`: claim other scores, or zeros where nothing can be attested of
            the file. The caller's DUT, approved before, pays the bond.
    @param evidence Hash of what the challenger brings before the arbitrator.
    @dev Anybody but the attester. Reverts while paused, without an attestation that can be challenged (none, or
         already revised), while another challenge is open, on a claim out of range or no evidence, and when DUT
         refuses the transfer.
    """
    self._open()
    attester: uint256 = staticcall _REGISTRY.attester(record)
    assert attester != 0, "disputes: the record has no attestation to challenge"
    assert (
        attester != staticcall _REGISTRY.number_of(msg.sender)
    ), "disputes: nobody challenges themselves"
    assert (
        self._disputes[record].challenger == empty(address)
    ), "disputes: the record is already challenged"
    if not self._is_nothing(claim):
        attestations._check(claim)
    assert evidence != empty(bytes32), "disputes: no evidence is named"

    bond: uint256 = self._bond
    risk: uint256 = min(self._stakes[attester], bond)
    deadline: uint256 = block.timestamp + self._window
    self._disputes[record] = Dispute(
        challenger=msg.sender,
        attester=attester,
        claim=keccak256(abi_encode(claim)),
        bond=bond,
        atRisk=risk,
        deadline=deadline,
    )
    if risk != 0:
        self._stakes[attester] -= risk
    log IQualityDisputes.ChallengeOpened(
        record=record,
        challenger=msg.sender,
        attester=attester,
        claim=claim,
        evidence=evidence,
        bond=bond,
        atRisk=risk,
        deadline=deadline,
    )
    assert extcall _DUT.transferFrom(msg.sender, self, bond)


@external
@nonreentrant
def resolve(record: bytes32, claim: IRecordRegistry.Scores, upheld: bool, reason: bytes32):
    """
    @notice Decide the open challenge of `record`.
    @param claim The scores that the challenger claimed.
    @param upheld Whether they take the place of what was attested.
    @param reason Hash of the arbitrator's published reasons.
    @dev Caller: the arbitrator role, and no institution nor the challenger. Reverts without an open challenge,
         after its deadline, on another claim, and without reasons.
    """
    access._restricted()
    dispute: Dispute = self._disputes[record]
    assert dispute.challenger != empty(address), "disputes: no challenge is open"
    assert block.timestamp <= dispute.deadline, "disputes: the deadline has passed"
    assert (
        msg.sender != dispute.challenger and staticcall _REGISTRY.number_of(msg.sender) == 0
    ), "disputes: nobody judges their own case"
    assert keccak256(abi_encode(claim)) == dispute.claim, "disputes: not what was claimed"
    assert reason != empty(bytes32), "disputes: no reason is named"
    self._disputes[record] = empty(Dispute)
    if upheld:
        self._credits[dispute.challenger] += dispute.bond + dispute.atRisk
    else:
        self._stakes[dispute.attester] += dispute.bond + dispute.atRisk
    log IQualityDisputes.ChallengeResolved(record=record, upheld=upheld, reason=reason)
    if upheld:
        extcall _REGISTRY.revise(record, claim)
        if dispute.atRisk < dispute.bond:
            extcall _REGISTRY.disqualify(dispute.attester)


@external
@nonreentrant
def lapse(record: bytes32):
    """
    @notice Close a challenge that no arbitrator decided in time: the attestation stands, everybody gets their
            own back.
    @dev Anybody may call. Reverts without an open challenge, and until its deadline has passed.
    """
    dispute: Dispute = self._disputes[record]
    assert dispute.challenger != empty(address), "disputes: no challenge is open"
    assert block.timestamp > dispute.deadline, "disputes: the deadline has not passed"
    self._disputes[record] = empty(Dispute)
    self._credits[dispute.challenger] += dispute.bond
    self._stakes[dispute.attester] += dispute.atRisk
    log IQualityDisputes.ChallengeLapsed(record=record)


@external
@nonreentrant
def withdraw():
    """
    @notice Pay the caller what its challenges returned. Never paused.
    @dev Reverts when there is nothing, and when DUT refuses the transfer (a frozen account).
    """
    amount: uint256 = self._credits[msg.sender]
    assert amount != 0, "disputes: there is nothing to withdraw"
    self._credits[msg.sender] = 0
    log IQualityDisputes.CreditWithdrawn(account=msg.sender, amount=amount)
    assert extcall _DUT.transfer(msg.sender, amount)


# ------------------------------------------------------------------ governed parameters


@external
def set_bond(bond: uint256):
    """
    @notice Set what a challenge costs until it is decided, in base units; open ones keep theirs.
    @dev Caller: the timelock. Reverts outside 1 to 100,000 DUT.
    """
    access._restricted()
    self._set_bond(bond)


@external
def set_window(window: uint256):
    """
    @notice Set how many seconds an arbitrator has; open challenges keep theirs.
    @dev Caller: the timelock. Reverts outside 1 to 90 days.
    """
    access._restricted()
    self._set_window(window)


@external
def pause():
    """
    @notice Let no money in: no stakes, no challenges. Decisions, lapses and withdrawals go on (R29).
    @dev Caller: the guardian role.
    """
    access._restricted()
    self._paused = True
    log IQualityDisputes.PauseChanged(paused=True)


@external
def unpause():
    """
    @notice Let money in again.
    @dev Caller: the timelock.
    """
    access._restricted()
    self._paused = False
    log IQualityDisputes.PauseChanged(paused=False)


# ------------------------------------------------------------------ views


@external
@view
def dispute(record: bytes32) -> Dispute:
    """
    @notice The open challenge of a record; zeros when there is none.
    """
    return self._disputes[record]


@external
@view
def stake_of(number: uint256) -> uint256:
    """
    @notice Base units that back an institution's attestations and that no open challenge puts at risk.
    """
    return self._stakes[number]


@external
@view
def credit_of(account: address) -> uint256:
    """
    @notice Base units that an account can withdraw.
    """
    return self._credits[account]


@external
@view
def terms() -> (uint256, uint256, bool):
    """
    @notice The bond of a challenge (base units), the arbitrator's time (seconds), whether money in is paused.
    """
    return self._bond, self._window, self._paused


# ------------------------------------------------------------------ internal


@internal
@view
def _open():
    assert not self._paused, "disputes: paused"


@internal
@view
def _institution() -> uint256:
    number: uint256 = staticcall _REGISTRY.number_of(msg.sender)
    assert number != 0, "disputes: the caller is no institution"
    return number


@internal
def _set_stake(number: uint256, amount: uint256):
    log IQualityDisputes.StakeChanged(
        attester=number, account=msg.sender, previous=self._stakes[number], current=amount
    )
    self._stakes[number] = amount


@internal
@pure
def _is_nothing(claim: IRecordRegistry.Scores) -> bool:
    return keccak256(abi_encode(claim)) == keccak256(abi_encode(empty(IRecordRegistry.Scores)))


@internal
def _set_bond(bond: uint256):
    assert bond >= _MIN_BOND and bond <= _MAX_BOND, "disputes: the bond is out of bounds"
    log IQualityDisputes.ParameterChanged(name="bond", previous=self._bond, current=bond)
    self._bond = bond


@internal
def _set_window(window: uint256):
    assert (
        window >= _MIN_WINDOW and window <= _MAX_WINDOW
    ), "disputes: the window is out of bounds"
    log IQualityDisputes.ParameterChanged(name="window", previous=self._window, current=window)
    self._window = window

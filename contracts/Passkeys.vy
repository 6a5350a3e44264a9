# pragma version ~=0.4.3
"""
@title Passkeys
@license AGPL-3.0-only
@notice A patient's fingerprint or face, for each licence of highly sensitive data (R10). A patient enrols one passkey
        (WebAuthn, a key on P-256) by a signature of the wallet; for each licence under a consent of the highest tier it
        then signs exactly what it allows: this order of this licensee under this consent, until a day. The market
        asks here when such a licence is bought, whoever sells it.
        The first passkey counts at once. Another one, or none, counts after a delay in which the wallet and the
        passkey that counts until then can each cancel it: who stole the wallet alone cannot approve anything in
        time unseen, and who stole the device alone cannot unlock it.
        Nobody, the timelock included, can approve for a patient but by upgrading this contract.
@dev Behind a proxy. An approval buys one licence: the market refuses a second one with the same salt. The assertion
     is checked by a stateless verifier (ERC-7913) that was chosen at the deployment: type, challenge, presence,
     verification, low s, signature. What needs memory is checked here: the relying party, the counter, the replay.
     The browser's JSON is taken in the order of fields that WebAuthn prescribes, so nothing in it can be moved.
     The origin within the relying party is not checked: its host must serve nobody's pages but its own.
"""

from interfaces import IDataMarket
from interfaces import IPasskeys
from modules import access
from modules import initializer
from modules import signing

initializes: initializer
initializes: access
initializes: signing

implements: IPasskeys

exports: (access.authority, signing.eip712Domain)


interface Verifier:
    def verify(key: Bytes[64], hash: bytes32, signature: Bytes[_MAX_ASSERTION]) -> bytes4: view


_VERIFIER: immutable(Verifier)

_CHANGE_TYPE: constant(bytes32) = keccak256(
    "PasskeyChange(address patient,bytes32 x,bytes32 y,bytes32 relyingParty,uint256 nonce,uint256 deadline)"
)
_CANCELLATION_TYPE: constant(bytes32) = keccak256(
    "PasskeyCancellation(address patient,uint256 nonce)"
)
_APPROVAL_TYPE: constant(bytes32) = keccak256(
    "LicenceApproval(address patient,bytes32 consent,address licensee,bytes32 record,uint256 form,uint256 units,uint256 end,uint256 purposes,bytes32 diseases,bool urgent,uint256 maxPrice,bytes32 agreement,uint256 salt,uint256 deadline)"
)
_MAX_SIGNATURE: constant(uint256) = 1024
# Six words, then two byte strings with their lengths.
_MAX_ASSERTION: constant(uint256) = 32 * 8 + 512 + 1024
_VALID: constant(bytes4) = 0x024ad318  # verify(bytes,bytes32,bytes)

# Where the browser's JSON has its type and its challenge: {"type":"webauthn.get","challenge":"…
_TYPE_AT: constant(uint256) = 1
_CHALLENGE_AT: constant(uint256) = 23
# An authenticator's data: the relying party's hash, flags, a counter.
_FLAGS_BYTE: constant(uint256) = 32
_COUNTER_BYTE: constant(uint256) = 33
_LEAST_DATA: constant(uint256) = 37
# The user was there, and was verified.
_PRESENT_AND_VERIFIED: constant(uint256) = 5

# The curve P-256: y² = x³ - 3x + b over the field of p.
_P: constant(uint256) = (
    115792089210356248762697446949407573530086143415290314195533631308867097853951
)
_B: constant(uint256) = (
    41058363725152142129326129780047268409114441015993725554835256314039467401291
)

# How long after it was brought an approval may be good for: it is to be fresh.
_MOST: constant(uint256) = 7 * 86400
# Bounds within which the timelock may move the delay.
_MIN_DELAY: constant(uint256) = 86400
_MAX_DELAY: constant(uint256) = 30 * 86400

# The market's: fixed term, metered, rental; and its highest price.
_FORMS: constant(uint256) = 3
_MAX_PRICE: constant(uint256) = (2**64 - 1) * 10**9

_COUNTER: constant(uint256) = 2**32 - 1
_TIME: constant(uint256) = 2**40 - 1
_SINCE_AT: constant(uint256) = 32
_NONCE_AT: constant(uint256) = 72

_passkeys: HashMap[address, IPasskeys.Passkey]
# what a patient's passkey becomes, while the state has a time for it
_changes: HashMap[address, IPasskeys.Passkey]
# patient → counter 32 | a change counts since (unix seconds), zero: none waits 40 | nonce 64, lowest bits first
_states: HashMap[address, uint256]
# hash of patient, consent, licensee and order → unix seconds until which it is approved
_approvals: HashMap[bytes32, uint256]
# seconds until a change counts
_delay: uint256
__gap: uint256[16]


@deploy
def __init__(deployer: address, manager: address, verifier: address):
    """
    @param deployer The account that initialises the proxy, once.
    @param manager The AccessManager.
    @param verifier A stateless verifier of WebAuthn assertions (ERC-7913), whose keys are x and y of P-256.
    """
    access.__init__(manager)
    initializer.__init__(deployer)
    signing.__init__("medtoken", "1")
    assert verifier != empty(address), "passkey: no verifier is named"
    _VERIFIER = Verifier(verifier)


@external
def initialize(delay: uint256):
    """
    @notice Set the first parameter, once.
    @param delay Seconds until a change of a passkey counts.
    @dev Caller: the deployer, through the proxy.
    """
    initializer._initialize()
    self._set_delay(delay)


# ------------------------------------------------------------------ the passkey


@external
def change_passkey(
    patient: address,
    passkey: IPasskeys.Passkey,
    deadline: uint256,
    signature: Bytes[_MAX_SIGNATURE],
) -> uint256:
    """
    @notice Enrol, replace or (all zero) remove a patient's passkey.
    @param deadline Unix seconds by which the signature must reach the chain.
    @param signature The wallet's EIP-712 signature over PasskeyChange with its next nonce; empty when the patient
           sends the transaction itself.
    @return Since when it counts, unix seconds: at once where there was none, after the delay otherwise.
    @dev Anybody may relay. Reverts on a point that is not on the curve, without a relying party, when there is nothing
         to remove, while another change waits, past the deadline, and on another's signature.
    """
    assert deadline >= block.timestamp, "passkey: signature is too late"
    state: uint256 = self._follow(patient)
    assert self._since(state) == 0, "passkey: another change waits"
    removed: bool = passkey.relyingParty == empty(bytes32)
    if removed:
        assert (
            passkey.x == empty(bytes32) and passkey.y == empty(bytes32)
        ), "passkey: no relying party is named"
    else:
        assert self._is_on_curve(passkey), "passkey: not a point of P-256"
    nonce: uint256 = state >> _NONCE_AT
    signing._require(
        patient,
        keccak256(abi_encode(_CHANGE_TYPE, patient, passkey, nonce, deadline)),
        signature,
    )
    since: uint256 = block.timestamp
    if self._passkeys[patient].relyingParty == empty(bytes32):
        assert not removed, "passkey: there is none to remove"
        self._passkeys[patient] = passkey
        self._states[patient] = (nonce + 1) << _NONCE_AT
    else:
        since += self._delay
        self._changes[patient] = passkey
        self._states[patient] = (
            (state & _COUNTER) | (since << _SINCE_AT) | ((nonce + 1) << _NONCE_AT)
        )
    log IPasskeys.PasskeyChanged(patient=patient, passkey=passkey, since=since, nonce=nonce)
    return since


@external
def cancel_change(patient: address, signature: Bytes[_MAX_SIGNATURE]):
    """
    @notice Cancel a change that does not count yet.
    @param signature The wallet's EIP-712 signature over PasskeyCancellation with its next nonce; empty when the patient
           sends the transaction itself.
    @dev Anybody may relay. Reverts when no change waits, and on another's signature.
    """
    state: uint256 = self._require_waiting(patient)
    nonce: uint256 = state >> _NONCE_AT
    signing._require(patient, keccak256(abi_encode(_CANCELLATION_TYPE, patient, nonce)), signature)
    self._cancel(patient, state & _COUNTER, nonce)


@external
def cancel_change_by_passkey(patient: address, assertion: IPasskeys.Assertion):
    """
    @notice Cancel a change that does not count yet by the passkey that counts until then.
    @param assertion It, over PasskeyCancellation with the patient's next nonce.
    @dev Anybody may bring it. Reverts when no change waits, and on an assertion that `approve` would not take.
    """
    state: uint256 = self._require_waiting(patient)
    nonce: uint256 = state >> _NONCE_AT
    counter: uint256 = self._verify(
        patient, state, keccak256(abi_encode(_CANCELLATION_TYPE, patient, nonce)), assertion
    )
    self._cancel(patient, counter, nonce)


# ------------------------------------------------------------------ approvals


@external
def request(consent: bytes32, order: IDataMarket.Order):
    """
    @notice Ask the patient of a consent to approve an order of the caller's. Nothing follows from it.
    @dev Anybody may call; who shows requests shows those of licensees that the consent covers. Reverts on a form, units,
         an end or a price that no licence has.
    """
    self._require_order(order)
    log IPasskeys.LicenceRequested(consent=consent, licensee=msg.sender, order=order)


@external
def approve(approval: IPasskeys.Approval, assertion: IPasskeys.Assertion):
    """
    @notice Let one licensee buy one licence, by an assertion of the patient's passkey over LicenceApproval.
    @param approval What is allowed, and until when: at most seven days from now.
    @dev Anybody may bring it. Reverts without a passkey, past the deadline or too long before it, when it was approved
         as long already, on an order that is none, on another relying party, without the user's verification, on a signature counter that did
         not go up, and on a signature over anything else.
    """
    state: uint256 = self._follow(approval.patient)
    assert approval.deadline >= block.timestamp, "passkey: approval is too late"
    assert approval.deadline <= block.timestamp + _MOST, "passkey: approval is for too long"
    self._require_order(approval.order)
    key: bytes32 = self._key(approval.patient, approval.consent, approval.licensee, approval.order)
    assert approval.deadline > self._approvals[key], "passkey: it was approved before"
    counter: uint256 = self._verify(
        approval.patient, state, keccak256(abi_encode(_APPROVAL_TYPE, approval)), assertion
    )
    self._approvals[key] = approval.deadline
    self._states[approval.patient] = (state & ~_COUNTER) | counter
    log IPasskeys.LicenceApproved(
        patient=approval.patient,
        consent=approval.consent,
        licensee=approval.licensee,
        order=approval.order,
        deadline=approval.deadline,
        counter=counter,
    )


@external
def set_delay(delay: uint256):
    """
    @notice Set how many seconds later a change of a passkey counts, 1–30 days; those that wait keep theirs.
    @dev Caller: the timelock. Reverts out of bounds.
    """
    access._restricted()
    self._set_delay(delay)


# ------------------------------------------------------------------ views


@external
@view
def require_approved(
    patient: address, consent: bytes32, licensee: address, order: IDataMarket.Order
) -> bool:
    """
    @notice True when the patient approved this order of this licensee under this consent, and until now or later.
    @dev Reverts otherwise, with the sentence that whoever buys shall see.
    """
    assert (
        self._approvals[self._key(patient, consent, licensee, order)] >= block.timestamp
    ), "licence: patient's passkey needed"
    return True


@external
@view
def approved_until(
    patient: address, consent: bytes32, licensee: address, order: IDataMarket.Order
) -> uint256:
    """
    @notice Unix seconds until which an order is approved; zero when it never was.
    """
    return self._approvals[self._key(patient, consent, licensee, order)]


@external
@view
def passkey_of(patient: address) -> IPasskeys.Passkey:
    """
    @notice The passkey that counts now; all zero when there is none.
    """
    if self._counts(self._states[patient]):
        return self._changes[patient]
    return self._passkeys[patient]


@external
@view
def change_of(patient: address) -> (IPasskeys.Passkey, uint256):
    """
    @notice What the passkey becomes, and since when (unix seconds); all zero when no change waits.
    """
    state: uint256 = self._states[patient]
    if self._since(state) == 0 or self._counts(state):
        return empty(IPasskeys.Passkey), 0
    return self._changes[patient], self._since(state)


@external
@view
def state_word(patient: address) -> uint256:
    """
    @notice What is stored beside a passkey: the last counter of its signatures 32, since when the last change counts
            that was not followed yet 40, nonce of the next signature 64, lowest bits first.
    """
    return self._states[patient]


@external
@view
def delay() -> uint256:
    """
    @notice Seconds until a change of a passkey counts.
    """
    return self._delay


@external
@view
def verifier() -> address:
    """
    @notice The verifier of assertions (ERC-7913).
    """
    return _VERIFIER.address


# ------------------------------------------------------------------ internal


@internal
def _follow(patient: address) -> uint256:
    """
    @dev Writes down a change that counts by now, and returns the patient's state.
    """
    state: uint256 = self._states[patient]
    if self._counts(state):
        self._passkeys[patient] = self._changes[patient]
        self._changes[patient] = empty(IPasskeys.Passkey)
        state = state >> _NONCE_AT << _NONCE_AT
        self._states[patient] = state
    return state


@internal
def _require_waiting(patient: address) -> uint256:
    state: uint256 = self._follow(patient)
    assert self._since(state) != 0, "passkey: no change waits"
    return state


@internal
def _cancel(patient: address, counter: uint256, nonce: uint256):
    self._changes[patient] = empty(IPasskeys.Passkey)
    self._states[patient] = counter | ((nonce + 1) << _NONCE_AT)
    log IPasskeys.ChangeCancelled(patient=patient, counter=counter, nonce=nonce)


@internal
def _set_delay(delay: uint256):
    assert delay >= _MIN_DELAY and delay <= _MAX_DELAY, "passkey: delay out of bounds"
    log IPasskeys.ParameterChanged(name="delay", previous=self._delay, current=delay)
    self._delay = delay


@internal
@view
def _verify(
    patient: address, state: uint256, message: bytes32, assertion: IPasskeys.Assertion
) -> uint256:
    """
    @dev The counter of an assertion of the patient's passkey over an EIP-712 message; refuses any other.
    """
    passkey: IPasskeys.Passkey = self._passkeys[patient]
    assert passkey.relyingParty != empty(bytes32), "passkey: none is enrolled"
    data: Bytes[512] = assertion.authenticatorData
    assert len(data) >= _LEAST_DATA, "passkey: assertion is not valid"
    assert extract32(data, 0) == passkey.relyingParty, "passkey: made for another site"
    flags: uint256 = convert(slice(data, _FLAGS_BYTE, 1), uint256)
    assert (
        flags & _PRESENT_AND_VERIFIED == _PRESENT_AND_VERIFIED
    ), "passkey: the user was not verified"
    # An authenticator that counts goes up; one that does not stays at zero.
    counter: uint256 = convert(slice(data, _COUNTER_BYTE, 4), uint256)
    last: uint256 = state & _COUNTER
    assert counter > last or (counter == 0 and last == 0), "passkey: its counter did not go up"
    assert (
        staticcall _VERIFIER.verify(
            concat(passkey.x, passkey.y),
            signing.domain._hash_typed_data_v4(message),
            abi_encode(
                assertion.r, assertion.s, _CHALLENGE_AT, _TYPE_AT, data, assertion.clientData
            ),
        )
        == _VALID
    ), "passkey: assertion is not valid"
    return counter


@internal
@pure
def _require_order(order: IDataMarket.Order):
    """
    @dev Refuses numbers that the market would refuse, so that nobody fills the logs with what nobody can read.
    """
    assert (
        order.form <= _FORMS
        and order.units <= _TIME
        and order.end <= _TIME
        and order.maxPrice <= _MAX_PRICE
    ), "passkey: order out of range"


@internal
@view
def _counts(state: uint256) -> bool:
    since: uint256 = self._since(state)
    return since != 0 and since <= block.timestamp


@internal
@pure
def _since(state: uint256) -> uint256:
    return (state >> _SINCE_AT) & _TIME


@internal
@pure
def _key(
    patient: address, consent: bytes32, licensee: address, order: IDataMarket.Order
) -> bytes32:
    return keccak256(abi_encode(patient, consent, licensee, order))


@internal
@pure
def _is_on_curve(passkey: IPasskeys.Passkey) -> bool:
    x: uint256 = convert(passkey.x, uint256)
    y: uint256 = convert(passkey.y, uint256)
    if x >= _P or y >= _P:
        return False
    # x³ - 3x = x (x² - 3)
    cube: uint256 = uint256_mulmod(x, uint256_addmod(uint256_mulmod(x, x, _P), _P - 3, _P), _P)
    return uint256_mulmod(y, y, _P) == uint256_addmod(cube, _B, _P)

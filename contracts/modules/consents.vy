# pragma version ~=0.4.3
"""
@title consents
@license AGPL-3.0-only
@notice What patients allowed (R9). A consent is signed once by the patient's wallet, brought by anybody, and
        kept as one word under the hash of its terms; whoever relies on it brings the terms again. A consent
        that was revoked stays revoked: granting anew is another consent, and no old licence lives on it.
"""

from ..interfaces import IDataMarket
from . import signing

uses: signing

_CONSENT_TYPE: constant(bytes32) = keccak256(
    "Consent(address patient,bytes32 records,uint256 purposes,bytes32 diseases,uint256 licensees,bytes32 fields,uint256 region,uint256 tier,uint256 patientShare,uint256 floorPrice,uint256 expiry,uint256 nonce,uint256 deadline)"
)
_REVOCATION_TYPE: constant(bytes32) = keccak256("Revocation(bytes32 consent)")

_MAX_SIGNATURE: constant(uint256) = 1024
_MAX_BATCH: constant(uint256) = 50

# Bounds of R8: what of the provider part is the patient's, in bps.
_MIN_SHARE: constant(uint256) = 7_000
_MAX_SHARE: constant(uint256) = 8_000
# R21: of the whole price, where a trustee manages the records; and the bit of licensees that goes with it.
TRUST_SHARE: constant(uint256) = 6_000
_AUCTION_ONLY: constant(uint256) = 255
# Prices are multiples of 10^9 base units and fit 64 bits of them; see settlement.
_GRAIN: constant(uint256) = 10**9
_MAX_PRICE: constant(uint256) = (2**64 - 1) * 10**9

# consent → patient 160 | expiry 40 | revoked at 40 | patient's share 16, lowest bits first
_consents: HashMap[bytes32, uint256]
__gap: uint256[8]

_ADDRESS: constant(uint256) = 2**160 - 1
_TIME: constant(uint256) = 2**40 - 1
_EXPIRY_AT: constant(uint256) = 160
_REVOKED_AT: constant(uint256) = 200
_SHARE_AT: constant(uint256) = 240


@external
def grant_consent(consent: IDataMarket.Consent, signature: Bytes[_MAX_SIGNATURE]) -> bytes32:
    """
    @notice Put a patient's consent on the chain.
    @param consent The terms, as signed.
    @param signature The patient's EIP-712 signature; empty when the patient sends the transaction itself.
    @return The consent's id.
    @dev Anybody may relay. Reverts on a field that is empty or out of bounds, a passed deadline or expiry,
         a consent that was granted or revoked before, and a signature by anybody but the patient.
    """
    return self._grant(consent, signature)


@external
def grant_consents(
    consents: DynArray[IDataMarket.Consent, _MAX_BATCH],
    signatures: DynArray[Bytes[_MAX_SIGNATURE], _MAX_BATCH],
):
    """
    @notice Put many consents on the chain at once; all of them or none. One that is on the chain already, granted or
            revoked, is passed over: somebody who brings it first must not spoil the rest.
    @dev As `grant_consent`, for each; reverts when there are not as many signatures as consents.
    """
    assert len(consents) == len(signatures), "consent: signatures are missing"
    for i: uint256 in range(len(consents), bound=_MAX_BATCH):
        if self._consents[self._id(consents[i])] == 0:
            self._grant(consents[i], signatures[i])


@external
def revoke_consent(consent: bytes32, signature: Bytes[_MAX_SIGNATURE]):
    """
    @notice Revoke a consent; every later use and key release under it is refused from this moment.
    @param signature The patient's EIP-712 signature over Revocation(consent), which never expires; empty
           when the patient sends the transaction itself.
    @dev Anybody may relay. Reverts when the consent is unknown or revoked, or the signature another's.
    """
    word: uint256 = self._consents[consent]
    assert word != 0, "consent: unknown consent"
    self._revoke(consent, word, signature)


@external
def cancel_consent(terms: IDataMarket.Consent, signature: Bytes[_MAX_SIGNATURE]):
    """
    @notice Revoke a consent that was signed but has not reached the chain, so that it never can.
    @param signature As in `revoke_consent`.
    @dev Anybody may relay. Reverts when the consent is on the chain, or the signature another's.
    """
    consent: bytes32 = self._id(terms)
    assert self._consents[consent] == 0, "consent: it was on chain before"
    self._revoke(consent, convert(terms.patient, uint256), signature)


@external
@view
def consent_word(consent: bytes32) -> uint256:
    """
    @notice What is stored of a consent: patient 160, expiry 40, time of revocation 40, the patient's share of
            the provider part in bps 16, lowest bits first; zero for an unknown one.
    """
    return self._consents[consent]


@internal
def _grant(consent: IDataMarket.Consent, signature: Bytes[_MAX_SIGNATURE]) -> bytes32:
    assert (
        consent.patient != empty(address)
        and consent.records != empty(bytes32)
        and consent.purposes != 0
        and consent.licensees != 0
        and consent.fields != empty(bytes32)
        and consent.region != 0
        and consent.tier != 0
    ), "consent: part of it is empty"
    # Through desks alone, for in the market nobody would pay the trustee.
    assert (consent.patientShare >= _MIN_SHARE and consent.patientShare <= _MAX_SHARE) or (
        consent.patientShare == TRUST_SHARE and consent.licensees >> _AUCTION_ONLY != 0
    ), "consent: share out of bounds"
    assert (
        consent.floorPrice % _GRAIN == 0 and consent.floorPrice <= _MAX_PRICE
    ), "consent: floor out of bounds"
    assert consent.deadline >= block.timestamp, "consent: signature is too late"
    assert (consent.expiry > block.timestamp and consent.expiry <= _TIME), "consent: it has expired"

    id: bytes32 = self._id(consent)
    assert self._consents[id] == 0, "consent: it was on chain before"
    signing._require(consent.patient, id, signature)
    self._consents[id] = (
        convert(consent.patient, uint256)
        | (consent.expiry << _EXPIRY_AT)
        | (consent.patientShare << _SHARE_AT)
    )
    log IDataMarket.ConsentGranted(consent=id, patient=consent.patient, terms=consent)
    return id


@internal
def _revoke(consent: bytes32, word: uint256, signature: Bytes[_MAX_SIGNATURE]):
    assert (word >> _REVOKED_AT) & _TIME == 0, "consent: it was revoked"
    patient: address = convert(word & _ADDRESS, address)
    signing._require(patient, keccak256(abi_encode(_REVOCATION_TYPE, consent)), signature)
    self._consents[consent] = word | (block.timestamp << _REVOKED_AT)
    log IDataMarket.ConsentRevoked(consent=consent, patient=patient)


@internal
@view
def _require_live(consent: bytes32) -> uint256:
    """
    @dev The consent's word; refuses one that is unknown, revoked or expired.
    """
    word: uint256 = self._consents[consent]
    assert word != 0, "consent: unknown consent"
    assert (word >> _REVOKED_AT) & _TIME == 0, "consent: it was revoked"
    assert (word >> _EXPIRY_AT) & _TIME > block.timestamp, "consent: it has expired"
    return word


@internal
@view
def _revoked_at(consent: bytes32) -> uint256:
    return (self._consents[consent] >> _REVOKED_AT) & _TIME


@internal
@pure
def _id(consent: IDataMarket.Consent) -> bytes32:
    return keccak256(abi_encode(_CONSENT_TYPE, consent))

# pragma version ~=0.4.3
"""
@title RecordRegistry
@license AGPL-3.0-only
@notice Medical records under the fingerprint of what was sealed (R6), their attested quality (R7), and the
        mint of contribution tokens that follows from it (R1).
        Accredited custodians register, one by one or many under a Merkle root; accredited attesters, never
        the record's own custodian or annotator, attest. Nobody can delete a record, move it to another
        owner, attest it twice or mint for it twice.
@dev What contracts need of a record is one packed word; the rest is a commitment whose content is in the
     event. Behind a proxy.
"""

from interfaces import IContributionToken
from interfaces import IRecordRegistry
from modules import access
from modules import attestations
from modules import initializer
from modules import institutions
from modules import merkle

initializes: initializer
initializes: institutions[access := access]
initializes: access

implements: IRecordRegistry

exports: (
    access.authority,
    institutions.accredit,
    institutions.move,
    institutions.disqualify,
    institutions.institution,
    institutions.number_of,
)

_DCT: immutable(IContributionToken)

_RECORD_TYPE: constant(bytes32) = keccak256("medtoken record")
_VERSION_TYPE: constant(bytes32) = keccak256("medtoken record version")
_RENDITION_TYPE: constant(bytes32) = keccak256("medtoken record rendition")
_ADDRESS: constant(uint256) = 2**160 - 1
_KINDS: constant(uint256) = 8
_PUBLIC: constant(uint256) = 1
_HIGHLY_SENSITIVE: constant(uint256) = 3
# UN M49 codes have three digits.
_MAX_REGION: constant(uint256) = 999
_RAW: constant(uint256) = 85
_DAG_PB: constant(uint256) = 112

# Bounds within which the timelock may move the parameters.
_MAX_COEFFICIENT: constant(uint256) = 100_000  # 100 per unit, in thousandths

# Where each fact sits in a record's word.
_CUSTODIAN_AT: constant(uint256) = 160
_ANNOTATOR_AT: constant(uint256) = 180
_ATTESTER_AT: constant(uint256) = 200
_KIND_AT: constant(uint256) = 220
_TIER_AT: constant(uint256) = 224
_REGION_AT: constant(uint256) = 226
_QUALITY_AT: constant(uint256) = 236
_DVI_AT: constant(uint256) = 243
_ATTESTED: constant(uint256) = 1 << 250
_MINTED: constant(uint256) = 1 << 251
_SUPERSEDED: constant(uint256) = 1 << 252
_DESTROYED: constant(uint256) = 1 << 253

# An institution's number.
_NUMBER: constant(uint256) = 20

# record → facts; zero is no record
_facts: HashMap[bytes32, uint256]
# record → commitment to fingerprint, content, codec, size and codes
_commitments: HashMap[bytes32, bytes32]
# custodian → root → records in the batch
_batches: HashMap[uint256, HashMap[bytes32, uint256]]
# kind → coefficient of R1, in thousandths; zero mints nothing
_coefficients: HashMap[uint256, uint256]
# least quality for which anything is minted, 0–100
_min_quality: uint256
# kind → records attested and neither superseded nor destroyed: the supply that scarcity counts (R13)
_supply: HashMap[uint256, uint256]
# record → last version that corrects statements about the very same file, or empty
_latest: HashMap[bytes32, bytes32]
# rendition → commitment to fingerprint, content, codec and size
_renditions: HashMap[bytes32, bytes32]
__gap: uint256[13]


@deploy
def __init__(deployer: address, manager: address, contributions: address):
    """
    @param deployer The account that initialises the proxy, once.
    @param manager The AccessManager.
    @param contributions The ContributionToken (DCT), whose bound minter is this contract's proxy.
    """
    access.__init__(manager)
    initializer.__init__(deployer)
    assert contributions != empty(address), "registry: no token is named"
    _DCT = IContributionToken(contributions)


@external
def initialize(coefficients: uint256[8], minQuality: uint256):
    """
    @notice Set the first parameters, once.
    @param coefficients R1's coefficient for each kind, from kind 1 on, in thousandths.
    @param minQuality The least quality, 0–100, for which anything is minted.
    @dev Caller: the deployer, through the proxy.
    """
    initializer._initialize()
    for i: uint256 in range(_KINDS):
        self._set_coefficient(i + 1, coefficients[i])
    self._set_min_quality(minQuality)


# ------------------------------------------------------------------ registering


@external
def register(draft: IRecordRegistry.Draft) -> bytes32:
    """
    @notice Register one record; a draft with `previous` is a new version of that record.
    @return The record's id: it follows from the custodian and the duplicate tag, so one file registers once; a
            version of the same file has an id that follows from the version before it.
    @dev Caller: an accredited custodian. Reverts on a malformed draft, a duplicate, an annotator who is not
         accredited or is the custodian itself, and a previous record that this custodian cannot correct.
    """
    return self._register(institutions._caller(institutions.CUSTODIAN), draft)


@external
def register_batch(root: bytes32, count: uint256, manifest: bytes32):
    """
    @notice Register `count` records at once under the Merkle root of their drafts. Each becomes usable on
            its own when somebody proves it from the batch.
    @param root Merkle root over keccak256(keccak256(abi.encode(draft))), sorted pairs.
    @param count How many records the batch holds.
    @param manifest SHA-256 digest in the CID of the (sealed) list of drafts.
    @dev Caller: an accredited custodian. Reverts when the root is empty, was registered, or counts nothing.
    """
    custodian: uint256 = institutions._caller(institutions.CUSTODIAN)
    assert root != empty(bytes32), "registry: the batch has no root"
    assert count != 0, "registry: the batch is empty"
    assert self._batches[custodian][root] == 0, "registry: the batch is already registered"
    self._batches[custodian][root] = count
    log IRecordRegistry.BatchRegistered(
        root=root, custodian=custodian, count=count, manifest=manifest
    )


@external
def register_from_batch(
    custodian: uint256,
    root: bytes32,
    draft: IRecordRegistry.Draft,
    proof: DynArray[bytes32, 32],
) -> bytes32:
    """
    @notice Prove one record of a batch and register it.
    @dev Anybody may call: the custodian's word is the batch. Reverts when the batch is unknown, the proof
         does not lead to its root, the custodian has lost its accreditation, or as `register` does.
    """
    assert self._batches[custodian][root] != 0, "registry: unknown batch"
    assert institutions._may(
        custodian, institutions.CUSTODIAN
    ), "registry: the custodian is not accredited"
    leaf: bytes32 = keccak256(keccak256(abi_encode(draft)))
    assert merkle._proves(proof, root, leaf), "registry: the record is not in the batch"
    return self._register(custodian, draft)


# ------------------------------------------------------------------ masked copies


@external
def add_rendition(record: bytes32, rendition: IRecordRegistry.Rendition):
    """
    @notice State where the copy of a record is that a masking profile lets out, for every licence whose consent
            names that profile or for one licence alone (R9, R35). It mints nothing and is licensed as the record.
            A copy for the same profile and licence takes the place of the one before.
    @dev Caller: the record's own custodian, accredited. Reverts when the record is unknown or destroyed, and on
         a copy without a profile, a fingerprint or content.
    """
    custodian: uint256 = institutions._caller(institutions.CUSTODIAN)
    facts: uint256 = self._facts[record]
    assert facts != 0, "registry: unknown record"
    assert facts & _DESTROYED == 0, "registry: the record was destroyed"
    assert custodian == self._bits(
        facts, _CUSTODIAN_AT, _NUMBER
    ), "registry: not the record's custodian"
    assert rendition.fields != empty(bytes32), "registry: the rendition has no profile"
    assert rendition.fingerprint != empty(bytes32), "registry: the record has no fingerprint"
    assert rendition.content != empty(bytes32), "registry: the record has no content"
    assert (
        rendition.codec == _RAW or rendition.codec == _DAG_PB
    ), "registry: unknown codec of the CID"
    assert rendition.size != 0, "registry: the record is empty"
    self._renditions[self._rendition_id(record, rendition.fields, rendition.licence)] = keccak256(
        abi_encode(rendition.fingerprint, rendition.content, rendition.codec, rendition.size)
    )
    log IRecordRegistry.RenditionAdded(
        record=record, fields=rendition.fields, licence=rendition.licence, rendition=rendition
    )


# ------------------------------------------------------------------ attesting


@external
def attest(record: bytes32, scores: IRecordRegistry.Scores) -> uint256:
    """
    @notice Attest what a record holds and how good it is, and mint the patient's contribution tokens.
    @return The base units of DCT minted: units × coefficient × 100 × (1 + 4·Q/100), where Q is the mean of
            completeness and annotation; nothing below the least quality, and nothing twice (R1).
    @dev Caller: an accredited attester other than the record's custodian and annotator. Reverts when the
         record is unknown, superseded or attested, or when a score is out of range.
    """
    attester: uint256 = institutions._caller(institutions.ATTESTER)
    facts: uint256 = self._facts[record]
    assert facts != 0, "registry: unknown record"
    assert facts & _SUPERSEDED == 0, "registry: the record was superseded"
    assert facts & _DESTROYED == 0, "registry: the record was destroyed"
    assert facts & _ATTESTED == 0, "registry: the record is already attested"
    assert (
        attester != self._bits(facts, _CUSTODIAN_AT, _NUMBER)
        and attester != self._bits(facts, _ANNOTATOR_AT, _NUMBER)
    ), "registry: nobody attests their own work"
    attestations._check(scores)

    # Twice Q, so that half a point counts.
    points: uint256 = scores.completeness + scores.annotation
    quality: uint256 = points // 2
    amount: uint256 = 0
    kind: uint256 = self._bits(facts, _KIND_AT, 4)
    if facts & _MINTED == 0 and points >= 2 * self._min_quality:
        coefficient: uint256 = self._coefficients[kind]
        amount = scores.units * coefficient * (100 + 2 * points) * 10**12
    facts |= (
        _ATTESTED | (attester << _ATTESTER_AT) | (quality << _QUALITY_AT) | (scores.dvi << _DVI_AT)
    )
    if amount != 0:
        facts |= _MINTED
    self._facts[record] = facts
    self._supply[kind] += 1
    owner: address = convert(facts & _ADDRESS, address)
    log IRecordRegistry.RecordAttested(
        record=record,
        owner=owner,
        attester=attester,
        scores=scores,
        quality=quality,
        minted=amount,
    )
    if amount != 0:
        extcall _DCT.mint(owner, amount)
    return amount


@external
def revise(record: bytes32, scores: IRecordRegistry.Scores):
    """
    @notice Put other scores in the place of what was attested of a record, or take the attestation back where
            the scores are all zero; then another attester may attest it. Nothing is minted or burned (R1), and
            licences keep their price.
    @dev Caller: the disputes, when a challenge was upheld (R7). Reverts when there is no attestation, when it
         was revised before, or when a score is out of range.
    """
    access._restricted()
    facts: uint256 = self._facts[record]
    attester: uint256 = self._bits(facts, _ATTESTER_AT, _NUMBER)
    assert attester != 0, "registry: the record has no attestation to revise"
    quality: uint256 = 0
    # Whose word it was no longer counts: a judgement is nobody's attestation.
    facts ^= (
        (attester << _ATTESTER_AT)
        | (self._bits(facts, _QUALITY_AT, 7) << _QUALITY_AT)
        | (self._bits(facts, _DVI_AT, 7) << _DVI_AT)
    )
    if scores.dvi == 0:
        assert keccak256(abi_encode(scores)) == keccak256(
            abi_encode(empty(IRecordRegistry.Scores))
        ), "scores: the DVI must be from 1 to 100"
        self._retire(facts)
        facts ^= _ATTESTED
    else:
        attestations._check(scores)
        quality = (scores.completeness + scores.annotation) // 2
        facts |= (quality << _QUALITY_AT) | (scores.dvi << _DVI_AT)
    self._facts[record] = facts
    log IRecordRegistry.AttestationRevised(
        record=record, attester=attester, scores=scores, quality=quality
    )


# ------------------------------------------------------------------ destroying


@external
def destroy(record: bytes32, certificate: bytes32):
    """
    @notice Put on the chain that a record's key was destroyed (R35): nobody licenses it from now on. What was
            earned stays owed, and what was minted stays minted.
    @param certificate Hash of the destruction certificate: the key keepers' signed receipts.
    @dev Caller: the record's own custodian, accredited. Reverts when the record is unknown or destroyed, or
         no certificate is named.
    """
    custodian: uint256 = institutions._caller(institutions.CUSTODIAN)
    facts: uint256 = self._facts[record]
    assert facts != 0, "registry: unknown record"
    assert facts & _DESTROYED == 0, "registry: the record was destroyed"
    assert custodian == self._bits(
        facts, _CUSTODIAN_AT, _NUMBER
    ), "registry: not the record's custodian"
    assert certificate != empty(bytes32), "registry: no certificate is named"
    self._retire(facts)
    self._facts[record] = facts | _DESTROYED
    log IRecordRegistry.RecordDestroyed(record=record, custodian=custodian, certificate=certificate)


# ------------------------------------------------------------------ governed parameters


@external
def set_coefficient(kind: uint256, coefficient: uint256):
    """
    @notice Set R1's coefficient for a kind, in thousandths per unit; zero mints nothing.
    @dev Caller: the timelock. Reverts on an unknown kind or over 100 per unit.
    """
    access._restricted()
    self._set_coefficient(kind, coefficient)


@external
def set_min_quality(quality: uint256):
    """
    @notice Set the least quality, 0–100, for which anything is minted.
    @dev Caller: the timelock. Reverts over 100.
    """
    access._restricted()
    self._set_min_quality(quality)


# ------------------------------------------------------------------ views


@external
@view
def record_id(custodian: uint256, tag: bytes32) -> bytes32:
    """
    @notice The id that a record of this custodian with this duplicate tag has, registered or not.
    """
    return self._record_id(custodian, tag)


@external
@view
def version_id(previous: bytes32) -> bytes32:
    """
    @notice The id of a version that corrects what was stated of `previous`, its file being the same.
    """
    return self._version_id(previous)


@external
@view
def rendition_id(record: bytes32, fields: bytes32, licence: bytes32) -> bytes32:
    """
    @notice The id of the copy of a record by a masking profile, for one licence or (zero) for all: what key keepers
            hold its key under, added here or not.
    """
    return self._rendition_id(record, fields, licence)


@external
@view
def rendition(id: bytes32) -> bytes32:
    """
    @notice keccak256(abi.encode(fingerprint, content, codec, size)) of a rendition, or zero.
    """
    return self._renditions[id]


@external
@view
def terms(record: bytes32) -> IRecordRegistry.Terms:
    """
    @notice What a price and a licence depend on; zeros for an unknown record.
    """
    facts: uint256 = self._facts[record]
    return IRecordRegistry.Terms(
        owner=convert(facts & _ADDRESS, address),
        kind=self._bits(facts, _KIND_AT, 4),
        tier=self._bits(facts, _TIER_AT, 2),
        region=self._bits(facts, _REGION_AT, 10),
        dvi=self._bits(facts, _DVI_AT, 7),
        live=facts & (_ATTESTED | _SUPERSEDED | _DESTROYED) == _ATTESTED,
    )


@external
@view
def parties(record: bytes32) -> IRecordRegistry.Parties:
    """
    @notice Who is paid for a record; an annotator of zero means that there is none (R8).
    """
    facts: uint256 = self._facts[record]
    annotator: uint256 = self._bits(facts, _ANNOTATOR_AT, _NUMBER)
    return IRecordRegistry.Parties(
        owner=convert(facts & _ADDRESS, address),
        custodian=institutions._account(self._bits(facts, _CUSTODIAN_AT, _NUMBER)),
        annotator=institutions._account(annotator) if annotator != 0 else empty(address),
        kind=self._bits(facts, _KIND_AT, 4),
    )


@external
@view
def facts(record: bytes32) -> uint256:
    """
    @notice The packed word of a record, for auditors: owner 160, custodian 20, annotator 20, attester 20, kind
            4, tier 2, region 10, quality 7, DVI 7, then the flags attested, minted, superseded, destroyed;
            lowest bits first.
    """
    return self._facts[record]


@external
@view
def attester(record: bytes32) -> uint256:
    """
    @notice The number of the institution whose word a record's attestation is; zero when there is none, or when
            a challenge was upheld and the scores are a judgement.
    """
    return self._bits(self._facts[record], _ATTESTER_AT, _NUMBER)


@external
@view
def commitment(record: bytes32) -> bytes32:
    """
    @notice keccak256(abi.encode(fingerprint, content, codec, size, codes)) of a record, or zero.
    """
    return self._commitments[record]


@external
@view
def batch(custodian: uint256, root: bytes32) -> uint256:
    """
    @notice How many records a registered batch holds; zero when it is unknown.
    """
    return self._batches[custodian][root]


@external
@view
def supply(kind: uint256) -> uint256:
    """
    @notice How many records of a kind are attested and neither superseded nor destroyed.
    """
    return self._supply[kind]


@external
@view
def coefficient(kind: uint256) -> uint256:
    """
    @notice R1's coefficient for a kind, in thousandths per unit.
    """
    return self._coefficients[kind]


@external
@view
def min_quality() -> uint256:
    """
    @notice The least quality, 0–100, for which anything is minted.
    """
    return self._min_quality


# ------------------------------------------------------------------ internal


@internal
def _register(custodian: uint256, draft: IRecordRegistry.Draft) -> bytes32:
    assert draft.owner != empty(address), "registry: the record has no owner"
    assert draft.fingerprint != empty(bytes32), "registry: the record has no fingerprint"
    assert draft.tag != empty(bytes32), "registry: the record has no duplicate tag"
    assert draft.content != empty(bytes32), "registry: the record has no content"
    assert draft.codec == _RAW or draft.codec == _DAG_PB, "registry: unknown codec of the CID"
    assert draft.size != 0, "registry: the record is empty"
    assert draft.kind != 0 and draft.kind <= _KINDS, "registry: unknown kind of record"
    assert (
        draft.tier >= _PUBLIC and draft.tier <= _HIGHLY_SENSITIVE
    ), "registry: unknown sensitivity tier"
    assert draft.region != 0 and draft.region <= _MAX_REGION, "registry: unknown region"
    if draft.annotator != 0:
        assert draft.annotator != custodian, "registry: nobody names themselves annotator"
        assert institutions._may(
            draft.annotator, institutions.ANNOTATOR
        ), "registry: the annotator is not accredited"

    record: bytes32 = self._record_id(custodian, draft.tag)
    if self._facts[record] != 0:
        # The same file again: only to correct what was stated of it, as the version after its last.
        last: bytes32 = self._latest[record]
        if last == empty(bytes32):
            last = record
        assert draft.previous == last, "registry: the record is already registered"
        self._latest[record] = self._version_id(last)
        record = self._version_id(last)
    word: uint256 = (
        convert(draft.owner, uint256)
        | (custodian << _CUSTODIAN_AT)
        | (draft.annotator << _ANNOTATOR_AT)
        | (draft.kind << _KIND_AT)
        | (draft.tier << _TIER_AT)
        | (draft.region << _REGION_AT)
    )
    if draft.previous != empty(bytes32):
        word |= self._supersede(draft.previous, record, custodian, draft.owner)
    self._facts[record] = word
    self._commitments[record] = keccak256(
        abi_encode(draft.fingerprint, draft.content, draft.codec, draft.size, draft.codes)
    )
    log IRecordRegistry.RecordRegistered(
        record=record, owner=draft.owner, custodian=custodian, draft=draft
    )
    return record


@internal
def _supersede(previous: bytes32, record: bytes32, custodian: uint256, owner: address) -> uint256:
    """
    @dev Retires `previous`; returns the flag that keeps a correction from minting again.
    """
    facts: uint256 = self._facts[previous]
    assert facts != 0, "registry: the previous version is unknown"
    assert facts & _SUPERSEDED == 0, "registry: the previous version was superseded"
    assert (
        self._bits(facts, _CUSTODIAN_AT, _NUMBER) == custodian
        and convert(facts & _ADDRESS, address) == owner
    ), "registry: the previous version is somebody else's"
    self._retire(facts)
    self._facts[previous] = facts | _SUPERSEDED
    log IRecordRegistry.RecordSuperseded(record=previous, by=record)
    return facts & _MINTED


@internal
def _retire(facts: uint256):
    """
    @dev Takes a record out of the supply, where it counted.
    """
    if facts & (_ATTESTED | _SUPERSEDED | _DESTROYED) == _ATTESTED:
        self._supply[self._bits(facts, _KIND_AT, 4)] -= 1


@internal
def _set_coefficient(kind: uint256, coefficient: uint256):
    assert kind != 0 and kind <= _KINDS, "registry: unknown kind of record"
    assert coefficient <= _MAX_COEFFICIENT, "registry: the coefficient is out of bounds"
    log IRecordRegistry.ParameterChanged(
        name=concat("coefficient ", uint2str(convert(kind, uint8))),
        previous=self._coefficients[kind],
        current=coefficient,
    )
    self._coefficients[kind] = coefficient


@internal
def _set_min_quality(quality: uint256):
    assert quality <= 100, "registry: the least quality is out of bounds"
    log IRecordRegistry.ParameterChanged(
        name="min_quality", previous=self._min_quality, current=quality
    )
    self._min_quality = quality


@internal
@pure
def _record_id(custodian: uint256, tag: bytes32) -> bytes32:
    return keccak256(abi_encode(_RECORD_TYPE, custodian, tag))


@internal
@pure
def _version_id(previous: bytes32) -> bytes32:
    return keccak256(abi_encode(_VERSION_TYPE, previous))


@internal
@pure
def _rendition_id(record: bytes32, fields: bytes32, licence: bytes32) -> bytes32:
    return keccak256(abi_encode(_RENDITION_TYPE, record, fields, licence))


@internal
@pure
def _bits(word: uint256, at: uint256, width: uint256) -> uint256:
    return (word >> at) & ((1 << width) - 1)

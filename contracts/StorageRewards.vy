# pragma version ~=0.4.3
"""
@title StorageRewards
@license AGPL-3.0-only
@notice Governance tokens for storage that was proven (R5): 100 GT for each 10^12 plaintext bytes kept for 30 days,
        pro rata, of records whose DVI passes a threshold, and more from so many paid calls on.
        A custodian commits to what it stores, under one root whatever the number of records. Anybody can open a
        challenge once a period is old enough; a later block draws bytes out of all that was claimed, and for
        each the custodian shows the chunk that holds it. All answered in time, the period up to the challenge
        is paid and the next begins; otherwise it earns nothing.
        One who lacks a share f of what it claims passes n samples with probability (1 − f)^n: with 44, a tenth
        is caught 99 times in 100. Claiming more than one stores does not pay: the claim grows by 1 / (1 − f).
        What this proves: that on the challenge the custodian could produce those bytes of the ciphertext that an
        accredited attester saw. Not that it keeps them on its own disk, served them to anybody, or had them on every
        day of the period. A custodian and an attester who lie together are not found out here. Who makes the
        block that draws can choose among its hashes.
        Nobody mints here but by such a proof; what is earned cannot be moved to anybody else.
@dev The holding is a binary search tree that also sums: each node commits the bytes below its children and a key
     that splits them. Two lines with one key cannot both have a sound proof, for where their paths part the key is
     on one side only; and no byte of the sum is claimed twice. Behind a proxy.
"""

from interfaces import IDataMarket
from interfaces import ISoulbound
from interfaces import IStorageRewards
from modules import access
from modules import initializer
from modules import signing

initializes: initializer
initializes: access
initializes: signing

exports: (
    access.authority,
    signing.eip712Domain,
)


interface Registry:
    def facts(record: bytes32) -> uint256: view
    def institution(number: uint256) -> (address, uint256): view
    def number_of(account: address) -> uint256: view


_GT: immutable(ISoulbound)
_REGISTRY: immutable(Registry)
_MARKET: immutable(IDataMarket)

_WITNESS_TYPE: constant(bytes32) = keccak256(
    "StorageWitness(bytes32 record,bytes32 root,uint256 size)"
)
_LINE_TYPE: constant(bytes32) = keccak256("medtoken holding line")
_NODE_TYPE: constant(bytes32) = keccak256("medtoken holding node")
# Where EIP-2935 serves the hashes of the last 8,191 blocks.
_HISTORY: constant(address) = 0x0000F90827F1C53a10cb7A02335B175320002935

# R5: 100 GT for 10^12 bytes and 30 days.
_REWARD: constant(uint256) = 100 * 10**18
_UNIT: constant(uint256) = 10**12
_MONTH: constant(uint256) = 30 * 86400
_BPS: constant(uint256) = 10_000

# The sealed format: what a sealed record has beside its plaintext.
_TRAILER: constant(uint256) = 512
_SEGMENT: constant(uint256) = 2**20
_TAG: constant(uint256) = 16
_MAX_SEALED: constant(uint256) = 2**40
_CHUNK: constant(uint256) = 1024

_CUSTODIAN: constant(uint256) = 1
_ATTESTER: constant(uint256) = 4
_METERED: constant(uint256) = 2
_GRAIN: constant(uint256) = 10**9

# Bounds within which the timelock may move the rules.
_MIN_SAMPLES: constant(uint256) = 30
_MAX_SAMPLES: constant(uint256) = 256
_MIN_GAP: constant(uint256) = 86400
_MIN_WINDOW: constant(uint256) = 3600
_MAX_WINDOW: constant(uint256) = 86400
_MIN_PRICE: constant(uint256) = 10**16
_MAX_PRICE: constant(uint256) = 10**24
_MAX_CALLS: constant(uint256) = 10**12
_MAX_SHARE: constant(uint256) = 20_000
_MAX_BATCH: constant(uint256) = 50
_MAX_ANSWERS: constant(uint256) = 16

# An institution's number in a record's word.
_NUMBER: constant(uint256) = 2**20 - 1
_SIZE: constant(uint256) = 2**64 - 1
_TIME: constant(uint256) = 2**40 - 1
_CODE: constant(uint256) = 2**16 - 1
_BEGUN_AT: constant(uint256) = 64
_CHALLENGED_AT: constant(uint256) = 104
_BLOCK_AT: constant(uint256) = 144
_WINDOW_AT: constant(uint256) = 184
_ANSWERED_AT: constant(uint256) = 216
_SAMPLES_AT: constant(uint256) = 232
_THRESHOLD_AT: constant(uint256) = 248

# custodian → plaintext bytes 64 | period began 40 | challenged at 40 | seed block 40 | window (seconds) 32 | answered
# 16 | samples 16 | threshold 8, lowest bits first; zero is no holding, challenged at zero is no challenge
_holdings: HashMap[uint256, uint256]
# custodian → root of its holding
_roots: HashMap[uint256, bytes32]
# custodian → paid calls counted 64 | beginning of the period that they are in 40, lowest bits first
_tallies: HashMap[uint256, uint256]
# licence → units settled when it was last marked 40 | when 40, lowest bits first
_marks: HashMap[bytes32, uint256]
# custodian → licensee → whether they belong together
_related: HashMap[uint256, HashMap[address, bool]]
_rules: IStorageRewards.Rules
_bonuses: DynArray[IStorageRewards.Bonus, 8]
__gap: uint256[16]


@deploy
def __init__(
    deployer: address,
    manager: address,
    governance: address,
    registry: address,
    market: address,
):
    """
    @param deployer The account that initialises the proxy, once.
    @param manager The AccessManager.
    @param governance The GovernanceToken (GT), whose bound minter is this contract's proxy.
    @param registry The RecordRegistry's proxy.
    @param market The DataMarket's proxy.
    """
    access.__init__(manager)
    initializer.__init__(deployer)
    signing.__init__("medtoken", "1")
    assert (
        governance != empty(address) and registry != empty(address) and market != empty(address)
    ), "storage: a contract is missing"
    _GT = ISoulbound(governance)
    _REGISTRY = Registry(registry)
    _MARKET = IDataMarket(market)


@external
def initialize(rules: IStorageRewards.Rules, bonuses: DynArray[IStorageRewards.Bonus, 8]):
    """
    @notice Set the first parameters, once.
    @param rules The first rules.
    @param bonuses What paid calls add, by their number, in ascending order.
    @dev Caller: the deployer, through the proxy.
    """
    initializer._initialize()
    self._set_rules(rules)
    self._set_bonuses(bonuses)


# ------------------------------------------------------------------ storage


@external
def commit(root: bytes32, size: uint256):
    """
    @notice State what the calling custodian stores; a period begins. What an earlier one was worth is lost, unless a
            challenge to it was answered.
    @param root Root of the tree over the lines of the holding.
    @param size Plaintext bytes of all of them.
    @dev Caller: an accredited custodian. Reverts on an empty root or size, over 64 bits, and while a challenge
         can still be answered.
    """
    custodian: uint256 = staticcall _REGISTRY.number_of(msg.sender)
    self._account(custodian, _CUSTODIAN)
    assert (root != empty(bytes32) and size != 0 and size <= _SIZE), "storage: nothing is claimed"
    word: uint256 = self._holdings[custodian]
    if self._challenged(word) != 0:
        self._require_missed(word)
        log IStorageRewards.ChallengeFailed(custodian=custodian)
    self._roots[custodian] = root
    self._holdings[custodian] = size | (block.timestamp << _BEGUN_AT)
    log IStorageRewards.HoldingCommitted(custodian=custodian, root=root, size=size)


@external
def challenge(custodian: uint256):
    """
    @notice Have the next block draw samples of what a custodian claims to store.
    @dev Anybody may call, the custodian too: without a challenge there is no reward. Reverts when nothing is
         claimed, a challenge is open, or the period is too young.
    """
    word: uint256 = self._holdings[custodian]
    assert word != 0, "storage: nothing is claimed"
    assert self._challenged(word) == 0, "storage: a challenge is open"
    rules: IStorageRewards.Rules = self._rules
    assert (block.timestamp >= self._begun(word) + rules.gap), "storage: the period is too young"
    self._holdings[custodian] = (
        word
        | (block.timestamp << _CHALLENGED_AT)
        | ((block.number + 1) << _BLOCK_AT)
        | (rules.window << _WINDOW_AT)
        | (rules.samples << _SAMPLES_AT)
        | (rules.threshold << _THRESHOLD_AT)
    )
    log IStorageRewards.ChallengeOpened(
        custodian=custodian,
        challenger=msg.sender,
        seedBlock=block.number + 1,
        samples=rules.samples,
        deadline=block.timestamp + rules.window,
    )


@external
def answer(custodian: uint256, answers: DynArray[IStorageRewards.Answer, _MAX_ANSWERS]) -> uint256:
    """
    @notice Answer the next samples of a custodian's challenge; the last one mints the period's reward to it.
    @param answers At most 16, in the order of the samples.
    @return The base units of GT minted.
    @dev Anybody may bring them: they prove themselves. Reverts when no challenge is open, it is too early or too
         late, the custodian has lost its accreditation, and on any answer that does not prove its sample.
    """
    word: uint256 = self._holdings[custodian]
    assert self._challenged(word) != 0, "storage: no challenge is open"
    assert block.timestamp <= self._deadline(
        word
    ), "storage: the challenge was not answered in time"
    account: address = self._account(custodian, _CUSTODIAN)
    size: uint256 = word & _SIZE
    seed: bytes32 = self._seed((word >> _BLOCK_AT) & _TIME)
    number: uint256 = (word >> _ANSWERED_AT) & _CODE
    samples: uint256 = (word >> _SAMPLES_AT) & _CODE
    for given: IStorageRewards.Answer in answers:
        assert number < samples, "storage: more answers than samples"
        at: uint256 = self._drawn(seed, custodian, number, size)
        self._check(custodian, word, at, given)
        log IStorageRewards.SampleAnswered(
            custodian=custodian,
            record=given.line.record,
            number=number,
            attester=given.attester,
        )
        number += 1
    if number < samples:
        word &= ~(_CODE << _ANSWERED_AT)
        self._holdings[custodian] = word | (number << _ANSWERED_AT)
        return 0
    return self._reward(custodian, account, word)


@external
def fail(custodian: uint256):
    """
    @notice Put on record that a challenge was not answered in time: the period earns nothing, the holding is gone.
    @dev Anybody may call. Reverts when no challenge is open, or it can still be answered.
    """
    word: uint256 = self._holdings[custodian]
    assert self._challenged(word) != 0, "storage: no challenge is open"
    self._require_missed(word)
    self._holdings[custodian] = 0
    self._roots[custodian] = empty(bytes32)
    log IStorageRewards.ChallengeFailed(custodian=custodian)


# ------------------------------------------------------------------ paid calls


@external
def mark_calls(refs: DynArray[IDataMarket.LicenceRef, _MAX_BATCH]):
    """
    @notice Note how many calls of metered licences the market has settled, and count those since a mark within the
            same period for the custodian of the record. What came before the first mark counts for nobody.
    @param refs The licences, at most 50.
    @dev Anybody may call. Calls below the least price are not counted, nor those by the patient, by the custodian, the
         annotator, or a licensee that the supervisor has named as related to the custodian. Licences on records of
         a custodian whose challenge is open are passed over. Reverts on what is no metered licence.
    """
    for ref: IDataMarket.LicenceRef in refs:
        self._mark(ref)


@external
def set_related(custodian: uint256, licensee: address, related: bool):
    """
    @notice State that a licensee and a custodian belong together, so that its calls do not count, or no longer.
    @dev Caller: the supervisor role. Reverts on no licensee, or when nothing changes.
    """
    access._restricted()
    assert licensee != empty(address), "storage: no licensee is named"
    assert (self._related[custodian][licensee] != related), "storage: nothing changes"
    self._related[custodian][licensee] = related
    log IStorageRewards.RelationChanged(custodian=custodian, licensee=licensee, related=related)


# ------------------------------------------------------------------ governed parameters


@external
def set_rules(rules: IStorageRewards.Rules):
    """
    @notice Set the threshold of the DVI, the samples, the times and the least price of a call, for challenges that
            are opened from now on.
    @dev Caller: the timelock. Reverts outside DVI 1–100, 30–256 samples, a gap of 1–30 days, a window of 1–24 hours,
         0.01–10^6 DUT.
    """
    access._restricted()
    self._set_rules(rules)


@external
def set_bonuses(bonuses: DynArray[IStorageRewards.Bonus, 8]):
    """
    @notice Set from how many paid calls in a period on the reward grows by how many bps.
    @dev Caller: the timelock. Reverts unless both ascend, from one call to 10^12 and to 20,000 bps.
    """
    access._restricted()
    self._set_bonuses(bonuses)


# ------------------------------------------------------------------ views


@external
@view
def holding_word(custodian: uint256) -> uint256:
    """
    @notice What is stored of a holding: plaintext bytes 64, beginning of its period 40, challenged at 40, seed block
            40, window (seconds) 32, answered 16, samples 16, threshold 8, lowest bits first; zero for none.
    """
    return self._holdings[custodian]


@external
@view
def root(custodian: uint256) -> bytes32:
    """
    @notice The root of a custodian's holding, or zero.
    """
    return self._roots[custodian]


@external
@view
def tally_word(custodian: uint256) -> uint256:
    """
    @notice Paid calls counted 64, beginning of the period that they belong to 40, lowest bits first.
    """
    return self._tallies[custodian]


@external
@view
def mark_word(licence: bytes32) -> uint256:
    """
    @notice Units of a licence that were settled when it was last marked 40, when that was 40, lowest bits first.
    """
    return self._marks[licence]


@external
@view
def related(custodian: uint256, licensee: address) -> bool:
    """
    @notice Whether the supervisor has named a licensee as related to a custodian.
    """
    return self._related[custodian][licensee]


@external
@view
def rules() -> IStorageRewards.Rules:
    """
    @notice The rules for challenges that are opened now.
    """
    return self._rules


@external
@view
def bonuses() -> DynArray[IStorageRewards.Bonus, 8]:
    """
    @notice What paid calls in a period add to its reward.
    """
    return self._bonuses


@external
@view
def sample(custodian: uint256, number: uint256) -> uint256:
    """
    @notice Which byte of a holding's plaintext, counted through its lines, a sample of the open challenge asks for.
    @dev Reverts when no challenge is open, and before the block that draws or long after it.
    """
    word: uint256 = self._holdings[custodian]
    assert self._challenged(word) != 0, "storage: no challenge is open"
    seed: bytes32 = self._seed((word >> _BLOCK_AT) & _TIME)
    return self._drawn(seed, custodian, number, word & _SIZE)


# ------------------------------------------------------------------ internal


@internal
@view
def _check(
    custodian: uint256,
    holding: uint256,
    at: uint256,
    given: IStorageRewards.Answer,
):
    """
    @dev Refuses an answer that does not prove the sample at byte `at`.
    """
    line: IStorageRewards.Line = given.line
    plain: uint256 = self._plain(line.size)
    before: uint256 = self._climb(custodian, holding & _SIZE, line, plain, given.steps, given.right)
    assert (at >= before and at < before + plain), "storage: another line holds the sample"

    facts: uint256 = staticcall _REGISTRY.facts(line.record)
    assert (facts >> 160) & _NUMBER == custodian, "storage: not the record's custodian"
    # Attested, and neither superseded nor destroyed.
    assert (
        (facts >> 250) & 13 == 1 and (facts >> 243) & 127 >= holding >> _THRESHOLD_AT
    ), "storage: the record does not count"
    assert (
        given.attester != custodian and given.attester != (facts >> 180) & _NUMBER
    ), "storage: nobody attests their own work"
    signing._require(
        self._account(given.attester, _ATTESTER),
        keccak256(abi_encode(_WITNESS_TYPE, line.record, line.root, line.size)),
        given.signature,
    )

    chunks: uint256 = (line.size + _CHUNK - 1) // _CHUNK
    index: uint256 = (at - before) * chunks // plain
    length: uint256 = (line.size - (chunks - 1) * _CHUNK if index == chunks - 1 else _CHUNK)
    assert (len(given.chunk) == length), "storage: not the chunk that was asked for"
    node: bytes32 = sha256(concat(b"\x00", given.chunk))
    used: uint256 = 0
    for _: uint256 in range(30):
        if chunks == 1:
            break
        # The last node of an odd level is carried up as it is.
        if index ^ 1 < chunks:
            assert used < len(given.path), "storage: not the chunk that was asked for"
            sibling: bytes32 = given.path[used]
            node = (
                sha256(concat(sibling, node)) if index & 1 == 1 else sha256(concat(node, sibling))
            )
            used += 1
        index >>= 1
        chunks = (chunks + 1) >> 1
    assert (
        used == len(given.path) and node == line.root
    ), "storage: not the chunk that was asked for"


@internal
@view
def _climb(
    custodian: uint256,
    size: uint256,
    line: IStorageRewards.Line,
    plain: uint256,
    steps: DynArray[IStorageRewards.Step, 24],
    right: uint256,
) -> uint256:
    """
    @dev How many bytes lie left of the line; refuses a line that is not in the holding, or out of order.
    """
    key: uint256 = convert(line.root, uint256)
    node: bytes32 = keccak256(abi_encode(_LINE_TYPE, line.root, line.record, line.size))
    total: uint256 = plain
    before: uint256 = 0
    for i: uint256 in range(len(steps), bound=24):
        step: IStorageRewards.Step = steps[i]
        split: uint256 = convert(step.split, uint256)
        if (right >> i) & 1 == 1:
            assert key >= split, "storage: the line is out of order"
            node = keccak256(
                abi_encode(_NODE_TYPE, step.sibling, step.size, step.split, node, total)
            )
            before += step.size
        else:
            assert key < split, "storage: the line is out of order"
            node = keccak256(
                abi_encode(_NODE_TYPE, node, total, step.split, step.sibling, step.size)
            )
        total += step.size
    assert (
        node == self._roots[custodian] and total == size
    ), "storage: the line is not in the holding"
    return before


@internal
def _reward(custodian: uint256, account: address, word: uint256) -> uint256:
    """
    @dev Pays the period up to the challenge, where the next one begins.
    """
    begun: uint256 = self._begun(word)
    challenged: uint256 = self._challenged(word)
    # Longer than a month is not paid: there must be a challenge in each.
    duration: uint256 = min(challenged - begun, _MONTH)
    calls: uint256 = self._calls(custodian, begun)
    share: uint256 = 0
    for step: IStorageRewards.Bonus in self._bonuses:
        if calls >= step.calls:
            share = step.share
    size: uint256 = word & _SIZE
    minted: uint256 = (size * duration * _REWARD * (_BPS + share) // (_UNIT * _MONTH * _BPS))
    self._holdings[custodian] = size | (challenged << _BEGUN_AT)
    log IStorageRewards.StorageProven(
        custodian=custodian,
        account=account,
        size=size,
        duration=duration,
        calls=calls,
        share=share,
        minted=minted,
    )
    extcall _GT.mint(account, minted)
    return minted


@internal
@view
def _require_missed(word: uint256):
    """
    @dev Refuses while the challenge can still be answered.
    """
    assert block.timestamp > self._deadline(word), "storage: a challenge is open"


@internal
def _mark(ref: IDataMarket.LicenceRef):
    licence: bytes32 = keccak256(abi_encode(ref))
    word: uint256 = staticcall _MARKET.licence_word(licence)
    assert (word >> 120) & 3 == _METERED, "storage: no metered licence"
    settled: uint256 = word >> 216
    facts: uint256 = staticcall _REGISTRY.facts(ref.record)
    custodian: uint256 = (facts >> 160) & _NUMBER
    holding: uint256 = self._holdings[custodian]
    # Nothing moves while it cannot count: nobody's mark spoils what was settled before the challenge.
    if self._challenged(holding) != 0:
        return
    begun: uint256 = self._begun(holding)
    mark: uint256 = self._marks[licence]
    counted: uint256 = 0
    if (
        holding != 0
        and mark >> 40 >= begun
        and (word & (2**64 - 1)) * _GRAIN >= self._rules.price
        and self._unrelated(custodian, facts, ref.licensee)
    ):
        counted = settled - (mark & _TIME)
    if counted != 0:
        calls: uint256 = self._calls(custodian, begun) + counted
        self._tallies[custodian] = calls | (begun << 64)
    self._marks[licence] = settled | (block.timestamp << 40)
    log IStorageRewards.CallsMarked(
        licence=licence, custodian=custodian, settled=settled, counted=counted
    )


@internal
@view
def _unrelated(custodian: uint256, facts: uint256, licensee: address) -> bool:
    number: uint256 = staticcall _REGISTRY.number_of(licensee)
    return (
        licensee != convert(facts & (2**160 - 1), address)
        and number != custodian
        and (number == 0 or number != (facts >> 180) & _NUMBER)
        and not self._related[custodian][licensee]
    )


@internal
def _set_rules(rules: IStorageRewards.Rules):
    assert (
        rules.threshold != 0
        and rules.threshold <= 100
        and rules.samples >= _MIN_SAMPLES
        and rules.samples <= _MAX_SAMPLES
        and rules.gap >= _MIN_GAP
        and rules.gap <= _MONTH
        and rules.window >= _MIN_WINDOW
        and rules.window <= _MAX_WINDOW
        and rules.price >= _MIN_PRICE
        and rules.price <= _MAX_PRICE
    ), "storage: rules out of bounds"
    log IStorageRewards.RulesChanged(previous=self._rules, current=rules)
    self._rules = rules


@internal
def _set_bonuses(bonuses: DynArray[IStorageRewards.Bonus, 8]):
    calls: uint256 = 0
    share: uint256 = 0
    for step: IStorageRewards.Bonus in bonuses:
        assert (
            step.calls > calls
            and step.calls <= _MAX_CALLS
            and step.share > share
            and step.share <= _MAX_SHARE
        ), "storage: bonuses out of bounds"
        calls = step.calls
        share = step.share
    log IStorageRewards.BonusesChanged(previous=self._bonuses, current=bonuses)
    self._bonuses = bonuses


@internal
@view
def _account(number: uint256, capability: uint256) -> address:
    """
    @dev Where an institution is; refuses one without the capability.
    """
    account: address = empty(address)
    capabilities: uint256 = 0
    account, capabilities = staticcall _REGISTRY.institution(number)
    assert (capabilities & capability != 0), "institutions: the caller is not accredited for this"
    return account


@internal
@view
def _calls(custodian: uint256, begun: uint256) -> uint256:
    word: uint256 = self._tallies[custodian]
    return word & _SIZE if word >> 64 == begun else 0


@internal
@view
def _seed(number: uint256) -> bytes32:
    """
    @dev The hash of a block: from the opcode for 256 blocks, then from the chain's history (EIP-2935), where it has
         one.
    """
    assert block.number > number, "storage: the samples are not drawn yet"
    if block.number - number <= 256:
        return blockhash(number)
    success: bool = False
    hash: Bytes[32] = b""
    success, hash = raw_call(
        _HISTORY,
        abi_encode(number),
        max_outsize=32,
        is_static_call=True,
        revert_on_failure=False,
    )
    assert (success and len(hash) == 32), "storage: the block that draws is out of reach"
    return convert(hash, bytes32)


@internal
@pure
def _drawn(seed: bytes32, custodian: uint256, number: uint256, size: uint256) -> uint256:
    return (convert(keccak256(abi_encode(seed, custodian, number)), uint256) % size)


@internal
@pure
def _plain(sealed: uint256) -> uint256:
    """
    @dev The bytes of plaintext in a sealed record: without its trailer and the tag of each segment.
    """
    assert (
        sealed > _TRAILER + _TAG and sealed <= _MAX_SEALED + _TRAILER
    ), "storage: no size of a sealed record"
    content: uint256 = sealed - _TRAILER
    return content - (content + _SEGMENT - 1) // _SEGMENT * _TAG


@internal
@pure
def _begun(word: uint256) -> uint256:
    return (word >> _BEGUN_AT) & _TIME


@internal
@pure
def _challenged(word: uint256) -> uint256:
    return (word >> _CHALLENGED_AT) & _TIME


@internal
@pure
def _deadline(word: uint256) -> uint256:
    return self._challenged(word) + ((word >> _WINDOW_AT) & (2**32 - 1))

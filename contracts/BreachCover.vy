# pragma version ~=0.4.3
"""
@title BreachCover
@license AGPL-3.0-only
@notice Cover of custodians against breaches (R23). A custodian pays a premium into one pool; for a term it covers
        breaches that happen from then on, up to 40 times the premium in all. After one it makes a claim, and the
        council decides: it grants what damage it finds where duties of care were met, and nothing where they were
        not. What is granted is paid up to what is left of the cover and of the pool, in the order of decisions;
        what the pool does not have then is not owed later. Payments are credited, and pulled by signature.
        Premiums carry no levy (R15), and are never returned.
        Nobody, the timelock included, can take from the pool but by a claim, nor a credit from whose it is.
@dev Holds exactly: pool + credits. Behind a proxy.
     A council that colludes with a custodian can empty the pool, one premium's cover at a time: each is bounded by
     40 times what was paid, and the timelock can take the council's role away.
"""

from interfaces import IBreachCover
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
    def number_of(account: address) -> uint256: view
    def institution(number: uint256) -> (address, uint256): view


_REGISTRY: immutable(Registry)

_CUSTODIAN: constant(uint256) = 1
# What a premium covers, in premiums.
_COVER: constant(uint256) = 40

# Bounds within which the timelock may move the term.
_MIN_TERM: constant(uint256) = 30 * 86400
_MAX_TERM: constant(uint256) = 366 * 86400

_NUMBER: constant(uint256) = 2**20 - 1
_TIME: constant(uint256) = 2**40 - 1
_AMOUNT: constant(uint256) = 2**128 - 1
_SINCE_AT: constant(uint256) = 20
_UNTIL_AT: constant(uint256) = 60
_PREMIUM_AT: constant(uint256) = 100

_OPEN: constant(uint256) = 1
_DECIDED: constant(uint256) = 2

# policy → custodian 20 | since (unix seconds) 40 | until 40 | premium (base units) 128, lowest bits first
_policies: HashMap[uint256, uint256]
_count: uint256
# policy → base units that its claims were paid
_paid: HashMap[uint256, uint256]
# claim → 1 open, 2 decided
_claims: HashMap[bytes32, uint256]
_pool: uint256
# seconds that a premium covers
_term: uint256
_paused: bool
__gap: uint256[16]


@deploy
def __init__(deployer: address, manager: address, usage: address, registry: address):
    """
    @param deployer The account that initialises the proxy, once.
    @param manager The AccessManager.
    @param usage The UsageToken (DUT).
    @param registry The RecordRegistry's proxy.
    """
    access.__init__(manager)
    initializer.__init__(deployer)
    signing.__init__("medtoken", "1")
    payouts.__init__(usage)
    assert registry != empty(address), "cover: no registry is named"
    _REGISTRY = Registry(registry)


@external
def initialize(term: uint256):
    """
    @notice Set the first parameter, once.
    @param term Seconds that a premium covers.
    @dev Caller: the deployer, through the proxy.
    """
    initializer._initialize()
    self._set_term(term)


# ------------------------------------------------------------------ premiums


@external
@nonreentrant
def pay_premium(amount: uint256) -> uint256:
    """
    @notice Pay a premium of `amount` base units of DUT, approved before: a policy of its own, over 40 times as much,
            for breaches from now on until the term is over.
    @return The policy's number.
    @dev Caller: an accredited custodian. Reverts while paused, on zero, and when DUT refuses the transfer.
    """
    assert not self._paused, "cover: paused"
    number: uint256 = staticcall _REGISTRY.number_of(msg.sender)
    assert self._capabilities(number) & _CUSTODIAN != 0, "cover: the caller is no custodian"
    assert amount != 0 and amount <= _AMOUNT, "cover: amount out of range"
    policy: uint256 = self._count + 1
    until: uint256 = block.timestamp + self._term
    pool: uint256 = self._pool + amount
    self._count = policy
    self._policies[policy] = (
        number | (block.timestamp << _SINCE_AT) | (until << _UNTIL_AT) | (amount << _PREMIUM_AT)
    )
    self._pool = pool
    log IBreachCover.PremiumPaid(
        policy=policy,
        custodian=number,
        payer=msg.sender,
        premium=amount,
        cover=amount * _COVER,
        until=until,
        pool=pool,
    )
    assert extcall payouts.DUT.transferFrom(msg.sender, self, amount)
    return policy


# ------------------------------------------------------------------ claims


@external
def make_claim(given: IBreachCover.Claim) -> bytes32:
    """
    @notice Claim the damage of a breach under one of the caller's policies.
    @return The claim's id.
    @dev Caller: the policy's custodian, accredited still or not. Never paused. Reverts on another's policy, on no
         damage, on a breach outside the policy's term or in the future, without evidence, and on a claim that was made.
    """
    word: uint256 = self._policies[given.policy]
    number: uint256 = word & _NUMBER
    assert (
        number != 0 and number == staticcall _REGISTRY.number_of(msg.sender)
    ), "cover: not the caller's policy"
    assert given.amount != 0, "cover: no damage is claimed"
    assert (
        given.occurred >= (word >> _SINCE_AT) & _TIME
        and given.occurred < (word >> _UNTIL_AT) & _TIME
        and given.occurred <= block.timestamp
    ), "cover: not in the policy's term"
    assert given.evidence != empty(bytes32), "cover: no evidence is named"
    id: bytes32 = keccak256(abi_encode(given))
    assert self._claims[id] == 0, "cover: it was claimed before"
    self._claims[id] = _OPEN
    log IBreachCover.ClaimMade(claim=id, policy=given.policy, given=given)
    return id


@external
def decide_claim(given: IBreachCover.Claim, granted: uint256, reason: bytes32):
    """
    @notice Decide an open claim: what is granted is credited to the custodian, up to what is left of the policy's cover
            and of the pool.
    @param granted Base units of damage that the council found, at most what was claimed; zero where duties of care were
           not met.
    @param reason Digest of the finding.
    @dev Caller: the council role, and not the custodian itself. Never paused. Reverts on a claim that is not open, over
         what was claimed, and without a reason.
    """
    access._restricted()
    id: bytes32 = keccak256(abi_encode(given))
    assert self._claims[id] == _OPEN, "cover: no such claim is open"
    assert granted <= given.amount, "cover: more than was claimed"
    assert reason != empty(bytes32), "cover: no reason is named"
    word: uint256 = self._policies[given.policy]
    account: address = empty(address)
    capabilities: uint256 = 0
    account, capabilities = staticcall _REGISTRY.institution(word & _NUMBER)
    assert msg.sender != account, "cover: nobody judges their own case"
    before: uint256 = self._paid[given.policy]
    pool: uint256 = self._pool
    paid: uint256 = min(granted, min((word >> _PREMIUM_AT) * _COVER - before, pool))
    self._claims[id] = _DECIDED
    self._paid[given.policy] = before + paid
    self._pool = pool - paid
    payouts._credit(account, paid)
    log IBreachCover.ClaimDecided(
        claim=id,
        policy=given.policy,
        account=account,
        granted=granted,
        paid=paid,
        pool=pool - paid,
        reason=reason,
    )


# ------------------------------------------------------------------ governed parameters


@external
def set_term(term: uint256):
    """
    @notice Set how many seconds a premium covers, 30–366 days; policies keep theirs.
    @dev Caller: the timelock. Reverts out of bounds.
    """
    access._restricted()
    self._set_term(term)


@external
def pause():
    """
    @notice Let no premium in. Claims, decisions and withdrawals go on (R29).
    @dev Caller: the guardian role.
    """
    access._restricted()
    self._paused = True
    log IBreachCover.PauseChanged(paused=True)


@external
def unpause():
    """
    @notice Let premiums in again.
    @dev Caller: the timelock.
    """
    access._restricted()
    self._paused = False
    log IBreachCover.PauseChanged(paused=False)


# ------------------------------------------------------------------ views


@external
@view
def policy_word(policy: uint256) -> uint256:
    """
    @notice What is stored of a policy: custodian's number 20, since (unix seconds) 40, until 40, premium (base units) 128,
            lowest bits first; zero for none.
    """
    return self._policies[policy]


@external
@view
def paid_of(policy: uint256) -> uint256:
    """
    @notice Base units that a policy's claims were paid.
    """
    return self._paid[policy]


@external
@view
def claim_state(claim: bytes32) -> uint256:
    """
    @notice What became of a claim: 0 never made, 1 open, 2 decided.
    """
    return self._claims[claim]


@external
@view
def books() -> (uint256, uint256):
    """
    @notice How many policies there ever were, and what the pool has, base units.
    """
    return self._count, self._pool


@external
@view
def terms() -> (uint256, bool):
    """
    @notice Seconds that a premium covers, and whether premiums are paused.
    """
    return self._term, self._paused


# ------------------------------------------------------------------ internal


@internal
@view
def _capabilities(number: uint256) -> uint256:
    account: address = empty(address)
    capabilities: uint256 = 0
    account, capabilities = staticcall _REGISTRY.institution(number)
    return capabilities


@internal
def _set_term(term: uint256):
    assert term >= _MIN_TERM and term <= _MAX_TERM, "cover: the term is out of bounds"
    log IBreachCover.ParameterChanged(name="term", previous=self._term, current=term)
    self._term = term

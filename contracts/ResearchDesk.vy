# pragma version ~=0.4.3
"""
@title ResearchDesk
@license AGPL-3.0-only
@notice Research tokens (RT) for outcomes that the council's technical seats verified, spent towards licences (R4).
        A licensee buys through this desk at the tariff's price and burns RT for a share of it. As much DUT of the
        reserve's budget is set aside here, beside the licence: it goes to the licensee's deposit only as far as the
        licence was earned, by payees who are paid in DUT as always. What is never earned goes back to the reserve,
        and its RT to the licensee. So RT never becomes money that was not paid to somebody before, and a licence
        that is revoked returns to its licensee what it had paid itself. An empty budget refuses the purchase. The
        levy is taken on the whole price, as on any other.
@dev Behind a proxy; holds the desk role. What it holds lies in its own deposit in the market.
     A licensee who is patient and custodian too pays itself, less what the platform and the levy take of the price. It
     gains from the budget only where the share of a price that RT may pay is above those two together; then what it
     gains is bounded by the RT that was verified for it, and by the budget.
     Seats that collude with a licensee can verify what never was: what that costs the reserve is bounded by the
     budget of each period, which the timelock can end, as it can take the seats' role away.
"""

from interfaces import IDataMarket
from interfaces import IResearchDesk
from interfaces import IResearchToken
from interfaces import ITariff
from interfaces import ITreasury
from interfaces import IUsageToken
from modules import access
from modules import accounts
from modules import initializer

initializes: initializer
initializes: access

exports: access.authority

_RT: immutable(IResearchToken)
_DUT: immutable(IUsageToken)
_TREASURY: immutable(ITreasury)
_TARIFF: immutable(ITariff)
_MARKET: immutable(IDataMarket)

_BPS: constant(uint256) = 10_000
_GRAIN: constant(uint256) = 10**9
_YEAR: constant(uint256) = 365 * 86400
_METERED: constant(uint256) = 2
_AUCTION_ONLY: constant(uint256) = 255
_KINDS: constant(uint256) = 3

# Bounds within which the timelock may move the rules.
_MAX_SEATS: constant(uint256) = 20
_MAX_SHARE: constant(uint256) = 5_000
_MAX_REWARD: constant(uint256) = 10**24

# Of the market's words.
_NUMBER: constant(uint256) = 2**40 - 1
_CODE: constant(uint256) = 2**16 - 1
_LEVY_AT: constant(uint256) = 48
_END_AT: constant(uint256) = 64
_FORM_AT: constant(uint256) = 120
_FORM: constant(uint256) = 3
_LICENCE_CLOSED: constant(uint256) = 1 << 123
_START_AT: constant(uint256) = 136
_SETTLED_AT: constant(uint256) = 176
_UNITS_SETTLED_AT: constant(uint256) = 216

# Of a support's word.
_AMOUNT: constant(uint256) = 2**72 - 1
_RELEASED_AT: constant(uint256) = 72
_UNITS_AT: constant(uint256) = 144
_DONE: constant(uint256) = 1 << 184

# how many seats must verify an outcome
_seats: uint256
# how much of a price RT may pay, bps
_share: uint256
# kind of outcome → base units of RT
_rewards: HashMap[uint256, uint256]
# outcome → seats that verified it
_votes: HashMap[bytes32, uint256]
# outcome → seat → whether it did
_verified: HashMap[bytes32, HashMap[address, bool]]
# evidence → outcome that it was rewarded for
_rewarded: HashMap[bytes32, bytes32]
# licence → support (10^9 base units) 72 | released of it 72 | units prepaid with it 40 | done 1, lowest bits first
_supports: HashMap[bytes32, uint256]
__gap: uint256[16]


@deploy
def __init__(
    deployer: address,
    manager: address,
    research: address,
    usage: address,
    treasury: address,
    tariff: address,
    market: address,
):
    """
    @param deployer The account that initialises the proxy, once.
    @param manager The AccessManager.
    @param research The ResearchToken (RT), whose bound desk is this contract's proxy.
    @param usage The UsageToken (DUT).
    @param treasury The Treasury's proxy.
    @param tariff The Tariff's proxy.
    @param market The DataMarket's proxy.
    """
    access.__init__(manager)
    initializer.__init__(deployer)
    assert (
        research != empty(address)
        and usage != empty(address)
        and treasury != empty(address)
        and tariff != empty(address)
        and market != empty(address)
    ), "links: a contract is missing"
    _RT = IResearchToken(research)
    _DUT = IUsageToken(usage)
    _TREASURY = ITreasury(treasury)
    _TARIFF = ITariff(tariff)
    _MARKET = IDataMarket(market)


@external
def initialize(seats: uint256, share: uint256, rewards: uint256[_KINDS]):
    """
    @notice Set the first rules, once.
    @param seats How many technical seats must verify an outcome.
    @param share How much of a price RT may pay, bps.
    @param rewards Base units of RT for each kind of outcome, from kind 1 on.
    @dev Caller: the deployer, through the proxy.
    """
    initializer._initialize()
    self._set_seats(seats)
    self._set_share(share)
    for i: uint256 in range(_KINDS):
        self._set_reward(i + 1, rewards[i])
    # The market takes what is set aside for a licence, the treasury what comes back.
    assert extcall _DUT.approve(_MARKET.address, max_value(uint256))
    assert extcall _DUT.approve(_TREASURY.address, max_value(uint256))


# ------------------------------------------------------------------ outcomes


@external
def verify_outcome(outcome: IResearchDesk.Outcome, ref: IDataMarket.LicenceRef) -> bytes32:
    """
    @notice Verify an outcome as one of the technical seats; the last one that is needed mints its RT to the licensee.
    @param outcome What was made, by whom, of which licence, and the digest of the evidence. All seats verify the same.
    @param ref What names that licence.
    @return The outcome's id.
    @dev Caller: the technical role. Reverts on an unknown kind, without evidence, on a licence that is not the
         licensee's, when the seat is the licensee or has verified it, and when the evidence was rewarded: it is
         once, whatever it is said to be evidence of.
    """
    access._restricted()
    assert outcome.kind != 0 and outcome.kind <= _KINDS, "research: unknown kind of outcome"
    assert outcome.evidence != empty(bytes32), "research: no evidence is named"
    assert (
        keccak256(abi_encode(ref)) == outcome.licence
        and ref.licensee == outcome.licensee
        and staticcall _MARKET.licence_word(outcome.licence) != 0
    ), "research: not the licensee's licence"
    assert msg.sender != outcome.licensee, "research: the seat is the licensee"
    assert self._rewarded[outcome.evidence] == empty(bytes32), "research: it was rewarded"
    id: bytes32 = keccak256(abi_encode(outcome))
    assert not self._verified[id][msg.sender], "research: this seat has verified it"
    votes: uint256 = self._votes[id] + 1
    self._verified[id][msg.sender] = True
    self._votes[id] = votes
    log IResearchDesk.OutcomeVerified(outcome=id, seat=msg.sender, given=outcome, votes=votes)
    if votes >= self._seats:
        self._rewarded[outcome.evidence] = id
        amount: uint256 = self._rewards[outcome.kind]
        log IResearchDesk.OutcomeRewarded(outcome=id, licensee=outcome.licensee, amount=amount)
        extcall _RT.mint(outcome.licensee, amount)
    return id


# ------------------------------------------------------------------ licences


@external
@nonreentrant
def buy(
    order: IDataMarket.Order,
    consent: IDataMarket.Consent,
    proof: DynArray[bytes32, 32],
    amount: uint256,
) -> bytes32:
    """
    @notice License a record at the tariff's price from the caller's deposit, and burn `amount` of its RT for that part of
            the price. The budget's DUT for it is set aside, and released as the licence is earned.
    @param order What is asked for, as in the market.
    @param consent The terms of the consent that it is bought under.
    @param proof That the record is in the consent's set; empty when the consent names this record alone.
    @param amount Base units of RT, a multiple of 10^9.
    @return The licence's id.
    @dev Caller: the licensee, with the whole price and its levy in its deposit. Reverts on a consent that is sold by
         auction only, as the market's `buy_licence` does, on a rental that costs less than the consent's floor for a
         year, on no amount or one off the grain or over RT's share of the price, over the caller's RT, and when the
         budget or the reserve is too small.
    """
    assert consent.licensees >> _AUCTION_ONLY == 0, "research: sold by auction only"
    assert order.end > block.timestamp, "licence: the term has no length"
    account: uint256 = staticcall _MARKET.licensee_word(msg.sender)
    quote: ITariff.Quote = staticcall _TARIFF.quote(
        ITariff.Ask(
            record=order.record,
            form=order.form,
            purposes=order.purposes,
            urgent=order.urgent,
            floorPrice=consent.floorPrice,
            region=accounts._region(account),
            certified=accounts._flags(account) & accounts.CERTIFIED != 0,
        )
    )
    # As the market counts.
    metered: bool = order.form == _METERED
    units: uint256 = order.units
    if not metered:
        units = (order.end - block.timestamp + _YEAR - 1) // _YEAR
    paid: uint256 = quote.price * units
    levy: uint256 = paid * ((staticcall _MARKET.rates_word() >> _LEVY_AT) & _CODE) // _BPS

    extcall _MARKET.charge(msg.sender, paid + levy)
    licence: bytes32 = extcall _MARKET.issue_licence(msg.sender, order, consent, proof, quote.price)
    assert amount != 0 and amount % _GRAIN == 0, "research: amount out of range"
    assert amount <= paid * self._share // _BPS, "research: more than its share"
    self._supports[licence] = (amount // _GRAIN) | ((units if metered else 0) << _UNITS_AT)
    log IResearchDesk.LicenceSupported(licence=licence, licensee=msg.sender, amount=amount)
    extcall _RT.burn(msg.sender, amount)
    extcall _TREASURY.spend(amount)
    extcall _MARKET.deposit(self, amount)
    return licence


@external
@nonreentrant
def release(ref: IDataMarket.LicenceRef):
    """
    @notice Release to a licensee's deposit what its licence has earned of the support, by the market's settlements. Once
            the licence is closed, the rest goes back to the reserve, and its RT to the licensee.
    @dev Anybody may call, as often as the market has settled. Never paused. Reverts when the licence has no support,
         when all of it is done, and when nothing was settled since.
    """
    licence: bytes32 = keccak256(abi_encode(ref))
    support: uint256 = self._supports[licence]
    assert support != 0, "research: no support for it"
    assert support & _DONE == 0, "research: its support is done"
    word: uint256 = staticcall _MARKET.licence_word(licence)
    amount: uint256 = support & _AMOUNT
    before: uint256 = (support >> _RELEASED_AT) & _AMOUNT
    due: uint256 = self._earned(amount, (support >> _UNITS_AT) & _NUMBER, word)
    updated: uint256 = (support & ~(_AMOUNT << _RELEASED_AT)) | (due << _RELEASED_AT)
    rest: uint256 = 0
    if word & _LICENCE_CLOSED != 0:
        rest = (amount - due) * _GRAIN
        updated |= _DONE
    else:
        assert due != before, "research: nothing was settled"
    self._supports[licence] = updated
    freed: uint256 = (due - before) * _GRAIN
    log IResearchDesk.SupportReleased(
        licence=licence, licensee=ref.licensee, amount=freed, returned=rest
    )
    if freed != 0:
        extcall _MARKET.release(ref.licensee, freed)
    if rest != 0:
        extcall _MARKET.reclaim(rest)
        extcall _TREASURY.give_back(rest)
        extcall _RT.mint(ref.licensee, rest)


# ------------------------------------------------------------------ governed parameters


@external
def set_seats(seats: uint256):
    """
    @notice Set how many technical seats must verify an outcome, 1–20.
    @dev Caller: the timelock. Reverts out of bounds.
    """
    access._restricted()
    self._set_seats(seats)


@external
def set_share(share: uint256):
    """
    @notice Set how much of a price RT may pay, 1–5,000 bps.
    @dev Caller: the timelock. Reverts out of bounds.
    """
    access._restricted()
    self._set_share(share)


@external
def set_reward(kind: uint256, amount: uint256):
    """
    @notice Set the base units of RT for a kind of outcome (1 model accuracy, 2 publication, 3 approved product).
    @dev Caller: the timelock. Reverts on an unknown kind, on zero, off the grain of 10^9, or over 10^6 RT.
    """
    access._restricted()
    self._set_reward(kind, amount)


# ------------------------------------------------------------------ views


@external
@view
def seats() -> uint256:
    """
    @notice How many technical seats must verify an outcome.
    """
    return self._seats


@external
@view
def share() -> uint256:
    """
    @notice How much of a price RT may pay, in bps.
    """
    return self._share


@external
@view
def reward(kind: uint256) -> uint256:
    """
    @notice The base units of RT for a kind of outcome.
    """
    return self._rewards[kind]


@external
@view
def votes(outcome: bytes32) -> uint256:
    """
    @notice How many seats have verified an outcome.
    """
    return self._votes[outcome]


@external
@view
def verified(outcome: bytes32, seat: address) -> bool:
    """
    @notice Whether a seat has verified an outcome.
    """
    return self._verified[outcome][seat]


@external
@view
def rewarded(evidence: bytes32) -> bytes32:
    """
    @notice The outcome for which a piece of evidence was rewarded, or zero.
    """
    return self._rewarded[evidence]


@external
@view
def support_word(licence: bytes32) -> uint256:
    """
    @notice What is stored of a licence's support: amount (10^9 base units) 72, released of it 72, units prepaid with it 40,
            done 1, lowest bits first; zero for none.
    """
    return self._supports[licence]


# ------------------------------------------------------------------ internal


@internal
@pure
def _earned(amount: uint256, units: uint256, word: uint256) -> uint256:
    """
    @dev How much of a support the market has settled, in grains: by units, or by seconds of the term, counted from the start so
         that no rounding adds up. Units topped up later are not supported.
    """
    if (word >> _FORM_AT) & _FORM == _METERED:
        return amount * min(word >> _UNITS_SETTLED_AT, units) // units
    start: uint256 = (word >> _START_AT) & _NUMBER
    end: uint256 = (word >> _END_AT) & _NUMBER
    return amount * (((word >> _SETTLED_AT) & _NUMBER) - start) // (end - start)


@internal
def _set_seats(seats: uint256):
    assert seats != 0 and seats <= _MAX_SEATS, "research: rule out of bounds"
    log IResearchDesk.SeatsChanged(previous=self._seats, current=seats)
    self._seats = seats


@internal
def _set_share(share: uint256):
    assert share != 0 and share <= _MAX_SHARE, "research: rule out of bounds"
    log IResearchDesk.ShareChanged(previous=self._share, current=share)
    self._share = share


@internal
def _set_reward(kind: uint256, amount: uint256):
    assert kind != 0 and kind <= _KINDS, "research: unknown kind of outcome"
    assert (
        amount != 0 and amount <= _MAX_REWARD and amount % _GRAIN == 0
    ), "research: rule out of bounds"
    log IResearchDesk.RewardChanged(kind=kind, previous=self._rewards[kind], current=amount)
    self._rewards[kind] = amount

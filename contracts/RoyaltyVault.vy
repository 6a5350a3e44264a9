# pragma version ~=0.4.3
"""
@title RoyaltyVault
@license AGPL-3.0-only
@notice Royalties of products that were trained on licensed data, to everybody who contributed (R18, R19), and
        milestone options over escrowed DUT (R20).
        A custodian seals a study's roster: who contributed with which weight, as one Merkle root. Until it
        opens, the council can cancel a wrong one; no money comes in before. Attesters report sales; the
        royalty is pulled from the allowance of the payer, who undertook to pay, with the reserve levy on top
        (R15). It goes into the study's pot, whatever the number of contributors; a member has earned
        floor(pot × weight / total) since the beginning, so what rounding leaves is in the next share, and never
        lost. A member proves its line of the roster once; after that anybody can credit anybody.
        Nobody, the timelock included, can move a pot or a balance to anyone but whose it is. Pausing stops
        money from coming in, and nothing else.
@dev Amounts that come in are multiples of 10^9 base units, so that the levy on them is exact. What a roster's
     members take out never exceeds their own study's pot, even when its weights make more than its total: a
     wrong roster harms nobody outside its study. Behind a proxy.
"""

from interfaces import IRoyaltyVault
from interfaces import ITreasury
from modules import access
from modules import initializer
from modules import merkle
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


interface Institutions:
    def number_of(account: address) -> uint256: view
    def institution(number: uint256) -> (address, uint256): view


interface Market:
    def rates_word() -> uint256: view


_REGISTRY: immutable(Institutions)
_TREASURY: immutable(ITreasury)
_MARKET: immutable(Market)

_CUSTODIAN: constant(uint256) = 1
_BPS: constant(uint256) = 10_000
_GRAIN: constant(uint256) = 10**9
# A levy is a number of bps of whole grains, so it is whole in this unit.
_LEVY_GRAIN: constant(uint256) = 10**5
_MAX_BATCH: constant(uint256) = 100
_MAX_JOINS: constant(uint256) = 50

# Bounds within which the timelock may move the parameters.
_MIN_RATE: constant(uint256) = 1
_MAX_RATE: constant(uint256) = 1_000
_MIN_WINDOW: constant(uint256) = 86400
_MAX_WINDOW: constant(uint256) = 90 * 86400
# The longest term of an option: what was escrowed always comes back within somebody's lifetime.
_MAX_TERM: constant(uint256) = 30 * 365 * 86400

_CODE: constant(uint256) = 2**16 - 1
_TIME: constant(uint256) = 2**40 - 1
_ADDRESS: constant(uint256) = 2**160 - 1
_MARKET_LEVY_AT: constant(uint256) = 48

# settings
_WINDOW_AT: constant(uint256) = 16
_LEVY_AT: constant(uint256) = 56
_PAUSED: constant(uint256) = 1 << 72
# study
_OPENS_AT: constant(uint256) = 160
_RATE_AT: constant(uint256) = 200
_UNDERTAKEN: constant(uint256) = 1 << 216
# books
_POT: constant(uint256) = 2**72 - 1
_DUE_AT: constant(uint256) = 72
_OWED_AT: constant(uint256) = 144
_OWED: constant(uint256) = 2**88 - 1
_PERIOD_AT: constant(uint256) = 232
_MAX_PERIOD: constant(uint256) = 2**24 - 1
# shares, and a member's word: the weight is lowest in both
_WEIGHT: constant(uint256) = 2**96 - 1
_CLAIMED_AT: constant(uint256) = 96
_CLAIMED: constant(uint256) = 2**128 - 1
_COUNT_AT: constant(uint256) = 224
_MAX_COUNT: constant(uint256) = 2**32 - 1
_MARK_AT: constant(uint256) = 96
# period
_SALES_AT: constant(uint256) = 96
_MAX_SALES: constant(uint256) = 2**128 - 1
_MARK: constant(uint256) = 2**96 - 1
_ATTESTED: constant(uint256) = 1 << 224
# option
_OPTION_LEVY_AT: constant(uint256) = 72
_EXPIRY_AT: constant(uint256) = 160
_STATE_AT: constant(uint256) = 200
_GRANTED: constant(uint256) = 1
_VESTED: constant(uint256) = 2
_RETURNED: constant(uint256) = 3

# All words: lowest bits first; an amount is in grains of 10^9 base units where it says so.

# royalty rate for new studies (bps) 16 | challenge window (seconds) 40 | levy (bps) 16 | paused 1
_settings: uint256
# study → payer 160 | opens (unix seconds) 40 | rate (bps) 16 | undertaken 1; zero is no study
_studies: HashMap[bytes32, uint256]
# study → Merkle root of its roster
_roots: HashMap[bytes32, bytes32]
# study → pot (all that came in, grains) 72 | due (attested and unpaid, grains) 72 | levy taken and not handed over
# (10^5 base units) 88 | last period 24
_books: HashMap[bytes32, uint256]
# study → total weight 96 | claimed (base units) 128 | count of lines 32
_shares: HashMap[bytes32, uint256]
# study → account → weight 96 | mark: the pot at its last claim (grains) 72; zero is nobody
_members: HashMap[bytes32, HashMap[address, uint256]]
# study → period → all royalties attested up to and with it (grains) 96 | sales (base units) 128 | attested 1
_periods: HashMap[bytes32, HashMap[uint256, uint256]]
# option → amount (grains) 72 | levy (10^5 base units) 88 | expiry 40 | state 8: granted 1, vested 2, returned 3
_options: HashMap[bytes32, uint256]
__gap: uint256[16]


@deploy
def __init__(
    deployer: address,
    manager: address,
    usage: address,
    registry: address,
    treasury: address,
    market: address,
):
    """
    @param deployer The account that initialises the proxy, once.
    @param manager The AccessManager.
    @param usage The UsageToken (DUT).
    @param registry The RecordRegistry's proxy: it knows the accredited custodians.
    @param treasury The Treasury's proxy.
    @param market The DataMarket's proxy: its levy is the levy of royalties too.
    """
    access.__init__(manager)
    initializer.__init__(deployer)
    signing.__init__("medtoken", "1")
    payouts.__init__(usage)
    assert (
        registry != empty(address) and treasury != empty(address) and market != empty(address)
    ), "royalty: a contract is missing"
    _REGISTRY = Institutions(registry)
    _TREASURY = ITreasury(treasury)
    _MARKET = Market(market)


@external
def initialize(rate: uint256, window: uint256):
    """
    @notice Set the first parameters, once; the levy is the market's.
    @param rate Royalty of new studies, bps of attested sales.
    @param window Seconds between a roster's sealing and its first payment.
    @dev Caller: the deployer, through the proxy.
    """
    initializer._initialize()
    self._set_rate(rate)
    self._set_window(window)
    self._set_levy(self._market_levy())
    # The treasury takes its levies itself, so that what it books is what arrived.
    assert extcall payouts.DUT.approve(_TREASURY.address, max_value(uint256))


# ------------------------------------------------------------------ rosters


@external
def seal(
    payer: address,
    number: uint256,
    root: bytes32,
    total: uint256,
    count: uint256,
    manifest: bytes32,
) -> bytes32:
    """
    @notice Seal the roster of a study: who contributed with which weight, at the royalty rate in force.
    @param payer Who will pay the royalty, once it has undertaken to.
    @param number The payer's own number for the study.
    @param root Merkle root over keccak256(keccak256(abi.encode(study, index, account, weight))), sorted pairs.
    @param total Sum of all weights.
    @param count Lines of the roster.
    @param manifest SHA-256 digest in the CID of the manifest from which anybody recomputes the roster.
    @return The study's id, keccak256(abi.encode(payer, number)).
    @dev Caller: an accredited custodian. Reverts when the study is sealed, and on anything that is zero or out of
         range.
    """
    sealer: uint256 = staticcall _REGISTRY.number_of(msg.sender)
    account: address = empty(address)
    capabilities: uint256 = 0
    account, capabilities = staticcall _REGISTRY.institution(sealer)
    assert capabilities & _CUSTODIAN != 0, "institutions: the caller is not accredited for this"
    assert payer != empty(address), "royalty: no payer is named"
    assert root != empty(bytes32), "royalty: the roster has no root"
    assert manifest != empty(bytes32), "royalty: no manifest is named"
    # Every line weighs something.
    assert (
        count != 0 and count <= _MAX_COUNT and total >= count and total <= _WEIGHT
    ), "royalty: weights out of range"
    study: bytes32 = self._id(payer, number)
    assert self._studies[study] == 0, "royalty: it is sealed"
    settings: uint256 = self._settings
    rate: uint256 = settings & _CODE
    opens: uint256 = block.timestamp + ((settings >> _WINDOW_AT) & _TIME)
    self._studies[study] = (convert(payer, uint256) | (opens << _OPENS_AT) | (rate << _RATE_AT))
    self._roots[study] = root
    self._shares[study] = total | (count << _COUNT_AT)
    log IRoyaltyVault.StudySealed(
        study=study,
        payer=payer,
        sealer=sealer,
        number=number,
        root=root,
        total=total,
        count=count,
        manifest=manifest,
        rate=rate,
        opens=opens,
    )
    return study


@external
def cancel(study: bytes32, reason: bytes32):
    """
    @notice Cancel a roster that is wrong, before it opens; it can then be sealed anew. No money is in it yet.
    @param reason Digest of the finding.
    @dev Caller: the council role. Reverts on an unknown study, and from the moment when it opens.
    """
    access._restricted()
    word: uint256 = self._studies[study]
    assert word != 0, "royalty: unknown study"
    assert block.timestamp < self._opens(word), "royalty: the roster is final"
    self._studies[study] = 0
    self._roots[study] = empty(bytes32)
    self._shares[study] = 0
    log IRoyaltyVault.StudyCancelled(study=study, reason=reason)


@external
def undertake(number: uint256, root: bytes32):
    """
    @notice Undertake to pay the royalty of the caller's study. Until then nothing becomes due.
    @param root The roster's root, so that nobody undertakes what was sealed anew meanwhile.
    @dev Caller: the payer. How much can be taken is what it lets this contract spend of its DUT. Final. Reverts when
         the study is unknown, has another root, or was undertaken.
    """
    study: bytes32 = self._id(msg.sender, number)
    word: uint256 = self._studies[study]
    assert word != 0, "royalty: unknown study"
    assert self._roots[study] == root, "royalty: another roster"
    assert word & _UNDERTAKEN == 0, "royalty: undertaken before"
    self._studies[study] = word | _UNDERTAKEN
    log IRoyaltyVault.StudyUndertaken(study=study, payer=msg.sender)


# ------------------------------------------------------------------ royalties


@external
def attest_sales(study: bytes32, period: uint256, sales: uint256, evidence: bytes32) -> uint256:
    """
    @notice Attest what the study's product sold in a period; the royalty on it becomes due.
    @param period Its number, larger than that of the last one (for example 202503), below 2^24.
    @param sales Base units of DUT.
    @param evidence Digest of the report.
    @return The royalty in base units: the study's rate of the sales, rounded up to 10^9.
    @dev Caller: the product attester role, and not the payer. Each period once. Reverts on an unknown study, one that
         is not open or not undertaken, without evidence, and on anything out of range.
    """
    access._restricted()
    word: uint256 = self._open_study(study)
    assert word & _UNDERTAKEN != 0, "royalty: not undertaken"
    assert msg.sender != self._payer(word), "royalty: nobody attests itself"
    assert evidence != empty(bytes32), "royalty: no evidence is named"
    assert sales <= _MAX_SALES, "royalty: sales out of range"
    book: uint256 = self._books[study]
    last: uint256 = book >> _PERIOD_AT
    assert period > last and period <= _MAX_PERIOD, "royalty: period out of order"
    royalty: uint256 = self._royalty(sales, word)
    due: uint256 = self._due(book) + royalty
    # So whatever is due will fit into the pot.
    assert due + (book & _POT) <= _POT, "royalty: sales out of range"
    mark: uint256 = (self._periods[study][last] & _MARK) + royalty
    self._periods[study][period] = mark | (sales << _SALES_AT) | _ATTESTED
    self._books[study] = (
        (book & _POT) | (due << _DUE_AT) | (book & (_OWED << _OWED_AT)) | (period << _PERIOD_AT)
    )
    log IRoyaltyVault.SalesAttested(
        study=study,
        period=period,
        attester=msg.sender,
        sales=sales,
        royalty=royalty * _GRAIN,
        evidence=evidence,
    )
    return royalty * _GRAIN


@external
def waive(study: bytes32, amount: uint256, reason: bytes32):
    """
    @notice Correct what is due, after sales were attested wrongly or goods came back.
    @param amount Base units, a multiple of 10^9, that are due no longer.
    @param reason Digest of the finding.
    @dev Caller: the council role. Reverts on zero, off the grain, and over what is due.
    """
    access._restricted()
    book: uint256 = self._books[study]
    grains: uint256 = self._grains(amount)
    assert grains <= self._due(book), "royalty: more than is due"
    self._books[study] = book - (grains << _DUE_AT)
    log IRoyaltyVault.RoyaltyWaived(study=study, amount=amount, reason=reason)


@external
def pay(payer: address, number: uint256, amount: uint256):
    """
    @notice Pull `amount` base units of what is due from the payer's allowance, with the levy on top, for all
            contributors of its study `number`.
    @dev Anybody may call: the payer undertook it, and its allowance is the limit. The oldest period is paid first.
         Reverts while the vault is paused, on zero, off the grain of 10^9, over what is due, and when DUT
         refuses the transfer. The study's id follows from its payer, so nothing need be read to know whom to ask.
    """
    settings: uint256 = self._settings
    assert settings & _PAUSED == 0, "royalty: paused"
    study: bytes32 = self._id(payer, number)
    book: uint256 = self._books[study]
    grains: uint256 = self._grains(amount)
    assert grains <= self._due(book), "royalty: more than is due"
    levy: uint256 = self._levy(amount, settings)
    # Due falls, pot rises: their sum was bounded when the sales were attested, and the levy with it.
    self._books[study] = (book + grains - (grains << _DUE_AT) + (levy // _LEVY_GRAIN << _OWED_AT))
    log IRoyaltyVault.RoyaltyPaid(study=study, amount=amount, levy=levy)
    assert extcall payouts.DUT.transferFrom(payer, self, amount + levy)


@external
@nonreentrant
def hand_over(studies: DynArray[bytes32, _MAX_BATCH]):
    """
    @notice Hand the levies that were taken with royalties to the treasury, which decides about burning (R17).
    @dev Anybody may call. Studies without any are passed over. Reverts when there is none at all.
    """
    total: uint256 = 0
    for study: bytes32 in studies:
        book: uint256 = self._books[study]
        owed: uint256 = (book >> _OWED_AT) & _OWED
        if owed != 0:
            self._books[study] = book & ~(_OWED << _OWED_AT)
            total += owed * _LEVY_GRAIN
            log IRoyaltyVault.LevyHandedOver(study=study, amount=owed * _LEVY_GRAIN)
    assert total != 0, "royalty: no levy is waiting"
    extcall _TREASURY.receive_levy(total)


# ------------------------------------------------------------------ claims


@external
def join(
    study: bytes32,
    index: uint256,
    account: address,
    weight: uint256,
    proof: DynArray[bytes32, 32],
) -> uint256:
    """
    @notice Prove one line of a study's roster, once, and credit its account with its part of all that came in
            since the beginning.
    @return Base units credited.
    @dev Anybody may call. Reverts on an unknown study, one that is not open, an account that has joined, a weight of
         zero or over the total, and a proof that does not lead to the root.
    """
    self._open_study(study)
    assert self._members[study][account] == 0, "royalty: joined before"
    pot: uint256 = self._books[study] & _POT
    shares: uint256 = self._shares[study]
    amount: uint256 = self._join(study, pot, shares & _WEIGHT, index, account, weight, proof)
    self._take(study, shares, pot, amount)
    return amount


@external
def join_many(study: bytes32, members: DynArray[IRoyaltyVault.Membership, _MAX_JOINS]) -> uint256:
    """
    @notice As `join`, for up to 50 lines of one study. An account that has joined is passed over: somebody who
            brings it first must not spoil the rest.
    @return Base units credited to all together.
    """
    self._open_study(study)
    pot: uint256 = self._books[study] & _POT
    shares: uint256 = self._shares[study]
    amount: uint256 = 0
    for m: IRoyaltyVault.Membership in members:
        amount += self._join(study, pot, shares & _WEIGHT, m.index, m.account, m.weight, m.proof)
    self._take(study, shares, pot, amount)
    return amount


@external
def claim(study: bytes32, account: address) -> uint256:
    """
    @notice Credit a member with its part of what came in since its last claim.
    @return Base units credited; zero when nothing came in.
    @dev Anybody may call: only the member is credited. Never paused. Reverts for an account that has not joined.
    """
    pot: uint256 = self._books[study] & _POT
    shares: uint256 = self._shares[study]
    amount: uint256 = self._claim(study, pot, shares & _WEIGHT, account)
    self._take(study, shares, pot, amount)
    return amount


@external
def claim_many(study: bytes32, accounts: DynArray[address, _MAX_BATCH]) -> uint256:
    """
    @notice As `claim`, for up to 100 members of one study.
    @return Base units credited to all together.
    """
    pot: uint256 = self._books[study] & _POT
    shares: uint256 = self._shares[study]
    total: uint256 = shares & _WEIGHT
    amount: uint256 = 0
    for account: address in accounts:
        amount += self._claim(study, pot, total, account)
    self._take(study, shares, pot, amount)
    return amount


# ------------------------------------------------------------------ milestone options


@external
def grant_option(study: bytes32, milestone: bytes32, amount: uint256, expiry: uint256) -> bytes32:
    """
    @notice Escrow `amount` base units of the caller's DUT, and the levy on it, for the contributors of a study, should
            its product reach a milestone before `expiry`.
    @param milestone Digest of what must be attested, for example an approval.
    @param expiry Unix seconds, within 30 years; from then on the escrow goes back.
    @return The option's id, keccak256(abi.encode(study, funder, milestone)).
    @dev Caller: the funder. Reverts while the vault is paused, on a study that is unknown or not open, no milestone,
         an option that exists, an amount of zero, off the grain or out of range, an expiry out of range, and when DUT
         refuses the transfer.
    """
    settings: uint256 = self._settings
    assert settings & _PAUSED == 0, "royalty: paused"
    self._open_study(study)
    assert milestone != empty(bytes32), "option: no milestone is named"
    assert (
        expiry > block.timestamp and expiry <= block.timestamp + _MAX_TERM
    ), "option: expiry out of range"
    grains: uint256 = self._grains(amount)
    assert grains <= _POT, "option: amount out of range"
    option: bytes32 = keccak256(abi_encode(study, msg.sender, milestone))
    assert self._options[option] == 0, "option: granted before"
    levy: uint256 = self._levy(amount, settings)
    self._options[option] = (
        grains
        | (levy // _LEVY_GRAIN << _OPTION_LEVY_AT)
        | (expiry << _EXPIRY_AT)
        | (_GRANTED << _STATE_AT)
    )
    log IRoyaltyVault.OptionGranted(
        study=study,
        funder=msg.sender,
        milestone=milestone,
        amount=amount,
        levy=levy,
        expiry=expiry,
    )
    assert extcall payouts.DUT.transferFrom(msg.sender, self, amount + levy)
    return option


@external
def vest_option(study: bytes32, funder: address, milestone: bytes32, evidence: bytes32):
    """
    @notice Attest that the milestone was reached: the escrow goes into the study's pot, for good, and each contributor
            exercises its part by claiming, with the same roster and weight as for royalties.
    @param evidence Digest of the approval.
    @dev Caller: the product attester role, and not the funder. Never paused. Reverts when the option is unknown, was
         vested or returned, or has expired, and without evidence.
    """
    access._restricted()
    assert msg.sender != funder, "royalty: nobody attests itself"
    assert evidence != empty(bytes32), "royalty: no evidence is named"
    option: bytes32 = keccak256(abi_encode(study, funder, milestone))
    word: uint256 = self._granted(option)
    assert block.timestamp < (word >> _EXPIRY_AT) & _TIME, "option: it has expired"
    book: uint256 = self._books[study]
    grains: uint256 = word & _POT
    levy: uint256 = (word >> _OPTION_LEVY_AT) & _OWED
    assert grains + (book & _POT) + self._due(book) <= _POT, "option: amount out of range"
    self._options[option] = word + ((_VESTED - _GRANTED) << _STATE_AT)
    self._books[study] = book + grains + (levy << _OWED_AT)
    log IRoyaltyVault.OptionVested(
        study=study,
        funder=funder,
        milestone=milestone,
        attester=msg.sender,
        evidence=evidence,
        amount=grains * _GRAIN,
        levy=levy * _LEVY_GRAIN,
    )


@external
def return_option(study: bytes32, funder: address, milestone: bytes32):
    """
    @notice Credit the funder of an option that expired with its escrow and levy, for good.
    @dev Anybody may call: only the funder is credited. Never paused. Reverts when the option is unknown, was
         vested or returned, or has not expired.
    """
    option: bytes32 = keccak256(abi_encode(study, funder, milestone))
    word: uint256 = self._granted(option)
    assert block.timestamp >= (word >> _EXPIRY_AT) & _TIME, "option: it has not expired"
    amount: uint256 = ((word & _POT) * _GRAIN + ((word >> _OPTION_LEVY_AT) & _OWED) * _LEVY_GRAIN)
    self._options[option] = word + ((_RETURNED - _GRANTED) << _STATE_AT)
    log IRoyaltyVault.OptionReturned(study=study, funder=funder, milestone=milestone, amount=amount)
    payouts._credit(funder, amount)


# ------------------------------------------------------------------ governed parameters


@external
def set_rate(rate: uint256):
    """
    @notice Set the royalty of studies that are sealed from now on, in bps of attested sales.
    @dev Caller: the timelock. Reverts outside 1–1,000.
    """
    access._restricted()
    self._set_rate(rate)


@external
def set_window(window: uint256):
    """
    @notice Set the seconds between sealing and opening, for rosters that are sealed from now on.
    @dev Caller: the timelock. Reverts outside one to ninety days.
    """
    access._restricted()
    self._set_window(window)


@external
def follow_levy():
    """
    @notice Take over the market's levy (R15) for what is paid from now on.
    @dev Anybody may call: there is one levy, and the market keeps it and its bounds. Reverts when it is the same.
    """
    levy: uint256 = self._market_levy()
    assert levy != (self._settings >> _LEVY_AT) & _CODE, "royalty: the levy is the same"
    self._set_levy(levy)


@external
def pause():
    """
    @notice Stop royalties and new options from coming in. Claims, withdrawals and returns go on (R29).
    @dev Caller: the guardian role.
    """
    access._restricted()
    self._settings |= _PAUSED
    log IRoyaltyVault.PauseChanged(paused=True)


@external
def unpause():
    """
    @notice Let money in again.
    @dev Caller: the timelock.
    """
    access._restricted()
    self._settings &= ~_PAUSED
    log IRoyaltyVault.PauseChanged(paused=False)


# ------------------------------------------------------------------ views


@external
@view
def settings_word() -> uint256:
    """
    @notice Royalty of new studies (bps) 16, challenge window (seconds) 40, levy (bps) 16, paused 1, lowest bits first.
    """
    return self._settings


@external
@view
def study_word(study: bytes32) -> uint256:
    """
    @notice What is stored of a study: payer 160, opens (unix seconds) 40, rate (bps) 16, undertaken 1, lowest
            bits first; zero for none, or a cancelled one.
    """
    return self._studies[study]


@external
@view
def root(study: bytes32) -> bytes32:
    """
    @notice The Merkle root of a study's roster, or zero.
    """
    return self._roots[study]


@external
@view
def books_word(study: bytes32) -> uint256:
    """
    @notice A study's money: pot (10^9 base units) 72, due 72, levy not handed over (10^5 base units) 88, last period
            24, lowest bits first.
    """
    return self._books[study]


@external
@view
def shares_word(study: bytes32) -> uint256:
    """
    @notice A study's roster: total weight 96, claimed by its members (base units) 128, lines 32, lowest bits first.
    """
    return self._shares[study]


@external
@view
def member_word(study: bytes32, account: address) -> uint256:
    """
    @notice What is stored of a member: weight 96, mark (the pot at its last claim, 10^9 base units) 72, lowest bits
            first; zero for an account that has not joined.
    """
    return self._members[study][account]


@external
@view
def period_word(study: bytes32, period: uint256) -> uint256:
    """
    @notice What is stored of a period: royalties attested up to and with it (10^9 base units) 96, its sales (base
            units) 128, attested 1, lowest bits first; zero when nothing was attested.
    """
    return self._periods[study][period]


@external
@view
def option_word(option: bytes32) -> uint256:
    """
    @notice What is stored of an option: amount (10^9 base units) 72, levy (10^5 base units) 88, expiry 40, state 8
            (1 granted, 2 vested, 3 returned), lowest bits first; zero for none.
    """
    return self._options[option]


@external
@view
def claimable(study: bytes32, account: address) -> uint256:
    """
    @notice Base units that `claim` would credit a member with now; zero for an account that has not joined.
    """
    word: uint256 = self._members[study][account]
    total: uint256 = self._shares[study] & _WEIGHT
    return self._earned(word, self._books[study] & _POT, total) if total != 0 else 0


@external
@view
def unpaid(study: bytes32, period: uint256) -> uint256:
    """
    @notice Base units of a period's royalty that are neither paid nor waived; the oldest period is paid first.
    """
    word: uint256 = self._periods[study][period]
    book: uint256 = self._books[study]
    attested: uint256 = self._periods[study][book >> _PERIOD_AT] & _MARK
    settled: uint256 = attested - self._due(book)
    mark: uint256 = word & _MARK
    if mark <= settled:
        return 0
    royalty: uint256 = self._royalty((word >> _SALES_AT) & _MAX_SALES, self._studies[study])
    return min(mark - settled, royalty) * _GRAIN


# ------------------------------------------------------------------ internal


@internal
def _join(
    study: bytes32,
    pot: uint256,
    total: uint256,
    index: uint256,
    account: address,
    weight: uint256,
    proof: DynArray[bytes32, 32],
) -> uint256:
    """
    @dev Nothing for an account that has joined: a line counts once, whoever calls this.
    """
    if self._members[study][account] != 0:
        return 0
    assert weight != 0 and weight <= total, "royalty: weights out of range"
    leaf: bytes32 = keccak256(keccak256(abi_encode(study, index, account, weight)))
    assert merkle._proves(proof, self._roots[study], leaf), "royalty: not in the roster"
    self._members[study][account] = weight | (pot << _MARK_AT)
    log IRoyaltyVault.MemberJoined(study=study, account=account, index=index, weight=weight)
    amount: uint256 = self._earned(weight, pot, total)
    if amount != 0:
        self._reward(study, account, amount)
    return amount


@internal
def _claim(study: bytes32, pot: uint256, total: uint256, account: address) -> uint256:
    word: uint256 = self._members[study][account]
    assert word != 0, "royalty: not a member yet"
    amount: uint256 = self._earned(word, pot, total)
    # Nothing is written that no event tells: the mark stays where the last unit was earned.
    if amount != 0:
        self._members[study][account] = (word & _WEIGHT) | (pot << _MARK_AT)
        self._reward(study, account, amount)
    return amount


@internal
def _reward(study: bytes32, account: address, amount: uint256):
    log IRoyaltyVault.RoyaltyClaimed(study=study, account=account, amount=amount)
    payouts._credit(account, amount)


@internal
def _take(study: bytes32, shares: uint256, pot: uint256, amount: uint256):
    """
    @dev Books what members were credited with. A sound roster never meets the limit; one whose weights make more
         than its total can only exhaust its own pot.
    """
    if amount != 0:
        assert (
            ((shares >> _CLAIMED_AT) & _CLAIMED) + amount <= pot * _GRAIN
        ), "royalty: more than the pot holds"
        self._shares[study] = shares + (amount << _CLAIMED_AT)


@internal
def _set_rate(rate: uint256):
    assert rate >= _MIN_RATE and rate <= _MAX_RATE, "royalty: rate out of bounds"
    settings: uint256 = self._settings
    log IRoyaltyVault.ParameterChanged(name="rate", previous=settings & _CODE, current=rate)
    self._settings = (settings & ~_CODE) | rate


@internal
def _set_window(window: uint256):
    assert window >= _MIN_WINDOW and window <= _MAX_WINDOW, "royalty: window out of bounds"
    settings: uint256 = self._settings
    log IRoyaltyVault.ParameterChanged(
        name="window", previous=(settings >> _WINDOW_AT) & _TIME, current=window
    )
    self._settings = (settings & ~(_TIME << _WINDOW_AT)) | (window << _WINDOW_AT)


@internal
def _set_levy(levy: uint256):
    """
    @dev Sixteen bits of bps of a pot always fit into what a study owes.
    """
    settings: uint256 = self._settings
    log IRoyaltyVault.ParameterChanged(
        name="levy", previous=(settings >> _LEVY_AT) & _CODE, current=levy
    )
    self._settings = (settings & ~(_CODE << _LEVY_AT)) | (levy << _LEVY_AT)


@internal
@view
def _market_levy() -> uint256:
    return (staticcall _MARKET.rates_word() >> _MARKET_LEVY_AT) & _CODE


@internal
@view
def _open_study(study: bytes32) -> uint256:
    """
    @dev The study's word; refuses while its roster may still be cancelled.
    """
    word: uint256 = self._studies[study]
    assert word != 0, "royalty: unknown study"
    assert block.timestamp >= self._opens(word), "royalty: it is not open yet"
    return word


@internal
@view
def _granted(option: bytes32) -> uint256:
    """
    @dev The word of an option that is neither vested nor returned; refuses any other.
    """
    word: uint256 = self._options[option]
    assert word != 0, "option: unknown option"
    assert word >> _STATE_AT == _GRANTED, "option: it is settled"
    return word


@internal
@pure
def _earned(member: uint256, pot: uint256, total: uint256) -> uint256:
    """
    @dev Base units between a member's mark and `pot`. Always counted from the start, so that no rounding adds
         up: at most 72 + 30 + 96 bits.
    """
    weight: uint256 = member & _WEIGHT
    return pot * _GRAIN * weight // total - (member >> _MARK_AT) * _GRAIN * weight // total


@internal
@pure
def _royalty(sales: uint256, word: uint256) -> uint256:
    """
    @dev Grains, rounded up: rounding never favours the payer.
    """
    unit: uint256 = _BPS * _GRAIN
    return (sales * ((word >> _RATE_AT) & _CODE) + unit - 1) // unit


@internal
@pure
def _levy(amount: uint256, settings: uint256) -> uint256:
    """
    @dev Base units; exact, for `amount` is whole grains.
    """
    return amount * ((settings >> _LEVY_AT) & _CODE) // _BPS


@internal
@pure
def _id(payer: address, number: uint256) -> bytes32:
    return keccak256(abi_encode(payer, number))


@internal
@pure
def _grains(amount: uint256) -> uint256:
    assert amount != 0 and amount % _GRAIN == 0, "royalty: amount out of range"
    return amount // _GRAIN


@internal
@pure
def _due(book: uint256) -> uint256:
    return (book >> _DUE_AT) & _POT


@internal
@pure
def _opens(word: uint256) -> uint256:
    return (word >> _OPENS_AT) & _TIME


@internal
@pure
def _payer(word: uint256) -> address:
    return convert(word & _ADDRESS, address)

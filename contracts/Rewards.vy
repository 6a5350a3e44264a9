# pragma version ~=0.4.3
"""
@title Rewards
@license AGPL-3.0-only
@notice Credit of patients and institutions (R25), services for contribution and governance tokens (R26), and what records led
        to (R27). Points come from what other contracts of the suite already hold: records that were attested
        and minted for, licences that were paid and settled for licensees who are certified and no party of the
        record, referrals that both signed. Two things the chain cannot see are attested: feedback by the
        council, an adopted idea by the timelock, which is an executed proposal.
        After a month or a year anybody nominates anybody for its board; the contract keeps the ten highest, so a
        wrong board is put right by nominating who is missing. Then they get soulbound badges.
        Points are never taken away and buy nothing: they open services and boards.
@dev A month is 30 days and a year 12 of them, counted from 1970. Behind a proxy.
     Limit: two real people, one of whom is a certified licensee, can pay each other; each counted use then costs
     them the levy and the platform's part of the least amount, and counts once a licensee and month.
"""

from interfaces import IDataMarket
from interfaces import IRewards
from interfaces import IUsageToken
from modules import access
from modules import initializer
from modules import signing

initializes: initializer
initializes: access
initializes: signing

exports: (access.authority, signing.eip712Domain)


interface Registry:
    def record_id(custodian: uint256, tag: bytes32) -> bytes32: view
    def facts(record: bytes32) -> uint256: view
    def institution(number: uint256) -> (address, uint256): view
    def number_of(account: address) -> uint256: view


interface Market:
    def licensee_word(account: address) -> uint256: view


interface View:
    def licence(id: bytes32) -> IDataMarket.Licence: view


interface Burnable:
    def burn(holder: address, amount: uint256): nonpayable


interface Badges:
    def mint(to: address, tokenId: uint256): nonpayable
    def ownerOf(tokenId: uint256) -> address: view


_REGISTRY: immutable(Registry)
_MARKET: immutable(Market)
_VIEW: immutable(View)
_USAGE: immutable(IUsageToken)
_CONTRIBUTION: immutable(Burnable)
_GOVERNANCE: immutable(Burnable)
_BADGES: immutable(Badges)

MONTH: constant(uint256) = 30 * 86400
_MONTHS: constant(uint256) = 12
# How long after its end a board takes nominations, seconds.
_NOMINATIONS: constant(uint256) = 7 * 86400
_TEN: constant(uint256) = 10
_STREAK: constant(uint256) = 6
_MAX_REFS: constant(uint256) = 50
_MAX_SIGNATURE: constant(uint256) = 1024
_MAX_REFERRALS: constant(uint256) = 5

# Where points come from, and how many.
_RECORD: constant(uint256) = 1
_USE: constant(uint256) = 2
_KEPT: constant(uint256) = 3
_FEEDBACK: constant(uint256) = 4
_REFERRAL: constant(uint256) = 5
_IDEA: constant(uint256) = 6
_FOR_QUANTITY: constant(uint256) = 10
_FOR_QUALITY: constant(uint256) = 10  # for Q of this much one more
_FOR_USE: constant(uint256) = 20
_FOR_STREAK: constant(uint256) = 60
_FOR_FEEDBACK: constant(uint256) = 10
_FOR_REFERRAL: constant(uint256) = 20
_FOR_IDEA: constant(uint256) = 100

# Bounds within which the timelock may move the parameters.
_MAX_DONATION: constant(uint256) = 10**24
_MAX_LEAST: constant(uint256) = 10**24
_MAX_THRESHOLD: constant(uint256) = 10**6

_ADDRESS: constant(uint256) = 2**160 - 1
_MINTED: constant(uint256) = 1 << 251
# An institution's number there.
_NUMBER: constant(uint256) = 2**20 - 1
_GROUPS_AT: constant(uint256) = 128
_GROUPS: constant(uint256) = 2**96 - 1
# account word
_POINTS: constant(uint256) = 2**64 - 1
_RECORDS_AT: constant(uint256) = 64
_LAST_AT: constant(uint256) = 96
_RUN_AT: constant(uint256) = 128
_NONCE_AT: constant(uint256) = 160
_COUNT: constant(uint256) = 2**32 - 1
# voucher word
_SERVICE_AT: constant(uint256) = 160
_SERVED: constant(uint256) = 1 << 255

_REFERRAL_TYPE: constant(bytes32) = keccak256(
    "Referral(address referrer,address referred,uint256 deadline)"
)
_DONATION_TYPE: constant(bytes32) = keccak256(
    "Donation(uint256 badge,address recipient,uint256 deadline)"
)
_REDEMPTION_TYPE: constant(bytes32) = keccak256(
    "Redemption(address account,uint256 service,uint256 price,uint256 nonce,uint256 deadline)"
)

# account → points 64 | records counted 32 | last active month 32 | months in a row 32 | redemptions 64
_accounts: HashMap[address, uint256]
# board → period → account → points
_points: HashMap[uint256, HashMap[uint256, HashMap[address, uint256]]]
# board → period → ten of account 160 | points 96, highest first
_tops: HashMap[uint256, HashMap[uint256, uint256[_TEN]]]
_awarded: HashMap[uint256, HashMap[uint256, bool]]
# what counted already, by its own hash
_counted: HashMap[bytes32, bool]
# licence → base units of it that counted; account → month → referrals
_gross: HashMap[bytes32, uint256]
_referrals: HashMap[address, HashMap[uint256, uint256]]
_services: HashMap[uint256, IRewards.Service]
# voucher → account 160 | service 64 | served, the top bit
_vouchers: HashMap[uint256, uint256]
_voucher_count: uint256
_beneficiaries: HashMap[address, bool]
_donated: HashMap[uint256, bool]
_budget: uint256
# record → number → outcome
_outcomes: HashMap[bytes32, HashMap[uint256, uint256]]
_outcome_counts: HashMap[bytes32, uint256]
_outcome_count: uint256
# base units of a donation; of a use that counts; points for a badge
_donation: uint256
_least: uint256
_threshold: uint256
__gap: uint256[16]


@deploy
def __init__(
    deployer: address,
    manager: address,
    registry: address,
    market: address,
    licences: address,
    usage: address,
    contribution: address,
    governance: address,
    badges: address,
):
    """
    @param deployer The account that initialises the proxy, once.
    @param manager The AccessManager.
    @param registry The RecordRegistry's proxy.
    @param market The DataMarket's proxy.
    @param licences The LicenceView.
    @param usage The UsageToken (DUT), for donations.
    @param contribution The ContributionToken (DCT).
    @param governance The GovernanceToken (GT).
    @param badges The BadgeToken.
    """
    access.__init__(manager)
    initializer.__init__(deployer)
    signing.__init__("medtoken", "1")
    assert (
        registry != empty(address)
        and market != empty(address)
        and licences != empty(address)
        and usage != empty(address)
        and contribution != empty(address)
        and governance != empty(address)
        and badges != empty(address)
    ), "rewards: a contract is missing"
    _REGISTRY = Registry(registry)
    _MARKET = Market(market)
    _VIEW = View(licences)
    _USAGE = IUsageToken(usage)
    _CONTRIBUTION = Burnable(contribution)
    _GOVERNANCE = Burnable(governance)
    _BADGES = Badges(badges)


@external
def initialize(donation: uint256, least: uint256, threshold: uint256):
    """
    @notice Set the first parameters, once.
    @param donation Base units of DUT that an ambassador directs.
    @param least Base units that a licence must have settled since it last counted.
    @param threshold Points below which nobody gets a badge.
    @dev Caller: the deployer, through the proxy.
    """
    initializer._initialize()
    self._set("donation", donation)
    self._set("least", least)
    self._set("threshold", threshold)


# ------------------------------------------------------------------ credit (R25)


@external
def count_record(custodian: uint256, tag: bytes32):
    """
    @notice Count a record for its patient and its custodian: 10 points, and one more for every ten of Q.
    @param custodian The custodian's number.
    @param tag The record's duplicate tag; so a file counts once, whatever corrections it has.
    @dev Anybody may call. Reverts when DCT was not minted for the record, when it counted before, and when patient
         and custodian are one account.
    """
    record: bytes32 = staticcall _REGISTRY.record_id(custodian, tag)
    facts: uint256 = staticcall _REGISTRY.facts(record)
    assert facts & _MINTED != 0, "rewards: nothing was minted for the record"
    self._once(keccak256(abi_encode(_RECORD, record)))
    owner: address = convert(facts & _ADDRESS, address)
    account: address = self._account(custodian)
    assert owner != account, "rewards: nobody counts with itself"
    points: uint256 = _FOR_QUANTITY + ((facts >> 236) & 127) // _FOR_QUALITY
    self._accounts[owner] += 1 << _RECORDS_AT
    self._active(owner, _RECORD, record, points)
    self._earn(account, _RECORD, record, points, True)


@external
def count_use(ref: IDataMarket.LicenceRef):
    """
    @notice Count what a licence has settled for its record's patient and custodian: 20 points each, once a licensee
            and month, for at least the least amount since it last counted.
    @dev Anybody may call. Reverts on an unknown licence, a licensee without a credential or who is patient, custodian
         or annotator of the record, under the least amount, and when this licensee counted this month.
    """
    id: bytes32 = keccak256(abi_encode(ref))
    licence: IDataMarket.Licence = staticcall _VIEW.licence(id)
    assert licence.form != 0, "rewards: unknown licence"
    assert (
        (staticcall _MARKET.licensee_word(ref.licensee) >> _GROUPS_AT) & _GROUPS != 0
    ), "rewards: the licensee has no credential"
    facts: uint256 = staticcall _REGISTRY.facts(ref.record)
    owner: address = convert(facts & _ADDRESS, address)
    custodian: address = self._account((facts >> 160) & _NUMBER)
    assert (
        ref.licensee != owner
        and ref.licensee != custodian
        and owner != custodian
        and ref.licensee != self._account((facts >> 180) & _NUMBER)
    ), "rewards: nobody counts with itself"
    gross: uint256 = self._settled(licence)
    assert gross - self._gross[id] >= self._least, "rewards: too little was settled"
    self._gross[id] = gross
    month: uint256 = self._month()
    self._once(keccak256(abi_encode(_USE, owner, ref.licensee, month)))
    self._active(owner, _USE, id, _FOR_USE)
    # A custodian counts each licensee once a month, however many patients it serves.
    key: bytes32 = keccak256(abi_encode(_USE, custodian, ref.licensee, month))
    if not self._counted[key]:
        self._counted[key] = True
        self._earn(custodian, _USE, id, _FOR_USE, True)


@external
def attest_feedback(account: address, evidence: bytes32):
    """
    @notice Attest that a patient gave useful feedback: 10 points, once a month.
    @param evidence Digest of the feedback.
    @dev Caller: the council role, for the chain cannot see it. Reverts without evidence, and a second time in a month.
    """
    access._restricted()
    assert evidence != empty(bytes32), "rewards: no evidence is named"
    self._once(keccak256(abi_encode(_FEEDBACK, account, self._month())))
    self._active(account, _FEEDBACK, evidence, _FOR_FEEDBACK)


@external
def adopt_idea(account: address, evidence: bytes32):
    """
    @notice Count an idea that governance adopted: 100 points.
    @param evidence Digest of the proposal.
    @dev Caller: the timelock, that is, an executed proposal. Reverts without evidence, and for one that counted.
    """
    access._restricted()
    assert evidence != empty(bytes32), "rewards: no evidence is named"
    self._once(keccak256(abi_encode(_IDEA, evidence)))
    self._active(account, _IDEA, evidence, _FOR_IDEA)


@external
def refer(
    referrer: address,
    referred: address,
    deadline: uint256,
    signature: Bytes[_MAX_SIGNATURE],
    consent: Bytes[_MAX_SIGNATURE],
):
    """
    @notice Count that a patient brought another: 20 points for the referrer, at most five times a month.
    @param signature The referrer's EIP-712 signature over Referral.
    @param consent The same by who was referred.
    @dev Anybody may relay. Each account is referred once, and both have a record that counted. Reverts on anything else,
         past the deadline, on another's signature, and when the referred one referred the referrer.
    """
    assert deadline >= block.timestamp, "rewards: signature is too late"
    assert (
        referrer != referred
        and not self._counted[keccak256(abi_encode(_REFERRAL, referred, referrer))]
    ), "rewards: nobody counts with itself"
    digest: bytes32 = keccak256(abi_encode(_REFERRAL_TYPE, referrer, referred, deadline))
    signing._require(referrer, digest, signature)
    signing._require(referred, digest, consent)
    assert (
        self._records(referrer) != 0 and self._records(referred) != 0
    ), "rewards: no record of theirs counted"
    month: uint256 = self._month()
    assert self._referrals[referrer][month] < _MAX_REFERRALS, "rewards: enough referrals this month"
    self._referrals[referrer][month] += 1
    self._once(keccak256(abi_encode(_REFERRAL, referred)))
    self._counted[keccak256(abi_encode(_REFERRAL, referrer, referred))] = True
    subject: bytes32 = convert(convert(referred, uint256), bytes32)
    self._active(referrer, _REFERRAL, subject, _FOR_REFERRAL)


# ------------------------------------------------------------------ boards and badges (R25)


@external
def nominate(board: uint256, period: uint256, account: address):
    """
    @notice Put an account on the board of a period that ended, if its points are among the ten highest.
    @param board 0 patients' month, 1 patients' year, 2 institutions' month, 3 institutions' year.
    @param period Number of the 30-day month or of the year of 12 such months, counted from 1970.
    @dev Anybody may call, within seven days after the period. At equal points the first nomination stays ahead. Reverts
         outside that time, when the account is on the board, has too few points, or ten others have as many.
    """
    assert board < 4, "rewards: unknown board"
    end: uint256 = self._end(board, period)
    assert (
        block.timestamp >= end and block.timestamp < end + _NOMINATIONS
    ), "rewards: not the time of nominations"
    points: uint256 = self._points[board][period][account]
    assert points != 0 and points >= self._threshold, "rewards: too few points"
    entry: uint256 = convert(account, uint256) | (points << 160)
    top: uint256[_TEN] = self._tops[board][period]
    for i: uint256 in range(_TEN):
        assert top[i] & _ADDRESS != entry & _ADDRESS, "rewards: on the board already"
    assert top[_TEN - 1] >> 160 < points, "rewards: ten others have as many points"
    # Insert where it belongs; what it displaces moves on by one, the last falls off.
    for i: uint256 in range(_TEN):
        if top[i] >> 160 < entry >> 160:
            displaced: uint256 = top[i]
            self._tops[board][period][i] = entry
            entry = displaced
            if entry == 0:
                break
    log IRewards.Nominated(board=board, period=period, account=account, points=points)


@external
def award(board: uint256, period: uint256):
    """
    @notice Give everybody on a board its soulbound badge: Health Ambassador, or Data Openness for institutions.
    @dev Anybody may call, once, when nominations have ended. Reverts before, a second time, and on an empty board.
    """
    assert board < 4, "rewards: unknown board"
    assert (
        block.timestamp >= self._end(board, period) + _NOMINATIONS
    ), "rewards: nominations have not ended"
    assert not self._awarded[board][period], "rewards: awarded before"
    self._awarded[board][period] = True
    top: uint256[_TEN] = self._tops[board][period]
    assert top[0] != 0, "rewards: nobody is on the board"
    for i: uint256 in range(_TEN):
        if top[i] == 0:
            break
        account: address = convert(top[i] & _ADDRESS, address)
        badge: uint256 = (board << 128) | (period << 64) | (i + 1)
        log IRewards.BadgeAwarded(
            board=board, period=period, account=account, badge=badge, points=top[i] >> 160
        )
        extcall _BADGES.mint(account, badge)


@external
@nonreentrant
def fund(amount: uint256):
    """
    @notice Put `amount` base units of the caller's DUT into the budget of donations.
    @dev Anybody may: the reserve by an executed proposal (R16), or a sponsor. Reverts on zero, and when DUT refuses.
    """
    assert amount != 0, "rewards: nothing would be moved"
    self._budget += amount
    log IRewards.BudgetFunded(funder=msg.sender, amount=amount)
    assert extcall _USAGE.transferFrom(msg.sender, self, amount)


@external
@nonreentrant
def direct_donation(
    badge: uint256, recipient: address, deadline: uint256, signature: Bytes[_MAX_SIGNATURE]
):
    """
    @notice Send the donation of a patients' badge to a listed beneficiary, once.
    @param signature The badge holder's EIP-712 signature over Donation; empty when it sends the transaction.
    @dev Anybody may relay. Reverts for an institution's badge, one that directed its donation, an unlisted beneficiary,
         past the deadline, on another's signature, and when the budget is too small.
    """
    assert deadline >= block.timestamp, "rewards: signature is too late"
    assert badge >> 128 < 2, "rewards: this badge directs no donation"
    assert not self._donated[badge], "rewards: this donation was directed"
    assert self._beneficiaries[recipient], "rewards: not a listed beneficiary"
    amount: uint256 = self._donation
    assert amount != 0 and amount <= self._budget, "rewards: the budget is too small"
    account: address = staticcall _BADGES.ownerOf(badge)
    signing._require(
        account, keccak256(abi_encode(_DONATION_TYPE, badge, recipient, deadline)), signature
    )
    self._donated[badge] = True
    self._budget -= amount
    log IRewards.DonationDirected(badge=badge, account=account, recipient=recipient, amount=amount)
    assert extcall _USAGE.transfer(recipient, amount)


# ------------------------------------------------------------------ redemption (R26)


@external
@nonreentrant
def redeem(
    account: address,
    service: uint256,
    price: uint256,
    deadline: uint256,
    signature: Bytes[_MAX_SIGNATURE],
) -> uint256:
    """
    @notice Burn an account's tokens for a listed service; its provider serves the voucher.
    @param price What the account expects to pay, so that no later price is taken.
    @param signature The account's EIP-712 signature over Redemption with its next nonce; empty when it sends the
           transaction itself.
    @return The voucher's number.
    @dev Anybody may relay. Reverts on a service that is not offered, another price, too few points, past the deadline,
         on another's signature, and when the balance is too small. What was burned does not come back.
    """
    assert deadline >= block.timestamp, "rewards: signature is too late"
    offer: IRewards.Service = self._services[service]
    assert offer.provider != empty(address), "rewards: no such service"
    assert offer.price == price, "rewards: another price"
    word: uint256 = self._accounts[account]
    assert word & _POINTS >= offer.points, "rewards: too few points"
    signing._require(
        account,
        keccak256(
            abi_encode(_REDEMPTION_TYPE, account, service, price, word >> _NONCE_AT, deadline)
        ),
        signature,
    )
    self._accounts[account] = word + (1 << _NONCE_AT)
    voucher: uint256 = self._voucher_count + 1
    self._voucher_count = voucher
    self._vouchers[voucher] = convert(account, uint256) | (service << _SERVICE_AT)
    log IRewards.Redeemed(
        voucher=voucher, account=account, service=service, token=offer.token, price=price
    )
    if price != 0:
        token: Burnable = _CONTRIBUTION if offer.token == 0 else _GOVERNANCE
        extcall token.burn(account, price)
    return voucher


@external
def serve(voucher: uint256, note: bytes32):
    """
    @notice Mark a voucher as served.
    @param note What it refers to, such as an appointment, or a payment by an exchange.
    @dev Caller: the provider of its service. Reverts for anybody else, and a second time.
    """
    word: uint256 = self._vouchers[voucher]
    service: uint256 = (word >> _SERVICE_AT) & _POINTS
    assert (
        word != 0 and msg.sender == self._services[service].provider
    ), "rewards: not the caller's voucher"
    assert word & _SERVED == 0, "rewards: served before"
    self._vouchers[voucher] = word | _SERVED
    log IRewards.VoucherServed(voucher=voucher, provider=msg.sender, note=note)


# ------------------------------------------------------------------ outcomes (R27)


@external
def report_outcome(
    kind: uint256, statement: bytes32, refs: DynArray[IDataMarket.LicenceRef, _MAX_REFS]
) -> uint256:
    """
    @notice State what the records of the caller's licences led to.
    @param kind 1 model, 2 publication, 3 approved product, 4 other.
    @param statement Digest of the statement.
    @return The outcome's number.
    @dev Caller: the licensee of every licence. It is the licensee's word; nobody verified it here. Reverts on another's or
         an unknown licence, an unknown kind, and without statement or licences.
    """
    assert kind != 0 and kind <= 4, "rewards: unknown kind of outcome"
    assert statement != empty(bytes32) and len(refs) != 0, "rewards: nothing is stated"
    outcome: uint256 = self._outcome_count + 1
    self._outcome_count = outcome
    log IRewards.OutcomeReported(
        outcome=outcome, licensee=msg.sender, kind=kind, statement=statement
    )
    for ref: IDataMarket.LicenceRef in refs:
        id: bytes32 = keccak256(abi_encode(ref))
        licence: IDataMarket.Licence = staticcall _VIEW.licence(id)
        assert ref.licensee == msg.sender and licence.form != 0, "rewards: not the caller's licence"
        number: uint256 = self._outcome_counts[ref.record]
        self._outcomes[ref.record][number] = outcome
        self._outcome_counts[ref.record] = number + 1
        log IRewards.RecordLed(record=ref.record, outcome=outcome, licence=id)
    return outcome


# ------------------------------------------------------------------ governed lists and parameters


@external
def set_service(service: uint256, offer: IRewards.Service):
    """
    @notice List a service, change it, or take it off the list with a provider of zero. Vouchers stay valid for the
            provider that the list names.
    @param service Its number, from 1.
    @dev Caller: the timelock. Reverts on a number or token out of range.
    """
    access._restricted()
    assert service != 0 and service <= _POINTS, "rewards: no such service"
    assert offer.token < 2, "rewards: this token redeems nothing"
    log IRewards.ServiceChanged(service=service, previous=self._services[service], current=offer)
    self._services[service] = offer


@external
def set_beneficiary(recipient: address, listed: bool):
    """
    @notice List whom donations may go to, or take one off the list.
    @dev Caller: the timelock.
    """
    access._restricted()
    self._beneficiaries[recipient] = listed
    log IRewards.BeneficiaryChanged(recipient=recipient, listed=listed)


@external
def set_parameter(name: String[32], amount: uint256):
    """
    @notice Set `donation` or `least` (base units), or `threshold` (points).
    @dev Caller: the timelock. Reverts on another name, and out of bounds.
    """
    access._restricted()
    self._set(name, amount)


# ------------------------------------------------------------------ views


@external
@view
def account_word(account: address) -> uint256:
    """
    @notice What is stored of an account: points 64, records counted 32, last active month 32, months in a row 32,
            redemptions (the next nonce) 64, lowest bits first.
    """
    return self._accounts[account]


@external
@view
def points(board: uint256, period: uint256, account: address) -> uint256:
    """
    @notice Points of an account in one period of a board.
    """
    return self._points[board][period][account]


@external
@view
def top(board: uint256, period: uint256) -> uint256[_TEN]:
    """
    @notice The board of a period, highest first: account 160, points 96 each; zero for an empty place.
    """
    return self._tops[board][period]


@external
@view
def awarded(board: uint256, period: uint256) -> bool:
    """
    @notice Whether a period's badges were given.
    """
    return self._awarded[board][period]


@external
@view
def opens(account: address, service: uint256) -> bool:
    """
    @notice Whether a service is offered and the account's score opens it: how privileges are asked for.
    """
    offer: IRewards.Service = self._services[service]
    return offer.provider != empty(address) and self._accounts[account] & _POINTS >= offer.points


@external
@view
def service(number: uint256) -> IRewards.Service:
    """
    @notice A listed service; a provider of zero is none.
    """
    return self._services[number]


@external
@view
def voucher_word(voucher: uint256) -> uint256:
    """
    @notice What is stored of a voucher: account 160, service 64, and whether it was served in the top bit.
    """
    return self._vouchers[voucher]


@external
@view
def beneficiary(recipient: address) -> bool:
    """
    @notice Whether donations may go to an account.
    """
    return self._beneficiaries[recipient]


@external
@view
def donated(badge: uint256) -> bool:
    """
    @notice Whether a badge directed its donation.
    """
    return self._donated[badge]


@external
@view
def budget() -> uint256:
    """
    @notice Base units of DUT that donations can still take.
    """
    return self._budget


@external
@view
def outcomes(record: bytes32) -> uint256:
    """
    @notice How many outcomes were stated for a record.
    """
    return self._outcome_counts[record]


@external
@view
def outcome_at(record: bytes32, index: uint256) -> uint256:
    """
    @notice The number of a record's outcome, by its place from zero; zero when there is none.
    """
    return self._outcomes[record][index]


@external
@view
def parameters() -> (uint256, uint256, uint256):
    """
    @notice The donation and the least settled amount (base units), and the points for a badge.
    """
    return self._donation, self._least, self._threshold


# ------------------------------------------------------------------ internal


@internal
def _active(account: address, source: uint256, subject: bytes32, points: uint256):
    """
    @dev Points of a patient, and sixty more whenever six months in a row are complete.
    """
    self._earn(account, source, subject, points, False)
    month: uint256 = self._month()
    word: uint256 = self._accounts[account]
    last: uint256 = (word >> _LAST_AT) & _COUNT
    if last == month:
        return
    run: uint256 = ((word >> _RUN_AT) & _COUNT) + 1 if last + 1 == month else 1
    self._accounts[account] = (
        word & ~((_COUNT << _LAST_AT) | (_COUNT << _RUN_AT))
        | (month << _LAST_AT)
        | (run << _RUN_AT)
    )
    if run % _STREAK == 0:
        self._earn(account, _KEPT, empty(bytes32), _FOR_STREAK, False)


@internal
def _earn(account: address, source: uint256, subject: bytes32, points: uint256, institution: bool):
    month: uint256 = self._month()
    board: uint256 = 2 if institution else 0
    self._accounts[account] += points
    self._points[board][month][account] += points
    self._points[board + 1][month // _MONTHS][account] += points
    log IRewards.PointsEarned(
        account=account,
        source=source,
        subject=subject,
        points=points,
        month=month,
        institution=institution,
    )


@internal
def _once(key: bytes32):
    assert not self._counted[key], "rewards: counted before"
    self._counted[key] = True


@internal
def _set(name: String[32], amount: uint256):
    previous: uint256 = 0
    if name == "donation":
        assert amount <= _MAX_DONATION, "rewards: parameter out of bounds"
        previous = self._donation
        self._donation = amount
    elif name == "least":
        assert amount != 0 and amount <= _MAX_LEAST, "rewards: parameter out of bounds"
        previous = self._least
        self._least = amount
    else:
        assert name == "threshold", "rewards: unknown parameter"
        assert amount != 0 and amount <= _MAX_THRESHOLD, "rewards: parameter out of bounds"
        previous = self._threshold
        self._threshold = amount
    log IRewards.ParameterChanged(name=name, previous=previous, current=amount)


@internal
@view
def _month() -> uint256:
    return block.timestamp // MONTH


@internal
@pure
def _end(board: uint256, period: uint256) -> uint256:
    """
    @dev Unix seconds at which a period of a board is over.
    """
    return (period + 1) * MONTH * (1 if board % 2 == 0 else _MONTHS)


@internal
@view
def _records(account: address) -> uint256:
    return (self._accounts[account] >> _RECORDS_AT) & _COUNT


@internal
@view
def _account(number: uint256) -> address:
    account: address = empty(address)
    capabilities: uint256 = 0
    account, capabilities = staticcall _REGISTRY.institution(number)
    return account


@internal
@pure
def _settled(licence: IDataMarket.Licence) -> uint256:
    """
    @dev Base units that were settled of a licence: of a term in proportion to the time.
    """
    if licence.form == 2:
        return licence.price * licence.settled
    return licence.price * (licence.settled - licence.start) // (licence.end - licence.start)

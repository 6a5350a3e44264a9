# pragma version ~=0.4.3
"""
@title licences
@license AGPL-3.0-only
@notice What licensees bought (R12): fixed terms, and metered calls or MB. A licence is one word under the hash
        of its LicenceRef. It is bought against the consent's terms, read in the same transaction, and it ends
        with the consent, whatever else it says (R9). Money is prepaid with its levy; only what is earned is
        ever settled, and what is not earned when a licence ends goes back to the licensee.
@dev Every amount is a multiple of 10^9 base units and is stored as 64 bits of those.
"""

from ..interfaces import IDataMarket
from ..interfaces import ITariff
from . import access
from . import accounts
from . import consents
from . import links
from . import merkle
from . import purposes
from . import rates
from . import settlement
from . import signing

uses: access
uses: accounts
uses: consents
uses: links
uses: rates
uses: settlement
uses: signing

FIXED_TERM: constant(uint256) = 1
METERED: constant(uint256) = 2
RENTAL: constant(uint256) = 3
_FORM: constant(uint256) = 3
_SUSPENDED: constant(uint256) = 4
_CLOSED: constant(uint256) = 8
_URGENT: constant(uint256) = 16
_APPROVED: constant(uint256) = 32

_HIGHLY_SENSITIVE: constant(uint256) = 3
_WORLD: constant(uint256) = 1
# The bit of a consent's licensees by which the patient sells through desks alone.
_AUCTION_ONLY: constant(uint256) = 255
_YEAR: constant(uint256) = 365 * 86400
_RENTAL: constant(uint256) = 90 * 86400
_MAX_WINDOW: constant(uint256) = 30 * 86400
_ADDRESS: constant(uint256) = 2**160 - 1
_VOUCHER_TYPE: constant(bytes32) = keccak256(
    "Voucher(bytes32 licence,uint256 units,uint256 time)"
)
_GRAIN: constant(uint256) = 10**9
_MAX_BATCH: constant(uint256) = 100

_PRICE: constant(uint256) = 2**64 - 1
_NUMBER: constant(uint256) = 2**40 - 1
_EPOCH: constant(uint256) = 2**16 - 1
_END_AT: constant(uint256) = 64
_EPOCH_AT: constant(uint256) = 104
_FLAGS_AT: constant(uint256) = 120
_A_AT: constant(uint256) = 136  # fixed term: start; metered: units prepaid
_B_AT: constant(uint256) = 176  # fixed term: settled up to; metered: units used
_C_AT: constant(uint256) = 216  # metered: units settled

# licence → price 64 | end 40 | epoch 16 | flags 16 | a 40 | b 40 | c 40, lowest bits first
_licences: HashMap[bytes32, uint256]
_agreement: bytes32
# seconds after a licence's end in which acknowledged vouchers still count
_window: uint256
__gap: uint256[15]


@external
def buy_licence(
    order: IDataMarket.Order,
    consent: IDataMarket.Consent,
    proof: DynArray[bytes32, 32],
) -> bytes32:
    """
    @notice License a record from the caller's deposit.
    @param order What is asked for. By naming the agreement in force the licensee signs it (R12).
    @param consent The terms of the consent that it is bought under.
    @param proof That the record is in the consent's set; empty when the consent names this record alone.
    @return The licence's id.
    @dev Caller: the licensee. The price is one unit per started year of a fixed term, a share of it for a rental
         of at most 90 days, or one per metered unit prepaid, with the levy on top. Reverts, always with the
         reason, while the market is paused, and on anything that the consent, the record, the licensee's
         standing or its deposit does not allow.
    """
    return self._buy(msg.sender, msg.sender, order, consent, proof, 0)


@external
def issue_licence(
    licensee: address,
    order: IDataMarket.Order,
    consent: IDataMarket.Consent,
    proof: DynArray[bytes32, 32],
    price: uint256,
) -> bytes32:
    """
    @notice License a record to `licensee` from the calling desk's deposit, for `price` base units per unit.
    @dev Caller: the desk role (auctions, baskets). The price is at least the consent's floor. Reverts as
         `buy_licence` does.
    """
    access._restricted()
    assert price != 0 and price % _GRAIN == 0, "licence: price out of range"
    return self._buy(licensee, msg.sender, order, consent, proof, price)


@external
def top_up(ref: IDataMarket.LicenceRef, units: uint256):
    """
    @notice Prepay further units of the caller's metered licence at its price.
    @dev Caller: the licensee. Reverts while the market is paused, when the rates have changed since (buy another
         licence then), on a term, at an emergency's price (R13), of a licence that a passkey approved (R10), under a
         trustee's mandate (R21), when the licence cannot be used, when its record was replaced or destroyed (R35), when the licensee is frozen, and when its
         deposit is too small.
    """
    rate: uint256 = rates._require_open()
    assert ref.licensee == msg.sender, "licence: unknown licence"
    licence: bytes32 = self._id(ref)
    word: uint256 = self._licences[licence]
    self._require_usable(word)
    share: uint256 = consents._require_live(ref.consent) >> consents._SHARE_AT
    assert (staticcall links.REGISTRY.terms(ref.record)).live, "licence: record is not attested"
    # An urgent one neither: an emergency's price would be had for years after it. Nor one whose units a passkey
    # approved (R10), nor one of a trustee, who would not be paid.
    assert (
        self._flags(word) & (_FORM | _URGENT | _APPROVED) == METERED
        and share != consents.TRUST_SHARE
    ), "licence: it takes no more units"
    assert rates._epoch(rate) == self._epoch(word), "licence: the rates have changed"
    assert units != 0 and units <= _NUMBER - self._a(word), "licence: units out of range"
    paid: uint256 = (word & _PRICE) * _GRAIN * units
    levy: uint256 = rates._levy(rate, paid)
    account: uint256 = accounts._licensees[msg.sender]
    accounts._require_free(msg.sender, account)
    accounts._debit(msg.sender, account, paid + levy)
    self._licences[licence] = word + (units << _A_AT)
    log IDataMarket.LicenceToppedUp(licence=licence, units=units, paid=paid, levy=levy)


@external
def redeem_vouchers(vouchers: DynArray[IDataMarket.Voucher, _MAX_BATCH]):
    """
    @notice Count the calls that licensees acknowledged off the chain (R14): each voucher carries the number
            used in all since the licence began, so the last one is enough.
    @dev Anybody may call. Each is signed (EIP-712) by the key in its licence's salt. One whose units are all counted
         already is passed over: somebody who brings it first must not spoil the rest. A suspension stops uses, not
         the payment of what was acknowledged. Reverts when a licence takes no vouchers or is closed, on more units
         than are prepaid, on another's signature, and on a voucher that is dated in the future, after the licence's
         end or after the revocation, or that comes later than the window after either.
    """
    for voucher: IDataMarket.Voucher in vouchers:
        self._redeem(voucher)


@external
def use_licence(consent: bytes32, record: bytes32, salt: uint256, units: uint256):
    """
    @notice Use the caller's licence: `units` calls or MB of a metered one, or a logged use of a fixed term.
    @dev Caller: the licensee. Reverts when there is no such licence of the caller's, when it has ended, is
         suspended or closed, when its consent is revoked, when no unit is named or too few are prepaid.
    """
    licence: bytes32 = self._id(
        IDataMarket.LicenceRef(consent=consent, record=record, licensee=msg.sender, salt=salt)
    )
    word: uint256 = self._licences[licence]
    self._require_usable(word)
    assert consents._revoked_at(consent) == 0, "consent: it was revoked"
    assert units != 0 and units <= _NUMBER, "licence: units out of range"
    used: uint256 = 0
    if self._form(word) == METERED:
        # What is left bounds the units before they are added, so that no sum can overflow.
        assert units <= self._a(word) - self._b(word), "licence: too few units prepaid"
        used = self._b(word) + units
        self._licences[licence] = word + (units << _B_AT)
    log IDataMarket.LicenceUsed(licence=licence, units=units, used=used)


@external
@nonreentrant
def settle(refs: DynArray[IDataMarket.LicenceRef, _MAX_BATCH]):
    """
    @notice Credit what licences have earned since they were last settled, and send the levy to the treasury.
            A licence that has ended, by time or by revocation, is closed and the unearned part returned.
    @param refs The licences, at most 100.
    @dev Anybody may call: money only goes to those whose it is. A closed licence is passed over. Reverts on an
         unknown one.
    """
    totals: settlement.Totals = empty(settlement.Totals)
    for ref: IDataMarket.LicenceRef in refs:
        totals = self._settle(ref, totals)
    settlement._conclude(totals)


@external
def set_suspended(licence: bytes32, suspended: bool):
    """
    @notice Suspend a licence, or let it run again. A suspended licence cannot be used; its term goes on.
    @dev Caller: the supervisor role (R31). Reverts on an unknown or closed licence.
    """
    access._restricted()
    word: uint256 = self._licences[licence]
    assert word != 0, "licence: unknown licence"
    assert self._flags(word) & _CLOSED == 0, "licence: it is closed"
    flag: uint256 = _SUSPENDED << _FLAGS_AT
    self._licences[licence] = word | flag if suspended else word & ~flag
    log IDataMarket.LicenceSuspended(licence=licence, suspended=suspended)


@external
def set_agreement(agreement: bytes32):
    """
    @notice Put another data-use commitment in force: the hash of the text that every buyer signs.
    @dev Caller: the timelock. Zero stops every purchase.
    """
    access._restricted()
    self._set_agreement(agreement)


@external
def set_window(window: uint256):
    """
    @notice Set how many seconds after a licence's end acknowledged vouchers still count (R14), at most 30 days.
    @dev Caller: the timelock.
    """
    access._restricted()
    self._set_window(window)


@external
@view
def agreement() -> bytes32:
    """
    @notice Hash of the data-use commitment in force.
    """
    return self._agreement


@external
@view
def window() -> uint256:
    """
    @notice Seconds after a licence's end in which acknowledged vouchers still count.
    """
    return self._window


@external
@view
def licence_word(id: bytes32) -> uint256:
    """
    @notice What is stored of a licence: price (10^9 base units) 64, end 40, rates epoch 16, flags 16 (form 2,
            suspended 1, closed 1, urgent 1, approved by a passkey 1), then for a fixed term start 40, settled up to 40; for a metered one units
            prepaid 40, used 40, settled 40; lowest bits first. Zero for an unknown one.
    """
    return self._licences[id]


@internal
def _buy(
    licensee: address,
    payer: address,
    order: IDataMarket.Order,
    consent: IDataMarket.Consent,
    proof: DynArray[bytes32, 32],
    fixed: uint256,
) -> bytes32:
    """
    @dev The one way in which a licence comes about. `fixed` is a desk's price per unit, zero for R13's.
    """
    rate: uint256 = rates._require_open()
    assert (
        order.agreement != empty(bytes32) and order.agreement == self._agreement
    ), "licence: agreement not signed"
    assert order.end > block.timestamp, "licence: the term has no length"
    units: uint256 = order.units
    if order.form == METERED:
        assert units != 0 and units <= _NUMBER, "licence: units out of range"
    else:
        assert order.form == FIXED_TERM or order.form == RENTAL, "licence: unknown form"
        assert units == 0, "licence: a term has no units"
        units = (order.end - block.timestamp + _YEAR - 1) // _YEAR
        assert (
            order.form == FIXED_TERM or order.end <= block.timestamp + _RENTAL
        ), "licence: too long for a rental"

    id: bytes32 = consents._id(consent)
    consents._require_live(id)
    assert order.end <= consent.expiry, "licence: outlives the consent"
    assert purposes._permits(
        consent.purposes, consent.diseases, order.purposes, order.diseases
    ), "consent: purpose not covered"
    assert merkle._proves(proof, consent.records, order.record), "consent: record not covered"

    account: uint256 = accounts._licensees[licensee]
    accounts._require_free(licensee, account)
    assert (
        accounts._groups(account) & consent.licensees != 0
    ), "consent: licensee not covered"
    assert (
        fixed != 0 or consent.licensees >> _AUCTION_ONLY == 0
    ), "consent: sold by auction only"
    region: uint256 = accounts._region(account)
    assert region != 0 and (
        consent.region == _WORLD or consent.region == region
    ), "consent: region not covered"

    quote: ITariff.Quote = staticcall links.TARIFF.quote(
        ITariff.Ask(
            record=order.record,
            form=order.form,
            purposes=order.purposes,
            urgent=order.urgent,
            floorPrice=consent.floorPrice,
            region=region,
            certified=accounts._flags(account) & accounts.CERTIFIED != 0,
        )
    )
    assert quote.live, "licence: record is not attested"
    assert quote.price != 0, "licence: kind is not for sale"
    assert quote.owner == consent.patient, "consent: not by record's owner"
    assert quote.tier <= consent.tier, "consent: tier not covered"
    # There the patient approved this very order with a passkey (R10); Passkeys itself says so when not.
    if consent.tier >= _HIGHLY_SENSITIVE:
        assert staticcall links.PASSKEYS.require_approved(consent.patient, id, licensee, order)

    price: uint256 = quote.price
    if fixed != 0:
        assert fixed >= consent.floorPrice, "licence: price below the floor"
        price = fixed
    assert price <= order.maxPrice, "licence: price above the limit"
    paid: uint256 = price * units
    levy: uint256 = rates._levy(rate, paid)
    if order.form != METERED:
        price = paid
    assert price <= _PRICE * _GRAIN, "licence: price out of range"
    accounts._debit(payer, accounts._licensees[payer], paid + levy)

    licence: bytes32 = self._id(
        IDataMarket.LicenceRef(
            consent=id, record=order.record, licensee=licensee, salt=order.salt
        )
    )
    assert self._licences[licence] == 0, "licence: bought before"
    packed: uint256 = (
        (price // _GRAIN)
        | (order.end << _END_AT)
        | (rates._epoch(rate) << _EPOCH_AT)
        | (
            (
                order.form
                | (convert(order.urgent, uint256) * _URGENT)
                | (convert(consent.tier >= _HIGHLY_SENSITIVE, uint256) * _APPROVED)
            )
            << _FLAGS_AT
        )
    )
    if order.form == METERED:
        packed |= units << _A_AT
    else:
        packed |= (block.timestamp << _A_AT) | (block.timestamp << _B_AT)
    self._licences[licence] = packed
    log IDataMarket.LicenceBought(
        licence=licence,
        consent=id,
        licensee=licensee,
        payer=payer,
        record=order.record,
        form=order.form,
        price=price,
        units=order.units,
        end=order.end,
        purposes=order.purposes,
        diseases=order.diseases,
        urgent=order.urgent,
        agreement=order.agreement,
        salt=order.salt,
        epoch=rates._epoch(rate),
        paid=paid,
        levy=levy,
    )
    return licence


@internal
def _redeem(voucher: IDataMarket.Voucher):
    ref: IDataMarket.LicenceRef = voucher.ref
    licence: bytes32 = self._id(ref)
    word: uint256 = self._licences[licence]
    assert word != 0 and self._form(word) == METERED, "voucher: no metered licence"
    # A suspended one pays what it acknowledged: else misuse would have its money back when it ends.
    assert self._flags(word) & _CLOSED == 0, "voucher: licence is closed"
    signer: address = convert(ref.salt & _ADDRESS, address)
    assert signer != empty(address), "voucher: no signer was named"
    last: uint256 = self._last(word, consents._revoked_at(ref.consent))
    assert (
        voucher.time <= last and voucher.time <= block.timestamp
    ), "voucher: dated too late"
    assert block.timestamp <= last + self._window, "voucher: the window has closed"
    used: uint256 = self._b(word)
    if voucher.units <= used:
        return
    assert voucher.units <= self._a(word), "licence: too few units prepaid"
    signing._require(
        signer,
        keccak256(abi_encode(_VOUCHER_TYPE, licence, voucher.units, voucher.time)),
        voucher.signature,
    )
    self._licences[licence] = word + ((voucher.units - used) << _B_AT)
    log IDataMarket.VoucherRedeemed(
        licence=licence, units=voucher.units - used, used=voucher.units, time=voucher.time
    )


@internal
def _settle(ref: IDataMarket.LicenceRef, totals: settlement.Totals) -> settlement.Totals:
    id: bytes32 = self._id(ref)
    word: uint256 = self._licences[id]
    assert word != 0, "licence: unknown licence"
    # Somebody who settles one of a batch first must not spoil the rest.
    if self._flags(word) & _CLOSED != 0:
        return totals

    revoked: uint256 = consents._revoked_at(ref.consent)
    stop: uint256 = self._stop(word, revoked)
    earned: uint256 = self._earned(word, stop)
    gross: uint256 = earned - self._earned(word, self._mark(word))
    ended: bool = revoked != 0 or self._end(word) <= block.timestamp
    # Vouchers acknowledged before the end may still come, within the window (R14).
    if self._form(word) == METERED and ref.salt & _ADDRESS != 0:
        ended = block.timestamp > self._last(word, revoked) + self._window
    # Nothing is written that no event tells: a mark that moved for less than a grain would be lost.
    if gross == 0 and not ended:
        return totals

    updated: uint256 = 0
    if self._form(word) == METERED:
        updated = (word & ~(_NUMBER << _C_AT)) | (stop << _C_AT)
    else:
        updated = (word & ~(_NUMBER << _B_AT)) | (stop << _B_AT)
    if ended:
        updated |= _CLOSED << _FLAGS_AT
    self._licences[id] = updated

    current: settlement.Totals = totals
    if gross != 0:
        share: uint256 = consents._consents[ref.consent] >> consents._SHARE_AT
        current = settlement._credit(
            id, ref.record, stop, gross, self._epoch(word), share, totals
        )
    if ended:
        refund: uint256 = self._paid(word) - earned
        levy: uint256 = rates._levy(rates._epochs[self._epoch(word)], refund)
        accounts._refund(ref.licensee, refund + levy)
        log IDataMarket.LicenceClosed(
            licence=id, licensee=ref.licensee, refund=refund, levy=levy
        )
    return current


@internal
def _set_agreement(agreement: bytes32):
    log IDataMarket.AgreementChanged(previous=self._agreement, current=agreement)
    self._agreement = agreement


@internal
def _set_window(window: uint256):
    assert window <= _MAX_WINDOW, "licence: window out of bounds"
    log IDataMarket.WindowChanged(previous=self._window, current=window)
    self._window = window


@internal
@view
def _require_usable(word: uint256):
    assert word != 0, "licence: unknown licence"
    assert self._flags(word) & _CLOSED == 0, "licence: it is closed"
    assert self._flags(word) & _SUSPENDED == 0, "licence: it is suspended"
    assert self._end(word) > block.timestamp, "licence: it has ended"


@internal
@view
def _stop(word: uint256, revoked: uint256) -> uint256:
    """
    @dev The mark up to which the licence has earned: units used, or the second at which it stopped or now is.
    """
    if self._form(word) == METERED:
        return self._b(word)
    return min(block.timestamp, self._last(word, revoked))


@internal
@pure
def _last(word: uint256, revoked: uint256) -> uint256:
    """
    @dev The second at which the licence ends: its end, or the revocation when that came first.
    """
    end: uint256 = self._end(word)
    return min(end, revoked) if revoked != 0 else end


@internal
@pure
def _earned(word: uint256, mark: uint256) -> uint256:
    """
    @dev Base units earned up to a mark, always counted from the start, so that no rounding adds up.
    """
    price: uint256 = word & _PRICE
    if self._form(word) == METERED:
        return price * mark * _GRAIN
    start: uint256 = self._a(word)
    return price * (mark - start) // (self._end(word) - start) * _GRAIN


@internal
@pure
def _paid(word: uint256) -> uint256:
    price: uint256 = (word & _PRICE) * _GRAIN
    return price * self._a(word) if self._form(word) == METERED else price


@internal
@pure
def _mark(word: uint256) -> uint256:
    return self._c(word) if self._form(word) == METERED else self._b(word)


@internal
@pure
def _id(ref: IDataMarket.LicenceRef) -> bytes32:
    return keccak256(abi_encode(ref))


@internal
@pure
def _flags(word: uint256) -> uint256:
    return (word >> _FLAGS_AT) & _EPOCH


@internal
@pure
def _form(word: uint256) -> uint256:
    return (word >> _FLAGS_AT) & _FORM


@internal
@pure
def _end(word: uint256) -> uint256:
    return (word >> _END_AT) & _NUMBER


@internal
@pure
def _epoch(word: uint256) -> uint256:
    return (word >> _EPOCH_AT) & _EPOCH


@internal
@pure
def _a(word: uint256) -> uint256:
    return (word >> _A_AT) & _NUMBER


@internal
@pure
def _b(word: uint256) -> uint256:
    return (word >> _B_AT) & _NUMBER


@internal
@pure
def _c(word: uint256) -> uint256:
    return word >> _C_AT

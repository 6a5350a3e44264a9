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
from ..interfaces import IRecordRegistry
from . import access
from . import accounts
from . import consents
from . import links
from . import merkle
from . import pricing
from . import purposes
from . import rates
from . import settlement

uses: access
uses: accounts
uses: consents
uses: links
uses: pricing
uses: rates
uses: settlement

FIXED_TERM: constant(uint256) = 1
METERED: constant(uint256) = 2
_FORM: constant(uint256) = 3
_SUSPENDED: constant(uint256) = 4
_CLOSED: constant(uint256) = 8

_HIGHLY_SENSITIVE: constant(uint256) = 3
_WORLD: constant(uint256) = 1
_YEAR: constant(uint256) = 365 * 86400
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
__gap: uint256[16]


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
    @dev Caller: the licensee. The price is one unit per started year of a fixed term, or per metered unit
         prepaid, with the levy on top. Reverts, always with the reason, while the market is paused, and on
         anything that the consent, the record, the licensee's standing or its deposit does not allow.
    """
    word: uint256 = rates._require_open()
    assert (
        order.agreement != empty(bytes32) and order.agreement == self._agreement
    ), "licence: agreement not signed"
    assert order.end > block.timestamp, "licence: the term has no length"
    units: uint256 = order.units
    if order.form == FIXED_TERM:
        assert units == 0, "licence: a term has no units"
        units = (order.end - block.timestamp + _YEAR - 1) // _YEAR
    else:
        assert order.form == METERED, "licence: unknown form"
        assert units != 0 and units <= _NUMBER, "licence: units out of range"

    id: bytes32 = consents._id(consent)
    consents._require_live(id)
    assert order.end <= consent.expiry, "licence: outlives the consent"
    assert purposes._permits(
        consent.purposes, consent.diseases, order.purposes, order.diseases
    ), "consent: purpose not covered"
    assert merkle._proves(
        proof, consent.records, order.record
    ), "consent: record not covered"

    account: uint256 = accounts._licensees[msg.sender]
    assert accounts._flags(account) & accounts.FROZEN == 0, "licence: the licensee is frozen"
    assert (
        accounts._groups(account) & consent.licensees != 0
    ), "consent: licensee not covered"
    region: uint256 = accounts._region(account)
    assert region != 0 and (
        consent.region == _WORLD
        or consent.region == region
    ), "consent: region not covered"

    terms: IRecordRegistry.Terms = staticcall links.REGISTRY.terms(order.record)
    assert terms.live, "licence: record is not attested"
    assert terms.owner == consent.patient, "consent: not by record's owner"
    assert terms.tier <= consent.tier, "consent: tier not covered"
    # A fresh passkey assertion is required there (R10); without a way to check one, nobody buys.
    assert (
        consent.tier < _HIGHLY_SENSITIVE
    ), "licence: patient's passkey needed"

    price: uint256 = pricing._unit_price(terms.kind, terms.dvi, consent.floorPrice)
    assert price <= order.maxPrice, "licence: price above the limit"
    paid: uint256 = price * units
    levy: uint256 = rates._levy(word, paid)
    if order.form == FIXED_TERM:
        price = paid
    assert price <= _PRICE * _GRAIN, "licence: price out of range"
    accounts._debit(msg.sender, account, paid + levy)

    licence: bytes32 = self._id(
        IDataMarket.LicenceRef(
            consent=id, record=order.record, licensee=msg.sender, salt=order.salt
        )
    )
    assert self._licences[licence] == 0, "licence: bought before"
    packed: uint256 = (
        (price // _GRAIN)
        | (order.end << _END_AT)
        | (rates._epoch(word) << _EPOCH_AT)
        | (order.form << _FLAGS_AT)
    )
    if order.form == FIXED_TERM:
        packed |= (block.timestamp << _A_AT) | (block.timestamp << _B_AT)
    else:
        packed |= units << _A_AT
    self._licences[licence] = packed
    log IDataMarket.LicenceBought(
        licence=licence,
        consent=id,
        licensee=msg.sender,
        record=order.record,
        form=order.form,
        price=price,
        units=order.units,
        end=order.end,
        purposes=order.purposes,
        diseases=order.diseases,
        agreement=order.agreement,
        salt=order.salt,
        epoch=rates._epoch(word),
        paid=paid,
        levy=levy,
    )
    return licence


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
    assert units != 0, "licence: no unit is named"
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
    @dev Anybody may call: money only goes to those whose it is. Reverts on an unknown or closed licence.
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
@view
def agreement() -> bytes32:
    """
    @notice Hash of the data-use commitment in force.
    """
    return self._agreement


@external
@view
def quote(record: bytes32, floorPrice: uint256) -> uint256:
    """
    @notice The price of one unit of a record now, under a consent with this floor; base units.
    @dev Reverts when the kind is not for sale. An unattested record quotes its floor but cannot be bought.
    """
    terms: IRecordRegistry.Terms = staticcall links.REGISTRY.terms(record)
    return pricing._unit_price(terms.kind, terms.dvi, floorPrice)


@external
@view
def licence_id(ref: IDataMarket.LicenceRef) -> bytes32:
    """
    @notice The id of the licence with this ref.
    """
    return self._id(ref)


@external
@view
def licence_word(id: bytes32) -> uint256:
    """
    @notice What is stored of a licence: price (10^9 base units) 64, end 40, rates epoch 16, flags 16 (form 2,
            suspended 1, closed 1), then for a fixed term start 40, settled up to 40; for a metered one units
            prepaid 40, used 40, settled 40; lowest bits first. Zero for an unknown one.
    """
    return self._licences[id]


@external
@view
def is_usable(ref: IDataMarket.LicenceRef) -> bool:
    """
    @notice Whether the licence can be used now: bought, running, not suspended, its consent not revoked.
    """
    word: uint256 = self._licences[self._id(ref)]
    if word == 0 or self._flags(word) & (_SUSPENDED | _CLOSED) != 0:
        return False
    return self._end(word) > block.timestamp and consents._revoked_at(ref.consent) == 0


@internal
def _settle(ref: IDataMarket.LicenceRef, totals: settlement.Totals) -> settlement.Totals:
    id: bytes32 = self._id(ref)
    word: uint256 = self._licences[id]
    assert word != 0, "licence: unknown licence"
    assert self._flags(word) & _CLOSED == 0, "licence: it is closed"

    revoked: uint256 = consents._revoked_at(ref.consent)
    stop: uint256 = self._stop(word, revoked)
    earned: uint256 = self._earned(word, stop)
    gross: uint256 = earned - self._earned(word, self._mark(word))
    ended: bool = revoked != 0 or self._end(word) <= block.timestamp
    # Nothing is written that no event tells: a mark that moved for less than a grain would be lost.
    if gross == 0 and not ended:
        return totals

    updated: uint256 = 0
    if self._form(word) == FIXED_TERM:
        updated = (word & ~(_NUMBER << _B_AT)) | (stop << _B_AT)
    else:
        updated = (word & ~(_NUMBER << _C_AT)) | (stop << _C_AT)
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
    stop: uint256 = min(block.timestamp, self._end(word))
    return min(stop, revoked) if revoked != 0 else stop


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

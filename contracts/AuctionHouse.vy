# pragma version ~=0.4.3
"""
@title AuctionHouse
@license AGPL-3.0-only
@notice English auctions for scarce access to a record (R12). A patient offers a fixed term under one of its consents
        by one signature; licensees bid from what they have deposited in the market, certified ones first. Whoever is
        outbid has its money back in its deposit in the same transaction, so nothing is pushed and nobody can block
        anybody. After the end anyone has the licence issued to the winner; what cannot be awarded is given back,
        by anyone too. The house keeps no money that no running auction holds, and has no power over any of it.
@dev Behind a proxy; holds the desk role. What it holds lies in its own deposit in the market: for each auction the
     highest price and a tenth, which is the highest levy that the market's rates allow.
     What it cannot prevent: a licensee that colludes with the patient bids to drive the price. It needs a credential
     and ties up its deposit; when it wins it pays levy, platform, annotator and custodian for nothing, or the patient
     revokes the consent in public to avoid that, which ends the offer and every other licence under the consent.
"""

from interfaces import IAuctionHouse
from interfaces import IDataMarket
from interfaces import IRecordRegistry
from interfaces import IUsageToken
from modules import access
from modules import accounts
from modules import consents
from modules import initializer
from modules import merkle
from modules import purposes
from modules import signing

initializes: initializer
initializes: access
initializes: signing

exports: (access.authority, signing.eip712Domain)

_MARKET: immutable(IDataMarket)
_REGISTRY: immutable(IRecordRegistry)
_DUT: immutable(IUsageToken)

_OFFER_TYPE: constant(bytes32) = keccak256(
    "AuctionOffer(bytes32 consent,bytes32 record,uint256 reserve,uint256 opens,uint256 ends,uint256 term,uint256 certifiedFirst,uint256 nonce)"
)
_WITHDRAWAL_TYPE: constant(bytes32) = keccak256("AuctionWithdrawal(bytes32 auction)")
_MAX_SIGNATURE: constant(uint256) = 1024

_BPS: constant(uint256) = 10_000
_GRAIN: constant(uint256) = 10**9
_DAY: constant(uint256) = 86400
_YEAR: constant(uint256) = 365 * 86400
_FIXED_TERM: constant(uint256) = 1
_HIGHLY_SENSITIVE: constant(uint256) = 3
# The highest levy that the market's rates allow, in bps: a change of rates never leaves an award short.
_MAX_LEVY: constant(uint256) = 1_000
# How long an auction may run, so that no bid is held for longer.
_MAX_LENGTH: constant(uint256) = 90 * 86400
# Bounds within which the timelock may move the terms.
_MIN_INCREMENT: constant(uint256) = 100
_MAX_INCREMENT: constant(uint256) = 5_000
_MIN_EXTENSION: constant(uint256) = 60
_MAX_EXTENSION: constant(uint256) = 86400
_MAX_PATIENCE: constant(uint256) = 30

_ADDRESS: constant(uint256) = 2**160 - 1
_TIME: constant(uint256) = 2**40 - 1
_CODE: constant(uint256) = 2**16 - 1
_SECONDS: constant(uint256) = 2**24 - 1
_PRICE: constant(uint256) = 2**64 - 1
_HASH: constant(uint256) = 2**192 - 1
_REVOKED_AT: constant(uint256) = 200
_ENDS_AT: constant(uint256) = 160
_INCREMENT_AT: constant(uint256) = 200
_EXTENSION_AT: constant(uint256) = 216
_PATIENCE_AT: constant(uint256) = 240
_OPENED: constant(uint256) = 1 << 248
_DONE: constant(uint256) = 1 << 249

# auction → bidder 160 | ends 40 | increment 16 | extension 24 | patience 8 | opened 1 | done 1, lowest bits first
_auctions: HashMap[bytes32, uint256]
# auction → price of the highest bid (10^9 base units) 64 | hash of its undertaking 192, lowest bits first
_bids: HashMap[bytes32, uint256]
# increment 16 | extension 24 | patience 8, each at its place in an auction's word
_terms: uint256
__gap: uint256[16]


@deploy
def __init__(
    deployer: address, manager: address, market: address, registry: address, usage: address
):
    """
    @param deployer The account that initialises the proxy, once.
    @param manager The AccessManager.
    @param market The DataMarket's proxy.
    @param registry The RecordRegistry's proxy.
    @param usage The UsageToken (DUT).
    """
    access.__init__(manager)
    initializer.__init__(deployer)
    signing.__init__("medtoken", "1")
    assert (
        market != empty(address) and registry != empty(address) and usage != empty(address)
    ), "links: a contract is missing"
    _MARKET = IDataMarket(market)
    _REGISTRY = IRecordRegistry(registry)
    _DUT = IUsageToken(usage)


@external
def initialize(increment: uint256, extension: uint256, patience: uint256):
    """
    @notice Set the first terms, once; as `set_terms`.
    @dev Caller: the deployer, through the proxy.
    """
    initializer._initialize()
    self._set_terms(increment, extension, patience)


@external
def set_terms(increment: uint256, extension: uint256, patience: uint256):
    """
    @notice Set the terms of auctions that are opened from now on.
    @param increment bps by which a bid must exceed the one before, 100–5,000.
    @param extension Seconds that are left at least after a bid, 60–86,400.
    @param patience Days after the end in which only an award, and not the market's or the winner's troubles, frees
           the winner's money, 1–30.
    @dev Caller: the timelock. Reverts out of bounds.
    """
    access._restricted()
    self._set_terms(increment, extension, patience)


@external
def open_auction(
    offer: IAuctionHouse.AuctionOffer,
    consent: IDataMarket.Consent,
    proof: DynArray[bytes32, 32],
    signature: Bytes[_MAX_SIGNATURE],
) -> bytes32:
    """
    @notice Open the auction that a patient signed.
    @param consent The terms of the consent that the offer names.
    @param proof That the record is in the consent's set; empty when the consent names this record alone.
    @param signature The patient's EIP-712 signature over the offer, in this contract's domain; empty when the patient
           sends the transaction itself.
    @return The auction's id.
    @dev Anybody may relay. Reverts when it was opened or withdrawn before, on another's signature, on times or
         a reserve out of range, after `opens` (a relay that waits would take the certified's time from them), on a
         consent that mandates a trustee, and when the consent and the record do not allow what is offered.
    """
    id: bytes32 = self._id(offer)
    assert self._auctions[id] == 0, "auction: it was opened before"
    assert (
        offer.opens >= block.timestamp
        and offer.ends > offer.opens
        and offer.ends - offer.opens <= _MAX_LENGTH
        and offer.ends <= _TIME
        and offer.certifiedFirst < offer.ends - offer.opens
        and offer.term != 0
        and offer.term <= _TIME
    ), "auction: times out of range"
    self._require_consent(offer.consent, consent)
    assert offer.ends + offer.term <= consent.expiry, "auction: outlives the consent"
    assert consent.tier < _HIGHLY_SENSITIVE, "auction: needs patient's passkey"
    # Here nobody would pay the trustee (R21).
    assert consent.patientShare != consents.TRUST_SHARE, "auction: a trustee sells it"
    # Every started year is a unit, and each must bring the consent's floor.
    least: uint256 = max(consent.floorPrice, _GRAIN) * self._years(offer.term)
    assert (
        offer.reserve % _GRAIN == 0 and offer.reserve >= least and offer.reserve <= _PRICE * _GRAIN
    ), "auction: reserve out of range"
    assert merkle._proves(proof, consent.records, offer.record), "auction: record not in consent"
    found: IRecordRegistry.Terms = staticcall _REGISTRY.terms(offer.record)
    assert (
        found.live and found.owner == consent.patient and found.tier <= consent.tier
    ), "auction: record not for offer"
    signing._require(consent.patient, id, signature)

    terms: uint256 = self._terms
    self._auctions[id] = _OPENED | terms | (offer.ends << _ENDS_AT)
    log IAuctionHouse.AuctionOpened(
        auction=id,
        record=offer.record,
        patient=consent.patient,
        offer=offer,
        increment=self._increment(terms),
        extension=self._extension(terms),
        patience=self._patience(terms),
    )
    return id


@external
def withdraw_auction(offer: IAuctionHouse.AuctionOffer, signature: Bytes[_MAX_SIGNATURE]):
    """
    @notice Take an offer back for good: one that was not opened yet, or on which nobody has bid.
    @param signature The patient's EIP-712 signature over AuctionWithdrawal(auction); empty when the patient sends the
           transaction itself.
    @dev Anybody may relay. Reverts when it is over, when there is a bid (then only revoking the consent ends it), and
         on another's signature.
    """
    id: bytes32 = self._id(offer)
    word: uint256 = self._auctions[id]
    assert word & _DONE == 0, "auction: it is over"
    assert word & _ADDRESS == 0, "auction: somebody has bid"
    patient: uint256 = staticcall _MARKET.consent_word(offer.consent) & _ADDRESS
    signing._require(
        convert(patient, address), keccak256(abi_encode(_WITHDRAWAL_TYPE, id)), signature
    )
    self._auctions[id] = word | _DONE
    log IAuctionHouse.AuctionWithdrawn(auction=id)


@external
def bid(
    offer: IAuctionHouse.AuctionOffer,
    consent: IDataMarket.Consent,
    price: uint256,
    undertaking: IAuctionHouse.Undertaking,
):
    """
    @notice Bid `price` base units for the whole term from the caller's deposit in the market. The one who led until
            now has its money back at once.
    @param consent The terms of the consent that the offer names.
    @param undertaking What the licence is for. By naming the agreement in force the bidder signs it.
    @dev Caller: a licensee that the consent covers, certified in the first `certifiedFirst` seconds, and no party of
         the record. The price and a tenth are held, which covers the highest levy; what the levy does not take comes
         back with the award. A bid in the last seconds moves the end. Reverts while the market is paused, outside
         the auction's time, on a bid that is too low, and on anything that would keep the licence from being issued.
    """
    id: bytes32 = self._id(offer)
    word: uint256 = self._require_running(id)
    assert block.timestamp >= offer.opens, "auction: it is not open yet"
    ends: uint256 = self._ends(word)
    assert block.timestamp < ends, "auction: it has ended"
    self._require_consent(offer.consent, consent)
    self._require_eligible(offer, consent, undertaking)

    last: uint256 = self._bids[id]
    assert price >= self._least(offer, word, last), "auction: the bid is too low"
    assert price % _GRAIN == 0 and price <= _PRICE * _GRAIN, "auction: price out of range"
    # A late bid leaves the others time to answer, as long as the consent has time for the term.
    ends = max(ends, min(block.timestamp + self._extension(word), consent.expiry - offer.term))
    self._auctions[id] = (
        (word & ~(_ADDRESS | (_TIME << _ENDS_AT)))
        | convert(msg.sender, uint256)
        | (ends << _ENDS_AT)
    )
    self._bids[id] = (price // _GRAIN) | (self._hash(undertaking) << 64)
    log IAuctionHouse.AuctionBid(
        auction=id,
        bidder=msg.sender,
        price=price,
        held=self._held(price),
        ends=ends,
        purposes=undertaking.purposes,
        diseases=undertaking.diseases,
        agreement=undertaking.agreement,
    )
    outbid: address = convert(word & _ADDRESS, address)
    if outbid != empty(address):
        extcall _MARKET.release(outbid, self._held((last & _PRICE) * _GRAIN))
    extcall _MARKET.charge(msg.sender, self._held(price))


@external
def award(
    offer: IAuctionHouse.AuctionOffer,
    consent: IDataMarket.Consent,
    proof: DynArray[bytes32, 32],
    undertaking: IAuctionHouse.Undertaking,
) -> bytes32:
    """
    @notice Have the winner's licence issued at its price; what was held beyond goes back to its deposit.
    @param consent The terms of the consent that the offer names.
    @param proof That the record is in the consent's set.
    @param undertaking The winner's, as in its bid.
    @return The licence's id.
    @dev Anybody may call, from the end on. The licence lasts until `term` seconds after the end, however late this
         comes. Reverts before the end, without a bid, when it is over, on another undertaking, and with the market's
         reason when it refuses the licence.
    """
    id: bytes32 = self._id(offer)
    word: uint256 = self._require_running(id)
    ends: uint256 = self._ends(word)
    assert block.timestamp >= ends, "auction: it has not ended"
    winner: address = convert(word & _ADDRESS, address)
    assert winner != empty(address), "auction: there was no bid"
    bidden: uint256 = self._bids[id]
    assert self._hash(undertaking) == bidden >> 64, "auction: other undertaking"
    end: uint256 = ends + offer.term
    assert end > block.timestamp, "auction: awarded too late"
    self._finish(id, word)

    # As the market counts: one unit for each started year, and a price in grains for each.
    price: uint256 = (bidden & _PRICE) // self._years(end - block.timestamp) * _GRAIN
    before: uint256 = self._deposited()
    licence: bytes32 = extcall _MARKET.issue_licence(
        winner,
        IDataMarket.Order(
            record=offer.record,
            form=_FIXED_TERM,
            units=0,
            end=end,
            purposes=undertaking.purposes,
            diseases=undertaking.diseases,
            urgent=False,
            maxPrice=price,
            agreement=undertaking.agreement,
            # Nobody knows it before, so that nobody can occupy the licence's id.
            salt=convert(keccak256(abi_encode(id, block.timestamp)), uint256) >> 160 << 160,
        ),
        consent,
        proof,
        price,
    )
    spent: uint256 = before - self._deposited()
    returned: uint256 = self._held((bidden & _PRICE) * _GRAIN) - spent
    log IAuctionHouse.AuctionAwarded(
        auction=id, licence=licence, licensee=winner, spent=spent, returned=returned
    )
    extcall _MARKET.release(winner, returned)
    return licence


@external
def give_back(offer: IAuctionHouse.AuctionOffer):
    """
    @notice Return everything that is held to the highest bidder, and end the auction: at once when the consent is
            revoked or expired or the record is no longer live, else when it was not awarded for `patience` days, or for the whole term where that is shorter.
    @dev Anybody may call. Never paused. Reverts while it can still be awarded, without a bid, and when it is over.
    """
    id: bytes32 = self._id(offer)
    word: uint256 = self._require_running(id)
    bidder: address = convert(word & _ADDRESS, address)
    assert bidder != empty(address), "auction: there was no bid"
    if self._is_live(offer.consent) and (staticcall _REGISTRY.terms(offer.record)).live:
        assert (
            block.timestamp >= self._ends(word) + min(self._patience(word) * _DAY, offer.term)
        ), "auction: it can be awarded"
    returned: uint256 = self._held((self._bids[id] & _PRICE) * _GRAIN)
    self._finish(id, word)
    log IAuctionHouse.AuctionGivenBack(auction=id, bidder=bidder, returned=returned)
    extcall _MARKET.release(bidder, returned)


@external
@view
def auction(id: bytes32) -> IAuctionHouse.Auction:
    """
    @notice What is stored of an auction; zeros for an unknown one.
    """
    word: uint256 = self._auctions[id]
    last: uint256 = self._bids[id]
    return IAuctionHouse.Auction(
        opened=word & _OPENED != 0,
        done=word & _DONE != 0,
        bidder=convert(word & _ADDRESS, address),
        price=(last & _PRICE) * _GRAIN,
        undertaking=last >> 64,
        ends=self._ends(word),
        increment=self._increment(word),
        extension=self._extension(word),
        patience=self._patience(word),
    )


@external
@view
def least_bid(offer: IAuctionHouse.AuctionOffer) -> uint256:
    """
    @notice The lowest price that a bid must name now, base units; zero when the auction is not open or is over.
    """
    id: bytes32 = self._id(offer)
    word: uint256 = self._auctions[id]
    if word & _OPENED == 0 or word & _DONE != 0:
        return 0
    return self._least(offer, word, self._bids[id])


@external
@pure
def auction_id(offer: IAuctionHouse.AuctionOffer) -> bytes32:
    """
    @notice The id of the auction with this offer.
    """
    return self._id(offer)


@external
@view
def terms() -> (uint256, uint256, uint256):
    """
    @notice The terms of auctions that are opened now: increment (bps), extension (seconds), patience (days).
    """
    word: uint256 = self._terms
    return self._increment(word), self._extension(word), self._patience(word)


@internal
def _set_terms(increment: uint256, extension: uint256, patience: uint256):
    assert (
        increment >= _MIN_INCREMENT
        and increment <= _MAX_INCREMENT
        and extension >= _MIN_EXTENSION
        and extension <= _MAX_EXTENSION
        and patience != 0
        and patience <= _MAX_PATIENCE
    ), "auction: terms out of bounds"
    self._terms = (
        (increment << _INCREMENT_AT) | (extension << _EXTENSION_AT) | (patience << _PATIENCE_AT)
    )
    log IAuctionHouse.TermsChanged(increment=increment, extension=extension, patience=patience)


@internal
def _finish(id: bytes32, word: uint256):
    self._auctions[id] = word | _DONE
    self._bids[id] = 0


@internal
@view
def _require_running(id: bytes32) -> uint256:
    word: uint256 = self._auctions[id]
    assert word & _OPENED != 0, "auction: unknown auction"
    assert word & _DONE == 0, "auction: it is over"
    return word


@internal
@view
def _require_consent(id: bytes32, consent: IDataMarket.Consent):
    assert consents._id(consent) == id, "auction: not that consent"
    assert self._is_live(id), "auction: consent is not live"


@internal
@view
def _is_live(consent: bytes32) -> bool:
    word: uint256 = staticcall _MARKET.consent_word(consent)
    expiry: uint256 = (word >> _ENDS_AT) & _TIME
    return expiry > block.timestamp and (word >> _REVOKED_AT) & _TIME == 0


@internal
@view
def _require_eligible(
    offer: IAuctionHouse.AuctionOffer,
    consent: IDataMarket.Consent,
    undertaking: IAuctionHouse.Undertaking,
):
    """
    @dev Whoever could not be given the licence cannot win it either, for that would spoil the auction for nothing.
    """
    account: uint256 = staticcall _MARKET.licensee_word(msg.sender)
    flags: uint256 = accounts._flags(account)
    region: uint256 = accounts._region(account)
    assert (
        flags & accounts.FROZEN == 0
        and staticcall _DUT.standing(msg.sender) & accounts.HELD_BACK == 0
        and accounts._groups(account) & consent.licensees != 0
        and region != 0
        and (consent.region == 1 or consent.region == region)
    ), "auction: bidder not covered"
    assert (
        flags & accounts.CERTIFIED != 0 or block.timestamp >= offer.opens + offer.certifiedFirst
    ), "auction: certified bid first"
    assert purposes._permits(
        consent.purposes, consent.diseases, undertaking.purposes, undertaking.diseases
    ), "auction: purpose not covered"
    assert (
        undertaking.agreement != empty(bytes32)
        and undertaking.agreement == staticcall _MARKET.agreement()
    ), "auction: agreement not signed"
    sellers: IRecordRegistry.Parties = staticcall _REGISTRY.parties(offer.record)
    assert (
        msg.sender != sellers.owner
        and msg.sender != sellers.custodian
        and msg.sender != sellers.annotator
    ), "auction: sellers cannot bid"


@internal
@view
def _deposited() -> uint256:
    return staticcall _MARKET.licensee_word(self) & accounts._AMOUNT


@internal
@pure
def _least(offer: IAuctionHouse.AuctionOffer, word: uint256, last: uint256) -> uint256:
    price: uint256 = last & _PRICE
    if price == 0:
        return offer.reserve
    more: uint256 = (price * self._increment(word) + _BPS - 1) // _BPS
    return (price + more) * _GRAIN


@internal
@pure
def _held(price: uint256) -> uint256:
    return price * (_BPS + _MAX_LEVY) // _BPS


@internal
@pure
def _years(duration: uint256) -> uint256:
    return (duration + _YEAR - 1) // _YEAR


@internal
@pure
def _id(offer: IAuctionHouse.AuctionOffer) -> bytes32:
    return keccak256(abi_encode(_OFFER_TYPE, offer))


@internal
@pure
def _hash(undertaking: IAuctionHouse.Undertaking) -> uint256:
    return convert(keccak256(abi_encode(undertaking)), uint256) & _HASH


@internal
@pure
def _ends(word: uint256) -> uint256:
    return (word >> _ENDS_AT) & _TIME


@internal
@pure
def _increment(word: uint256) -> uint256:
    return (word >> _INCREMENT_AT) & _CODE


@internal
@pure
def _extension(word: uint256) -> uint256:
    return (word >> _EXTENSION_AT) & _SECONDS


@internal
@pure
def _patience(word: uint256) -> uint256:
    return (word >> _PATIENCE_AT) & 255

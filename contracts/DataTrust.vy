# pragma version ~=0.4.3
"""
@title DataTrust
@license AGPL-3.0-only
@notice Records that a trustee manages (R21). A patient mandates one by the one signature of a consent: its patient's share is
        6,000 bps, which is 60 % of the whole price and leaves 40 % to the custodian, and its nonce names the trustee.
        The trustee offers what it was mandated with, asks its prices, and holds back what it wants to; a licensee
        buys here at the tariff's price, and pays the trustee 15 % of it on top. The price is settled in the market
        like any other. The trustee is paid as the market settles, and what is never earned goes back to the licensee,
        the trustee's part as well as the price.
        The patient revokes the consent as any other. A trustee can sell within the consent and nothing else: it can
        neither move a licence's money nor go below the floor or the tariff.
@dev Behind a proxy; holds the desk role. What it holds lies in its own deposit in the market: the trustees' parts of
     licences that run. Nothing is pushed to anybody, so nobody can block anybody.
     What it cannot prevent: patient, custodian and licensee who collude buy from themselves for the levy and the trustee's
     part, for no platform earns here. It takes a trustee that the accreditation role has named.
"""

from interfaces import IDataMarket
from interfaces import IDataTrust
from interfaces import IRecordRegistry
from interfaces import ITariff
from interfaces import IUsageToken
from modules import access
from modules import accounts
from modules import consents
from modules import initializer

initializes: initializer
initializes: access

exports: access.authority

_MARKET: immutable(IDataMarket)
_REGISTRY: immutable(IRecordRegistry)
_TARIFF: immutable(ITariff)
_DUT: immutable(IUsageToken)

_BPS: constant(uint256) = 10_000
_GRAIN: constant(uint256) = 10**9
_YEAR: constant(uint256) = 365 * 86400
_METERED: constant(uint256) = 2
_MAX_BATCH: constant(uint256) = 100
# The trustee's part, on top of the price: 15 %, here of a grain, so that it is exact.
_FEE: constant(uint256) = 1_500
_FEE_OF_GRAIN: constant(uint256) = _FEE * _GRAIN // _BPS

# Of the market's words.
_ADDRESS: constant(uint256) = 2**160 - 1
_TIME: constant(uint256) = 2**40 - 1
_CODE: constant(uint256) = 2**16 - 1
_PRICE: constant(uint256) = 2**64 - 1
_LEVY_AT: constant(uint256) = 48
_EXPIRY_AT: constant(uint256) = 160
_REVOKED_AT: constant(uint256) = 200
_SHARE_AT: constant(uint256) = 240
_END_AT: constant(uint256) = 64
_FORM_AT: constant(uint256) = 120
_FORM: constant(uint256) = 3
_CLOSED: constant(uint256) = 1 << 123
_A_AT: constant(uint256) = 136
_B_AT: constant(uint256) = 176
_C_AT: constant(uint256) = 216

# Of an offer's word: the price that is asked at least (10^9 base units) 64, and
_SAID: constant(uint256) = 1 << 64
_OPEN: constant(uint256) = 1 << 65
# Of a sale's word.
_SETTLED_AT: constant(uint256) = 160
_SETTLED: constant(uint256) = 2**95 - 1
_DONE: constant(uint256) = 1 << 255

# who may act as a trustee
_trustees: HashMap[address, bool]
# consent → record, or zero for all others → price 64 | said 1 | open 1, lowest bits first
_offers: HashMap[bytes32, HashMap[bytes32, uint256]]
# licence → trustee 160 | settled of its price (10^9 base units) 95 | done 1, lowest bits first
_sales: HashMap[bytes32, uint256]
__gap: uint256[16]


@deploy
def __init__(
    deployer: address,
    manager: address,
    market: address,
    registry: address,
    tariff: address,
    usage: address,
):
    """
    @param deployer The account that initialises the proxy, once.
    @param manager The AccessManager.
    @param market The DataMarket's proxy.
    @param registry The RecordRegistry's proxy.
    @param tariff The Tariff's proxy.
    @param usage The UsageToken (DUT).
    """
    access.__init__(manager)
    initializer.__init__(deployer)
    assert (
        market != empty(address)
        and registry != empty(address)
        and tariff != empty(address)
        and usage != empty(address)
    ), "links: a contract is missing"
    _MARKET = IDataMarket(market)
    _REGISTRY = IRecordRegistry(registry)
    _TARIFF = ITariff(tariff)
    _DUT = IUsageToken(usage)


@external
def initialize():
    """
    @notice Begin, once. There is nothing to set.
    @dev Caller: the deployer, through the proxy.
    """
    initializer._initialize()


@external
def set_trustee(trustee: address, accredited: bool):
    """
    @notice Name a trustee, or bar it from every further sale. What it sold is settled as it was agreed.
    @dev Caller: the accreditation role. Reverts on no account.
    """
    access._restricted()
    assert trustee != empty(address), "trust: no account is named"
    self._trustees[trustee] = accredited
    log IDataTrust.TrusteeChanged(trustee=trustee, accredited=accredited)


@external
def set_offer(consent: IDataMarket.Consent, record: bytes32, price: uint256, open: bool):
    """
    @notice Offer what a patient has mandated the caller with, or hold it back. Until then nothing is sold.
    @param consent The terms of the consent.
    @param record One of its records; zero for all that have no offer of their own.
    @param price Base units per unit that the trustee asks at least; a rental costs its share of that, as of the floor.
    @param open Whether it sells.
    @dev Caller: the trustee that the consent names. Reverts when it is not accredited, when the consent mandates somebody
         else or nobody, was not granted, is revoked or has expired, and on a price off the grain of 10^9 or out of range.
    """
    id: bytes32 = self._require_mandate(consent, msg.sender)
    assert price % _GRAIN == 0 and price <= _PRICE * _GRAIN, "trust: price out of range"
    self._offers[id][record] = (price // _GRAIN) | _SAID | (_OPEN if open else 0)
    log IDataTrust.OfferChanged(
        consent=id, record=record, trustee=msg.sender, price=price, open=open
    )


@external
@nonreentrant
def buy(
    order: IDataMarket.Order,
    consent: IDataMarket.Consent,
    proof: DynArray[bytes32, 32],
) -> bytes32:
    """
    @notice License a record that a trustee manages, from the caller's deposit in the market: price, levy, and 15 % of the
            price for the trustee.
    @param order What is asked for, as in the market. By naming the agreement in force the licensee signs it. `maxPrice` is
           of the price alone.
    @param consent The terms of the consent that it is bought under.
    @param proof That the record is in the consent's set; empty when the consent names this record alone.
    @return The licence's id.
    @dev Caller: the licensee, no party of the record. The price is the tariff's, with the consent's floor or what the trustee
         asks as its floor, whichever is higher. Reverts as the market's `buy_licence` does, on a consent without a
         mandate, on what the trustee does not offer, when it is frozen or itself a party of the record, on a rental that
         costs less than the consent's floor for a year, and when the deposit is too small.
    """
    trustee: address = convert(consent.nonce & _ADDRESS, address)
    id: bytes32 = self._require_mandate(consent, trustee)
    offer: uint256 = self._offers[id][order.record]
    if offer == 0:
        offer = self._offers[id][empty(bytes32)]
    assert offer & _OPEN != 0, "trust: the trustee offers it not"
    assert staticcall _DUT.standing(trustee) & accounts.HELD_BACK == 0, "trust: trustee is frozen"
    self._require_apart(order.record, trustee)

    asked: uint256 = (offer & _PRICE) * _GRAIN
    price: uint256 = self._price(order, max(consent.floorPrice, asked))
    # As the market counts.
    assert order.end > block.timestamp, "licence: the term has no length"
    units: uint256 = order.units
    assert units <= _TIME, "licence: units out of range"
    if order.form != _METERED:
        units = (order.end - block.timestamp + _YEAR - 1) // _YEAR
    paid: uint256 = price * units
    levy: uint256 = paid * ((staticcall _MARKET.rates_word() >> _LEVY_AT) & _CODE) // _BPS
    fee: uint256 = paid * _FEE // _BPS

    extcall _MARKET.charge(msg.sender, paid + levy + fee)
    licence: bytes32 = extcall _MARKET.issue_licence(msg.sender, order, consent, proof, price)
    self._sales[licence] = convert(trustee, uint256)
    log IDataTrust.LicenceTrusted(
        licence=licence, trustee=trustee, licensee=msg.sender, asked=asked, fee=fee
    )
    return licence


@external
@nonreentrant
def settle(refs: DynArray[IDataMarket.LicenceRef, _MAX_BATCH]):
    """
    @notice Settle licences in the market, and pay their trustees 15 % of what was settled, into their deposits there. Of
            one that is closed the rest goes back to its licensee's deposit.
    @param refs The licences, at most 100, all sold here.
    @dev Anybody may call: money only goes to those whose it is. Never paused. One whose trustee has everything is passed over.
         Reverts on a licence that was not sold here.
    """
    extcall _MARKET.settle(refs)
    for ref: IDataMarket.LicenceRef in refs:
        self._settle(ref)


@external
@view
def is_trustee(account: address) -> bool:
    """
    @notice Whether an account may act as a trustee.
    """
    return self._trustees[account]


@external
@view
def offer_word(consent: bytes32, record: bytes32) -> uint256:
    """
    @notice What is stored of an offer: price that is asked at least (10^9 base units per unit) 64, said 1, open 1, lowest
            bits first; zero where the trustee has said nothing. Record zero: what holds for all that have none of their own.
    """
    return self._offers[consent][record]


@external
@view
def sale_word(licence: bytes32) -> uint256:
    """
    @notice What is stored of a sale: trustee 160, how much of the price was settled when the trustee was paid last (10^9
            base units) 95, done 1, lowest bits first; zero for a licence that was not sold here.
    """
    return self._sales[licence]


@internal
def _settle(ref: IDataMarket.LicenceRef):
    licence: bytes32 = keccak256(abi_encode(ref))
    sale: uint256 = self._sales[licence]
    assert sale != 0, "trust: not sold here"
    word: uint256 = staticcall _MARKET.licence_word(licence)
    settled: uint256 = self._settled(word)
    before: uint256 = (sale >> _SETTLED_AT) & _SETTLED
    closed: bool = word & _CLOSED != 0
    # Somebody who settles one of a batch first must not spoil the rest.
    if sale & _DONE != 0 or (settled == before and not closed):
        return
    trustee: uint256 = sale & _ADDRESS
    self._sales[licence] = trustee | (settled << _SETTLED_AT) | (_DONE if closed else 0)
    amount: uint256 = (settled - before) * _FEE_OF_GRAIN
    rest: uint256 = (self._paid(word) - settled) * _FEE_OF_GRAIN if closed else 0
    log IDataTrust.TrusteePaid(
        licence=licence,
        trustee=convert(trustee, address),
        amount=amount,
        licensee=ref.licensee,
        returned=rest,
    )
    if amount != 0:
        extcall _MARKET.release(convert(trustee, address), amount)
    if rest != 0:
        extcall _MARKET.release(ref.licensee, rest)


@internal
@view
def _require_mandate(consent: IDataMarket.Consent, trustee: address) -> bytes32:
    """
    @dev The consent's id. That the patient signed it is seen by the market's word, which holds its share too.
    """
    id: bytes32 = consents._id(consent)
    word: uint256 = staticcall _MARKET.consent_word(id)
    assert (
        word >> _SHARE_AT == consents.TRUST_SHARE
        and convert(trustee, uint256) == consent.nonce & _ADDRESS
    ), "trust: no mandate for it"
    assert (word >> _REVOKED_AT) & _TIME == 0, "consent: it was revoked"
    assert (word >> _EXPIRY_AT) & _TIME > block.timestamp, "consent: it has expired"
    assert self._trustees[trustee], "trust: trustee not accredited"
    return id


@internal
@view
def _require_apart(record: bytes32, trustee: address):
    """
    @dev A trustee acts for the patient: it is none of those who sell, nor is the licensee.
    """
    sellers: IRecordRegistry.Parties = staticcall _REGISTRY.parties(record)
    assert (
        trustee != sellers.owner and trustee != sellers.custodian and trustee != sellers.annotator
    ), "trust: trustee is a party"
    assert (
        msg.sender != trustee
        and msg.sender != sellers.owner
        and msg.sender != sellers.custodian
        and msg.sender != sellers.annotator
    ), "trust: sellers cannot buy"


@internal
@view
def _price(order: IDataMarket.Order, least: uint256) -> uint256:
    account: uint256 = staticcall _MARKET.licensee_word(msg.sender)
    quote: ITariff.Quote = staticcall _TARIFF.quote(
        ITariff.Ask(
            record=order.record,
            form=order.form,
            purposes=order.purposes,
            urgent=order.urgent,
            floorPrice=least,
            region=accounts._region(account),
            certified=accounts._flags(account) & accounts.CERTIFIED != 0,
        )
    )
    assert quote.live, "licence: record is not attested"
    assert quote.price != 0, "licence: kind is not for sale"
    return quote.price


@internal
@pure
def _settled(word: uint256) -> uint256:
    """
    @dev How much of its price a licence has settled, in grains, as the market counts: from the start, so that no rounding
         adds up.
    """
    if (word >> _FORM_AT) & _FORM == _METERED:
        return (word & _PRICE) * (word >> _C_AT)
    start: uint256 = (word >> _A_AT) & _TIME
    mark: uint256 = (word >> _B_AT) & _TIME
    return (word & _PRICE) * (mark - start) // (((word >> _END_AT) & _TIME) - start)


@internal
@pure
def _paid(word: uint256) -> uint256:
    price: uint256 = word & _PRICE
    return price * ((word >> _A_AT) & _TIME) if (word >> _FORM_AT) & _FORM == _METERED else price

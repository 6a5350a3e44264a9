# pragma version ~=0.4.3
"""
@title BasketDesk
@license AGPL-3.0-only
@notice Bulk licences (R12). One transaction reserves money and terms for any number of records, named by a Merkle root.
        Each record's licence is taken out of the basket later, by anyone who brings its proof, one or many at once:
        then the tariff prices it, the discount applies, never below the patient's floor, and the consent is read in
        the transaction that pays. What is not taken goes back to the licensee's deposit, at its wish or after the end.
@dev Behind a proxy; holds the desk role. What it holds lies in its own deposit in the market; each basket spends only
     what it reserved.
     A discount is earned by licences that were really taken: the step of the n-th record holds for the n-th and not
     for those before. A root does not say how many true leaves it has, so a discount on a number that somebody
     merely names would be everybody's.
     Each record is taken once: all licences of a basket share its salt, and the market sells a licence only once.
"""

from interfaces import IBasketDesk
from interfaces import IDataMarket
from interfaces import ITariff
from modules import access
from modules import accounts
from modules import consents
from modules import initializer
from modules import merkle

initializes: initializer
initializes: access

exports: access.authority

_MARKET: immutable(IDataMarket)
_TARIFF: immutable(ITariff)

_BPS: constant(uint256) = 10_000
_GRAIN: constant(uint256) = 10**9
_YEAR: constant(uint256) = 365 * 86400
_FIXED_TERM: constant(uint256) = 1
_METERED: constant(uint256) = 2
# More would make memory dear: each may have two proofs of 32 levels.
_MAX_ITEMS: constant(uint256) = 32
_MAX_STEPS: constant(uint256) = 6
_MAX_DISCOUNT: constant(uint256) = 5_000
_MAX_COUNT: constant(uint256) = 2**28 - 1
_MAX_VERSION: constant(uint256) = 2**16 - 1
_NUMBER: constant(uint256) = 2**40 - 1
_AUCTION_ONLY: constant(uint256) = 255
# ABI-encoded: a quote has 13 words, and a refusal's sentence at most 64 letters.
_ANSWER: constant(uint256) = 416

_AMOUNT: constant(uint256) = 2**128 - 1
_CODE: constant(uint256) = 2**16 - 1
# A step: count 28 | discount in bps 14.
_STEP_BITS: constant(uint256) = 42
_STEP_COUNT: constant(uint256) = 2**28 - 1
_STEP_DISCOUNT: constant(uint256) = 2**14 - 1
_STEP_DISCOUNT_AT: constant(uint256) = 28
_LEVY_AT: constant(uint256) = 48
_TAKEN_AT: constant(uint256) = 128
_VERSION_AT: constant(uint256) = 156
_CLOSED: constant(uint256) = 1 << 172

# What holds for all that one transaction takes.
struct Run:
    id: bytes32
    word: uint256
    region: uint256
    certified: bool
    levy: uint256
    units: uint256
    steps: uint256
    deposited: uint256
    passOver: bool


# basket → left (base units) 128 | taken 28 | version of the steps 16 | closed 1, lowest bits first
_baskets: HashMap[bytes32, uint256]
# version → up to six steps, the lowest count first, lowest bits first
_steps: HashMap[uint256, uint256]
_version: uint256
__gap: uint256[16]


@deploy
def __init__(deployer: address, manager: address, market: address, tariff: address):
    """
    @param deployer The account that initialises the proxy, once.
    @param manager The AccessManager.
    @param market The DataMarket's proxy.
    @param tariff The Tariff's proxy.
    """
    access.__init__(manager)
    initializer.__init__(deployer)
    assert (market != empty(address) and tariff != empty(address)), "links: a contract is missing"
    _MARKET = IDataMarket(market)
    _TARIFF = ITariff(tariff)


@external
def initialize(steps: DynArray[IBasketDesk.Step, _MAX_STEPS]):
    """
    @notice Set the first discount steps, once; as `set_steps`.
    @dev Caller: the deployer, through the proxy.
    """
    initializer._initialize()
    self._set_steps(steps)


@external
def set_steps(steps: DynArray[IBasketDesk.Step, _MAX_STEPS]):
    """
    @notice Set the discount steps of baskets that are reserved from now on: at most six, counts and discounts rising.
    @param steps From the how-manieth record of a basket on a discount holds, and how many bps it is, at most 5,000.
    @dev Caller: the timelock. Reverts out of bounds.
    """
    access._restricted()
    self._set_steps(steps)


@external
def reserve(terms: IBasketDesk.Basket, amount: uint256) -> bytes32:
    """
    @notice Reserve a basket: `amount` base units of the caller's deposit, levies included, for the records of a set.
    @param terms What every licence says. By naming the agreement in force the licensee signs it.
    @return The basket's id.
    @dev Caller: the licensee that the terms name. Reverts while the market is paused, when it was reserved before,
         on terms out of range, and when the deposit is too small.
    """
    assert msg.sender == terms.licensee, "basket: not the licensee"
    id: bytes32 = self._id(terms)
    assert self._baskets[id] == 0, "basket: it was reserved before"
    metered: bool = terms.form == _METERED
    assert metered or terms.form == _FIXED_TERM, "basket: unknown form"
    assert (
        terms.root != empty(bytes32)
        and terms.count != 0
        and terms.count <= _MAX_COUNT
        and terms.until > block.timestamp
        and terms.until <= terms.end
        and terms.end <= _NUMBER
        and (terms.units != 0) == metered
        and terms.units <= _NUMBER
        and terms.maxPrice != 0
        and amount != 0
        and amount <= _AMOUNT
    ), "basket: terms out of range"
    assert (
        terms.agreement != empty(bytes32) and terms.agreement == staticcall _MARKET.agreement()
    ), "basket: agreement not signed"
    version: uint256 = self._version
    self._baskets[id] = amount | (version << _VERSION_AT)
    log IBasketDesk.BasketReserved(
        basket=id, licensee=msg.sender, terms=terms, amount=amount, steps=version
    )
    extcall _MARKET.charge(msg.sender, amount)
    return id


@external
def top_up(terms: IBasketDesk.Basket, amount: uint256):
    """
    @notice Reserve `amount` base units more for a basket.
    @dev Caller: its licensee. Reverts while the market is paused, on zero, when the basket is closed or its time is
         over, and when the deposit is too small.
    """
    id: bytes32 = self._id(terms)
    word: uint256 = self._require_open(id)
    assert msg.sender == terms.licensee, "basket: not the licensee"
    assert block.timestamp < terms.until, "basket: its time is over"
    assert (amount != 0 and amount <= _AMOUNT - (word & _AMOUNT)), "basket: amount out of range"
    self._baskets[id] = word + amount
    log IBasketDesk.BasketToppedUp(basket=id, amount=amount)
    extcall _MARKET.charge(msg.sender, amount)


@external
def take(terms: IBasketDesk.Basket, item: IBasketDesk.Item) -> bytes32:
    """
    @notice Have the licence of one record issued out of a basket, at the tariff's price less the discount.
    @param item The record, its consent, and the proofs.
    @return The licence's id.
    @dev Anybody may call. Reverts when the basket is closed or its time over, on a record that is not in it or sold by
         auction only, when all are taken, when too little is left, and with the market's or the tariff's reason when
         no licence can be issued now.
    """
    run: Run = self._run(terms, False)
    taken: uint256 = self._taken(run.word)
    assert taken < terms.count, "basket: all are taken"
    licence: bytes32 = self._take(terms, item, run, taken + 1, run.word & _AMOUNT)[0]
    self._book(run, taken + 1)
    return licence


@external
def take_many(terms: IBasketDesk.Basket, items: DynArray[IBasketDesk.Item, _MAX_ITEMS]) -> uint256:
    """
    @notice Have the licences of up to 32 records issued out of a basket. One for which no licence can be issued now,
            that costs more than is left or than the licensee accepts, or that is beyond the count, is passed over:
            a patient who revokes or somebody who takes it first must not spoil the rest.
    @return How many were taken.
    @dev Anybody may call. Reverts when the basket is closed or its time over, and on a record that is not in it or
         sold by auction only.
    """
    run: Run = self._run(terms, True)
    taken: uint256 = self._taken(run.word)
    start: uint256 = taken
    left: uint256 = run.word & _AMOUNT
    for item: IBasketDesk.Item in items:
        if taken == terms.count:
            break
        licence: bytes32 = empty(bytes32)
        cost: uint256 = 0
        licence, cost = self._take(terms, item, run, taken + 1, left)
        if licence != empty(bytes32):
            taken += 1
            left -= cost
    self._book(run, taken)
    return taken - start


@external
def close(terms: IBasketDesk.Basket):
    """
    @notice Close a basket and return what is left of it to the licensee's deposit. Licences taken stay as they are.
    @dev Caller: the licensee at any time, anybody after its time. Never paused. Reverts when it is closed.
    """
    id: bytes32 = self._id(terms)
    word: uint256 = self._require_open(id)
    assert (
        msg.sender == terms.licensee or block.timestamp >= terms.until
    ), "basket: not the licensee"
    left: uint256 = word & _AMOUNT
    self._baskets[id] = (word & ~_AMOUNT) | _CLOSED
    log IBasketDesk.BasketClosed(basket=id, returned=left)
    extcall _MARKET.release(terms.licensee, left)


@external
@view
def basket(id: bytes32) -> IBasketDesk.State:
    """
    @notice What is stored of a basket; zeros for an unknown one.
    """
    word: uint256 = self._baskets[id]
    return IBasketDesk.State(
        reserved=word != 0,
        closed=word & _CLOSED != 0,
        left=word & _AMOUNT,
        taken=self._taken(word),
        steps=(word >> _VERSION_AT) & _CODE,
    )


@external
@pure
def basket_id(terms: IBasketDesk.Basket) -> bytes32:
    """
    @notice The id of the basket with these terms.
    """
    return self._id(terms)


@external
@view
def discount(version: uint256, number: uint256) -> uint256:
    """
    @notice The discount in bps on the `number`-th record taken out of a basket with this version of the steps.
    """
    return self._discount(self._steps[version], number)


@external
@view
def version() -> uint256:
    """
    @notice The version of the steps for baskets that are reserved now.
    """
    return self._version


@internal
@view
def _run(terms: IBasketDesk.Basket, passOver: bool) -> Run:
    id: bytes32 = self._id(terms)
    word: uint256 = self._require_open(id)
    assert block.timestamp < terms.until, "basket: its time is over"
    account: uint256 = staticcall _MARKET.licensee_word(terms.licensee)
    # As the market counts.
    units: uint256 = terms.units
    if terms.form != _METERED:
        units = (terms.end - block.timestamp + _YEAR - 1) // _YEAR
    return Run(
        id=id,
        word=word,
        region=accounts._region(account),
        certified=accounts._flags(account) & accounts.CERTIFIED != 0,
        levy=(staticcall _MARKET.rates_word() >> _LEVY_AT) & _CODE,
        units=units,
        steps=self._steps[(word >> _VERSION_AT) & _CODE],
        deposited=self._deposited(),
        passOver=passOver,
    )


@internal
def _take(
    terms: IBasketDesk.Basket,
    item: IBasketDesk.Item,
    run: Run,
    number: uint256,
    left: uint256,
) -> (bytes32, uint256):
    """
    @dev The licence and what it cost; empty when it was passed over.
    """
    assert merkle._proves(
        item.proof,
        terms.root,
        keccak256(keccak256(abi_encode(item.record, consents._id(item.consent)))),
    ), "basket: the record is not in it"
    assert item.consent.licensees >> _AUCTION_ONLY == 0, "basket: sold by auction only"

    success: bool = False
    answer: Bytes[_ANSWER] = b""
    success, answer = raw_call(
        _TARIFF.address,
        abi_encode(
            ITariff.Ask(
                record=item.record,
                form=terms.form,
                purposes=terms.purposes,
                urgent=terms.urgent,
                floorPrice=item.consent.floorPrice,
                region=run.region,
                certified=run.certified,
            ),
            method_id=method_id("quote((bytes32,uint256,uint256,bool,uint256,uint256,bool))"),
        ),
        max_outsize=_ANSWER,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not success:
        if run.passOver:
            return empty(bytes32), 0
        raw_revert(answer)
    discount: uint256 = self._discount(run.steps, number)
    price: uint256 = abi_decode(answer, ITariff.Quote).price * (_BPS - discount) // _BPS
    price = max(price - price % _GRAIN, item.consent.floorPrice)
    cost: uint256 = price * run.units + price * run.units * run.levy // _BPS
    # Checked here, for the market sees only what all baskets hold together.
    if cost > left:
        assert run.passOver, "basket: too little is left"
        return empty(bytes32), 0

    success, answer = raw_call(
        _MARKET.address,
        abi_encode(
            terms.licensee,
            IDataMarket.Order(
                record=item.record,
                form=terms.form,
                units=terms.units,
                end=terms.end,
                purposes=terms.purposes,
                diseases=terms.diseases,
                urgent=terms.urgent,
                maxPrice=terms.maxPrice,
                agreement=terms.agreement,
                salt=terms.salt,
            ),
            item.consent,
            item.recordProof,
            price,
            method_id=method_id(
                "issue_licence(address,(bytes32,uint256,uint256,uint256,uint256,bytes32,bool,uint256,bytes32,uint256),(address,bytes32,uint256,bytes32,uint256,bytes32,uint256,uint256,uint256,uint256,uint256,uint256,uint256),bytes32[],uint256)"
            ),
        ),
        max_outsize=_ANSWER,
        revert_on_failure=False,
    )
    if not success:
        if run.passOver:
            return empty(bytes32), 0
        raw_revert(answer)
    licence: bytes32 = convert(slice(answer, 0, 32), bytes32)
    log IBasketDesk.BasketTaken(basket=run.id, licence=licence, number=number, discount=discount)
    return licence, cost


@internal
def _book(run: Run, taken: uint256):
    """
    @dev What is booked is what the market took.
    """
    left: uint256 = (run.word & _AMOUNT) - (run.deposited - self._deposited())
    self._baskets[run.id] = (
        (run.word & ~(_AMOUNT | (_MAX_COUNT << _TAKEN_AT))) | left | (taken << _TAKEN_AT)
    )
    log IBasketDesk.BasketDrawn(basket=run.id, taken=taken, left=left)


@internal
@pure
def _taken(word: uint256) -> uint256:
    return (word >> _TAKEN_AT) & _MAX_COUNT


@internal
def _set_steps(steps: DynArray[IBasketDesk.Step, _MAX_STEPS]):
    word: uint256 = 0
    at: uint256 = 0
    last: IBasketDesk.Step = empty(IBasketDesk.Step)
    for step: IBasketDesk.Step in steps:
        assert (
            step.count > last.count
            and step.count <= _MAX_COUNT
            and step.discount > last.discount
            and step.discount <= _MAX_DISCOUNT
        ), "basket: steps out of bounds"
        word |= (step.count | (step.discount << _STEP_DISCOUNT_AT)) << at
        at += _STEP_BITS
        last = step
    version: uint256 = self._version + 1
    assert version <= _MAX_VERSION, "basket: no version is left"
    self._version = version
    self._steps[version] = word
    log IBasketDesk.StepsChanged(version=version, steps=steps)


@internal
@view
def _require_open(id: bytes32) -> uint256:
    word: uint256 = self._baskets[id]
    assert word != 0, "basket: unknown basket"
    assert word & _CLOSED == 0, "basket: it is closed"
    return word


@internal
@view
def _deposited() -> uint256:
    return staticcall _MARKET.licensee_word(self) & _AMOUNT


@internal
@pure
def _discount(steps: uint256, number: uint256) -> uint256:
    found: uint256 = 0
    rest: uint256 = steps
    for _: uint256 in range(_MAX_STEPS):
        count: uint256 = rest & _STEP_COUNT
        if count == 0 or number < count:
            break
        found = (rest >> _STEP_DISCOUNT_AT) & _STEP_DISCOUNT
        rest >>= _STEP_BITS
    return found


@internal
@pure
def _id(terms: IBasketDesk.Basket) -> bytes32:
    return keccak256(abi_encode(terms))

# pragma version ~=0.4.3
"""
@title Treasury
@license AGPL-3.0-only
@notice The reserve (R16): holds the levies of all payments, and burns a part of each levy that arrives while
        the supply of DUT is above its ceiling (R17). The timelock can burn more of it. Else it is spent within budgets
        alone, each of which the timelock approved for one spender: so much in a period, until a day. What a spender
        does not need it gives back. Its books always say: reserve = levies − burned − spent.
@dev Behind a proxy.
"""

from interfaces import ITreasury
from interfaces import IUsageToken
from modules import access
from modules import initializer

initializes: initializer
initializes: access

implements: ITreasury

exports: access.authority

_DUT: immutable(IUsageToken)
_BPS: constant(uint256) = 10_000
# Bounds within which the timelock may approve a budget.
_DAY: constant(uint256) = 86400
_MAX_PERIOD: constant(uint256) = 366 * _DAY
_MAX_LENGTH: constant(uint256) = 5 * 366 * _DAY

_AMOUNT: constant(uint256) = 2**112 - 1
_SECONDS: constant(uint256) = 2**32 - 1
_TIME: constant(uint256) = 2**40 - 1
_PERIOD_AT: constant(uint256) = 112
_SINCE_AT: constant(uint256) = 144
_UNTIL_AT: constant(uint256) = 184
_NUMBER_AT: constant(uint256) = 112
_DRAWN_AT: constant(uint256) = 144
_HALF: constant(uint256) = 2**128 - 1
_SPENT_AT: constant(uint256) = 128

_levies: uint256
# burned 128 | spent within budgets and not given back 128, lowest bits first: a levy reads both
_gone: uint256
_ceiling: uint256
_burn_share: uint256
# spender → limit of a period 112 | period 32 | since 40 | until 40, lowest bits first
_budgets: HashMap[address, uint256]
# spender → spent in its last period 112 | number of that period 32 | spent and not given back in all 112, lowest bits
# first
_drawn: HashMap[address, uint256]
__gap: uint256[14]


@deploy
def __init__(deployer: address, manager: address, usage: address):
    """
    @param deployer The account that initialises the proxy, once.
    @param manager The AccessManager.
    @param usage The UsageToken (DUT).
    """
    access.__init__(manager)
    initializer.__init__(deployer)
    assert usage != empty(address), "treasury: no usage token is named"
    _DUT = IUsageToken(usage)


@external
def initialize(ceiling: uint256, burnShare: uint256):
    """
    @notice Set the first parameters, once.
    @param ceiling Supply of DUT, in base units, above which levies are burned in part.
    @param burnShare How much of a levy is burned then, in bps.
    @dev Caller: the deployer, through the proxy.
    """
    initializer._initialize()
    self._set_ceiling(ceiling)
    self._set_burn_share(burnShare)


@external
def receive_levy(amount: uint256):
    """
    @notice Take a levy of `amount` base units from the caller, and burn its part when supply is above the
            ceiling as the levy arrives.
    @dev Caller: a contract with the levy role that has approved this one. Reverts on zero.
    """
    access._restricted()
    assert amount != 0, "treasury: the levy is zero"
    levies: uint256 = self._levies + amount
    gone: uint256 = self._gone
    burn: uint256 = 0
    if staticcall _DUT.totalSupply() > self._ceiling:
        burn = amount * self._burn_share // _BPS
        gone += burn
        self._gone = gone
    self._levies = levies
    log ITreasury.LevyReceived(
        payer=msg.sender,
        amount=amount,
        burned=burn,
        reserve=levies - self._burned(gone) - self._spent(gone),
    )
    assert extcall _DUT.transferFrom(msg.sender, self, amount)
    if burn != 0:
        extcall _DUT.burn(burn)


@external
def approve_budget(spender: address, limit: uint256, period: uint256, length: uint256):
    """
    @notice Let `spender` spend up to `limit` base units of the reserve in each period from now on (R16). It replaces
            the spender's budget; nothing that an earlier period or budget left is carried over.
    @param limit Base units in one period; zero ends the budget at once.
    @param period Seconds, from a day to 366 days.
    @param length Seconds after which the budget ends, at least a period and at most five years.
    @dev Caller: the timelock. Reverts when no spender is named, and out of bounds.
    """
    access._restricted()
    assert spender != empty(address), "treasury: no spender is named"
    word: uint256 = 0
    if limit != 0:
        assert (
            limit <= _AMOUNT
            and period >= _DAY
            and period <= _MAX_PERIOD
            and length >= period
            and length <= _MAX_LENGTH
        ), "treasury: budget out of bounds"
        word = (
            limit
            | (period << _PERIOD_AT)
            | (block.timestamp << _SINCE_AT)
            | ((block.timestamp + length) << _UNTIL_AT)
        )
    log ITreasury.BudgetApproved(
        spender=spender,
        previous=self._unpack(self._budgets[spender]),
        current=self._unpack(word),
    )
    self._budgets[spender] = word
    # What was spent before stays to be given back, and counts for no period of this budget.
    self._drawn[spender] = self._drawn[spender] >> _DRAWN_AT << _DRAWN_AT


@external
def spend(amount: uint256):
    """
    @notice Send `amount` base units of the reserve to the caller, within its budget for this period.
    @dev Caller: whoever has a budget. Reverts on zero, without a budget or after its end, over what it has left in
         this period, over the reserve, and when DUT refuses the transfer.
    """
    assert amount != 0, "treasury: the amount is zero"
    word: uint256 = self._budgets[msg.sender]
    # Without a budget the word is zero, and so is its end.
    assert block.timestamp < (word >> _UNTIL_AT), "treasury: no budget for this"
    drawn: uint256 = self._drawn[msg.sender]
    number: uint256 = self._number(word)
    used: uint256 = self._used(drawn, number)
    assert amount <= (word & _AMOUNT) - used, "treasury: the budget is too small"
    assert amount <= self._reserve(), "treasury: the reserve is too small"
    self._book(number, used + amount, (drawn >> _DRAWN_AT) + amount)
    self._gone += amount << _SPENT_AT
    log ITreasury.BudgetSpent(
        spender=msg.sender,
        amount=amount,
        period=number,
        used=used + amount,
        reserve=self._reserve(),
    )
    assert extcall _DUT.transfer(msg.sender, amount)


@external
def give_back(amount: uint256):
    """
    @notice Take back `amount` base units that the caller has spent of the reserve and not needed. The budget of the
            running period has as much more, up to its limit.
    @dev Caller: whoever has spent them, and approved this contract. Reverts on zero, over what it has spent, and when
         DUT refuses the transfer.
    """
    assert amount != 0, "treasury: the amount is zero"
    word: uint256 = self._budgets[msg.sender]
    drawn: uint256 = self._drawn[msg.sender]
    assert amount <= drawn >> _DRAWN_AT, "treasury: more than it has spent"
    number: uint256 = 0
    used: uint256 = 0
    if word != 0:
        number = self._number(word)
        used = self._used(drawn, number)
        used -= min(used, amount)
    self._book(number, used, (drawn >> _DRAWN_AT) - amount)
    self._gone -= amount << _SPENT_AT
    log ITreasury.BudgetReturned(
        spender=msg.sender, amount=amount, period=number, used=used, reserve=self._reserve()
    )
    assert extcall _DUT.transferFrom(msg.sender, self, amount)


@external
def burn_reserve(amount: uint256):
    """
    @notice Burn `amount` base units of the reserve, for good (R17). What budgets may still spend is not kept back from it.
    @dev Caller: the timelock, that is, an executed proposal. Reverts on zero and over the reserve.
    """
    access._restricted()
    assert amount != 0, "treasury: the amount is zero"
    assert amount <= self._reserve(), "treasury: the reserve is too small"
    # The low half holds it: all that is ever burned of levies is at most the levies.
    self._gone += amount
    log ITreasury.ReserveBurned(amount=amount, reserve=self._reserve())
    extcall _DUT.burn(amount)


@external
def set_ceiling(ceiling: uint256):
    """
    @notice Set the supply of DUT, in base units, above which levies are burned in part.
    @dev Caller: the timelock.
    """
    access._restricted()
    self._set_ceiling(ceiling)


@external
def set_burn_share(burnShare: uint256):
    """
    @notice Set how much of a levy is burned above the ceiling, in bps.
    @dev Caller: the timelock. Reverts over 10,000.
    """
    access._restricted()
    self._set_burn_share(burnShare)


@external
@view
def books() -> (uint256, uint256, uint256):
    """
    @notice Levies received, burned of them (as they came, or by the timelock), and the reserve that is left; base units.
    """
    return self._levies, self._burned(self._gone), self._reserve()


@external
@view
def spent() -> uint256:
    """
    @notice Base units spent within budgets and not given back.
    """
    return self._spent(self._gone)


@external
@view
def available(spender: address) -> uint256:
    """
    @notice Base units that `spender` may spend now: what its budget has left in this period, if the reserve has it.
    """
    word: uint256 = self._budgets[spender]
    if block.timestamp >= (word >> _UNTIL_AT):
        return 0
    left: uint256 = (word & _AMOUNT) - self._used(self._drawn[spender], self._number(word))
    return min(left, self._reserve())


@external
@view
def budget_word(spender: address) -> uint256:
    """
    @notice What is stored of a budget: limit of a period (base units) 112, period (seconds) 32, since 40, until 40,
            lowest bits first; zero for none.
    """
    return self._budgets[spender]


@external
@view
def drawn_word(spender: address) -> uint256:
    """
    @notice What is stored of what a spender has spent: in its last period (base units) 112, the number of that period
            32, in all and not given back 112, lowest bits first.
    """
    return self._drawn[spender]


@external
@view
def burn_rule() -> (uint256, uint256):
    """
    @notice The ceiling of supply (base units) and the share of a levy that is burned above it (bps).
    """
    return self._ceiling, self._burn_share


@internal
def _set_ceiling(ceiling: uint256):
    log ITreasury.ParameterChanged(name="ceiling", previous=self._ceiling, current=ceiling)
    self._ceiling = ceiling


@internal
def _set_burn_share(burnShare: uint256):
    assert burnShare <= _BPS, "treasury: the share to burn is over 10,000 bps"
    log ITreasury.ParameterChanged(name="burn_share", previous=self._burn_share, current=burnShare)
    self._burn_share = burnShare


@internal
def _book(number: uint256, used: uint256, drawn: uint256):
    # No amount can reach 112 bits: the reserve has the levies of what was issued, at most 10^30 base units a day.
    self._drawn[msg.sender] = used | (number << _NUMBER_AT) | (drawn << _DRAWN_AT)


@internal
@view
def _reserve() -> uint256:
    gone: uint256 = self._gone
    return self._levies - self._burned(gone) - self._spent(gone)


@internal
@pure
def _burned(gone: uint256) -> uint256:
    return gone & _HALF


@internal
@pure
def _spent(gone: uint256) -> uint256:
    return gone >> _SPENT_AT


@internal
@view
def _number(word: uint256) -> uint256:
    """
    @dev The number of a budget's running period, from 0.
    """
    return (block.timestamp - ((word >> _SINCE_AT) & _TIME)) // ((word >> _PERIOD_AT) & _SECONDS)


@internal
@pure
def _used(drawn: uint256, number: uint256) -> uint256:
    """
    @dev What of a period's limit is used.
    """
    return drawn & _AMOUNT if (drawn >> _NUMBER_AT) & _SECONDS == number else 0


@internal
@pure
def _unpack(word: uint256) -> ITreasury.Budget:
    return ITreasury.Budget(
        limit=word & _AMOUNT,
        period=(word >> _PERIOD_AT) & _SECONDS,
        since=(word >> _SINCE_AT) & _TIME,
        until=word >> _UNTIL_AT,
    )

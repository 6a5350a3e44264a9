"""R16: what the timelock lets somebody spend of the reserve: so much in a period, until a day."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.research import Research
from support.world import DAY, DUT, ZERO, Actor, reverts

from medtoken.chain.words import BudgetWord, DrawnWord

LIMIT, RESERVE = 100 * DUT, 1_000 * DUT
NOTHING = {"limit": 0, "period": 0, "since": 0, "until": 0}


@pytest.fixture(scope="session")
def _funded() -> Research:
    """A reserve of 1,000 DUT, and a spender who may hold DUT."""
    made = Research()
    super(Research, made).settle_in()
    made.fill_reserve(RESERVE)
    return made


@pytest.fixture
def funded(_funded: Research) -> Iterator[Research]:
    with _funded.evm.anchor():
        yield _funded


@pytest.fixture
def spender(funded: Research) -> Actor:
    """The annotator, who has a budget of 100 DUT in 30 days, for 90 days."""
    who = funded.people.annotator
    approve(funded, who)
    funded.dut.approve(funded.treasury.address, 2**256 - 1, sender=who)
    return who


def approve(
    w: Research, who: str, limit: int = LIMIT, period: int = 30 * DAY, length: int = 90 * DAY
) -> None:
    w.as_timelock(w.treasury, "approve_budget", who, limit, period, length)


# ------------------------------------------------------------------ approve_budget


def test_a_budget_is_stored_and_told(funded: Research) -> None:
    w, who = funded, funded.people.annotator
    approve(w, who)
    current = {
        "limit": LIMIT,
        "period": 30 * DAY,
        "since": w.now,
        "until": w.now + 90 * DAY,
    }
    assert w.evm.event("BudgetApproved") == {
        "spender": str(who),
        "previous": NOTHING,
        "current": current,
    }
    assert w.budget_of(who) == BudgetWord(**current)
    assert w.treasury.available(who) == LIMIT
    approve(w, who, 0)
    assert w.evm.event("BudgetApproved") == {
        "spender": str(who),
        "previous": current,
        "current": NOTHING,
    }
    assert w.budget_of(who) == BudgetWord()
    assert w.treasury.available(who) == 0


def test_a_limit_of_zero_keeps_nothing_else(funded: Research) -> None:
    approve(funded, funded.people.annotator, 0, 30 * DAY, 90 * DAY)
    assert funded.budget_of(funded.people.annotator) == BudgetWord()


@pytest.mark.parametrize(
    ("limit", "period", "length"),
    [
        (2**112, 30 * DAY, 90 * DAY),
        (1, DAY - 1, DAY),
        (1, 366 * DAY + 1, 400 * DAY),
        (1, 30 * DAY, 30 * DAY - 1),
        (1, DAY, 5 * 366 * DAY + 1),
        (1, 0, DAY),
        (1, DAY, 0),
        (1, DAY, 2**256 - 1),
    ],
)
def test_out_of_bounds_is_refused(funded: Research, limit: int, period: int, length: int) -> None:
    with reverts("treasury: budget out of bounds"):
        approve(funded, funded.people.annotator, limit, period, length)


@pytest.mark.parametrize(
    ("limit", "period", "length"),
    [(1, DAY, DAY), (2**112 - 1, 366 * DAY, 366 * DAY), (5, DAY, 5 * 366 * DAY)],
)
def test_the_bounds_themselves_are_allowed(
    funded: Research, limit: int, period: int, length: int
) -> None:
    approve(funded, funded.people.annotator, limit, period, length)
    assert funded.treasury.available(funded.people.annotator) == min(limit, RESERVE)


def test_nobody_named_is_refused(funded: Research) -> None:
    with reverts("treasury: no spender is named"):
        approve(funded, ZERO)


def test_nobody_else_approves(funded: Research) -> None:
    for who in (funded.people.operator, funded.people.guardian, funded.people.stranger):
        with reverts("access: caller may not do this"):
            funded.treasury.approve_budget(who, 1, DAY, DAY, sender=who)


def test_a_new_budget_begins_anew(funded: Research, spender: Actor) -> None:
    w = funded
    w.treasury.spend(LIMIT, sender=spender)
    approve(w, spender, 30 * DUT)
    assert w.treasury.available(spender) == 30 * DUT
    assert w.drawn_by(spender) == DrawnWord(drawn=LIMIT)


# ------------------------------------------------------------------ spend


def test_spending_is_booked_and_told(funded: Research, spender: Actor) -> None:
    w = funded
    held = w.dut.balanceOf(spender)
    w.treasury.spend(40 * DUT, sender=spender)
    assert w.evm.event("BudgetSpent") == {
        "spender": str(spender),
        "amount": 40 * DUT,
        "period": 0,
        "used": 40 * DUT,
        "reserve": RESERVE - 40 * DUT,
    }
    assert w.dut.balanceOf(spender) == held + 40 * DUT
    assert w.treasury.books() == (RESERVE, 0, RESERVE - 40 * DUT)
    assert w.treasury.spent() == 40 * DUT
    assert w.treasury.available(spender) == 60 * DUT
    assert w.dut.balanceOf(w.treasury.address) == RESERVE - 40 * DUT


def test_each_period_has_its_own_limit(funded: Research, spender: Actor) -> None:
    w = funded
    w.treasury.spend(LIMIT, sender=spender)
    with reverts("treasury: the budget is too small"):
        w.treasury.spend(1, sender=spender)
    w.evm.warp(30 * DAY - 1)
    with reverts("treasury: the budget is too small"):
        w.treasury.spend(1, sender=spender)
    w.evm.warp(1)
    assert w.treasury.available(spender) == LIMIT
    w.treasury.spend(60 * DUT, sender=spender)
    w.evm.warp(30 * DAY)
    with reverts("treasury: the budget is too small"):  # what was left is not carried over
        w.treasury.spend(LIMIT + 1, sender=spender)
    w.treasury.spend(LIMIT, sender=spender)
    assert w.drawn_by(spender) == DrawnWord(LIMIT, 2, 260 * DUT)


def test_a_budget_ends(funded: Research, spender: Actor) -> None:
    w = funded
    w.evm.warp(90 * DAY - 1)
    w.treasury.spend(1, sender=spender)
    w.evm.warp(1)
    with reverts("treasury: no budget for this"):
        w.treasury.spend(1, sender=spender)
    assert w.treasury.available(spender) == 0


def test_zero_is_not_spent(funded: Research, spender: Actor) -> None:
    with reverts("treasury: the amount is zero"):
        funded.treasury.spend(0, sender=spender)


def test_a_budget_over_the_reserve_is_not_all_spent(funded: Research, spender: Actor) -> None:
    w = funded
    approve(w, spender, 2 * RESERVE)
    assert w.treasury.available(spender) == RESERVE
    with reverts("treasury: the reserve is too small"):
        w.treasury.spend(RESERVE + 1, sender=spender)
    w.treasury.spend(RESERVE, sender=spender)
    assert w.treasury.books() == (RESERVE, 0, 0)


def test_a_gift_is_not_the_reserves_to_spend(funded: Research, spender: Actor) -> None:
    w = funded
    w.dut.transfer(w.treasury.address, DUT, sender=w.people.licensee)
    approve(w, spender, 2 * RESERVE)
    with reverts("treasury: the reserve is too small"):
        w.treasury.spend(RESERVE + 1, sender=spender)


def test_who_has_no_budget_spends_nothing(funded: Research, spender: Actor) -> None:
    for who in vars(funded.people).values():
        if who != spender:
            with reverts("treasury: no budget for this"):
                funded.treasury.spend(1, sender=who)


def test_the_budget_of_one_is_not_anothers(funded: Research, spender: Actor) -> None:
    w, other = funded, funded.people.custodian
    approve(w, other, 7)
    w.treasury.spend(7, sender=other)
    assert w.treasury.available(spender) == LIMIT
    assert w.drawn_by(other) == DrawnWord(7, 0, 7)


# ------------------------------------------------------------------ give_back


def test_what_comes_back_can_be_spent_again(funded: Research, spender: Actor) -> None:
    w = funded
    w.treasury.spend(LIMIT, sender=spender)
    w.treasury.give_back(30 * DUT, sender=spender)
    assert w.evm.event("BudgetReturned") == {
        "spender": str(spender),
        "amount": 30 * DUT,
        "period": 0,
        "used": 70 * DUT,
        "reserve": RESERVE - 70 * DUT,
    }
    assert w.treasury.books() == (RESERVE, 0, RESERVE - 70 * DUT)
    assert w.treasury.spent() == 70 * DUT
    assert w.treasury.available(spender) == 30 * DUT


def test_of_an_earlier_period_it_gives_no_more_than_the_limit(
    funded: Research, spender: Actor
) -> None:
    w = funded
    w.treasury.spend(LIMIT, sender=spender)
    w.evm.warp(30 * DAY)
    w.treasury.spend(10 * DUT, sender=spender)
    w.treasury.give_back(60 * DUT, sender=spender)
    assert w.treasury.available(spender) == LIMIT
    assert w.drawn_by(spender) == DrawnWord(0, 1, 50 * DUT)


def test_it_comes_back_after_the_budget_too(funded: Research, spender: Actor) -> None:
    w = funded
    w.treasury.spend(LIMIT, sender=spender)
    w.evm.warp(90 * DAY)
    w.treasury.give_back(DUT, sender=spender)
    approve(w, spender, 0)
    w.treasury.give_back(DUT, sender=spender)
    assert w.treasury.books() == (RESERVE, 0, RESERVE - 98 * DUT)
    assert w.treasury.available(spender) == 0


def test_more_than_one_has_spent_is_refused(funded: Research, spender: Actor) -> None:
    w = funded
    w.treasury.spend(5, sender=spender)
    with reverts("treasury: more than it has spent"):
        w.treasury.give_back(6, sender=spender)
    for who in (w.people.licensee, w.people.stranger):
        with reverts("treasury: more than it has spent"):
            w.treasury.give_back(1, sender=who)


def test_zero_is_not_given_back(funded: Research, spender: Actor) -> None:
    funded.treasury.spend(5, sender=spender)
    with reverts("treasury: the amount is zero"):
        funded.treasury.give_back(0, sender=spender)


def test_what_cannot_be_taken_is_not_booked(funded: Research, spender: Actor) -> None:
    w = funded
    w.treasury.spend(5, sender=spender)
    w.dut.approve(w.treasury.address, 4, sender=spender)
    with reverts(f"ERC20InsufficientAllowance({w.treasury.address}, 4, 5)"):
        w.treasury.give_back(5, sender=spender)
    assert w.treasury.spent() == 5


def test_burning_goes_on_beside_budgets(funded: Research, spender: Actor) -> None:
    """R17: books balance with levies, burns and spending together."""
    w = funded
    w.treasury.spend(LIMIT, sender=spender)
    w.as_timelock(w.treasury, "set_ceiling", 0)
    w.fill_reserve(10 * DUT)
    assert w.treasury.books() == (RESERVE + 10 * DUT, 5 * DUT, RESERVE + 5 * DUT - LIMIT)
    assert w.dut.balanceOf(w.treasury.address) == RESERVE + 5 * DUT - LIMIT

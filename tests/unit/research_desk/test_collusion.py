"""What those who would rob the reserve can get: a licensee who pays itself, seats that lie for it."""

from __future__ import annotations

import pytest
from support.research import Research
from support.world import DAY, DUT, MILLION

PRICE = 500 * DUT


def purse(lab: Research, *who: str) -> int:
    """What they hold together, wherever it lies."""
    return sum(lab.dut.balanceOf(a) + lab.deposit_of(a) + lab.earned(a) for a in set(who))


def pay_oneself(lab: Research, amount: int) -> int:
    """What a licensee gains that is patient, custodian and annotator of a record too."""
    p = lab.people
    ring = (p.licensee, p.patient, p.custodian, p.annotator)
    before = purse(lab, *ring)
    ref = lab.buy_with(lab.granted(), amount)
    lab.use(ref, 10)
    lab.settle(ref)
    lab.release(ref)
    return purse(lab, *ring) - before


def test_at_the_share_of_the_deployment_nobody_gains_by_paying_itself(lab: Research) -> None:
    """RT pays 15 % at most; the platform takes 10 % and the levy 5 %."""
    lab.reward()
    reserve = lab.reserve_left()
    assert pay_oneself(lab, PRICE * 15 // 100) == 0
    # The reserve gave 75 and received 25 of levy; the platform earned the 50 between.
    assert lab.reserve_left() == reserve - 50 * DUT


def test_a_higher_share_is_worth_what_the_contract_says(lab: Research) -> None:
    lab.reward()
    lab.as_timelock(lab.research, "set_share", 5_000)
    assert pay_oneself(lab, PRICE // 2) == PRICE * (50 - 15) // 100


def test_seats_that_lie_get_at_most_the_budget_of_each_period(lab: Research) -> None:
    """Any number of invented outcomes, the highest share: the limit holds, period by period."""
    lab.fill_reserve(MILLION * DUT // 10)
    lab.as_timelock(lab.research, "set_share", 5_000)
    lab.budget(600 * DUT, period=30 * DAY, length=60 * DAY)
    ref = lab.reward(kind=3)
    for _ in range(20):
        lab.verify(lab.outcome(ref, kind=3), ref)
    assert lab.rt.balanceOf(lab.people.licensee) == 210_000 * DUT
    spent = []
    for _ in range(3):
        gained = 0
        while lab.available() > 0:
            amount = min(lab.available(), PRICE // 2)
            pay_oneself(lab, amount)
            gained += amount
        spent.append(gained // DUT)
        lab.evm.warp(30 * DAY)
    assert spent == [600, 600, 0]


@pytest.mark.parametrize("seats", [1, 2])
def test_rt_without_a_budget_buys_nothing(lab: Research, seats: int) -> None:
    """What the timelock can do at once it hears of such seats: end the budget, move the bar."""
    lab.reward()
    lab.as_timelock(lab.treasury, "approve_budget", lab.research.address, 0, 0, 0)
    lab.as_timelock(lab.research, "set_seats", seats)
    assert lab.available() == 0
    ref = lab.buy(lab.granted())
    lab.verify(lab.outcome(ref), ref)
    assert lab.rt.balanceOf(lab.people.licensee) == (1_000 + 1_000 * (seats == 1)) * DUT

"""R17: governance can burn from the reserve, and nobody else; the books say so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.research import Research
from support.world import DAY, DUT, ZERO, reverts

RESERVE = 1_000 * DUT


@pytest.fixture(scope="session")
def _funded() -> Research:
    made = Research()
    super(Research, made).settle_in()
    made.fill_reserve(RESERVE)
    return made


@pytest.fixture
def funded(_funded: Research) -> Iterator[Research]:
    with _funded.evm.anchor():
        yield _funded


@pytest.mark.parametrize("amount", [1, 400 * DUT, RESERVE])
def test_supply_and_reserve_fall_by_it(funded: Research, amount: int) -> None:
    w, home = funded, funded.treasury.address
    supply = w.dut.totalSupply()
    w.as_timelock(w.treasury, "burn_reserve", amount)
    assert w.evm.event("ReserveBurned") == {"amount": amount, "reserve": RESERVE - amount}
    assert w.evm.event("Transfer") == {"from": home, "to": ZERO, "value": amount}
    assert w.treasury.books() == (RESERVE, amount, RESERVE - amount)
    assert w.dut.totalSupply() == supply - amount
    assert w.dut.balanceOf(home) == RESERVE - amount
    assert w.treasury.spent() == 0


def test_no_more_than_the_reserve_and_not_nothing(funded: Research) -> None:
    w, gift = funded, funded.people.platform
    w.fund(gift, DUT)
    w.dut.transfer(w.treasury.address, DUT, sender=gift)  # a gift is not the reserve's
    for amount in (RESERVE + 1, 2**128, 2**256 - 1):
        with reverts("treasury: the reserve is too small"):
            w.as_timelock(w.treasury, "burn_reserve", amount)
    with reverts("treasury: the amount is zero"):
        w.as_timelock(w.treasury, "burn_reserve", 0)


def test_a_budget_has_what_is_left(funded: Research) -> None:
    """What is burned cannot be spent; what was spent cannot be burned, and still comes back."""
    w, who = funded, funded.people.annotator
    w.as_timelock(w.treasury, "approve_budget", who, 600 * DUT, 30 * DAY, 90 * DAY)
    w.dut.approve(w.treasury.address, RESERVE, sender=who)
    w.treasury.spend(300 * DUT, sender=who)
    with reverts("treasury: the reserve is too small"):
        w.as_timelock(w.treasury, "burn_reserve", 700 * DUT + 1)
    w.as_timelock(w.treasury, "burn_reserve", 500 * DUT)
    assert w.treasury.available(who) == 200 * DUT
    with reverts("treasury: the reserve is too small"):
        w.treasury.spend(200 * DUT + 1, sender=who)
    w.treasury.give_back(300 * DUT, sender=who)
    assert w.treasury.books() == (RESERVE, 500 * DUT, 500 * DUT)
    assert w.treasury.spent() == 0


def test_nobody_but_the_timelock(funded: Research) -> None:
    w = funded
    for who in (w.people.stranger, w.people.operator, w.people.guardian, w.people.council):
        with reverts("access: caller may not do this"):
            w.treasury.burn_reserve(1, sender=who)

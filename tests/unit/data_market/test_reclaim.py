"""R12: a licensee takes back what it has deposited and not spent; never paused."""

from __future__ import annotations

import pytest
from support.world import DUT, MILLION, World, reverts

ALL = MILLION * DUT // 2
SMALL = "account: deposit is too small"


@pytest.mark.parametrize("amount", [1, DUT, ALL])
def test_it_is_paid_out_and_told(world: World, amount: int) -> None:
    licensee = world.people.licensee
    world.market.reclaim(amount, sender=licensee)
    assert world.evm.events() == ["DepositReclaimed", "Transfer"]
    assert world.evm.event("DepositReclaimed") == {"account": licensee, "amount": amount}
    assert world.deposit_of(licensee) == ALL - amount
    assert world.dut.balanceOf(licensee) == ALL + amount


@pytest.mark.parametrize("amount", [ALL + 1, 2**128 - 1, 2**128, 2**256 - 1])
def test_no_more_than_is_there(world: World, amount: int) -> None:
    with reverts(SMALL):
        world.market.reclaim(amount, sender=world.people.licensee)


def test_zero_is_refused(world: World) -> None:
    with reverts("account: the amount is zero"):
        world.market.reclaim(0, sender=world.people.licensee)


def test_a_stranger_has_nothing_to_take(world: World) -> None:
    people = world.people
    for who in (people.stranger, people.operator, people.deployer, people.guardian):
        with reverts(SMALL):
            world.market.reclaim(1, sender=who)


def test_money_spent_on_a_licence_is_not_reclaimed(world: World) -> None:
    world.buy(world.granted(), units=10)
    with reverts(SMALL):
        world.market.reclaim(ALL - 525 * DUT + 1, sender=world.people.licensee)
    world.market.reclaim(ALL - 525 * DUT, sender=world.people.licensee)
    assert world.deposit_of(world.people.licensee) == 0


def test_an_account_that_dut_froze_keeps_its_deposit(world: World) -> None:
    people = world.people
    world.dut.setFrozen(people.licensee, True, sender=people.sanctions)
    with reverts("DUT: the account is frozen"):
        world.market.reclaim(1, sender=people.licensee)
    assert world.deposit_of(people.licensee) == ALL
    world.dut.setFrozen(people.licensee, False, sender=people.sanctions)
    world.market.reclaim(ALL, sender=people.licensee)
    assert world.dut.balanceOf(people.licensee) == 2 * ALL


def test_groups_and_flags_above_the_deposit_are_no_money(world: World) -> None:
    stranger = world.people.stranger
    world.market.set_licensee(stranger, 2**96 - 1, 999, 3, sender=world.people.credentials)
    with reverts(SMALL):
        world.market.reclaim(1, sender=stranger)

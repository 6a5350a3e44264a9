"""R7: an institution backs its word with DUT, and takes back what no challenge puts at risk."""

from __future__ import annotations

import pytest
from support.world import DUT, World, reverts

from .test_challenge import BOND


def test_a_stake_grows_and_shrinks_and_is_told(world: World) -> None:
    attester = world.people.attester
    number = world.number(attester)
    world.stake(5 * DUT)
    world.stake(7 * DUT)
    assert world.evm.event("StakeChanged") == {
        "attester": number, "account": attester, "previous": 5 * DUT, "current": 12 * DUT,
    }  # fmt: skip
    world.disputes.unstake(4 * DUT, sender=attester)
    assert world.evm.event("StakeChanged")["current"] == 8 * DUT == world.disputes.stake_of(number)
    assert world.dut.balanceOf(attester) == 4 * DUT
    assert world.dut.balanceOf(world.disputes.address) == 8 * DUT


def test_what_is_at_risk_stays(world: World) -> None:
    attester = world.people.attester
    record = world.record()
    world.stake(150 * DUT)
    claim = world.challenge(record)
    with reverts("disputes: not so much is staked"):
        world.disputes.unstake(50 * DUT + 1, sender=attester)
    world.disputes.unstake(50 * DUT, sender=attester)
    world.resolve(record, claim, False)
    world.disputes.unstake(2 * BOND, sender=attester)


def test_a_stake_follows_an_institution_that_moved(world: World) -> None:
    people = world.people
    world.stake(DUT)
    new = world.new_actor()
    world.registry.move(world.number(people.attester), new, sender=people.accreditation)
    world.admit(new)
    with reverts("disputes: the caller is no institution"):
        world.disputes.unstake(DUT, sender=people.attester)
    world.disputes.unstake(DUT, sender=new)
    assert world.dut.balanceOf(new) == DUT


@pytest.mark.parametrize("function", ["stake", "unstake"])
def test_a_stranger_has_no_stake(world: World, function: str) -> None:
    for who in (world.people.stranger, world.people.licensee):
        with reverts("disputes: the caller is no institution"):
            getattr(world.disputes, function)(1, sender=who)


@pytest.mark.parametrize("function", ["stake", "unstake"])
def test_nothing_is_no_amount(world: World, function: str) -> None:
    with reverts("disputes: the amount is zero"):
        getattr(world.disputes, function)(0, sender=world.people.attester)


@pytest.mark.parametrize("amount", [1, 2**256 - 1])
def test_nobody_takes_more_than_their_stake(world: World, amount: int) -> None:
    with reverts("disputes: not so much is staked"):
        world.disputes.unstake(amount, sender=world.people.attester)

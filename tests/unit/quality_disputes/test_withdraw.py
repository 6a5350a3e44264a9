"""R7: what a challenge returned waits for its challenger, once."""

from __future__ import annotations

from support.world import DAY, DUT, World, reverts

from .test_challenge import BOND


def test_credits_add_up_and_are_paid_once(world: World) -> None:
    people = world.people
    world.stake(100 * DUT)
    upheld, lapsed = world.record(), world.record()
    held = world.dut.balanceOf(people.licensee)
    world.resolve(upheld, world.challenge(upheld), True)
    world.challenge(lapsed)
    world.evm.warp(15 * DAY)
    world.disputes.lapse(lapsed, sender=people.relay)
    world.disputes.withdraw(sender=people.licensee)
    assert world.evm.event("CreditWithdrawn") == {"account": people.licensee, "amount": 3 * BOND}
    assert world.dut.balanceOf(people.licensee) == held + BOND
    assert world.dut.balanceOf(world.disputes.address) == 0
    with reverts("disputes: there is nothing to withdraw"):
        world.disputes.withdraw(sender=people.licensee)


def test_a_stranger_gets_nothing(world: World) -> None:
    record = world.record()
    world.resolve(record, world.challenge(record), True)
    for who in (world.people.stranger, world.people.attester, world.people.arbitrator):
        with reverts("disputes: there is nothing to withdraw"):
            world.disputes.withdraw(sender=who)


def test_a_frozen_challenger_is_paid_when_it_is_free_again(world: World) -> None:
    people = world.people
    record = world.record()
    world.resolve(record, world.challenge(record), True)
    world.dut.setFrozen(people.licensee, True, sender=people.sanctions)
    with reverts("DUT: the account is frozen"):
        world.disputes.withdraw(sender=people.licensee)
    assert world.disputes.credit_of(people.licensee) == BOND
    world.dut.setFrozen(people.licensee, False, sender=people.sanctions)
    world.disputes.withdraw(sender=people.licensee)

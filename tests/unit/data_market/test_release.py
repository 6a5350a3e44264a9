"""R12, R29: a desk gives back from its own deposit, and no pause stops that."""

from __future__ import annotations

import pytest
from support.world import DUT, Actor, World, reverts


@pytest.fixture
def desk(world: World) -> Actor:
    return world.desk(100 * DUT)


def test_it_moves_from_the_desks_deposit(world: World, desk: Actor) -> None:
    licensee = world.people.licensee
    before = world.deposit_of(licensee)
    standing = world.market.licensee_word(licensee) >> 128
    world.market.release(licensee, 30 * DUT, sender=desk)
    assert world.evm.events() == ["DeskMoved"]
    assert world.evm.event("DeskMoved") == {
        "desk": desk,
        "source": desk,
        "target": licensee,
        "amount": 30 * DUT,
    }
    assert world.deposit_of(desk) == 70 * DUT
    assert world.deposit_of(licensee) - before == 30 * DUT
    assert world.market.licensee_word(licensee) >> 128 == standing


@pytest.mark.parametrize("amount", [100 * DUT + 1, 2**128, 2**256 - 1])
def test_no_more_than_the_desk_has(world: World, desk: Actor, amount: int) -> None:
    with reverts("account: deposit is too small"):
        world.market.release(world.people.licensee, amount, sender=desk)


def test_no_pause_and_no_freeze_keeps_a_bidders_money_in_a_desk(world: World, desk: Actor) -> None:
    """It arrives in the deposit, from where a frozen account cannot take it."""
    people = world.people
    world.market.pause(sender=people.guardian)
    world.dut.setFrozen(people.licensee, True, sender=people.sanctions)
    before = world.deposit_of(people.licensee)
    world.market.release(people.licensee, DUT, sender=desk)
    assert world.deposit_of(people.licensee) == before + DUT
    with reverts("DUT: the account is frozen"):
        world.market.reclaim(DUT, sender=people.licensee)


def test_charge_and_release_give_everybody_back_what_they_had(world: World, desk: Actor) -> None:
    people = world.people
    before = [world.deposit_of(who) for who in (people.licensee, people.other_licensee, desk)]
    for who, amount in ((people.licensee, 3 * DUT), (people.other_licensee, 5 * DUT)):
        world.market.charge(who, amount, sender=desk)
    world.market.release(people.licensee, 3 * DUT, sender=desk)
    world.market.release(people.other_licensee, 5 * DUT, sender=desk)
    after = [world.deposit_of(who) for who in (people.licensee, people.other_licensee, desk)]
    assert after == before


def test_a_stranger_cannot_release(world: World) -> None:
    people = world.people
    for name in people.__dataclass_fields__:
        who = getattr(people, name)
        with reverts("access: caller may not do this"):
            world.market.release(people.stranger, 1, sender=who)

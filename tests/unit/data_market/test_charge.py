"""R12, R29: a desk takes into its own deposit what an account told it to; nobody else moves a deposit."""

from __future__ import annotations

import pytest
from support.world import DUT, MILLION, Actor, World, reverts

from medtoken import vocabulary

FROZEN = "licence: the licensee is frozen"


@pytest.fixture
def desk(world: World) -> Actor:
    return world.desk()


def test_it_moves_from_one_deposit_to_the_desks(world: World, desk: Actor) -> None:
    licensee = world.people.licensee
    before = world.deposit_of(licensee)
    standing = world.market.licensee_word(licensee) >> 128
    held = world.dut.balanceOf(world.market.address)
    world.market.charge(licensee, 70 * DUT, sender=desk)
    assert world.evm.events() == ["DeskMoved"]
    assert world.evm.event("DeskMoved") == {
        "desk": desk,
        "source": licensee,
        "target": desk,
        "amount": 70 * DUT,
    }
    assert before - world.deposit_of(licensee) == world.deposit_of(desk) == 70 * DUT
    assert world.market.licensee_word(licensee) >> 128 == standing
    assert world.dut.balanceOf(world.market.address) == held


@pytest.mark.parametrize("amount", [MILLION * DUT // 2 + 1, 2**128, 2**256 - 1])
def test_no_more_than_is_there(world: World, desk: Actor, amount: int) -> None:
    with reverts("account: deposit is too small"):
        world.market.charge(world.people.licensee, amount, sender=desk)
    world.market.charge(world.people.licensee, MILLION * DUT // 2, sender=desk)
    assert world.deposit_of(world.people.licensee) == 0


def test_what_somebody_earned_is_no_deposit(world: World, desk: Actor) -> None:
    world.earn()
    assert world.earned(world.people.patient) > 0
    with reverts("account: deposit is too small"):
        world.market.charge(world.people.patient, 1, sender=desk)


def test_charging_itself_creates_nothing(world: World) -> None:
    desk = world.desk(10 * DUT)
    world.market.charge(desk, 10 * DUT, sender=desk)
    assert world.deposit_of(desk) == 10 * DUT


def test_a_stranger_cannot_charge_anybody(world: World) -> None:
    people = world.people
    for name in people.__dataclass_fields__:
        who = getattr(people, name)
        with reverts("access: caller may not do this"):
            world.market.charge(people.licensee, 1, sender=who)


def test_a_desk_that_lost_its_role_charges_nothing(world: World, desk: Actor) -> None:
    world.as_timelock(world.manager, "revokeRole", 13, desk)
    with reverts("access: caller may not do this"):
        world.market.charge(world.people.licensee, 1, sender=desk)


def test_a_pause_stops_it(world: World, desk: Actor) -> None:
    world.market.pause(sender=world.people.guardian)
    with reverts("market: paused"):
        world.market.charge(world.people.licensee, 1, sender=desk)


def test_a_frozen_account_cannot_have_its_deposit_spent_through_a_desk(
    world: World, desk: Actor
) -> None:
    """R2: or it bids, and a desk issues the licence to a friend."""
    people = world.people
    world.dut.setFrozen(people.licensee, True, sender=people.sanctions)
    with reverts(FROZEN):
        world.market.charge(people.licensee, 1, sender=desk)
    world.dut.setFrozen(people.licensee, False, sender=people.sanctions)
    world.license(people.licensee, flags=int(vocabulary.LicenseeFlag.FROZEN))
    with reverts(FROZEN):
        world.market.charge(people.licensee, 1, sender=desk)


def test_what_a_desk_took_it_can_only_give_back_or_pay_out_as_its_own(
    world: World, desk: Actor
) -> None:
    """A desk is trusted with what it charges: once DUT admits it, it could take that out as DUT.

    A contract that is a desk must have no way to `reclaim`; the market cannot see to that.
    """
    world.market.charge(world.people.licensee, 5 * DUT, sender=desk)
    with reverts("DUT: the account is not admitted"):
        world.market.reclaim(5 * DUT, sender=desk)
    world.admit(desk)
    world.market.reclaim(5 * DUT, sender=desk)
    assert world.dut.balanceOf(desk) == 5 * DUT

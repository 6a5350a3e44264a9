"""R15: the timelock names the account that earns the platform's part."""

from __future__ import annotations

from support.world import ZERO, World, reverts


def test_the_change_is_stored_and_told(world: World) -> None:
    new = world.new_actor()
    world.as_timelock(world.market, "set_platform", new)
    assert world.market.platform() == new
    assert world.evm.event("PlatformChanged") == {
        "previous": world.people.platform,
        "current": new,
    }


def test_no_account_is_refused(world: World) -> None:
    with reverts("rates: no platform is named"):
        world.as_timelock(world.market, "set_platform", ZERO)


def test_a_stranger_and_the_platform_itself_are_refused(world: World) -> None:
    for who in (world.people.stranger, world.people.platform, world.people.operator):
        with reverts("access: caller may not do this"):
            world.market.set_platform(who, sender=who)


def test_what_the_old_account_had_earned_stays_its_own(world: World) -> None:
    world.earn()
    earned = world.earned(world.people.platform)
    world.as_timelock(world.market, "set_platform", world.new_actor())
    assert earned != 0
    assert world.earned(world.people.platform) == earned

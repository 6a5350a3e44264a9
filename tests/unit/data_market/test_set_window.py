"""R14: the timelock sets how long after an end acknowledged vouchers still count."""

from __future__ import annotations

import pytest
from support.world import DAY, METERED, World, reverts


@pytest.mark.parametrize("window", [0, 1, 30 * DAY])
def test_the_change_is_stored_and_told(world: World, window: int) -> None:
    world.as_timelock(world.market, "set_window", window)
    assert world.market.window() == window
    assert world.evm.event("WindowChanged") == {"previous": 3 * DAY, "current": window}


@pytest.mark.parametrize("window", [30 * DAY + 1, 2**256 - 1])
def test_out_of_bounds_is_refused(world: World, window: int) -> None:
    with reverts("licence: window out of bounds"):
        world.as_timelock(world.market, "set_window", window)


@pytest.mark.parametrize("window", [0, 100])
def test_it_holds_for_licences_that_run_already(world: World, window: int) -> None:
    consent = world.granted()
    ref = world.buy(consent, salt=world.keyed())
    vouchers = [world.voucher(ref, units) for units in (4, 5)]
    world.as_timelock(world.market, "set_window", window)
    world.revoke(consent)
    world.evm.warp(window)
    world.redeem(vouchers[0])
    world.settle(ref)
    assert world.meter(ref)["flags"] == METERED
    world.evm.warp(1)
    with reverts("voucher: the window has closed"):
        world.redeem(vouchers[1])
    world.settle(ref)
    assert world.meter(ref)["flags"] == METERED | 8


def test_a_longer_window_revives_no_closed_licence(world: World) -> None:
    consent = world.granted()
    ref = world.buy(consent, salt=world.keyed())
    voucher = world.voucher(ref, 4)
    world.revoke(consent)
    world.evm.warp(3 * DAY + 1)
    world.settle(ref)
    world.as_timelock(world.market, "set_window", 30 * DAY)
    with reverts("voucher: licence is closed"):
        world.redeem(voucher)


def test_a_stranger_is_refused(world: World) -> None:
    people = world.people
    for who in (people.stranger, people.operator, people.licensee, people.custodian):
        with reverts("access: caller may not do this"):
            world.market.set_window(0, sender=who)

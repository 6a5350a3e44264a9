"""R17: the timelock sets the ceiling and the share that is burned above it."""

from __future__ import annotations

import pytest
from eth_utils import keccak
from support.world import DUT, MILLION, World, reverts


def test_the_deployment_sets_r17s_rule(bare: World) -> None:
    assert bare.treasury.burn_rule() == (10 * MILLION * DUT, 5_000)
    assert bare.treasury.books() == (0, 0, 0)


@pytest.mark.parametrize("ceiling", [0, 1, 2**256 - 1])
def test_the_ceiling_is_stored_and_told(world: World, ceiling: int) -> None:
    world.as_timelock(world.treasury, "set_ceiling", ceiling)
    event = world.evm.event("ParameterChanged")
    assert event["name"] == keccak(text="ceiling")
    assert (event["previous"], event["current"]) == (10 * MILLION * DUT, ceiling)
    assert world.treasury.burn_rule() == (ceiling, 5_000)


@pytest.mark.parametrize("share", [0, 10_000])
def test_the_share_is_stored_and_told(world: World, share: int) -> None:
    world.as_timelock(world.treasury, "set_burn_share", share)
    event = world.evm.event("ParameterChanged")
    assert event["name"] == keccak(text="burn_share")
    assert (event["previous"], event["current"]) == (5_000, share)
    assert world.treasury.burn_rule() == (10 * MILLION * DUT, share)


@pytest.mark.parametrize("share", [10_001, 2**256 - 1])
def test_a_share_over_the_whole_is_refused(world: World, share: int) -> None:
    with reverts("treasury: the share to burn is over 10,000 bps"):
        world.as_timelock(world.treasury, "set_burn_share", share)


def test_a_stranger_is_refused(world: World) -> None:
    for who in (world.people.stranger, world.people.operator, world.people.guardian):
        with reverts("access: caller may not do this"):
            world.treasury.set_ceiling(0, sender=who)
        with reverts("access: caller may not do this"):
            world.treasury.set_burn_share(0, sender=who)

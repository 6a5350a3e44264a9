"""R13: the market whose settlements are the demand is named once, at deployment."""

from __future__ import annotations

import pytest
from support.evm import Contract
from support.world import DUT, ZERO, World, reverts

FACTORS = [25_000, 5_000, 5_000, 10_000, 15_000, 13_000, 1_500, 3_000]


@pytest.fixture
def unbound(world: World) -> Contract:
    arguments = (str(world.people.deployer), world.manager.address, world.registry.address)
    return world.proxied("Tariff", arguments, ([DUT] * 8, FACTORS))


def test_it_is_bound_once_and_told(world: World, unbound: Contract) -> None:
    with reverts("the contract refused and gave no reason"):
        unbound.move_scarcity(1)
    world.as_timelock(unbound, "bind_market", world.market.address)
    assert world.evm.event("MarketBound") == {"market": world.market.address}
    assert unbound.move_scarcity(1) == 10_000
    for again in (world.market.address, str(world.people.stranger), ZERO):
        with reverts("tariff: the market is bound"):
            world.as_timelock(unbound, "bind_market", again)


def test_no_market_is_refused(world: World, unbound: Contract) -> None:
    with reverts("tariff: no market is named"):
        world.as_timelock(unbound, "bind_market", ZERO)


def test_the_deployments_tariff_is_bound_for_good(world: World) -> None:
    with reverts("tariff: the market is bound"):
        world.as_timelock(world.tariff, "bind_market", str(world.people.stranger))


def test_a_stranger_cannot_bind(world: World, unbound: Contract) -> None:
    people = world.people
    for who in (people.stranger, people.deployer, people.operator):
        with reverts("access: caller may not do this"):
            unbound.bind_market(str(people.stranger), sender=who)

"""R13: the regulator declares a public-health emergency for the records of a region."""

from __future__ import annotations

import pytest
from support.world import DUT, JAPAN, TAIWAN, World, reverts


def _declare(world: World, region: int, until: int) -> None:
    world.tariff.declare_emergency(region, until, sender=world.people.regulator)


@pytest.mark.parametrize("region", [1, JAPAN, 999])
@pytest.mark.parametrize("until", [0, 1, 2**40 - 1])
def test_it_is_stored_and_told(world: World, region: int, until: int) -> None:
    _declare(world, region, until)
    assert world.evm.events() == ["EmergencyDeclared"]
    assert world.evm.event("EmergencyDeclared") == {"region": region, "until": until}
    assert world.tariff.emergency(region) == until
    assert world.tariff.emergency(TAIWAN) == 0


def test_the_regulator_ends_it_at_once(world: World) -> None:
    record = world.record()
    world.declare()
    assert world.quote(record, urgent=True)["price"] == 25 * DUT
    for until in (0, world.now):
        _declare(world, JAPAN, until)
        with reverts("tariff: no emergency there"):
            world.quote(record, urgent=True)


def test_an_emergency_of_the_world_is_none_of_a_region(world: World) -> None:
    """Region 1 is where nothing lives: each region is declared by itself."""
    _declare(world, 1, world.now + 100)
    with reverts("tariff: no emergency there"):
        world.quote(world.record(), urgent=True)


@pytest.mark.parametrize("region", [0, 1000, 2**16 + JAPAN, 2**256 - 1])
def test_an_unknown_region_is_refused(world: World, region: int) -> None:
    with reverts("tariff: unknown region"):
        _declare(world, region, world.now + 1)


@pytest.mark.parametrize("until", [2**40, 2**256 - 1])
def test_a_time_out_of_range_is_refused(world: World, until: int) -> None:
    with reverts("tariff: out of bounds"):
        _declare(world, JAPAN, until)


def test_a_stranger_cannot_declare_an_emergency(world: World) -> None:
    people = world.people
    for who in (people.stranger, people.licensee, people.operator, people.supervisor):
        with reverts("access: caller may not do this"):
            world.tariff.declare_emergency(JAPAN, world.now + 1, sender=who)

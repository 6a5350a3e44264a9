"""R1: the timelock sets coefficients and the least quality, within bounds."""

from __future__ import annotations

import pytest
from eth_utils import keccak
from support.world import DUT, World, reverts


def test_the_deployment_sets_r1s_coefficients(bare: World) -> None:
    expected = {1: 1000, 2: 1000, 3: 3000, 4: 5000, 8: 10}
    for kind in range(10):
        assert bare.registry.coefficient(kind) == expected.get(kind, 0)
    assert bare.registry.min_quality() == 20


@pytest.mark.parametrize("value", [0, 1, 100_000])
def test_a_coefficient_is_stored_and_told(world: World, value: int) -> None:
    world.as_timelock(world.registry, "set_coefficient", 8, value)
    event = world.evm.event("ParameterChanged")
    assert event["name"] == keccak(text="coefficient 8")
    assert (event["previous"], event["current"]) == (10, value)
    assert world.registry.coefficient(8) == value


def test_a_coefficient_of_zero_mints_nothing(world: World) -> None:
    world.as_timelock(world.registry, "set_coefficient", 1, 0)
    assert world.attest(world.register()) == 0


def test_the_largest_mint_fits(world: World) -> None:
    world.as_timelock(world.registry, "set_coefficient", 1, 100_000)
    record = world.register()
    minted = world.attest(record, units=100_000, completeness=100, annotation=100)
    assert minted == 100 * 100 * 500 * DUT


@pytest.mark.parametrize("kind", [0, 9, 2**256 - 1])
def test_an_unknown_kind_has_no_coefficient(world: World, kind: int) -> None:
    with reverts("registry: unknown kind of record"):
        world.as_timelock(world.registry, "set_coefficient", kind, 1)


@pytest.mark.parametrize("value", [100_001, 2**256 - 1])
def test_a_coefficient_out_of_bounds_is_refused(world: World, value: int) -> None:
    with reverts("registry: the coefficient is out of bounds"):
        world.as_timelock(world.registry, "set_coefficient", 1, value)


@pytest.mark.parametrize("value", [0, 100])
def test_the_least_quality_is_stored_and_told(world: World, value: int) -> None:
    world.as_timelock(world.registry, "set_min_quality", value)
    event = world.evm.event("ParameterChanged")
    assert event["name"] == keccak(text="min_quality")
    assert (event["previous"], event["current"]) == (20, value)
    assert world.registry.min_quality() == value
    minted = world.attest(world.register(), completeness=100, annotation=99)
    assert (minted > 0) == (value == 0)


def test_a_least_quality_over_100_is_refused(world: World) -> None:
    for value in (101, 2**256 - 1):
        with reverts("registry: the least quality is out of bounds"):
            world.as_timelock(world.registry, "set_min_quality", value)


def test_a_stranger_is_refused(world: World) -> None:
    for who in (world.people.stranger, world.people.operator, world.people.accreditation):
        with reverts("access: caller may not do this"):
            world.registry.set_coefficient(1, 0, sender=who)
        with reverts("access: caller may not do this"):
            world.registry.set_min_quality(0, sender=who)

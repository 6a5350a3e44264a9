"""R13: the timelock sets each factor within bounds of its own."""

from __future__ import annotations

import pytest
from support.world import World, reverts

BOUNDS = {
    0: (10_000, 100_000),  # commercial
    1: (1_000, 10_000),  # emergency
    2: (1_000, 10_000),  # public
    3: (5_000, 20_000),  # sensitive
    4: (10_000, 50_000),  # highly sensitive
    5: (10_000, 30_000),  # in region
    6: (0, 5_000),  # compliance discount
    7: (1_000, 10_000),  # rental
}


def _factors(world: World) -> list[int]:
    word = world.tariff.factors_word()
    return [word >> 32 * place & 2**32 - 1 for place in range(8)]


def test_the_deployment_sets_r13s_factors(world: World) -> None:
    assert _factors(world) == [25_000, 5_000, 5_000, 10_000, 15_000, 13_000, 1_500, 3_000]


@pytest.mark.parametrize(("factor", "at"), [(f, b) for f in BOUNDS for b in (0, 1)])
def test_a_change_to_a_bound_is_stored_and_told_and_leaves_the_others(
    world: World, factor: int, at: int
) -> None:
    before = _factors(world)
    amount = BOUNDS[factor][at]
    world.as_timelock(world.tariff, "set_factor", factor, amount)
    assert world.evm.event("FactorChanged") == {
        "factor": factor,
        "previous": before[factor],
        "current": amount,
    }
    assert _factors(world) == [*before[:factor], amount, *before[factor + 1 :]]


@pytest.mark.parametrize("factor", BOUNDS)
def test_beyond_a_bound_it_is_refused(world: World, factor: int) -> None:
    low, high = BOUNDS[factor]
    for amount in (low - 1, high + 1, high + 2**32, 2**256 - 1):
        if amount < 0:
            continue
        with reverts("tariff: out of bounds"):
            world.as_timelock(world.tariff, "set_factor", factor, amount)


@pytest.mark.parametrize("factor", [8, 2**32, 2**256 - 1])
def test_an_unknown_factor_is_refused(world: World, factor: int) -> None:
    with reverts("tariff: unknown factor"):
        world.as_timelock(world.tariff, "set_factor", factor, 10_000)


def test_a_stranger_is_refused(world: World) -> None:
    people = world.people
    for who in (people.stranger, people.operator, people.regulator, people.custodian):
        with reverts("access: caller may not do this"):
            world.tariff.set_factor(0, 10_000, sender=who)

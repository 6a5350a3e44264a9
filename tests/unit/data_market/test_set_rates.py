"""R15: the timelock moves the rates within bounds; each change opens an epoch."""

from __future__ import annotations

import pytest
from support.world import RATES_FIELDS, World, pack, reverts

OUT = "rates: out of bounds"
FIRST = {"provider": 7_000, "annotator": 2_000, "platform": 1_000, "levy": 500}


def _set(world: World, *rates: int) -> None:
    """Directly, as the timelock, so that a refusal is the market's own sentence."""
    named = dict(zip(FIRST, rates, strict=True))
    world.as_timelock(world.market, "set_rates", named)


def test_the_deployment_opens_the_first_epoch(world: World) -> None:
    assert world.market.rates_word() == pack(RATES_FIELDS, **FIRST, epoch=1, paused=0)
    assert world.market.rates_of(1) == FIRST


def test_a_change_opens_the_next_epoch_and_keeps_the_old_one(world: World) -> None:
    second = {"provider": 6_000, "annotator": 2_500, "platform": 1_500, "levy": 1_000}
    _set(world, *second.values())
    assert world.evm.event("RatesChanged") == {"epoch": 2, "previous": FIRST, "current": second}
    assert world.market.rates_word() == pack(RATES_FIELDS, **second, epoch=2, paused=0)
    assert world.market.rates_of(1) == FIRST
    assert world.market.rates_of(2) == second


@pytest.mark.parametrize(
    "rates",
    [
        (5_000, 5_000, 0, 0),
        (5_000, 3_000, 2_000, 1_000),
        (10_000, 0, 0, 0),
        (8_000, 0, 2_000, 1_000),
    ],
)
def test_the_edges_of_the_bounds_are_inside(world: World, rates: tuple[int, ...]) -> None:
    _set(world, *rates)
    assert tuple(world.market.rates_of(2).values()) == rates


@pytest.mark.parametrize(
    "rates",
    [
        (4_999, 4_001, 1_000, 500),  # provider too low
        (7_000, 999, 2_001, 500),  # platform too high
        (7_000, 2_000, 1_000, 1_001),  # levy too high
        (7_000, 2_000, 999, 500),  # do not make 10,000
        (7_000, 2_001, 1_000, 500),
        (0, 0, 0, 0),
        (10_001, 0, 0, 0),
        (7_000, 2_000, 1_000, 2**256 - 1),
        (2**16 + 7_000, 2_000, 1_000, 500),  # would spill into the next field
    ],
)
def test_rates_outside_their_bounds_are_refused(world: World, rates: tuple[int, ...]) -> None:
    with reverts(OUT):
        _set(world, *rates)


def test_a_sum_that_overflows_is_refused(world: World) -> None:
    with reverts("FailedCall()"):
        _set(world, 7_000, 2**256 - 1, 1_000, 500)


def test_a_pause_survives_a_change_and_is_in_no_epoch(world: World) -> None:
    world.market.pause(sender=world.people.guardian)
    _set(world, 6_000, 3_000, 1_000, 500)
    assert world.market.rates_word() >> 80 == 1
    with reverts("market: paused"):
        world.market.deposit(world.people.licensee, 1, sender=world.people.licensee)
    world.as_timelock(world.market, "unpause")
    assert world.market.rates_word() >> 80 == 0


def test_the_last_epoch_is_the_last(world: World) -> None:
    """65,535 epochs fit the licence word; the next is refused rather than wrapped to zero."""
    slot = next(
        slot
        for slot in range(64)
        if world.evm.storage(world.market.address, slot) == world.market.rates_word()
    )
    word = world.market.rates_word() & ~(0xFFFF << 64) | 65_534 << 64
    with world.evm.stored(world.market.address, slot, word):
        _set(world, 6_000, 3_000, 1_000, 500)
        assert world.evm.event("RatesChanged")["epoch"] == 65_535
        with reverts("rates: no epoch is left"):
            _set(world, 7_000, 2_000, 1_000, 500)


def test_through_the_timelock_it_works_and_a_stranger_is_refused(world: World) -> None:
    people = world.people
    for who in (people.stranger, people.operator, people.deployer, people.platform):
        with reverts("access: caller may not do this"):
            world.market.set_rates(FIRST, sender=who)
    world.as_timelock(world.market, "set_rates", FIRST)
    assert world.market.rates_word() >> 64 == 2


def test_an_epoch_that_never_was_has_no_rates(world: World) -> None:
    for epoch in (0, 2, 65_535, 2**256 - 1):
        assert set(world.market.rates_of(epoch).values()) == {0}

"""R13: the timelock sets a kind's scarcity between a half and ten, from where it moves on by itself."""

from __future__ import annotations

import pytest
from support.world import DUT, KIND_FIELDS, World, reverts, unpack


@pytest.mark.parametrize("kind", [1, 8])
@pytest.mark.parametrize("scarcity", [5_000, 10_000, 100_000])
def test_the_change_is_stored_and_told(world: World, kind: int, scarcity: int) -> None:
    before = unpack(world.tariff.kind_word(kind), KIND_FIELDS)
    assert before["scarcity"] == 10_000
    world.as_timelock(world.tariff, "set_scarcity", kind, scarcity)
    assert world.evm.event("ScarcityChanged") == {
        "kind": kind,
        "previous": 10_000,
        "current": scarcity,
    }
    after = unpack(world.tariff.kind_word(kind), KIND_FIELDS)
    assert after == before | {"scarcity": scarcity}


@pytest.mark.parametrize(("scarcity", "price"), [(5_000, 25 * DUT), (100_000, 500 * DUT)])
def test_the_price_follows(world: World, scarcity: int, price: int) -> None:
    world.as_timelock(world.tariff, "set_scarcity", 1, scarcity)
    assert world.quote(world.record())["price"] == price
    assert world.quote(world.record(kind=4))["price"] == 20 * DUT


def test_it_leaves_the_week_as_it_was(world: World) -> None:
    world.tariff.move_scarcity(1)
    week = unpack(world.tariff.kind_word(1), KIND_FIELDS)["week"]
    assert week == world.now // 604_800
    world.as_timelock(world.tariff, "set_scarcity", 1, 20_000)
    assert unpack(world.tariff.kind_word(1), KIND_FIELDS)["week"] == week
    with reverts("tariff: it moved this week"):
        world.tariff.move_scarcity(1)


@pytest.mark.parametrize("scarcity", [0, 4_999, 100_001, 2**32 + 10_000, 2**256 - 1])
def test_out_of_bounds_is_refused(world: World, scarcity: int) -> None:
    with reverts("tariff: out of bounds"):
        world.as_timelock(world.tariff, "set_scarcity", 1, scarcity)


@pytest.mark.parametrize("kind", [0, 9, 2**256 - 1])
def test_an_unknown_kind_is_refused(world: World, kind: int) -> None:
    with reverts("tariff: unknown kind"):
        world.as_timelock(world.tariff, "set_scarcity", kind, 10_000)


def test_a_stranger_is_refused(world: World) -> None:
    people = world.people
    for who in (people.stranger, people.operator, people.regulator, people.licensee):
        with reverts("access: caller may not do this"):
            world.tariff.set_scarcity(1, 100_000, sender=who)

"""R13: the timelock sets reference prices within bounds."""

from __future__ import annotations

import pytest
from support.world import DUT, World, refused


def test_the_deployment_sets_r13s_references(world: World) -> None:
    expected = {1: 50 * DUT, 2: 10 * DUT, 3: 5 * DUT, 4: 20 * DUT}
    for kind in range(10):
        assert world.market.reference(kind) == expected.get(kind, 0)


@pytest.mark.parametrize("kind", [1, 8])
@pytest.mark.parametrize("amount", [0, 85 * 10**9, 10**24])
def test_the_change_is_stored_and_told(world: World, kind: int, amount: int) -> None:
    previous = world.market.reference(kind)
    world.as_timelock(world.market, "set_reference", kind, amount)
    assert world.market.reference(kind) == amount
    assert world.evm.event("ReferenceChanged") == {
        "kind": kind,
        "previous": previous,
        "current": amount,
    }


@pytest.mark.parametrize("kind", [0, 9, 2**256 - 1])
def test_an_unknown_kind_is_refused(world: World, kind: int) -> None:
    with refused("pricing: unknown kind"):
        world.as_timelock(world.market, "set_reference", kind, DUT)


@pytest.mark.parametrize("amount", [1, 84 * 10**9, 85 * 10**9 + 1, 10**24 + 10**9, 2**256 - 1])
def test_an_amount_off_the_grain_or_out_of_bounds_is_refused(world: World, amount: int) -> None:
    with refused("pricing: out of bounds"):
        world.as_timelock(world.market, "set_reference", 1, amount)


def test_a_stranger_is_refused(world: World) -> None:
    for who in (world.people.stranger, world.people.operator, world.people.custodian):
        with refused("access: caller may not do this"):
            world.market.set_reference(1, 0, sender=who)


def test_the_highest_price_that_governance_and_quality_allow_fits_the_licence(world: World) -> None:
    world.as_timelock(world.market, "set_reference", 1, 10**24)
    consent = world.granted(world.record(dvi=100))
    assert world.market.quote(consent.records, 0) == 10**24 * 100 // 85 // 10**9 * 10**9
    assert world.market.quote(consent.records, 0) < 2**64 * 10**9

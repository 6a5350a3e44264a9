"""R13: the timelock sets reference prices within bounds."""

from __future__ import annotations

import pytest
from support.world import DUT, KIND_FIELDS, World, reverts, unpack


def test_the_deployment_sets_r13s_references(world: World) -> None:
    # Derived records (7) have none in R13; at 1 DUT an asset can be offered at its own floor (R3).
    expected = {1: 50 * DUT, 2: 10 * DUT, 3: 5 * DUT, 4: 20 * DUT, 7: DUT}
    for kind in range(10):
        assert world.reference(kind) == expected.get(kind, 0)


@pytest.mark.parametrize("kind", [1, 8])
@pytest.mark.parametrize("amount", [0, 85 * 10**9, 10**24])
def test_the_change_is_stored_and_told(world: World, kind: int, amount: int) -> None:
    before = unpack(world.tariff.kind_word(kind), KIND_FIELDS)
    world.as_timelock(world.tariff, "set_reference", kind, amount)
    assert world.evm.event("ReferenceChanged") == {
        "kind": kind,
        "previous": before["reference"],
        "current": amount,
    }
    after = unpack(world.tariff.kind_word(kind), KIND_FIELDS)
    assert after == before | {"reference": amount}


def test_scarcity_and_its_week_stay_when_the_reference_changes(world: World) -> None:
    world.as_timelock(world.tariff, "set_scarcity", 1, 100_000)
    world.tariff.move_scarcity(1)
    before = unpack(world.tariff.kind_word(1), KIND_FIELDS)
    for amount in (10**24, 0):
        world.as_timelock(world.tariff, "set_reference", 1, amount)
        after = unpack(world.tariff.kind_word(1), KIND_FIELDS)
        assert after == before | {"reference": amount}


@pytest.mark.parametrize("kind", [0, 9, 2**256 - 1])
def test_an_unknown_kind_is_refused(world: World, kind: int) -> None:
    with reverts("tariff: unknown kind"):
        world.as_timelock(world.tariff, "set_reference", kind, DUT)


@pytest.mark.parametrize("amount", [1, 84 * 10**9, 85 * 10**9 + 1, 10**24 + 10**9, 2**256 - 1])
def test_an_amount_off_the_grain_or_out_of_bounds_is_refused(world: World, amount: int) -> None:
    with reverts("tariff: out of bounds"):
        world.as_timelock(world.tariff, "set_reference", 1, amount)


def test_a_stranger_is_refused(world: World) -> None:
    for who in (world.people.stranger, world.people.operator, world.people.custodian):
        with reverts("access: caller may not do this"):
            world.tariff.set_reference(1, 0, sender=who)


def test_a_kind_off_sale_sells_nothing_and_old_licences_run_on(world: World) -> None:
    consent = world.granted()
    ref = world.buy(consent)
    world.as_timelock(world.tariff, "set_reference", 1, 0)
    with reverts("licence: kind is not for sale"):
        world.buy(consent, salt=1)
    world.use(ref, 10)
    world.settle(ref)
    assert world.evm.event("LicenceSettled")["gross"] == 500 * DUT


def test_the_highest_price_that_governance_and_quality_allow_fits_the_licence(world: World) -> None:
    world.as_timelock(world.tariff, "set_reference", 1, 10**24)
    price = world.quote(world.record(dvi=100))["price"]
    assert price == 10**24 * 100 // 85 // 10**9 * 10**9
    assert price < 2**64 * 10**9

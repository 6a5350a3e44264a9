"""R14, R15: a metered licence is topped up at its price, within the rates its money was taken at."""

from __future__ import annotations

from typing import Any

import pytest
from support.world import DAY, DUT, FIXED, KEY_BITS, RENTAL, World, reverts

from medtoken import vocabulary

RATES = {"provider": 5_000, "annotator": 3_000, "platform": 2_000, "levy": 1_000}
OUT = "licence: units out of range"


def _top_up(world: World, ref: dict[str, Any], units: int, sender: str | None = None) -> None:
    world.market.top_up(ref, units, sender=sender or world.people.licensee)


def test_units_and_the_levy_are_paid_and_added(world: World) -> None:
    ref = world.buy(world.granted(), units=10)
    before, deposit = world.meter(ref), world.deposit_of(world.people.licensee)
    _top_up(world, ref, 5)
    assert world.evm.events() == ["LicenceToppedUp"]
    assert world.evm.event("LicenceToppedUp") == {
        "licence": world.licence_id(ref),
        "units": 5,
        "paid": 250 * DUT,
        "levy": 25 * DUT // 2,
    }
    assert world.meter(ref) == before | {"units": 15}
    assert deposit - world.deposit_of(world.people.licensee) == 250 * DUT * 21 // 20
    world.use(ref, 15)


@pytest.mark.parametrize("settled", [False, True])
def test_what_is_not_used_returns_once_with_its_levy(world: World, settled: bool) -> None:
    consent = world.granted()
    start = world.deposit_of(world.people.licensee)
    ref = world.buy(consent, units=10)
    world.use(ref, 4)
    if settled:
        world.settle(ref)
    _top_up(world, ref, 7)
    world.use(ref, 8)
    world.revoke(consent)
    for _ in range(2):
        world.settle(ref)
    assert start - world.deposit_of(world.people.licensee) == 12 * 50 * DUT * 21 // 20
    word = world.meter(ref)
    assert (word["units"], word["used"], word["settled"]) == (17, 12, 12)


def test_other_rates_ask_for_another_licence(world: World) -> None:
    """Units of two epochs in one licence would return a levy that was never paid."""
    consent = world.granted()
    start = world.deposit_of(world.people.licensee)
    ref = world.buy(consent, units=10)
    world.as_timelock(world.market, "set_rates", RATES)
    with reverts("licence: the rates have changed"):
        _top_up(world, ref, 1)
    same = {"provider": 7_000, "annotator": 2_000, "platform": 1_000, "levy": 500}
    world.as_timelock(world.market, "set_rates", same)
    with reverts("licence: the rates have changed"):
        _top_up(world, ref, 1)
    world.revoke(consent)
    world.settle(ref)
    assert world.deposit_of(world.people.licensee) == start


@pytest.mark.parametrize("units", [0, 2**40 - 10, 2**40, 2**120, 2**256 - 1])
def test_units_must_be_some_and_fit_with_those_before(world: World, units: int) -> None:
    ref = world.buy(world.granted(), units=10)
    with reverts(OUT):
        _top_up(world, ref, units)


def test_up_to_the_last_unit_that_the_word_holds(world: World) -> None:
    """At the lowest price the field fills to its last bit and spills into no other."""
    people = world.people
    world.as_timelock(world.tariff, "set_reference", 1, 85 * 10**9)
    world.as_timelock(world.dut, "setCap", 10**30)
    world.fund(people.licensee, 10**24)
    world.market.deposit(people.licensee, 10**24, sender=people.licensee)
    ref = world.buy(world.granted(world.record(dvi=1), floorPrice=0), units=10)
    world.use(ref, 10)
    before = world.meter(ref)
    _top_up(world, ref, 2**40 - 11)
    assert world.meter(ref) == before | {"units": 2**40 - 1}
    for units in (1, 2**40):
        with reverts(OUT):
            _top_up(world, ref, units)
    world.use(ref, 2**40 - 11)
    world.settle(ref)
    assert world.meter(ref)["settled"] == 2**40 - 1


def test_a_deposit_that_is_too_small_is_refused(world: World) -> None:
    licensee = world.people.licensee
    ref = world.buy(world.granted(), units=1)
    world.market.reclaim(world.deposit_of(licensee) - 105 * DUT // 2, sender=licensee)
    with reverts("account: deposit is too small"):
        _top_up(world, ref, 2)
    _top_up(world, ref, 1)
    assert world.deposit_of(licensee) == 0
    with reverts("account: deposit is too small"):
        _top_up(world, ref, 2**40 - 3)


def test_a_stranger_tops_up_nobodys(world: World) -> None:
    people = world.people
    ref = world.buy(world.granted())
    for who in (people.stranger, people.other_licensee, people.meter, people.custodian):
        for named in (ref, ref | {"licensee": str(who)}):
            with reverts("licence: unknown licence"):
                _top_up(world, named, 1, who)


@pytest.mark.parametrize("form", [FIXED, RENTAL])
def test_a_term_has_no_units(world: World, form: int) -> None:
    ref = world.buy(world.granted(), form=form)
    with reverts("licence: it takes no more units"):
        _top_up(world, ref, 1)


def test_what_cannot_be_used_is_not_topped_up(world: World) -> None:
    consent = world.granted()
    ref = world.buy(consent)
    licence, supervisor = world.licence_id(ref), world.people.supervisor
    world.market.set_suspended(licence, True, sender=supervisor)
    with reverts("licence: it is suspended"):
        _top_up(world, ref, 1)
    world.market.set_suspended(licence, False, sender=supervisor)
    with world.evm.anchor():
        world.evm.warp(90 * DAY)
        with reverts("licence: it has ended"):
            _top_up(world, ref, 1)
    world.revoke(consent)
    with reverts("consent: it was revoked"):
        _top_up(world, ref, 1)
    world.settle(ref)
    with reverts("licence: it is closed"):
        _top_up(world, ref, 1)


def test_a_pause_stops_it(world: World) -> None:
    ref = world.buy(world.granted())
    world.market.pause(sender=world.people.guardian)
    with reverts("market: paused"):
        _top_up(world, ref, 1)


def test_a_frozen_licensee_cannot_spend_its_deposit_on_it(world: World) -> None:
    """R2: neither under sanctions in DUT nor under the market's own freeze."""
    people = world.people
    ref = world.buy(world.granted())
    world.dut.setFrozen(people.licensee, True, sender=people.sanctions)
    with reverts("licence: the licensee is frozen"):
        _top_up(world, ref, 1)
    world.dut.setFrozen(people.licensee, False, sender=people.sanctions)
    world.license(people.licensee, flags=int(vocabulary.LicenseeFlag.FROZEN))
    with reverts("licence: the licensee is frozen"):
        _top_up(world, ref, 1)
    world.license(people.licensee)
    _top_up(world, ref, 1)


def test_its_price_is_the_licences_whatever_units_cost_now(world: World) -> None:
    """R15: nothing is repriced; the consent's end bounds for how long."""
    ref = world.buy(world.granted(), units=1)
    world.as_timelock(world.tariff, "set_reference", 1, 80 * DUT)
    _top_up(world, ref, 1)
    assert world.evm.event("LicenceToppedUp")["paid"] == 50 * DUT


def test_an_emergencys_price_ends_with_the_emergency(world: World) -> None:
    """R13: half the price is for the emergency, not for the years after it."""
    world.declare(seconds=DAY)
    consent = world.granted(floorPrice=0)
    ref = world.buy(consent, units=1, urgent=True, end=consent.expiry)
    later = world.buy(consent, units=1, salt=1 << KEY_BITS, end=consent.expiry)
    for seconds in (0, DAY):
        world.evm.warp(seconds)
        with reverts("licence: it takes no more units"):
            _top_up(world, ref, 1)
    world.use(ref)  # what was bought stays good
    _top_up(world, later, 1)
    assert world.evm.event("LicenceToppedUp")["paid"] == 50 * DUT
    assert world.view.licence(world.licence_id(ref))["urgent"]
    assert not world.view.licence(world.licence_id(later))["urgent"]


def test_a_destroyed_record_is_not_prepaid_any_more(world: World) -> None:
    """R35: nobody licenses it from then on; units that nothing can serve are only money tied up."""
    consent = world.granted()
    ref = world.buy(consent)
    world.registry.destroy(consent.records, b"\1" * 32, sender=world.people.custodian)
    with reverts("licence: record is not attested"):
        _top_up(world, ref, 1)

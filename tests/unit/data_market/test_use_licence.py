"""R12, R9: a licence is used by its licensee, up to what is prepaid, while consent and term last."""

from __future__ import annotations

import pytest
from support.world import DAY, DUT, FIXED, METERED, RENTAL, World, reverts

TOO_FEW = "licence: too few units prepaid"


def test_a_metered_use_counts_up_and_touches_nothing_else(world: World) -> None:
    ref = world.buy(world.granted(), units=10)
    before = world.meter(ref)
    money = world.deposit_of(world.people.licensee), world.dut.balanceOf(world.market.address)
    world.use(ref, 3)
    assert world.evm.events() == ["LicenceUsed"]
    assert world.evm.event("LicenceUsed") == {
        "licence": world.licence_id(ref),
        "units": 3,
        "used": 3,
    }
    world.use(ref, 4)
    assert world.evm.event("LicenceUsed")["used"] == 7
    assert world.meter(ref) == before | {"used": 7}
    after = world.deposit_of(world.people.licensee), world.dut.balanceOf(world.market.address)
    assert money == after


def test_every_prepaid_unit_can_be_used_and_not_one_more(world: World) -> None:
    ref = world.buy(world.granted(), units=10)
    with reverts(TOO_FEW):
        world.use(ref, 11)
    world.use(ref, 9)
    with reverts(TOO_FEW):
        world.use(ref, 2)
    world.use(ref, 1)
    with reverts(TOO_FEW):
        world.use(ref, 1)


@pytest.mark.parametrize("form", [FIXED, METERED, RENTAL])
@pytest.mark.parametrize("units", [0, 2**40, 2**80 + 1, 2**216, 2**256 - 1])
def test_no_unit_and_more_than_its_field_holds_are_refused(
    world: World, form: int, units: int
) -> None:
    """Also for a term, whose log an auditor must be able to hold."""
    ref = world.buy(world.granted(), form=form, units=10 if form == METERED else 0)
    world.use(ref, 1)
    with reverts("licence: units out of range"):
        world.use(ref, units)


@pytest.mark.parametrize("units", [10, 2**40 - 1])
def test_the_largest_number_that_fits_is_still_bounded_by_what_is_prepaid(
    world: World, units: int
) -> None:
    ref = world.buy(world.granted(), units=10)
    world.use(ref, 1)
    with reverts(TOO_FEW):
        world.use(ref, units)


def test_a_use_of_a_fixed_term_is_logged_and_changes_nothing(world: World) -> None:
    ref = world.buy(world.granted(), form=FIXED)
    before = world.licence(ref)
    world.use(ref, 5)
    assert world.evm.event("LicenceUsed") == {
        "licence": world.licence_id(ref),
        "units": 5,
        "used": 0,
    }
    assert world.licence(ref) == before


def test_a_stranger_cannot_use_anothers_licence(world: World) -> None:
    people = world.people
    ref = world.buy(world.granted())
    for who in (people.stranger, people.other_licensee, people.patient, people.operator):
        with reverts("licence: unknown licence"):
            world.use(ref, sender=who)


def test_a_licence_that_was_never_bought_is_unknown(world: World) -> None:
    ref = world.buy(world.granted(), salt=1)
    with reverts("licence: unknown licence"):
        world.use(ref | {"salt": 2})


@pytest.mark.parametrize("form", [1, 2])
def test_it_ends_at_its_second(world: World, form: int) -> None:
    ref = world.buy(world.granted(), form=form, units=0 if form == FIXED else 10)
    world.evm.warp(90 * DAY - 1)
    world.use(ref)
    world.evm.warp(1)
    with reverts("licence: it has ended"):
        world.use(ref)


def test_a_suspended_licence_rests_until_it_is_let_run_again(world: World) -> None:
    ref = world.buy(world.granted())
    licence = world.licence_id(ref)
    world.market.set_suspended(licence, True, sender=world.people.supervisor)
    with reverts("licence: it is suspended"):
        world.use(ref)
    world.market.set_suspended(licence, False, sender=world.people.supervisor)
    world.use(ref)


def test_a_closed_licence_is_not_used(world: World) -> None:
    consent = world.granted()
    ref = world.buy(consent)
    world.revoke(consent)
    world.settle(ref)
    with reverts("licence: it is closed"):
        world.use(ref)


@pytest.mark.parametrize("form", [1, 2])
def test_a_revoked_consent_stops_it_in_the_same_second(world: World, form: int) -> None:
    consent = world.granted()
    ref = world.buy(consent, form=form, units=0 if form == FIXED else 10)
    world.revoke(consent)
    with reverts("consent: it was revoked"):
        world.use(ref)


def test_a_pause_does_not_stop_it(world: World) -> None:
    ref = world.buy(world.granted())
    world.market.pause(sender=world.people.guardian)
    world.use(ref, 10)
    assert world.meter(ref)["used"] == 10


def test_a_credential_withdrawn_later_stops_purchases_and_not_what_was_paid(world: World) -> None:
    consent = world.granted()
    ref = world.buy(consent)
    licensee = world.people.licensee
    world.market.set_licensee(licensee, 0, 0, 0, sender=world.people.credentials)
    world.use(ref)
    with reverts("consent: licensee not covered"):
        world.buy(consent, salt=1)


def test_uses_are_refused_under_another_consent_or_record(world: World) -> None:
    first, second = world.granted(), world.granted()
    ref = world.buy(first)
    for changed in ({"consent": second.struct_hash()}, {"record": second.records}):
        with reverts("licence: unknown licence"):
            world.use(ref | changed)
    assert world.deposit_of(world.people.licensee) % DUT == 0


def test_a_licence_on_a_destroyed_record_counts_on_and_returns_the_rest(world: World) -> None:
    """R35: SECURITY.md says so. Only its licensee can use it, and keys are released no more."""
    deposit = world.deposit_of(world.people.licensee)
    consent = world.granted()
    ref = world.buy(consent, units=10)
    world.registry.destroy(consent.records, b"\1" * 32, sender=world.people.custodian)
    world.use(ref, 3)
    world.evm.warp(90 * DAY)
    world.settle(ref)
    paid = deposit - world.deposit_of(world.people.licensee)
    assert paid == 3 * 50 * DUT * 105 // 100

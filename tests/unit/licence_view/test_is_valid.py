"""R9, R12: whether a licence can be used for so many units now, for other contracts to ask."""

from __future__ import annotations

import pytest
from support.evm import Reverted
from support.world import DAY, FIXED, METERED, RENTAL, World

FORMS = [FIXED, METERED, RENTAL]


@pytest.mark.parametrize("form", FORMS)
def test_it_says_what_use_would_do(world: World, form: int) -> None:
    consent = world.granted()
    ref = world.buy(consent, form=form)
    valid = world.view.is_valid
    assert valid(ref, 1)
    for changed in ({"salt": 1}, {"licensee": str(world.people.stranger)}, {"record": bytes(32)}):
        assert not valid(ref | changed, 1)
    with world.evm.anchor():
        world.evm.warp(90 * DAY - 1)
        assert valid(ref, 1)
        world.evm.warp(1)
        assert not valid(ref, 1)
    with world.evm.anchor():
        licence = world.licence_id(ref)
        world.market.set_suspended(licence, True, sender=world.people.supervisor)
        assert not valid(ref, 1)
        world.market.set_suspended(licence, False, sender=world.people.supervisor)
        assert valid(ref, 1)
    world.revoke(consent)
    assert not valid(ref, 1)
    world.settle(ref)
    assert not valid(ref, 1)


def test_a_revocation_counts_at_once_though_vouchers_may_still_come(world: World) -> None:
    consent = world.granted()
    ref = world.buy(consent, salt=world.keyed())
    world.revoke(consent)
    assert not world.view.is_valid(ref, 1)
    world.settle(ref)
    assert not world.view.licence(world.licence_id(ref))["closed"]


def test_an_expired_consent_ends_it(world: World) -> None:
    consent = world.granted(expiry=world.now + 100)
    ref = world.buy(consent, end=world.now + 100)
    world.evm.warp(99)
    assert world.view.is_valid(ref, 1)
    world.evm.warp(1)
    assert not world.view.is_valid(ref, 1)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("units", [0, 1, 6, 7, 10, 11, 2**40 - 1, 2**40, 2**176, 2**256 - 1])
def test_for_any_number_of_units_it_agrees_with_use(world: World, form: int, units: int) -> None:
    ref = world.buy(world.granted(), form=form)
    world.use(ref, 4)
    said = world.view.is_valid(ref, units)
    assert said == (0 < units <= (6 if form == METERED else 2**40 - 1))
    try:
        world.use(ref, units)
        done = True
    except Reverted:
        done = False
    assert said == done


def test_units_topped_up_count(world: World) -> None:
    ref = world.buy(world.granted(), units=1)
    assert not world.view.is_valid(ref, 3)
    world.market.top_up(ref, 2, sender=world.people.licensee)
    assert world.view.is_valid(ref, 3)
    assert not world.view.is_valid(ref, 4)


@pytest.mark.parametrize("form", FORMS)
def test_usable_is_valid_but_for_the_units_left(world: World, form: int) -> None:
    consent = world.granted()
    ref = world.buy(consent, form=form)
    world.use(ref, 10)
    assert world.view.is_usable(ref)
    assert world.view.is_valid(ref, 1) == (form != METERED)
    assert not world.view.is_usable(ref | {"salt": 1})
    licence = world.licence_id(ref)
    world.market.set_suspended(licence, True, sender=world.people.supervisor)
    assert not world.view.is_usable(ref)
    world.market.set_suspended(licence, False, sender=world.people.supervisor)
    with world.evm.anchor():
        world.evm.warp(90 * DAY)
        assert not world.view.is_usable(ref)
    world.revoke(consent)
    assert not world.view.is_usable(ref)
    world.settle(ref)
    assert not world.view.is_usable(ref)

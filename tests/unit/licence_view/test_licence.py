"""R12: a licence's packed word, field by field."""

from __future__ import annotations

import pytest
from support.world import DAY, DUT, FIXED, METERED, RENTAL, World

NOTHING = {
    "form": 0,
    "price": 0,
    "start": 0,
    "end": 0,
    "units": 0,
    "used": 0,
    "settled": 0,
    "epoch": 0,
    "suspended": False,
    "closed": False,
    "urgent": False,
}


def test_an_unknown_one_is_zeros(world: World) -> None:
    assert world.view.licence(world.fresh()) == NOTHING


def test_a_metered_one(world: World) -> None:
    ref = world.buy(world.granted(), units=10)
    world.use(ref, 7)
    world.settle(ref)
    world.use(ref, 1)
    assert world.view.licence(world.licence_id(ref)) == NOTHING | {
        "form": METERED,
        "price": 50 * DUT,
        "end": world.now + 90 * DAY,
        "units": 10,
        "used": 8,
        "settled": 7,
        "epoch": 1,
    }


@pytest.mark.parametrize(("form", "price"), [(FIXED, 50 * DUT), (RENTAL, 15 * DUT)])
def test_a_term(world: World, form: int, price: int) -> None:
    start = world.now
    ref = world.buy(world.granted(), form=form)
    world.evm.warp(1000)
    world.settle(ref)
    assert world.view.licence(world.licence_id(ref)) == NOTHING | {
        "form": form,
        "price": price,
        "start": start,
        "end": start + 90 * DAY,
        "settled": start + 1000,
        "epoch": 1,
    }


@pytest.mark.parametrize("form", [FIXED, METERED, RENTAL])
def test_its_flags(world: World, form: int) -> None:
    consent = world.granted()
    ref = world.buy(consent, form=form)
    licence = world.licence_id(ref)
    supervisor = world.people.supervisor
    world.market.set_suspended(licence, True, sender=supervisor)
    found = world.view.licence(licence)
    assert (found["form"], found["suspended"], found["closed"]) == (form, True, False)
    world.revoke(consent)
    world.settle(ref)
    found = world.view.licence(licence)
    assert (found["form"], found["suspended"], found["closed"]) == (form, True, True)

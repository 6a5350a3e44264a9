"""R12: one transaction reserves money and terms for any number of records."""

from __future__ import annotations

from typing import Any

import pytest
from support.desks import DAY, DUT, METERED, NONE, Desks
from support.world import reverts


def _terms(desks: Desks, **changes: Any) -> dict[str, Any]:
    consent = desks.granted()
    return desks.basket([(consent.records, consent)], **changes)


def test_a_basket_reserves_money_and_terms(desks: Desks) -> None:
    terms = _terms(desks, count=1000)
    who = desks.people.licensee
    before = desks.deposit_of(who)
    basket = desks.reserve(terms, 1000 * DUT)
    assert basket == desks.baskets.basket_id(terms)
    assert desks.evm.event("BasketReserved") == {
        "basket": basket,
        "licensee": who,
        "terms": terms,
        "amount": 1000 * DUT,
        "steps": 1,
    }
    assert before - desks.deposit_of(who) == 1000 * DUT
    assert desks.deposit_of(desks.baskets.address) == 1000 * DUT
    assert desks.state(terms) == {
        "reserved": True,
        "closed": False,
        "left": 1000 * DUT,
        "taken": 0,
        "steps": 1,
    }


def test_only_the_licensee_reserves_from_its_own_deposit(desks: Desks) -> None:
    terms = _terms(desks)
    for who in (desks.people.stranger, desks.people.other_licensee):
        with reverts("basket: not the licensee"):
            desks.reserve(terms, DUT, sender=who)
    with reverts("account: deposit is too small"):
        desks.reserve(terms, 10**9 * DUT)
    assert not desks.state(terms)["reserved"]
    desks.pause()
    with reverts("market: paused"):
        desks.reserve(terms, DUT)


def test_a_basket_is_reserved_once(desks: Desks) -> None:
    terms = _terms(desks)
    desks.reserve(terms, DUT)
    with reverts("basket: it was reserved before"):
        desks.reserve(terms, DUT)
    desks.close(terms)
    with reverts("basket: it was reserved before"):
        desks.reserve(terms, DUT)
    desks.reserve(terms | {"salt": 1}, DUT)


@pytest.mark.parametrize("form", [0, 3, 4])
def test_other_forms_are_refused(desks: Desks, form: int) -> None:
    with reverts("basket: unknown form"):
        desks.reserve(_terms(desks) | {"form": form}, DUT)


@pytest.mark.parametrize(
    "changes",
    [
        {"root": NONE},
        {"count": 0},
        {"count": 2**28},
        {"until": 0},
        {"until": -1},  # after the end
        {"end": 2**40, "until": 1},
        {"units": 1},
        {"form": METERED, "units": 0},
        {"form": METERED, "units": 2**40},
        {"maxPrice": 0},
    ],
)
def test_terms_out_of_range_are_refused(desks: Desks, changes: dict[str, Any]) -> None:
    terms = _terms(desks)
    if changes.get("until") == 0:
        changes = {"until": desks.now}
    elif changes.get("until") == -1:
        changes = {"until": terms["end"] + 1}
    elif "end" in changes:
        changes = {"end": 2**40, "until": desks.now + DAY}
    with reverts("basket: terms out of range"):
        desks.reserve(terms | changes, DUT)


@pytest.mark.parametrize("amount", [0, 2**128])
def test_amounts_out_of_range_are_refused(desks: Desks, amount: int) -> None:
    with reverts("basket: terms out of range"):
        desks.reserve(_terms(desks), amount)


def test_reserving_signs_the_agreement(desks: Desks) -> None:
    for agreement in (NONE, b"\1" * 32):
        with reverts("basket: agreement not signed"):
            desks.reserve(_terms(desks, agreement=agreement), DUT)
    desks.as_timelock(desks.market, "set_agreement", NONE)
    with reverts("basket: agreement not signed"):
        desks.reserve(_terms(desks, agreement=NONE), DUT)


def test_more_can_be_reserved(desks: Desks) -> None:
    terms = _terms(desks)
    with reverts("basket: unknown basket"):
        desks.baskets.top_up(terms, DUT, sender=terms["licensee"])
    desks.reserve(terms, DUT)
    desks.baskets.top_up(terms, 2 * DUT, sender=terms["licensee"])
    assert desks.evm.event("BasketToppedUp") == {
        "basket": desks.baskets.basket_id(terms),
        "amount": 2 * DUT,
    }
    assert desks.state(terms)["left"] == 3 * DUT == desks.deposit_of(desks.baskets.address)
    for who in (desks.people.stranger, desks.people.other_licensee):
        with reverts("basket: not the licensee"):
            desks.baskets.top_up(terms, DUT, sender=who)
    for amount in (0, 2**128 - 1, 2**256 - 1):
        with reverts("basket: amount out of range"):
            desks.baskets.top_up(terms, amount, sender=terms["licensee"])
    with reverts("account: deposit is too small"):
        desks.baskets.top_up(terms, 10**9 * DUT, sender=terms["licensee"])
    with desks.evm.anchor():
        desks.pause()
        with reverts("market: paused"):
            desks.baskets.top_up(terms, DUT, sender=terms["licensee"])
    desks.evm.warp(terms["until"] - desks.now)
    with reverts("basket: its time is over"):
        desks.baskets.top_up(terms, DUT, sender=terms["licensee"])
    desks.close(terms)
    with reverts("basket: it is closed"):
        desks.baskets.top_up(terms, DUT, sender=terms["licensee"])

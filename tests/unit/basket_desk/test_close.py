"""What was not taken goes back to the licensee's deposit: at its wish, or after the end by anybody."""

from __future__ import annotations

from support.desks import DUT, Desks, exact, item
from support.world import reverts


def _reserved(desks: Desks):  # type: ignore[no-untyped-def]
    leaves = [(c.records, c) for c in (desks.granted() for _ in range(3))]
    terms = desks.basket(leaves)
    desks.reserve(terms, 1000 * DUT)
    return terms, leaves


def test_the_licensee_closes_at_any_time(desks: Desks) -> None:
    before = desks.deposit_of(desks.people.licensee)
    terms, leaves = _reserved(desks)
    desks.take(terms, item(leaves, 0))
    desks.close(terms)
    assert desks.evm.event("BasketClosed") == {
        "basket": desks.baskets.basket_id(terms),
        "returned": exact("931.75"),
    }
    assert desks.deposit_of(desks.people.licensee) == before - exact("68.25")
    assert desks.deposit_of(desks.baskets.address) == 0
    state = desks.state(terms)
    assert (state["closed"], state["left"], state["taken"]) == (True, 0, 1)
    with reverts("basket: it is closed"):
        desks.close(terms)


def test_strangers_close_only_after_its_time(desks: Desks) -> None:
    terms, _ = _reserved(desks)
    for who in (desks.people.stranger, desks.people.other_licensee, desks.people.operator):
        with reverts("basket: not the licensee"):
            desks.close(terms, sender=who)
    desks.evm.warp(terms["until"] - desks.now)
    before = desks.deposit_of(desks.people.licensee)
    desks.close(terms, sender=desks.people.stranger)
    assert desks.deposit_of(desks.people.licensee) == before + 1000 * DUT


def test_neither_a_pause_nor_a_freeze_keeps_the_money(desks: Desks) -> None:
    before = desks.deposit_of(desks.people.licensee)
    terms, _ = _reserved(desks)
    desks.pause()
    desks.freeze(desks.people.licensee)
    desks.dut.setFrozen(desks.people.licensee, True, sender=desks.people.sanctions)
    desks.close(terms)
    assert desks.deposit_of(desks.people.licensee) == before


def test_what_nobody_reserved_cannot_be_closed(desks: Desks) -> None:
    terms, _ = _reserved(desks)
    with reverts("basket: unknown basket"):
        desks.close(terms | {"count": 4})


def test_the_money_of_two_baskets_is_kept_apart(desks: Desks) -> None:
    one, _ = _reserved(desks)
    _reserved(desks)
    desks.close(one)
    assert desks.deposit_of(desks.baskets.address) == 1000 * DUT

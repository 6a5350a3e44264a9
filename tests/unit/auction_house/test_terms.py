"""The timelock moves the terms of auctions within bounds; nobody else does anything."""

from __future__ import annotations

import pytest
from support.desks import Desks
from support.world import NONE, ZERO, reverts


def test_the_deployment_sets_the_terms(desks: Desks) -> None:
    assert desks.house.terms() == (500, 600, 7)
    assert desks.house.authority() == desks.manager.address
    assert desks.house.eip712Domain()[1:5] == ("medtoken", "1", 31337, desks.house.address)


@pytest.mark.parametrize("terms", [(100, 60, 1), (5_000, 86_400, 30)])
def test_the_edges_of_the_bounds_are_inside(desks: Desks, terms: tuple[int, ...]) -> None:
    desks.as_timelock(desks.house, "set_terms", *terms)
    assert desks.evm.event("TermsChanged") == dict(
        zip(("increment", "extension", "patience"), terms, strict=True)
    )
    assert tuple(desks.house.terms()) == terms


@pytest.mark.parametrize(
    "terms",
    [
        (99, 600, 7),
        (5_001, 600, 7),
        (500, 59, 7),
        (500, 86_401, 7),
        (500, 600, 0),
        (500, 600, 31),
        (2**256 - 1, 2**256 - 1, 2**256 - 1),
    ],
)
def test_terms_out_of_bounds_are_refused(desks: Desks, terms: tuple[int, ...]) -> None:
    data = desks.house.abi.call("set_terms", *terms)
    schedule = (desks.house.address, 0, data, NONE, desks.fresh(), 0)
    desks.timelock.schedule(*schedule, sender=desks.people.operator)
    with reverts("auction: terms out of bounds"):
        desks.timelock.execute(*schedule[:-1], sender=desks.people.operator)


def test_strangers_are_refused(desks: Desks) -> None:
    people = desks.people
    for who in (people.stranger, people.operator, people.guardian, people.deployer, people.patient):
        with reverts("access: caller may not do this"):
            desks.house.set_terms(500, 600, 7, sender=who)
        with reverts("initializer: done before"):
            desks.house.initialize(500, 600, 7, sender=who)


def test_nobody_plays_a_desk(desks: Desks) -> None:
    people = desks.people
    for who in (people.stranger, people.operator, people.licensee, people.deployer):
        for call in (
            lambda who: desks.market.charge(people.licensee, 1, sender=who),
            lambda who: desks.market.release(people.licensee, 1, sender=who),
        ):
            with reverts("access: caller may not do this"):
                call(who)


def test_every_link_is_needed(desks: Desks) -> None:
    good = [desks.people.deployer, desks.manager.address, *[desks.market.address] * 3]
    for i in range(1, 5):
        bad = list(good)
        bad[i] = ZERO
        sentence = "access: no manager is named" if i == 1 else "links: a contract is missing"
        with reverts(sentence):
            desks.evm.deploy("AuctionHouse", *bad, sender=desks.people.deployer)

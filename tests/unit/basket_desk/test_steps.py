"""The timelock sets the discount steps within bounds; nobody else does anything."""

from __future__ import annotations

import pytest
from support.desks import Desks
from support.world import NONE, ZERO, reverts

from medtoken import artifacts


def _named(steps: list[tuple[int, int]]) -> list[dict[str, int]]:
    return [{"count": n, "discount": bps} for n, bps in steps]


def test_the_deployment_sets_the_first_steps(desks: Desks) -> None:
    assert desks.baskets.version() == 1
    assert desks.baskets.authority() == desks.manager.address
    for number, bps in (
        (0, 0),
        (99, 0),
        (100, 500),
        (999, 500),
        (1_000, 1_000),
        (10_000, 1_500),
        (100_000, 2_000),
        (2**28 - 1, 2_000),
    ):
        assert desks.baskets.discount(1, number) == bps
    assert desks.baskets.discount(2, 1000) == 0


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [(1, 1)],
        [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (2**28 - 1, 5_000)],
    ],
)
def test_each_change_is_another_version(desks: Desks, steps: list[tuple[int, int]]) -> None:
    desks.as_timelock(desks.baskets, "set_steps", _named(steps))
    changed = desks.evm.event("StepsChanged")
    assert changed["version"] == 2
    assert [dict(s) for s in changed["steps"]] == _named(steps)
    for number, bps in steps:
        assert desks.baskets.discount(2, number) == bps
    assert desks.baskets.discount(1, 1_000) == 1_000


@pytest.mark.parametrize(
    "steps",
    [
        [(0, 1)],
        [(1, 0)],
        [(1, 5_001)],
        [(2**28, 100)],
        [(2, 100), (2, 200)],
        [(2, 100), (3, 100)],
        [(3, 100), (2, 200)],
        [(1, 2**256 - 1)],
    ],
)
def test_steps_out_of_bounds_are_refused(desks: Desks, steps: list[tuple[int, int]]) -> None:
    data = desks.baskets.abi.call("set_steps", _named(steps))
    schedule = (desks.baskets.address, 0, data, NONE, desks.fresh(), 0)
    desks.timelock.schedule(*schedule, sender=desks.people.operator)
    with reverts("basket: steps out of bounds"):
        desks.timelock.execute(*schedule[:-1], sender=desks.people.operator)


def test_no_version_is_left_after_the_last(desks: Desks) -> None:
    slot = artifacts.load("BasketDesk")["storageLayout"]["_version"]["slot"]
    with desks.evm.stored(desks.baskets.address, slot, 2**16 - 1):
        data = desks.baskets.abi.call("set_steps", [])
        schedule = (desks.baskets.address, 0, data, NONE, desks.fresh(), 0)
        desks.timelock.schedule(*schedule, sender=desks.people.operator)
        with reverts("basket: no version is left"):
            desks.timelock.execute(*schedule[:-1], sender=desks.people.operator)


def test_strangers_are_refused(desks: Desks) -> None:
    people = desks.people
    for who in (people.stranger, people.operator, people.guardian, people.deployer):
        with reverts("access: caller may not do this"):
            desks.baskets.set_steps([], sender=who)
        with reverts("initializer: done before"):
            desks.baskets.initialize([], sender=who)


def test_every_link_is_needed(desks: Desks) -> None:
    good = [desks.people.deployer, desks.manager.address, *[desks.market.address] * 2]
    for i in range(1, 4):
        bad = list(good)
        bad[i] = ZERO
        sentence = "access: no manager is named" if i == 1 else "links: a contract is missing"
        with reverts(sentence):
            desks.evm.deploy("BasketDesk", *bad, sender=desks.people.deployer)

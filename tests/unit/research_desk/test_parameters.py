"""R4: the timelock sets seats, share and rewards, within bounds."""

from __future__ import annotations

import pytest
from support.evm import PROXY
from support.research import Research
from support.world import DUT, ZERO, reverts


def test_the_deployment_sets_the_rules(lab: Research) -> None:
    research = lab.research
    assert (research.seats(), research.share()) == (1, 1_500)
    assert [research.reward(kind) // DUT for kind in range(5)] == [0, 1_000, 2_000, 10_000, 0]
    budget = lab.budget_of(research.address)
    assert (budget.limit, budget.period) == (100_000 * DUT, 90 * 86_400)
    assert budget.until - budget.since == 365 * 86_400
    assert lab.rt.desk() == research.address


@pytest.mark.parametrize(
    ("function", "event", "value", "before"),
    [
        ("set_seats", "SeatsChanged", 1, 1),
        ("set_seats", "SeatsChanged", 20, 1),
        ("set_share", "ShareChanged", 1, 1_500),
        ("set_share", "ShareChanged", 5_000, 1_500),
    ],
)
def test_a_rule_is_stored_and_told(
    lab: Research, function: str, event: str, value: int, before: int
) -> None:
    lab.as_timelock(lab.research, function, value)
    assert lab.evm.event(event) == {"previous": before, "current": value}
    assert getattr(lab.research, function.removeprefix("set_"))() == value


@pytest.mark.parametrize(("kind", "amount"), [(1, 10**9), (3, 10**24)])
def test_a_reward_is_stored_and_told(lab: Research, kind: int, amount: int) -> None:
    before = lab.research.reward(kind)
    lab.as_timelock(lab.research, "set_reward", kind, amount)
    assert lab.evm.event("RewardChanged") == {
        "kind": kind,
        "previous": before,
        "current": amount,
    }
    assert lab.research.reward(kind) == amount


@pytest.mark.parametrize(
    ("function", "args"),
    [
        ("set_seats", (0,)),
        ("set_seats", (21,)),
        ("set_share", (0,)),
        ("set_share", (5_001,)),
        ("set_reward", (1, 0)),
        ("set_reward", (1, 10**24 + 10**9)),
        ("set_reward", (1, 10**9 + 1)),
    ],
)
def test_out_of_bounds_is_refused(lab: Research, function: str, args: tuple[int, ...]) -> None:
    with reverts("research: rule out of bounds"):
        lab.as_timelock(lab.research, function, *args)


@pytest.mark.parametrize("kind", [0, 4])
def test_a_reward_of_no_outcome_is_refused(lab: Research, kind: int) -> None:
    with reverts("research: unknown kind of outcome"):
        lab.as_timelock(lab.research, "set_reward", kind, DUT)


@pytest.mark.parametrize("missing", range(5))
def test_every_contract_must_be_named(lab: Research, missing: int) -> None:
    links = [c.address for c in (lab.rt, lab.dut, lab.treasury, lab.tariff, lab.market)]
    links[missing] = ZERO
    deployer = lab.people.deployer
    with reverts("links: a contract is missing"):
        lab.evm.deploy("ResearchDesk", deployer, lab.manager.address, *links, sender=deployer)


def test_the_bare_logic_is_locked(lab: Research) -> None:
    links = [c.address for c in (lab.rt, lab.dut, lab.treasury, lab.tariff, lab.market)]
    deployer, first = lab.people.deployer, (1, 1, [DUT, DUT, DUT])
    logic = lab.evm.deploy("ResearchDesk", deployer, lab.manager.address, *links, sender=deployer)
    with reverts("initializer: done before"):
        logic.initialize(*first, sender=deployer)
    data = logic.abi.call("initialize", *first)
    with reverts("initializer: not the deployer"):
        lab.evm.deploy(PROXY, logic.address, lab.timelock.address, data, sender=lab.people.stranger)

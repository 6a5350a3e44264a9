"""R7, R29: the timelock sets the bond and the arbitrator's time, within bounds; open cases keep theirs."""

from __future__ import annotations

import pytest
from eth_utils import keccak
from support.world import DAY, DUT, ZERO, World, reverts


def test_the_deployment_sets_them_once(world: World) -> None:
    assert world.disputes.terms() == (100 * DUT, 14 * DAY, False)
    with reverts("initializer: done before"):
        world.disputes.initialize(DUT, DAY, sender=world.people.deployer)
    assert world.disputes.authority() == world.manager.address


@pytest.mark.parametrize(("name", "value"), [("bond", DUT), ("window", 90 * DAY)])
def test_a_parameter_is_stored_and_told(world: World, name: str, value: int) -> None:
    record = world.record()
    world.challenge(record)
    before = world.disputes.dispute(record)
    previous = dict(zip(("bond", "window"), world.disputes.terms()[:2], strict=True))
    world.as_timelock(world.disputes, f"set_{name}", value)
    event = world.evm.event("ParameterChanged")
    assert event == {"name": keccak(text=name), "previous": previous[name], "current": value}
    assert value in world.disputes.terms()
    assert world.disputes.dispute(record) == before


@pytest.mark.parametrize("bond", [0, DUT - 1, 100_000 * DUT + 1, 2**256 - 1])
def test_a_bond_out_of_bounds_is_refused(world: World, bond: int) -> None:
    with reverts("disputes: the bond is out of bounds"):
        world.as_timelock(world.disputes, "set_bond", bond)


@pytest.mark.parametrize("window", [0, DAY - 1, 90 * DAY + 1, 2**256 - 1])
def test_a_window_out_of_bounds_is_refused(world: World, window: int) -> None:
    with reverts("disputes: the window is out of bounds"):
        world.as_timelock(world.disputes, "set_window", window)


def test_a_stranger_is_refused(world: World) -> None:
    for who in (world.people.stranger, world.people.operator, world.people.arbitrator):
        for function, arguments in (
            ("set_bond", (DUT,)), ("set_window", (DAY,)), ("pause", ()), ("unpause", ()),
        ):  # fmt: skip
            with reverts("access: caller may not do this"):
                getattr(world.disputes, function)(*arguments, sender=who)


def test_logic_without_its_contracts_is_refused(world: World) -> None:
    deployer, manager = str(world.people.deployer), world.manager.address
    usage, registry = world.dut.address, world.registry.address
    with reverts("disputes: no usage token is named"):
        world.evm.deploy("QualityDisputes", deployer, manager, ZERO, registry, sender=deployer)
    with reverts("disputes: no registry is named"):
        world.evm.deploy("QualityDisputes", deployer, manager, usage, ZERO, sender=deployer)

"""R29: callers with a delay go through the AccessManager; the timelock changes parameters after its own."""

from __future__ import annotations

import dataclasses

import pytest
from eth_abi import encode
from eth_utils import keccak
from support.evm import Evm, deploy_suite
from support.world import DAY, DUT, NONE, World, reverts

from medtoken.deploy.plan import Params
from medtoken.deploy.roles import Role

DIRECT = "access: caller may not do this"


@pytest.fixture
def delayed(bare: World) -> str:
    """A guardian who has to announce a pause an hour ahead."""
    who = bare.new_actor()
    bare.as_timelock(bare.manager, "grantRole", int(Role.GUARDIAN), who, 3600)
    return who


def _operation(caller: str, target: str, data: bytes) -> bytes:
    kinds = ["address", "address", "bytes"]
    return keccak(encode(kinds, [str(caller), target, data]))


def test_a_delayed_caller_announces_waits_and_executes_through_the_manager(
    bare: World, delayed: str
) -> None:
    market, manager = bare.market, bare.manager
    data = market.abi.call("pause")
    selector = market.abi.selector("pause")
    assert manager.canCall(delayed, market.address, selector) == (False, 3600)
    with reverts(DIRECT):
        market.pause(sender=delayed)
    operation = _operation(delayed, market.address, data)
    with reverts(f"AccessManagerNotScheduled({operation})"):
        manager.execute(market.address, data, sender=delayed)
    manager.schedule(market.address, data, 0, sender=delayed)
    bare.evm.warp(3599)
    with reverts(f"AccessManagerNotReady({operation})"):
        manager.execute(market.address, data, sender=delayed)
    bare.evm.warp(1)
    manager.execute(market.address, data, sender=delayed)
    assert market.rates_word() >> 80 == 1
    assert "PauseChanged" in bare.evm.events()
    with reverts(f"AccessManagerNotScheduled({operation})"):
        manager.execute(market.address, data, sender=delayed)


def test_what_was_announced_for_one_call_allows_no_other(bare: World, delayed: str) -> None:
    market, manager = bare.market, bare.manager
    manager.schedule(market.address, market.abi.call("pause"), 0, sender=delayed)
    bare.evm.warp(3600)
    other = market.abi.call("unpause")
    selector = market.abi.selector("unpause")
    with reverts(f"AccessManagerUnauthorizedCall({delayed}, {market.address}, {selector})"):
        manager.execute(market.address, other, sender=delayed)


def test_a_stranger_cannot_execute_what_another_announced(bare: World, delayed: str) -> None:
    market, manager = bare.market, bare.manager
    data = market.abi.call("pause")
    manager.schedule(market.address, data, 0, sender=delayed)
    bare.evm.warp(3600)
    stranger = bare.people.stranger
    selector = market.abi.selector("pause")
    unauthorized = f"AccessManagerUnauthorizedCall({stranger}, {market.address}, {selector})"
    with reverts(unauthorized):
        manager.execute(market.address, data, sender=stranger)
    with reverts(unauthorized):
        manager.schedule(market.address, data, 0, sender=stranger)


def test_the_managers_own_right_is_nobodys_way_in(bare: World) -> None:
    """`execute` calls as the manager; to anything that is not restricted by it, nobody may."""
    people = bare.people
    for contract, function, args in (
        (bare.market, "reclaim", (1,)),
        (bare.dut, "transfer", (people.stranger, 1)),
        (bare.dct, "mint", (people.stranger, 1)),
    ):
        data = contract.abi.call(function, *args)
        for who in (people.stranger, people.operator, people.guardian):
            selector = contract.abi.selector(function)
            with reverts(f"AccessManagerUnauthorizedCall({who}, {contract.address}, {selector})"):
                bare.manager.execute(contract.address, data, sender=who)


def test_a_closed_target_refuses_its_roles_and_still_pays(world: World) -> None:
    """Closing the market in the manager stops what is restricted, not what people do there."""
    people = world.people
    consent = world.granted()
    ref = world.buy(consent)
    world.as_timelock(world.manager, "setTargetClosed", world.market.address, True)
    with reverts(DIRECT):
        world.market.pause(sender=people.guardian)
    world.use(ref, 5)
    world.settle(ref)
    world.revoke(consent)
    world.withdraw(world.withdrawal(people.patient, DUT), people.patient)
    assert world.dut.balanceOf(people.patient) == DUT


# ---------------------------------------------------------------- the timelock


@pytest.fixture(scope="module")
def slow() -> World:
    """The suite with a timelock that waits two days, as on a public chain."""
    world = World.__new__(World)
    base = World()
    params: Params = dataclasses.replace(base.params, timelock_delay=2 * DAY)
    world.__dict__.update(base.__dict__)
    world.evm = Evm()
    world.params = params
    world.suite = deploy_suite(world.evm, params, base.people.deployer)
    world.market, world.tariff = world.suite["DataMarket"], world.suite["Tariff"]
    world.timelock = world.suite["TimelockController"]
    return world


def test_a_parameter_changes_after_the_delay_by_anybodys_execution(slow: World) -> None:
    with slow.evm.anchor():
        people, timelock, tariff = slow.people, slow.timelock, slow.tariff
        data = tariff.abi.call("set_reference", 1, 60 * DUT)
        call = (tariff.address, 0, data, NONE, NONE)
        with reverts(f"TimelockInsufficientDelay({2 * DAY - 1}, {2 * DAY})"):
            timelock.schedule(*call, 2 * DAY - 1, sender=people.operator)
        timelock.schedule(*call, 2 * DAY, sender=people.operator)
        slow.evm.warp(2 * DAY - 1)
        with pytest.raises(Exception, match="TimelockUnexpectedOperationState"):
            timelock.execute(*call, sender=people.operator)
        slow.evm.warp(1)
        timelock.execute(*call, sender=people.stranger)
        assert slow.reference(1) == 60 * DUT


def test_only_the_operator_proposes_and_cancels(bare: World) -> None:
    people, timelock = bare.people, bare.timelock
    data = bare.market.abi.call("unpause")
    call = (bare.market.address, 0, data, NONE, NONE)
    proposer, canceller = timelock.PROPOSER_ROLE(), timelock.CANCELLER_ROLE()
    for name in people.__dataclass_fields__:
        who = getattr(people, name)
        if who == people.operator:
            continue
        with reverts(f"AccessControlUnauthorizedAccount({who}, {proposer})"):
            timelock.schedule(*call, 0, sender=who)
    timelock.schedule(*call, 0, sender=people.operator)
    operation = timelock.hashOperation(*call)
    for who in (people.stranger, people.deployer, people.guardian):
        with reverts(f"AccessControlUnauthorizedAccount({who}, {canceller})"):
            timelock.cancel(operation, sender=who)
    timelock.cancel(operation, sender=people.operator)
    with pytest.raises(Exception, match="TimelockUnexpectedOperationState"):
        timelock.execute(*call, sender=people.operator)


def test_the_operator_has_no_power_without_the_timelock(bare: World) -> None:
    operator = bare.people.operator
    with reverts(DIRECT):
        bare.market.set_platform(operator, sender=operator)
    with reverts(f"AccessManagerUnauthorizedAccount({operator}, 0)"):
        bare.manager.grantRole(1, operator, 0, sender=operator)
    with reverts(f"TimelockUnauthorizedCaller({operator})"):
        bare.timelock.updateDelay(0, sender=operator)


def test_the_timelock_administers_itself_alone(bare: World) -> None:
    admin = bare.timelock.DEFAULT_ADMIN_ROLE()
    assert bare.timelock.hasRole(admin, bare.timelock.address)
    for name in bare.people.__dataclass_fields__:
        who = getattr(bare.people, name)
        assert not bare.timelock.hasRole(admin, who)
        with reverts(f"AccessControlUnauthorizedAccount({who}, {admin})"):
            bare.timelock.grantRole(admin, who, sender=who)

"""R2: who may hold DUT. Zero denies; frozen denies whatever else is set; nothing is ever confiscated."""

from __future__ import annotations

import pytest
from support.world import DUT, ZERO, World, reverts

NOT_ADMITTED = "DUT: the account is not admitted"
FROZEN = "DUT: the account is frozen"


def test_admitting_is_told_once(world: World) -> None:
    who = world.new_actor()
    assert world.dut.standing(who) == 0
    assert not world.dut.mayHold(who)
    world.admit(who)
    assert world.evm.event("StandingChanged") == {"account": who, "previous": 0, "current": 1}
    assert world.dut.mayHold(who)
    world.admit(who)
    assert world.evm.events() == []


def test_freezing_keeps_everything_else(world: World) -> None:
    people = world.people
    balance = world.dut.balanceOf(people.licensee)
    world.dut.setFrozen(people.licensee, True, sender=people.sanctions)
    assert world.dut.standing(people.licensee) == 5
    assert not world.dut.mayHold(people.licensee)
    world.admit(people.licensee)
    assert not world.dut.mayHold(people.licensee)
    assert world.dut.balanceOf(people.licensee) == balance
    world.dut.setFrozen(people.licensee, False, sender=people.sanctions)
    assert world.dut.standing(people.licensee) == 1


def test_an_account_can_be_frozen_before_it_is_ever_admitted(world: World) -> None:
    people = world.people
    world.dut.setFrozen(people.patient, True, sender=people.sanctions)
    world.admit(people.patient)
    assert world.dut.standing(people.patient) == 5
    with reverts(FROZEN):
        world.fund(people.patient, 1)


def test_a_protocol_contract_is_marked_unmarked_and_not_frozen(world: World) -> None:
    people = world.people
    market = world.market.address
    assert world.dut.standing(market) == world.dut.standing(world.treasury.address) == 2
    with reverts("DUT: a protocol contract cannot be frozen"):
        world.dut.setFrozen(market, True, sender=people.sanctions)
    who = world.new_actor()
    world.as_timelock(world.dut, "setProtocol", who, True)
    assert world.dut.standing(who) == 2
    world.as_timelock(world.dut, "setProtocol", who, False)
    assert world.dut.standing(who) == 0
    with reverts("DUT: no account is named"):
        world.as_timelock(world.dut, "setProtocol", ZERO, True)


def test_the_zero_address_is_never_admitted(world: World) -> None:
    with reverts("DUT: no account is named"):
        world.admit(ZERO)


@pytest.mark.parametrize("function", ["admit", "setFrozen", "setProtocol"])
def test_a_stranger_is_refused(world: World, function: str) -> None:
    people = world.people
    for who in (people.stranger, people.exchange, people.patient, people.operator):
        args = (who,) if function == "admit" else (who, True)
        with reverts(f"AccessManagedUnauthorized({who})"):
            getattr(world.dut, function)(*args, sender=who)


# ---------------------------------------------------------------- movements


def test_it_moves_between_those_who_are_admitted(world: World) -> None:
    people = world.people
    world.dut.transfer(people.other_licensee, DUT, sender=people.licensee)
    assert world.evm.event("Transfer") == {
        "from": people.licensee,
        "to": people.other_licensee,
        "value": DUT,
    }


@pytest.mark.parametrize("amount", [0, 1, DUT])
def test_nobody_else_receives_or_sends_any(world: World, amount: int) -> None:
    people = world.people
    with reverts(NOT_ADMITTED):
        world.dut.transfer(people.stranger, amount, sender=people.licensee)
    with reverts(NOT_ADMITTED):
        world.dut.transfer(people.licensee, amount, sender=people.stranger)
    world.dut.approve(people.stranger, DUT, sender=people.licensee)
    with reverts(NOT_ADMITTED):
        world.dut.transferFrom(people.licensee, people.stranger, amount, sender=people.stranger)


def test_a_frozen_account_neither_sends_nor_receives_also_by_allowance(world: World) -> None:
    people = world.people
    world.dut.approve(people.stranger, DUT, sender=people.licensee)
    world.dut.approve(people.stranger, DUT, sender=people.other_licensee)
    world.dut.setFrozen(people.licensee, True, sender=people.sanctions)
    with reverts(FROZEN):
        world.dut.transfer(people.other_licensee, 1, sender=people.licensee)
    with reverts(FROZEN):
        world.dut.transfer(people.licensee, 1, sender=people.other_licensee)
    for source, to in (
        (people.licensee, people.other_licensee),
        (people.other_licensee, people.licensee),
    ):
        with reverts(FROZEN):
            world.dut.transferFrom(source, to, 1, sender=people.stranger)


def test_a_frozen_account_moves_nobody_elses_tokens_either(world: World) -> None:
    people = world.people
    for who in (people.licensee, people.other_licensee):
        world.dut.approve(people.stranger, 2**256 - 1, sender=who)
    world.dut.setFrozen(people.stranger, True, sender=people.sanctions)
    with reverts(FROZEN):
        world.dut.transferFrom(people.licensee, people.exchange, 1, sender=people.stranger)
    with reverts(FROZEN):
        world.dut.transferFrom(people.licensee, people.exchange, 0, sender=people.stranger)
    world.dut.setFrozen(people.stranger, False, sender=people.sanctions)
    world.dut.transferFrom(people.licensee, people.exchange, 1, sender=people.stranger)
    assert world.dut.balanceOf(people.exchange) == 1


def test_no_function_takes_tokens_from_anybody(world: World) -> None:
    """R2: frozen, never confiscated. Whoever moves what is another's needs that one's allowance."""
    people = world.people
    for who in (people.sanctions, people.admission, people.exchange, people.compliance):
        with reverts(f"ERC20InsufficientAllowance({who}, 0, 1)"):
            world.dut.transferFrom(people.licensee, people.exchange, 1, sender=who)


def test_only_a_protocol_contract_burns_and_only_its_own(world: World) -> None:
    people = world.people
    for who in (people.stranger, people.licensee, people.exchange, people.sanctions):
        with reverts("DUT: only a protocol contract burns"):
            world.dut.burn(1, sender=who)
    protocol = world.new_actor()
    world.as_timelock(world.dut, "setProtocol", protocol, True)
    world.dut.transfer(protocol, 10, sender=people.licensee)
    supply = world.dut.totalSupply()
    world.dut.burn(4, sender=protocol)
    assert world.dut.totalSupply() == supply - 4
    with reverts(f"ERC20InsufficientBalance({protocol}, 6, 7)"):
        world.dut.burn(7, sender=protocol)


def test_the_supply_is_the_sum_of_all_balances(world: World) -> None:
    people = world.people
    world.earn()
    world.market.withdraw(
        people.patient, people.patient, DUT, world.now, b"", sender=people.patient
    )
    holders = [
        people.licensee,
        people.other_licensee,
        people.exchange,
        people.patient,
        world.market.address,
        world.treasury.address,
    ]
    assert sum(world.dut.balanceOf(who) for who in holders) == world.dut.totalSupply()

"""R16, R17: the reserve takes the market's levies and burns its part above the ceiling."""

from __future__ import annotations

import pytest
from support.world import DUT, World, reverts


@pytest.fixture
def payer(world: World) -> str:
    """An account that the timelock has given the levy role, as the market has it."""
    licensee = world.people.licensee
    world.as_timelock(world.manager, "grantRole", 9, licensee, 0)
    world.dut.approve(world.treasury.address, 2**256 - 1, sender=licensee)
    return licensee


def _ceiling(world: World, ceiling: int, share: int = 5_000) -> None:
    world.as_timelock(world.treasury, "set_ceiling", ceiling)
    world.as_timelock(world.treasury, "set_burn_share", share)


@pytest.mark.parametrize("amount", [1, 3, 100 * DUT])
@pytest.mark.parametrize("share", [0, 1, 5_000, 9_999, 10_000])
def test_above_the_ceiling_its_share_is_burned(
    world: World, payer: str, share: int, amount: int
) -> None:
    _ceiling(world, 0, share)
    supply, balance = world.dut.totalSupply(), world.dut.balanceOf(payer)
    world.treasury.receive_levy(amount, sender=payer)
    burned = amount * share // 10_000
    assert world.evm.event("LevyReceived") == {
        "payer": payer,
        "amount": amount,
        "burned": burned,
        "reserve": amount - burned,
    }
    assert world.treasury.books() == (amount, burned, amount - burned)
    assert world.dut.totalSupply() == supply - burned
    assert world.dut.balanceOf(payer) == balance - amount
    assert world.dut.balanceOf(world.treasury.address) == amount - burned


@pytest.mark.parametrize(("above", "burns"), [(-1, True), (0, False), (1, False)])
def test_the_ceiling_itself_is_not_above_it(
    world: World, payer: str, above: int, burns: bool
) -> None:
    _ceiling(world, world.dut.totalSupply() + above)
    world.treasury.receive_levy(100, sender=payer)
    assert world.treasury.books() == (100, 50 * burns, 100 - 50 * burns)


def test_each_levy_asks_anew(world: World, payer: str) -> None:
    """The first burn brings the supply to the ceiling; the second levy stays whole."""
    _ceiling(world, world.dut.totalSupply() - 1)
    world.treasury.receive_levy(2, sender=payer)
    world.treasury.receive_levy(100, sender=payer)
    assert world.treasury.books() == (102, 1, 101)


def test_zero_is_no_levy(world: World, payer: str) -> None:
    with reverts("treasury: the levy is zero"):
        world.treasury.receive_levy(0, sender=payer)


def test_a_stranger_cannot_bring_one(world: World) -> None:
    people = world.people
    for who in (people.stranger, people.licensee, people.operator, people.exchange):
        with reverts("access: caller may not do this"):
            world.treasury.receive_levy(1, sender=who)


def test_a_levy_that_cannot_be_taken_is_not_booked(world: World, payer: str) -> None:
    world.dut.approve(world.treasury.address, 5, sender=payer)
    with reverts(f"ERC20InsufficientAllowance({world.treasury.address}, 5, 6)"):
        world.treasury.receive_levy(6, sender=payer)
    assert world.treasury.books() == (0, 0, 0)


def test_what_somebody_sends_it_is_in_no_book(world: World, payer: str) -> None:
    world.dut.transfer(world.treasury.address, DUT, sender=payer)
    assert world.treasury.books() == (0, 0, 0)


def test_nothing_else_leaves_it(world: World, payer: str) -> None:
    """R16: what leaves is burned, or within a budget that the timelock approved; nothing else pays out."""
    world.treasury.receive_levy(100, sender=payer)
    writes = {
        entry["name"]
        for entry in world.treasury.abi._functions.values()
        if entry["stateMutability"] not in ("view", "pure")
    }
    assert writes == {
        "initialize",
        "receive_levy",
        "approve_budget",
        "spend",
        "give_back",
        "burn_reserve",
        "set_ceiling",
        "set_burn_share",
    }
    for who in vars(world.people).values():
        with reverts("treasury: no budget for this"):
            world.treasury.spend(1, sender=who)

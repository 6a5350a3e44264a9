"""R2, R12: anybody who holds DUT prepays for a licensee."""

from __future__ import annotations

import pytest
from support.world import DUT, ZERO, World, reverts


def test_it_is_credited_to_whom_it_is_for_and_told(world: World) -> None:
    people = world.people
    held = world.dut.balanceOf(world.market.address)
    before = world.deposit_of(people.stranger)
    world.market.deposit(people.stranger, 7 * DUT, sender=people.licensee)
    assert world.evm.events() == ["Deposited", "Transfer"]
    assert world.evm.event("Deposited") == {
        "account": people.stranger,
        "payer": people.licensee,
        "amount": 7 * DUT,
    }
    assert world.deposit_of(people.stranger) - before == 7 * DUT
    assert world.dut.balanceOf(world.market.address) - held == 7 * DUT


def test_any_amount_of_base_units_is_kept(world: World) -> None:
    licensee = world.people.licensee
    before = world.deposit_of(licensee)
    world.market.deposit(licensee, 1, sender=licensee)
    world.market.deposit(licensee, 10**9 + 7, sender=licensee)
    assert world.deposit_of(licensee) - before == 10**9 + 8


def test_nothing_is_no_deposit(world: World) -> None:
    with reverts("account: the amount is zero"):
        world.market.deposit(world.people.licensee, 0, sender=world.people.licensee)


def test_nobody_is_no_account(world: World) -> None:
    with reverts("account: no account is named"):
        world.market.deposit(ZERO, 1, sender=world.people.licensee)


def test_a_paused_market_takes_none(world: World) -> None:
    world.market.pause(sender=world.people.guardian)
    with reverts("market: paused"):
        world.market.deposit(world.people.licensee, 1, sender=world.people.licensee)


@pytest.mark.parametrize("amount", [10**30, 2**128, 2**255, 2**256 - 1])
def test_more_than_the_payer_has_is_refused_before_it_can_spill(world: World, amount: int) -> None:
    people = world.people
    before = world.market.licensee_word(people.licensee)
    with pytest.raises(Exception, match="ERC20InsufficientBalance|no reason"):
        world.market.deposit(people.licensee, amount, sender=people.licensee)
    assert world.market.licensee_word(people.licensee) == before


def test_nobody_deposits_with_anothers_money(world: World) -> None:
    people = world.people
    assert world.dut.allowance(people.licensee, world.market.address) > 0
    with reverts("DUT: the account is not admitted"):
        world.market.deposit(people.stranger, 0 + 1, sender=_approved(world, people.stranger))
    with reverts(f"ERC20InsufficientAllowance({world.market.address}, 0, 1)"):
        world.market.deposit(people.stranger, 1, sender=people.custodian)


def _approved(world: World, who: str) -> str:
    world.dut.approve(world.market.address, 10, sender=who)
    return who


def test_a_payer_who_is_frozen_is_refused(world: World) -> None:
    people = world.people
    world.dut.setFrozen(people.licensee, True, sender=people.sanctions)
    with reverts("DUT: the account is frozen"):
        world.market.deposit(people.other_licensee, 1, sender=people.licensee)

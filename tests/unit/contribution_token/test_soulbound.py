"""R1: contribution tokens never move, are never lent, and their votes are the holder's own (R28)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from eth_account import Account
from support.evm import CHAIN_ID
from support.world import DUT, ZERO, World, reverts

NOT_TRANSFERABLE = "soulbound: not transferable"
NO_DELEGATION = "soulbound: votes cannot be delegated"


@pytest.fixture(autouse=True)
def _holds(world: World) -> None:
    world.record()
    assert world.dct.balanceOf(world.people.patient) == 440 * DUT


@pytest.mark.parametrize("amount", [0, 1, 440 * DUT])
def test_no_transfer_by_anybody_to_anybody(world: World, amount: int) -> None:
    people = world.people
    for to in (people.other_patient, people.patient, world.market.address, world.dct.address):
        with reverts(NOT_TRANSFERABLE):
            world.dct.transfer(to, amount, sender=people.patient)
    with reverts(f"ERC20InvalidReceiver({ZERO})"):
        world.dct.transfer(ZERO, amount, sender=people.patient)


def test_no_allowance_and_nothing_moves_without_one(world: World) -> None:
    people = world.people
    for spender in (people.stranger, people.patient, world.market.address):
        with reverts(NOT_TRANSFERABLE):
            world.dct.approve(spender, 1, sender=people.patient)
    assert world.dct.allowance(people.patient, people.stranger) == 0
    with reverts(f"ERC20InsufficientAllowance({people.stranger}, 0, 1)"):
        world.dct.transferFrom(people.patient, people.stranger, 1, sender=people.stranger)
    with reverts(NOT_TRANSFERABLE):
        world.dct.transferFrom(people.patient, people.stranger, 0, sender=people.stranger)
    with reverts(f"ERC20InsufficientAllowance({people.patient}, 0, 1)"):
        world.dct.transferFrom(people.patient, people.other_patient, 1, sender=people.patient)


def test_votes_are_not_delegated_not_even_to_oneself(world: World) -> None:
    people = world.people
    for to in (people.stranger, people.patient, ZERO):
        with reverts(NO_DELEGATION):
            world.dct.delegate(to, sender=people.patient)
    assert world.dct.delegates(people.patient) == people.patient


def test_nor_by_signature(world: World) -> None:
    people = world.people
    expiry = world.now + 60
    domain = {
        "name": "Data Contribution Token",
        "version": "1",
        "chainId": CHAIN_ID,
        "verifyingContract": world.dct.address,
    }
    types = {
        "Delegation": [
            {"name": "delegatee", "type": "address"},
            {"name": "nonce", "type": "uint256"},
            {"name": "expiry", "type": "uint256"},
        ]
    }
    message = {"delegatee": str(people.stranger), "nonce": 0, "expiry": expiry}
    signed = Account.sign_typed_data(people.patient.key, domain, types, message)
    with reverts(NO_DELEGATION):
        world.dct.delegateBySig(
            people.stranger, 0, expiry, signed.v, signed.r.to_bytes(32), signed.s.to_bytes(32)
        )
    assert world.dct.getVotes(people.stranger) == 0


def _role(world: World, role: int) -> Any:
    who = world.new_actor()
    world.as_timelock(world.manager, "grantRole", role, who, 0)
    return who


# ---------------------------------------------------------------- minting


def test_only_the_registry_mints(world: World) -> None:
    people = world.people
    assert world.dct.minter() == world.registry.address
    for who in (
        people.stranger,
        people.patient,
        people.attester,
        people.custodian,
        people.operator,
    ):
        with reverts("soulbound: only the bound minter mints"):
            world.dct.mint(who, 1, sender=who)
    with reverts("soulbound: only the bound minter mints"):
        world.as_timelock(world.dct, "mint", people.stranger, 1)


def test_the_minter_is_bound_for_ever(world: World) -> None:
    with reverts("soulbound: the minter is already bound"):
        world.as_timelock(world.dct, "bindMinter", world.people.stranger)
    for who in (world.people.stranger, world.people.operator):
        with reverts(f"AccessManagedUnauthorized({who})"):
            world.dct.bindMinter(who, sender=who)


def test_a_new_token_names_its_minter_once_and_not_nobody(world: World) -> None:
    people = world.people
    manager = world.evm.deploy("AccessManager", people.deployer, sender=people.deployer)
    token = world.evm.deploy("ContributionToken", manager.address, sender=people.deployer)
    for who in (people.deployer, ZERO):  # not even nobody, whose name an unbound minter bears
        with reverts("soulbound: only the bound minter mints"):
            token.mint(people.stranger, 1, sender=who)
    with reverts("soulbound: no minter is named"):
        token.bindMinter(ZERO, sender=people.deployer)
    token.bindMinter(people.relay, sender=people.deployer)
    assert world.evm.event("MinterBound") == {"minter": people.relay}
    token.mint(people.patient, 5, sender=people.relay)
    assert token.balanceOf(people.patient) == 5
    with reverts(f"ERC20InvalidReceiver({ZERO})"):
        token.mint(ZERO, 5, sender=people.relay)


# ---------------------------------------------------------------- burn and recovery (R26, R41)


def test_the_redemption_role_burns(world: World) -> None:
    people = world.people
    role = _role(world, 11)
    world.dct.burn(people.patient, 40 * DUT, sender=role)
    assert world.evm.event("Transfer")["to"] == ZERO
    assert world.dct.balanceOf(people.patient) == 400 * DUT == world.dct.totalSupply()
    with reverts(f"ERC20InsufficientBalance({people.patient}, {400 * DUT}, {400 * DUT + 1})"):
        world.dct.burn(people.patient, 400 * DUT + 1, sender=role)


def test_recovery_moves_all_of_one_wallet_and_its_votes(world: World) -> None:
    people = world.people
    role = _role(world, 10)
    new = world.new_actor()
    world.evm.warp(10)
    amount = world.dct.recover(people.patient, new, sender=role)
    assert amount == 440 * DUT
    assert world.evm.event("Recovered") == {
        "previous": people.patient,
        "current": new,
        "amount": 440 * DUT,
    }
    assert world.dct.balanceOf(people.patient) == world.dct.getVotes(people.patient) == 0
    assert world.dct.balanceOf(new) == world.dct.getVotes(new) == 440 * DUT
    assert world.dct.totalSupply() == 440 * DUT
    with reverts(NOT_TRANSFERABLE):
        world.dct.transfer(people.patient, 1, sender=new)


def test_recovery_names_another_wallet(world: World) -> None:
    people = world.people
    role = _role(world, 10)
    for new in (ZERO, people.patient):
        with reverts("soulbound: no new wallet is named"):
            world.dct.recover(people.patient, new, sender=role)


def test_a_stranger_neither_burns_nor_recovers(world: World) -> None:
    people = world.people
    for who in (people.stranger, people.patient, people.custodian, people.operator):
        with reverts(f"AccessManagedUnauthorized({who})"):
            world.dct.burn(people.patient, 1, sender=who)
        with reverts(f"AccessManagedUnauthorized({who})"):
            world.dct.recover(people.patient, who, sender=who)


# ---------------------------------------------------------------- votes (R28)


def test_votes_follow_the_balance_without_delegating(world: World) -> None:
    people = world.people
    assert world.dct.getVotes(people.patient) == 440 * DUT
    world.record()
    assert world.dct.getVotes(people.patient) == 880 * DUT == world.dct.balanceOf(people.patient)
    world.dct.burn(people.patient, 80 * DUT, sender=_role(world, 11))
    assert world.dct.getVotes(people.patient) == 800 * DUT


def test_past_votes_are_checkpoints_by_time(world: World) -> None:
    people = world.people
    first = world.now
    world.evm.warp(100)
    world.record()
    second = world.now
    world.evm.warp(100)
    world.dct.burn(people.patient, 880 * DUT, sender=_role(world, 11))
    world.evm.warp(1)
    past: Callable[[int], int] = lambda when: world.dct.getPastVotes(people.patient, when)  # noqa: E731
    assert [past(t) for t in (first - 1, first, second - 1, second, second + 99, second + 100)] == [
        0,
        440 * DUT,
        440 * DUT,
        880 * DUT,
        880 * DUT,
        0,
    ]
    assert world.dct.getPastTotalSupply(second) == 880 * DUT
    assert world.dct.clock() == world.now
    assert world.dct.CLOCK_MODE() == "mode=timestamp"
    with reverts(f"ERC5805FutureLookup({world.now}, {world.now})"):
        past(world.now)

"""R5: governance tokens never move, are never lent, vote by themselves, and burn for services (R26)."""

from __future__ import annotations

from typing import Any

import pytest
from support.holdings import MONTH, Shelf
from support.world import DAY, ZERO, World, reverts

from medtoken import artifacts
from medtoken.deploy.roles import Role

NOT_TRANSFERABLE = "soulbound: not transferable"


@pytest.fixture(autouse=True)
def held(world: World) -> int:
    shelf = Shelf(world, world.people.custodian, world.people.attester)
    shelf.add()
    shelf.commit()
    minted = shelf.prove(MONTH)
    assert world.gt.balanceOf(world.people.custodian) == minted > 0
    return minted


def _role(world: World, role: Role) -> Any:
    who = world.new_actor()
    world.as_timelock(world.manager, "grantRole", int(role), who, 0)
    return who


def test_nothing_moves_it(world: World, held: int) -> None:
    people, gt = world.people, world.gt
    for to in (people.other_custodian, people.custodian, gt.address):
        with reverts(NOT_TRANSFERABLE):
            gt.transfer(to, held, sender=people.custodian)
    with reverts(NOT_TRANSFERABLE):
        gt.approve(people.stranger, 1, sender=people.custodian)
    with reverts(f"ERC20InsufficientAllowance({people.stranger}, 0, 1)"):
        gt.transferFrom(people.custodian, people.stranger, 1, sender=people.stranger)
    functions = {e["name"] for e in artifacts.load("GovernanceToken")["abi"] if "name" in e}
    assert not functions & {"permit", "burnFrom", "increaseAllowance"}


def test_votes_are_the_holders_own(world: World, held: int) -> None:
    people, gt = world.people, world.gt
    before = world.now
    with reverts("soulbound: votes cannot be delegated"):
        gt.delegate(people.stranger, sender=people.custodian)
    with reverts("VotesExpiredSignature(0)"):
        gt.delegateBySig(people.stranger, 0, 0, 27, bytes(32), bytes(32))
    assert gt.getVotes(people.custodian) == held
    world.evm.warp(DAY)
    assert gt.getPastVotes(people.custodian, before) == held == gt.getPastTotalSupply(before)
    assert gt.CLOCK_MODE() == "mode=timestamp"
    assert gt.clock() == world.now


def test_proven_storage_alone_mints(world: World) -> None:
    people = world.people
    for who in (people.stranger, people.custodian, people.operator):
        with reverts("soulbound: only the bound minter mints"):
            world.gt.mint(who, 1, sender=who)
    with reverts("soulbound: the minter is already bound"):
        world.as_timelock(world.gt, "bindMinter", people.stranger)


def test_it_burns_for_a_service(world: World, held: int) -> None:
    people = world.people
    for who in (people.stranger, people.custodian):
        with reverts(f"AccessManagedUnauthorized({who})"):
            world.gt.burn(people.custodian, 1, sender=who)
    desk = _role(world, Role.REDEMPTION)
    world.gt.burn(people.custodian, held - 1, sender=desk)
    assert world.gt.totalSupply() == world.gt.getVotes(people.custodian) == 1
    balance = f"ERC20InsufficientBalance({people.custodian}, 1, 2)"
    with reverts(balance):
        world.gt.burn(people.custodian, 2, sender=desk)


def test_it_follows_its_holder_to_a_new_wallet(world: World, held: int) -> None:
    people = world.people
    with reverts(f"AccessManagedUnauthorized({people.stranger})"):
        world.gt.recover(people.custodian, people.stranger, sender=people.stranger)
    keeper, wallet = _role(world, Role.RECOVERY), world.new_actor()
    with reverts("soulbound: no new wallet is named"):
        world.gt.recover(people.custodian, ZERO, sender=keeper)
    world.gt.recover(people.custodian, wallet, sender=keeper)
    assert world.gt.getVotes(wallet) == held
    assert world.gt.balanceOf(people.custodian) == 0

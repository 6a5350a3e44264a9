"""R12, ERC-5192: a licence is its licensee's; the token neither moves nor lets anybody else act."""

from __future__ import annotations

import pytest
from support.evm import Evm
from support.world import ZERO, World, reverts

NEVER = "licence token: not transferable"


@pytest.fixture
def shown(world: World) -> int:
    return int(world.token.show(world.buy(world.granted())))


def test_its_licensee_cannot_move_it(world: World, shown: int) -> None:
    people = world.people
    for to in (people.stranger, people.licensee, people.patient, world.market.address):
        with reverts(NEVER):
            world.token.transferFrom(people.licensee, to, shown, sender=people.licensee)
        with reverts(NEVER):
            world.token.safeTransferFrom(people.licensee, to, shown, b"", sender=people.licensee)
    with reverts(f"ERC721InvalidReceiver({ZERO})"):
        world.token.transferFrom(people.licensee, ZERO, shown, sender=people.licensee)
    assert world.token.ownerOf(shown) == people.licensee


def test_the_short_safe_transfer_moves_nothing_either(world: World, shown: int) -> None:
    people = world.people
    words = (people.licensee, people.stranger)
    call = bytes.fromhex("42842e0e") + b"".join(bytes(12) + bytes.fromhex(w[2:]) for w in words)
    with reverts(NEVER):
        world.evm.transact(people.licensee, world.token.address, call + shown.to_bytes(32))


def test_nobody_is_ever_approved(world: World, evm: Evm, shown: int) -> None:
    people, token = world.people, world.token
    for who in (people.licensee, people.stranger):
        with reverts(NEVER):
            evm.transact(who, token.address, token.abi.call("approve", people.stranger, shown))
        with reverts(NEVER):
            call = token.abi.call("setApprovalForAll", people.stranger, True)
            evm.transact(who, token.address, call)
    assert token.getApproved(shown) == ZERO
    assert token.isApprovedForAll(people.licensee, people.stranger) is False


def test_a_stranger_cannot_take_it(world: World, shown: int) -> None:
    people = world.people
    for who in (people.stranger, people.operator, people.deployer, people.custodian):
        with reverts(f"ERC721InsufficientApproval({who}, {shown})"):
            world.token.transferFrom(people.licensee, who, shown, sender=who)


def test_it_is_locked_and_only_what_exists_is(world: World, shown: int) -> None:
    assert world.token.locked(shown) is True
    for missing in (0, shown ^ 1):
        with reverts(f"ERC721NonexistentToken({missing})"):
            world.token.locked(missing)


def test_holding_it_grants_nothing(world: World, shown: int) -> None:
    """The market asks its own state: the token's contract has no say in it."""
    assert world.manager.canCall(world.token.address, world.market.address, b"\0" * 4)[0] is False
    assert world.dut.standing(world.token.address) == 0

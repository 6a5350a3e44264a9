"""R3: the token of an asset is an ERC-721 that the desk alone mints."""

from __future__ import annotations

from support.assets import opened
from support.world import DUT, NONE, World, reverts


def test_the_desk_alone_mints(world: World) -> None:
    assert world.it.minter() == world.assets.address
    with reverts("institution token: only the bound minter mints"):
        world.it.mint(world.people.stranger, 1, sender=world.people.operator)


def test_the_minter_is_bound_once_and_named(world: World) -> None:
    fresh = world.evm.deploy(
        "InstitutionToken", world.manager.address, sender=world.people.deployer
    )
    with reverts("institution token: only the bound minter mints"):
        fresh.mint(world.people.stranger, 1, sender=world.people.deployer)
    with reverts("institution token: no minter is named"):
        world.as_timelock(fresh, "bindMinter", "0x" + "00" * 20)
    world.as_timelock(fresh, "bindMinter", world.people.stranger)
    assert "MinterBound" in world.evm.events()
    assert fresh.minter() == world.people.stranger
    with reverts("institution token: the minter is already bound"):
        world.as_timelock(fresh, "bindMinter", world.people.operator)


def test_it_is_sold_by_approval_too(world: World) -> None:
    people = world.people
    maker = opened(world)
    token = int.from_bytes(maker.asset)
    maker.sell(maker.offer(), 1)
    world.it.approve(people.exchange, token, sender=maker.institution)
    assert world.evm.event("Approval")["approved"] == people.exchange
    world.it.transferFrom(maker.institution, people.licensee, token, sender=people.exchange)
    assert "Transfer" in world.evm.events()
    assert "AssetEarned" in world.evm.events()
    assert maker.credited(maker.institution) == 54 * DUT
    world.it.setApprovalForAll(people.exchange, True, sender=people.licensee)
    assert world.evm.events() == ["ApprovalForAll"]
    world.it.safeTransferFrom(people.licensee, people.exchange, token, NONE, sender=people.exchange)
    assert world.it.balanceOf(people.exchange) == 1


def test_a_stranger_moves_nothing(world: World) -> None:
    maker = opened(world)
    stranger, token = world.people.stranger, int.from_bytes(maker.asset)
    with reverts(f"ERC721InsufficientApproval({stranger}, {token})"):
        world.it.transferFrom(maker.institution, stranger, token, sender=stranger)

"""R35: a licensee attests, once its licence is over, that it destroyed what it had."""

from __future__ import annotations

from typing import Any

import pytest
from support.world import CHAIN_ID, DAY, FIXED, METERED, NONE, World, reverts

from medtoken.messages import CopyDestruction, Domain

STATEMENT = b"\x5d" * 32


def signed(world: World, ref: dict[str, Any], statement: bytes = STATEMENT) -> bytes:
    message = CopyDestruction(world.licence_id(ref), statement)
    return message.sign(world.people.licensee.key, Domain(CHAIN_ID, world.view.address))


def attest(
    world: World, ref: dict[str, Any], signature: bytes, statement: bytes = STATEMENT
) -> None:
    world.view.attest_destruction(ref, statement, signature, sender=world.people.relay)


@pytest.mark.parametrize("form", [FIXED, METERED])
def test_after_the_licence_its_statement_is_on_the_chain_once(world: World, form: int) -> None:
    ref = world.buy(world.granted(), form=form)
    licence = world.licence_id(ref)
    signature = signed(world, ref)
    with reverts("view: the licence is not over"):
        attest(world, ref, signature)
    world.evm.warp(90 * DAY - 1)
    with reverts("view: the licence is not over"):
        attest(world, ref, signature)
    world.evm.warp(1)
    assert world.view.destruction(licence) == NONE
    attest(world, ref, signature)
    assert world.evm.events() == ["DestructionAttested"]
    assert world.evm.event("DestructionAttested") == {
        "licence": licence,
        "record": ref["record"],
        "licensee": world.people.licensee,
        "statement": STATEMENT,
    }
    assert world.view.destruction(licence) == STATEMENT
    with reverts("view: the destruction was attested before"):
        attest(world, ref, signature)


def test_a_revocation_or_a_closing_ends_the_licence_for_this_too(world: World) -> None:
    for settled in (False, True):
        consent = world.granted()
        ref = world.buy(consent)
        world.revoke(consent)
        if settled:
            world.settle(ref)
        attest(world, ref, signed(world, ref))


def test_a_suspended_licence_may_run_again(world: World) -> None:
    ref = world.buy(world.granted())
    world.market.set_suspended(world.licence_id(ref), True, sender=world.people.supervisor)
    with reverts("view: the licence is not over"):
        attest(world, ref, signed(world, ref))


def test_a_licensee_needs_no_signature_for_its_own_transaction(world: World) -> None:
    ref = world.buy(world.granted())
    world.evm.warp(91 * DAY)
    world.view.attest_destruction(ref, STATEMENT, b"", sender=world.people.licensee)
    assert world.view.destruction(world.licence_id(ref)) == STATEMENT


def test_its_refusals(world: World) -> None:
    ref, other = world.buy(world.granted()), world.buy(world.granted())
    world.evm.warp(91 * DAY)
    with reverts("view: unknown licence"):
        attest(world, ref | {"salt": 99}, signed(world, ref))
    with reverts("view: no statement is named"):
        attest(world, ref, signed(world, ref, NONE), NONE)
    message = CopyDestruction(world.licence_id(ref), STATEMENT)
    elsewhere = message.sign(world.people.licensee.key, Domain(CHAIN_ID, world.market.address))
    theirs = message.sign(world.people.stranger.key, Domain(CHAIN_ID, world.view.address))
    for wrong in (b"", elsewhere, theirs, signed(world, other), signed(world, ref, b"\1" * 32)):
        with reverts("signature: not by its owner"):
            attest(world, ref, wrong)
    assert world.view.destruction(world.licence_id(ref)) == NONE

"""R5: a custodian states what it stores, and a period begins."""

from __future__ import annotations

import pytest
from support.holdings import MONTH, Shelf
from support.world import NONE, World, reverts

from medtoken.chain.words import HoldingWord


def test_a_holding_is_one_word_and_one_root(world: World, shelf: Shelf) -> None:
    holding = shelf.commit()
    assert world.evm.event("HoldingCommitted") == {
        "custodian": shelf.number,
        "root": holding.root,
        "size": holding.size,
    }
    assert holding.size == sum(s - 512 - 16 for s in (5_000, 20_000, 1_700))
    assert shelf.word == HoldingWord(size=holding.size, begun=world.now)
    assert world.storage.root(shelf.number) == holding.root


def test_who_is_no_custodian_commits_nothing(world: World) -> None:
    people = world.people
    for who in (people.stranger, people.attester, people.licensee, people.operator):
        with reverts("institutions: the caller is not accredited for this"):
            world.storage.commit(b"\1" * 32, 1, sender=who)


@pytest.mark.parametrize(("root", "size"), [(NONE, 1), (b"\1" * 32, 0), (b"\1" * 32, 2**64)])
def test_nothing_is_no_claim(world: World, root: bytes, size: int) -> None:
    with reverts("storage: nothing is claimed"):
        world.storage.commit(root, size, sender=world.people.custodian)


def test_committing_anew_begins_anew(world: World, shelf: Shelf) -> None:
    shelf.commit()
    world.evm.warp(MONTH)
    shelf.commit(shelf.lines[:1])
    assert shelf.word.begun == world.now


def test_no_open_challenge_is_escaped(world: World, shelf: Shelf) -> None:
    shelf.commit()
    shelf.challenge()
    with reverts("storage: a challenge is open"):
        shelf.commit()
    world.evm.warp(86_400)
    shelf.commit()  # too late to answer: it failed
    assert world.evm.events() == ["ChallengeFailed", "HoldingCommitted"]
    assert shelf.word.begun == world.now
    assert shelf.word.challenged == 0

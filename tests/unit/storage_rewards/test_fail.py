"""R5: a challenge that nobody answers costs the period."""

from __future__ import annotations

from support.holdings import Shelf
from support.world import DAY, NONE, World, reverts


def test_a_missed_challenge_takes_the_holding_away(world: World, shelf: Shelf) -> None:
    shelf.commit()
    shelf.challenge()
    shelf.answer(43)
    world.evm.warp(DAY - 24)
    with reverts("storage: a challenge is open"):
        world.storage.fail(shelf.number)
    world.evm.warp(1)
    world.storage.fail(shelf.number, sender=world.people.stranger)
    assert world.evm.event("ChallengeFailed") == {"custodian": shelf.number}
    assert world.storage.holding_word(shelf.number) == 0
    assert world.storage.root(shelf.number) == NONE
    assert world.gt.totalSupply() == 0
    with reverts("storage: nothing is claimed"):
        world.storage.challenge(shelf.number)


def test_nobody_fails_without_a_challenge(world: World, shelf: Shelf) -> None:
    shelf.commit()
    world.evm.warp(90 * DAY)
    with reverts("storage: no challenge is open"):
        world.storage.fail(shelf.number)

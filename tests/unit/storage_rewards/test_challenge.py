"""R5: anybody opens a challenge, and a block that nobody knows yet draws its samples."""

from __future__ import annotations

from support.holdings import Shelf
from support.world import DAY, World, reverts


def test_a_challenge_waits_for_the_next_block(world: World, shelf: Shelf) -> None:
    shelf.commit()
    world.evm.warp(7 * DAY)
    world.storage.challenge(shelf.number, sender=world.people.stranger)
    assert world.evm.event("ChallengeOpened") == {
        "custodian": shelf.number,
        "challenger": world.people.stranger,
        "seedBlock": world.evm.block + 1,
        "samples": 44,
        "deadline": world.now + DAY,
    }
    word = shelf.word
    assert (word.challenged, word.window, word.samples, word.answered) == (world.now, DAY, 44, 0)
    assert (word.seed_block, word.threshold) == (world.evm.block + 1, 60)
    for _ in range(2):
        with reverts("storage: the samples are not drawn yet"):
            world.storage.sample(shelf.number, 0)
        world.evm.warp(12)
    drawn = [world.storage.sample(shelf.number, n) for n in range(44)]
    assert len(set(drawn)) > 40
    assert all(0 <= at < word.size for at in drawn)


def test_a_young_period_is_left_alone(world: World, shelf: Shelf) -> None:
    shelf.commit()
    world.evm.warp(7 * DAY - 1)
    with reverts("storage: the period is too young"):
        world.storage.challenge(shelf.number)


def test_there_must_be_a_claim_and_no_other_challenge(world: World, shelf: Shelf) -> None:
    for number in (shelf.number, 0, 99):
        with reverts("storage: nothing is claimed"):
            world.storage.challenge(number)
    shelf.commit()
    shelf.challenge()
    with reverts("storage: a challenge is open"):
        world.storage.challenge(shelf.number)


def test_the_block_that_draws_is_read_from_the_chains_history(world: World, shelf: Shelf) -> None:
    """EIP-2935: the opcode forgets after 256 blocks."""
    shelf.commit()
    shelf.challenge()
    early = world.storage.sample(shelf.number, 0)
    for _ in range(255):
        world.evm.warp(1)
    assert world.storage.sample(shelf.number, 0) == early
    world.evm.warp(1)
    with reverts("storage: the block that draws is out of reach"):
        world.storage.sample(shelf.number, 0)
    # push0 push0 mload-free answer: 32 bytes of 0x11…, whatever is asked
    answer = bytes.fromhex("7f" + "11" * 32 + "5f5260205ff3")
    world.evm.insert_code("0x0000F90827F1C53a10cb7A02335B175320002935", answer)
    try:
        assert world.storage.sample(shelf.number, 0) != early
    finally:
        world.evm.insert_code("0x0000F90827F1C53a10cb7A02335B175320002935", b"")


def test_there_are_no_samples_without_a_challenge(world: World, shelf: Shelf) -> None:
    shelf.commit()
    with reverts("storage: no challenge is open"):
        world.storage.sample(shelf.number, 0)

"""R5: 100 GT per TB-month of storage whose samples were shown; nothing for what was not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.holdings import MONTH, TERABYTE, Shelf
from support.world import DAY, DUT, World, reverts

from medtoken.chain.words import HoldingWord
from medtoken.holding import Holding, Line


def reward(size: int, seconds: int, share: int = 0) -> int:
    return size * seconds * 100 * DUT * (10_000 + share) // (TERABYTE * MONTH * 10_000)


def test_a_month_is_paid_by_the_byte(world: World, shelf: Shelf) -> None:
    holding = shelf.commit()
    begun = world.now
    shelf.challenge(MONTH)
    assert shelf.answer(16) == 0
    assert shelf.word.answered == 16
    minted = shelf.answer()
    assert minted == reward(holding.size, MONTH) == holding.size * 10**8
    assert world.evm.event("StorageProven") == {
        "custodian": shelf.number,
        "account": world.people.custodian,
        "size": holding.size,
        "duration": MONTH,
        "calls": 0,
        "share": 0,
        "minted": minted,
    }
    assert world.gt.balanceOf(world.people.custodian) == minted == world.gt.totalSupply()
    assert shelf.word == HoldingWord(size=holding.size, begun=begun + MONTH)


def test_the_event_names_each_record(world: World, shelf: Shelf) -> None:
    shelf.commit()
    shelf.challenge()
    given = shelf.answer_of(0)
    world.storage.answer(shelf.number, [given])
    assert world.evm.event("SampleAnswered") == {
        "custodian": shelf.number,
        "record": given["line"]["record"],
        "number": 0,
        "attester": world.number(world.people.attester),
    }


def test_less_than_a_month_is_paid_pro_rata_and_more_is_not_paid(
    world: World, shelf: Shelf
) -> None:
    holding = shelf.commit()
    assert shelf.prove(7 * DAY) == reward(holding.size, 7 * DAY)
    # The period goes on where the last one was challenged, not where it was answered.
    assert shelf.prove(7 * DAY) == reward(holding.size, 7 * DAY + 24)
    assert shelf.prove(100 * DAY) == reward(holding.size, MONTH)


def test_one_record_is_a_holding_too(world: World) -> None:
    shelf = Shelf(world, world.people.other_custodian, world.people.attester)
    shelf.add(600)
    holding = shelf.commit()
    assert shelf.prove() == reward(holding.size, MONTH) == 72 * 10**8


def test_too_late_is_too_late(world: World, shelf: Shelf) -> None:
    shelf.commit()
    shelf.challenge()
    answers = [shelf.answer_of(n) for n in range(16)]
    world.evm.warp(DAY - 24)
    world.storage.answer(shelf.number, answers)
    world.evm.warp(1)
    with reverts("storage: the challenge was not answered in time"):
        world.storage.answer(shelf.number, [shelf.answer_of(16)])


def test_there_is_nothing_to_answer_without_a_challenge(world: World, shelf: Shelf) -> None:
    shelf.commit()
    with reverts("storage: no challenge is open"):
        world.storage.answer(shelf.number, [])


def test_no_more_answers_than_samples(world: World, shelf: Shelf) -> None:
    shelf.commit()
    shelf.challenge()
    shelf.answer(43)
    last = shelf.answer_of(43)
    with reverts("storage: more answers than samples"):
        world.storage.answer(shelf.number, [last, last])
    world.storage.answer(shelf.number, [last])


def test_a_custodian_without_accreditation_earns_nothing(world: World, shelf: Shelf) -> None:
    shelf.commit()
    shelf.challenge()
    world.accredit(world.people.custodian, 0)
    with reverts("institutions: the caller is not accredited for this"):
        world.storage.answer(shelf.number, [shelf.answer_of(0)])


# ---------------------------------------------------------------- answers that prove nothing


OTHER_CHUNK = "storage: not the chunk that was asked for"


@pytest.fixture
def drawn(shelf: Shelf) -> Shelf:
    shelf.commit()
    shelf.challenge()
    return shelf


def _refused(shelf: Shelf, sentence: str, given: dict[str, Any]) -> None:
    with reverts(sentence):
        shelf.world.storage.answer(shelf.number, [given])


def test_the_chunk_must_be_the_one_that_was_drawn(drawn: Shelf) -> None:
    given = drawn.answer_of(0)
    chunk = given["chunk"]
    flipped = bytes([chunk[0] ^ 1]) + chunk[1:]
    for other in (b"", flipped, chunk[:-1], chunk + b"\0" if len(chunk) < 1024 else chunk[1:]):
        _refused(drawn, OTHER_CHUNK, given | {"chunk": other})
    path = given["path"]
    if path:
        _refused(drawn, OTHER_CHUNK, given | {"path": path[:-1]})
    _refused(drawn, OTHER_CHUNK, given | {"path": [*path, bytes(32)]})


def test_another_line_is_no_answer(drawn: Shelf) -> None:
    """A line that is in the holding, but does not hold the sample."""
    world = drawn.world
    assert drawn.holding is not None
    wanted = drawn.answer_of(0)
    ends, before = [], 0
    for line in drawn.holding.lines:
        ends.append((before, line))
        before += line.plain
    start, line = next((s, x) for s, x in ends if x.root != wanted["line"]["root"])
    place = drawn.holding.place(start)
    given = wanted | {
        "line": {"root": line.root, "record": line.record, "size": line.size},
        "right": place.right,
        "steps": [vars(s) for s in place.steps],
    }
    assert world.storage.sample(drawn.number, 0) not in range(start, start + line.plain)
    _refused(drawn, "storage: another line holds the sample", given)


def test_a_line_must_be_in_the_holding(drawn: Shelf) -> None:
    given = drawn.answer_of(0)
    wrong = "storage: the line is not in the holding"
    _refused(drawn, wrong, given | {"steps": given["steps"][:-1]})
    step = given["steps"][0]
    for field, value in (("sibling", b"\2" * 32), ("size", step["size"] + 1)):
        steps = [step | {field: value}, *given["steps"][1:]]
        _refused(drawn, wrong, given | {"steps": steps})
    line = given["line"] | {"record": drawn.world.record(sender=drawn.custodian)}
    _refused(drawn, wrong, given | {"line": line})


def test_a_line_must_be_in_its_order(drawn: Shelf) -> None:
    given = drawn.answer_of(0)
    step, right = given["steps"][0], given["right"] & 1
    split = b"\xff" * 32 if right else bytes(32)
    steps = [step | {"split": split}, *given["steps"][1:]]
    _refused(drawn, "storage: the line is out of order", given | {"steps": steps})


def test_no_size_but_a_sealed_records(drawn: Shelf) -> None:
    given = drawn.answer_of(0)
    for size in (0, 512, 528, 2**40 + 513, 2**256 - 1):
        line = given["line"] | {"size": size}
        _refused(drawn, "storage: no size of a sealed record", given | {"line": line})


def test_an_attester_must_have_witnessed_it(drawn: Shelf) -> None:
    world, people = drawn.world, drawn.world.people
    given = drawn.answer_of(0)
    line = Line(**given["line"])
    forged = drawn.witness(line, people.stranger)
    _refused(drawn, "signature: not by its owner", given | {"signature": forged})
    other = drawn.witness(replace(line, size=line.size + 1))
    _refused(drawn, "signature: not by its owner", given | {"signature": other})
    unaccredited = "institutions: the caller is not accredited for this"
    number = world.number(people.other_custodian)
    mine = drawn.witness(line, people.other_custodian)
    _refused(drawn, unaccredited, given | {"attester": number, "signature": mine})
    _refused(drawn, unaccredited, given | {"attester": 0})


def test_nobody_witnesses_its_own(drawn: Shelf) -> None:
    world, people = drawn.world, drawn.world.people
    given = drawn.answer_of(0)
    line = Line(**given["line"])
    for who in (people.custodian, people.annotator):
        world.accredit(who, 7)
        own = given | {"attester": world.number(who), "signature": drawn.witness(line, who)}
        _refused(drawn, "storage: nobody attests their own work", own)


def test_records_that_do_not_count(world: World) -> None:
    """Poor, destroyed, superseded, unattested, or somebody else's."""
    people = world.people
    shelf = Shelf(world, people.custodian, people.attester)
    lines = [shelf.add(dvi=59), shelf.add(), shelf.add()]
    lines.append(shelf.store(world.register(), b"\1" * 1_000))
    world.registry.destroy(lines[1].record, b"\1" * 32, sender=people.custodian)
    world.register(previous=lines[2].record)
    other = Shelf(world, people.other_custodian, people.attester)
    theirs = other.add()
    shelf.files |= other.files
    shelf.signatures |= other.signatures
    for line in lines:
        with world.evm.anchor():
            shelf.commit([line])
            shelf.challenge()
            _refused(shelf, "storage: the record does not count", shelf.answer_of(0))
    shelf.commit([theirs])
    shelf.challenge()
    _refused(shelf, "storage: not the record's custodian", shelf.answer_of(0))


def test_the_threshold_is_that_of_the_challenge(world: World, shelf: Shelf) -> None:
    shelf.commit()
    shelf.challenge()
    rules = world.storage.rules() | {"threshold": 90, "samples": 60}
    world.as_timelock(world.storage, "set_rules", rules)
    assert shelf.answer() != 0
    shelf.challenge()
    assert (shelf.word.threshold, shelf.word.samples) == (90, 60)
    _refused(shelf, "storage: the record does not count", shelf.answer_of(0))


# ---------------------------------------------------------------- what is claimed twice


class Doubled(Holding):
    """A tree that holds the same lines on both sides of its root."""

    def __init__(self, lines: list[Line]) -> None:
        super().__init__(lines)
        self.lines = (*self.lines, *self.lines)
        self._ends = [*self._ends, *(self._ends[-1] + end for end in self._ends)]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_nothing_is_counted_twice(world: World, shelf: Shelf, count: int) -> None:
    """Half of the samples fall where no answer is sound, so no challenge is passed."""
    holding = Doubled(shelf.lines[:count])
    assert holding.size == 2 * Holding(shelf.lines[:count]).size
    shelf.holding = holding
    world.storage.commit(holding.root, holding.size, sender=shelf.custodian)
    shelf.challenge()
    refused = 0
    for number in range(44):
        try:
            given = shelf.answer_of(number)
            with world.evm.anchor():
                world.storage.answer(shelf.number, [given])
        except Exception as error:
            assert str(error) in (
                "storage: the line is out of order",
                "storage: another line holds the sample",
            )
            refused += 1
        # Try the next one as if this had been answered.
        word = world.storage.holding_word(shelf.number) + (1 << 216)
        slot = _slot(shelf.number)
        world.evm._evm.insert_account_storage(world.storage.address, slot, word)
    assert refused > 10


def _slot(custodian: int) -> int:
    from eth_utils import keccak

    from medtoken import artifacts

    base = int(artifacts.load("StorageRewards")["storageLayout"]["_holdings"]["slot"])
    return int.from_bytes(keccak(base.to_bytes(32) + custodian.to_bytes(32)))

"""The ledger followed block by block is the ledger replayed at once, whatever the chain does."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medtoken.audit import Clock, Ledger, decoded
from medtoken.audit.follow import Follower
from medtoken.chain.node import Block, RawLog
from medtoken.errors import BadInput, NodeUnreachable, WrongChain


@dataclass
class Forked:
    """A node whose chain the test writes: the honest history's blocks, cut and continued at will.

    ``fork`` marks the blocks from ``since`` on with another hash and leaves out their logs for good,
    as if a chain without those transactions had won.
    """

    raw: list[RawLog]
    times: list[int]
    chain_id: int
    height: int
    since: int = 10**9
    dropped: frozenset[int] = frozenset()
    name: bytes = b""
    fails: bool = False
    answers: int = 10**9  # then it fails once
    asked: list[tuple[int, int]] = field(default_factory=list)

    def head(self) -> Block:
        return self.block(self.height)

    def _answer(self) -> None:
        self.answers -= 1
        if self.fails or self.answers == 0:
            raise NodeUnreachable("No Ethereum node answers.")

    def block(self, number: int) -> Block:
        self._answer()
        if number > self.height:
            raise BadInput(f"no block {number}")
        mark = self.name if number >= self.since else b""
        return Block(number, (mark + number.to_bytes(8)).rjust(32, b"\0"), self.times[number])

    def logs(self, addresses: Sequence[str], first: int, last: int) -> list[RawLog]:
        self._answer()
        self.asked.append((first, last))
        return [
            r
            for r in self.raw
            if r.address in addresses and first <= r.block <= last and r.block not in self.dropped
        ]

    def call(self, to: str, data: bytes, block: int | None = None) -> bytes:
        raise AssertionError("a follower reads no state")

    def storage(self, address: str, slot: int, block: int | None = None) -> int:
        raise AssertionError("a follower reads no state")


def node_of(honest: Any, height: int | None = None) -> Forked:
    evm = honest.world.evm
    last = len(evm.times) - 1
    return Forked(
        evm.raw, list(evm.times), honest.chain.chain_id, last if height is None else height
    )


def replayed(node: Forked, honest: Any) -> dict[str, Any]:
    """The ledger of what the node holds now, folded from the start."""
    clock = Clock(lambda number: node.times[number])
    logs = node.logs(list(honest.suite.emitters), 0, node.height)
    return Ledger(honest.suite, clock).fold(decoded(logs, honest.suite)).as_dict()


def books(follower: Follower[Ledger]) -> dict[str, Any]:
    with follower.reading() as (ledger, _):
        return ledger.as_dict()


def test_block_by_block_is_what_a_replay_gives(honest: Any) -> None:
    node = node_of(honest)
    last = node.height
    node.height = last // 3
    follower = Follower(node, honest.record, Ledger, finality=5)
    assert follower.step()
    assert not follower.step()
    while node.height < last:
        node.height = min(node.height + 7, last)
        assert follower.step()
    assert books(follower) == replayed(node, honest)
    with follower.reading() as (ledger, tip):
        assert ledger.violations == []
        assert tip.number == last
    assert follower.final == last - 5
    # Nothing was read twice.
    assert [b for a, b in node.asked[:-1]][-1] == last
    firsts = [a for a, _ in node.asked[:-1]]
    assert firsts == sorted(firsts)


@settings(max_examples=6)
@given(data=st.data())
def test_whatever_forks_come_the_books_are_the_chains(honest: Any, data: st.DataObject) -> None:
    node = node_of(honest)
    last = node.height
    node.height = data.draw(st.integers(last // 2, last - 30))
    follower = Follower(
        node, honest.record, Ledger, finality=data.draw(st.sampled_from([1, 8, 64]))
    )
    for round_ in range(3):
        follower.step()
        back = data.draw(st.integers(0, 12))
        if back:
            # The last blocks are left, with what happened in them.
            left = range(node.height - back + 1, node.height + 1)
            node.dropped |= set(left)
            node.since, node.name = left[0], bytes([round_ + 1])
        node.height = min(node.height + data.draw(st.integers(0, 9)), last)
    follower.step()
    assert books(follower) == replayed(node, honest)


def test_a_fork_behind_the_final_block_starts_everything_again(honest: Any) -> None:
    node = node_of(honest)
    follower = Follower(node, honest.record, Ledger, finality=3)
    follower.step()
    node.since, node.name = node.height - 20, b"fork"
    node.dropped = frozenset(range(node.height - 20, node.height + 1))
    node.asked.clear()
    assert follower.step()
    assert node.asked[0][0] == honest.record.first_block
    assert books(follower) == replayed(node, honest)


def test_a_node_that_fails_leaves_the_books(honest: Any) -> None:
    node = node_of(honest)
    node.height -= 10
    follower = Follower(node, honest.record, Ledger)
    with pytest.raises(NodeUnreachable, match="not been read yet"), follower.reading():
        pass
    follower.step()
    before = books(follower)
    node.height += 10
    node.fails = True
    with pytest.raises(NodeUnreachable):
        follower.step()
    assert books(follower) == before
    node.fails = False
    assert follower.step()
    assert books(follower) == replayed(node, honest)


@pytest.mark.parametrize("stretch", [7, 5_000])
def test_a_node_that_fails_at_any_question_loses_and_doubles_nothing(
    honest: Any, stretch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events are told to whoever counts them, instead of a ledger: each once, in the chain's order."""
    monkeypatch.setattr("medtoken.audit.follow._STRETCH", stretch)

    class Told:
        def __init__(self, suite: Any, clock: Clock) -> None:
            self.clock, self.seen = clock, []  # type: ignore[var-annotated]

        def apply(self, event: Any) -> None:
            self.seen.append((event.block, event.index, self.clock.at(event.block)))

        def close(self) -> None:
            pass

    whole = node_of(honest)
    suite, last = honest.suite, whole.height
    low = honest.record.first_block + 60
    end = max(low + 40, suite.complete_at + 20)
    truth = [
        (r.block, r.index, whole.times[r.block]) for r in whole.logs(list(suite.emitters), 0, end)
    ]
    assert end < last
    assert truth
    for fails_at in range(1, 90):
        node = node_of(honest, end - 10)
        follower = Follower(node, honest.record, Told, finality=4)
        node.answers = fails_at
        for height in (end - 10, end - 10, end - 3, end, end, end):
            node.height = height
            with contextlib.suppress(NodeUnreachable):
                follower.step()
        with follower.reading() as (told, tip):
            assert (told.seen, tip.number) == (truth, end)
        # What is final was told of once, too: it is what a fork starts from.
        node.since, node.name = end, b"fork"
        assert follower.step()
        with follower.reading() as (told, tip):
            assert told.seen == truth


def test_a_node_that_is_behind_takes_nothing_back(honest: Any) -> None:
    node = node_of(honest)
    last = node.height
    follower = Follower(node, honest.record, Ledger, finality=20)
    follower.step()
    before = books(follower)
    for behind in (1, 10, 30):
        node.height = last - behind
        with pytest.raises(NodeUnreachable, match="The node is behind"):
            follower.step()
        assert books(follower) == before
    node.height = last
    assert not follower.step()


def test_a_chain_that_changes_while_it_is_read_is_read_again(honest: Any) -> None:
    class Restless(Forked):
        def logs(self, addresses: Sequence[str], first: int, last: int) -> list[RawLog]:
            found = super().logs(addresses, first, last)
            self.since, self.name = self.height, self.name + b"x"
            return found

    calm = node_of(honest)
    node = Restless(calm.raw, calm.times, calm.chain_id, calm.height)
    follower = Follower(node, honest.record, Ledger, finality=500_000)
    with pytest.raises(NodeUnreachable, match="changed while it was read"):
        follower.step()
    assert follower.tip is None


def test_another_chain_is_refused(honest: Any) -> None:
    node = replace(node_of(honest), chain_id=1)
    with pytest.raises(WrongChain):
        Follower(node, honest.record, Ledger)
    with pytest.raises(BadInput):
        Follower(node_of(honest), honest.record, Ledger, finality=0)

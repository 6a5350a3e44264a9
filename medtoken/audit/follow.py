"""The ledger followed block by block, on whatever chain the node comes to hold.

One path from logs to books: what is fed here is what ``replay`` folds. Blocks are known by their
hash. Books are kept twice: up to the last final block, and up to the newest. Where the chain leaves a
block that is not final, the newest books start again from a copy of the final ones; where it leaves
a final one, everything starts again from the first block.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Generic, Protocol, TypeVar

from medtoken.audit.journal import Clock, Event
from medtoken.audit.source import BlockHead, Chain, Record, Suite, decoded
from medtoken.errors import BadInput, NodeUnreachable, WrongChain

FINALITY = 64  # blocks; what is deeper is taken not to change any more
_STRETCH = 5_000  # blocks whose logs are asked for at once
_ATTEMPTS = 3


class Books(Protocol):
    """Whatever folds events in the chain's order: a ``Ledger``, or something around one."""

    def apply(self, event: Event) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


B = TypeVar("B", bound=Books)


class Follower(Generic[B]):
    """Books of a deployment that follow its chain. ``step`` is called by one thread, others read."""

    def __init__(
        self,
        node: Chain,
        deployment: Record,
        make: Callable[[Suite, Clock], B],
        *,
        finality: int = FINALITY,
    ) -> None:
        """``make`` gives empty books. Raises WrongChain, DeploymentError, BadInput."""
        if node.chain_id != deployment.chain_id:
            raise WrongChain(
                f"The deployment record is for chain {deployment.chain_id}, "
                f"but the node is on chain {node.chain_id}."
            )
        if finality < 1:
            raise BadInput("At least the newest block may always change.")
        self.suite = Suite.of(deployment)
        self._node = node
        self._first = deployment.first_block
        self._make = make
        self._finality = finality
        self._lock = threading.RLock()
        self._begin()

    def _begin(self) -> None:
        self._final = self._empty()
        self._final_block = self._first - 1
        self._newest = self._empty()
        self._tip: BlockHead | None = None
        self._recent: deque[BlockHead] = deque()  # blocks that are not final, and the last that is
        self._pending: deque[Event] = deque()  # events of blocks that are not final
        # Of blocks with events that are still to be booked: booking then asks the node nothing, and so
        # cannot break off in the middle.
        self._times: dict[int, int] = {}

    def _empty(self) -> B:
        # No method: books are copied, and a method's copy would bring a copy of this object along.
        def time(block: int) -> int:
            known = self._times.get(block)
            return self._node.block(block).timestamp if known is None else known

        return self._make(self.suite, Clock(time))

    @contextmanager
    def reading(self) -> Iterator[tuple[B, BlockHead]]:
        """The books and the block up to which they go; they do not change meanwhile.

        Raises NodeUnreachable before the first step was done.
        """
        with self._lock:
            if self._tip is None:
                raise NodeUnreachable("The chain has not been read yet: try again.")
            yield self._newest, self._tip

    @property
    def tip(self) -> BlockHead | None:
        """The block up to which the books go."""
        return self._tip

    @property
    def final(self) -> int:
        """The last block that is taken to be final; before the first step, none of ours."""
        return self._final_block

    def step(self) -> bool:
        """Take up what the chain has gained or changed; whether there was anything.

        Raises NodeUnreachable and leaves the books as they were when the node fails, is behind, or
        when its chain keeps changing underneath. What was read of a long chain until then is kept.
        """
        for _ in range(_ATTEMPTS):
            head = self._node.head()
            if self._tip is not None and head.hash == self._tip.hash:
                return False
            if self._behind(head):
                raise NodeUnreachable(
                    f"The node is behind: it ends at block {head.number}, and block "
                    f"{self._recent[-1].number} was read."
                )
            if head.number < self.suite.complete_at:
                raise NodeUnreachable(
                    f"The node's chain ends at block {head.number}, before the contracts stand."
                )
            kept = self._kept(head)
            if kept is None:
                with self._lock:
                    self._begin()
                kept = self._final_block
            final = max(head.number - self._finality, self._final_block)
            if self._tip is None:
                # The long way up is walked once, and not kept in memory.
                for start in range(self._final_block + 1, final + 1, _STRETCH):
                    self._walk(start, min(start + _STRETCH - 1, final))
                with self._lock:
                    kept = self._final_block
                    self._newest = deepcopy(self._final)
            fresh = list(self._events(kept + 1, head.number))
            times = self._timed(fresh)
            begin = max(kept + 1, head.number - self._finality)
            blocks = [self._node.block(number) for number in range(begin, head.number)]
            # A hash stands for all blocks before it: had the chain changed, so would this one's.
            if self._node.block(head.number).hash == head.hash and self._standing(kept):
                with self._lock:
                    self._times |= times
                    self._take(kept, fresh, [*blocks, head])
                return True
        raise NodeUnreachable("The node's chain changed while it was read; it will be read again.")

    def _walk(self, first: int, last: int) -> None:
        """Book final blocks: all of them, or none where the node fails."""
        events = list(self._events(first, last))
        times, anchor = self._timed(events), self._node.block(last)
        with self._lock:
            self._times = times
            for event in events:
                self._final.apply(event)
            self._final.close()
            self._times = {}
            self._final_block = last
            self._recent = deque([anchor])

    def _timed(self, events: list[Event]) -> dict[int, int]:
        """The times of the blocks of these events, unix seconds."""
        numbers = dict.fromkeys(event.block for event in events)
        return {number: self._node.block(number).timestamp for number in numbers}

    def _behind(self, head: BlockHead) -> bool:
        """Whether the node's chain ends earlier and is ours, as that of one that is still reading."""
        if not self._recent or head.number >= self._recent[-1].number:
            return False
        ours = [block for block in self._recent if block.number == head.number]
        return head.number < self._final_block or (bool(ours) and ours[0].hash == head.hash)

    def _events(self, first: int, last: int) -> Iterator[Event]:
        addresses = list(self.suite.emitters)
        for start in range(first, last + 1, _STRETCH):
            end = min(start + _STRETCH - 1, last)
            yield from decoded(self._node.logs(addresses, start, end), self.suite)

    def _kept(self, head: BlockHead) -> int | None:
        """The last block of ours that the node's chain has too; None where that is not known."""
        if not self._recent:
            return self._final_block
        for block in reversed(self._recent):
            if block.number <= head.number and self._node.block(block.number).hash == block.hash:
                return block.number
        return None

    def _standing(self, number: int) -> bool:
        """Whether the node still has the block of ours that new ones were put on."""
        ours = [block for block in self._recent if block.number == number]
        return not ours or self._node.block(number).hash == ours[0].hash

    def _take(self, kept: int, fresh: list[Event], blocks: list[BlockHead]) -> None:
        if self._tip is not None and kept < self._tip.number:
            while self._pending and self._pending[-1].block > kept:
                self._pending.pop()
            while self._recent and self._recent[-1].number > kept:
                self._recent.pop()
            self._newest = deepcopy(self._final)
            for event in self._pending:
                self._newest.apply(event)
            self._newest.close()
        for event in fresh:
            self._newest.apply(event)
        self._newest.close()
        self._pending.extend(fresh)
        self._recent.extend(block for block in blocks if block.number > kept)
        self._tip = blocks[-1]
        final = max(self._tip.number - self._finality, self._final_block)
        settled = False
        while self._pending and self._pending[0].block <= final:
            self._final.apply(self._pending[0])
            self._pending.popleft()
            settled = True
        if settled:
            self._final.close()
        self._final_block = final
        while len(self._recent) > 1 and self._recent[1].number <= final:
            self._recent.popleft()
        self._times = {block: at for block, at in self._times.items() if block > final}

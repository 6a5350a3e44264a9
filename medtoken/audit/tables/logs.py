"""Logs on a node's word: range by range, as large as the node allows and memory bears."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import msgspec

from medtoken.audit.tables.decode import Log
from medtoken.audit.tables.store import Point
from medtoken.chain.stream import AnswerTooLong, Client, NodeRefused, Request
from medtoken.errors import NodeUnreachable

# Logs in an answer that are neither too few for the way there and back nor too many for memory.
_ANSWER = 2_000
_MOST_BLOCKS = 10_000
# Bytes of an answer, read as a whole. Longer ones are asked for in parts: the blocks after a quiet
# time may be full.
_LONGEST = 1 << 22


class Parted(Exception):
    """The chain parted while it was read; what was not committed is worth nothing."""


class Header(msgspec.Struct, rename="camel", frozen=True):
    """Of a header, what plain reading believes."""

    number: str
    hash: str
    timestamp: str

    @property
    def point(self) -> Point:
        """The block."""
        try:
            return Point(int(self.number, 16), self.hash, int(self.timestamp, 16))
        except ValueError:
            raise NodeUnreachable("The node gave a block that is not hexadecimal.") from None


class LogReader:
    """The logs of some addresses. What it learns of the node's limits it keeps."""

    def __init__(self, client: Client, addresses: Sequence[str]) -> None:
        """``addresses``: whose logs are read."""
        self._client = client
        self._addresses = list(addresses)
        self._size = 1
        self._allowed = _MOST_BLOCKS
        self._longest = _LONGEST

    def chunks(self, first: int, last: int) -> Iterator[tuple[int, list[Point], list[Log]]]:
        """One range of blocks after the other: its last block, the blocks with logs, and those.

        Raises NodeUnreachable naming the block whose logs the node refuses, Parted when a block that
        it named is gone.
        """
        todo = first
        while todo <= last:
            asked: deque[tuple[int, int]] = deque()
            try:
                requests = self._requests(todo, last, asked)
                for answer in self._client.stream(requests, most=self._longest):
                    start, stop = asked[0]
                    logs: list[Log] = self._client.result(answer, list[Log])
                    blocks = self._blocks(logs, start, stop)
                    asked.popleft()
                    todo = stop + 1
                    self._adapt(stop - start + 1, len(logs))
                    yield stop, blocks, logs
            except NodeRefused as error:
                start, stop = asked[0]
                if stop == start:
                    raise NodeUnreachable(
                        f"The node at {self._client.url} gives no logs of block {start}: "
                        f"{error.message} ({error.code}). What was read before is kept."
                    ) from None
                self._size = self._allowed = max(1, (stop - start + 1) // 2)
            except AnswerTooLong as error:
                start, stop = asked[0]
                if stop == start:
                    self._longest *= 2  # one block cannot be parted
                fit = (stop - start + 1) * self._longest // error.length
                self._size = max(1, fit // 2)

    def _requests(self, first: int, last: int, asked: deque[tuple[int, int]]) -> Iterator[Request]:
        while first <= last:
            stop = min(first + self._size - 1, last)
            asked.append((first, stop))
            where = {"address": self._addresses, "fromBlock": hex(first), "toBlock": hex(stop)}
            yield "eth_getLogs", (where,)
            first = stop + 1

    def _adapt(self, blocks: int, logs: int) -> None:
        """Ask for more blocks at a time while answers are short, for fewer when they are long."""
        if logs > 2 * _ANSWER:
            self._size = max(1, min(self._size, blocks * _ANSWER // logs))
        elif logs < _ANSWER // 2 and blocks >= self._size:
            self._size = min(self._size * 2, self._allowed)

    def _blocks(self, logs: Sequence[Log], first: int, last: int) -> list[Point]:
        """The blocks of some logs, which must be among those that were asked for."""
        seen: dict[str, Log] = {}
        number = before = first - 1
        for log in logs:
            if log.block_hash in seen:
                continue
            seen[log.block_hash] = log
            number = int(log.block_number, 16)
            if not before < number <= last or log.removed:
                raise NodeUnreachable(
                    f"The node at {self._client.url} gave logs of block {number} where those of "
                    f"blocks {before + 1} to {last} were due."
                )
            before = number
        bare = [h for h, log in seen.items() if log.block_timestamp is None]
        requests = (("eth_getBlockByHash", (block, False)) for block in bare)
        times: dict[str, str] = {}
        for block, answer in zip(bare, self._client.stream(requests), strict=True):
            found = self._client.result(answer, Header | None)
            if found is None:
                raise Parted
            times[block] = found.timestamp
        times |= {h: log.block_timestamp for h, log in seen.items() if log.block_timestamp}
        return [Header(log.block_number, h, times[h]).point for h, log in seen.items()]

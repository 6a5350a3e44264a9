"""What every book of the ledger writes on: the event at hand, the time of blocks, the violations."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """One decoded log at its place on the chain. ``address`` emitted it."""

    contract: str
    event: str
    args: dict[str, Any]
    address: str
    block: int
    tx: bytes
    index: int


@dataclass(frozen=True)
class Violation:
    """Something that a rule forbids, found in the logs or in the state of the chain.

    ``invariant`` is the number of the invariant that it breaks. Whatever breaks a rule that none of
    1 to 6 is about counts under 7: a ledger that keeps the rules does not reach such a state.
    ``tx`` is None for what was found in the state at ``block``.
    """

    invariant: int
    rule: str
    block: int
    tx: bytes | None
    text: str
    expected: str | None = None
    actual: str | None = None

    def __str__(self) -> str:
        """One line: the rule, the place, what is wrong, and the numbers."""
        where = f"block {self.block}" + (f", transaction 0x{self.tx.hex()}" if self.tx else "")
        numbers = ""
        if self.expected is not None:
            numbers = f": {self.actual} instead of {self.expected}"
        return f"{self.rule}, {where}: {self.text}{numbers}"


class Clock:
    """The time of blocks, fetched as seldom as possible: it never runs backwards along a chain."""

    def __init__(self, fetch: Callable[[int], int]) -> None:
        """``fetch`` gives the unix seconds of a block by number."""
        self._fetch = fetch
        self._blocks: list[int] = []
        self._times: dict[int, int] = {}

    def learn(self, block: int, seconds: int) -> None:
        """Take note of the time of a block that is known anyway."""
        if block not in self._times:
            self._blocks.insert(bisect_left(self._blocks, block), block)
            self._times[block] = seconds

    def at(self, block: int) -> int:
        """Unix seconds of a block."""
        if block not in self._times:
            self.learn(block, self._fetch(block))
        return self._times[block]

    def before(self, block: int, moment: int) -> bool:
        """Whether a block is earlier than ``moment``; asks only when its neighbours do not tell."""
        place = bisect_left(self._blocks, block)
        if place < len(self._blocks) and self._times[self._blocks[place]] < moment:
            return True
        if place > 0 and self._times[self._blocks[place - 1]] >= moment:
            return False
        return self.at(block) < moment

    def period(self, block: int, length: int) -> int:
        """Which period of ``length`` seconds a block is in; asks only when neighbours differ."""
        place = bisect_left(self._blocks, block)
        if block not in self._times and 0 < place < len(self._blocks):
            before, after = (self._times[b] // length for b in self._blocks[place - 1 : place + 1])
            if before == after:
                return before
        return self.at(block) // length


class Journal:
    """Violations found so far, each at the event that is being booked."""

    def __init__(self, clock: Clock) -> None:
        """Start empty."""
        self.clock = clock
        self.violations: list[Violation] = []
        self.event: Event | None = None

    @property
    def now(self) -> int:
        """Unix seconds of the block of the event at hand."""
        return self.clock.at(self._at().block)

    def before(self, moment: int) -> bool:
        """Whether the event at hand is earlier than ``moment``, unix seconds."""
        return self.clock.before(self._at().block, moment)

    def period(self, length: int) -> int:
        """Which period of ``length`` seconds, counted from 1970, the event at hand is in."""
        return self.clock.period(self._at().block, length)

    def expect(self, invariant: int, rule: str, text: str, expected: Any, actual: Any) -> bool:
        """Record a violation unless what is there is what the rules give."""
        if expected == actual:
            return True
        self._record(invariant, rule, text, show(expected), show(actual))
        return False

    def require(self, condition: bool, invariant: int, rule: str, text: str) -> bool:
        """Record a violation unless ``condition`` holds; ``text`` says what is wrong then."""
        if not condition:
            self._record(invariant, rule, text, None, None)
        return condition

    def _record(
        self, invariant: int, rule: str, text: str, expected: str | None, actual: str | None
    ) -> None:
        at = self._at()
        self.violations.append(Violation(invariant, rule, at.block, at.tx, text, expected, actual))

    def _at(self) -> Event:
        if self.event is None:
            raise RuntimeError("no event is being booked")
        return self.event


def show(value: Any) -> str:
    """A value as a report prints it: bytes as 0x hex, everything else as text."""
    if isinstance(value, (bytes, bytearray)):
        return "0x" + bytes(value).hex()
    if isinstance(value, tuple):
        return ", ".join(show(v) for v in value)
    return str(value)

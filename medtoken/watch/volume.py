"""Whether a licence is used more than it used to be.

A licence is compared with itself. Units are counted by the day; what one voucher brings is spread over the
days since the last one, for it acknowledges what happened in between (R14). The level of a licence is a
high percentile of its days so far, days without use included; a day is unusual when it is several times
that and not small. Seven days are unusual when they are several times what the days before them would
give: that finds what grows slowly. In its first days a licence has no level, and only size can be unusual.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

DAY = 86_400


@dataclass(frozen=True)
class VolumeRule:
    """When a day's units are unusual."""

    times: int = 4  # how many times the level of the days before, for a day
    weekly: float = 2.5  # how many times the mean of the days before, for seven
    percentile: int = 90  # which of the days before is the level
    least: int = 50  # units a day below which nothing is unusual
    known: int = 7  # days until a licence has a level
    at_first: int = 100_000  # units a day that are unusual for a licence that has none yet
    memory: int = 35  # days that count


@dataclass(frozen=True)
class Unusual:
    """One day or seven that are: their units, and from how many on they were."""

    days: int
    units: int
    limit: int


@dataclass
class Volume:
    """The days of one licence."""

    rule: VolumeRule
    began: int  # the day of its purchase
    day: int = 0
    units: int = 0  # of that day
    told: bool = False  # of that day
    week_told: int = -7  # the day on which it was told of seven
    vouchers: int = 0  # unix seconds of the last voucher, or of the purchase
    before: deque[int] = field(default_factory=deque)

    @classmethod
    def of(cls, rule: VolumeRule, bought: int) -> Volume:
        """A licence bought at ``bought``, unix seconds."""
        return cls(rule, bought // DAY, day=bought // DAY, vouchers=bought)

    def used(self, units: int, now: int) -> Unusual | None:
        """Units used now; the day, when it has just become unusual."""
        self._reach(now // DAY)
        self.units += units
        limit = self._limit()
        if not self.told and self.units >= limit:
            self.told = True
            return Unusual(1, self.units, limit)
        week, limit = self._week()
        if limit and week >= limit and self.day >= self.week_told + 7:
            self.week_told = self.day
            return Unusual(7, week, limit)
        return None

    def acknowledged(self, units: int, now: int) -> Unusual | None:
        """Units that one voucher brings, of all days since the last one."""
        since, self.vouchers = self.vouchers, now
        days = range(max(since // DAY, self.day), now // DAY + 1)
        found = None
        for number, day in enumerate(days):
            share = units * (number + 1) // len(days) - units * number // len(days)
            found = self.used(share, day * DAY) or found
        return found

    def _reach(self, day: int) -> None:
        """Close the days before ``day``; those without use count as well."""
        if day <= self.day:
            return
        self.before.append(self.units)
        empty = min(day - self.day - 1, self.rule.memory)
        self.before.extend([0] * empty)
        while len(self.before) > self.rule.memory:
            self.before.popleft()
        self.day, self.units, self.told = day, 0, False

    def _limit(self) -> int:
        if self.day - self.began < self.rule.known:
            return self.rule.at_first
        days = sorted(self.before)
        level = days[min(len(days) * self.rule.percentile // 100, len(days) - 1)]
        return max(self.rule.times * level, self.rule.least)

    def _week(self) -> tuple[int, int]:
        """The units of seven days, and from how many on they are unusual; zero where that is not known."""
        days = list(self.before)
        earlier = days[:-6]
        if len(earlier) < self.rule.known:
            return 0, 0
        usual = 7 * sum(earlier) / len(earlier)
        return self.units + sum(days[-6:]), max(int(self.rule.weekly * usual), 3 * self.rule.least)

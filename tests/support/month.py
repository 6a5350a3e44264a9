"""A simulated month of a market on the in-process chain, with things planted that a watcher should see.

Honest use has weekdays and weekends, days without any, and now and then a busy day. What is planted is
known, so that false alarms and misses can be counted.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from unittest.mock import patch

from medtoken.audit import Clock, Event, Suite, decoded
from medtoken.watch import Kind
from support.recording import RecordingEvm, deployment_of
from support.world import DAY, FIXED, JAPAN, World

WEEK = 7


@dataclass
class Month:
    """What happened, and what of it a watcher should tell: kind and licence."""

    world: World
    events: list[Event]
    suite: Suite
    planted: dict[tuple[Kind, str], str]  # and in words
    licences: int
    uses: int

    def clock(self) -> Clock:
        """The time of its blocks."""
        return Clock(self.world.evm.times.__getitem__)  # type: ignore[attr-defined]


def month(seed: int, *, licences: int = 20, days: int = 30) -> Month:
    """A month; the same for the same seed."""
    rng = random.Random(seed)
    with patch("support.world.Evm", RecordingEvm):
        world = World().settle_in()
    buyers = [world.new_actor() for _ in range(licences)]
    refs, ids, means = [], [], []
    for buyer in buyers:
        world.admit(buyer)
        world.license(buyer)
        world.fund(buyer, 1_000 * 10**18)
        world.dut.approve(world.market.address, 2**256 - 1, sender=buyer)
        world.market.deposit(buyer, 1_000 * 10**18, sender=buyer)
        consent = world.granted()
        ref = world.buy(consent, sender=buyer, form=FIXED)
        refs.append(ref)
        ids.append("0x" + world.licence_id(ref).hex())
        means.append(10 ** rng.uniform(0.5, 2.3))  # 3 to 200 units on a weekday
    # Who does what besides: each licence at most one thing.
    chosen = rng.sample(range(licences), max(4, licences * 2 // 5))
    parts = [chosen[n::4] for n in range(4)]
    bursts, creeping, sanctioned, moved = (
        {n: rng.randrange(10, days - 2) for n in part} for part in parts
    )
    planted: dict[tuple[Kind, str], str] = {}
    uses = 0
    world.evm.warp(DAY - world.now % DAY)
    for day in range(days):
        for n, (ref, buyer) in enumerate(zip(refs, buyers, strict=True)):
            if sanctioned.get(n) == day:
                # Frozen; the licensee's use is refused, but what it undertook goes on: it is named again.
                world.dut.setFrozen(buyer, True, sender=world.people.sanctions)
                world.settle(ref)
                planted[Kind.SANCTION, ids[n]] = "sanctioned"
            if n in sanctioned and day >= sanctioned[n]:
                continue
            if moved.get(n) == day:
                world.license(buyer, region=JAPAN)
                world.use(ref, 1)
                planted[Kind.SCOPE, ids[n]] = "moved"
            units = _units(rng, means[n], day)
            if bursts.get(n) == day:
                units = 60 + int(means[n] * rng.uniform(10, 20))
                planted[Kind.VOLUME, ids[n]] = "burst"
            if n in creeping and day >= creeping[n]:
                # Slowly more, to three times: a copy that is taken bit by bit.
                units = int(units * min(3, 1 + (day - creeping[n]) / 4))
                planted[Kind.VOLUME, ids[n]] = "creeping"
            if units:
                world.use(ref, units)
                uses += 1
        world.evm.warp(DAY)
    record = deployment_of(
        {name: contract.address for name, contract in world.suite.items()}, world.people.deployer
    )
    suite = Suite.of(record)
    events = list(decoded(world.evm.raw, suite))  # type: ignore[attr-defined]
    return Month(world, events, suite, planted, licences, uses)


def _units(rng: random.Random, mean: float, day: int) -> int:
    """An honest day: less at weekends, none at times, sometimes twice as much."""
    level = mean * (0.25 if day % WEEK >= 5 else 1.0)
    if rng.random() < 0.1:
        return 0
    if rng.random() < 0.03:
        level *= 2
    return max(0, round(rng.gammavariate(4, level / 4)))

"""R5: whatever a custodian and a licensee do together, GT is what the rule gives for proven bytes.

A random life of two custodians, one of whom claims more than it has. Beside it runs a model that knows
only the rule; the chain must agree with it to the base unit, and every overclaim must be refused.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.evm import Reverted
from support.holdings import MONTH, TERABYTE, Shelf, sealed_bytes
from support.world import DAY, DUT, World

from medtoken.holding import Line

VERBS = ("commit", "wait", "challenge", "answer", "mark", "use", "fail")
ACTIONS = st.lists(st.tuples(st.sampled_from(VERBS), st.integers(0, 9)), min_size=5, max_size=40)


class Model:
    """What one custodian should have earned."""

    def __init__(self) -> None:
        self.size = self.begun = self.challenged = 0
        self.marked: int | None = None  # calls settled at the last mark of this period
        self.calls = self.earned = 0

    def commit(self, size: int, now: int) -> None:
        self.size, self.begun, self.challenged, self.calls = size, now, 0, 0
        self.marked = None

    def prove(self) -> int:
        bonus = 2_000 if self.calls >= 10_000 else 0
        seconds = min(self.challenged - self.begun, MONTH)
        reward = self.size * seconds * 100 * DUT * (10_000 + bonus)
        amount = reward // (TERABYTE * MONTH * 10_000)
        self.earned += amount
        self.begun, self.challenged, self.calls, self.marked = self.challenged, 0, 0, None
        return amount


class Life:
    """Two records that are stored, a line that is not, one licence, and what should come of it."""

    def __init__(self, world: World, seed: int) -> None:
        p = world.people
        self.world, self.model = world, Model()
        self.shelf = Shelf(world, p.custodian, p.attester)
        self.shelf.add(3_000 + seed)
        self.shelf.add(9_000)
        # A line of the custodian's making: nobody has witnessed it, and no bytes are behind it.
        self.ghost = Line(b"\x77" * 32, self.shelf.lines[0].record, 12_000)
        self.settled, self.honest = 0, True
        consent = world.granted(self.shelf.lines[0].record, floorPrice=0)
        desk = world.desk(300_000 * DUT)
        order = world.order(consent, units=100_000, end=world.now + 364 * DAY)
        world.market.issue_licence(p.licensee, order, consent.values(), [], DUT, sender=desk)
        self.end = order["end"]
        self.ref = {
            "consent": consent.struct_hash(),
            "record": order["record"],
            "licensee": str(p.licensee),
            "salt": 0,
        }

    @property
    def deadline(self) -> int:
        return self.model.challenged + DAY if self.model.challenged else 0

    def commit(self, n: int) -> None:
        """One in three claims more than it has."""
        honest = n % 3 != 0
        try:
            self.shelf.commit(self.shelf.lines if honest else [*self.shelf.lines, self.ghost])
        except Reverted as error:
            assert str(error) == "storage: a challenge is open"
            assert self.world.now <= self.deadline
            return
        self.honest = honest
        self.model.commit(self.shelf.word.size, self.world.now)

    def wait(self, n: int) -> None:
        self.world.evm.warp((n + 1) * DAY // 2)

    def challenge(self, n: int) -> None:
        model = self.model
        try:
            self.world.storage.challenge(self.shelf.number, sender=self.world.people.stranger)
        except Reverted:
            young = self.world.now < model.begun + 7 * DAY
            assert not model.size or model.challenged or young
            return
        model.challenged = self.world.now
        self.world.evm.warp(12)
        self.world.evm.warp(12)

    def answer(self, n: int) -> None:
        if not self.model.challenged:
            return
        if not self.honest:
            self.shelf.files[self.ghost.root] = sealed_bytes("ghost", self.ghost.size)
            forged = self.shelf.witness(self.ghost, self.world.people.custodian)
            self.shelf.signatures[self.ghost.root] = forged
            with pytest.raises(Reverted):
                self.shelf.answer()
        elif self.world.now > self.deadline:
            with pytest.raises(Reverted, match="not answered in time"):
                self.shelf.answer()
        else:
            assert self.shelf.answer() == self.model.prove()

    def use(self, n: int) -> None:
        if self.settled + 4_000 <= 100_000 and self.world.now < self.end:
            self.world.use(self.ref, 4_000)
            self.world.settle(self.ref)
            self.settled += 4_000

    def mark(self, n: int) -> None:
        model = self.model
        self.world.storage.mark_calls([self.ref])
        if model.size and not model.challenged:
            model.calls += self.settled - model.marked if model.marked is not None else 0
            model.marked = self.settled

    def fail(self, n: int) -> None:
        if self.model.challenged and self.world.now > self.deadline:
            self.world.storage.fail(self.shelf.number)
            self.model.commit(0, 0)


@pytest.mark.parametrize("seed", range(2))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=ACTIONS)
def test_no_life_earns_more_than_the_rule(world: World, seed: int, actions: list) -> None:
    with world.evm.anchor():
        life = Life(world, seed)
        for verb, n in actions:
            getattr(life, verb)(n)
            earned = world.gt.balanceOf(world.people.custodian)
            assert world.gt.totalSupply() == earned == life.model.earned

"""R13: scarcity follows supply and demand, at most a tenth a week, and what it takes to push it."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import pytest
from eth_utils import keccak
from hypothesis import given, settings
from hypothesis import strategies as st
from support.evm import Contract
from support.pricing import moved
from support.world import DUT, FIXED, KIND_FIELDS, YEAR, World, reverts, unpack

from medtoken import artifacts
from medtoken.messages import Consent

WEEK = 7 * 86_400
TWICE = "tariff: it moved this week"


def next_week(world: World) -> None:
    """Go to the first second of the next week."""
    world.evm.warp(WEEK - world.now % WEEK)


class Trade:
    """Sales of one record, bought and settled at once."""

    def __init__(self, world: World, consent: Consent | None = None, buyer: str | None = None):
        self.world = world
        self.consent = consent or world.granted()
        self.buyer = buyer or world.people.other_licensee
        self.salt = 0

    def settle(self, units: int) -> None:
        if units:
            self.salt += 1
            ref = self.world.buy(
                self.consent, units=units, salt=self.salt << 160, sender=self.buyer
            )
            self.world.use(ref, units)
            self.world.settle(ref)

    def weeks(self, *units: int) -> None:
        """Settle so much in one week after the other, and go to the week after the last."""
        for amount in units:
            next_week(self.world)
            self.settle(amount)
        next_week(self.world)

    def move(self) -> int:
        return int(self.world.tariff.move_scarcity(1, sender=self.world.people.stranger))

    def moved(self, *units: int) -> list[int]:
        """Settle so much in one week after the other, and move after each."""
        found = []
        for amount in units:
            self.settle(amount)
            next_week(self.world)
            found.append(self.move())
        return found

    def weekly(self, money: int) -> int:
        """The units that settle at least so much now."""
        price = int(self.world.quote(self.consent.records)["price"])
        return -(-money // price)


@pytest.fixture
def trade(world: World) -> Trade:
    next_week(world)
    return Trade(world)


# ---------------------------------------------------------------- the rule


@pytest.mark.parametrize(
    ("before", "last", "scarcity"),
    [
        (0, 0, 10_000),
        (40, 40, 10_000),
        (40, 50, 10_000),  # exactly 5/4
        (400, 501, 11_000),
        (40, 51, 11_000),
        (10, 1_000, 11_000),
        (50, 40, 10_000),  # exactly 4/5
        (500, 399, 9_000),
        (50, 39, 9_000),
        (50, 0, 9_000),
    ],
)
def test_a_week_against_the_level(
    trade: Trade, world: World, before: int, last: int, scarcity: int
) -> None:
    assert trade.moved(before) == [10_000]
    week = world.now // WEEK
    word = unpack(world.tariff.kind_word(1), KIND_FIELDS)
    assert trade.moved(last) == [scarcity]
    assert world.market.demand(1, week) == last * 50 * DUT
    assert world.evm.event("ScarcityChanged") == {
        "kind": 1,
        "previous": 10_000,
        "current": scarcity,
    }
    after = unpack(world.tariff.kind_word(1), KIND_FIELDS)
    assert after == word | {"scarcity": scarcity, "week": week + 1}
    assert world.quote(trade.consent.records)["price"] == 50 * DUT * scarcity // 10_000


def test_the_first_week_with_demand_only_sets_the_level(trade: Trade) -> None:
    assert trade.moved(0, 0, 100, 100, 130) == [10_000] * 4 + [11_000]


def test_the_level_moves_with_it_by_a_quarter_up_or_a_fifth_down(trade: Trade) -> None:
    """R13: however large the jump, a tenth a week; and it stands still once the level is there."""
    assert trade.moved(40, 1_000, 46, 42, 45)[1:] == [11_000] * 4  # the level is 50 old units now
    assert trade.moved(35, 33) == [9_900, 9_900]  # under 40, then at 36.3 of 40


def test_only_its_own_kind_moves(trade: Trade, world: World) -> None:
    trade.moved(10)
    trade.settle(20)
    next_week(world)
    for kind in (2, 3, 4, 8):
        assert world.tariff.move_scarcity(kind) == 10_000
    assert trade.move() == 11_000
    assert [world.scarcity(kind) for kind in (2, 3, 4, 8)] == [10_000] * 4


@pytest.mark.parametrize("kind", [0, 9, 2**256 - 1])
def test_an_unknown_kind_is_refused(world: World, kind: int) -> None:
    with reverts("tariff: unknown kind"):
        world.tariff.move_scarcity(kind)


def test_a_growing_supply_lowers_it(trade: Trade, world: World) -> None:
    assert trade.moved(10) == [10_000]
    world.record()  # now two records share what one had
    assert trade.moved(10) == [9_000]


def test_a_shrinking_supply_raises_it(trade: Trade, world: World) -> None:
    other = world.record()
    assert trade.moved(10) == [10_000]
    world.registry.destroy(other, b"\1" * 32, sender=world.people.custodian)
    assert trade.moved(10) == [11_000]


def test_a_supply_of_nothing_divides_nothing(trade: Trade, world: World) -> None:
    assert trade.moved(10) == [10_000]
    world.registry.destroy(trade.consent.records, b"\1" * 32, sender=world.people.custodian)
    assert trade.moved(0, 0) == [9_000, 8_100]


# ---------------------------------------------------------------- how often, how far


def test_it_cannot_move_twice_a_week(trade: Trade, world: World) -> None:
    assert trade.moved(10, 20) == [10_000, 11_000]
    for seconds in (0, 1, WEEK - 2):
        world.evm.warp(seconds)
        with reverts(TWICE):
            trade.move()
    world.evm.warp(1)
    assert trade.move() == 9_900


def _level(world: World) -> int:
    return world.evm.storage(*_at(world.tariff, "Tariff", "_levels", 1))


def test_it_never_leaves_a_half_to_ten_and_the_level_waits_there(
    trade: Trade, world: World
) -> None:
    world.as_timelock(world.tariff, "set_scarcity", 1, 95_000)
    trade.moved(10)
    assert trade.moved(20) == [100_000]
    level = _level(world)
    assert trade.moved(50) == [100_000]
    assert _level(world) == level
    world.as_timelock(world.tariff, "set_scarcity", 1, 5_100)
    assert _level(world) == 0
    trade.moved(100)
    assert trade.moved(0) == [5_000]
    level = _level(world)
    assert trade.moved(0) == [5_000]
    assert _level(world) == level > 0


def _at(contract: Contract, name: str, layout: str, *keys: int) -> tuple[str, int]:
    """Where a mapping keeps a value: ``module._variable`` in the artifact's storage layout."""
    found: Any = artifacts.load(name)["storageLayout"]
    for part in layout.split("."):
        found = found[part]
    slot = int(found["slot"])
    for key in keys:
        slot = int.from_bytes(keccak(slot.to_bytes(32) + key.to_bytes(32)))
    return contract.address, slot


_money = st.one_of(
    st.just(0),
    st.integers(1, 10**6).map(lambda n: n * DUT),
    st.integers(500 * DUT - 1, 500 * DUT + 1),  # ten units
    st.integers(0, 2**128),
    st.just(2**128),
)
_count = st.one_of(st.just(0), st.integers(0, 20), st.integers(0, 2**64))


def test_any_week_moves_as_the_model_says_and_by_a_tenth_at_most(world: World) -> None:
    """Also with more money and records than there can be: nothing overflows."""
    next_week(world)
    world.record()
    world.granted()
    week = world.now // WEEK

    @settings(max_examples=400)
    @given(
        scarcity=st.integers(5_000, 100_000),
        settled=_money,
        level=_money,
        near=st.one_of(st.none(), st.fractions(0, 2, max_denominator=20)),
        supply=_count,
    )
    def agrees(scarcity: int, settled: int, level: int, near: Any, supply: int) -> None:
        if near is not None:  # close to the limits, where a mistake would show
            settled = int(level * near * max(supply, 1)) % 2**129
        tariff, market, registry = world.tariff, world.market, world.registry
        levels = _at(tariff, "Tariff", "_levels", 1)
        with world.evm.anchor(), ExitStack() as stack:
            for (address, slot), value in (
                (_at(tariff, "Tariff", "_kinds", 1), 50 * DUT | scarcity << 96),
                (levels, level),
                (_at(registry, "RecordRegistry", "_supply", 1), supply),
                (_at(market, "DataMarket", "settlement._demand", 1, week - 1), settled),
            ):
                stack.enter_context(world.evm.stored(address, slot, value))
            result = tariff.move_scarcity(1)
            assert world.scarcity(1) == result
            after = world.evm.storage(*levels)
        expected = moved(scarcity, level=level, settled=settled, supply=supply, reference=50 * DUT)
        assert (result, after) == expected
        assert abs(result - scarcity) <= -(-scarcity // 10)
        assert 5_000 <= result <= 100_000

    agrees()


# ---------------------------------------------------------------- pushing it


def test_a_self_deal_in_the_same_block_moves_nothing(trade: Trade, world: World) -> None:
    """However much is bought and settled now: only completed weeks count."""
    trade.moved(10)
    trade.settle(10)
    next_week(world)
    trade.settle(1_000)
    assert trade.move() == 10_000
    trade.settle(1_000)
    with reverts(TWICE):
        trade.move()


def test_buying_for_a_refund_counts_for_nothing(trade: Trade, world: World) -> None:
    trade.moved(10)
    pump = world.granted()
    world.buy(pump, units=1_000)
    world.revoke(pump)
    assert trade.moved(20) == [10_000]  # two records now, each with ten


def test_what_it_costs_a_coalition_to_push_it_by_a_tenth(world: World) -> None:
    """A patient, a custodian, an annotator and a licensee together lose levy and platform part: 15 % of
    what they settle, which is over a quarter of the honest week; and the week after takes the tenth back.
    """
    people = world.people
    honest = Trade(world, world.granted(world.record(owner=str(world.people.patient))))
    coalition = Trade(world, world.granted(), buyer=people.licensee)
    members = (people.patient, people.custodian, people.annotator)

    def wealth() -> int:
        return world.deposit_of(people.licensee) + sum(world.earned(who) for who in members)

    honest.moved(40)
    honest.settle(40)
    before = wealth()
    with world.evm.anchor():
        coalition.settle(10)
        next_week(world)
        assert honest.move() == 10_000  # exactly a quarter is not enough
    coalition.settle(11)
    cost = before - wealth()
    assert cost == 11 * 50 * DUT * 15 // 100
    next_week(world)
    assert honest.move() == 11_000
    # The price is a tenth higher now, and as much money is settled as before the push: 39 of 50.
    honest.settle(36)
    next_week(world)
    assert honest.move() == 9_900


def test_each_tenth_costs_a_quarter_more_than_the_last(trade: Trade, world: World) -> None:
    """R13: ten times the price takes 25 weeks, of which the last settles 211 times what the first did."""
    trade.moved(10)
    level, scarcity, costs = 500 * DUT, 10_000, []
    for tenth in range(1, 6):
        need = level * 5 // 4
        with world.evm.anchor():
            assert trade.moved(trade.weekly(need + 1) - 1) == [scarcity]
        units = trade.weekly(need + 1)
        (scarcity,) = trade.moved(units)
        assert scarcity > 10_000 * 1.0999**tenth
        costs.append(need)
        level = need
    assert all(later >= 1.249 * one for one, later in pairwise(costs))
    weeks, top = 0, 10_000
    while top < 100_000:
        top, weeks = top * 11 // 10, weeks + 1
    assert (weeks, int(1.25**24)) == (25, 211)


def test_strong_and_weak_weeks_in_turn_gain_nothing(trade: Trade, world: World) -> None:
    """R13: a weak week of just over 4/5 costs no tenth, but then the next strong one wins none."""
    trade.moved(40)
    (top,) = trade.moved(51)
    for _ in range(6):
        weak = trade.moved(trade.weekly(40 * 50 * DUT))
        strong = trade.moved(trade.weekly(51 * 50 * DUT))
        assert (weak, strong) == ([top], [top])


def test_dust_does_not_move_a_kind_that_nobody_asks_for(world: World) -> None:
    """Each week a year's licence that is revoked after a few seconds: all but its first seconds returns."""
    next_week(world)
    record = world.record()
    deposit = world.deposit_of(world.people.licensee)
    for seconds in (1, 2, 4, 8):
        consent = world.granted(record, expiry=world.now + 2 * YEAR)
        ref = world.buy(consent, form=FIXED, end=world.now + YEAR)
        world.evm.warp(seconds)
        world.revoke(consent)
        world.settle(ref)
        next_week(world)
        world.tariff.move_scarcity(1)
    assert deposit - world.deposit_of(world.people.licensee) < DUT // 10_000
    assert world.scarcity(1) == 10_000


@pytest.mark.parametrize(
    ("before", "last", "scarcity"),
    [
        (0, 9, 10_000),
        (0, 10, 10_000),
        (9, 10, 10_000),
        (10, 9, 9_000),
        (100, 9, 9_000),
        (10, 13, 11_000),
    ],
)
def test_a_week_of_less_than_ten_units_is_one_without_demand(
    trade: Trade, before: int, last: int, scarcity: int
) -> None:
    """R13: so a push begins at what ten units cost, whatever nobody asked for before."""
    assert trade.moved(before, last)[1] == scarcity


def test_holding_settlements_back_raises_nothing(trade: Trade, world: World) -> None:
    """Ten units are used every week; the seller settles every second week and calls only then."""
    for _ in range(4):
        trade.weeks(0, 20)
        trade.move()
    assert world.scarcity(1) == 10_000


def test_who_calls_in_the_weeks_between_lowers_it(trade: Trade, world: World) -> None:
    for _ in range(4):
        trade.moved(20, 0)
    assert world.scarcity(1) < 10_000


def test_governance_sets_it_and_the_level_begins_anew(trade: Trade, world: World) -> None:
    trade.moved(10, 20)
    world.as_timelock(world.tariff, "set_scarcity", 1, 20_000)
    assert trade.moved(100, 100, 50) == [20_000, 20_000, 18_000]

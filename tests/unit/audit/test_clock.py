"""The clock asks for a block's time only when what it knows does not tell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtoken.audit import Clock


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=20),
    st.lists(st.tuples(st.integers(0, 19), st.integers(0, 60)), max_size=30),
)
def test_it_is_never_wrong(steps: list[int], questions: list[tuple[int, int]]) -> None:
    times = [sum(steps[: i + 1]) for i in range(len(steps))]
    clock = Clock(times.__getitem__)
    for number, moment in questions:
        block = number % len(times)
        assert clock.before(block, moment) is (times[block] < moment)
        assert clock.period(block, 3) == times[block] // 3


@pytest.fixture
def asked() -> list[int]:
    return []


def test_it_asks_once(asked: list[int]) -> None:
    clock = Clock(lambda n: asked.append(n) or n * 10)
    assert (clock.at(3), clock.at(3)) == (30, 30)
    assert asked == [3]


def test_neighbours_tell(asked: list[int]) -> None:
    clock = Clock(lambda n: asked.append(n) or n * 10)
    clock.learn(100, 1000)
    clock.learn(10, 100)
    assert clock.before(50, 1001)  # the head is before it, so everything is
    assert not clock.before(50, 100)  # block 10 was there already
    assert asked == []
    assert clock.before(50, 501)
    assert asked == [50]


def test_a_period_is_known_from_its_neighbours(asked: list[int]) -> None:
    clock = Clock(lambda n: asked.append(n) or n * 10)
    clock.learn(10, 100)
    clock.learn(19, 190)
    assert clock.period(15, 100) == 1
    assert asked == []
    clock.learn(20, 200)
    assert clock.period(20, 100) == 2
    clock.learn(30, 310)
    assert clock.period(25, 100) == 2
    assert asked == [25]

"""R31: a licence is compared with itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from medtoken.watch.volume import DAY, Volume, VolumeRule

RULE = VolumeRule()


def days(*units: int) -> list[int]:
    """The days that were unusual, counted from the purchase."""
    volume = Volume.of(RULE, 0)
    return [day for day, n in enumerate(units) if n and volume.used(n, day * DAY)]


def test_a_day_several_times_the_level_is_unusual() -> None:
    steady = [40] * 10
    assert days(*steady, 159) == []
    assert days(*steady, 160) == [10]


def test_little_is_never_unusual() -> None:
    assert days(*[1] * 10, RULE.least - 1) == []
    assert days(*[1] * 10, RULE.least) == [10]


def test_days_without_use_count() -> None:
    assert days(*[100, 0] * 15, 399) == []
    assert days(100, *[0] * 20, 60) == [21]


def test_a_licence_without_a_level_is_unusual_by_size_alone() -> None:
    assert days(0, 0, 0, RULE.at_first - 1) == []
    assert days(0, 0, 0, RULE.at_first) == [3]


def test_what_grows_slowly_is_found_by_the_week() -> None:
    growing = [100] * 14 + [100 + 40 * n for n in range(1, 9)]
    found = days(*growing)
    assert len(found) == 1
    assert found[0] > 14
    assert days(*[100] * 30) == []


def test_a_day_is_told_once() -> None:
    volume = Volume.of(RULE, 0)
    for day in range(10):
        volume.used(10, day * DAY)
    told = [volume.used(30, 10 * DAY) for _ in range(5)]
    assert [t is not None for t in told] == [False, True, False, False, False]


def test_a_voucher_is_spread_over_the_days_that_it_is_of() -> None:
    volume = Volume.of(RULE, 0)
    for day in range(10):
        volume.used(20, day * DAY)
    assert volume.acknowledged(7 * 20, 17 * DAY) is None
    assert volume.acknowledged(7 * 20, 17 * DAY + 1) is not None  # all of one day


@given(
    st.lists(st.tuples(st.integers(0, 3 * DAY), st.integers(0, 10**6), st.booleans()), max_size=40)
)
def test_no_unit_is_lost(uses: list[tuple[int, int, bool]]) -> None:
    volume, now = Volume.of(VolumeRule(memory=10**6), 0), 0
    for later, units, voucher in uses:
        now += later
        (volume.acknowledged if voucher else volume.used)(units, now)
    assert sum(volume.before) + volume.units == sum(units for _, units, _ in uses)
    assert volume.day <= now // DAY
    assert len(volume.before) <= now // DAY

"""R15: what licences have earned and nobody has settled yet is exactly what settling then credits."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.world import DAY, DUT, FIXED, METERED, RENTAL, World


def _settled(world: World, *refs: dict[str, Any]) -> int:
    world.settle(*refs)
    return sum(log.args["gross"] for log in world.evm.logs if log.event == "LicenceSettled")


def test_nothing_and_what_nobody_bought_have_earned_nothing(world: World) -> None:
    assert world.view.earned_now([]) == 0
    ref = world.buy(world.granted())
    assert world.view.earned_now([ref, ref | {"salt": 1}]) == 0


def test_used_units_and_passed_time_add_up(world: World) -> None:
    metered = world.buy(world.granted(), units=10)
    term = world.buy(world.granted(), form=FIXED, end=world.now + 1000)
    rental = world.buy(world.granted(), form=RENTAL, end=world.now + 1000)
    world.use(metered, 3)
    world.evm.warp(500)
    owed = world.view.earned_now([metered, term, rental])
    assert owed == 150 * DUT + 25 * DUT + 15 * DUT // 2
    assert _settled(world, metered, term, rental) == owed
    assert world.view.earned_now([metered, term, rental]) == 0


def test_after_an_end_or_a_revocation_it_grows_no_more(world: World) -> None:
    consent = world.granted()
    revoked = world.buy(consent, form=FIXED, end=world.now + 1000)
    ended = world.buy(world.granted(), form=FIXED, end=world.now + 600)
    world.evm.warp(400)
    world.revoke(consent)
    world.evm.warp(10 * DAY)
    assert world.view.earned_now([revoked]) == 20 * DUT
    assert world.view.earned_now([ended]) == 50 * DUT
    assert _settled(world, revoked, ended) == 70 * DUT
    assert world.view.earned_now([revoked, ended]) == 0


def test_vouchers_count_once_they_are_redeemed(world: World) -> None:
    ref = world.buy(world.granted(), salt=world.keyed())
    voucher = world.voucher(ref, 4)
    assert world.view.earned_now([ref]) == 0
    world.redeem(voucher)
    assert world.view.earned_now([ref]) == 200 * DUT


def test_a_hundred_can_be_asked_at_once(world: World) -> None:
    consent = world.granted()
    refs = [world.buy(consent, units=1, salt=number << 160) for number in range(100)]
    for ref in refs:
        world.use(ref)
    assert world.view.earned_now(refs) == 5_000 * DUT


def test_whatever_happens_it_is_what_settling_credits(world: World) -> None:
    record = world.record()

    @settings(max_examples=100)
    @given(
        form=st.sampled_from([FIXED, METERED, RENTAL]),
        length=st.integers(1, 90 * DAY),
        steps=st.lists(
            st.tuples(st.integers(0, 30 * DAY), st.sampled_from(["use", "settle", "revoke", ""])),
            max_size=5,
        ),
    )
    def agrees(form: int, length: int, steps: list[tuple[int, str]]) -> None:
        with world.evm.anchor():
            consent = world.granted(record)
            ref = world.buy(consent, form=form, end=world.now + length)
            live = True
            for seconds, step in steps:
                world.evm.warp(seconds)
                if step == "use" and world.view.is_valid(ref, 1):
                    world.use(ref)
                elif step == "revoke" and live:
                    world.revoke(consent)
                    live = False
                elif step == "settle":
                    assert world.view.earned_now([ref]) == _settled(world, ref)
            assert world.view.earned_now([ref]) == _settled(world, ref)
            assert world.view.earned_now([ref]) == 0

    agrees()

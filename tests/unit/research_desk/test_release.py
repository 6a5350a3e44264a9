"""R4: the budget pays for what a licence has earned; the rest goes back, and never to the licensee."""

from __future__ import annotations

import pytest
from support.research import Research
from support.world import DAY, DUT, FIXED, METERED, reverts

from medtoken.chain.words import GRAIN, SupportWord

PRICE, LEVY, HELP = 500 * DUT, 25 * DUT, 75 * DUT


@pytest.fixture
def rich(lab: Research) -> Research:
    """The licensee holds 1,000 RT."""
    lab.reward()
    return lab


def test_what_was_earned_is_released_call_by_call(rich: Research) -> None:
    lab, licensee = rich, rich.people.licensee
    before = lab.deposit_of(licensee)
    ref = lab.buy_with(lab.granted(), HELP)
    lab.use(ref, 3)
    lab.settle(ref)
    lab.release(ref)
    assert lab.evm.event("SupportReleased") == {
        "licence": lab.licence_id(ref),
        "licensee": str(licensee),
        "amount": HELP * 3 // 10,
        "returned": 0,
    }
    assert lab.deposit_of(licensee) == before - PRICE - LEVY + HELP * 3 // 10
    assert lab.deposit_of(lab.research.address) == HELP * 7 // 10
    lab.use(ref, 7)
    lab.settle(ref)
    lab.release(ref)
    assert lab.deposit_of(licensee) == before - PRICE - LEVY + HELP
    assert lab.deposit_of(lab.research.address) == 0
    assert lab.support(ref) == SupportWord(HELP // GRAIN, HELP // GRAIN, 10)


def test_a_term_releases_by_the_second(rich: Research) -> None:
    lab, licensee = rich, rich.people.licensee
    help_ = 7 * DUT + GRAIN  # 15 % of 50 is 7.5
    before = lab.deposit_of(licensee)
    ref = lab.buy_with(lab.granted(), help_, form=FIXED, end=lab.now + 90 * DAY)
    paid = before - lab.deposit_of(licensee)
    released = 0
    for seconds in (1, 12_345, 30 * DAY + 7):
        lab.evm.warp(seconds)
        lab.settle(ref)
        lab.release(ref)
        word = lab.support(ref)
        assert word.released == word.earned(lab.sold(ref)) > released
        released = word.released
    lab.evm.warp(90 * DAY)
    lab.settle(ref)
    lab.release(ref)
    assert lab.support(ref) == SupportWord(help_ // GRAIN, help_ // GRAIN, done=True)
    assert lab.deposit_of(licensee) == before - paid + help_


@pytest.mark.parametrize("used", [0, 1, 9])
def test_a_revocation_gives_each_its_own_back(rich: Research, used: int) -> None:
    """The licensee what it had paid and nobody earned; the reserve the rest of its help; RT likewise."""
    lab, licensee, consent = rich, rich.people.licensee, rich.granted()
    deposit, held = lab.deposit_of(licensee), lab.rt.balanceOf(licensee)
    reserve, available = lab.reserve_left(), lab.available()
    ref = lab.buy_with(consent, HELP)
    if used:
        lab.use(ref, used)
    lab.revoke(consent)
    lab.evm.warp(3 * DAY + 1)
    lab.settle(ref)
    levied = lab.reserve_left() - (reserve - HELP)
    lab.release(ref)
    kept = HELP * used // 10
    assert lab.evm.event("SupportReleased")["returned"] == HELP - kept
    assert lab.deposit_of(licensee) == deposit - (PRICE + LEVY) * used // 10 + kept
    assert lab.rt.balanceOf(licensee) == held - kept
    assert lab.reserve_left() == reserve + levied - kept
    assert lab.available() == available + levied - kept
    assert lab.deposit_of(lab.research.address) == lab.dut.balanceOf(lab.research.address) == 0
    with reverts("research: its support is done"):
        lab.release(ref)


def test_the_help_for_a_revoked_licence_is_never_the_licensees(rich: Research) -> None:
    """Bought and revoked at once: nobody has a base unit more or less than before."""
    lab, licensee, consent = rich, rich.people.licensee, rich.granted()
    everybody = [licensee, lab.people.patient, lab.people.custodian, lab.people.platform]
    before = [(lab.deposit_of(who), lab.earned(who), lab.rt.balanceOf(who)) for who in everybody]
    reserve = lab.treasury.books()
    ref = lab.buy_with(consent, HELP)
    lab.revoke(consent)
    lab.evm.warp(3 * DAY + 1)
    lab.settle(ref)
    # Before it is released, the licensee can take out what it had paid itself and no more.
    with reverts("account: deposit is too small"):
        lab.market.reclaim(lab.deposit_of(licensee) + 1, sender=licensee)
    lab.release(ref)
    assert before == [
        (lab.deposit_of(who), lab.earned(who), lab.rt.balanceOf(who)) for who in everybody
    ]
    assert lab.treasury.books() == reserve


def test_calls_that_nobody_made_go_back_at_the_end(rich: Research) -> None:
    lab, reserve = rich, rich.reserve_left()
    ref = lab.buy_with(lab.granted(), HELP)
    lab.evm.warp(94 * DAY)
    lab.settle(ref)
    lab.release(ref)
    assert lab.reserve_left() == reserve
    assert lab.support(ref) == SupportWord(HELP // GRAIN, 0, 10, done=True)


def test_what_comes_back_in_a_later_period_is_no_more_than_its_limit(rich: Research) -> None:
    lab = rich
    lab.budget(HELP)
    ref = lab.buy_with(lab.granted(), HELP)
    assert lab.available() == 0
    lab.evm.warp(94 * DAY)
    assert lab.available() == HELP
    lab.settle(ref)
    lab.release(ref)
    assert lab.available() == HELP


def test_what_comes_back_after_the_budget_is_the_reserves(rich: Research) -> None:
    lab = rich
    ref = lab.buy_with(lab.granted(), HELP)
    lab.as_timelock(lab.treasury, "approve_budget", lab.research.address, 0, 0, 0)
    reserve = lab.reserve_left()
    lab.evm.warp(94 * DAY)
    lab.settle(ref)
    lab.release(ref)
    assert lab.reserve_left() == reserve + HELP
    assert lab.available() == 0


def test_topped_up_calls_are_not_helped(rich: Research) -> None:
    lab, licensee = rich, rich.people.licensee
    ref = lab.buy_with(lab.granted(), HELP)
    lab.market.top_up(ref, 10, sender=licensee)
    lab.use(ref, 20)
    lab.settle(ref)
    lab.release(ref)
    assert lab.support(ref).released == HELP // GRAIN
    with reverts("research: nothing was settled"):
        lab.release(ref)


def test_an_uneven_help_leaves_no_dust(rich: Research) -> None:
    """Seven calls, help that seven does not divide: parts are floored from the start, and add up."""
    lab, consent = rich, rich.granted()
    ref = lab.buy_with(consent, 10 * GRAIN, units=7)
    released = []
    for _ in range(7):
        lab.use(ref)
        lab.settle(ref)
        lab.release(ref)
        released.append(lab.support(ref).released)
    assert released == [10 * n // 7 for n in range(1, 8)]
    assert lab.deposit_of(lab.research.address) == 0


def test_nothing_is_released_before_the_market_settled(rich: Research) -> None:
    lab = rich
    ref = lab.buy_with(lab.granted(), HELP)
    lab.use(ref, 3)
    with reverts("research: nothing was settled"):
        lab.release(ref)
    lab.revoke(lab.granted())
    lab.settle(ref)
    lab.release(ref)
    with reverts("research: nothing was settled"):
        lab.release(ref)


def test_a_licence_without_help_has_none_to_release(rich: Research) -> None:
    ref = rich.buy(rich.granted())
    with reverts("research: no support for it"):
        rich.release(ref)
    with reverts("research: no support for it"):
        rich.release(ref | {"salt": 99})


def test_neither_a_pause_nor_a_freeze_keeps_it(rich: Research) -> None:
    lab, people, consent = rich, rich.people, rich.granted()
    ref = lab.buy_with(consent, HELP)
    lab.use(ref, 4)
    lab.revoke(consent)
    lab.evm.warp(3 * DAY + 1)
    lab.pause()
    lab.dut.setFrozen(people.licensee, True, sender=people.sanctions)
    lab.settle(ref)
    before = lab.deposit_of(people.licensee)
    lab.release(ref)
    assert lab.deposit_of(people.licensee) == before + HELP * 4 // 10
    assert lab.deposit_of(lab.research.address) == 0


def test_two_licences_are_kept_apart(rich: Research) -> None:
    lab, consent, other = rich, rich.granted(), rich.granted()
    first, second = lab.buy_with(consent, HELP), lab.buy_with(other, HELP)
    lab.revoke(consent)
    lab.evm.warp(3 * DAY + 1)
    lab.settle(first)
    lab.release(first)
    assert lab.deposit_of(lab.research.address) == HELP
    lab.use(second, 10)
    lab.settle(second)
    lab.release(second)
    assert lab.deposit_of(lab.research.address) == 0
    assert lab.sold(second).form == METERED

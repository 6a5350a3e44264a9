"""R23: a premium is a policy of its own: 40 times as much, for what happens within a term from now on."""

from __future__ import annotations

import pytest
from support.world import DAY, DUT, YEAR, World, reverts

from medtoken.chain.words import PolicyWord

HUGE = 2**255


@pytest.fixture
def world(world: World) -> World:
    p = world.people
    world.fund(p.custodian, 1_000 * DUT)
    for who in (p.custodian, p.annotator, p.licensee):
        world.dut.approve(world.cover.address, HUGE, sender=who)
    return world


def test_a_premium_is_covered_forty_times_without_a_levy(world: World) -> None:
    p, cover = world.people, world.cover
    levies, held = world.treasury.books()[0], world.dut.balanceOf(p.custodian)
    assert cover.pay_premium(10 * DUT, sender=p.custodian) == 1
    told = world.evm.event("PremiumPaid")
    assert told == {
        "policy": 1,
        "custodian": world.number(p.custodian),
        "payer": p.custodian,
        "premium": 10 * DUT,
        "cover": 400 * DUT,
        "until": world.now + YEAR,
        "pool": 10 * DUT,
    }
    word = PolicyWord.unpack(cover.policy_word(1))
    assert word == PolicyWord(world.number(p.custodian), world.now, world.now + YEAR, 10 * DUT)
    assert cover.pay_premium(3, sender=p.custodian) == 2
    assert cover.books() == (2, 10 * DUT + 3) == (2, world.dut.balanceOf(cover.address))
    assert world.dut.balanceOf(p.custodian) == held - 10 * DUT - 3
    assert world.treasury.books()[0] == levies


def test_only_an_accredited_custodian_is_covered(world: World) -> None:
    p, cover = world.people, world.cover
    for who in (p.annotator, p.licensee, p.stranger):
        with reverts("cover: the caller is no custodian"):
            cover.pay_premium(DUT, sender=who)
    world.accredit(p.custodian, 2)
    with reverts("cover: the caller is no custodian"):
        cover.pay_premium(DUT, sender=p.custodian)


@pytest.mark.parametrize("amount", [0, 2**128, 2**256 - 1])
def test_a_premium_of_nothing_or_of_more_than_there_can_be(world: World, amount: int) -> None:
    with reverts("cover: amount out of range"):
        world.cover.pay_premium(amount, sender=world.people.custodian)


def test_more_than_the_custodian_has(world: World) -> None:
    p, cover = world.people, world.cover
    held = world.dut.balanceOf(p.custodian)
    with reverts(f"ERC20InsufficientBalance({p.custodian}, {held}, {held + 1})"):
        cover.pay_premium(held + 1, sender=p.custodian)
    assert cover.books() == (0, 0)


def test_the_term_and_the_pause_are_governed(world: World) -> None:
    p, cover = world.people, world.cover
    assert cover.terms() == (YEAR, False)
    cover.pay_premium(DUT, sender=p.custodian)
    before = cover.policy_word(1)
    world.as_timelock(cover, "set_term", 30 * DAY)
    assert world.evm.event("ParameterChanged")["previous"] == YEAR
    assert cover.policy_word(1) == before
    cover.pay_premium(DUT, sender=p.custodian)
    assert world.evm.event("PremiumPaid")["until"] == world.now + 30 * DAY
    for term in (0, 30 * DAY - 1, 366 * DAY + 1, 2**256 - 1):
        with reverts("cover: the term is out of bounds"):
            world.as_timelock(cover, "set_term", term)
    cover.pause(sender=p.guardian)
    assert world.evm.event("PauseChanged") == {"paused": True}
    with reverts("cover: paused"):
        cover.pay_premium(DUT, sender=p.custodian)
    with reverts("access: caller may not do this"):
        cover.unpause(sender=p.guardian)
    world.as_timelock(cover, "unpause")
    cover.pay_premium(DUT, sender=p.custodian)
    for function, args in (("set_term", (YEAR,)), ("pause", ()), ("unpause", ())):
        with reverts("access: caller may not do this"):
            getattr(cover, function)(*args, sender=p.stranger)


def test_it_is_made_once_and_whole(world: World) -> None:
    deployer, manager = world.people.deployer, world.manager.address
    usage, registry, zero = world.dut.address, world.registry.address, "0x" + "00" * 20
    with reverts("initializer: done before"):
        world.cover.initialize(YEAR, sender=deployer)
    with reverts("cover: no registry is named"):
        world.evm.deploy("BreachCover", deployer, manager, usage, zero, sender=deployer)
    with reverts("payouts: no usage token is named"):
        world.evm.deploy("BreachCover", deployer, manager, zero, registry, sender=deployer)
    assert world.cover.authority() == manager

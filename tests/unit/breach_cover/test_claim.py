"""R23: a claim pays what the council grants, up to what cover and pool have left; nobody else decides."""

from __future__ import annotations

from typing import Any

import pytest
from support.world import DAY, DUT, YEAR, World, reverts

from medtoken.chain.protection import BreachClaim
from medtoken.chain.words import EarningsWord
from medtoken.messages import Domain, Withdrawal


@pytest.fixture
def world(world: World) -> World:
    p = world.people
    world.admit(p.other_custodian)
    for who in (p.custodian, p.other_custodian):
        world.fund(who, 1_000 * DUT)
        world.dut.approve(world.cover.address, 2**255, sender=who)
    return world


def made(world: World, policy: int, amount: int, who: str | None = None) -> dict[str, Any]:
    claim = world.breach(policy, amount)
    world.cover.make_claim(claim, sender=who or world.people.custodian)
    return claim


def decide(world: World, claim: dict[str, Any], granted: int) -> dict[str, Any]:
    world.cover.decide_claim(claim, granted, world.fresh("finding"), sender=world.people.council)
    return dict(world.evm.event("ClaimDecided"))


def credit(world: World, who: str) -> int:
    return EarningsWord.unpack(world.cover.balance_word(who)).earned


def test_what_is_granted_is_credited_and_pulled(world: World) -> None:
    p, cover = world.people, world.cover
    policy = cover.pay_premium(100 * DUT, sender=p.custodian)
    claim = made(world, policy, 60 * DUT)
    named = BreachClaim(**claim).id
    assert world.evm.event("ClaimMade") == {"claim": named, "policy": policy, "given": claim}
    assert cover.claim_state(named) == 1
    told = decide(world, claim, 50 * DUT)
    told.pop("reason")
    assert told == {
        "claim": named,
        "policy": policy,
        "account": p.custodian,
        "granted": 50 * DUT,
        "paid": 50 * DUT,
        "pool": 50 * DUT,
    }
    assert cover.claim_state(named) == 2
    assert credit(world, p.custodian) == cover.paid_of(policy) == 50 * DUT
    assert world.dut.balanceOf(cover.address) == 100 * DUT
    message = Withdrawal(str(p.custodian), str(p.custodian), 50 * DUT, 0, world.now + 60)
    signature = message.sign(p.custodian.key, Domain(world.domain.chain_id, cover.address))
    args = (message.account, message.to, message.amount, message.deadline)
    with reverts("signature: not by its owner"):
        cover.withdraw(*args, b"", sender=p.stranger)
    cover.pause(sender=p.guardian)
    cover.withdraw(*args, signature, sender=p.relay)
    assert world.evm.event("Withdrawn")["amount"] == 50 * DUT
    assert world.dut.balanceOf(p.custodian) == 950 * DUT
    with reverts("payout: more than was credited"):
        cover.withdraw(*args, signature, sender=p.relay)


def test_the_cover_is_forty_premiums_in_all(world: World) -> None:
    p, cover = world.people, world.cover
    cover.pay_premium(900 * DUT, sender=p.other_custodian)
    policy = cover.pay_premium(DUT, sender=p.custodian)
    assert decide(world, made(world, policy, 39 * DUT), 39 * DUT)["paid"] == 39 * DUT
    assert decide(world, made(world, policy, 5 * DUT), 5 * DUT)["paid"] == DUT
    assert decide(world, made(world, policy, 5 * DUT), 5 * DUT)["paid"] == 0
    assert cover.paid_of(policy) == 40 * DUT
    assert cover.books() == (2, 861 * DUT)


def test_the_pool_pays_what_it_has_and_owes_no_more(world: World) -> None:
    p, cover = world.people, world.cover
    first = cover.pay_premium(10 * DUT, sender=p.custodian)
    second = cover.pay_premium(10 * DUT, sender=p.other_custodian)
    claims = made(world, first, 15 * DUT), made(world, second, 15 * DUT, p.other_custodian)
    assert [decide(world, claim, 15 * DUT)["paid"] for claim in claims] == [15 * DUT, 5 * DUT]
    cover.pay_premium(100 * DUT, sender=p.custodian)
    assert (credit(world, p.custodian), credit(world, p.other_custodian)) == (15 * DUT, 5 * DUT)
    assert world.dut.balanceOf(cover.address) == 120 * DUT == cover.books()[1] + 20 * DUT


def test_where_duties_of_care_were_not_met_nothing_is_paid(world: World) -> None:
    p, cover = world.people, world.cover
    policy = cover.pay_premium(10 * DUT, sender=p.custodian)
    claim = made(world, policy, DUT)
    assert decide(world, claim, 0)["paid"] == 0
    with reverts("cover: no such claim is open"):
        decide(world, claim, DUT)
    with reverts("cover: it was claimed before"):
        cover.make_claim(claim, sender=p.custodian)


def test_only_a_breach_in_the_policys_term_can_be_claimed(world: World) -> None:
    p, cover = world.people, world.cover
    policy = cover.pay_premium(DUT, sender=p.custodian)
    since = world.now
    for occurred in (0, since - 1, since + 1, 2**256 - 1):
        with reverts("cover: not in the policy's term"):
            claim = world.breach(policy, 1, occurred=occurred)
            cover.make_claim(claim, sender=p.custodian)
    world.evm.warp(2 * YEAR)
    with reverts("cover: not in the policy's term"):
        cover.make_claim(world.breach(policy, 1, occurred=since + YEAR), sender=p.custodian)
    # Long after, one that happened in its last second; and by a custodian that is none any more.
    world.accredit(p.custodian, 0)
    claim = world.breach(policy, 1, occurred=since + YEAR - 1)
    cover.make_claim(claim, sender=p.custodian)
    assert decide(world, claim, 1)["paid"] == 1


def test_a_claim_of_anothers_of_nothing_or_without_evidence(world: World) -> None:
    p, cover = world.people, world.cover
    policy = cover.pay_premium(DUT, sender=p.custodian)
    for who in (p.other_custodian, p.stranger):
        with reverts("cover: not the caller's policy"):
            cover.make_claim(world.breach(policy, 1), sender=who)
    for unknown in (0, 2):
        with reverts("cover: not the caller's policy"):
            cover.make_claim(world.breach(unknown, 1), sender=p.stranger)
    with reverts("cover: no damage is claimed"):
        cover.make_claim(world.breach(policy, 0), sender=p.custodian)
    with reverts("cover: no evidence is named"):
        cover.make_claim(world.breach(policy, 1, evidence=bytes(32)), sender=p.custodian)


def test_only_the_council_decides_and_not_its_own_case(world: World) -> None:
    p, cover = world.people, world.cover
    policy = cover.pay_premium(DUT, sender=p.custodian)
    claim, reason = made(world, policy, DUT), world.fresh("finding")
    for who in (p.stranger, p.custodian, p.guardian, p.operator, p.arbitrator):
        with reverts("access: caller may not do this"):
            cover.decide_claim(claim, DUT, reason, sender=who)
    with reverts("cover: more than was claimed"):
        cover.decide_claim(claim, DUT + 1, reason, sender=p.council)
    with reverts("cover: no reason is named"):
        cover.decide_claim(claim, DUT, bytes(32), sender=p.council)
    with reverts("cover: no such claim is open"):
        cover.decide_claim(claim | {"amount": 2 * DUT}, DUT, reason, sender=p.council)
    world.as_timelock(world.manager, "grantRole", 15, p.custodian, 0)
    with reverts("cover: nobody judges their own case"):
        cover.decide_claim(claim, DUT, reason, sender=p.custodian)


def test_an_institution_that_moved_is_paid_where_it_is(world: World) -> None:
    p, cover = world.people, world.cover
    policy = cover.pay_premium(DUT, sender=p.custodian)
    claim = made(world, policy, DUT)
    world.registry.move(world.number(p.custodian), p.stranger, sender=p.accreditation)
    assert decide(world, claim, DUT)["account"] == p.stranger
    args = (p.stranger, p.stranger, DUT, world.now, b"")
    cover.withdraw(*args, sender=p.stranger)
    assert world.dut.balanceOf(p.stranger) == DUT


def test_a_frozen_custodian_is_paid_when_it_is_free_again(world: World) -> None:
    p, cover = world.people, world.cover
    policy = cover.pay_premium(DUT, sender=p.custodian)
    decide(world, made(world, policy, DUT), DUT)
    world.dut.setFrozen(p.custodian, True, sender=p.sanctions)
    args = (p.custodian, p.other_custodian, DUT, world.now + DAY, b"")
    with reverts("payout: it is frozen"):
        cover.withdraw(*args, sender=p.custodian)
    world.dut.setFrozen(p.custodian, False, sender=p.sanctions)
    cover.withdraw(*args, sender=p.custodian)

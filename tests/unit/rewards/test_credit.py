"""R25: every point comes from something that the chain holds, or from a role that is named."""

from __future__ import annotations

import pytest
from support.rewards import MONTH, Stage
from support.world import DUT, FIXED, NONE, ZERO, reverts

SELF = "rewards: nobody counts with itself"
TWICE = "rewards: counted before"


def test_a_record_counts_for_patient_and_custodian(stage: Stage) -> None:
    """Ten points, and one for every ten of Q: completeness 80 and annotation 90 are Q 85."""
    custodian, tag = stage.record()
    record = stage.world.registry.record_id(custodian, tag)
    stage.rewards.count_record(custodian, tag, sender=stage.people.stranger)
    patient, month = stage.people.patient, stage.month
    told = [e.args for e in stage.world.evm.logs if e.event == "PointsEarned"]
    assert told == [
        {
            "account": patient,
            "source": 1,
            "subject": record,
            "points": 18,
            "month": month,
            "institution": False,
        },
        {
            "account": stage.people.custodian,
            "source": 1,
            "subject": record,
            "points": 18,
            "month": month,
            "institution": True,
        },
    ]
    assert stage.rewards.account_word(patient) == 18 | 1 << 64 | month << 96 | 1 << 128
    assert stage.rewards.points(0, month, patient) == 18
    assert stage.rewards.points(1, month // 12, patient) == 18
    assert stage.rewards.points(2, month, patient) == 0
    assert stage.rewards.points(2, month, stage.people.custodian) == 18
    assert stage.rewards.points(3, month // 12, stage.people.custodian) == 18


def test_a_record_counts_once(stage: Stage) -> None:
    custodian, tag = stage.record()
    stage.rewards.count_record(custodian, tag)
    with reverts(TWICE):
        stage.rewards.count_record(custodian, tag)


def test_what_nothing_was_minted_for_does_not_count(stage: Stage) -> None:
    world, tag = stage.world, stage.world.fresh("tag")
    nothing = "rewards: nothing was minted for the record"
    with reverts(nothing):
        stage.rewards.count_record(1, tag)
    record = world.register(tag=tag)
    number = world.number(stage.people.custodian)
    with reverts(nothing):
        stage.rewards.count_record(number, tag)
    world.attest(record, completeness=0, annotation=0)
    with reverts(nothing):
        stage.rewards.count_record(number, tag)


def test_a_custodian_does_not_count_its_own_records(stage: Stage) -> None:
    custodian, tag = stage.record(owner=str(stage.people.custodian))
    with reverts(SELF):
        stage.rewards.count_record(custodian, tag)


def test_a_settled_use_counts_for_patient_and_custodian(stage: Stage) -> None:
    ref = stage.used()
    stage.count_use(ref)
    assert stage.total(stage.people.patient) == stage.total(stage.people.custodian) == 20
    told = [e.args["subject"] for e in stage.world.evm.logs if e.event == "PointsEarned"]
    assert told == [stage.world.licence_id(ref)] * 2


def test_a_term_counts_as_far_as_it_was_settled(stage: Stage) -> None:
    w = stage.world
    consent = w.granted()
    ref = w.buy(consent, form=FIXED, end=w.now + 300 * 86_400, salt=77 << 160)
    w.evm.warp(30 * 86_400)
    w.settle(ref)  # a tenth of 50 DUT
    with reverts("rewards: too little was settled"):
        stage.count_use(ref)
    w.evm.warp(60 * 86_400)
    w.settle(ref)
    stage.count_use(ref)
    assert stage.total(stage.people.patient) == 20


def test_each_licensee_counts_once_a_month_and_only_for_new_money(stage: Stage) -> None:
    ref = stage.used()
    stage.count_use(ref)
    with reverts("rewards: too little was settled"):
        stage.count_use(ref)
    other = stage.used()
    with reverts(TWICE):
        stage.count_use(other)
    stage.count_use(stage.used(sender=stage.people.other_licensee))
    assert stage.total(stage.people.patient) == 40
    stage.to_month()
    with reverts("rewards: too little was settled"):
        stage.count_use(ref)
    stage.count_use(other)
    assert stage.total(stage.people.patient) == 60


def test_what_no_certified_licensee_settled_does_not_count(stage: Stage) -> None:
    ref = stage.used()
    with reverts("rewards: unknown licence"):
        stage.count_use(ref | {"licensee": str(stage.people.stranger)})
    p = stage.people
    stage.world.market.set_licensee(p.licensee, 0, 158, 0, sender=p.credentials)
    with reverts("rewards: the licensee has no credential"):
        stage.count_use(ref)


@pytest.mark.parametrize("who", ["patient", "custodian", "annotator"])
def test_a_party_of_the_record_is_no_licensee_that_counts(stage: Stage, who: str) -> None:
    """R25: licensing oneself farms nothing, whatever is paid."""
    p, w = stage.people, stage.world
    actor = getattr(p, who)
    w.admit(actor) if not w.dut.mayHold(actor) else None
    w.license(actor)
    w.market.deposit(actor, 10_000 * DUT, sender=p.licensee)
    ref = stage.used(sender=actor)
    with reverts(SELF):
        stage.count_use(ref)


def test_six_months_in_a_row_are_worth_sixty_points(stage: Stage) -> None:
    for month in range(7):
        stage.count()
        assert stage.total(stage.people.patient) == 18 * (month + 1) + (60 if month >= 5 else 0)
        stage.to_month()
    stage.to_month()  # a month without anything
    stage.count()
    assert (int(stage.rewards.account_word(stage.people.patient)) >> 128) & (2**32 - 1) == 1


def test_a_streak_is_of_months_and_not_of_actions(stage: Stage) -> None:
    for _ in range(8):
        stage.count()
    assert stage.total(stage.people.patient) == 8 * 18


def test_feedback_is_attested_once_a_month(stage: Stage) -> None:
    p, evidence = stage.people, b"\1" * 32
    stage.rewards.attest_feedback(p.patient, evidence, sender=p.council)
    with reverts(TWICE):
        stage.rewards.attest_feedback(p.patient, b"\2" * 32, sender=p.council)
    stage.to_month()
    with reverts("rewards: no evidence is named"):
        stage.rewards.attest_feedback(p.patient, NONE, sender=p.council)
    stage.rewards.attest_feedback(p.patient, evidence, sender=p.council)
    assert stage.total(p.patient) == 20


def test_only_an_executed_proposal_adopts_an_idea(stage: Stage) -> None:
    p = stage.people
    for who in (p.stranger, p.council, p.operator):
        with reverts("access: caller may not do this"):
            stage.rewards.adopt_idea(p.patient, b"\1" * 32, sender=who)
    stage.world.as_timelock(stage.rewards, "adopt_idea", p.patient, b"\1" * 32)
    assert stage.total(p.patient) == 100
    with reverts(TWICE):
        stage.world.as_timelock(stage.rewards, "adopt_idea", p.other_patient, b"\1" * 32)


def test_a_referral_needs_both_signatures_and_a_record_of_each(stage: Stage) -> None:
    p = stage.people
    with reverts("rewards: no record of theirs counted"):
        stage.refer(p.patient, p.other_patient)
    stage.count()
    with reverts("rewards: no record of theirs counted"):
        stage.refer(p.patient, p.other_patient)
    stage.count(owner=str(p.other_patient))
    before = stage.total(p.patient)
    with reverts("signature: not by its owner"):
        stage.refer(p.patient, p.other_patient, by=p.stranger)
    with reverts("rewards: signature is too late"):
        stage.refer(p.patient, p.other_patient, late=1)
    with reverts(SELF):
        stage.refer(p.patient, p.patient)
    stage.refer(p.patient, p.other_patient)
    assert stage.total(p.patient) == before + 20
    with reverts(TWICE):
        stage.refer(p.patient, p.other_patient)
    with reverts(SELF):  # and not back again
        stage.refer(p.other_patient, p.patient)


def test_five_referrals_a_month(stage: Stage) -> None:
    stage.count()
    for number in range(6):
        friend = stage.world.new_actor()
        stage.count(owner=str(friend))
        if number < 5:
            stage.refer(stage.people.patient, friend)
        else:
            with reverts("rewards: enough referrals this month"):
                stage.refer(stage.people.patient, friend)
            stage.to_month()
            stage.refer(stage.people.patient, friend)


def test_a_deployment_without_a_contract_is_refused(stage: Stage) -> None:
    w = stage.world
    good = [w.people.deployer, w.manager.address] + [w.registry.address] * 5 + [ZERO, ZERO]
    with reverts("rewards: a contract is missing"):
        w.evm.deploy("Rewards", *good, sender=w.people.deployer)


def test_farming_a_badge_by_paying_oneself_costs_more_than_it_brings(stage: Stage) -> None:
    """R25's limit, in money: a patient, a custodian and one certified company act as one.

    In a year they gain at most 240 points for uses, and each twenty cost them the levy and the
    platform's part of at least the least amount. Nothing that points open pays DUT to them.
    """
    p, w = stage.people, stage.world
    donation, least, _ = stage.rewards.parameters()
    ours = (p.patient, p.custodian, p.annotator, p.licensee)

    def wealth() -> int:
        parts = sum(w.earned(who) + w.deposit_of(who) for who in ours)
        return int(parts + sum(w.dut.balanceOf(who) for who in ours))

    stage.to_month(12 - stage.month % 12)
    before, spent, consent = wealth(), 0, w.granted(floorPrice=0, expiry=w.now + 500 * 86_400)
    ref = w.buy(consent, units=2_000, salt=9 << 160, end=w.now + 400 * 86_400)
    held = 2_000 * 50 * DUT * 105 // 100
    for _ in range(12):
        units = -(-int(least) // (50 * DUT))
        w.use(ref, units)
        w.settle(ref)
        stage.count_use(ref)
        for _ in range(3):  # whatever more they settle counts nothing this month
            w.use(ref, 5)
            w.settle(ref)
            with reverts(TWICE):
                stage.count_use(ref)
        spent += (units + 15) * 50 * DUT
        if stage.month % 12 < 11:
            stage.to_month()
    year = w.now // MONTH // 12
    streaks = 2 * 60  # twelve months in a row
    assert stage.rewards.points(1, year, p.patient) == 12 * 20 + streaks
    lost = before - wealth() - (held - spent * 105 // 100)
    assert lost == spent * 15 // 100
    # The badge pays them nothing: its donation goes to a listed beneficiary.
    assert donation > 0
    for who in ours:
        assert not stage.rewards.beneficiary(who)

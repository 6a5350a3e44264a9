"""R19: a member proves its line once, anybody credits anybody, and no unit is lost or paid twice."""

from __future__ import annotations

import pytest
from support.royalties import REASON, WINDOW, Stage, Study
from support.world import DUT, NONE, Actor, reverts

from medtoken.chain.words import MemberWord

GRAIN = 10**9


# ---------------------------------------------------------------- the first claim


def test_the_first_claim_proves_the_line_and_credits_all_since_the_beginning(
    stage: Stage, study: Study
) -> None:
    study.bring(6 * DUT)
    study.bring(6 * DUT)
    patient = stage.people.patient
    assert study.join(patient) == 2 * DUT
    assert stage.world.evm.events() == ["MemberJoined", "RoyaltyClaimed"]
    index = study.roster.index(patient)
    assert stage.world.evm.event("MemberJoined") == {
        "study": study.id,
        "account": patient,
        "index": index,
        "weight": 100,
    }
    claimed = {"study": study.id, "account": patient, "amount": 2 * DUT}
    assert stage.world.evm.event("RoyaltyClaimed") == claimed
    assert stage.credited(patient) == study.shares.claimed == 2 * DUT
    # Weight and mark are one word.
    assert stage.vault.member_word(study.id, patient) == 100 | 12 * 10**9 << 96


def test_who_joins_before_anything_came_in_is_credited_later(stage: Stage, study: Study) -> None:
    patient = stage.people.patient
    assert study.join(patient) == 0
    assert stage.world.evm.events() == ["MemberJoined"]
    assert study.member(patient) == MemberWord(weight=100, mark=0)
    assert study.claim(patient) == 0
    study.bring(6 * DUT)
    assert study.claim(patient) == DUT


def test_nobody_joins_twice(stage: Stage, study: Study) -> None:
    study.bring(6 * DUT)
    study.join(stage.people.patient)
    with reverts("royalty: joined before"):
        study.join(stage.people.patient)


@pytest.mark.parametrize("change", ["study", "index", "account", "weight", "proof"])
def test_what_is_not_in_the_roster_is_refused(
    stage: Stage, study: Study, weights: dict[str, int], change: str
) -> None:
    other = stage.open(weights)
    index = study.roster.index(stage.people.patient)
    assert index is not None
    m = study.roster.member(index)
    values = {
        "study": study.id,
        "index": m.index,
        "account": m.account,
        "weight": m.weight,
        "proof": m.proof,
    }
    values |= {
        "study": {"study": other.id},
        "index": {"index": m.index + 1},
        "account": {"account": stage.people.stranger},
        "weight": {"weight": m.weight + 1},
        "proof": {"proof": m.proof[:-1]},
    }[change]
    with reverts("royalty: not in the roster"):
        stage.vault.join(*values.values(), sender=stage.people.stranger)


@pytest.mark.parametrize("weight", [0, 601, 2**96, 2**256 - 1])
def test_a_weight_out_of_range_is_refused(stage: Stage, study: Study, weight: int) -> None:
    with reverts("royalty: weights out of range"):
        stage.vault.join(study.id, 0, stage.people.patient, weight, [], sender=stage.people.relay)


def test_nobody_joins_what_is_not_there(stage: Stage) -> None:
    with reverts("royalty: unknown study"):
        stage.vault.join(REASON, 0, stage.people.patient, 1, [], sender=stage.people.relay)


def test_a_roster_of_one_needs_no_proof(stage: Stage) -> None:
    patient = stage.people.patient
    study = stage.open({patient: 1})
    study.bring(7 * DUT)
    assert study.roster.member(0).proof == []
    assert study.join(patient) == 7 * DUT


def test_many_lines_are_proven_at_once_and_one_that_came_first_spoils_nothing(
    stage: Stage, study: Study, weights: dict[str, int]
) -> None:
    study.bring(6 * DUT)
    study.join(stage.people.patient)
    lines = [vars(study.roster.member(i)) for i in range(3)]
    assert stage.vault.join_many(study.id, lines, sender=stage.people.relay) == 5 * DUT
    for who, weight in weights.items():
        assert stage.credited(who) == weight * DUT // 100
        assert study.member(who) == MemberWord(weight=weight, mark=6 * DUT)
    assert study.shares.claimed == study.books.pot == 6 * DUT
    assert stage.vault.join_many(study.id, lines, sender=stage.people.relay) == 0


def test_a_false_line_among_many_is_refused(stage: Stage, study: Study) -> None:
    lines = [vars(study.roster.member(i)) for i in range(3)]
    lines[1] = lines[1] | {"weight": 1}
    with reverts("royalty: not in the roster"):
        stage.vault.join_many(study.id, lines, sender=stage.people.relay)


# ---------------------------------------------------------------- later claims


def test_a_later_claim_needs_no_proof_and_goes_to_the_member_alone(
    stage: Stage, study: Study
) -> None:
    patient, stranger = stage.people.patient, stage.people.stranger
    study.join(patient)
    study.bring(6 * DUT)
    assert stage.vault.claimable(study.id, patient) == DUT
    assert stage.vault.claim(study.id, patient, sender=stranger) == DUT
    assert stage.credited(patient) == DUT
    assert stage.credited(stranger) == 0
    assert study.claim(patient) == 0
    assert stage.world.evm.events() == []


def test_a_stranger_to_the_study_is_refused(stage: Stage, study: Study) -> None:
    study.bring(6 * DUT)
    for who in (stage.people.stranger, stage.people.patient):
        assert stage.vault.claimable(study.id, who) == 0
        with reverts("royalty: not a member yet"):
            study.claim(who)
    with reverts("royalty: not a member yet"):
        stage.vault.claim(REASON, stage.people.patient, sender=stage.people.relay)
    assert stage.vault.claimable(REASON, stage.people.patient) == 0


def test_many_are_credited_at_once(stage: Stage, study: Study, weights: dict[str, int]) -> None:
    for who in weights:
        study.join(who)
    study.bring(6 * DUT)
    twice = [*weights, *weights]
    assert stage.vault.claim_many(study.id, twice, sender=stage.people.stranger) == 6 * DUT
    assert [stage.credited(w) for w in weights] == [DUT, 2 * DUT, 3 * DUT]
    assert stage.vault.claim_many(study.id, [], sender=stage.people.stranger) == 0
    with reverts("royalty: not a member yet"):
        stage.vault.claim_many(study.id, [stage.people.stranger], sender=stage.people.relay)


def test_what_rounding_leaves_is_in_the_next_share(stage: Stage) -> None:
    """Three equal members and pots that three does not divide: after three of them all is paid out."""
    people = stage.people
    three = [people.patient, people.other_patient, people.annotator]
    study = stage.open(dict.fromkeys(three, 1))
    for who in three:
        study.join(who)
    study.bring(GRAIN)
    assert [study.claim(w) for w in three] == [333_333_333] * 3
    study.bring(GRAIN)
    assert [study.claim(w) for w in three] == [333_333_333] * 3
    study.bring(GRAIN)
    assert [study.claim(w) for w in three] == [333_333_334] * 3
    assert study.shares.claimed == study.books.pot == 3 * GRAIN


def test_a_share_too_small_for_a_unit_is_kept_until_it_is_one(stage: Stage) -> None:
    people = stage.people
    study = stage.open({people.patient: 1, people.other_patient: 2 * GRAIN - 1})
    study.join(people.patient)
    study.bring(GRAIN)
    assert study.claim(people.patient) == 0
    assert study.member(people.patient).mark == 0
    study.bring(GRAIN)
    assert study.claim(people.patient) == 1


def test_the_largest_weights_and_pots_are_exact(stage: Stage) -> None:
    people = stage.people
    heavy = 2**96 - 2
    study = stage.open({people.patient: 1, people.other_patient: heavy})
    amount = 400_000 * DUT
    study.bring(amount)
    assert study.join(people.other_patient) == amount * heavy // (heavy + 1)
    assert study.join(people.patient) == 0
    assert study.books.pot - study.shares.claimed == 1


# ---------------------------------------------------------------- wrong rosters


def test_a_roster_that_weighs_more_than_its_total_harms_nobody_else(
    stage: Stage, weights: dict[str, int]
) -> None:
    """The sealed total says 300 where the lines make 600: what is claimed stays within its own pot."""
    honest, wrong = stage.open(weights), stage.open(weights, total=300)
    honest.bring(6 * DUT)
    wrong.bring(6 * DUT)
    people = stage.people
    assert wrong.join(people.annotator) == 6 * DUT
    with reverts("royalty: more than the pot holds"):
        wrong.join(people.patient)
    with reverts("royalty: more than the pot holds"):
        stage.vault.join_many(
            wrong.id,
            [vars(wrong.roster.member(i)) for i in range(3)],
            sender=people.relay,
        )
    for who in weights:
        honest.join(who)
    assert honest.shares.claimed == 6 * DUT
    owed = sum(stage.credited(w) for w in weights) + honest.books.levy + wrong.books.levy
    assert stage.held() == owed


def test_a_line_heavier_than_the_total_is_refused(stage: Stage) -> None:
    study = stage.open({stage.people.patient: 100}, total=99)
    with reverts("royalty: weights out of range"):
        study.join(stage.people.patient)


def test_a_roster_sealed_anew_forgets_the_old_lines(stage: Stage, weights: dict[str, int]) -> None:
    study = stage.seal(weights)
    stage.vault.cancel(study.id, REASON, sender=stage.people.council)
    assert stage.vault.root(study.id) == NONE
    stage.world.evm.warp(WINDOW)
    with reverts("royalty: unknown study"):
        study.join(stage.people.patient)


# ---------------------------------------------------------------- payout


def test_a_patient_without_ether_withdraws_by_signature_and_is_admitted(
    stage: Stage, study: Study
) -> None:
    patient = stage.people.patient
    study.bring(6 * DUT)
    study.join(patient)
    assert not stage.dut.mayHold(patient)
    stage.withdraw(stage.withdrawal(patient, DUT - 1), patient)
    event = {"account": patient, "to": patient, "amount": DUT - 1}
    assert stage.world.evm.event("Withdrawn") == event
    assert stage.dut.mayHold(patient)
    assert stage.dut.balanceOf(patient) == DUT - 1
    assert stage.vault.balance_word(patient) == 1 | 1 << 128
    stage.vault.withdraw(patient, patient, 1, stage.world.now, b"", sender=patient)
    assert stage.vault.balance_word(patient) == 2 << 128


def test_a_withdrawal_is_the_accounts_own_and_is_carried_out_once(
    stage: Stage, study: Study
) -> None:
    patient, stranger = stage.people.patient, stage.people.stranger
    study.bring(60 * DUT)
    study.join(patient)
    message = stage.withdrawal(patient, DUT)
    with reverts("signature: not by its owner"):
        stage.withdraw(message, stranger)
    with reverts("signature: not by its owner"):
        stage.vault.withdraw(patient, stranger, DUT, stage.world.now, b"", sender=stranger)
    stage.withdraw(message, patient)
    with reverts("signature: not by its owner"):
        stage.withdraw(message, patient)


def test_a_withdrawal_signed_for_the_market_is_none_from_the_vault(
    stage: Stage, study: Study
) -> None:
    patient = stage.people.patient
    study.bring(6 * DUT)
    study.join(patient)
    message = stage.withdrawal(patient, DUT)
    signature = message.sign(patient.key, stage.world.domain)
    with reverts("signature: not by its owner"):
        stage.vault.withdraw(
            patient, patient, DUT, message.deadline, signature, sender=stage.people.relay
        )


def test_what_a_withdrawal_may_not_be(stage: Stage, study: Study) -> None:
    patient: Actor = stage.people.patient
    study.bring(6 * DUT)
    study.join(patient)
    with reverts("payout: more than was credited"):
        stage.withdraw(stage.withdrawal(patient, DUT + 1), patient)
    with reverts("payout: nothing would be paid"):
        stage.withdraw(stage.withdrawal(patient, 0), patient)
    with reverts("payout: nothing would be paid"):
        stage.withdraw(stage.withdrawal(patient, DUT, to=stage.vault.address), patient)
    late = stage.withdrawal(patient, DUT, deadline=stage.world.now - 1)
    with reverts("payout: signature is too late"):
        stage.withdraw(late, patient)
    with reverts("DUT: the account is not admitted"):
        stage.withdraw(stage.withdrawal(patient, DUT, to=str(stage.people.stranger)), patient)


def test_a_frozen_member_is_credited_and_withdraws_when_thawed(stage: Stage, study: Study) -> None:
    patient, friend = stage.people.patient, str(stage.people.custodian)
    study.bring(6 * DUT)
    stage.dut.setFrozen(patient, True, sender=stage.people.sanctions)
    assert study.join(patient) == DUT
    for to in (str(patient), friend):
        with reverts("payout: it is frozen"):
            stage.withdraw(stage.withdrawal(patient, DUT, to=to), patient)
    stage.dut.setFrozen(patient, False, sender=stage.people.sanctions)
    stage.withdraw(stage.withdrawal(patient, DUT, to=friend), patient)

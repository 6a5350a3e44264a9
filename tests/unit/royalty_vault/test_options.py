"""R20: escrowed options vest when the milestone is attested, or go back after expiry; each for good."""

from __future__ import annotations

from typing import Any

import pytest
from support.royalties import EVIDENCE, MILESTONE, REASON, WINDOW, Stage, Study
from support.world import DAY, DUT, NONE, YEAR, reverts

from medtoken.chain.contracts import option_id
from medtoken.chain.words import OptionWord

GRAIN = 10**9
LEVY = 50 * DUT


def state(stage: Stage, study: Study) -> OptionWord:
    option = option_id(study.id, study.payer, MILESTONE)
    return OptionWord.unpack(stage.vault.option_word(option))


# ---------------------------------------------------------------- granting


def test_an_option_is_escrowed_with_its_levy(stage: Stage, study: Study) -> None:
    before = stage.dut.balanceOf(study.payer)
    study.grant()
    expiry = stage.world.now + DAY
    assert stage.world.evm.event("OptionGranted") == {
        "study": study.id,
        "funder": study.payer,
        "milestone": MILESTONE,
        "amount": 1000 * DUT,
        "levy": LEVY,
        "expiry": expiry,
    }
    assert state(stage, study) == OptionWord(1000 * DUT, LEVY, expiry, 1)
    assert before - stage.dut.balanceOf(study.payer) == 1000 * DUT + LEVY == stage.held()
    # Nobody has earned anything yet.
    assert study.books.pot == study.books.levy == 0


def test_anybody_with_money_funds_one_and_each_once(stage: Stage, study: Study) -> None:
    study.grant()
    with reverts("option: granted before"):
        study.grant()
    expiry = stage.world.now + DAY
    other = stage.people.other_licensee
    stage.vault.grant_option(study.id, MILESTONE, DUT, expiry, sender=other)
    with reverts("DUT: the account is not admitted"):
        stage.dut.approve(stage.vault.address, 2**256 - 1, sender=stage.people.stranger)
        stage.vault.grant_option(study.id, MILESTONE, DUT, expiry, sender=stage.people.stranger)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"study": REASON}, "royalty: unknown study"),
        ({"milestone": NONE}, "option: no milestone is named"),
        ({"amount": 0}, "royalty: amount out of range"),
        ({"amount": GRAIN + 1}, "royalty: amount out of range"),
        ({"amount": 2**72 * GRAIN}, "option: amount out of range"),
        ({"expiry": 0}, "option: expiry out of range"),
        ({"expiry": "now"}, "option: expiry out of range"),
        ({"expiry": "too far"}, "option: expiry out of range"),
    ],
)
def test_what_is_missing_or_out_of_range_is_refused(
    stage: Stage, study: Study, changes: dict[str, Any], sentence: str
) -> None:
    now = stage.world.now
    fields = {"study": study.id, "milestone": MILESTONE, "amount": DUT, "expiry": now + DAY}
    fields |= changes
    named = {"now": now, "too far": now + 30 * YEAR + 1}
    fields["expiry"] = named.get(fields["expiry"], fields["expiry"])
    with reverts(sentence):
        stage.vault.grant_option(*fields.values(), sender=study.payer)


def test_what_is_not_approved_is_not_escrowed(stage: Stage, study: Study) -> None:
    stage.dut.approve(stage.vault.address, DUT, sender=study.payer)
    with reverts(f"ERC20InsufficientAllowance({stage.vault.address}, {DUT}, {DUT + DUT // 20})"):
        study.grant(DUT)


# ---------------------------------------------------------------- vesting


def test_a_milestone_gives_the_escrow_to_the_contributors(
    stage: Stage, study: Study, weights: dict[str, int]
) -> None:
    study.bring(6 * DUT)
    study.join(stage.people.patient)
    study.grant(600 * DUT)
    assert study.claim(stage.people.patient) == 0
    study.vest()
    assert stage.world.evm.event("OptionVested") == {
        "study": study.id,
        "funder": study.payer,
        "milestone": MILESTONE,
        "attester": stage.people.products,
        "evidence": EVIDENCE,
        "amount": 600 * DUT,
        "levy": 30 * DUT,
    }
    assert state(stage, study).state == 2
    assert (study.books.pot, study.books.levy) == (606 * DUT, 30 * DUT + 3 * DUT // 10)
    # Each exercises its part by the same roster and weight: who joined by claiming, others by proof.
    assert study.claim(stage.people.patient) == 100 * DUT
    assert study.join(stage.people.other_patient) == 202 * DUT
    assert study.join(stage.people.annotator) == 303 * DUT
    assert study.shares.claimed == study.books.pot
    stage.vault.hand_over([study.id], sender=stage.people.stranger)
    assert stage.held() == 606 * DUT


def test_both_ends_are_final(stage: Stage, study: Study) -> None:
    study.grant()
    study.vest()
    stage.world.evm.warp(2 * DAY)
    for act in (study.vest, study.give_back):
        with reverts("option: it is settled"):
            act()
    other = b"\3" * 32
    study.grant(milestone=other)
    stage.world.evm.warp(DAY)
    study.give_back(other)
    for act in (study.vest, study.give_back):
        with reverts("option: it is settled"):
            act(other)
    with reverts("option: granted before"):
        study.grant(milestone=other)


def test_at_every_second_exactly_one_end_is_open(stage: Stage, study: Study) -> None:
    study.grant()
    with reverts("option: it has not expired"):
        study.give_back()
    stage.world.evm.warp(DAY - 1)
    with reverts("option: it has not expired"):
        study.give_back()
    with stage.world.evm.anchor():
        study.vest()
    stage.world.evm.warp(1)
    with reverts("option: it has expired"):
        study.vest()
    study.give_back()


def test_only_product_attesters_attest_a_milestone(stage: Stage, study: Study) -> None:
    study.grant()
    people = stage.people
    for who in (people.stranger, people.licensee, people.patient, people.council, people.custodian):
        with reverts("access: caller may not do this"):
            stage.vault.vest_option(study.id, study.payer, MILESTONE, EVIDENCE, sender=who)


def test_a_milestone_needs_evidence_and_another_attester_than_the_funder(
    stage: Stage, study: Study
) -> None:
    study.grant()
    with reverts("royalty: no evidence is named"):
        stage.vault.vest_option(
            study.id, study.payer, MILESTONE, NONE, sender=stage.people.products
        )
    stage.world.as_timelock(stage.world.manager, "grantRole", 14, study.payer, 0)
    with reverts("royalty: nobody attests itself"):
        stage.vault.vest_option(study.id, study.payer, MILESTONE, EVIDENCE, sender=study.payer)


def test_an_option_that_was_never_granted_does_nothing(study: Study) -> None:
    for act in (study.vest, study.give_back):
        with reverts("option: unknown option"):
            act()


# ---------------------------------------------------------------- returning


def test_after_expiry_all_of_it_is_the_funders_again(stage: Stage, study: Study) -> None:
    study.grant()
    stage.world.evm.warp(DAY)
    study.give_back()  # a stranger does it
    assert stage.world.evm.event("OptionReturned") == {
        "study": study.id,
        "funder": study.payer,
        "milestone": MILESTONE,
        "amount": 1000 * DUT + LEVY,
    }
    assert stage.credited(study.payer) == 1000 * DUT + LEVY == stage.held()
    before = stage.dut.balanceOf(study.payer)
    stage.vault.withdraw(
        study.payer, study.payer, 1000 * DUT + LEVY, stage.world.now, b"", sender=study.payer
    )
    assert stage.dut.balanceOf(study.payer) - before == 1000 * DUT + LEVY
    assert stage.held() == study.books.pot == 0


def test_a_frozen_funder_does_not_hold_up_the_return(stage: Stage, study: Study) -> None:
    study.grant()
    stage.dut.setFrozen(study.payer, True, sender=stage.people.sanctions)
    stage.world.evm.warp(DAY)
    study.give_back()
    assert stage.credited(study.payer) == 1000 * DUT + LEVY


def test_no_option_is_on_a_roster_that_may_be_cancelled(
    stage: Stage, weights: dict[str, int]
) -> None:
    study = stage.seal(weights)
    with reverts("royalty: it is not open yet"):
        study.grant()
    stage.world.evm.warp(WINDOW)
    # Options need no undertaking: the funder pays at once.
    study.grant()

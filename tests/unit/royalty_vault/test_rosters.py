"""R19: custodians seal rosters, the council cancels until they open, the payer undertakes."""

from __future__ import annotations

from typing import Any

import pytest
from support.royalties import MANIFEST, REASON, WINDOW, Stage, Study
from support.world import NONE, ZERO, reverts

from medtoken.chain.contracts import study_id

NUMBER = 5


def values(stage: Stage, **changes: Any) -> list[Any]:
    """What a custodian seals."""
    fields = {
        "payer": stage.people.licensee,
        "number": NUMBER,
        "root": b"\1" * 32,
        "total": 600,
        "count": 3,
        "manifest": MANIFEST,
    } | changes
    return list(fields.values())


# ---------------------------------------------------------------- sealing


def test_a_sealed_roster_is_stored_and_told(stage: Stage) -> None:
    study = stage.vault.seal(*values(stage), sender=stage.people.custodian)
    assert study == study_id(stage.people.licensee, NUMBER)
    opens = stage.world.now + WINDOW
    assert stage.world.evm.event("StudySealed") == {
        "study": study,
        "payer": stage.people.licensee,
        "sealer": stage.world.number(stage.people.custodian),
        "number": NUMBER,
        "root": b"\1" * 32,
        "total": 600,
        "count": 3,
        "manifest": MANIFEST,
        "rate": 100,
        "opens": opens,
    }
    word = int(stage.people.licensee, 16) | opens << 160 | 100 << 200
    assert stage.vault.study_word(study) == word
    assert stage.vault.root(study) == b"\1" * 32
    assert stage.vault.shares_word(study) == 600 | 3 << 224
    assert stage.vault.books_word(study) == 0


@pytest.mark.parametrize("who", ["stranger", "attester", "annotator", "licensee", "operator"])
def test_only_an_accredited_custodian_seals(stage: Stage, who: str) -> None:
    with reverts("institutions: the caller is not accredited for this"):
        stage.vault.seal(*values(stage), sender=getattr(stage.people, who))


def test_who_lost_its_accreditation_seals_nothing(stage: Stage) -> None:
    stage.world.accredit(stage.people.custodian, 0)
    with reverts("institutions: the caller is not accredited for this"):
        stage.vault.seal(*values(stage), sender=stage.people.custodian)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"payer": ZERO}, "royalty: no payer is named"),
        ({"root": NONE}, "royalty: the roster has no root"),
        ({"manifest": NONE}, "royalty: no manifest is named"),
        ({"total": 0}, "royalty: weights out of range"),
        ({"count": 0}, "royalty: weights out of range"),
        ({"count": 601}, "royalty: weights out of range"),
        ({"total": 2**96}, "royalty: weights out of range"),
        ({"total": 2**40, "count": 2**32}, "royalty: weights out of range"),
    ],
)
def test_what_is_missing_or_out_of_range_is_refused(
    stage: Stage, changes: dict[str, Any], sentence: str
) -> None:
    with reverts(sentence):
        stage.vault.seal(*values(stage, **changes), sender=stage.people.custodian)


def test_the_limits_themselves_are_taken(stage: Stage) -> None:
    changes = {"total": 2**96 - 1, "count": 2**32 - 1}
    study = stage.vault.seal(*values(stage, **changes), sender=stage.people.custodian)
    assert stage.vault.shares_word(study) == (2**96 - 1) | (2**32 - 1) << 224


def test_a_study_is_sealed_once(stage: Stage, study: Study) -> None:
    changes = {"number": study.number}
    with reverts("royalty: it is sealed"):
        stage.vault.seal(*values(stage, **changes), sender=stage.people.other_custodian)


# ---------------------------------------------------------------- the challenge window


def test_a_wrong_roster_is_cancelled_and_sealed_anew(stage: Stage, weights: dict[str, int]) -> None:
    study = stage.seal(weights)
    stage.vault.undertake(study.number, study.roster.root, sender=study.payer)
    stage.vault.cancel(study.id, REASON, sender=stage.people.council)
    assert stage.world.evm.event("StudyCancelled") == {"study": study.id, "reason": REASON}
    assert stage.vault.study_word(study.id) == stage.vault.shares_word(study.id) == 0
    assert stage.vault.root(study.id) == NONE
    right = values(stage, number=study.number)
    assert stage.vault.seal(*right, sender=stage.people.custodian) == study.id
    # What the payer undertook was another roster.
    assert not study.word.undertaken


def test_from_its_opening_on_a_roster_is_final(stage: Stage, weights: dict[str, int]) -> None:
    first, second = stage.seal(weights), stage.seal(weights)
    stage.world.evm.warp(WINDOW - 1)
    stage.vault.cancel(first.id, REASON, sender=stage.people.council)
    stage.world.evm.warp(1)
    with reverts("royalty: the roster is final"):
        stage.vault.cancel(second.id, REASON, sender=stage.people.council)


def test_an_unknown_roster_cannot_be_cancelled(stage: Stage) -> None:
    with reverts("royalty: unknown study"):
        stage.vault.cancel(REASON, REASON, sender=stage.people.council)


@pytest.mark.parametrize("who", ["stranger", "custodian", "licensee", "guardian", "products"])
def test_only_the_council_cancels(stage: Stage, weights: dict[str, int], who: str) -> None:
    study = stage.seal(weights)
    with reverts("access: caller may not do this"):
        stage.vault.cancel(study.id, REASON, sender=getattr(stage.people, who))


def test_no_money_comes_in_and_nobody_joins_before_it_opens(
    stage: Stage, weights: dict[str, int]
) -> None:
    study = stage.seal(weights)
    stage.vault.undertake(study.number, study.roster.root, sender=study.payer)
    stage.world.evm.warp(WINDOW - 1)
    for act in (
        lambda: study.attest(100),
        study.grant,
        lambda: study.join(stage.people.patient),
        lambda: stage.vault.join_many(study.id, [], sender=stage.people.relay),
    ):
        with reverts("royalty: it is not open yet"):
            act()
    with reverts("royalty: more than is due"):
        study.pay(10**9)


# ---------------------------------------------------------------- undertaking


def test_the_payer_undertakes_its_own_study(stage: Stage, weights: dict[str, int]) -> None:
    study = stage.seal(weights)
    assert not study.word.undertaken
    stage.vault.undertake(study.number, study.roster.root, sender=study.payer)
    assert stage.world.evm.event("StudyUndertaken") == {"study": study.id, "payer": study.payer}
    assert study.word.undertaken
    with reverts("royalty: undertaken before"):
        stage.vault.undertake(study.number, study.roster.root, sender=study.payer)


def test_nobody_undertakes_for_another(stage: Stage, weights: dict[str, int]) -> None:
    study = stage.seal(weights)
    for who in (stage.people.stranger, stage.people.custodian, stage.people.other_licensee):
        with reverts("royalty: unknown study"):
            stage.vault.undertake(study.number, study.roster.root, sender=who)


def test_another_roster_than_the_payer_saw_is_not_undertaken(
    stage: Stage, weights: dict[str, int]
) -> None:
    study = stage.seal(weights)
    with reverts("royalty: another roster"):
        stage.vault.undertake(study.number, b"\1" * 32, sender=study.payer)

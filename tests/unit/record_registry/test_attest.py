"""R1, R7: an attester scores a record once, and the patient's contribution tokens are minted."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.world import DUT, NONE, RECORD_FIELDS, World, reverts, unpack

NOT_ACCREDITED = "institutions: the caller is not accredited for this"


def test_scores_are_stored_told_and_minted_for(world: World) -> None:
    """One health record at Q = 85: 1 unit of coefficient 1 earns 100 + 4 * 85 = 440 DCT."""
    people = world.people
    record = world.register()
    before = unpack(world.registry.facts(record), RECORD_FIELDS)
    scores = world.scores(dvi=77)
    minted = world.registry.attest(record, scores, sender=people.attester)
    assert minted == 440 * DUT == world.dct.balanceOf(people.patient)
    assert world.evm.events() == ["RecordAttested", "Transfer", "DelegateVotesChanged"]
    assert world.evm.event("RecordAttested") == {
        "record": record,
        "owner": people.patient,
        "attester": world.number(people.attester),
        "scores": scores,
        "quality": 85,
        "minted": 440 * DUT,
    }
    after = unpack(world.registry.facts(record), RECORD_FIELDS)
    assert after == before | {
        "quality": 85,
        "dvi": 77,
        "attester": world.number(people.attester),
        "attested": 1,
        "minted": 1,
    }
    assert world.registry.attester(record) == world.number(people.attester)
    assert world.registry.terms(record)["live"]
    assert world.registry.terms(record)["dvi"] == 77


@pytest.mark.parametrize(
    ("kind", "units", "quality", "tokens"),
    [
        (1, 1000, 100, 500),  # R1: one unit earns 100 to 500
        (8, 1000, 100, 5),  # basic item 0.01
        (2, 1000, 50, 300),  # three years of glucose
        (2, 333, 50, 99.9),  # one year of it, pro rata
        (3, 1000, 80, 1260),  # imaging study 3
        (4, 1000, 20, 900),  # genomic sample 5
        (1, 100_000, 100, 50_000),
        (5, 1000, 100, 0),  # kinds that R1 does not name mint nothing
        (6, 1000, 100, 0),
        (7, 1000, 100, 0),
    ],
)
def test_r1s_formula_by_kind(
    world: World, kind: int, units: int, quality: int, tokens: float
) -> None:
    record = world.register(kind=kind)
    minted = world.attest(record, units=units, completeness=quality, annotation=quality)
    assert minted == round(tokens * 10) * DUT // 10
    assert world.dct.balanceOf(world.people.patient) == minted
    assert ("Transfer" in world.evm.events()) == (minted > 0)


def test_r1s_formula_for_any_scores(world: World) -> None:
    @settings(max_examples=60)
    @given(
        units=st.integers(1, 100_000),
        completeness=st.integers(0, 100),
        annotation=st.integers(0, 100),
        kind=st.sampled_from([1, 2, 3, 4, 8]),
    )
    def holds(units: int, completeness: int, annotation: int, kind: int) -> None:
        with world.evm.anchor():
            record = world.register(kind=kind)
            minted = world.attest(
                record, units=units, completeness=completeness, annotation=annotation
            )
            quality = Fraction(completeness + annotation, 2)
            coefficient = {1: 1, 2: 1, 3: 3, 4: 5, 8: Fraction(1, 100)}[kind]
            exact = Fraction(units, 1000) * coefficient * 100 * (1 + 4 * quality / 100) * DUT
            assert minted == (exact if quality >= 20 else 0)

    holds()


@pytest.mark.parametrize(
    ("completeness", "annotation", "mints"),
    [(20, 20, True), (40, 0, True), (19, 20, False), (0, 39, False)],
)
def test_nothing_is_minted_below_the_least_quality(
    world: World, completeness: int, annotation: int, mints: bool
) -> None:
    record = world.register()
    minted = world.attest(record, completeness=completeness, annotation=annotation)
    assert (minted > 0) == mints
    assert world.registry.terms(record)["live"]
    assert unpack(world.registry.facts(record), RECORD_FIELDS)["minted"] == int(mints)


SCORES: list[tuple[dict[str, Any], str]] = [
    ({"completeness": 101}, "scores: a score is over 100"),
    ({"annotation": 101}, "scores: a score is over 100"),
    ({"annotation": 2**256 - 1}, "scores: a score is over 100"),
    ({"dvi": 0}, "scores: the DVI must be from 1 to 100"),
    ({"dvi": 101}, "scores: the DVI must be from 1 to 100"),
    ({"dvi": 128 + 50}, "scores: the DVI must be from 1 to 100"),
    ({"units": 0}, "scores: units are out of range"),
    ({"units": 100_001}, "scores: units are out of range"),
    ({"units": 2**256 - 1}, "scores: units are out of range"),
    ({"method": NONE}, "scores: no method is named"),
    ({"volume": 101}, "scores: a score is over 100"),
    ({"timeliness": 101}, "scores: a score is over 100"),
    ({"accuracy": 101}, "scores: a score is over 100"),
    ({"traceability": 101}, "scores: a score is over 100"),
    ({"asOf": 0}, "scores: the day of reference is missing or to come"),
    ({"asOf": 2**256 - 1}, "scores: the day of reference is missing or to come"),
]


@pytest.mark.parametrize(("change", "sentence"), SCORES)
def test_a_score_out_of_range_is_refused(
    world: World, change: dict[str, Any], sentence: str
) -> None:
    record = world.register()
    with reverts(sentence):
        world.attest(record, **change)
    assert not world.registry.terms(record)["live"]


def test_the_day_of_reference_is_today_at_the_latest(world: World) -> None:
    today = world.now // 86_400
    with reverts("scores: the day of reference is missing or to come"):
        world.attest(world.register(), asOf=today + 1)
    assert world.attest(world.register(), asOf=today)
    assert world.attest(world.register(), asOf=1)


def test_a_record_is_attested_once(world: World) -> None:
    record = world.record()
    with reverts("registry: the record is already attested"):
        world.attest(record)
    assert world.dct.balanceOf(world.people.patient) == 440 * DUT


def test_an_unknown_record_is_not_attested(world: World) -> None:
    for record in (NONE, world.fresh()):
        with reverts("registry: unknown record"):
            world.attest(record)


def test_a_superseded_record_is_not_attested(world: World) -> None:
    old = world.register()
    world.register(previous=old)
    with reverts("registry: the record was superseded"):
        world.attest(old)


def test_a_stranger_cannot_attest(world: World) -> None:
    people = world.people
    record = world.register()
    for who in (
        people.stranger,
        people.patient,
        people.custodian,
        people.annotator,
        people.operator,
    ):
        with reverts(NOT_ACCREDITED):
            world.registry.attest(record, world.scores(), sender=who)


def test_nobody_attests_what_they_hold_or_annotated(world: World) -> None:
    people = world.people
    for who in (people.custodian, people.annotator):
        world.accredit(who, 7)
    record = world.register()
    for who in (people.custodian, people.annotator):
        with reverts("registry: nobody attests their own work"):
            world.registry.attest(record, world.scores(), sender=who)
    assert world.registry.attest(record, world.scores(), sender=people.attester)


def test_an_institution_that_moved_is_still_itself(world: World) -> None:
    people = world.people
    number = world.accredit(people.custodian, 7)
    record = world.register()
    new = world.new_actor()
    world.registry.move(number, new, sender=people.accreditation)
    with reverts("registry: nobody attests their own work"):
        world.registry.attest(record, world.scores(), sender=new)


# ---------------------------------------------------------------- corrections never mint twice (R6)


def test_a_correction_of_a_minted_record_mints_nothing_however_long_the_chain(world: World) -> None:
    record = world.record()
    for _ in range(3):
        record = world.register(previous=record)
        assert world.attest(record, completeness=100, annotation=100, units=100_000) == 0
        assert world.registry.terms(record)["live"]
    assert world.dct.balanceOf(world.people.patient) == 440 * DUT


def test_a_correction_in_between_that_was_never_attested_changes_nothing(world: World) -> None:
    first = world.record()
    second = world.register(previous=first)
    third = world.register(previous=second)
    assert world.attest(third) == 0


def test_a_correction_of_a_record_that_minted_nothing_mints_once(world: World) -> None:
    poor = world.register()
    assert world.attest(poor, completeness=0, annotation=0) == 0
    better = world.register(previous=poor)
    assert world.attest(better) == 440 * DUT
    best = world.register(previous=better)
    assert world.attest(best) == 0


def test_half_a_point_of_quality_counts(world: World) -> None:
    """R1: Q is the mean of completeness and annotation, here 85.5, so one unit earns 442."""
    assert world.attest(world.register(), completeness=85, annotation=86) == 442 * DUT

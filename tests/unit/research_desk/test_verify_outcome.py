"""R4: RT is minted to a licensee for an outcome that enough technical seats verified, once."""

from __future__ import annotations

from typing import Any

import pytest
from support.research import ACCURACY, PRODUCT, PUBLICATION, Research, outcome_id
from support.world import DUT, NONE, reverts

from medtoken.deploy.roles import Role


@pytest.fixture
def ref(lab: Research) -> dict[str, Any]:
    """A licence of the licensee's."""
    return lab.buy(lab.granted())


@pytest.mark.parametrize(
    ("kind", "amount"), [(ACCURACY, 1_000), (PUBLICATION, 2_000), (PRODUCT, 10_000)]
)
def test_each_kind_earns_its_amount(
    lab: Research, ref: dict[str, Any], kind: int, amount: int
) -> None:
    outcome = lab.outcome(ref, kind=kind)
    made = lab.verify(outcome, ref)
    assert made == outcome_id(outcome)
    assert lab.evm.event("OutcomeVerified") == {
        "outcome": made,
        "seat": str(lab.people.technical),
        "given": outcome,
        "votes": 1,
    }
    assert lab.evm.event("OutcomeRewarded") == {
        "outcome": made,
        "licensee": str(lab.people.licensee),
        "amount": amount * DUT,
    }
    assert lab.rt.balanceOf(lab.people.licensee) == lab.rt.totalSupply() == amount * DUT
    assert lab.research.votes(made) == 1
    assert lab.research.verified(made, lab.people.technical)
    assert lab.research.rewarded(outcome["evidence"]) == made


def test_the_last_seat_that_is_needed_mints(lab: Research, ref: dict[str, Any]) -> None:
    lab.as_timelock(lab.research, "set_seats", 3)
    outcome = lab.outcome(ref)
    for votes, seat in enumerate((lab.people.technical, lab.seat()), start=1):
        made = lab.verify(outcome, ref, seat)
        assert lab.research.votes(made) == votes
        assert lab.rt.totalSupply() == 0
        assert lab.research.rewarded(outcome["evidence"]) == NONE
    lab.verify(outcome, ref, lab.seat())
    assert lab.rt.balanceOf(lab.people.licensee) == 1_000 * DUT


def test_a_seat_counts_once(lab: Research, ref: dict[str, Any]) -> None:
    lab.as_timelock(lab.research, "set_seats", 2)
    outcome = lab.outcome(ref)
    lab.verify(outcome, ref)
    with reverts("research: this seat has verified it"):
        lab.verify(outcome, ref)
    assert lab.rt.totalSupply() == 0


def test_seats_that_say_different_things_do_not_add_up(lab: Research, ref: dict[str, Any]) -> None:
    lab.as_timelock(lab.research, "set_seats", 2)
    outcome = lab.outcome(ref)
    lab.verify(outcome, ref)
    lab.verify(outcome | {"kind": PRODUCT}, ref, lab.seat())
    assert lab.rt.totalSupply() == 0


@pytest.mark.parametrize("other", [{}, {"kind": PRODUCT}])
def test_evidence_pays_once(lab: Research, ref: dict[str, Any], other: dict[str, int]) -> None:
    outcome = lab.outcome(ref)
    lab.verify(outcome, ref)
    again = lab.buy(lab.granted())
    for given, licence in (
        (outcome | other, ref),
        (outcome | other | {"licence": lab.licence_id(again)}, again),
    ):
        with reverts("research: it was rewarded"):
            lab.verify(given, licence, lab.seat())
    assert lab.rt.totalSupply() == 1_000 * DUT


def test_evidence_pays_one_licensee(lab: Research, ref: dict[str, Any]) -> None:
    """Two who made it together: the seats verify it for the one they agreed on."""
    outcome = lab.outcome(ref)
    lab.verify(outcome, ref)
    other = lab.buy(lab.granted(), sender=lab.people.other_licensee)
    with reverts("research: it was rewarded"):
        lab.verify(lab.outcome(other, evidence=outcome["evidence"]), other)


@pytest.mark.parametrize("kind", [0, 4, 2**256 - 1])
def test_an_unknown_kind_is_refused(lab: Research, ref: dict[str, Any], kind: int) -> None:
    with reverts("research: unknown kind of outcome"):
        lab.verify(lab.outcome(ref, kind=kind), ref)


def test_without_evidence_there_is_no_outcome(lab: Research, ref: dict[str, Any]) -> None:
    with reverts("research: no evidence is named"):
        lab.verify(lab.outcome(ref, evidence=NONE), ref)


def test_it_rests_on_a_licence_of_the_licensee(lab: Research, ref: dict[str, Any]) -> None:
    other = str(lab.people.other_licensee)
    never = ref | {"salt": 12345}
    for outcome, given in (
        (lab.outcome(ref, licensee=other), ref),
        (lab.outcome(ref | {"licensee": other}), ref | {"licensee": other}),
        (lab.outcome(never), never),
        (lab.outcome(ref, licence=NONE), ref),
    ):
        with reverts("research: not the licensee's licence"):
            lab.verify(outcome, given)


def test_a_licence_that_has_ended_still_carries_its_outcome(
    lab: Research, ref: dict[str, Any]
) -> None:
    """Papers come out after the study."""
    lab.evm.warp(400 * 86_400)
    lab.settle(ref)
    lab.verify(lab.outcome(ref), ref)
    assert lab.rt.balanceOf(lab.people.licensee) == 1_000 * DUT


def test_a_seat_does_not_verify_its_own(lab: Research, ref: dict[str, Any]) -> None:
    licensee = lab.people.licensee
    lab.as_timelock(lab.manager, "grantRole", int(Role.TECHNICAL), licensee, 0)
    with reverts("research: the seat is the licensee"):
        lab.verify(lab.outcome(ref), ref, licensee)


def test_nobody_else_verifies(lab: Research, ref: dict[str, Any]) -> None:
    people = lab.people
    for who in (people.licensee, people.operator, people.council, people.stranger):
        with reverts("access: caller may not do this"):
            lab.verify(lab.outcome(ref), ref, who)


def test_a_seat_that_was_taken_away_does_not_verify(lab: Research, ref: dict[str, Any]) -> None:
    seat = lab.seat()
    lab.as_timelock(lab.manager, "revokeRole", int(Role.TECHNICAL), seat)
    with reverts("access: caller may not do this"):
        lab.verify(lab.outcome(ref), ref, seat)

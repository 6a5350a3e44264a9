"""Challenges of attested quality in the auditor's books: bonds conserve, judgements happen (R7)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.world import DAY, DUT

from medtoken.audit.rules import WEIGHTS, value_index
from medtoken.quality import DIMENSIONS, method_hash


def test_the_auditors_weights_are_the_methods() -> None:
    assert WEIGHTS == DIMENSIONS
    assert value_index(dict.fromkeys(WEIGHTS, 100)) == 100
    assert value_index({name: i for i, name in enumerate(WEIGHTS)}) == 2


def test_an_honest_dispute_leaves_no_violation_and_its_money_adds_up(honest) -> None:
    assert honest.broken(honest.events) == {}
    book = honest.fold(honest.events).disputes
    world = honest.world
    assert book.held == world.dut.balanceOf(world.disputes.address) > 0
    assert set(book.open) == {honest.names.pending}
    assert len(book.closed) == 4
    shown = book.as_dict()
    assert shown["bond"] == str(30 * DUT)
    assert shown["credits"] == {
        world.people.licensee: str(world.disputes.credit_of(world.people.licensee)),
        world.people.other_licensee: str(30 * DUT),
    }


def test_an_open_and_a_lapsed_challenge_are_read_from_the_chain(recorded, auditing) -> None:
    record = recorded.record()
    recorded.challenge(record)
    assert all(each.holds for each in auditing(recorded).invariants)
    recorded.evm.warp(15 * DAY)
    recorded.disputes.lapse(record, sender=recorded.people.relay)
    assert all(each.holds for each in auditing(recorded).invariants)


@pytest.mark.parametrize(
    ("event", "at", "change", "invariant"),
    [
        ("QualityDisputes.ChallengeOpened", 0, {"bond": 1}, 6),
        ("QualityDisputes.ChallengeOpened", 0, {"atRisk": 0}, 6),
        ("QualityDisputes.ChallengeOpened", 0, {"deadline": 0}, 6),
        ("QualityDisputes.ChallengeOpened", 0, {"evidence": bytes(32)}, 7),
        ("QualityDisputes.ChallengeOpened", 0, {"attester": 1}, 7),
        ("ChallengeResolved", 0, {"upheld": False}, 7),
        ("ChallengeResolved", 1, {"upheld": True}, 7),
        ("ChallengeResolved", 0, {"reason": bytes(32)}, 7),
        ("AttestationRevised", 0, {"quality": 1}, 7),
        ("AttestationRevised", 0, {"attester": 77}, 7),
        ("CreditWithdrawn", 0, {"amount": 1}, 6),
        ("StakeChanged", 0, {"previous": 5}, 6),
        ("StakeChanged", 0, {"account": "0x" + "11" * 20}, 7),
    ],
)
def test_a_lie_about_a_dispute_is_found(honest, event, at, change, invariant) -> None:
    events = honest.changed(honest.find(event, at), **change)
    assert invariant in {found.invariant for found in honest.fold(events).violations}


def test_a_judgement_that_changed_nothing_is_found(honest) -> None:
    revised = honest.find("AttestationRevised")
    texts = [str(v) for v in honest.fold(honest.without(revised)).violations]
    assert any("changed nothing" in text for text in texts)


def test_an_attester_without_enough_at_risk_that_stays_accredited_is_found(honest) -> None:
    struck = honest.find("AttestationRevised", 1)
    assert honest.events[struck + 1].event == "InstitutionChanged"
    texts = [str(v) for v in honest.fold(honest.without(struck + 1)).violations]
    assert any("stays accredited" in text for text in texts)


def test_scores_that_nobody_claimed_are_found(honest) -> None:
    at = honest.find("AttestationRevised")
    scores = honest.events[at].args["scores"] | {"dvi": 99}
    violations = honest.fold(honest.changed(at, scores=scores)).violations
    assert any(found.rule == "R7" for found in violations)


def test_a_decision_after_the_deadline_or_a_lapse_before_it_is_found(recorded, history) -> None:
    record = recorded.record()
    claim = recorded.challenge(record)
    recorded.resolve(record, claim, False)
    made = history(recorded)
    at = made.find("ChallengeResolved")
    early = replace(made.events[at], event="ChallengeLapsed", args={"record": record})
    events = [*made.events[:at], early, *made.events[at + 1 :]]
    assert any("before its deadline" in str(v) for v in made.fold(events).violations)
    recorded.challenge(record)
    recorded.evm.warp(15 * DAY)
    recorded.disputes.lapse(record, sender=recorded.people.relay)
    made = history(recorded)
    at = made.find("ChallengeLapsed")
    args = {"record": record, "upheld": False, "reason": b"\1" * 32}
    late = replace(made.events[at], event="ChallengeResolved", args=args)
    events = [*made.events[:at], late, *made.events[at + 1 :]]
    assert any("decided late" in str(v) for v in made.fold(events).violations)


def test_bonds_that_leave_without_a_reason_are_found(honest) -> None:
    people, disputes = honest.world.people, honest.world.disputes.address
    events = honest.with_event(
        "UsageToken", "Transfer", **{"from": disputes, "to": people.licensee, "value": 1}
    )
    assert any("left the bonds" in str(v) for v in honest.fold(events).violations)


def test_by_the_published_method_the_books_tell_whether_the_dvi_follows(recorded, history) -> None:
    six = dict(zip(WEIGHTS, (70, 80, 90, 100, 90, 75), strict=True))
    good, odd, foreign = (recorded.register() for _ in range(3))
    recorded.attest(good, **six, dvi=value_index(six), method=method_hash())
    recorded.attest(odd, **six, dvi=value_index(six) + 1, method=method_hash())
    recorded.attest(foreign, **six)
    made = history(recorded)
    assert made.broken(made.events) == {}, "a careless attester does not break the ledger"
    told = made.fold(made.events).as_dict()["registry"]["records"]
    follows = [told["0x" + record.hex()]["dvi_follows"] for record in (good, odd, foreign)]
    assert follows == [True, False, None]

"""R7: anybody with the file disputes an attestation, with a bond and the scores that they claim."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi import encode
from eth_utils import keccak
from support.world import DAY, DUT, MILLION, NONE, ZERO, World, reverts

BOND = 100 * DUT
SCORES = (
    "units", "volume", "completeness", "timeliness", "accuracy", "annotation", "traceability",
    "dvi", "asOf", "method",
)  # fmt: skip
NOTHING = dict.fromkeys(SCORES[:-1], 0) | {"method": NONE}


def claim_hash(claim: dict[str, Any]) -> bytes:
    kinds = ["uint256"] * 9 + ["bytes32"]
    return keccak(encode(kinds, [claim[name] for name in SCORES]))


def test_the_bond_is_taken_and_the_claim_kept(world: World) -> None:
    people = world.people
    record = world.record()
    before = world.dut.balanceOf(people.licensee)
    claim = world.challenge(record)
    deadline = world.now + 14 * DAY
    event = world.evm.event("ChallengeOpened")
    assert event == {
        "record": record,
        "challenger": people.licensee,
        "attester": world.number(people.attester),
        "claim": claim,
        "evidence": event["evidence"],
        "bond": BOND,
        "atRisk": 0,
        "deadline": deadline,
    }
    assert world.disputes.dispute(record) == {
        "challenger": people.licensee,
        "attester": world.number(people.attester),
        "claim": claim_hash(claim),
        "bond": BOND,
        "atRisk": 0,
        "deadline": deadline,
    }
    assert world.dut.balanceOf(people.licensee) == before - BOND
    assert world.dut.balanceOf(world.disputes.address) == BOND
    assert world.registry.terms(record)["live"], "what was attested holds until it is decided"
    assert world.registry.terms(record)["dvi"] == 85


@pytest.mark.parametrize(("staked", "risk"), [(1, 1), (100, 100), (250, 100)])
def test_the_attesters_stake_is_at_risk_up_to_the_bond(
    world: World, staked: int, risk: int
) -> None:
    record, number = world.record(), world.number(world.people.attester)
    world.stake(staked * DUT)
    world.challenge(record)
    assert world.disputes.dispute(record)["atRisk"] == risk * DUT
    assert world.disputes.stake_of(number) == (staked - risk) * DUT
    assert world.dut.balanceOf(world.disputes.address) == staked * DUT + BOND


def test_the_custodian_may_challenge_too(world: World) -> None:
    world.fund(world.people.custodian, BOND)
    record = world.record()
    world.challenge(record, sender=world.people.custodian, dvi=95)
    assert world.disputes.dispute(record)["challenger"] == world.people.custodian


def test_an_attester_cannot_challenge_itself(world: World) -> None:
    people = world.people
    record = world.record()
    world.admit(people.attester)
    world.fund(people.attester, BOND)
    with reverts("disputes: nobody challenges themselves"):
        world.challenge(record, sender=people.attester)


def test_only_an_attestation_can_be_challenged_and_once_at_a_time(world: World) -> None:
    for record in (world.fresh(), NONE, world.register()):
        with reverts("disputes: the record has no attestation to challenge"):
            world.challenge(record)
    record = world.record()
    world.challenge(record)
    with reverts("disputes: the record is already challenged"):
        world.challenge(record, sender=world.people.other_licensee)


def test_a_judgement_is_final(world: World) -> None:
    record = world.record()
    world.resolve(record, world.challenge(record), True)
    with reverts("disputes: the record has no attestation to challenge"):
        world.challenge(record)


def test_an_attestation_that_stood_may_be_challenged_again(world: World) -> None:
    record = world.record()
    for _ in range(2):
        world.resolve(record, world.challenge(record), False)
    assert world.disputes.stake_of(world.number(world.people.attester)) == 2 * BOND


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"dvi": 0}, "scores: the DVI must be from 1 to 100"),
        ({"dvi": 101}, "scores: the DVI must be from 1 to 100"),
        ({"accuracy": 101}, "scores: a score is over 100"),
        ({"units": 0}, "scores: units are out of range"),
        ({"method": NONE}, "scores: no method is named"),
        ({"asOf": 10**6}, "scores: the day of reference is missing or to come"),
    ],
)
def test_a_claim_out_of_range_is_refused(
    world: World, change: dict[str, Any], sentence: str
) -> None:
    record = world.record()
    with reverts(sentence):
        world.challenge(record, **change)
    assert world.disputes.dispute(record)["challenger"] == ZERO


def test_a_claim_of_nothing_is_all_zeros(world: World) -> None:
    record = world.record()
    world.challenge(record, **NOTHING)
    assert world.disputes.dispute(record)["claim"] == claim_hash(NOTHING)


def test_evidence_is_named(world: World) -> None:
    record = world.record()
    with reverts("disputes: no evidence is named"):
        world.disputes.challenge(record, world.scores(), NONE, sender=world.people.licensee)


def test_who_cannot_pay_the_bond_cannot_challenge(world: World) -> None:
    people = world.people
    record = world.record()
    with reverts("DUT: the account is not admitted"):
        world.challenge(record, sender=people.stranger)
    world.admit(people.patient)
    world.dut.approve(world.disputes.address, BOND, sender=people.patient)
    with pytest.raises(Exception, match="ERC20InsufficientBalance"):
        world.disputes.challenge(record, world.scores(), world.fresh(), sender=people.patient)
    assert world.disputes.dispute(record)["challenger"] == ZERO


def test_a_paused_contract_takes_no_money_and_returns_it(world: World) -> None:
    people = world.people
    old, new = world.record(), world.record()
    world.stake(MILLION)
    claim = world.challenge(old)
    world.disputes.pause(sender=people.guardian)
    assert world.evm.event("PauseChanged") == {"paused": True}
    assert world.disputes.terms()[2]
    with reverts("disputes: paused"):
        world.challenge(new)
    with reverts("disputes: paused"):
        world.disputes.stake(1, sender=people.attester)
    world.resolve(old, claim, True)
    world.disputes.withdraw(sender=people.licensee)
    with reverts("access: caller may not do this"):
        world.disputes.unpause(sender=people.guardian)
    world.as_timelock(world.disputes, "unpause")
    assert world.evm.event("PauseChanged") == {"paused": False}
    world.challenge(new)

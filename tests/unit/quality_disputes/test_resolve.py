"""R7: an arbitrator decides; the registry takes the claim, and the money goes where the rule says."""

from __future__ import annotations

import pytest
from support.world import DAY, DUT, NONE, RECORD_FIELDS, World, reverts, unpack

from medtoken.deploy.roles import Role

from .test_challenge import BOND, NOTHING

ATTESTER = 4


def capabilities(world: World) -> int:
    return int(world.registry.institution(world.number(world.people.attester))[1])


def facts(world: World, record: bytes) -> dict[str, int]:
    return unpack(world.registry.facts(record), RECORD_FIELDS)


def test_upheld_the_claim_takes_its_place_and_the_stake_is_the_challengers(world: World) -> None:
    people = world.people
    record, number = world.record(), world.number(people.attester)
    world.stake(250 * DUT)
    before, supply = facts(world, record), world.registry.supply(1)
    claim = world.challenge(record, completeness=50, annotation=31, dvi=40)
    world.resolve(record, claim, True)
    assert world.evm.events() == ["ChallengeResolved", "AttestationRevised"]
    assert world.evm.event("AttestationRevised") == {
        "record": record, "attester": number, "scores": claim, "quality": 40,
    }  # fmt: skip
    assert facts(world, record) == before | {"quality": 40, "dvi": 40, "attester": 0}
    assert world.registry.attester(record) == 0
    assert world.registry.supply(1) == supply
    assert world.disputes.credit_of(people.licensee) == 2 * BOND
    assert world.disputes.stake_of(number) == 150 * DUT
    assert capabilities(world) == ATTESTER, "whose stake covered the bond goes on attesting"
    assert world.dut.balanceOf(world.disputes.address) == 350 * DUT


@pytest.mark.parametrize("staked", [0, 99])
def test_an_attester_with_too_little_at_risk_loses_its_accreditation(
    world: World, staked: int
) -> None:
    people = world.people
    record, other = world.record(), world.register()
    if staked:
        world.stake(staked * DUT)
    claim = world.challenge(record)
    world.resolve(record, claim, True)
    assert world.evm.events() == [
        "ChallengeResolved", "AttestationRevised", "InstitutionChanged",
    ]  # fmt: skip
    assert capabilities(world) == 0
    assert world.disputes.credit_of(people.licensee) == BOND + staked * DUT
    with reverts("institutions: the caller is not accredited for this"):
        world.attest(other)
    world.accredit(people.attester, ATTESTER)
    world.attest(other)


def test_what_else_an_institution_may_do_stays(world: World) -> None:
    world.accredit(world.people.attester, 7)
    record = world.record()
    world.resolve(record, world.challenge(record), True)
    assert capabilities(world) == 3


def test_upheld_nothing_is_minted_or_burned_and_licences_keep_their_price(world: World) -> None:
    people = world.people
    consent = world.granted(floorPrice=0)
    record = consent.records
    ref = world.buy(consent)
    held, price = world.dct.balanceOf(people.patient), world.meter(ref)["price"]
    world.resolve(record, world.challenge(record, completeness=100, annotation=100, dvi=10), True)
    assert world.dct.balanceOf(people.patient) == held
    assert world.meter(ref)["price"] == price
    world.use(ref, 10)
    world.settle(ref)
    later = world.buy(consent, salt=1)
    assert world.meter(later)["price"] == price * 10 // 85, "who buys now pays for what it is worth"


def test_upheld_that_nothing_can_be_attested_the_record_waits_for_another_word(
    world: World,
) -> None:
    people = world.people
    record, supply = world.record(), world.registry.supply(1)
    held = world.dct.balanceOf(people.patient)
    claim = world.challenge(record, **NOTHING)
    world.resolve(record, claim, True)
    assert not world.registry.terms(record)["live"]
    assert facts(world, record)["dvi"] == facts(world, record)["quality"] == 0
    assert world.registry.supply(1) == supply - 1 == 0
    world.accredit(people.attester, ATTESTER)
    assert world.attest(record, completeness=100, annotation=100) == 0, "never minted twice (R1)"
    assert world.registry.terms(record)["live"]
    assert world.dct.balanceOf(people.patient) == held


def test_a_record_that_was_underrated_and_minted_nothing_mints_once(world: World) -> None:
    record = world.register()
    assert world.attest(record, completeness=0, annotation=0) == 0
    world.resolve(record, world.challenge(record, **NOTHING), True)
    world.accredit(world.people.attester, ATTESTER)
    assert world.attest(record) == 440 * DUT


def test_rejected_the_bond_is_the_attesters(world: World) -> None:
    people = world.people
    record, number = world.record(), world.number(people.attester)
    world.stake(250 * DUT)
    before = facts(world, record)
    world.resolve(record, world.challenge(record), False)
    assert world.evm.events() == ["ChallengeResolved"]
    event = world.evm.event("ChallengeResolved")
    assert (event["record"], event["upheld"]) == (record, False)
    assert facts(world, record) == before
    assert world.disputes.stake_of(number) == 350 * DUT
    assert world.disputes.credit_of(people.licensee) == 0
    world.disputes.unstake(350 * DUT, sender=people.attester)
    assert world.dut.balanceOf(world.disputes.address) == 0


def test_a_record_that_was_superseded_or_destroyed_meanwhile_is_still_judged(world: World) -> None:
    old = world.record()
    claim = world.challenge(old, **NOTHING)
    world.register(previous=old)
    supply = world.registry.supply(1)
    world.resolve(old, claim, True)
    assert world.registry.supply(1) == supply
    assert facts(world, old)["superseded"] == 1


def test_only_the_arbitrator_decides(world: World) -> None:
    people = world.people
    record = world.record()
    claim = world.challenge(record)
    for who in (
        people.stranger,
        people.attester,
        people.licensee,
        people.custodian,
        people.guardian,
    ):
        with reverts("access: caller may not do this"):
            world.disputes.resolve(record, claim, True, b"\1" * 32, sender=who)


def test_an_arbitrator_judges_neither_its_own_case_nor_as_an_institution(world: World) -> None:
    people = world.people
    record = world.record()
    world.admit(people.arbitrator)
    world.fund(people.arbitrator, BOND)
    claim = world.challenge(record, sender=people.arbitrator)
    with reverts("disputes: nobody judges their own case"):
        world.resolve(record, claim, True)
    other = world.record()
    claim = world.challenge(other)
    world.accredit(people.arbitrator, ATTESTER)
    with reverts("disputes: nobody judges their own case"):
        world.resolve(other, claim, True)


def test_what_is_decided_is_what_was_claimed_and_with_reasons(world: World) -> None:
    record = world.record()
    claim = world.challenge(record)
    with reverts("disputes: not what was claimed"):
        world.resolve(record, claim | {"dvi": 41}, True)
    with reverts("disputes: no reason is named"):
        world.disputes.resolve(record, claim, True, NONE, sender=world.people.arbitrator)
    with reverts("disputes: no challenge is open"):
        world.resolve(world.record(), claim, True)
    world.resolve(record, claim, True)
    with reverts("disputes: no challenge is open"):
        world.resolve(record, claim, True)


def test_nothing_is_decided_after_the_deadline(world: World) -> None:
    record, late = world.record(), world.record()
    claim, other = world.challenge(record), world.challenge(late)
    world.evm.warp(14 * DAY)
    world.resolve(record, claim, False)
    world.evm.warp(1)
    with reverts("disputes: the deadline has passed"):
        world.resolve(late, other, True)


def test_the_registry_takes_judgements_from_the_disputes_alone(world: World) -> None:
    people = world.people
    record, number = world.record(), world.number(people.attester)
    for who in (people.stranger, people.arbitrator, people.attester, people.operator):
        with reverts("access: caller may not do this"):
            world.registry.revise(record, world.scores(), sender=who)
        with reverts("access: caller may not do this"):
            world.registry.disqualify(number, sender=who)


def test_the_registry_refuses_what_is_no_judgement(world: World) -> None:
    court, record = world.new_actor(), world.record()
    world.as_timelock(world.manager, "grantRole", int(Role.DISPUTES), court, 0)
    with reverts("registry: the record has no attestation to revise"):
        world.registry.revise(world.register(), world.scores(), sender=court)
    with reverts("scores: the DVI must be from 1 to 100"):
        world.registry.revise(record, world.scores(dvi=0), sender=court)
    with reverts("scores: a score is over 100"):
        world.registry.revise(record, world.scores(volume=101), sender=court)
    with reverts("institutions: unknown institution"):
        world.registry.disqualify(77, sender=court)

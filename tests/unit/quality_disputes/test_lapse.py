"""R7: silence lets the attestation stand, and everybody gets their own back."""

from __future__ import annotations

from support.world import DAY, DUT, World, reverts

from .test_challenge import BOND


def test_after_the_deadline_anybody_closes_it(world: World) -> None:
    people = world.people
    record, number = world.record(), world.number(people.attester)
    world.stake(30 * DUT)
    world.challenge(record)
    world.evm.warp(14 * DAY + 1)
    word = world.registry.facts(record)
    world.disputes.lapse(record, sender=people.stranger)
    assert world.evm.event("ChallengeLapsed") == {"record": record}
    assert world.registry.facts(record) == word
    assert world.disputes.credit_of(people.licensee) == BOND
    assert world.disputes.stake_of(number) == 30 * DUT
    world.challenge(record)


def test_not_before_the_deadline_has_passed(world: World) -> None:
    record = world.record()
    world.challenge(record)
    world.evm.warp(14 * DAY)
    with reverts("disputes: the deadline has not passed"):
        world.disputes.lapse(record, sender=world.people.stranger)


def test_there_must_be_a_challenge_and_it_lapses_once(world: World) -> None:
    record = world.record()
    with reverts("disputes: no challenge is open"):
        world.disputes.lapse(record, sender=world.people.stranger)
    world.challenge(record)
    world.evm.warp(15 * DAY)
    world.disputes.lapse(record, sender=world.people.stranger)
    with reverts("disputes: no challenge is open"):
        world.disputes.lapse(record, sender=world.people.stranger)

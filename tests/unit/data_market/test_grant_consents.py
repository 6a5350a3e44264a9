"""R9: many consents in one transaction, all of them or none."""

from __future__ import annotations

import pytest
from support.world import World, reverts


def test_every_consent_of_a_batch_is_granted(world: World) -> None:
    people = world.people
    consents = [world.consent(world.fresh()) for _ in range(3)]
    consents.append(world.consent(world.fresh(), patient=str(people.other_patient)))
    signers = [people.patient] * 3 + [people.other_patient]
    world.market.grant_consents(
        [c.values() for c in consents],
        [c.sign(s.key, world.domain) for c, s in zip(consents, signers, strict=True)],
        sender=people.relay,
    )
    assert world.evm.events() == ["ConsentGranted"] * 4
    assert [log.args["consent"] for log in world.evm.logs] == [c.struct_hash() for c in consents]
    assert all(world.market.consent_word(c.struct_hash()) for c in consents)


def test_fifty_fit_and_an_empty_batch_changes_nothing(world: World) -> None:
    key = world.people.patient.key
    consents = [world.consent(world.fresh()) for _ in range(50)]
    signatures = [c.sign(key, world.domain) for c in consents]
    world.market.grant_consents([c.values() for c in consents], signatures)
    assert len(world.evm.logs) == 50
    world.market.grant_consents([], [])
    assert world.evm.logs == []


@pytest.mark.parametrize("signatures", [0, 1, 3])
def test_each_consent_needs_its_signature(world: World, signatures: int) -> None:
    key = world.people.patient.key
    consents = [world.consent(world.fresh()) for _ in range(2)]
    with reverts("consent: signatures are missing"):
        world.market.grant_consents(
            [c.values() for c in consents],
            [consents[0].sign(key, world.domain)] * signatures,
            sender=world.people.relay,
        )


def test_one_bad_signature_stops_the_whole_batch(world: World) -> None:
    consents = [world.consent(world.fresh()) for _ in range(2)]
    keys = (world.people.patient.key, world.people.stranger.key)
    with reverts("signature: not by its owner"):
        world.market.grant_consents(
            [c.values() for c in consents],
            [c.sign(k, world.domain) for c, k in zip(consents, keys, strict=True)],
            sender=world.people.stranger,
        )
    assert world.market.consent_word(consents[0].struct_hash()) == 0


def test_the_same_consent_twice_in_a_batch_is_granted_once(world: World) -> None:
    consent = world.consent(world.fresh())
    signature = consent.sign(world.people.patient.key, world.domain)
    world.market.grant_consents([consent.values()] * 2, [signature] * 2)
    assert world.evm.events() == ["ConsentGranted"]


def test_a_batch_that_passes_over_a_revoked_consent_does_not_revive_it(world: World) -> None:
    gone, new = world.granted(), world.consent(world.fresh())
    world.revoke(gone)
    word = world.market.consent_word(gone.struct_hash())
    signatures = [c.sign(world.people.patient.key, world.domain) for c in (gone, new)]
    world.market.grant_consents([gone.values(), new.values()], signatures)
    assert world.market.consent_word(gone.struct_hash()) == word
    assert world.evm.event("ConsentGranted")["consent"] == new.struct_hash()


def test_a_patient_who_sends_the_batch_signs_only_for_itself(world: World) -> None:
    people = world.people
    mine = world.consent(world.fresh())
    theirs = world.consent(world.fresh(), patient=str(people.other_patient))
    with reverts("signature: not by its owner"):
        world.market.grant_consents(
            [mine.values(), theirs.values()], [b"", b""], sender=people.patient
        )


def test_a_batch_is_not_spoiled_by_somebody_who_brings_one_of_it_first(world: World) -> None:
    consents = [world.consent(world.fresh()) for _ in range(2)]
    signatures = [c.sign(world.people.patient.key, world.domain) for c in consents]
    stranger = world.people.stranger
    world.market.grant_consent(consents[0].values(), signatures[0], sender=stranger)
    world.market.grant_consents([c.values() for c in consents], signatures)
    assert world.market.consent_word(consents[1].struct_hash()) != 0

"""R9: a consent that was signed and not yet brought is cancelled, so that it never can be brought."""

from __future__ import annotations

from support.world import CONSENT_FIELDS, World, pack, reverts

from medtoken.messages import Revocation


def test_a_cancelled_consent_leaves_a_tombstone(world: World) -> None:
    consent = world.consent(world.record())
    signature = Revocation(consent.struct_hash()).sign(world.people.patient.key, world.domain)
    world.market.cancel_consent(consent.values(), signature, sender=world.people.relay)
    assert world.evm.events() == ["ConsentRevoked"]
    assert world.market.consent_word(consent.struct_hash()) == pack(
        CONSENT_FIELDS, patient=int(consent.patient, 16), expiry=0, revoked=world.now, share=0
    )


def test_it_can_never_be_granted_again(world: World) -> None:
    consent = world.consent(world.record())
    world.market.cancel_consent(consent.values(), b"", sender=world.people.patient)
    with reverts("consent: it was on chain before"):
        world.grant(consent)
    with reverts("consent: it was revoked"):
        world.buy(consent)


def test_it_cannot_be_cancelled_or_revoked_twice(world: World) -> None:
    consent = world.consent(world.record())
    world.market.cancel_consent(consent.values(), b"", sender=world.people.patient)
    with reverts("consent: it was on chain before"):
        world.market.cancel_consent(consent.values(), b"", sender=world.people.patient)
    with reverts("consent: it was revoked"):
        world.revoke(consent)


def test_one_on_the_chain_is_revoked_instead(world: World) -> None:
    consent = world.granted()
    with reverts("consent: it was on chain before"):
        world.market.cancel_consent(consent.values(), b"", sender=world.people.patient)


def test_when_a_relay_grants_first_the_same_signature_still_revokes(world: World) -> None:
    consent = world.consent(world.record())
    signature = Revocation(consent.struct_hash()).sign(world.people.patient.key, world.domain)
    world.grant(consent)
    world.market.revoke_consent(consent.struct_hash(), signature, sender=world.people.relay)
    with reverts("consent: it was revoked"):
        world.buy(consent)


def test_a_stranger_cannot_cancel_for_a_patient(world: World) -> None:
    consent = world.consent(world.record())
    stranger = world.people.stranger
    signature = Revocation(consent.struct_hash()).sign(stranger.key, world.domain)
    for proof in (b"", signature):
        with reverts("signature: not by its owner"):
            world.market.cancel_consent(consent.values(), proof, sender=stranger)
    assert world.grant(consent)


def test_terms_that_name_the_stranger_as_patient_cancel_another_consent(world: World) -> None:
    consent = world.consent(world.record())
    forged = consent.values() | {"patient": str(world.people.stranger)}
    world.market.cancel_consent(forged, b"", sender=world.people.stranger)
    assert world.grant(consent)


def test_an_expired_or_malformed_consent_can_be_cancelled_all_the_same(world: World) -> None:
    consent = world.consent(world.fresh(), expiry=1, deadline=1, patientShare=2**256 - 1)
    world.market.cancel_consent(consent.values(), b"", sender=world.people.patient)
    assert world.market.consent_word(consent.struct_hash()) >> 240 == 0


def test_it_goes_through_while_the_market_is_paused(world: World) -> None:
    world.market.pause(sender=world.people.guardian)
    consent = world.consent(world.record())
    world.market.cancel_consent(consent.values(), b"", sender=world.people.patient)
    assert world.evm.events() == ["ConsentRevoked"]

"""R9: a patient takes a consent back, at once, through any relay or without one."""

from __future__ import annotations

from support.world import CONSENT_FIELDS, YEAR, World, reverts, unpack

from medtoken.messages import Revocation


def test_a_relayed_revocation_stores_its_second_beside_the_rest(world: World) -> None:
    consent = world.granted()
    consent_id = consent.struct_hash()
    before = unpack(world.market.consent_word(consent_id), CONSENT_FIELDS)
    world.evm.warp(7)
    world.revoke(consent)
    assert world.evm.events() == ["ConsentRevoked"]
    assert world.evm.event("ConsentRevoked") == {
        "consent": consent_id,
        "patient": consent.patient,
    }
    after = unpack(world.market.consent_word(consent_id), CONSENT_FIELDS)
    assert after == before | {"revoked": world.now}


def test_the_patient_may_send_it_without_a_signature(world: World) -> None:
    consent = world.granted()
    world.market.revoke_consent(consent.struct_hash(), b"", sender=world.people.patient)
    with reverts("consent: it was revoked"):
        world.buy(consent)


def test_a_stranger_cannot_revoke(world: World) -> None:
    consent = world.granted()
    people = world.people
    signature = Revocation(consent.struct_hash()).sign(people.stranger.key, world.domain)
    for who in (people.stranger, people.licensee, people.custodian, people.operator):
        for proof in (b"", signature):
            with reverts("signature: not by its owner"):
                world.market.revoke_consent(consent.struct_hash(), proof, sender=who)
    assert world.buy(consent)


def test_a_signed_revocation_of_one_consent_is_none_of_another(world: World) -> None:
    first, second = world.granted(), world.granted()
    signature = Revocation(first.struct_hash()).sign(world.people.patient.key, world.domain)
    with reverts("signature: not by its owner"):
        world.market.revoke_consent(second.struct_hash(), signature)


def test_an_unknown_consent_cannot_be_revoked(world: World) -> None:
    with reverts("consent: unknown consent"):
        world.market.revoke_consent(world.fresh(), b"", sender=world.people.patient)


def test_it_cannot_be_replayed(world: World) -> None:
    consent = world.granted()
    world.revoke(consent)
    world.evm.warp(1)
    with reverts("consent: it was revoked"):
        world.revoke(consent)


def test_it_never_expires_and_works_after_the_consent_has(world: World) -> None:
    consent = world.granted()
    world.evm.warp(3 * YEAR)
    world.revoke(consent)
    assert unpack(world.market.consent_word(consent.struct_hash()), CONSENT_FIELDS)["revoked"]


def test_it_goes_through_while_the_market_is_paused(world: World) -> None:
    consent = world.granted()
    world.market.pause(sender=world.people.guardian)
    world.revoke(consent)
    assert world.evm.events() == ["ConsentRevoked"]


def test_every_later_use_and_purchase_is_refused_in_the_same_second(world: World) -> None:
    consent = world.granted()
    ref = world.buy(consent)
    world.use(ref)
    world.revoke(consent)
    assert not world.view.is_valid(ref, 1)
    with reverts("consent: it was revoked"):
        world.use(ref)
    with reverts("consent: it was revoked"):
        world.buy(consent, salt=1)


def test_the_timelock_cannot_revoke_for_a_patient(world: World) -> None:
    consent = world.granted()
    with reverts("signature: not by its owner"):
        world.as_timelock(world.market, "revoke_consent", consent.struct_hash(), b"")

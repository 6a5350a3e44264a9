"""R9: a consent is signed once by its patient, brought by anybody, and kept as one word."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.world import CONSENT_FIELDS, NONE, YEAR, ZERO, World, pack, reverts

EMPTY = "consent: part of it is empty"
SHARE = "consent: share out of bounds"
FLOOR = "consent: floor out of bounds"
LATE = "consent: signature is too late"
EXPIRED = "consent: it has expired"
TWICE = "consent: it was on chain before"


def test_a_relayed_consent_is_stored_as_one_word_and_told_in_full(world: World) -> None:
    consent = world.consent(world.record())
    consent_id = world.grant(consent)
    assert consent_id == consent.struct_hash()
    assert world.market.consent_word(consent_id) == pack(
        CONSENT_FIELDS,
        patient=int(consent.patient, 16),
        expiry=consent.expiry,
        revoked=0,
        share=consent.patientShare,
    )
    assert world.evm.events() == ["ConsentGranted"]
    assert world.evm.event("ConsentGranted") == {
        "consent": consent_id,
        "patient": consent.patient,
        "terms": consent.values(),
    }


def test_the_patient_may_send_it_without_a_signature(world: World) -> None:
    consent = world.consent(world.record())
    world.market.grant_consent(consent.values(), b"", sender=world.people.patient)
    assert world.market.consent_word(consent.struct_hash()) != 0


def test_a_stranger_cannot_grant_for_a_patient(world: World) -> None:
    consent = world.consent(world.record())
    stranger = world.people.stranger
    for signature in (b"", consent.sign(stranger.key, world.domain)):
        with reverts("signature: not by its owner"):
            world.market.grant_consent(consent.values(), signature, sender=stranger)
    assert world.market.consent_word(consent.struct_hash()) == 0


@pytest.mark.parametrize(
    "field", ["patient", "records", "purposes", "licensees", "fields", "region", "tier"]
)
def test_zero_in_a_field_of_scope_denies(world: World, field: str) -> None:
    empty = {"patient": ZERO, "records": NONE, "fields": NONE}.get(field, 0)
    consent = replace(world.consent(world.fresh()), **{field: empty})
    with reverts(EMPTY):
        world.market.grant_consent(consent.values(), b"", sender=world.people.patient)


@pytest.mark.parametrize("field", ["patientShare", "expiry", "deadline"])
def test_zero_in_a_number_denies(world: World, field: str) -> None:
    sentence = {"patientShare": SHARE, "expiry": EXPIRED, "deadline": LATE}[field]
    with reverts(sentence):
        world.grant(world.consent(world.fresh(), **{field: 0}))


@pytest.mark.parametrize("share", [7_000, 7_500, 8_000])
def test_a_share_within_r8_is_kept(world: World, share: int) -> None:
    consent = world.granted(patientShare=share)
    assert world.market.consent_word(consent.struct_hash()) >> 240 == share


@pytest.mark.parametrize("share", [6_999, 8_001, 10_000, 2**16 + 7_500, 2**256 - 1])
def test_a_share_outside_r8_is_refused(world: World, share: int) -> None:
    with reverts(SHARE):
        world.grant(world.consent(world.fresh(), patientShare=share))


@pytest.mark.parametrize("floor", [0, 10**9, (2**64 - 1) * 10**9])
def test_a_floor_on_the_grain_is_accepted(world: World, floor: int) -> None:
    assert world.grant(world.consent(world.fresh(), floorPrice=floor))


@pytest.mark.parametrize("floor", [1, 10**9 - 1, 10**9 + 1, 2**64 * 10**9, 2**256 - 1])
def test_a_floor_off_the_grain_or_over_64_bits_of_it_is_refused(world: World, floor: int) -> None:
    with reverts(FLOOR):
        world.grant(world.consent(world.fresh(), floorPrice=floor))


def test_the_deadline_second_is_still_in_time_and_the_next_is_not(world: World) -> None:
    on_time = world.consent(world.fresh(), deadline=world.now + 100)
    too_late = world.consent(world.fresh(), deadline=world.now + 99)
    world.evm.warp(100)
    assert world.grant(on_time)
    with reverts(LATE):
        world.grant(too_late)


def test_a_consent_that_expires_this_second_is_refused_and_the_next_accepted(world: World) -> None:
    with reverts(EXPIRED):
        world.grant(world.consent(world.fresh(), expiry=world.now))
    assert world.grant(world.consent(world.fresh(), expiry=world.now + 1))


@pytest.mark.parametrize("expiry", [2**40, 2**40 + 2_000_000_000, 2**216, 2**256 - 1])
def test_an_expiry_over_40_bits_cannot_spill_into_the_time_of_revocation(
    world: World, expiry: int
) -> None:
    with reverts(EXPIRED):
        world.grant(world.consent(world.fresh(), expiry=expiry))


def test_the_largest_values_stay_in_their_own_bits(world: World) -> None:
    consent = world.consent(
        world.fresh(),
        purposes=2**256 - 1,
        diseases=b"\xff" * 32,
        licensees=2**256 - 1,
        fields=b"\xff" * 32,
        region=2**256 - 1,
        tier=2**256 - 1,
        patientShare=8_000,
        floorPrice=(2**64 - 1) * 10**9,
        expiry=2**40 - 1,
        nonce=2**256 - 1,
        deadline=2**256 - 1,
    )
    assert world.market.consent_word(world.grant(consent)) == pack(
        CONSENT_FIELDS,
        patient=int(consent.patient, 16),
        expiry=2**40 - 1,
        revoked=0,
        share=8_000,
    )


def test_a_consent_cannot_be_brought_twice(world: World) -> None:
    consent = world.granted()
    with reverts(TWICE):
        world.grant(consent)


def test_a_revoked_consent_cannot_be_granted_again(world: World) -> None:
    consent = world.granted(deadline=2**40)
    world.revoke(consent)
    world.evm.warp(1)
    with reverts(TWICE):
        world.grant(consent)
    with reverts(TWICE):
        world.market.grant_consent(consent.values(), b"", sender=world.people.patient)


def test_another_nonce_makes_another_consent(world: World) -> None:
    record = world.record()
    first, second = world.consent(record, nonce=1), world.consent(record, nonce=2)
    assert world.grant(first) != world.grant(second)


def test_granting_anew_revives_no_licence_of_the_old_consent(world: World) -> None:
    record = world.record()
    old = world.granted(record)
    ref = world.buy(old)
    world.revoke(old)
    world.granted(record)
    assert not world.view.is_valid(ref, 1)
    with reverts("consent: it was revoked"):
        world.use(ref)


def test_it_can_be_granted_while_the_market_is_paused(world: World) -> None:
    world.market.pause(sender=world.people.guardian)
    assert world.grant(world.consent(world.fresh(), expiry=world.now + YEAR))


def test_dirty_bits_above_an_address_are_refused(world: World) -> None:
    consent = world.consent(world.fresh())
    data = bytearray(world.market.abi.call("grant_consent", consent.values(), b""))
    assert data[16:36] == bytes.fromhex(consent.patient[2:])
    data[15] = 1
    with reverts("the contract refused and gave no reason"):
        world.evm.transact(world.people.patient, world.market.address, bytes(data))

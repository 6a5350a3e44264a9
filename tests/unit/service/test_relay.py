"""The relay brings what is well formed and signed for this market, once, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from support.service import Live, serving
from support.vyper_source import runtime_code
from support.world import DUT, Actor, World

from medtoken.messages import Consent, Domain, Revocation
from medtoken.service import wire

CONSENTS = "/v1/relay/consents"
REVOCATIONS = "/v1/relay/revocations"
WITHDRAWALS = "/v1/relay/withdrawals"


def signed(consent: Consent, signer: Actor, domain: Domain) -> dict[str, Any]:
    signature = consent.sign(signer.key, domain)
    return {"message": wire.plain(consent), "signature": "0x" + signature.hex()}


def revocation(consent: bytes, signer: Actor, domain: Domain) -> dict[str, Any]:
    signature = Revocation(consent).sign(signer.key, domain)
    return {"consent": "0x" + consent.hex(), "signature": "0x" + signature.hex()}


def test_who_has_brought_much_can_still_take_back(world: World, patient: Actor) -> None:
    live = serving(world, an_hour=2)
    record = world.record()
    live.service.watching.look()
    consents = [world.consent(record) for _ in range(3)]
    for consent in consents[:2]:
        live.raw("POST", CONSENTS, signed(consent, patient, world.domain)).ok()
    body = signed(consents[2], patient, world.domain)
    assert "for this account" in live.refused(429, "POST", CONSENTS, body)
    for consent in consents[:2]:
        body = revocation(consent.struct_hash(), patient, world.domain)
        live.raw("POST", REVOCATIONS, body).ok()
    assert live.carried.sent.count("revoke_consent") == 2


def test_all_together_have_a_limit_too(
    world: World, patient: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medtoken.service.relay._ALL", 1)
    live = serving(world, an_hour=1)
    consent = world.granted(world.record())
    live.service.watching.look()
    fresh = world.consent(consent.records)
    live.raw("POST", CONSENTS, signed(fresh, patient, world.domain)).ok()
    body = revocation(consent.struct_hash(), patient, world.domain)
    assert "send it from your wallet" in live.refused(429, "POST", REVOCATIONS, body)


def test_a_consent_is_drafted_signed_brought_and_taken_back(
    live: Live, world: World, patient: Actor
) -> None:
    record = world.record()
    live.service.watching.look()
    draft = {
        "record": "0x" + record.hex(),
        "purposes": ["HMB", "NCU"],
        "licensees": ["research"],
        "region": "TW",
        "fields": "de-identified",
        "floor": str(50 * DUT),
        "share": 7500,
        "days": 365,
    }
    unsigned = live.raw("POST", "/v1/drafts/consents", draft).ok()
    fields = unsigned["typed_data"]["message"]
    consent = wire.consent_of(fields)
    assert unsigned["text"] == consent.render()
    assert unsigned["id"] == "0x" + consent.struct_hash().hex()
    assert unsigned["typed_data"]["domain"]["verifyingContract"] == world.market.address
    assert consent.patient == patient
    # What a wallet signs is what is described.
    from eth_account import Account
    from eth_account.messages import encode_typed_data

    signable = encode_typed_data(full_message=unsigned["typed_data"])
    signature = Account.sign_message(signable, patient.key).signature
    body = {"message": fields, "signature": "0x" + bytes(signature).hex()}
    granted = live.raw("POST", CONSENTS, body).ok()
    assert granted["consent"] == unsigned["id"]
    assert granted["at"]["block"] == len(world.evm.times) - 1  # type: ignore[attr-defined]
    assert live.get(f"/v1/consents/{unsigned['id']}")["state"] == "live"

    asked = live.get(f"/v1/consents/{unsigned['id']}/revocation")
    assert asked["text"] == Revocation(consent.struct_hash()).render()
    back = revocation(consent.struct_hash(), patient, world.domain)
    revoked = live.raw("POST", REVOCATIONS, back).ok()
    assert revoked["at"]["block"] == len(world.evm.times) - 1  # type: ignore[attr-defined]
    assert live.get(f"/v1/consents/{unsigned['id']}")["state"] == "revoked"
    assert live.carried.sent == ["grant_consent", "revoke_consent"]


def test_the_same_again_changes_nothing(live: Live, world: World, patient: Actor) -> None:
    consent = world.consent(world.record())
    live.service.watching.look()
    body = signed(consent, patient, world.domain)
    first = live.raw("POST", CONSENTS, body).ok()
    world.evm.warp(7200)  # the deadline has passed by now
    world.record()
    live.service.watching.look()
    assert live.raw("POST", CONSENTS, body).ok() == first
    back = revocation(consent.struct_hash(), patient, world.domain)
    assert live.raw("POST", REVOCATIONS, back).ok() == live.raw("POST", REVOCATIONS, back).ok()
    assert live.carried.sent == ["grant_consent", "revoke_consent"]


def test_a_withdrawal_is_paid_once(live: Live, world: World, patient: Actor) -> None:
    world.earn()
    live.service.watching.look()
    message = world.withdrawal(patient, 5 * DUT)
    body = {
        "message": wire.plain(message),
        "signature": "0x" + message.sign(patient.key, world.domain).hex(),
    }
    assert live.raw("POST", WITHDRAWALS, body).ok()["amount"] == str(5 * DUT)
    assert world.dut.balanceOf(patient) == 5 * DUT
    assert "signature" in live.refused(409, "POST", WITHDRAWALS, body).lower()
    stranger = world.withdrawal(world.people.stranger, DUT)
    body = {"message": wire.plain(stranger), "signature": "0x" + "11" * 65}
    assert "earned nothing" in live.refused(409, "POST", WITHDRAWALS, body)


def test_what_is_not_for_this_market_or_not_theirs_is_refused(
    live: Live, world: World, patient: Actor
) -> None:
    p, record = world.people, world.record()
    good = world.consent(record)
    other = Domain(world.domain.chain_id, str(world.treasury.address))
    elsewhere = Domain(1, world.domain.market)
    cases = [
        (signed(good, patient, other), 409, "not for this market"),
        (signed(good, patient, elsewhere), 409, "not for this market"),
        (signed(good, p.stranger, world.domain), 409, "not by the account"),
        (
            signed(world.consent(record, patient=str(p.stranger)), p.stranger, world.domain),
            409,
            "belongs to somebody else",
        ),
        (
            signed(world.consent(b"\7" * 32, patient=str(p.stranger)), p.stranger, world.domain),
            409,
            "patients of this market",
        ),
        (signed(world.consent(record, purposes=1 << 46), patient, world.domain), 400, "purpose"),
        (
            signed(world.consent(record, deadline=world.now - 1), patient, world.domain),
            400,
            "deadline",
        ),
        (signed(world.consent(record, patientShare=9000), patient, world.domain), 400, "70 to 80"),
        ({**signed(good, patient, world.domain), "signature": "0x1234"}, 409, "well-formed"),
        ({**signed(good, patient, world.domain), "signature": "1234"}, 400, "hexadecimal"),
        ({"message": {}, "signature": "0x"}, 400, "fields"),
        ({"message": {**wire.plain(good), "expiry": "-1"}, "signature": "0x"}, 400, "amount"),
        (
            {"message": {**wire.plain(good), "expiry": 2**300}, "signature": "0x"},
            400,
            "does not fit",
        ),
        ({"message": {**wire.plain(good), "records": 5}, "signature": "0x"}, 400, "text"),
    ]
    for body, status, sentence in cases:
        assert sentence in live.refused(status, "POST", CONSENTS, body)
    consent = world.granted()
    stranger = revocation(consent.struct_hash(), p.stranger, world.domain)
    assert "not by the account" in live.refused(409, "POST", REVOCATIONS, stranger)
    unknown = revocation(b"\5" * 32, patient, world.domain)
    assert "no such consent" in live.refused(400, "POST", REVOCATIONS, unknown)
    assert live.carried.sent == []


def test_only_so_much_is_brought_for_one_patient(world: World, patient: Actor) -> None:
    live = serving(world, an_hour=2)
    record = world.record()
    live.service.watching.look()
    for _ in range(2):
        live.raw("POST", CONSENTS, signed(world.consent(record), patient, world.domain)).ok()
    body = signed(world.consent(record), patient, world.domain)
    assert "last hour" in live.refused(429, "POST", CONSENTS, body)
    # Somebody else is not in the way.
    other = world.people.other_patient
    theirs = world.record(owner=other, sender=world.people.other_custodian)
    live.service.watching.look()
    consent = world.consent(theirs, patient=str(other))
    live.raw("POST", CONSENTS, signed(consent, other, world.domain)).ok()


def test_a_smart_wallets_signature_is_left_to_the_chain(world: World) -> None:
    wallet = "0x00000000000000000000000000000000000A11cE"
    code = runtime_code(world.evm, "KeyWallet", ["address"], str(world.people.patient))
    world.evm.insert_code(wallet, code)
    live = serving(world)
    record = world.record(owner=wallet)
    live.service.watching.look()
    consent = world.consent(record, patient=wallet)
    bad = signed(consent, world.people.stranger, world.domain)
    assert "signature" in live.refused(409, "POST", CONSENTS, bad).lower()
    live.raw("POST", CONSENTS, signed(consent, world.people.patient, world.domain)).ok()


def test_without_a_relay_the_patient_sends(world: World, patient: Actor) -> None:
    live = serving(world, relay=False)
    body = signed(world.consent(world.record()), patient, world.domain)
    assert "from your wallet" in live.refused(400, "POST", CONSENTS, body)


@pytest.mark.parametrize("path", [CONSENTS, REVOCATIONS, WITHDRAWALS, "/v1/drafts/consents"])
def test_only_json_of_the_right_shape_and_size_is_read(live: Live, path: str) -> None:
    for body in (b"", b"no", b"[]", b"{}", b"\xff", b"[" * 3000, b'{"message":1}'):
        live.refused(400, "POST", path, body)
    assert "application/json" in live.refused(
        400, "POST", path, b"{}", headers={"content-type": "text/plain"}
    )
    assert "at most" in live.refused(400, "POST", path, b" " * 20_000)

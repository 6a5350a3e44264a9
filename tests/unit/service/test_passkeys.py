"""R10 through the service: what is asked of a patient, and what the relay brings of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.authenticator import Authenticator
from support.service import Live
from support.world import DAY, DUT, Actor, World

from medtoken.messages import (
    Consent,
    Domain,
    LicenceApproval,
    Message,
    PasskeyCancellation,
    PasskeyChange,
)
from medtoken.passkeys import encoded

PHONE, OTHER = Authenticator(41), Authenticator(42)
CHANGES, CANCELLATIONS = "/v1/relay/passkeys", "/v1/relay/passkey-cancellations"
APPROVALS = "/v1/relay/approvals"


def plain(message: Message) -> dict[str, Any]:
    return {
        name: "0x" + value.hex()
        if isinstance(value, bytes)
        else value
        if isinstance(value, (bool, str))
        else str(value)
        for name, value in message.values().items()
    }


def change(world: World, passkey: dict[str, bytes], patient: Actor, **wrong: Any) -> dict[str, Any]:
    nonce = int(world.passkeys.state_word(patient)) >> 72
    values = {"patient": str(patient), **passkey, "nonce": nonce, "deadline": world.now + 60}
    message = PasskeyChange(**(values | wrong))
    signature = message.sign(patient.key, world.passkey_domain)
    return {"message": plain(message), "signature": "0x" + signature.hex()}


def approval(message: LicenceApproval, phone: Authenticator, domain: Domain, **wrong: Any) -> Any:
    data, client, signature = phone.raw(message.digest(domain), **wrong)
    return {
        "message": plain(message),
        "assertion": {
            "authenticatorData": encoded(data),
            "clientDataJSON": encoded(client),
            "signature": encoded(signature),
        },
    }


def refused(live: Live, path: str, body: Any) -> str:
    """The one sentence of a refusal, after which nothing was sent."""
    live.service.watching.look()
    before = list(live.carried.sent)
    answer = live.raw("POST", path, body)
    assert answer.status in (400, 409)
    assert live.carried.sent == before
    return str(answer.json()["detail"])


def requested(world: World, **changes: Any) -> tuple[Consent, dict[str, Any]]:
    consent = world.granted(world.record(tier=3), tier=3)
    order = world.order(consent, **({"maxPrice": 100 * DUT} | changes))
    world.passkeys.request(consent.struct_hash(), order, sender=world.people.licensee)
    return consent, order


def test_enrolled_asked_approved(live: Live, world: World, patient: Actor) -> None:
    consent, order = requested(world)
    live.service.watching.look()
    where = f"/v1/patients/{patient}/passkey"
    assert live.get(where)["passkey"] is None
    live.raw("POST", CHANGES, change(world, PHONE.values(), patient)).ok()
    told = live.get(where)
    assert told["passkey"]["x"] == "0x" + PHONE.passkey.x.hex()
    assert (told["change"], told["since"], told["nonce"]) == (None, 0, 1)
    (asked,) = told["requests"]
    assert asked["licensee"] == str(world.people.licensee)
    assert asked["who"]["groups"] == ["pharma"]
    assert asked["order"] == {
        name: "0x" + v.hex() if isinstance(v, bytes) else v if isinstance(v, bool) else str(v)
        for name, v in order.items()
    }
    assert asked["approved_until"] is None
    message = world.approval(consent, order)
    live.raw("POST", APPROVALS, approval(message, PHONE, world.passkey_domain)).ok()
    mine = live.get(f"/v1/licensees/{world.people.licensee}/requests")["requests"]
    assert [one["approved_until"] for one in mine] == [message.deadline]
    world.market.buy_licence(order, consent.values(), [], sender=world.people.licensee)
    assert live.get(where)["requests"] == []


def test_a_change_is_told_and_cancelled(live: Live, world: World, patient: Actor) -> None:
    world.record()
    world.change_passkey(PHONE.values())
    live.service.watching.look()
    live.raw("POST", CHANGES, change(world, OTHER.values(), patient)).ok()
    told = live.get(f"/v1/patients/{patient}/passkey")
    assert told["change"]["x"] == "0x" + OTHER.passkey.x.hex()
    assert told["since"] == world.now + told["delay"]
    message = PasskeyCancellation(str(patient), told["nonce"])
    for signer, status in ((world.people.stranger, 409), (patient, 200)):
        signature = message.sign(signer.key, world.passkey_domain)
        body = {"message": plain(message), "signature": "0x" + signature.hex()}
        assert live.raw("POST", CANCELLATIONS, body).status == status
    assert live.get(f"/v1/patients/{patient}/passkey")["change"] is None
    assert refused(live, CANCELLATIONS, body).startswith("This was signed for another")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"flags": 1}, "not verified"),
        ({"host": "evil.example"}, "another site"),
        ({"kind": "webauthn.create"}, "navigator.credentials.get"),
        ({"data": b""}, "another site"),
    ],
    ids=str,
)
def test_what_the_chain_would_refuse_costs_no_gas(
    live: Live, world: World, patient: Actor, wrong: dict[str, Any], why: str
) -> None:
    consent, order = requested(world)
    world.change_passkey(PHONE.values())
    message = world.approval(consent, order)
    body = approval(message, PHONE, world.passkey_domain, **wrong)
    assert why in refused(live, APPROVALS, body)
    body = approval(message, OTHER, world.passkey_domain)
    assert "not valid" in refused(live, APPROVALS, body)
    body = approval(message, PHONE, world.domain)
    assert "another question" in refused(live, APPROVALS, body)
    assert live.carried.sent == []


def test_only_what_was_asked_is_brought(live: Live, world: World, patient: Actor) -> None:
    consent, order = requested(world)
    asked = world.approval(consent, order)
    body = approval(asked, PHONE, world.passkey_domain)
    assert "no passkey" in refused(live, APPROVALS, body)
    world.change_passkey(PHONE.values())
    for other in (
        world.approval(consent, order | {"units": 11}),
        world.approval(consent, order, str(world.people.other_licensee)),
        replace(asked, consent=bytes(32)),
    ):
        body = approval(other, PHONE, world.passkey_domain)
        assert "asked for this" in refused(live, APPROVALS, body)
    world.evm.warp(2 * DAY)
    world.record()  # a block, so that the service knows the time
    body = approval(asked, PHONE, world.passkey_domain)
    assert "deadline" in refused(live, APPROVALS, body)
    world.revoke(consent)
    fresh = world.approval(consent, order)
    body = approval(fresh, PHONE, world.passkey_domain)
    assert "asked for this" in refused(live, APPROVALS, body)
    assert live.carried.sent == []


def test_a_patient_reads_only_what_could_be_bought(
    live: Live, world: World, patient: Actor
) -> None:
    consent, order = requested(world)
    identity = consent.struct_hash()
    for who, changes in (
        (world.people.stranger, {}),
        (world.people.licensee, {"purposes": 1 << 42}),
        (world.people.licensee, {"end": consent.expiry + 1}),
        (world.people.licensee, {"record": world.record()}),
        (world.people.licensee, {"agreement": bytes(32)}),
    ):
        world.passkeys.request(identity, order | {"salt": 5 << 160} | changes, sender=who)
    world.passkeys.request(bytes(32), order, sender=world.people.licensee)
    assert len(live.get(f"/v1/patients/{patient}/passkey")["requests"]) == 1


def test_of_strangers_no_passkey_is_brought(live: Live, world: World, patient: Actor) -> None:
    body = change(world, PHONE.values(), world.people.stranger)
    assert "of this market" in refused(live, CHANGES, body)
    world.record()
    for wrong in ({"nonce": 1}, {"deadline": 1}):
        body = change(world, PHONE.values(), patient, **wrong)
        refused(live, CHANGES, body)
    body = change(world, PHONE.values(), patient) | {"signature": "0x" + "11" * 65}
    refused(live, CHANGES, body)
    assert live.carried.sent == []

"""R10: for each licence of highly sensitive data a fresh, verified assertion over exactly that order."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.authenticator import BACKED_UP, ELIGIBLE, PRESENT, VERIFIED, Authenticator
from support.world import DAY, DUT, FIXED, NONE, World, reverts

from medtoken.messages import Consent, Domain
from medtoken.passkeys import encoded

PHONE, OTHER, KEY = Authenticator(7), Authenticator(8), 9
NEEDED = "licence: patient's passkey needed"
INVALID = "passkey: assertion is not valid"


@pytest.fixture
def enrolled(world: World) -> World:
    world.change_passkey(PHONE.values())
    return world


def sensitive(world: World, **changes: Any) -> tuple[Consent, dict[str, Any]]:
    """A consent to highly sensitive data, and an order under it."""
    consent = world.granted(world.record(tier=3), tier=3)
    return consent, world.order(consent, **({"maxPrice": 1_000 * DUT} | changes))


def buy(world: World, consent: Consent, order: dict[str, Any], sender: str | None = None) -> None:
    buyer = sender or world.people.licensee
    world.market.buy_licence(order, consent.values(), [], sender=buyer)


def test_no_unit_more_than_was_approved_is_bought(enrolled: World) -> None:
    world = enrolled
    consent, order = sensitive(world, form=2, units=5)
    world.approve(world.approval(consent, order), PHONE)
    buy(world, consent, order)
    licensee = str(world.people.licensee)
    ref = {"consent": consent.struct_hash(), "record": consent.records, "licensee": licensee}
    with reverts("licence: it takes no more units"):
        world.market.top_up(ref | {"salt": order["salt"]}, 1, sender=licensee)


def test_what_was_approved_is_bought_once(enrolled: World) -> None:
    world = enrolled
    consent, order = sensitive(world)
    with reverts(NEEDED):
        buy(world, consent, order)
    message = world.approval(consent, order)
    world.approve(message, PHONE)
    assert world.evm.event("LicenceApproved") == {
        "patient": consent.patient,
        "consent": consent.struct_hash(),
        "licensee": str(world.people.licensee),
        "order": order,
        "deadline": world.now + DAY,
        "counter": 0,
    }
    args = (consent.patient, consent.struct_hash(), world.people.licensee, order)
    assert world.passkeys.approved_until(*args) == message.deadline
    assert world.passkeys.require_approved(*args)
    buy(world, consent, order)
    with reverts("licence: bought before"):
        buy(world, consent, order)


@pytest.mark.parametrize(
    "changes",
    [
        {"units": 11},
        {"units": 9},
        {"form": FIXED, "units": 0},
        {"maxPrice": 1_000 * DUT + 1},
        {"salt": 1 << 160},
        {"salt": 1},
        {"urgent": True},
        {"purposes": 1 << 6 | 1 << 45 | 1 << 46},
        {"diseases": b"\1" * 32},
    ],
    ids=str,
)
def test_any_other_order_is_refused(enrolled: World, changes: dict[str, Any]) -> None:
    world = enrolled
    consent, order = sensitive(world)
    world.declare()
    world.approve(world.approval(consent, order), PHONE)
    with reverts(NEEDED):
        buy(world, consent, order | changes)
    with reverts(NEEDED):
        buy(world, consent, order | {"end": order["end"] + 1})


def test_another_licensee_consent_record_or_patient_is_refused(enrolled: World) -> None:
    world, p = enrolled, enrolled.people
    consent, order = sensitive(world)
    world.approve(world.approval(consent, order), PHONE)
    with reverts(NEEDED):
        buy(world, consent, order, sender=p.other_licensee)
    again = world.granted(consent.records, tier=3)
    with reverts(NEEDED):
        buy(world, again, order)
    other, other_order = sensitive(world)
    with reverts(NEEDED):
        buy(world, other, other_order)
    theirs = world.consent(world.record(tier=3, owner=p.other_patient), tier=3)
    theirs = Consent(**(theirs.values() | {"patient": str(p.other_patient)}))
    world.grant(theirs, p.other_patient)
    asked = world.order(theirs, maxPrice=1_000 * DUT)
    with reverts("passkey: none is enrolled"):
        world.approve(world.approval(theirs, asked), PHONE)
    # The patient of one record cannot approve for another's: the market asks for the consent's own.
    world.approve(world.approval(theirs, asked, patient=str(p.patient)), PHONE)
    with reverts(NEEDED):
        buy(world, theirs, asked)


def test_an_approval_ends_at_its_deadline(enrolled: World) -> None:
    world = enrolled
    consent, order = sensitive(world)
    world.approve(world.approval(consent, order), PHONE)
    with world.evm.anchor():
        world.evm.warp(DAY)
        buy(world, consent, order)
    world.evm.warp(DAY + 1)
    with reverts(NEEDED):
        buy(world, consent, order)
    late = world.approval(consent, order, deadline=world.now - 1)
    with reverts("passkey: approval is too late"):
        world.approve(late, PHONE)
    long = world.approval(consent, order, deadline=world.now + 7 * DAY + 1)
    with reverts("passkey: approval is for too long"):
        world.approve(long, PHONE)
    world.approve(world.approval(consent, order, deadline=world.now + 7 * DAY), PHONE)
    buy(world, consent, order)


def test_an_assertion_is_brought_once(enrolled: World) -> None:
    world = enrolled
    consent, order = sensitive(world)
    message = world.approval(consent, order)
    answer = PHONE.answer(message.digest(world.passkey_domain))
    world.bring(message, answer)
    with reverts("passkey: it was approved before"):
        world.bring(message, answer)
    shorter = world.approval(consent, order, deadline=message.deadline - 1)
    with reverts("passkey: it was approved before"):
        world.approve(shorter, PHONE)
    with reverts(INVALID):
        world.bring(world.approval(consent, order, deadline=message.deadline + 1), answer)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"flags": PRESENT}, "passkey: the user was not verified"),
        ({"flags": VERIFIED}, "passkey: the user was not verified"),
        ({"flags": 0}, "passkey: the user was not verified"),
        ({"flags": PRESENT | VERIFIED | BACKED_UP}, INVALID),
        ({"host": "evil.example"}, "passkey: made for another site"),
        ({"host": "sub.localhost"}, "passkey: made for another site"),
        ({"kind": "webauthn.create"}, INVALID),
        ({"kind": "payment.get"}, INVALID),
        ({"high_s": True}, INVALID),
        ({"data": b""}, INVALID),
        ({"data": bytes(36)}, INVALID),
        ({"client": b""}, INVALID),
        ({"client": b"{}"}, INVALID),
    ],
    ids=str,
)
def test_an_assertion_that_is_not_good_enough(
    enrolled: World, wrong: dict[str, Any], sentence: str
) -> None:
    world = enrolled
    consent, order = sensitive(world)
    with reverts(sentence):
        world.approve(world.approval(consent, order), PHONE, **wrong)
    world.approve(world.approval(consent, order), PHONE, flags=PRESENT | VERIFIED | ELIGIBLE)


def test_another_passkey_or_another_challenge(enrolled: World) -> None:
    world = enrolled
    consent, order = sensitive(world)
    message = world.approval(consent, order)
    with reverts(INVALID):
        world.approve(message, OTHER)
    for domain in (world.domain, Domain(1, world.passkeys.address)):
        with reverts(INVALID):
            world.bring(message, PHONE.answer(message.digest(domain)))
    digest = message.digest(world.passkey_domain)
    for moved in (
        f'{{"type":"webauthn.get","challenge":"{encoded(NONE)}","x":"{encoded(digest)}"}}',
        f'{{"challenge":"{encoded(digest)}","type":"webauthn.get"}}',
        f'{{"type":"webauthn.get", "challenge":"{encoded(digest)}"}}',
        f'{{"type":"webauthn.get","challenge":"{encoded(digest)}AA"}}',
        f'{{"type":"webauthn.get","challenge":"{encoded(digest)}',
    ):
        with reverts(INVALID):
            world.bring(message, PHONE.answer(digest, client=moved.encode()))


def test_a_counter_goes_up(world: World) -> None:
    key = Authenticator(KEY, counts=True)
    world.change_passkey(key.values())
    for counter in (5, 6, 2**32 - 1):
        consent, order = sensitive(world)
        world.approve(world.approval(consent, order), key, counter=counter)
        assert world.evm.event("LicenceApproved")["counter"] == counter
        assert world.passkeys.state_word(world.people.patient) & 0xFFFFFFFF == counter
        for last in (0, 1, counter):
            asked = world.approval(consent, order | {"salt": 1 << 160})
            with reverts("passkey: its counter did not go up"):
                world.approve(asked, key, counter=last)


@pytest.mark.parametrize(
    "changes",
    [
        {"form": 4},
        {"units": 2**40},
        {"end": 2**40},
        {"maxPrice": 2**64 * 10**9},
    ],
    ids=str,
)
def test_no_licence_has_such_an_order(enrolled: World, changes: dict[str, Any]) -> None:
    world = enrolled
    consent, order = sensitive(world, **changes)
    with reverts("passkey: order out of range"):
        world.approve(world.approval(consent, order), PHONE)
    with reverts("passkey: order out of range"):
        world.passkeys.request(consent.struct_hash(), order, sender=world.people.licensee)


def test_a_request_changes_nothing(world: World) -> None:
    consent, order = sensitive(world)
    world.passkeys.request(consent.struct_hash(), order, sender=world.people.licensee)
    assert world.evm.event("LicenceRequested") == {
        "consent": consent.struct_hash(),
        "licensee": str(world.people.licensee),
        "order": order,
    }
    with reverts(NEEDED):
        buy(world, consent, order)


def test_a_desk_needs_the_approval_too(enrolled: World) -> None:
    world, p = enrolled, enrolled.people
    desk = world.desk(1_000_000 * 10**15)
    consent, order = sensitive(world, units=1)
    args = (p.licensee, order, consent.values(), [], 60 * DUT)
    with reverts(NEEDED):
        world.market.issue_licence(*args, sender=desk)
    world.approve(world.approval(consent, order), PHONE)
    world.market.issue_licence(*args, sender=desk)


@settings(max_examples=60)
@given(st.data())
def test_no_bent_assertion_passes(_settled_in: World, data: st.DataObject) -> None:  # noqa: PT019  one world
    """One byte of what was signed, or of the signature, is another: nothing of it is accepted."""
    world = _settled_in
    with world.evm.anchor():
        world.change_passkey(PHONE.values())
        consent, order = sensitive(world)
        message = world.approval(consent, order)
        answer = PHONE.answer(message.digest(world.passkey_domain))
        field = data.draw(st.sampled_from(sorted(answer)))
        how = data.draw(st.sampled_from(["bend", "cut", "grow", "any"]))
        value = bytearray(answer[field])
        if how == "bend" or field in ("r", "s"):
            at = data.draw(st.integers(0, len(value) - 1))
            value[at] ^= data.draw(st.integers(1, 255))
        elif how == "cut":
            del value[data.draw(st.integers(0, len(value) - 1)) :]
        elif how == "grow":
            value += data.draw(st.binary(min_size=1, max_size=64))
        else:
            value = bytearray(data.draw(st.binary(max_size=512)))
        bent = answer | {field: bytes(value)}
        if bent == answer:
            return
        before = hashlib.sha256(repr(world.evm.storage_of(world.passkeys.address)).encode())
        with pytest.raises(Exception, match="passkey: "):
            world.bring(message, bent)
        after = hashlib.sha256(repr(world.evm.storage_of(world.passkeys.address)).encode())
        assert before.digest() == after.digest()
        with reverts(NEEDED):
            buy(world, consent, order)

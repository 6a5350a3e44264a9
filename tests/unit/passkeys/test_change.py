"""R10: the first passkey counts at once; another one after a delay in which both can cancel it."""

from __future__ import annotations

from typing import Any

import pytest
from support.authenticator import Authenticator
from support.world import DAY, DUT, NONE, World, reverts

from medtoken.messages import PasskeyCancellation, PasskeyChange

PHONE, THIEF, NEW = Authenticator(7), Authenticator(8), Authenticator(9, "records.example")
REMOVED = {"x": NONE, "y": NONE, "relyingParty": NONE}
DELAY = 3 * DAY


def cancellation(world: World) -> PasskeyCancellation:
    patient = world.people.patient
    return PasskeyCancellation(str(patient), world.passkeys.state_word(patient) >> 72)


def cancel(world: World, signer: Any = None) -> None:
    p = world.people
    signature = cancellation(world).sign((signer or p.patient).key, world.passkey_domain)
    world.passkeys.cancel_change(p.patient, signature, sender=p.relay)


def approves(world: World, authenticator: Authenticator) -> bool:
    """Whether a passkey can approve a new licence now."""
    with world.evm.anchor():
        consent = world.granted(world.record(tier=3), tier=3)
        order = world.order(consent, maxPrice=1_000 * DUT)
        try:
            world.approve(world.approval(consent, order), authenticator)
        except Exception as refused:
            assert "passkey: " in str(refused)
            return False
        world.market.buy_licence(order, consent.values(), [], sender=world.people.licensee)
        return True


def test_the_first_counts_at_once(world: World) -> None:
    p = world.people
    assert not approves(world, PHONE)
    assert world.change_passkey(PHONE.values()) == world.now
    assert world.evm.event("PasskeyChanged") == {
        "patient": str(p.patient),
        "passkey": PHONE.values(),
        "since": world.now,
        "nonce": 0,
    }
    assert world.passkeys.passkey_of(p.patient) == PHONE.values()
    assert approves(world, PHONE)
    assert world.passkeys.passkey_of(p.stranger) == REMOVED


def test_a_patient_with_ether_signs_nothing(world: World) -> None:
    p = world.people
    args = (p.patient, PHONE.values(), world.now, b"")
    world.passkeys.change_passkey(*args, sender=p.patient)
    args = (p.patient, THIEF.values(), world.now, b"")
    world.passkeys.change_passkey(*args, sender=p.patient)
    world.passkeys.cancel_change(p.patient, b"", sender=p.patient)
    assert approves(world, PHONE)


def test_a_stolen_wallet_has_to_wait_and_is_cancelled(world: World) -> None:
    p = world.people
    world.change_passkey(PHONE.values())
    since = world.change_passkey(THIEF.values())
    assert since == world.now + DELAY
    assert world.passkeys.change_of(p.patient) == (THIEF.values(), since)
    world.evm.warp(DELAY - 1)
    assert approves(world, PHONE)
    assert not approves(world, THIEF)
    cancel(world)
    assert world.evm.event("ChangeCancelled") == {
        "patient": str(p.patient),
        "counter": 0,
        "nonce": 2,
    }
    assert world.passkeys.change_of(p.patient) == (REMOVED, 0)
    world.evm.warp(DELAY)
    assert approves(world, PHONE)
    assert not approves(world, THIEF)
    with reverts("passkey: no change waits"):
        cancel(world)


def test_the_passkey_cancels_by_itself(world: World) -> None:
    p = world.people
    key = Authenticator(11, counts=True)
    world.change_passkey(key.values())
    world.change_passkey(THIEF.values())
    challenge = cancellation(world).digest(world.passkey_domain)
    with reverts("passkey: assertion is not valid"):
        args = (p.patient, THIEF.answer(challenge, counter=1))
        world.passkeys.cancel_change_by_passkey(*args, sender=p.relay)
    with reverts("passkey: the user was not verified"):
        args = (p.patient, key.answer(challenge, flags=1))
        world.passkeys.cancel_change_by_passkey(*args, sender=p.relay)
    good = (p.patient, key.answer(challenge))
    world.passkeys.cancel_change_by_passkey(*good, sender=p.relay)
    counter = key.counter
    assert world.evm.event("ChangeCancelled")["counter"] == counter
    assert world.passkeys.state_word(p.patient) & 0xFFFFFFFF == counter
    # The same answer cancels no later change.
    world.change_passkey(THIEF.values())
    with reverts("passkey: its counter did not go up"):
        world.passkeys.cancel_change_by_passkey(*good, sender=p.relay)
    world.evm.warp(DELAY)
    late = (p.patient, key.answer(cancellation(world).digest(world.passkey_domain)))
    with reverts("passkey: no change waits"):
        world.passkeys.cancel_change_by_passkey(*late, sender=p.relay)


def test_after_the_delay_the_new_one_counts(world: World) -> None:
    p = world.people
    key = Authenticator(11, counts=True)
    world.change_passkey(key.values())
    assert approves(world, key)
    since = world.change_passkey(NEW.values())
    with reverts("passkey: another change waits"):
        world.change_passkey(THIEF.values())
    world.evm.warp(DELAY)
    assert world.now == since
    assert world.passkeys.passkey_of(p.patient) == NEW.values()
    assert world.passkeys.change_of(p.patient) == (REMOVED, 0)
    assert approves(world, NEW)
    assert not approves(world, key)
    # A change after it starts from it, and forgets the counter of the one before.
    world.change_passkey(key.values())
    assert world.passkeys.passkey_of(p.patient) == NEW.values()
    assert world.passkeys.state_word(p.patient) & 0xFFFFFFFF == 0


def test_removed_it_approves_nothing_and_another_is_the_first(world: World) -> None:
    with reverts("passkey: there is none to remove"):
        world.change_passkey(REMOVED)
    world.change_passkey(PHONE.values())
    world.change_passkey(REMOVED)
    assert approves(world, PHONE)
    world.evm.warp(DELAY)
    assert not approves(world, PHONE)
    with reverts("passkey: there is none to remove"):
        world.change_passkey(REMOVED)
    assert world.change_passkey(NEW.values()) == world.now
    assert approves(world, NEW)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"relyingParty": NONE}, "passkey: no relying party is named"),
        ({"x": NONE}, "passkey: not a point of P-256"),
        ({"y": NONE}, "passkey: not a point of P-256"),
        ({"x": b"\xff" * 32}, "passkey: not a point of P-256"),
        ({"x": NONE, "y": NONE}, "passkey: not a point of P-256"),
        ({"x": NONE, "relyingParty": NONE}, "passkey: no relying party is named"),
        ({"y": NONE, "relyingParty": NONE}, "passkey: no relying party is named"),
    ],
    ids=str,
)
def test_what_is_no_passkey(world: World, changes: dict[str, bytes], sentence: str) -> None:
    with reverts(sentence):
        world.change_passkey(PHONE.values() | changes)


def test_the_point_with_coordinates_beyond_the_field(world: World) -> None:
    """x of 5 has a point; x of 5 and the field's size is the same number, and refused."""
    p = 2**256 - 2**224 + 2**192 + 2**96 - 1
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    y = pow(125 - 15 + b, (p + 1) // 4, p)
    assert y * y % p == (125 - 15 + b) % p
    party = PHONE.passkey.relyingParty
    with reverts("passkey: not a point of P-256"):
        world.change_passkey(
            {"x": (5 + p).to_bytes(32), "y": y.to_bytes(32), "relyingParty": party}
        )
    world.change_passkey({"x": (5).to_bytes(32), "y": y.to_bytes(32), "relyingParty": party})


def test_only_the_wallet_changes_it_once_and_in_time(world: World) -> None:
    p = world.people
    domain = world.passkey_domain
    message = PasskeyChange(str(p.patient), **PHONE.values(), nonce=0, deadline=world.now)
    args = (p.patient, PHONE.values(), message.deadline)
    for wrong in (
        message.sign(p.stranger.key, domain),
        message.sign(p.patient.key, world.domain),
        PasskeyChange(**(message.values() | {"nonce": 1})).sign(p.patient.key, domain),
        PasskeyChange(**(message.values() | {"deadline": world.now + 1})).sign(
            p.patient.key, domain
        ),
        PasskeyChange(**(message.values() | THIEF.values())).sign(p.patient.key, domain),
        b"",
    ):
        with reverts("signature: not by its owner"):
            world.passkeys.change_passkey(*args, wrong, sender=p.relay)
    good = message.sign(p.patient.key, domain)
    world.passkeys.change_passkey(*args, good, sender=p.relay)
    with reverts("signature: not by its owner"):
        world.passkeys.change_passkey(*args, good, sender=p.relay)
    world.evm.warp(1)
    with reverts("passkey: signature is too late"):
        world.passkeys.change_passkey(*args, good, sender=p.relay)
    world.change_passkey(NEW.values())
    with reverts("signature: not by its owner"):
        cancel(world, signer=p.stranger)


def test_the_timelock_sets_the_delay_within_bounds(world: World) -> None:
    p = world.people
    with reverts("access: caller may not do this"):
        world.passkeys.set_delay(2 * DAY, sender=p.operator)
    world.as_timelock(world.passkeys, "set_delay", DAY)
    assert world.evm.event("ParameterChanged")["current"] == DAY == world.passkeys.delay()
    world.change_passkey(PHONE.values())
    since = world.change_passkey(NEW.values())
    world.as_timelock(world.passkeys, "set_delay", 30 * DAY)
    assert world.passkeys.change_of(p.patient)[1] == since
    for wrong in (0, DAY - 1, 30 * DAY + 1):
        with pytest.raises(Exception, match="passkey: delay out of bounds"):
            world.as_timelock(world.passkeys, "set_delay", wrong)


def test_a_deployment_names_manager_and_verifier(world: World) -> None:
    p = world.people
    zero = "0x" + "00" * 20
    with reverts("passkey: no verifier is named"):
        world.evm.deploy("Passkeys", p.deployer, world.manager.address, zero, sender=p.deployer)
    verifier = world.suite["ERC7913WebAuthnVerifier"].address
    assert world.passkeys.verifier() == verifier
    args = (p.deployer, world.manager.address, verifier)
    with pytest.raises(Exception, match="passkey: delay out of bounds"):
        world.proxied("Passkeys", args, (DAY - 1,))

"""Passkeys that lie (R10): each is caught, under the right invariant and rule."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.histories import insert, named
from support.world import DAY

OTHER = "0x" + "ab" * 20
WORD = b"\1" * 32
EMPTY = {"x": bytes(32), "y": bytes(32), "relyingParty": bytes(32)}
LACKS = "lacks the patient's passkey"


def test_the_story_leaves_what_the_rules_give(honest) -> None:
    ledger, world = honest.fold(honest.events), honest.world
    patient = str(world.people.patient)
    shown = ledger.as_dict()["passkeys"]
    assert shown["approvals"] == 6
    assert shown["delay"] == 2 * DAY
    assert shown["passkeys"][patient]["counter"] == 2
    assert ledger.passkeys.states[patient].pack() == world.passkeys.state_word(patient)
    assert honest.broken(honest.events) == {}


@pytest.mark.parametrize("at", [0, 1, 3, 4, 5])
def test_a_licence_without_its_approval(honest, at) -> None:
    events = honest.without(honest.find("LicenceApproved", at))
    named(honest, events, 4, "R10", LACKS)


def test_units_that_nobody_approved(honest) -> None:
    order = honest.events[honest.find("LicenceApproved")].args["order"]
    at = next(
        i
        for i, e in enumerate(honest.events)
        if e.event == "LicenceBought" and e.args["record"] == order["record"]
    )
    bought, more = honest.events[at], honest.events[honest.find("LicenceToppedUp")]
    told = more.args | {"licence": bought.args["licence"]}
    told = replace(bought, event=more.event, args=told, index=bought.index + 1)
    events = [*honest.events[: at + 1], told, *honest.events[at + 1 :]]
    named(honest, events, 4, "R10", "topped up past what the patient's passkey approved")


@pytest.mark.parametrize(
    "changes",
    [
        {"units": 11},
        {"form": 1},
        {"end": 1},
        {"purposes": 1},
        {"diseases": WORD},
        {"urgent": True},
        {"maxPrice": 10**18},
        {"agreement": WORD},
        {"salt": 5},
        {"record": WORD},
    ],
    ids=str,
)
def test_an_approval_of_another_order(honest, changes) -> None:
    at = honest.find("LicenceApproved")
    order = honest.events[at].args["order"] | changes
    named(honest, honest.changed(at, order=order), 4, "R10", LACKS)


@pytest.mark.parametrize(
    "changes", [{"consent": WORD}, {"licensee": OTHER}, {"patient": OTHER}], ids=str
)
def test_an_approval_of_or_for_somebody_else(honest, changes) -> None:
    at = honest.find("LicenceApproved")
    named(honest, honest.changed(at, **changes), 4, "R10", LACKS)


@pytest.mark.parametrize(
    ("event", "at", "change", "text"),
    [
        ("LicenceApproved", 0, {"deadline": 1}, "after its deadline, or too long before it"),
        ("LicenceApproved", 0, {"deadline": 2**40 - 1}, "after its deadline, or too long before"),
        ("LicenceApproved", 0, {"patient": OTHER}, "came without a passkey"),
        ("LicenceApproved", 5, {"counter": 1}, "a counter that had not gone up"),
        ("LicenceApproved", 5, {"counter": 0}, "a counter that had not gone up"),
        ("PasskeyChanged", 0, {"passkey": EMPTY}, "or from none to none"),
        ("PasskeyChanged", 0, {"since": 1}, "since when a passkey of"),
        ("PasskeyChanged", 1, {"since": 1}, "since when a passkey of"),
        ("PasskeyChanged", 1, {"nonce": 7}, "since when a passkey of"),
        ("PasskeyChanged", 0, {"passkey": EMPTY | {"x": WORD}}, "for no relying party"),
        ("ChangeCancelled", 0, {"nonce": 7}, "nonce of a cancellation"),
        ("ChangeCancelled", 0, {"patient": OTHER}, "was cancelled: none"),
    ],
)
def test_a_lie_is_found(honest, event, at, change, text) -> None:
    named(honest, honest.changed(honest.find(event, at), **change), 4, "R10", text)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"current": 1}, "delay of passkeys is out of bounds"),
        ({"previous": 1}, "delay of passkeys as it was"),
        ({"name": WORD}, "an unknown parameter"),
    ],
)
def test_a_delay_out_of_bounds(honest, change, text) -> None:
    at = honest.find("Passkeys.ParameterChanged", 1)
    named(honest, honest.changed(at, **change), 7, "R10", text)


def test_an_approval_or_a_change_that_is_told_twice(honest) -> None:
    at = honest.find("LicenceApproved")
    named(honest, insert(honest.events, at, honest.events[at]), 4, "R10", "came twice")
    at = honest.find("PasskeyChanged", 1)
    named(honest, insert(honest.events, at, honest.events[at]), 4, "R10", "while a change waited")


def test_a_delay_that_the_timelock_did_not_set(honest) -> None:
    events = honest.with_event(
        "Passkeys", "ParameterChanged", name=WORD, previous=2 * DAY, current=3 * DAY
    )
    named(honest, events, 7, "R29", "did not come from the timelock")

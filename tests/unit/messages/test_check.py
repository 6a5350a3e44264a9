"""R9: what the market would refuse is refused before anybody signs it, in one sentence."""

from __future__ import annotations

from typing import Any

import pytest
from support.world import DUT, NONE, YEAR, ZERO, World, reverts

from medtoken.errors import BadInput, InvalidSignature
from medtoken.messages import Domain, Revocation

NAMES = "A consent must name records, fields, purposes, licensees and a region."
SHARE = "The patient's share must be from 70 to 80 per cent."
FLOOR = "The floor price must be a multiple of 10^9 base units, at most 2^64 times."
EXPIRY = "The consent's expiry has passed, or is not a time."
TIER = "A consent must name a tier from 1 (public) to 3 (highly sensitive)."

# field, value, what check() says, what the market says (None: it takes what can never be used)
WRONG: list[tuple[str, Any, str, str | None]] = [
    ("records", NONE, NAMES, "consent: part of it is empty"),
    ("fields", NONE, NAMES, "consent: part of it is empty"),
    ("purposes", 0, NAMES, "consent: part of it is empty"),
    ("licensees", 0, NAMES, "consent: part of it is empty"),
    ("region", 0, NAMES, "consent: part of it is empty"),
    ("tier", 0, TIER, "consent: part of it is empty"),
    ("tier", 4, TIER, None),
    ("purposes", 1 << 46, "A consent must name at least one permitted purpose.", None),
    ("patientShare", 6_999, SHARE, "consent: share out of bounds"),
    ("patientShare", 8_001, SHARE, "consent: share out of bounds"),
    ("floorPrice", 1, FLOOR, "consent: floor out of bounds"),
    ("floorPrice", 2**64 * 10**9, FLOOR, "consent: floor out of bounds"),
    ("expiry", 0, EXPIRY, "consent: it has expired"),
    ("expiry", 2**40, EXPIRY, "consent: it has expired"),
    (
        "deadline",
        1,
        "The deadline for bringing the signature has passed.",
        "consent: signature is too late",
    ),
]


@pytest.mark.parametrize(("field", "value", "here", "there"), WRONG)
def test_it_refuses_what_the_market_refuses(
    world: World, field: str, value: Any, here: str, there: str | None
) -> None:
    consent = world.consent(world.fresh())
    consent = type(consent)(**(consent.values() | {field: value}))
    with pytest.raises(BadInput) as caught:
        consent.check(world.now)
    assert str(caught.value) == here
    if there is None:
        assert world.grant(consent)
    else:
        with reverts(there):
            world.grant(consent)


def test_a_consent_of_nobody_is_refused(world: World) -> None:
    consent = world.consent(world.fresh(), patient=ZERO)
    with pytest.raises(BadInput, match=r"^A consent must name its patient\.$"):
        consent.check(world.now)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"patientShare": 7_000, "floorPrice": 0, "tier": 1, "region": 1},
        {"patientShare": 8_000, "floorPrice": (2**64 - 1) * 10**9, "tier": 3},
        {"patientShare": 6_000, "licensees": 2 | 1 << 255, "nonce": 1 << 170 | 1},
        {"expiry": 2**40 - 1, "deadline": 2**256 - 1, "floorPrice": 50 * DUT + 10**9},
    ],
)
def test_it_lets_pass_what_the_market_takes(world: World, changes: dict[str, Any]) -> None:
    consent = world.consent(world.fresh(), **changes)
    consent.check(world.now)
    assert world.grant(consent)


def test_at_the_edges_of_time_it_agrees_with_the_market(world: World) -> None:
    last = world.consent(world.fresh(), deadline=world.now, expiry=world.now + 1)
    last.check(world.now)
    assert world.grant(last)
    gone = world.consent(world.fresh(), expiry=world.now)
    with pytest.raises(BadInput):
        gone.check(world.now)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("nonce", -1),
        ("purposes", 2**256),
        ("patient", "0x1234"),
        ("patient", "nobody"),
        ("records", b"\1" * 33),
        ("diseases", "text"),
        ("deadline", 1.5),
    ],
)
def test_a_value_that_does_not_fit_its_field_is_bad_input(
    world: World, field: str, value: Any
) -> None:
    consent = world.consent(world.fresh(), expiry=world.now + YEAR)
    consent = type(consent)(**(consent.values() | {field: value}))
    with pytest.raises(BadInput, match="does not fit its field"):
        consent.check(world.now)


# ---------------------------------------------------------------- who signed

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def test_the_signer_is_recovered_and_another_domain_gives_another(world: World) -> None:
    patient = world.people.patient
    message = Revocation(b"\1" * 32)
    signature = message.sign(patient.key, world.domain)
    assert message.signer(signature, world.domain) == patient
    assert message.signer(signature, Domain(1, world.market.address)) != patient
    assert Revocation(b"\2" * 32).signer(signature, world.domain) != patient


def test_what_the_market_would_not_take_is_not_taken_here(world: World) -> None:
    message = Revocation(b"\1" * 32)
    good = message.sign(world.people.patient.key, world.domain)
    twin = (ORDER - int.from_bytes(good[32:64])).to_bytes(32)
    for bad in (
        b"",
        good[:64],
        good + b"\0",
        good[:64] + bytes([good[64] - 27]),
        good[:64] + b"\x1d",
        good[:32] + twin + bytes([55 - good[64]]),
        bytes(65),
        bytes(64) + b"\x1b",
    ):
        with pytest.raises(InvalidSignature):
            message.signer(bad, world.domain)

"""R14: vouchers say what was received, are the licence's key's, and stand on time."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from support.meters import DAY, KEY, MARKET, SECRET, START, Pair, terms

from medtoken.errors import BadInput, InvalidSignature, MeterRefused
from medtoken.messages import Domain, Voucher
from medtoken.metering import Acknowledgement, VoucherKey
from medtoken.metering._signing import VoucherHasher


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def test_the_fast_signer_makes_the_very_bytes_of_the_message(pair: Pair) -> None:
    licence = pair.sync(terms())
    pair.call(licence, 5)
    ack = pair.licensee.acknowledge(licence)
    message = Voucher(licence, 5, START)
    assert ack.signature == message.sign(SECRET, MARKET)
    assert message.signer(ack.signature, MARKET) == KEY.address


def test_an_acknowledgement_travels_as_plain_data(pair: Pair) -> None:
    licence = pair.sync(terms())
    pair.call(licence)
    ack = pair.licensee.acknowledge(licence)
    assert Acknowledgement.from_json(ack.to_json()) == ack
    for change in (
        {"units": "1"},
        {"units": -1},
        {"units": 2**40},
        {"units": True},
        {"licence": "0x12"},
        {"signature": "zz"},
        {"missing": None},
        {"missing": [0.5]},
    ):
        with pytest.raises(BadInput):
            Acknowledgement.from_json(ack.to_json() | change)
    for nothing in (None, [], "x", {}):
        with pytest.raises(BadInput):
            Acknowledgement.from_json(nothing)


def _refused(pair: Pair, ack: Acknowledgement, kind: type[Exception], text: str) -> None:
    before = pair.custodian.acknowledged(ack.licence)
    with pytest.raises(kind, match=text):
        pair.custodian.accept(ack)
    assert pair.custodian.acknowledged(ack.licence) == before


def test_only_the_licences_key_signs(pair: Pair) -> None:
    licence = pair.sync(terms())
    pair.call(licence, 5)
    ack = pair.licensee.acknowledge(licence)
    hasher = VoucherHasher(MARKET)
    others = VoucherHasher(Domain(1, MARKET.market))
    stranger = VoucherKey(b"\1" * 32)
    good = hasher.digest(licence, 5, ack.time)
    high_s = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 - int.from_bytes(
        ack.signature[32:64]
    )
    for signature in (
        stranger.sign(good),
        KEY.sign(hasher.digest(licence, 6, ack.time)),
        KEY.sign(hasher.digest(licence, 5, ack.time - 1)),
        KEY.sign(hasher.digest(b"\2" * 32, 5, ack.time)),
        KEY.sign(others.digest(licence, 5, ack.time)),
        ack.signature[:64],
        ack.signature[:64] + b"\0",
        bytes(65),
        b"\xff" * 64 + b"\x1b",
        ack.signature[:32] + high_s.to_bytes(32) + bytes([55 - ack.signature[64]]),
    ):
        bad = dataclasses.replace(ack, signature=signature)
        _refused(pair, bad, InvalidSignature, "not signed by the licence's voucher key")
    pair.custodian.accept(ack)
    pair.call(licence, 1)
    bad = dataclasses.replace(pair.licensee.acknowledge(licence), signature=stranger.sign(good))
    _refused(pair, bad, InvalidSignature, "not signed")


def test_a_voucher_counts_what_was_counted(pair: Pair) -> None:
    licence = pair.sync(terms())
    pair.call(licence, 5)
    ack = pair.licensee.acknowledge(licence)
    _refused(pair, dataclasses.replace(ack, units=6), MeterRefused, "and 5 were counted")
    _refused(pair, dataclasses.replace(ack, units=4), MeterRefused, "its calls make 5")
    _refused(pair, dataclasses.replace(ack, through=0), MeterRefused, "its calls make 0")


def test_bringing_a_voucher_again_changes_nothing(pair: Pair) -> None:
    licence = pair.sync(terms())
    pair.call(licence, 5)
    ack = pair.licensee.acknowledge(licence)
    pair.custodian.accept(ack)
    pair.custodian.accept(ack)
    pair.clock.now += 5
    pair.custodian.accept(pair.licensee.acknowledge(licence))
    assert pair.custodian.acknowledged(licence) == 5
    (claim,) = pair.custodian.claims()
    assert (claim.voucher.units, claim.voucher.time) == (5, START)


def test_many_are_taken_with_one_flush(pair: Pair) -> None:
    licences = [pair.sync(terms(n)) for n in range(1, 6)]
    for licence in licences:
        pair.call(licence)
    acks = [pair.licensee.acknowledge(licence) for licence in licences]
    acks[2] = dataclasses.replace(acks[2], units=9)
    results = pair.custodian.accept_many(acks)
    assert [result is None for result in results] == [True, True, False, True, True]
    assert len(pair.custodian.claims()) == 4
    assert len(pair.custodian.claims(licences[:2])) == 2


# ---------------------------------------------------------------- time


def test_vouchers_from_the_future_are_refused(pair: Pair) -> None:
    licence = pair.sync(terms())
    pair.call(licence)
    ack = pair.licensee.acknowledge(licence)
    pair.clock.now -= 61
    _refused(pair, ack, MeterRefused, "dated in the future")
    pair.clock.now += 1  # a clock that runs a minute ahead does no harm
    pair.custodian.accept(ack)
    assert pair.custodian.claims() == []  # but the chain does not take it yet
    pair.clock.now += 60
    assert len(pair.custodian.claims()) == 1


def test_what_was_received_before_the_end_is_acknowledged_after_it(pair: Pair) -> None:
    known = terms()
    licence = pair.sync(known)
    pair.call(licence, 5)
    pair.clock.now += 90 * DAY + 10
    ack = pair.licensee.acknowledge(licence)
    assert (ack.units, ack.time) == (5, known.end)
    pair.custodian.accept(ack)
    (claim,) = pair.custodian.claims()
    assert (claim.new_units, claim.amount, claim.until) == (5, 5 * 10**19, known.end + 3 * DAY)
    pair.clock.now = claim.until
    assert pair.custodian.claims() == [claim]
    pair.clock.now += 1
    assert pair.custodian.claims() == []


def test_a_revocation_cuts_what_came_after_it(pair: Pair) -> None:
    """The custodian hears of a revocation late: what it served after it is its own loss."""
    licence = pair.sync(terms())
    pair.call(licence, 5)
    pair.clock.now += 10
    pair.acknowledge(licence)
    pair.clock.now += 10
    pair.call(licence, 3)
    pair.clock.now += 10  # the consent is revoked here, and nobody has heard of it
    revoked = int(pair.clock.now)
    pair.clock.now += 10
    pair.call(licence, 2)
    pair.acknowledge(licence)
    assert pair.custodian.acknowledged(licence) == 10
    pair.sync(terms(revoked=revoked))
    (claim,) = (
        pair.custodian.claims()
    )  # the newest voucher is dated too late: the one before counts
    assert claim.voucher.units == 5
    ack = pair.licensee.acknowledge(licence)
    assert (ack.units, ack.time) == (8, revoked)
    pair.custodian.accept(ack)
    (claim,) = pair.custodian.claims()
    assert (claim.voucher.units, claim.voucher.time) == (8, revoked)
    assert pair.custodian.exposure(licence) == 2 * 10**19


def test_after_the_end_nothing_is_dated_later(pair: Pair) -> None:
    licence = pair.sync(terms())
    pair.call(licence, 5)
    ack = pair.licensee.acknowledge(licence)
    pair.custodian.sync(terms(revoked=START - 1))
    _refused(pair, ack, MeterRefused, "dated after the licence's end")


def test_what_was_redeemed_is_not_claimed_again(pair: Pair) -> None:
    licence = pair.sync(terms())
    pair.call(licence, 5)
    pair.acknowledge(licence)
    pair.sync(terms(used=5))
    assert pair.custodian.claims() == []
    pair.call(licence, 2)
    pair.acknowledge(licence)
    (claim,) = pair.custodian.claims()
    assert (claim.new_units, claim.amount) == (2, 2 * 10**19)
    # A suspension stops calls, not the payment of what was acknowledged (R31, R14).
    pair.custodian.sync(terms(used=5, suspended=True))
    assert pair.custodian.claims() == [claim]
    pair.custodian.sync(terms(used=5, closed=True))
    assert pair.custodian.claims() == []


def test_old_vouchers_and_moments_are_thinned_out(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medtoken.metering.custodian._MANY", 16)
    monkeypatch.setattr("medtoken.metering.licensee._MANY", 16)
    licence = pair.sync(terms())
    for _ in range(200):
        pair.call(licence)
        pair.acknowledge(licence)
        pair.clock.now += 3600
    vouchers = pair.custodian._by_id[licence].vouchers
    history = pair.licensee._by_id[licence].history
    assert vouchers[-1][1] == history[-1][1] == 200
    assert 24 < len(vouchers) <= 42
    assert 24 < len(history) <= 42
    # A revocation of an hour ago finds its mark on both sides.
    pair.sync(terms(revoked=int(pair.clock.now) - 3601))
    assert pair.custodian.claims()[0].voucher.units == 199
    assert pair.licensee.acknowledge(licence).units == 199

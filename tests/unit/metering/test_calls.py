"""R14: calls are counted once each, never beyond what is prepaid or may be lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.meters import DAY, KEY, MARKET, START, Pair, terms

from medtoken.errors import BadInput, MeterRefused
from medtoken.metering import CustodianMeter, LicenseeMeter, VoucherKey, request_tag


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def _says(pair: Pair, licence: bytes, number: int, units: int = 1) -> str:
    before = pair.custodian.counted(licence)
    with pytest.raises(MeterRefused) as caught:
        pair.custodian.count(licence, number, units)
    assert pair.custodian.counted(licence) == before
    return str(caught.value)


def test_both_sides_count_alike(pair: Pair) -> None:
    licence = pair.sync(terms())
    for units in (1, 2, 30):
        pair.call(licence, units)
    assert pair.custodian.counted(licence) == pair.licensee.received_units(licence) == 33
    pair.acknowledge(licence)
    assert pair.custodian.acknowledged(licence) == 33
    assert pair.custodian.open_calls(licence) == []


def test_a_number_that_comes_again_is_answered_and_not_counted(pair: Pair) -> None:
    licence = pair.sync(terms())
    tag = request_tag(b"GET /record")
    number = pair.licensee.begin(licence, 5, tag)
    assert pair.custodian.count(licence, number, 5, tag)
    for _ in range(8):
        assert not pair.custodian.count(licence, number, 5, tag)
    assert pair.custodian.counted(licence) == 5
    with pytest.raises(MeterRefused, match="was answered 8 times"):
        pair.custodian.count(licence, number, 5, tag)


def test_a_number_serves_one_request_only(pair: Pair) -> None:
    licence = pair.sync(terms())
    pair.custodian.count(licence, 1, 5, request_tag(b"one"))
    for units, request in ((5, b"another"), (4, b"one")):
        with pytest.raises(MeterRefused, match="for something else"):
            pair.custodian.count(licence, 1, units, request_tag(request))


def test_a_settled_number_is_refused(pair: Pair) -> None:
    licence = pair.sync(terms())
    pair.call(licence)
    pair.acknowledge(licence)
    assert _says(pair, licence, 1) == "Call 1 is settled already."


def test_calls_may_arrive_in_any_order(pair: Pair) -> None:
    licence = pair.sync(terms())
    numbers = [pair.licensee.begin(licence, n) for n in (1, 10, 100)]
    for number, units in reversed(list(zip(numbers, (1, 10, 100), strict=True))):
        if units == 100:
            continue
        pair.custodian.count(licence, number, units)
    pair.licensee.received(licence, numbers[1])
    assert pair.licensee.received_units(licence) == 0  # the first still waits
    pair.licensee.received(licence, numbers[0])
    assert pair.licensee.received_units(licence) == 11
    pair.acknowledge(licence)
    assert pair.custodian.acknowledged(licence) == 11


# ---------------------------------------------------------------- limits


def test_no_more_than_the_credit_is_ever_unacknowledged(pair: Pair) -> None:
    licence = pair.sync(terms())
    pair.call(licence, 60)
    assert "60 units are not acknowledged yet, and 100 is the credit" in _says(pair, licence, 2, 41)
    pair.call(licence, 40)
    assert pair.custodian.exposure(licence) == 100 * 10**19
    pair.acknowledge(licence)
    assert pair.custodian.exposure(licence) == 0
    pair.call(licence, 100)


def test_no_more_than_is_prepaid_is_served_until_topped_up(tmp_path: Path) -> None:
    pair = Pair(tmp_path, credit=10**6)
    licence = pair.sync(terms(prepaid=10))
    pair.call(licence, 10)
    with pytest.raises(MeterRefused, match="Only 0 units are prepaid and left: top up"):
        pair.licensee.begin(licence)
    assert _says(pair, licence, 2) == "Only 0 units are prepaid and left: top up."
    pair.sync(terms(prepaid=11))
    pair.call(licence)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"suspended": True}, "The licence is suspended."),
        ({"closed": True}, "The licence is closed."),
        ({"revoked": START}, "The patient has taken the consent back."),
        ({"end": START}, "The licence has ended."),
        ({"used": 1}, "The licence was also used on the chain, beside the vouchers."),
    ],
)
def test_nothing_is_served_when_the_chain_says_no(
    pair: Pair, changes: dict[str, int], sentence: str
) -> None:
    licence = pair.sync(terms())
    pair.custodian.sync(terms(**changes))
    assert _says(pair, licence, 1) == sentence


def test_an_open_call_is_not_answered_again_after_the_end(pair: Pair) -> None:
    licence = pair.sync(terms())
    pair.custodian.count(licence, 1)
    pair.custodian.sync(terms(revoked=START))
    assert _says(pair, licence, 1) == "The patient has taken the consent back."


@pytest.mark.parametrize(
    ("number", "units"), [(1, 0), (1, -1), (1, 2**40), (0, 1), (-1, 1), (2**40, 1)]
)
def test_calls_out_of_range_are_refused(pair: Pair, number: int, units: int) -> None:
    _says(pair, pair.sync(terms()), number, units)


def test_strange_licences_are_refused(pair: Pair) -> None:
    with pytest.raises(MeterRefused, match="does not serve this licence"):
        pair.custodian.count(b"\1" * 32, 1)
    with pytest.raises(MeterRefused, match="does not know this licence"):
        pair.licensee.begin(b"\1" * 32)
    with pytest.raises(MeterRefused, match="was never begun"):
        pair.licensee.received(pair.sync(terms()), 1)


def test_the_licensee_does_not_begin_what_cannot_be_served(pair: Pair) -> None:
    licence = pair.sync(terms())
    for units, request in ((0, bytes(16)), (2**40, bytes(16)), (1, b"")):
        with pytest.raises(BadInput):
            pair.licensee.begin(licence, units, request)
    pair.licensee.sync(terms(revoked=START))
    with pytest.raises(MeterRefused, match="has ended"):
        pair.licensee.begin(licence)


def test_a_licence_of_another_key_or_of_none_is_refused(pair: Pair) -> None:
    other = VoucherKey(b"\1" * 32)
    with pytest.raises(BadInput, match="voucher key is"):
        pair.licensee.sync(terms(key=other))
    known = terms()
    none = type(known)(
        **{
            **known.__dict__,
            "ref": type(known.ref)(**{**known.ref.__dict__, "salt": 1 << 160}),
        }
    )
    with pytest.raises(BadInput, match="names no voucher key"):
        pair.custodian.sync(none)


def test_a_meter_without_credit_or_with_a_bad_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        CustodianMeter(tmp_path, MARKET, credit=0)
    for secret in (b"", bytes(32), b"\xff" * 32, b"\1" * 31):
        with pytest.raises(BadInput, match="A voucher key is 32 bytes"):
            VoucherKey(secret)
    assert KEY.address in repr(KEY)
    assert isinstance(LicenseeMeter(tmp_path, MARKET, KEY), LicenseeMeter)


# ---------------------------------------------------------------- what never arrives


def test_what_was_given_up_is_the_custodians_loss_and_nobodys_debt(pair: Pair) -> None:
    licence = pair.sync(terms())
    pair.call(licence, 7)
    lost = pair.licensee.begin(licence, 5)
    pair.custodian.count(licence, lost, 5)
    never_sent = pair.licensee.begin(licence, 11)
    pair.call(licence, 2)
    assert pair.licensee.received_units(licence) == 7
    pair.licensee.abandon(licence, lost)
    pair.licensee.abandon(licence, never_sent)
    ack = pair.licensee.acknowledge(licence)
    assert (ack.units, ack.through, ack.missing) == (9, 4, (lost, never_sent))
    pair.custodian.accept(ack)
    pair.licensee.confirmed(ack)
    assert pair.custodian.counted(licence) == pair.custodian.acknowledged(licence) == 9
    assert pair.licensee.acknowledge(licence).missing == ()
    with pytest.raises(MeterRefused, match="is not open"):
        pair.licensee.abandon(licence, lost)
    assert pair.licensee._by_id[licence].begun == 9  # nothing of what is prepaid was lost


def test_the_custodian_gives_a_call_up(pair: Pair) -> None:
    licence = pair.sync(terms())
    pair.custodian.count(licence, 1, 5)
    assert pair.custodian.write_off(licence, 1) == 5
    assert pair.custodian.counted(licence) == 0
    with pytest.raises(MeterRefused, match="is not open"):
        pair.custodian.write_off(licence, 1)


def test_licences_are_counted_apart(pair: Pair) -> None:
    one, two = pair.sync(terms(1)), pair.sync(terms(2))
    pair.call(one, 3)
    pair.call(two, 4)
    assert (pair.custodian.counted(one), pair.custodian.counted(two)) == (3, 4)
    assert [t.ref.id() for t in pair.custodian.licences()] == [one, two]
    assert [t.ref.id() for t in pair.licensee.licences()] == [one, two]


def test_a_licence_that_was_used_before_is_counted_from_there(pair: Pair) -> None:
    licence = pair.sync(terms(used=40))
    pair.call(licence, 2)
    assert pair.licensee.acknowledge(licence).units == 42
    pair.acknowledge(licence)
    assert pair.custodian.exposure(licence) == 0
    pair.sync(terms(used=42, prepaid=100))
    pair.call(licence, 58)
    with pytest.raises(MeterRefused, match="Only 0 units"):
        pair.licensee.begin(licence)


def test_the_end_of_the_term_stops_both(pair: Pair) -> None:
    licence = pair.sync(terms(end=START + DAY))
    pair.clock.now += DAY - 1
    pair.call(licence)
    pair.clock.now += 1
    assert _says(pair, licence, 2) == "The licence has ended."

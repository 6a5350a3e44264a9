"""R14 on the chain: what a voucher must be to count, until when, and that nothing counts twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.desks import DAY, DUT, FIXED, Actor, Desks
from support.meters import KEY, Clock
from support.world import reverts

from medtoken.chain.contracts import LicenceRef
from medtoken.messages import Domain
from medtoken.metering import CustodianMeter, LicenseeMeter, Terms

VOUCHER_KEY = Actor("voucher key")
OTHER_KEY = Actor("another voucher key")


@pytest.fixture
def ref(desks: Desks) -> dict[str, Any]:
    return desks.metered(VOUCHER_KEY, units=10)


def _used(desks: Desks, ref: dict[str, Any]) -> int:
    return desks.meter(ref)["used"]


def test_one_voucher_counts_any_number_of_calls(desks: Desks) -> None:
    ref = desks.metered(VOUCHER_KEY, units=1000)
    desks.redeem(desks.voucher(ref, 1000, signer=VOUCHER_KEY), sender=desks.people.stranger)
    assert desks.evm.event("VoucherRedeemed") == {
        "licence": LicenceRef(**ref).id(),
        "units": 1000,
        "used": 1000,
        "time": desks.now,
    }
    desks.settle(ref)
    assert desks.evm.event("LicenceSettled")["gross"] == 1000 * 65 * DUT


def test_vouchers_are_cumulative(desks: Desks, ref: dict[str, Any]) -> None:
    first = desks.voucher(ref, 3, signer=VOUCHER_KEY)
    later = desks.voucher(ref, 8, signer=VOUCHER_KEY)
    desks.redeem(first)
    desks.redeem(later)
    assert desks.evm.event("VoucherRedeemed")["units"] == 5
    assert _used(desks, ref) == 8
    for old in (first, later):
        desks.redeem(old)
        assert desks.evm.logs == []
    assert _used(desks, ref) == 8


def test_many_licences_of_one_custodian_in_one_transaction(desks: Desks) -> None:
    refs = [desks.metered(VOUCHER_KEY, units=5) for _ in range(10)]
    desks.redeem(*(desks.voucher(ref, 1 + n % 5, signer=VOUCHER_KEY) for n, ref in enumerate(refs)))
    assert [_used(desks, ref) for ref in refs] == [1 + n % 5 for n in range(10)]
    desks.settle(*refs)
    assert desks.earned(desks.people.custodian) == 30 * 65 * DUT * 70 * 25 // 10_000
    # Who was counted already is passed over, and the others count.
    desks.redeem(
        desks.voucher(refs[4], 5, signer=VOUCHER_KEY),
        desks.voucher(refs[0], 5, signer=VOUCHER_KEY),
    )
    assert [log.args["units"] for log in desks.evm.logs] == [4]
    with reverts("licence: too few units prepaid"):
        desks.redeem(
            desks.voucher(refs[1], 5, signer=VOUCHER_KEY),
            desks.voucher(refs[4], 6, signer=VOUCHER_KEY),
        )
    assert _used(desks, refs[1]) == 2  # all or none


def test_another_licences_voucher_is_refused(desks: Desks, ref: dict[str, Any]) -> None:
    other = desks.metered(VOUCHER_KEY, units=10)
    voucher = desks.voucher(ref, 3, signer=VOUCHER_KEY)
    with reverts("signature: not by its owner"):
        desks.redeem(voucher | {"ref": other})


def test_only_the_licences_key_signs(desks: Desks, ref: dict[str, Any]) -> None:
    for who in (OTHER_KEY, desks.people.licensee, desks.people.custodian, desks.people.patient):
        with reverts("signature: not by its owner"):
            desks.redeem(desks.voucher(ref, 3, signer=who))
    good = desks.voucher(ref, 3, signer=VOUCHER_KEY)
    for change in ({"units": 4}, {"time": desks.now - 1}, {"signature": b""}):
        with reverts("signature: not by its owner"):
            desks.redeem(good | change)
    for domain in (Domain(1, desks.market.address), desks.house_domain):
        with reverts("signature: not by its owner"):
            desks.redeem(desks.voucher(ref, 3, signer=VOUCHER_KEY, domain=domain))
    # The key may bring its word itself, as everywhere.
    desks.redeem(good | {"signature": b""}, sender=VOUCHER_KEY)


def test_no_more_than_was_prepaid(desks: Desks, ref: dict[str, Any]) -> None:
    for units in (11, 2**40, 2**256 - 1):
        with reverts("licence: too few units prepaid"):
            desks.redeem(desks.voucher(ref, units, signer=VOUCHER_KEY))
    desks.market.top_up(ref, 1, sender=ref["licensee"])
    desks.redeem(desks.voucher(ref, 11, signer=VOUCHER_KEY))
    desks.redeem(desks.voucher(ref, 0, signer=VOUCHER_KEY))
    assert _used(desks, ref) == 11


def test_a_licence_without_meter_or_key_takes_no_vouchers(desks: Desks) -> None:
    none = desks.metered(None)
    with reverts("voucher: no signer was named"):
        desks.redeem(desks.voucher(none, 1, signer=VOUCHER_KEY))
    term = desks.buy(desks.granted(), form=FIXED, salt=int(VOUCHER_KEY, 16))
    unknown = none | {"salt": 1}
    for ref in (term, unknown):
        with reverts("voucher: no metered licence"):
            desks.redeem(desks.voucher(ref, 1, signer=VOUCHER_KEY))


# ---------------------------------------------------------------- time


def test_a_voucher_from_the_future_is_refused(desks: Desks, ref: dict[str, Any]) -> None:
    voucher = desks.voucher(ref, 3, signer=VOUCHER_KEY, time=desks.now + 1)
    with reverts("voucher: dated too late"):
        desks.redeem(voucher)
    desks.evm.warp(1)
    desks.redeem(voucher)


@pytest.mark.parametrize("how", ["end", "revocation"])
def test_what_was_acknowledged_before_the_end_counts_within_the_window(
    desks: Desks, ref: dict[str, Any], how: str
) -> None:
    consent = None
    if how == "revocation":
        consent = desks.granted()
        ref = desks.buy(consent, units=10, salt=int(VOUCHER_KEY, 16))
    before = desks.voucher(ref, 3, signer=VOUCHER_KEY)
    if consent:
        desks.evm.warp(DAY)
        desks.revoke(consent)
        end = desks.now
    else:
        end = desks.meter(ref)["end"]
        desks.evm.warp(end - desks.now)
    desks.evm.warp(DAY)
    with reverts("voucher: dated too late"):
        desks.redeem(desks.voucher(ref, 5, signer=VOUCHER_KEY, time=end + 1))
    desks.redeem(before)
    desks.evm.warp(end + 3 * DAY - desks.now)
    desks.redeem(desks.voucher(ref, 4, signer=VOUCHER_KEY, time=end))
    desks.evm.warp(1)
    with reverts("voucher: the window has closed"):
        desks.redeem(desks.voucher(ref, 5, signer=VOUCHER_KEY, time=end))


def test_settling_closes_only_after_the_window_and_refunds_the_rest(desks: Desks) -> None:
    consent = desks.granted()
    ref = desks.buy(consent, units=10, salt=int(VOUCHER_KEY, 16))
    deposit = desks.deposit_of(ref["licensee"])
    voucher = desks.voucher(ref, 3, signer=VOUCHER_KEY)
    desks.revoke(consent)
    desks.settle(ref)
    assert desks.meter(ref)["flags"] & 8 == 0
    desks.evm.warp(3 * DAY)
    desks.settle(ref)
    desks.redeem(voucher)
    desks.evm.warp(1)
    desks.settle(ref)
    assert desks.meter(ref)["flags"] & 8
    closed = desks.evm.event("LicenceClosed")
    assert closed["refund"] == 7 * 65 * DUT
    assert desks.deposit_of(ref["licensee"]) - deposit == closed["refund"] + closed["levy"]
    with reverts("voucher: licence is closed"):
        desks.redeem(desks.voucher(ref, 5, signer=VOUCHER_KEY, time=voucher["time"]))


def test_what_was_used_is_paid_while_it_is_suspended(desks: Desks, ref: dict[str, Any]) -> None:
    licence = LicenceRef(**ref).id()
    voucher = desks.voucher(ref, 3, signer=VOUCHER_KEY)
    desks.market.set_suspended(licence, True, sender=desks.people.supervisor)
    with reverts("licence: it is suspended"):
        desks.use(ref)
    desks.pause()  # and even while the market is paused
    desks.redeem(voucher)
    assert _used(desks, ref) == 3


# ---------------------------------------------------------------- the meters and the market


def _terms(desks: Desks, ref: dict[str, Any], revoked: int = 0) -> Terms:
    word = desks.meter(ref)
    return Terms(
        LicenceRef(**ref),
        word["price"] * 10**9,
        word["units"],
        word["used"],
        word["end"],
        revoked,
        bool(word["flags"] & 4),
        bool(word["flags"] & 8),
        desks.market.window(),
    )


def test_the_meters_and_the_market_agree_to_the_last_unit(desks: Desks, tmp_path: Path) -> None:
    """Prepay, call, acknowledge, redeem, top up, be revoked, redeem the rest, close, be refunded."""
    consent = desks.granted()
    ref = desks.buy(consent, units=50, salt=int(KEY.address, 16))
    deposit = desks.deposit_of(ref["licensee"])
    clock = Clock(desks.now)
    with (
        CustodianMeter(tmp_path, desks.domain, credit=20, clock=clock) as custodian,
        LicenseeMeter(tmp_path, desks.domain, KEY, clock=clock) as licensee,
    ):
        licence = LicenceRef(**ref).id()

        def sync(revoked: int = 0) -> None:
            custodian.sync(_terms(desks, ref, revoked))
            licensee.sync(_terms(desks, ref, revoked))

        def calls(number: int) -> None:
            for _ in range(number):
                made = licensee.begin(licence)
                custodian.count(licence, made)
                licensee.received(licence, made)

        def acknowledge() -> None:
            custodian.accept(licensee.acknowledge(licence))

        def redeem() -> None:
            (claim,) = custodian.claims()
            voucher = claim.voucher
            desks.redeem(
                {
                    "ref": ref,
                    "units": voucher.units,
                    "time": voucher.time,
                    "signature": voucher.signature,
                }
            )
            assert desks.evm.event("VoucherRedeemed")["units"] == claim.new_units
            desks.settle(ref)
            assert desks.evm.event("LicenceSettled")["gross"] == claim.amount

        sync()
        for number in (20, 10, 20):
            calls(number)
            acknowledge()
        redeem()
        desks.market.top_up(ref, 10, sender=ref["licensee"])
        sync()
        clock.now = desks.now
        calls(4)
        acknowledge()
        desks.evm.warp(10)
        clock.now = desks.now
        calls(3)
        desks.evm.warp(10)
        clock.now = desks.now
        desks.revoke(consent)
        sync(revoked=desks.now)
        desks.evm.warp(5)
        clock.now = desks.now
        acknowledge()  # dated the revocation
        redeem()
        sync(revoked=custodian.licences()[0].revoked)
        assert custodian.claims() == []
        assert custodian.exposure(licence) == 0
        desks.evm.warp(3 * DAY + 1)
        desks.settle(ref)
        assert desks.evm.event("LicenceClosed")["refund"] == 3 * 65 * DUT
    spent = deposit - desks.deposit_of(ref["licensee"])
    assert spent == 7 * 65 * DUT + desks.levy(7 * 65 * DUT)  # the first 50 were paid before

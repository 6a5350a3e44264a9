"""R14: calls are counted off the chain; what the licensee's key acknowledged is counted here, once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.evm import Evm
from support.vyper_source import runtime_code
from support.world import DAY, DUT, FIXED, METERED, RENTAL, Actor, World, reverts

NOT_OWNER = "signature: not by its owner"
LATE = "voucher: dated too late"
CLOSED_WINDOW = "voucher: the window has closed"
GONE = "voucher: licence is closed"
WINDOW = 3 * DAY

Ref = dict[str, Any]


def _buy(world: World, units: int = 10, **changes: Any) -> Ref:
    return world.buy(world.granted(), units=units, **({"salt": world.keyed()} | changes))


# ---------------------------------------------------------------- what is counted


def test_one_transaction_counts_any_number_of_calls(world: World) -> None:
    ref = _buy(world, units=1_000)
    before, money = world.meter(ref), world.deposit_of(world.people.licensee)
    world.redeem(world.voucher(ref, 999))
    assert world.evm.events() == ["VoucherRedeemed"]
    assert world.evm.event("VoucherRedeemed") == {
        "licence": world.licence_id(ref),
        "units": 999,
        "used": 999,
        "time": world.now,
    }
    assert world.meter(ref) == before | {"used": 999}
    assert world.deposit_of(world.people.licensee) == money
    world.settle(ref)
    assert world.evm.event("LicenceSettled")["gross"] == 999 * 50 * DUT


def test_vouchers_are_cumulative_so_the_last_one_is_enough(world: World) -> None:
    ref = _buy(world)
    early, late = world.voucher(ref, 3), world.voucher(ref, 7)
    world.redeem(late)
    assert world.evm.event("VoucherRedeemed")["units"] == 7
    world.redeem(early)
    assert world.evm.events() == []
    world.redeem(world.voucher(ref, 10))
    assert world.evm.event("VoucherRedeemed")["units"] == 3
    assert world.meter(ref)["used"] == 10


def test_uses_on_the_chain_count_among_all(world: World) -> None:
    ref = _buy(world)
    world.use(ref, 4)
    world.redeem(world.voucher(ref, 6))
    assert world.evm.event("VoucherRedeemed")["units"] == 2
    world.use(ref, 4)
    with reverts("licence: too few units prepaid"):
        world.redeem(world.voucher(ref, 11))
    assert world.meter(ref)["used"] == 10


def test_many_licences_in_one_transaction(world: World) -> None:
    consent = world.granted()
    refs = [world.buy(consent, units=1, salt=world.keyed(number)) for number in range(100)]
    world.redeem(*(world.voucher(ref, 1) for ref in refs))
    assert world.evm.events() == ["VoucherRedeemed"] * 100
    assert all(world.meter(ref)["used"] == 1 for ref in refs)
    with reverts("the contract refused and gave no reason"):
        world.redeem(*(world.voucher(ref, 1) for ref in [*refs, refs[0]]))
    world.redeem()
    assert world.evm.events() == []


def test_anybody_brings_them_and_gains_nothing(world: World) -> None:
    ref, stranger = _buy(world), world.people.stranger
    world.redeem(world.voucher(ref, 4), sender=stranger)
    world.settle(ref)
    assert world.earned(stranger) == world.deposit_of(stranger) == 0


# ---------------------------------------------------------------- nobody takes more than was signed


def test_a_voucher_counts_once(world: World) -> None:
    ref = _buy(world)
    voucher = world.voucher(ref, 4)
    world.redeem(voucher, voucher)
    assert world.evm.events() == ["VoucherRedeemed"]
    world.redeem(voucher)
    assert world.evm.events() == []
    assert world.meter(ref)["used"] == 4


def test_a_batch_is_not_spoiled_by_somebody_who_brings_one_of_it_first(world: World) -> None:
    first, second = _buy(world), _buy(world)
    spoiled, other = world.voucher(first, 4), world.voucher(second, 5)
    world.redeem(spoiled, sender=world.people.stranger)
    world.redeem(spoiled, other)
    assert world.evm.event("VoucherRedeemed")["licence"] == world.licence_id(second)
    assert (world.meter(first)["used"], world.meter(second)["used"]) == (4, 5)


@pytest.mark.parametrize("units", [11, 2**40, 2**80, 2**256 - 1])
def test_no_more_than_is_prepaid(world: World, units: int) -> None:
    ref = _buy(world)
    with reverts("licence: too few units prepaid"):
        world.redeem(world.voucher(ref, units))
    world.redeem(world.voucher(ref, 10))


def test_a_voucher_for_nothing_counts_nothing(world: World) -> None:
    ref = _buy(world)
    word = world.licence(ref)
    world.redeem(world.voucher(ref, 0))
    assert world.evm.events() == []
    assert world.licence(ref) == word


def test_only_the_key_in_the_salt_signs(world: World) -> None:
    people = world.people
    ref = _buy(world)
    for who in (people.licensee, people.custodian, people.patient, people.stranger):
        with reverts(NOT_OWNER):
            world.redeem(world.voucher(ref, 1, signer=who))
    with reverts(NOT_OWNER):
        world.redeem(world.voucher(ref, 1) | {"signature": b""})
    with reverts(NOT_OWNER):
        world.redeem(world.voucher(ref, 1) | {"signature": bytes(65)})


@pytest.mark.parametrize(("field", "value"), [("units", 5), ("time", 1)])
def test_nothing_of_it_can_be_changed(world: World, field: str, value: int) -> None:
    ref = _buy(world)
    with reverts(NOT_OWNER):
        world.redeem(world.voucher(ref, 4) | {field: value})


def test_it_is_good_for_one_licence_only(world: World) -> None:
    """Also between licences of the same licensee, consent and key."""
    consent = world.granted()
    first = world.buy(consent, salt=world.keyed(1))
    second = world.buy(consent, salt=world.keyed(2))
    theirs = world.buy(consent, salt=world.keyed(1), sender=world.people.other_licensee)
    voucher = world.voucher(first, 4)
    for other in (second, theirs):
        with reverts(NOT_OWNER):
            world.redeem(voucher | {"ref": other})


def test_a_forged_ref_names_no_licence(world: World) -> None:
    ref = _buy(world)
    stranger = world.people.stranger
    own = {**ref, "salt": world.keyed(key=stranger)}
    for forged in (own, ref | {"consent": bytes(32)}, ref | {"licensee": str(stranger)}):
        with reverts("voucher: no metered licence"):
            world.redeem(world.voucher(forged, 4, signer=stranger))


@pytest.mark.parametrize("form", [FIXED, RENTAL])
def test_a_term_takes_no_vouchers(world: World, form: int) -> None:
    ref = world.buy(world.granted(), form=form, salt=world.keyed())
    with reverts("voucher: no metered licence"):
        world.redeem(world.voucher(ref, 1))


def test_without_a_key_it_takes_no_vouchers(world: World) -> None:
    """Not even such as the precompile would recover to nobody."""
    ref = _buy(world, salt=1 << 160)
    for signature in (b"", bytes(65), bytes(64) + b"\x1b"):
        with reverts("voucher: no signer was named"):
            world.redeem({"ref": ref, "units": 1, "time": world.now, "signature": signature})


def test_a_small_salt_is_the_key_of_an_address_that_nobody_has(world: World) -> None:
    ref = _buy(world, salt=4)  # the identity precompile
    for signature in (b"", bytes(65), b"\0" * 64):
        with reverts(NOT_OWNER):
            world.redeem({"ref": ref, "units": 1, "time": world.now, "signature": signature})


def test_the_key_itself_may_send_it_unsigned(world: World) -> None:
    ref = _buy(world)
    voucher = world.voucher(ref, 4) | {"signature": b""}
    world.redeem(voucher, sender=world.people.meter)
    assert world.meter(ref)["used"] == 4


def test_a_smart_wallet_may_be_the_key(world: World) -> None:
    owner, wallet = world.people.stranger, world.new_actor()
    world.evm.insert_code(wallet, runtime_code(world.evm, "KeyWallet", ["address"], str(owner)))
    ref = _buy(world, salt=world.keyed(key=wallet))
    with reverts(NOT_OWNER):
        world.redeem(world.voucher(ref, 4, signer=world.people.meter))
    world.redeem(world.voucher(ref, 4, signer=owner))
    assert world.meter(ref)["used"] == 4


# ---------------------------------------------------------------- when it was acknowledged


def test_a_date_in_the_future_is_refused(world: World) -> None:
    ref = _buy(world)
    with reverts(LATE):
        world.redeem(world.voucher(ref, 1, world.now + 1))
    with reverts(LATE):
        world.redeem(world.voucher(ref, 1, 2**256 - 1))
    world.redeem(world.voucher(ref, 1))


def test_what_was_acknowledged_before_a_revocation_counts_within_the_window(world: World) -> None:
    consent = world.granted()
    ref = world.buy(consent, salt=world.keyed())
    before, at = world.voucher(ref, 4), world.voucher(ref, 5, world.now + 10)
    after = world.voucher(ref, 6, world.now + 11)
    world.evm.warp(10)
    world.revoke(consent)
    world.evm.warp(WINDOW)
    world.redeem(before)
    world.redeem(at)
    with reverts(LATE):
        world.redeem(after)
    with reverts("consent: it was revoked"):
        world.use(ref)
    world.settle(ref)
    assert world.evm.event("LicenceSettled")["gross"] == 250 * DUT
    assert world.meter(ref)["flags"] == METERED


def test_after_the_window_nothing_counts_whatever_its_date(world: World) -> None:
    consent = world.granted()
    ref = world.buy(consent, salt=world.keyed())
    voucher = world.voucher(ref, 4)
    world.revoke(consent)
    world.evm.warp(WINDOW + 1)
    for late in (voucher, world.voucher(ref, 4, 0)):
        with reverts(CLOSED_WINDOW):
            world.redeem(late)


def test_after_the_term_it_is_the_same(world: World) -> None:
    ref = _buy(world, end=world.now + 100)
    last, late = world.voucher(ref, 4, world.now + 100), world.voucher(ref, 5, world.now + 101)
    world.evm.warp(100)
    world.redeem(last)
    world.evm.warp(WINDOW)
    with reverts(LATE):
        world.redeem(late)
    world.redeem(world.voucher(ref, 6, world.now - WINDOW))
    world.evm.warp(1)
    with reverts(CLOSED_WINDOW):
        world.redeem(world.voucher(ref, 7, 0))


def test_a_revocation_after_the_term_opens_no_second_window(world: World) -> None:
    consent = world.granted()
    ref = world.buy(consent, salt=world.keyed(), end=world.now + 100)
    voucher = world.voucher(ref, 4)
    world.evm.warp(100 + WINDOW)
    world.revoke(consent)
    world.redeem(voucher)
    world.evm.warp(1)
    with reverts(CLOSED_WINDOW):
        world.redeem(world.voucher(ref, 5, 0))


# ---------------------------------------------------------------- closing waits for the window


def test_nobody_closes_it_before_the_window_has(world: World) -> None:
    """Or a licensee could have its money back for calls that it acknowledged."""
    consent = world.granted()
    deposit = world.deposit_of(world.people.licensee)
    ref = world.buy(consent, salt=world.keyed())
    voucher = world.voucher(ref, 4)
    world.revoke(consent)
    for seconds in (0, 1, WINDOW - 1):
        world.evm.warp(seconds)
        world.market.settle([ref], sender=world.people.licensee)
        assert world.evm.events() == []
    world.redeem(voucher)
    world.settle(ref)
    assert world.evm.events() == ["LicenceSettled", "LevyReceived", "Transfer"]
    world.evm.warp(1)
    world.settle(ref)
    assert world.evm.events() == ["LicenceClosed"]
    assert world.evm.event("LicenceClosed")["refund"] == 300 * DUT
    assert world.deposit_of(world.people.licensee) == deposit - 210 * DUT
    with reverts(GONE):
        world.redeem(world.voucher(ref, 5, 0))


@pytest.mark.parametrize("ends", ["by time", "by revocation"])
def test_the_last_second_for_vouchers_is_the_last_before_it_may_be_closed(
    world: World, ends: str
) -> None:
    """No second in which both would be possible, and none in which neither is."""
    consent = world.granted()
    ref = world.buy(consent, salt=world.keyed(), end=world.now + 100)
    voucher = world.voucher(ref, 4)
    if ends == "by revocation":
        world.revoke(consent)
    else:
        world.evm.warp(100)
    for seconds, open_ in ((WINDOW, True), (1, False)):
        world.evm.warp(seconds)
        with world.evm.anchor():
            if open_:
                world.redeem(voucher)
            else:
                with reverts(CLOSED_WINDOW):
                    world.redeem(voucher)
        with world.evm.anchor():
            world.settle(ref)
            assert (world.meter(ref)["flags"] & 8 == 0) == open_


def test_without_a_key_nothing_waits(world: World) -> None:
    consent = world.granted()
    ref = world.buy(consent, salt=1 << 160)
    world.revoke(consent)
    world.settle(ref)
    assert world.meter(ref)["flags"] == METERED | 8


@pytest.mark.parametrize("form", [FIXED, RENTAL])
def test_a_term_with_a_key_in_its_salt_does_not_wait(world: World, form: int) -> None:
    consent = world.granted()
    ref = world.buy(consent, form=form, salt=world.keyed())
    world.revoke(consent)
    world.settle(ref)
    assert world.term(ref)["flags"] == form | 8


# ---------------------------------------------------------------- pause, suspension, sanctions


def test_a_pause_does_not_stop_it(world: World) -> None:
    ref = _buy(world)
    world.market.pause(sender=world.people.guardian)
    world.redeem(world.voucher(ref, 4))
    assert world.meter(ref)["used"] == 4


def test_a_licensee_that_was_frozen_still_pays_what_it_acknowledged(world: World) -> None:
    people = world.people
    ref = _buy(world)
    world.dut.setFrozen(people.licensee, True, sender=people.sanctions)
    world.redeem(world.voucher(ref, 4))
    world.settle(ref)
    assert world.earned(people.patient) > 0


def test_a_suspended_licence_is_not_used_but_pays_what_it_used(world: World) -> None:
    """R31, R14: a suspension stops uses, not what was acknowledged; then it runs on as before."""
    ref = _buy(world)
    voucher, licence = world.voucher(ref, 4), world.licence_id(ref)
    world.market.set_suspended(licence, True, sender=world.people.supervisor)
    with reverts("licence: it is suspended"):
        world.use(ref)
    world.redeem(voucher)
    assert (world.meter(ref)["used"], world.meter(ref)["flags"] & 4) == (4, 4)
    world.market.set_suspended(licence, False, sender=world.people.supervisor)
    world.redeem(world.voucher(ref, 5))
    assert world.meter(ref)["used"] == 5


def test_what_was_acknowledged_before_a_suspension_is_paid(world: World) -> None:
    """R14, R31: whoever is suspended for misuse must not have its money back for what it used."""
    ref = _buy(world, end=world.now + 100)
    voucher = world.voucher(ref, 10)
    world.market.set_suspended(world.licence_id(ref), True, sender=world.people.supervisor)
    world.evm.warp(100)
    world.redeem(voucher)
    world.evm.warp(WINDOW + 1)
    world.settle(ref)
    assert world.evm.event("LicenceClosed")["refund"] == 0


# ---------------------------------------------------------------- any order of events


def test_in_any_order_exactly_what_was_signed_in_time_is_paid(world: World, evm: Evm) -> None:
    """A model of R14: a voucher counts when its date and its arrival allow it, and only upwards."""
    record = world.record()
    meter: Actor = world.people.meter

    @settings(max_examples=120)
    @given(
        steps=st.lists(
            st.one_of(
                st.tuples(st.just("wait"), st.integers(0, WINDOW)),
                st.tuples(st.just("voucher"), st.integers(0, 12), st.integers(-WINDOW, 10)),
                st.tuples(st.just("revoke")),
                st.tuples(st.just("settle")),
            ),
            max_size=12,
        )
    )
    def agrees(steps: list[Any]) -> None:
        with evm.anchor():
            consent = world.granted(record)
            end = world.now + 5 * DAY
            start_deposit = world.deposit_of(world.people.licensee)
            ref = world.buy(consent, salt=world.keyed(key=meter), end=end)
            used, last, closed, revoked = 0, end, False, False
            for step in steps:
                if step[0] == "wait":
                    evm.warp(step[1])
                elif step[0] == "revoke" and not revoked:
                    world.revoke(consent)
                    revoked, last = True, min(last, world.now)
                elif step[0] == "voucher":
                    units, date = step[1], world.now + step[2]
                    voucher = world.voucher(ref, units, date)
                    in_time = date <= last and date <= world.now <= last + WINDOW
                    if not closed and in_time and units <= 10:
                        world.redeem(voucher)
                        used = max(used, units)
                    elif not closed and in_time:
                        with reverts("licence: too few units prepaid"):
                            world.redeem(voucher)
                    else:
                        late = CLOSED_WINDOW if date <= min(last, world.now) else LATE
                        with reverts(GONE if closed else late):
                            world.redeem(voucher)
                elif step[0] == "settle":
                    world.settle(ref)
                    closed = closed or world.now > last + WINDOW
                assert world.meter(ref)["used"] == used
                assert (world.meter(ref)["flags"] & 8 != 0) == closed
            evm.warp(20 * DAY)
            world.settle(ref)
            spent = start_deposit - world.deposit_of(world.people.licensee)
            assert spent == used * 50 * DUT * 21 // 20

    agrees()

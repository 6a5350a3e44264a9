"""R8, R9, R15, R17: what licences have earned is split, the levy goes to the treasury, the rest returns."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.world import DAY, DUT, FIXED, METERED, ZERO, World, reverts

UNKNOWN = "licence: unknown licence"


@dataclass(frozen=True)
class Money:
    """Everything that the market owes and holds."""

    patient: int
    custodian: int
    annotator: int
    platform: int
    deposit: int
    held: int
    levies: int

    def __sub__(self, other: Money) -> Money:
        return Money(*(getattr(self, f) - getattr(other, f) for f in self.__dataclass_fields__))


def money(world: World) -> Money:
    p = world.people
    return Money(
        *(world.earned(who) for who in (p.patient, p.custodian, p.annotator, p.platform)),
        world.deposit_of(p.licensee),
        world.dut.balanceOf(world.market.address),
        world.treasury.books()[0],
    )


def split(gross: int, share: int = 7_500, *, annotated: bool = True) -> tuple[int, int, int, int]:
    """R15 and R8 by hand, in fractions of the standard rates."""
    annotator = gross * 20 // 100 if annotated else 0
    provider = gross * (70 if annotated else 90) // 100
    patient = provider * share // 10_000
    return patient, provider - patient, annotator, gross * 10 // 100


# ---------------------------------------------------------------- the worked example


def test_the_worked_example_of_r15_to_the_base_unit(world: World) -> None:
    """100,000 records at 50 DUT: 5,000,000 → 3,500,000 / 1,000,000 / 500,000, and 250,000 levy."""
    people = world.people
    world.fund(people.licensee, 6_000_000 * DUT)
    world.market.deposit(people.licensee, 5_250_000 * DUT, sender=people.licensee)
    consent = world.granted()
    ref = world.buy(consent, units=100_000)
    before = money(world)
    for _ in range(4):
        world.use(ref, 25_000)
    world.settle(ref)
    assert money(world) - before == Money(
        patient=2_625_000 * DUT,
        custodian=875_000 * DUT,
        annotator=1_000_000 * DUT,
        platform=500_000 * DUT,
        deposit=0,
        held=-250_000 * DUT,
        levies=250_000 * DUT,
    )
    assert 2_625_000 + 875_000 == 3_500_000


# ---------------------------------------------------------------- metered licences


def test_a_metered_settlement_is_stored_and_told_in_full(world: World) -> None:
    people = world.people
    ref = world.buy(world.granted(), units=10)
    world.use(ref, 3)
    word = world.meter(ref)
    world.settle(ref)
    assert world.evm.events() == ["LicenceSettled", "LevyReceived", "Transfer"]
    patient, custodian, annotator, platform = split(150 * DUT)
    assert world.evm.event("LicenceSettled") == {
        "licence": world.licence_id(ref),
        "record": ref["record"],
        "kind": 1,
        "settled": 3,
        "gross": 150 * DUT,
        "patient": people.patient,
        "patientAmount": patient,
        "custodian": people.custodian,
        "custodianAmount": custodian,
        "annotator": people.annotator,
        "annotatorAmount": annotator,
        "platform": people.platform,
        "platformAmount": platform,
        "levy": 15 * DUT // 2,
    }
    assert world.meter(ref) == word | {"settled": 3}


def test_only_what_was_used_since_is_settled(world: World) -> None:
    ref = world.buy(world.granted(), units=10)
    world.use(ref, 3)
    world.settle(ref)
    before = money(world)
    world.settle(ref)
    assert world.evm.events() == []
    assert money(world) == before
    world.use(ref, 2)
    world.settle(ref)
    assert world.evm.event("LicenceSettled")["gross"] == 100 * DUT
    assert world.evm.event("LicenceSettled")["settled"] == 5


def test_what_was_used_before_a_revocation_is_paid_and_the_rest_returns(world: World) -> None:
    consent = world.granted()
    start = money(world)
    ref = world.buy(consent, units=10)
    world.use(ref, 4)
    world.revoke(consent)
    world.settle(ref)
    assert world.evm.events() == ["LicenceSettled", "LicenceClosed", "LevyReceived", "Transfer"]
    assert world.evm.event("LicenceClosed") == {
        "licence": world.licence_id(ref),
        "licensee": world.people.licensee,
        "refund": 300 * DUT,
        "levy": 15 * DUT,
    }
    patient, custodian, annotator, platform = split(200 * DUT)
    assert money(world) - start == Money(
        patient, custodian, annotator, platform, -210 * DUT, -10 * DUT, 10 * DUT
    )
    assert world.meter(ref)["flags"] == METERED | 8


def test_a_licence_that_ran_out_is_closed_and_its_unused_units_return(world: World) -> None:
    start = money(world)
    ref = world.buy(world.granted(), units=10)
    world.evm.warp(90 * DAY - 1)
    world.settle(ref)
    assert world.meter(ref)["flags"] == METERED
    world.evm.warp(1)
    world.settle(ref)
    assert world.evm.events() == ["LicenceClosed"]
    assert world.meter(ref)["flags"] == METERED | 8
    assert money(world) == start


# ---------------------------------------------------------------- fixed terms


@pytest.mark.parametrize(
    ("seconds", "ended"),
    [(0, False), (1, False), (500, False), (999, False), (1000, True), (1001, True), (9999, True)],
)
def test_a_fixed_term_is_earned_second_by_second(world: World, seconds: int, ended: bool) -> None:
    consent = world.granted()
    start = money(world)
    ref = world.buy(consent, form=FIXED, end=world.now + 1000)
    bought = world.now
    world.evm.warp(seconds)
    world.settle(ref)
    earned = 50 * DUT * min(seconds, 1000) // 1000
    patient, custodian, annotator, platform = split(earned)
    levy = earned // 20
    gone = 50 * DUT * 21 // 20
    assert money(world) - start == Money(
        patient, custodian, annotator, platform, -gone, -levy, levy
    )
    term = world.term(ref)
    assert term["settled"] == bought + min(seconds, 1000)
    assert term["flags"] == (FIXED | 8 if ended else FIXED)
    assert ("LicenceClosed" in world.evm.events()) == ended
    if ended:
        assert world.evm.event("LicenceClosed")["refund"] == 0


@pytest.mark.parametrize(("lived", "waits"), [(0, 0), (0, 700), (1, 0), (400, 0), (400, 10_000)])
def test_a_revocation_stops_the_clock_and_returns_the_unearned_part(
    world: World, lived: int, waits: int
) -> None:
    """However long somebody waits with settling it, and also when revoked in the second of purchase."""
    consent = world.granted()
    start = money(world)
    ref = world.buy(consent, form=FIXED, end=world.now + 1000)
    world.evm.warp(lived)
    world.revoke(consent)
    world.evm.warp(waits)
    world.settle(ref)
    earned = 50 * DUT * lived // 1000
    patient, custodian, annotator, platform = split(earned)
    levy = earned // 20
    assert money(world) - start == Money(
        patient, custodian, annotator, platform, -earned - levy, -levy, levy
    )
    closed = world.evm.event("LicenceClosed")
    assert closed["refund"] == 50 * DUT - earned
    assert closed["levy"] == closed["refund"] // 20


def test_a_revocation_after_the_end_returns_nothing(world: World) -> None:
    consent = world.granted()
    ref = world.buy(consent, form=FIXED, end=world.now + 1000)
    world.evm.warp(2000)
    world.revoke(consent)
    world.settle(ref)
    assert world.evm.event("LicenceClosed")["refund"] == 0
    assert world.evm.event("LicenceSettled")["gross"] == 50 * DUT


@pytest.mark.parametrize("order", ["settle first", "revoke first"])
def test_who_comes_first_within_a_second_changes_no_amount(world: World, order: str) -> None:
    """Nobody gains by putting a settlement before or after a revocation (sandwiching)."""
    consent = world.granted()
    start = money(world)
    ref = world.buy(consent, form=FIXED, end=world.now + 1000)
    world.evm.warp(333)
    if order == "settle first":
        world.settle(ref)
    world.revoke(consent)
    world.settle(ref)
    earned = 50 * DUT * 333 // 1000 // 10**9 * 10**9
    assert money(world) - start == Money(
        *split(earned), -earned * 21 // 20, -earned // 20, earned // 20
    )


def test_settling_every_second_or_once_gives_the_same(world: World) -> None:
    """A price that no second divides: 50 DUT over 997 seconds."""
    consent = world.granted()
    start = money(world)
    often = world.buy(consent, form=FIXED, end=world.now + 997)
    for step in (1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 11):
        world.evm.warp(step)
        world.settle(often)
    in_steps = money(world) - start
    middle = money(world)
    once = world.buy(consent, form=FIXED, end=world.now + 997, salt=1)
    world.evm.warp(997)
    world.settle(once)
    assert money(world) - middle == in_steps
    assert sum(split(50 * DUT)) == 50 * DUT
    assert in_steps == Money(
        *split(50 * DUT), -50 * DUT * 21 // 20, -50 * DUT // 20, 50 * DUT // 20
    )


def test_every_amount_adds_up_whatever_the_numbers(world: World) -> None:
    """R15: no dust, for any price on the grain, rates, share, term and moment of settling."""
    record, plain = world.record(), world.record(annotator=0)

    @settings(max_examples=150)
    @given(
        floor=st.integers(50 * 10**9, 4000 * 10**9).map(lambda n: n * 10**9 + 10**9),
        share=st.integers(7_000, 8_000),
        platform=st.integers(0, 2_000),
        annotator=st.integers(0, 3_000),
        levy=st.integers(0, 1_000),
        length=st.integers(1, 10**6),
        moments=st.lists(st.integers(0, 10**6), max_size=4),
        annotated=st.booleans(),
    )
    def adds_up(
        floor: int,
        share: int,
        platform: int,
        annotator: int,
        levy: int,
        length: int,
        moments: list[int],
        annotated: bool,
    ) -> None:
        with world.evm.anchor():
            rates = {
                "provider": 10_000 - platform - annotator,
                "annotator": annotator,
                "platform": platform,
                "levy": levy,
            }
            world.as_timelock(world.market, "set_rates", rates)
            consent = world.granted(
                record if annotated else plain, floorPrice=floor, patientShare=share
            )
            start = money(world)
            bought = world.now
            ref = world.buy(consent, form=FIXED, end=world.now + length)
            total = 0
            for moment in sorted(moments):
                world.evm.warp(bought + moment - world.now)
                if world.term(ref)["flags"] & 8:
                    break
                world.settle(ref)
                total = floor // 10**9 * min(moment, length) // length * 10**9
            change = money(world) - start
            parts = change.patient + change.custodian + change.annotator + change.platform
            assert parts == total
            assert change.levies * 10_000 == total * levy
            assert change.held == -change.levies
            assert change.platform * 10_000 == total * platform
            assert change.annotator * 10_000 == (total * annotator if annotated else 0)
            provider = total - change.annotator - change.platform
            assert change.patient * 10_000 == provider * share
            assert -change.deposit * 10_000 == floor * (10_000 + levy)
            if not world.term(ref)["flags"] & 8:
                world.revoke(consent)
                world.settle(ref)
                # At the end all that the market holds belongs to somebody.
            end = money(world) - start
            assert -end.deposit == (
                end.patient + end.custodian + end.annotator + end.platform + end.levies
            )

    adds_up()


# ---------------------------------------------------------------- parties (R8)


@pytest.mark.parametrize("share", [7_000, 7_500, 7_777, 8_000])
def test_the_patients_signature_sets_its_share(world: World, share: int) -> None:
    start = money(world)
    ref = world.buy(world.granted(patientShare=share))
    world.use(ref, 10)
    world.settle(ref)
    change = money(world) - start
    assert (change.patient, change.custodian) == split(500 * DUT, share)[:2]


def test_without_an_annotator_its_part_is_the_providers(world: World) -> None:
    start = money(world)
    ref = world.buy(world.granted(world.record(annotator=0)))
    world.use(ref, 10)
    world.settle(ref)
    assert world.evm.event("LicenceSettled")["annotator"] == ZERO
    change = money(world) - start
    assert (change.patient, change.custodian, change.annotator, change.platform) == split(
        500 * DUT, annotated=False
    )
    assert world.earned(ZERO) == 0


def test_parties_that_coincide_are_paid_each_part(world: World) -> None:
    """Patient = custodian = licensee = platform: nothing is lost, and nothing is paid twice."""
    who = world.people.custodian
    world.as_timelock(world.market, "set_platform", who)
    world.license(who)
    world.fund(who, 1000 * DUT)
    world.dut.approve(world.market.address, 1000 * DUT, sender=who)
    world.market.deposit(who, 1000 * DUT, sender=who)
    record = world.record(owner=str(who))
    consent = world.consent(record, patient=str(who))
    world.market.grant_consent(consent.values(), b"", sender=who)
    ref = world.buy(consent, sender=who)
    world.use(ref, 6)
    world.market.revoke_consent(consent.struct_hash(), b"", sender=who)
    world.settle(ref)
    assert world.earned(who) == 300 * DUT * 8 // 10
    assert world.earned(world.people.annotator) == 300 * DUT * 2 // 10
    assert world.deposit_of(who) == 1000 * DUT - 315 * DUT
    assert world.nonce(who) == 0


def test_an_institution_that_moves_takes_its_future_earnings_along(world: World) -> None:
    people = world.people
    ref = world.buy(world.granted())
    world.use(ref, 5)
    world.settle(ref)
    before = world.earned(people.custodian)
    new = world.new_actor()
    world.registry.move(world.number(people.custodian), new, sender=people.accreditation)
    world.use(ref, 5)
    world.settle(ref)
    assert world.earned(people.custodian) == before == 250 * DUT * 7 // 40
    assert world.earned(new) == before


def test_a_custodian_that_lost_its_accreditation_still_earns(world: World) -> None:
    ref = world.buy(world.granted())
    world.accredit(world.people.custodian, 0)
    world.use(ref, 10)
    world.settle(ref)
    assert world.earned(world.people.custodian) == 500 * DUT * 7 // 40


def test_the_platform_at_the_time_of_settling_earns_its_part(world: World) -> None:
    ref = world.buy(world.granted())
    world.use(ref, 10)
    new = world.new_actor()
    world.as_timelock(world.market, "set_platform", new)
    world.settle(ref)
    assert world.earned(new) == 50 * DUT
    assert world.earned(world.people.platform) == 0


# ---------------------------------------------------------------- rates (R15)


def test_rates_that_change_reprice_no_licence(world: World) -> None:
    consent = world.granted()
    start = money(world)
    old = world.buy(consent, units=10)
    world.use(old, 5)
    rates = {"provider": 5_000, "annotator": 3_000, "platform": 2_000, "levy": 1_000}
    world.as_timelock(world.market, "set_rates", rates)
    world.revoke(consent)
    world.settle(old)
    assert world.meter(old)["epoch"] == 1
    assert money(world) - start == Money(
        *split(250 * DUT), -250 * DUT * 21 // 20, -250 * DUT // 20, 250 * DUT // 20
    )


def test_a_new_licence_is_split_by_the_new_rates(world: World) -> None:
    rates = {"provider": 5_000, "annotator": 3_000, "platform": 2_000, "levy": 1_000}
    world.as_timelock(world.market, "set_rates", rates)
    consent = world.granted()
    start = money(world)
    ref = world.buy(consent, units=10)
    assert world.meter(ref)["epoch"] == 2
    world.use(ref, 10)
    world.settle(ref)
    assert money(world) - start == Money(
        patient=250 * DUT * 3 // 4,
        custodian=250 * DUT // 4,
        annotator=150 * DUT,
        platform=100 * DUT,
        deposit=-550 * DUT,
        held=-50 * DUT,
        levies=50 * DUT,
    )


def test_without_a_levy_the_treasury_is_not_called(world: World) -> None:
    rates = {"provider": 7_000, "annotator": 2_000, "platform": 1_000, "levy": 0}
    world.as_timelock(world.market, "set_rates", rates)
    ref = world.buy(world.granted())
    world.use(ref, 10)
    world.settle(ref)
    assert world.evm.events() == ["LicenceSettled"]
    assert world.treasury.books() == (0, 0, 0)


# ---------------------------------------------------------------- batches, strangers, pauses


def test_a_batch_credits_each_and_moves_the_levy_once(world: World) -> None:
    consents = [world.granted() for _ in range(3)]
    refs = [world.buy(c, units=10) for c in consents]
    for units, ref in enumerate(refs, start=1):
        world.use(ref, units)
    start = money(world)
    world.settle(*refs)
    assert world.evm.events() == ["LicenceSettled"] * 3 + ["LevyReceived", "Transfer"]
    assert world.evm.event("LevyReceived")["amount"] == 15 * DUT
    assert money(world) - start == Money(*split(300 * DUT), 0, -15 * DUT, 15 * DUT)


def test_a_hundred_licences_fit_one_settlement(world: World) -> None:
    consent = world.granted()
    refs = [world.buy(consent, units=1, salt=salt) for salt in range(100)]
    for ref in refs:
        world.use(ref)
    start = money(world)
    world.settle(*refs)
    assert money(world) - start == Money(*split(5000 * DUT), 0, -250 * DUT, 250 * DUT)
    with reverts("the contract refused and gave no reason"):
        world.settle(*refs, refs[0])


def test_the_same_licence_twice_in_a_batch_is_settled_once(world: World) -> None:
    ref = world.buy(world.granted())
    world.use(ref, 2)
    start = money(world)
    world.settle(ref, ref)
    assert money(world) - start == Money(*split(100 * DUT), 0, -5 * DUT, 5 * DUT)


def test_an_empty_batch_changes_nothing(world: World) -> None:
    start = money(world)
    world.settle()
    assert world.evm.events() == []
    assert money(world) == start


def test_an_unknown_licence_is_refused(world: World) -> None:
    ref = world.buy(world.granted())
    for changed in ({"salt": 9}, {"licensee": str(world.people.stranger)}, {"record": bytes(32)}):
        with reverts(UNKNOWN):
            world.settle(ref | changed)


def test_a_closed_licence_pays_nothing_again(world: World) -> None:
    consent = world.granted()
    ref = world.buy(consent)
    world.use(ref, 4)
    world.revoke(consent)
    world.settle(ref)
    start, word = money(world), world.licence(ref)
    world.settle(ref, ref)
    assert world.evm.events() == []
    assert (money(world), world.licence(ref)) == (start, word)


def test_anybody_may_settle_and_gains_nothing(world: World) -> None:
    ref = world.buy(world.granted())
    world.use(ref, 4)
    stranger = world.people.stranger
    world.market.settle([ref], sender=stranger)
    assert world.earned(stranger) == 0
    assert world.deposit_of(stranger) == 0
    assert world.dut.balanceOf(stranger) == 0


def test_a_pause_does_not_stop_it(world: World) -> None:
    ref = world.buy(world.granted())
    world.use(ref, 4)
    world.market.pause(sender=world.people.guardian)
    world.settle(ref)
    assert world.earned(world.people.patient) == split(200 * DUT)[0]


@pytest.mark.parametrize("form", [FIXED, METERED])
def test_a_suspended_licence_settles_and_keeps_its_flag(world: World, form: int) -> None:
    ref = world.buy(
        world.granted(), form=form, units=0 if form == FIXED else 10, end=world.now + 100
    )
    world.use(ref, 4)
    licence = world.licence_id(ref)
    world.market.set_suspended(licence, True, sender=world.people.supervisor)
    world.evm.warp(50)
    world.settle(ref)
    assert world.term(ref)["flags"] == form | 4
    world.evm.warp(50)
    world.settle(ref)
    assert world.term(ref)["flags"] == form | 4 | 8


def test_a_refund_goes_to_the_licensee_whoever_settles(world: World) -> None:
    consent = world.granted()
    deposit = world.deposit_of(world.people.licensee)
    ref = world.buy(consent)
    world.revoke(consent)
    world.market.settle([ref], sender=world.people.other_licensee)
    assert world.deposit_of(world.people.licensee) == deposit
    assert world.deposit_of(world.people.other_licensee) == deposit


def test_a_refund_leaves_a_frozen_licensees_standing(world: World) -> None:
    licensee = world.people.licensee
    consent = world.granted()
    ref = world.buy(consent)
    world.license(licensee, flags=1)
    standing = world.market.licensee_word(licensee) >> 128
    world.revoke(consent)
    world.settle(ref)
    assert world.market.licensee_word(licensee) >> 128 == standing


# ---------------------------------------------------------------- burn (R17)


def _settle_one(world: World) -> None:
    ref = world.buy(world.granted())
    world.use(ref, 10)
    world.settle(ref)


def test_above_the_ceiling_half_of_the_levy_is_burned(world: World) -> None:
    supply = world.dut.totalSupply()
    world.as_timelock(world.treasury, "set_ceiling", supply - 1)
    _settle_one(world)
    assert world.treasury.books() == (25 * DUT, 25 * DUT // 2, 25 * DUT // 2)
    assert world.dut.totalSupply() == supply - 25 * DUT // 2
    assert world.dut.balanceOf(world.treasury.address) == 25 * DUT // 2


@pytest.mark.parametrize("above", [0, 1])
def test_at_or_below_the_ceiling_nothing_is_burned(world: World, above: int) -> None:
    supply = world.dut.totalSupply()
    world.as_timelock(world.treasury, "set_ceiling", supply + above)
    _settle_one(world)
    assert world.treasury.books() == (25 * DUT, 0, 25 * DUT)
    assert world.dut.totalSupply() == supply


def test_a_batch_is_not_spoiled_by_somebody_who_settles_one_of_it_first(world: World) -> None:
    consent, ended = world.granted(), world.granted()
    ref, spoiled = world.buy(consent), world.buy(ended)
    world.use(ref, 4)
    world.revoke(ended)
    world.market.settle([spoiled], sender=world.people.stranger)
    world.market.settle([ref, spoiled], sender=world.people.relay)
    assert world.meter(ref)["settled"] == 4

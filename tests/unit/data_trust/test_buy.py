"""R21: P splits 60/40, the trustee's 15 % and the levy come on top, to the base unit."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.trust import Trust, buy, mandate, offer
from support.world import DAY, DUT, METERED, MILLION, RENTAL, YEAR, reverts

from medtoken.chain.words import GRAIN, SaleWord

EIGHT = 8 * MILLION * DUT


def test_the_worked_example(office: Trust) -> None:
    """8,000,000 → 4,800,000 / 3,200,000, 1,200,000 for the trustee, 400,000 of levy."""
    w, p = office, office.people
    w.fund(p.licensee, 2 * EIGHT)
    w.market.deposit(p.licensee, 2 * EIGHT, sender=p.licensee)
    consent = mandate(w)
    offer(w, consent, EIGHT)
    deposit, levies = w.deposit_of(p.licensee), w.treasury.books()[0]
    platform = w.earned(p.platform)
    ref = buy(w, consent)
    assert deposit - w.deposit_of(p.licensee) == EIGHT + 1_200_000 * DUT + 400_000 * DUT
    assert w.evm.event("LicenceTrusted") == {
        "licence": w.licence_id(ref),
        "trustee": str(p.trustee),
        "licensee": str(p.licensee),
        "asked": EIGHT,
        "fee": 1_200_000 * DUT,
    }
    assert w.deposit_of(w.trust.address) == 1_200_000 * DUT
    w.evm.warp(90 * DAY)
    w.pay(ref)
    assert (w.earned(p.patient), w.earned(p.custodian)) == (4_800_000 * DUT, 3_200_000 * DUT)
    assert w.deposit_of(p.trustee) == 1_200_000 * DUT
    assert w.treasury.books()[0] - levies == 400_000 * DUT
    assert w.earned(p.platform) == platform
    assert w.deposit_of(w.trust.address) == 0
    told = w.evm.event("LicenceSettled")
    assert (told["annotatorAmount"], told["platformAmount"]) == (0, 0)
    w.market.reclaim(1_200_000 * DUT, sender=p.trustee)
    assert w.dut.balanceOf(p.trustee) == 1_200_000 * DUT


def test_an_annotated_record_pays_no_annotator(office: Trust) -> None:
    p = office.people
    record = office.record(annotator=office.number(p.annotator))
    consent = mandate(office, record)
    offer(office, consent, 100 * DUT)
    ref = buy(office, consent)
    office.evm.warp(90 * DAY)
    office.pay(ref)
    assert office.earned(p.annotator) == office.earned(p.platform) == 0
    assert office.earned(p.patient) == 60 * DUT


@pytest.mark.parametrize(
    ("floor", "asked", "price"), [(0, 0, 50), (0, 49, 50), (0, 51, 51), (70, 51, 70), (52, 90, 90)]
)
def test_never_below_the_tariff_the_floor_or_what_is_asked(
    office: Trust, floor: int, asked: int, price: int
) -> None:
    consent = mandate(office, floorPrice=floor * DUT)
    offer(office, consent, asked * DUT)
    buy(office, consent, end=office.now + YEAR)
    assert office.evm.event("LicenceBought")["paid"] == price * DUT
    buy(office, consent, form=METERED, units=3)
    assert office.evm.event("LicenceBought")["paid"] == 3 * price * DUT


def test_a_rental_costs_its_share_of_what_is_asked(office: Trust) -> None:
    consent = mandate(office, floorPrice=10 * DUT)
    offer(office, consent, 100 * DUT)
    buy(office, consent, form=RENTAL, end=office.now + 90 * DAY)
    assert office.evm.event("LicenceBought")["paid"] == 30 * DUT
    dear = mandate(office, floorPrice=200 * DUT)
    offer(office, dear)
    with reverts("licence: price below the floor"):
        buy(office, dear, form=RENTAL, end=office.now + 90 * DAY)


def test_the_limit_is_of_the_price(office: Trust) -> None:
    consent = mandate(office)
    offer(office, consent, 60 * DUT)
    with reverts("licence: price above the limit"):
        buy(office, consent, maxPrice=60 * DUT - GRAIN)
    buy(office, consent, maxPrice=60 * DUT)


def test_what_an_order_may_not_be(office: Trust) -> None:
    consent = mandate(office)
    offer(office, consent)
    for changes, sentence in (
        ({"end": office.now}, "licence: the term has no length"),
        ({"end": consent.expiry + 1}, "licence: outlives the consent"),
        ({"units": 1}, "licence: a term has no units"),
        ({"form": METERED, "units": 0}, "licence: units out of range"),
        ({"form": METERED, "units": 2**40}, "licence: units out of range"),
        ({"form": METERED, "units": 2**256 - 1}, "licence: units out of range"),
        ({"form": 0}, "licence: unknown form"),
        ({"agreement": b"\1" * 32}, "licence: agreement not signed"),
        ({"record": office.record()}, "consent: record not covered"),
        ({"record": b"\1" * 32}, "licence: record is not attested"),
    ):
        with reverts(sentence):
            buy(office, consent, **changes)
    office.as_timelock(office.tariff, "set_reference", 1, 0)
    with reverts("licence: kind is not for sale"):
        buy(office, consent)
    assert office.deposit_of(office.trust.address) == 0


def test_a_deposit_must_hold_all_three(office: Trust) -> None:
    """Price, levy and the trustee's part: one base unit less, and nothing is sold."""
    w, p, consent = office, office.people, mandate(office)
    offer(w, consent, 100 * DUT)
    w.market.reclaim(w.deposit_of(p.licensee) - 120 * DUT + 1, sender=p.licensee)
    with reverts("account: deposit is too small"):
        buy(w, consent)
    w.market.deposit(p.licensee, 1, sender=p.licensee)
    buy(w, consent)
    assert w.deposit_of(p.licensee) == 0


def test_sellers_do_not_buy_and_a_trustee_is_no_seller(office: Trust) -> None:
    p = office.people
    record = office.record(annotator=office.number(p.annotator))
    consent = mandate(office, record)
    offer(office, consent)
    for who in (p.patient, p.custodian, p.annotator, p.trustee):
        with reverts("trust: sellers cannot buy"):
            buy(office, consent, sender=who)
    for who in (p.custodian, p.annotator, p.patient):
        office.name_trustee(who)
        mine = mandate(office, record, trustee=who)
        office.trust.set_offer(mine.values(), bytes(32), 0, True, sender=who)
        with reverts("trust: trustee is a party"):
            buy(office, mine)


def test_paused_and_frozen(office: Trust) -> None:
    p, consent = office.people, mandate(office)
    offer(office, consent)
    ref = buy(office, consent)
    office.pause()
    with reverts("market: paused"):
        buy(office, consent)
    offer(office, consent, open_=False)
    offer(office, consent)
    office.evm.warp(DAY)
    office.pay(ref)
    assert office.deposit_of(p.trustee) > 0
    office.unpause()
    office.dut.setFrozen(p.trustee, True, sender=p.sanctions)
    with reverts("trust: trustee is frozen"):
        buy(office, consent)
    office.dut.setFrozen(p.trustee, False, sender=p.sanctions)
    office.freeze(p.licensee)
    with reverts("licence: the licensee is frozen"):
        buy(office, consent)


def test_a_salt_is_used_once(office: Trust) -> None:
    consent = mandate(office)
    offer(office, consent)
    buy(office, consent, salt=0)
    with reverts("licence: bought before"):
        buy(office, consent, salt=0)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    asked=st.integers(0, 10**6 * DUT // GRAIN),
    levy=st.sampled_from([0, 1, 333, 500, 1_000]),
    used=st.integers(0, 9),
    seconds=st.integers(1, 89 * DAY),
)
def test_every_base_unit_is_somebodys(
    office: Trust, asked: int, levy: int, used: int, seconds: int
) -> None:
    """What the licensee pays is every part, however uneven price, time and rates; nobody loses a grain."""
    w, p = office, office.people
    with w.evm.anchor():
        w.fund(p.licensee, 30 * MILLION * DUT)
        w.market.deposit(p.licensee, 30 * MILLION * DUT, sender=p.licensee)
        rates = {"provider": 7_000, "annotator": 2_000, "platform": 1_000, "levy": levy}
        w.as_timelock(w.market, "set_rates", rates)
        consent = mandate(w, floorPrice=0)
        offer(w, consent, asked * GRAIN)
        before, reserve = w.deposit_of(p.licensee), w.treasury.books()[0]
        refs = [buy(w, consent), buy(w, consent, form=METERED, units=9)]
        if used:
            w.use(refs[1], used)
        w.evm.warp(seconds)
        w.pay(refs[0])
        w.revoke(consent)
        w.evm.warp(5 * DAY)
        w.pay(*refs)
        parts = w.earned(p.patient), w.earned(p.custodian), w.deposit_of(p.trustee)
        gross = parts[0] + parts[1]
        assert parts == (gross * 60 // 100, gross * 40 // 100, gross * 15 // 100)
        assert w.treasury.books()[0] - reserve == gross * levy // 10_000
        spent = before - w.deposit_of(p.licensee)
        assert spent == sum(parts) + gross * levy // 10_000
        assert w.deposit_of(w.trust.address) == 0
        assert all(w.sale(ref).done for ref in refs)


def test_what_is_kept_of_a_sale(office: Trust) -> None:
    consent = mandate(office)
    offer(office, consent)
    ref = buy(office, consent)
    assert office.sale(ref) == SaleWord(trustee=str(office.people.trustee))
    assert office.trust.sale_word(b"\1" * 32) == 0

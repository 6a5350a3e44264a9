"""R21, R9: a trustee is paid in step with what is earned; what never is goes back to the licensee."""

from __future__ import annotations

from typing import Any

from support.trust import Trust, buy, mandate, offer
from support.world import DAY, DUT, METERED, Actor, reverts

from medtoken.chain.words import GRAIN


def _sold(w: Trust, **changes: Any) -> dict[str, Any]:
    consent = mandate(w)
    offer(w, consent, 100 * DUT)
    return buy(w, consent, **changes)


def test_by_the_second(office: Trust) -> None:
    w, p = office, office.people
    ref = _sold(w)
    paid = 0
    for seconds in (1, 12_345, 30 * DAY + 7):
        w.evm.warp(seconds)
        w.pay(ref)
        gross = w.earned(p.patient) + w.earned(p.custodian)
        assert w.deposit_of(p.trustee) == gross * 15 // 100 > paid
        paid = w.deposit_of(p.trustee)
        assert w.sale(ref).settled * GRAIN == gross
    w.evm.warp(90 * DAY)
    w.pay(ref)
    assert w.deposit_of(p.trustee) == 15 * DUT
    assert w.sale(ref).done


def test_by_the_call_and_by_vouchers(office: Trust) -> None:
    w, p = office, office.people
    ref = _sold(w, form=METERED, units=10, salt=w.keyed(1))
    w.use(ref, 2)
    w.redeem(w.voucher(ref, 5))
    w.pay(ref)
    assert w.evm.event("TrusteePaid") == {
        "licence": w.licence_id(ref),
        "trustee": str(p.trustee),
        "amount": 75 * DUT,
        "licensee": str(p.licensee),
        "returned": 0,
    }
    w.pay(ref)
    assert w.deposit_of(p.trustee) == 75 * DUT
    # Acknowledged before the end, brought within the window: the trustee's part of it too.
    end, before = w.meter(ref)["end"], w.deposit_of(p.licensee)
    w.evm.warp(end - w.now + DAY)
    w.pay(ref)
    w.redeem(w.voucher(ref, 9, time=end))
    w.evm.warp(3 * DAY)
    w.pay(ref)
    assert w.deposit_of(p.trustee) == 135 * DUT
    assert w.deposit_of(p.licensee) - before == 100 * DUT + 5 * DUT + 15 * DUT


def test_a_revocation_returns_the_trustees_part_too(office: Trust) -> None:
    w, p, consent = office, office.people, mandate(office)
    offer(w, consent, 100 * DUT)
    before = w.deposit_of(p.licensee)
    ref = buy(w, consent)
    w.evm.warp(45 * DAY)
    w.revoke(consent)
    w.evm.warp(DAY)
    w.pay(ref)
    gross = w.earned(p.patient) + w.earned(p.custodian)
    assert 49 * DUT < gross < 51 * DUT
    assert w.deposit_of(p.trustee) == gross * 15 // 100
    assert before - w.deposit_of(p.licensee) == gross * 120 // 100
    assert w.evm.event("TrusteePaid")["returned"] == 15 * DUT - gross * 15 // 100


def test_revoked_in_the_block_in_which_it_was_sold(office: Trust) -> None:
    w, p, consent = office, office.people, mandate(office)
    offer(w, consent, 100 * DUT)
    before = w.deposit_of(p.licensee)
    ref = buy(w, consent, form=METERED, units=3)
    w.revoke(consent)
    w.pay(ref)
    assert w.deposit_of(p.licensee) == before
    assert w.deposit_of(p.trustee) == w.earned(p.patient) == 0
    assert w.sale(ref).done


def test_who_settles_in_the_market_first_spoils_nothing(office: Trust) -> None:
    w, p = office, office.people
    ref, other = _sold(w), _sold(w)
    w.evm.warp(30 * DAY)
    w.settle(ref)
    assert w.deposit_of(p.trustee) == 0
    w.evm.warp(90 * DAY)
    w.settle(ref)
    w.pay(ref, other, ref)
    assert w.deposit_of(p.trustee) == 30 * DUT
    w.pay(ref, other)
    assert w.deposit_of(p.trustee) == 30 * DUT
    assert w.deposit_of(w.trust.address) == 0


def test_only_what_was_sold_here(office: Trust) -> None:
    plain = office.buy(office.granted())
    with reverts("trust: not sold here"):
        office.pay(plain)
    with reverts("licence: unknown licence"):
        office.pay(plain | {"salt": 5})


def test_settles_while_paused_suspended_barred_and_frozen(office: Trust) -> None:
    """Nothing of what a trustee earned waits for anybody; what is frozen is kept for it, and not spent."""
    w, p = office, office.people
    ref = _sold(w)
    w.pause()
    w.market.set_suspended(w.licence_id(ref), True, sender=p.supervisor)
    w.name_trustee(p.trustee, accredited=False)
    for who in (p.trustee, p.licensee):
        w.dut.setFrozen(who, True, sender=p.sanctions)
    before = w.deposit_of(p.licensee)
    w.evm.warp(45 * DAY)
    w.pay(ref)
    held = w.deposit_of(p.trustee)
    assert held > 7 * DUT
    with reverts("DUT: the account is frozen"):
        w.market.reclaim(held, sender=p.trustee)
    w.dut.setFrozen(p.trustee, False, sender=p.sanctions)
    w.market.reclaim(held, sender=p.trustee)
    assert w.deposit_of(p.licensee) == before


def test_each_trustee_has_its_own(office: Trust) -> None:
    w, other = office, Actor("another trustee")
    w.name_trustee(other)
    mine, its = mandate(w), mandate(w, trustee=other)
    offer(w, mine, 100 * DUT)
    w.trust.set_offer(its.values(), bytes(32), 200 * DUT, True, sender=other)
    refs = [buy(w, mine), buy(w, its)]
    w.evm.warp(90 * DAY)
    w.pay(*refs)
    assert w.deposit_of(w.people.trustee) == 15 * DUT
    assert w.deposit_of(other) == 30 * DUT


def test_a_collusion_pays_the_levy_and_takes_nobody_elses(office: Trust) -> None:
    """Patient, custodian, trustee and licensee in one hand: what it costs them is the levy."""
    w, p = office, office.people
    before = w.deposit_of(p.licensee)
    ref = _sold(w)
    w.evm.warp(90 * DAY)
    w.pay(ref)
    theirs = w.earned(p.patient) + w.earned(p.custodian) + w.deposit_of(p.trustee)
    assert before - w.deposit_of(p.licensee) - theirs == 5 * DUT

"""R26: tokens are burned for listed services; R27: what records led to."""

from __future__ import annotations

from support.holdings import Shelf
from support.rewards import Stage
from support.world import DUT, NONE, ZERO, reverts

NO_SERVICE = "rewards: no such service"


def test_dct_is_burned_for_a_voucher_that_the_provider_serves(stage: Stage) -> None:
    p, w = stage.people, stage.world
    offer = stage.service()
    stage.record()
    held = w.dct.balanceOf(p.patient)
    voucher = stage.redeem(p.patient)
    assert w.evm.event("Redeemed") == {
        "voucher": voucher,
        "account": p.patient,
        "service": 1,
        "token": 0,
        "price": 5 * DUT,
    }
    assert w.dct.balanceOf(p.patient) == held - 5 * DUT
    assert stage.rewards.voucher_word(voucher) == int(p.patient, 16) | 1 << 160
    for who in (p.stranger, p.patient, p.council):
        with reverts("rewards: not the caller's voucher"):
            stage.rewards.serve(voucher, NONE, sender=who)
    with reverts("rewards: not the caller's voucher"):
        stage.rewards.serve(voucher + 1, NONE, sender=p.other_custodian)
    stage.rewards.serve(voucher, b"\5" * 32, sender=p.other_custodian)
    assert w.evm.event("VoucherServed") == {
        "voucher": voucher,
        "provider": offer["provider"],
        "note": b"\5" * 32,
    }
    assert stage.rewards.voucher_word(voucher) >> 255 == 1
    with reverts("rewards: served before"):
        stage.rewards.serve(voucher, NONE, sender=p.other_custodian)


def test_gt_is_burned_for_a_service_that_takes_it(stage: Stage) -> None:
    p, w = stage.people, stage.world
    shelf = Shelf(w, p.other_custodian, p.attester)
    shelf.add()
    shelf.commit()
    earned = shelf.prove()
    stage.service(token=1, price=earned - 1)
    assert not w.dct.balanceOf(p.other_custodian)
    stage.redeem(p.other_custodian, price=earned - 1)
    assert w.evm.event("Redeemed")["token"] == 1
    assert (w.gt.balanceOf(p.other_custodian), w.gt.totalSupply()) == (1, 1)
    with reverts(f"ERC20InsufficientBalance({p.other_custodian}, 1, {earned - 1})"):
        stage.redeem(p.other_custodian, price=earned - 1)


def test_nobody_spends_anothers_tokens_or_at_another_price(stage: Stage) -> None:
    p = stage.people
    stage.service()
    stage.record()
    for changes in ({"by": p.stranger}, {"nonce": 5}):
        with reverts("signature: not by its owner"):
            stage.redeem(p.patient, **changes)
    with reverts("rewards: signature is too late"):
        stage.redeem(p.patient, late=1)
    with reverts("rewards: another price"):
        stage.redeem(p.patient, price=4 * DUT)
    with reverts(NO_SERVICE):
        stage.redeem(p.patient, service=2)
    stage.redeem(p.patient)
    balance = stage.world.dct.balanceOf(p.other_patient)
    sentence = f"ERC20InsufficientBalance({p.other_patient}, {balance}, {5 * DUT})"
    with reverts(sentence):
        stage.redeem(p.other_patient)


def test_a_signature_redeems_once(stage: Stage) -> None:
    p = stage.people
    stage.service()
    stage.record()
    stage.redeem(p.patient)
    with reverts("signature: not by its owner"):
        stage.redeem(p.patient, nonce=0)


def test_a_privilege_is_a_service_that_a_score_opens(stage: Stage) -> None:
    p = stage.people
    stage.service(7, price=0, points=30)
    assert not stage.rewards.opens(p.patient, 7)
    with reverts("rewards: too few points"):
        stage.redeem(p.patient, service=7, price=0)
    stage.count()
    stage.count()
    assert stage.rewards.opens(p.patient, 7)
    assert not stage.rewards.opens(p.patient, 8)
    stage.redeem(p.patient, service=7, price=0)


def test_the_list_is_the_timelocks(stage: Stage) -> None:
    offer = stage.service()
    assert stage.world.evm.event("ServiceChanged")["previous"]["provider"] == ZERO
    assert dict(stage.rewards.service(1)) == offer
    with reverts("rewards: this token redeems nothing"):
        stage.service(token=2)
    for number in (0, 2**64):
        with reverts(NO_SERVICE):
            stage.service(number)
    stage.service(provider=ZERO)
    with reverts(NO_SERVICE):
        stage.redeem(stage.people.patient)


def test_a_licensee_states_what_records_led_to(stage: Stage) -> None:
    """R27: per record, and by nobody but whose licence it is."""
    p = stage.people
    one, two = stage.used(), stage.used()
    outcome = stage.rewards.report_outcome(2, b"\7" * 32, [one, two], sender=p.licensee)
    assert outcome == 1
    events = stage.world.evm.logs
    assert events[0].event == "OutcomeReported"
    assert events[0].args["licensee"] == p.licensee
    assert [e.args["record"] for e in events if e.event == "RecordLed"] == [
        one["record"],
        two["record"],
    ]
    again = stage.rewards.report_outcome(3, b"\x08" * 32, [one], sender=p.licensee)
    assert stage.rewards.outcomes(one["record"]) == 2
    assert [stage.rewards.outcome_at(one["record"], i) for i in range(3)] == [outcome, again, 0]
    assert stage.rewards.outcomes(two["record"]) == 1


def test_who_has_no_licence_states_nothing(stage: Stage) -> None:
    p, ref = stage.people, stage.used()
    for who in (p.stranger, p.patient, p.custodian, p.other_licensee):
        with reverts("rewards: not the caller's licence"):
            stage.rewards.report_outcome(1, b"\7" * 32, [ref], sender=who)
    with reverts("rewards: not the caller's licence"):
        never = ref | {"salt": 1, "licensee": str(p.stranger)}
        stage.rewards.report_outcome(1, b"\7" * 32, [never], sender=p.stranger)
    for kind in (0, 5):
        with reverts("rewards: unknown kind of outcome"):
            stage.rewards.report_outcome(kind, b"\7" * 32, [ref], sender=p.licensee)
    for statement, refs in ((NONE, [ref]), (b"\7" * 32, [])):
        with reverts("rewards: nothing is stated"):
            stage.rewards.report_outcome(1, statement, refs, sender=p.licensee)

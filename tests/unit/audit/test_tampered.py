"""Histories that lie: each is caught, under the right invariant and the right rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.histories import insert, named, of
from support.world import DUT, KEY_BITS, ZERO

from medtoken.audit import Event

OTHER = "0x" + "ab" * 20


def holds(honest, events: list[Event], *invariants: int) -> None:
    assert not set(honest.broken(events)) & set(invariants)


# ------------------------------------------------------------------ 1: DUT


def test_an_invented_mint_of_dut(honest) -> None:
    """R2: DUT appears only when an exchange issues it."""
    events = honest.with_event("UsageToken", "Transfer", **{"from": ZERO, "to": OTHER, "value": 5})
    named(honest, events, 1, "R2", "5 minted to 0xab")
    named(honest, events, 1, "R2", "UsageToken.totalSupply() on the chain")


def test_a_burn_without_a_reason(honest) -> None:
    exchange = honest.world.people.exchange
    events = honest.with_event(
        "UsageToken", "Transfer", **{"from": str(exchange), "to": ZERO, "value": 7}
    )
    named(honest, events, 1, "R2", "burned that nobody redeemed")


def test_a_transfer_of_more_than_was_held(honest) -> None:
    p = honest.world.people
    events = honest.with_event(
        "UsageToken",
        "Transfer",
        **{"from": str(p.exchange), "to": str(p.licensee), "value": 10**30},
    )
    named(honest, events, 1, "R2", "sent more DUT than it held")


def test_a_dropped_transfer(honest) -> None:
    """The platform's balance on the chain is then not what its transfers add up to."""
    at = next(
        i
        for i, e in enumerate(honest.events)
        if e.event == "Transfer" and e.args["to"] == honest.world.people.exchange
    )
    named(honest, honest.without(at), 1, "R2", "sent more DUT than it held")


def test_issuing_above_the_cap(honest) -> None:
    at = honest.find("CapChanged")
    named(honest, honest.changed(at, current=DUT), 7, "R2", "issued in a day than its cap")


def test_dut_held_by_somebody_never_admitted(honest) -> None:
    """R2: DUT moves only between admitted participants and protocol contracts."""
    p = honest.world.people
    at = next(
        i
        for i, e in enumerate(honest.events)
        if e.event == "StandingChanged" and e.args["account"] == p.licensee
    )
    named(honest, honest.without(at), 7, "R2", f"{p.licensee} moved DUT without being admitted")


# ------------------------------------------------------------------ 2: settlements


@pytest.mark.parametrize("part", ["patient", "custodian", "annotator", "platform"])
@pytest.mark.parametrize("by", [-1, 1])
def test_a_split_off_by_one_base_unit(honest, part: str, by: int) -> None:
    """R15, R8: to the base unit."""
    at = honest.find("LicenceSettled")
    amount = honest.events[at].args[f"{part}Amount"] + by
    events = honest.changed(at, **{f"{part}Amount": amount})
    rule = "R8" if part in ("patient", "custodian") else "R15"
    named(honest, events, 2, rule, f"{part}'s part of licence")
    named(honest, events, 2, "R15", "sum of the parts")


def test_a_unit_moved_from_the_patient_to_the_custodian(honest) -> None:
    """The parts still make the price; the patient's signature says otherwise."""
    at = honest.find("LicenceSettled")
    args = honest.events[at].args
    events = honest.changed(
        at,
        patientAmount=args["patientAmount"] - 1,
        custodianAmount=args["custodianAmount"] + 1,
    )
    named(honest, events, 2, "R8", "patient's part of licence")


def test_a_settlement_paid_to_somebody_else(honest) -> None:
    events = honest.changed(honest.find("LicenceSettled"), custodian=OTHER)
    named(honest, events, 2, "R8", "custodian paid for licence")


def test_a_levy_that_never_reached_the_treasury(honest) -> None:
    at = honest.find("LevyReceived")
    events = honest.without(at, at + 1)
    assert honest.events[at + 1].event == "Transfer"
    named(honest, events, 2, "R15", "was settled but never reached the treasury")
    named(honest, events, 3, "R16", "Treasury.books() on the chain")


def test_a_levy_that_is_too_small(honest) -> None:
    at = honest.find("LevyReceived")
    events = honest.changed(at, amount=honest.events[at].args["amount"] - 1)
    named(honest, events, 2, "R15", "the levy of what was settled")


def test_a_refund_that_is_too_big(honest) -> None:
    at = honest.find("LicenceClosed")
    events = honest.changed(at, refund=honest.events[at].args["refund"] + 1)
    named(honest, events, 2, "R9", "refund of licence")


def test_a_levy_not_returned_with_the_refund(honest) -> None:
    named(honest, honest.changed(honest.find("LicenceClosed"), levy=0), 2, "R15", "levy returned")


def test_a_refund_to_somebody_else(honest) -> None:
    events = honest.changed(honest.find("LicenceClosed"), licensee=OTHER)
    named(honest, events, 2, "R9", "who got the rest")


def test_an_ended_licence_that_kept_the_rest(honest) -> None:
    events = honest.without(honest.find("LicenceClosed"))
    named(honest, events, 2, "R9", "had ended and its rest was not returned")


def test_a_closing_that_does_not_pay_what_was_earned(honest) -> None:
    at = honest.find("LicenceClosed")
    settled = max(i for i in range(at) if honest.events[i].event == "LicenceSettled")
    named(honest, honest.without(settled), 2, "R15", "without settling what it had earned")


@pytest.mark.parametrize("field", ["price", "paid"])
def test_a_price_off_by_a_grain(honest, field: str) -> None:
    """R13: reference by DVI, or the floor."""
    at = honest.find("LicenceBought")
    events = honest.changed(at, **{field: honest.events[at].args[field] - 10**9})
    rule = {"price": "R13", "paid": "R15"}[field]
    named(honest, events, 2, rule, f"{field} ")


def test_a_licence_repriced_by_a_later_epoch(honest) -> None:
    at = honest.find("LicenceBought")
    named(honest, honest.changed(at, epoch=2), 2, "R15", "rates epoch")


def test_rates_that_do_not_make_a_whole(honest) -> None:
    at = honest.find("RatesChanged", 1)
    current = honest.events[at].args["current"] | {"platform": 999}
    named(honest, honest.changed(at, current=current), 2, "R15", "sum of the rates of epoch 2")


# ------------------------------------------------------------------ 3: the reserve


def test_a_burn_that_is_too_big(honest) -> None:
    at = next(
        i for i, e in enumerate(honest.events) if e.event == "LevyReceived" and e.args["burned"]
    )
    args = honest.events[at].args
    events = honest.changed(at, burned=args["burned"] + 1, reserve=args["reserve"] - 1)
    named(honest, events, 3, "R17", "burned of the levy")


def test_a_burn_below_the_ceiling(honest) -> None:
    at = honest.find("LevyReceived")
    assert honest.events[at].args["burned"] == 0
    named(honest, honest.changed(at, burned=1), 3, "R17", "burned of the levy")


def test_a_transfer_out_of_the_reserve(honest) -> None:
    """R16: nothing leaves but by a burn, as long as nothing can be spent."""
    w = honest.world
    events = honest.with_event(
        "UsageToken",
        "Transfer",
        **{"from": w.treasury.address, "to": str(w.people.exchange), "value": 3},
    )
    named(honest, events, 3, "R16", "3 left the reserve")
    holds(honest, events, 2, 4, 5)


# ------------------------------------------------------------------ 4: consents and licences


def test_a_use_after_revocation(honest) -> None:
    """R9: from the moment of the revocation on."""
    revoked, used = honest.find("ConsentRevoked"), honest.find("LicenceUsed")
    args = honest.events[used].args
    events = insert(
        honest.events, revoked, honest.events[used], units=1, used=18, licence=args["licence"]
    )
    named(honest, events, 4, "R9", "was used after its consent was revoked")
    holds(honest, events, 1, 5)


def test_a_use_that_comes_before_its_purchase(honest) -> None:
    bought, used = honest.find("LicenceBought"), honest.find("LicenceUsed")
    events = insert(honest.events, bought - 1, honest.events[used])
    named(honest, events, 4, "R12", "the unknown licence")


def test_a_use_of_more_than_was_prepaid(honest) -> None:
    at = honest.find("LicenceUsed")
    named(honest, honest.changed(at, units=101, used=101), 4, "R12", "more units than were prepaid")


def test_a_use_of_a_suspended_licence(honest) -> None:
    """R31. The last use comes long after; the suspension is made to never end."""
    lifted = honest.find("LicenceSuspended", 1)
    assert honest.events[lifted].args["suspended"] is False
    named(honest, honest.without(lifted), 4, "R31", "was used while it was suspended")


def test_a_use_after_the_end(honest) -> None:
    bought = honest.find("LicenceBought")
    clock = honest.world.evm.times
    end = clock[honest.events[honest.find("LicenceUsed")].block]
    named(honest, honest.changed(bought, end=end), 4, "R12", "was used after it ended")


def test_a_use_of_a_closed_licence(honest) -> None:
    closed, used = honest.find("LicenceClosed"), honest.find("LicenceUsed")
    events = insert(honest.events, closed, honest.events[used], used=18, units=1)
    named(honest, events, 4, "R12", "was used after it was closed")


def test_settling_past_a_revocation(honest) -> None:
    """R9: what was not earned by then goes back."""
    at = next(
        i
        for i, e in enumerate(honest.events)
        if e.event == "LicenceSettled"
        and i > honest.find("ConsentRevoked")
        and e.args["settled"] > 2**30
    )
    later = honest.events[at].args["settled"] + 3600
    named(honest, honest.changed(at, settled=later), 4, "R9", "mark up to which")


def test_a_purchase_after_revocation(honest) -> None:
    revoked, bought = honest.find("ConsentRevoked"), honest.find("LicenceBought")
    events = insert(honest.events, revoked, honest.events[bought])
    named(honest, events, 4, "R9", "under a consent that was revoked or had expired")


def test_a_purchase_for_another_purpose(honest) -> None:
    events = honest.changed(honest.find("LicenceBought"), purposes=1 << 42)
    named(honest, events, 4, "R9", "for a purpose that its consent does not permit")


def test_a_purchase_that_outlives_its_consent(honest) -> None:
    events = honest.changed(honest.find("LicenceBought"), end=2**39)
    named(honest, events, 4, "R9", "outlives its consent")


@pytest.mark.parametrize(
    ("changes", "rule", "text"),
    [
        ({"groups": 1 << 9}, "R9", "by a group not permitted"),
        ({"region": 276}, "R9", "for a region that its consent does not permit"),
        ({"flags": 1}, "R2", "by a frozen licensee"),
    ],
)
def test_a_purchase_by_a_licensee_who_may_not(
    honest, changes: dict[str, int], rule: str, text: str
) -> None:
    at = honest.find("LicenseeChanged")
    named(honest, honest.changed(at, **changes), 4, rule, text)


def test_a_purchase_of_a_record_that_nobody_attested(honest) -> None:
    first = honest.names.records["plain"]
    at = next(
        i
        for i, e in enumerate(honest.events)
        if e.event == "RecordAttested" and e.args["record"] == first
    )
    events = honest.without(at, at + 1)
    named(honest, events, 4, "R7", "not attested, or superseded")


def test_a_purchase_under_a_consent_that_was_never_granted(honest) -> None:
    events = honest.without(honest.find("ConsentGranted"))
    named(honest, events, 4, "R9", "under an unknown consent")


def test_a_consent_with_other_terms_than_were_signed(honest) -> None:
    """Its id is the hash of what the patient signed."""
    at = honest.find("ConsentGranted")
    terms = honest.events[at].args["terms"] | {"tier": 3}
    named(honest, honest.changed(at, terms=terms), 4, "R9", "id of consent")


def test_a_consent_revoked_by_somebody_else(honest) -> None:
    events = honest.changed(honest.find("ConsentRevoked"), patient=OTHER)
    named(honest, events, 4, "R9", "who revoked consent")


def test_a_consent_granted_again_after_its_revocation(honest) -> None:
    """R9: re-granting never revives an old licence."""
    granted = honest.events[honest.find("ConsentGranted")]
    events = insert(honest.events, honest.find("ConsentRevoked"), granted)
    named(honest, events, 4, "R9", "was granted after it was on the chain")


# ------------------------------------------------------------------ 5: DCT


def test_dct_that_moves(honest) -> None:
    """R1: soulbound."""
    p = honest.world.people
    events = honest.with_event(
        "ContributionToken", "Transfer", **{"from": str(p.patient), "to": OTHER, "value": 1}
    )
    named(honest, events, 5, "R1", "1 DCT moved from")
    holds(honest, events, 1, 2, 3, 4, 6)


def test_an_invented_mint_of_dct(honest) -> None:
    events = honest.with_event(
        "ContributionToken", "Transfer", **{"from": ZERO, "to": OTHER, "value": DUT}
    )
    named(honest, events, 5, "R1", "owner and amount of a mint")


def test_a_mint_that_does_not_follow_from_the_quality(honest) -> None:
    """R1: recomputed from units, coefficient and Q."""
    at = honest.find("RecordAttested")
    minted = honest.events[at].args["minted"] + 10**12
    transfer = honest.events[at + 1]
    events = honest.changed(at, minted=minted)
    events[at + 1] = replace(transfer, args=transfer.args | {"value": minted})
    named(honest, events, 5, "R1", "DCT minted for record")
    named(honest, events, 5, "R1", "owner and amount of a mint")


def test_a_mint_for_a_correction(honest) -> None:
    """R6: a correction is a new version, never a second mint."""
    at = next(
        i
        for i, e in enumerate(honest.events)
        if e.event == "RecordAttested" and e.args["record"] == honest.names.records["new"]
    )
    assert honest.events[at].args["minted"] == 0
    named(honest, honest.changed(at, minted=440 * DUT), 5, "R1", "DCT minted for record")


def test_a_mint_that_was_swallowed(honest) -> None:
    named(honest, honest.without(honest.find("RecordAttested") + 1), 5, "R1", "was never minted")


def test_a_recovery_of_less_than_everything(honest) -> None:
    """R41."""
    at = honest.find("Recovered")
    amount = honest.events[at].args["amount"] - 1
    named(honest, honest.changed(at, amount=amount), 5, "R41", "all that the old one held")


def test_another_minter(honest) -> None:
    named(honest, honest.changed(honest.find("MinterBound"), minter=OTHER), 5, "R1", "the minter")


# ------------------------------------------------------------------ 6: solvency


def test_a_withdrawal_of_more_than_was_earned(honest) -> None:
    at = honest.find("Withdrawn")
    events = honest.changed(at, amount=10**24)
    named(honest, events, 6, "R15", "but had earned only")
    named(honest, events, 6, "R15", "amount of the transfer")


def test_money_that_leaves_the_market_without_a_reason(honest) -> None:
    w = honest.world
    events = honest.with_event(
        "UsageToken",
        "Transfer",
        **{"from": w.market.address, "to": str(w.people.exchange), "value": 9},
    )
    named(honest, events, 6, "R15", "9 left the market")


def test_a_deposit_that_never_arrived(honest) -> None:
    at = honest.find("Deposited")
    assert honest.events[at + 1].event == "Transfer"
    named(honest, honest.without(at + 1), 6, "R15", "a deposit for")


def test_a_deposit_taken_back_twice(honest) -> None:
    at = honest.find("DepositReclaimed")
    events = honest.changed(at, amount=10**25)
    named(honest, events, 6, "R15", "took back more than its deposit")


def test_a_withdrawal_while_frozen(honest) -> None:
    at = honest.find("Withdrawn") - 1
    frozen = next(e for e in honest.events if e.event == "StandingChanged")
    events = insert(
        honest.events, at, frozen, account=str(honest.world.people.patient), previous=0, current=4
    )
    named(honest, events, 7, "R2", "withdrew while it was frozen")


# ------------------------------------------------------------------ 7: everything else


def test_a_change_of_rates_that_did_not_come_from_the_timelock(honest) -> None:
    """R29: nobody but the timelock, once the deployer has given up its power."""
    rates = {"provider": 7000, "annotator": 2000, "platform": 1000, "levy": 500}
    previous = {"provider": 6500, "annotator": 2500, "platform": 1000, "levy": 400}
    events = honest.with_event(
        "DataMarket", "RatesChanged", epoch=3, previous=previous, current=rates
    )
    named(honest, events, 7, "R29", "RatesChanged of")


def test_an_upgrade_that_did_not_come_from_the_timelock(honest) -> None:
    last = honest.events[honest.find("Upgraded", -1)]
    events = [*honest.events, replace(last, tx=b"invented", block=last.block + 10_000)]
    assert honest.fold(events).violations[-1].rule == "R29"
    named(honest, events, 7, "R29", "Upgraded of")


def test_a_proxy_that_points_elsewhere(honest) -> None:
    at = honest.find("Upgraded", -1)
    named(honest, honest.changed(at, implementation=OTHER), 7, "R29", "logic of the proxy")


def test_a_role_given_without_the_timelock(honest) -> None:
    events = honest.with_event(
        "AccessManager",
        "RoleGranted",
        roleId=0,
        account=OTHER,
        delay=0,
        since=1,
        newMember=True,
    )
    named(honest, events, 7, "R29", "RoleGranted of")


def test_an_operation_that_ran_too_early(honest) -> None:
    """The last operation, of two calls, waited for exactly its delay of 100 seconds."""
    at = honest.find("CallScheduled", -2)
    named(honest, honest.changed(at, delay=101), 7, "R29", "too early")


def test_an_operation_that_nobody_proposed(honest) -> None:
    named(honest, honest.without(honest.find("CallScheduled")), 7, "R29", "without being proposed")


def test_a_record_attested_by_its_own_custodian(honest) -> None:
    """R7."""
    at = honest.find("RecordAttested")
    events = honest.changed(at, attester=honest.names.number)
    named(honest, events, 7, "R7", "which may not")


def test_a_record_registered_by_nobody_accredited(honest) -> None:
    at = honest.find("InstitutionChanged")
    named(honest, honest.changed(at, capabilities=2), 7, "R6", "no accredited custodian")


def test_an_annotator_who_is_the_custodian(honest) -> None:
    """R8: nobody can name themselves."""
    at = honest.find("RecordRegistered")
    draft = honest.events[at].args["draft"] | {"annotator": honest.names.number}
    named(honest, honest.changed(at, draft=draft), 7, "R8", "as annotator, which it cannot be")


def test_money_that_came_in_while_the_market_was_paused(honest) -> None:
    """R29."""
    paused = next(
        e for e in honest.events if (e.contract, e.event) == ("DataMarket", "PauseChanged")
    )
    events = insert(honest.events, honest.find("LicenceBought") - 1, paused)
    named(honest, events, 7, "R29", "brought money in while the market was paused")


def test_a_log_out_of_order(honest) -> None:
    at = honest.find("LicenceUsed")
    events = honest.events.copy()
    events[at], events[at + 1] = events[at + 1], events[at]
    named(honest, events, 7, "R29", "out of the chain's order")


def test_a_log_told_twice(honest) -> None:
    at = honest.find("LicenceUsed")
    events = [*honest.events[: at + 1], *honest.events[at:]]
    named(honest, events, 7, "R29", "came twice")


def test_an_event_that_no_interface_knows(honest) -> None:
    events = honest.with_event("DataMarket", "SomethingNew")
    named(honest, events, 7, "R29", "which this ledger does not know")


def test_a_log_that_cannot_be_decoded(honest) -> None:
    from medtoken.audit import decoded

    raw = honest.world.evm.raw
    market = honest.world.market.address
    at = next(i for i, log in enumerate(raw) if log.address == market and log.data)
    cut = replace(raw[at], data=raw[at].data[:-32])
    events = list(decoded([*raw[:at], cut, *raw[at + 1 :]], honest.suite))
    named(honest, events, 7, "R29", "cannot be decoded")


@pytest.mark.parametrize(
    ("field", "value", "invariant", "rule", "text"),
    [
        ("purposes", 0, 4, "R9", "is empty"),
        ("records", bytes(32), 4, "R9", "is empty"),
        ("region", 0, 4, "R9", "is empty"),
        ("patientShare", 6999, 2, "R8", "share in consent"),
        ("patientShare", 8001, 2, "R8", "share in consent"),
        ("floorPrice", DUT + 1, 2, "R9", "the floor of"),
        ("deadline", 1, 4, "R9", "after its deadline"),
        ("expiry", 1, 4, "R9", "after it expired"),
    ],
)
def test_a_consent_that_the_rules_forbid(
    honest, field: str, value: Any, invariant: int, rule: str, text: str
) -> None:
    at = honest.find("ConsentGranted")
    terms = honest.events[at].args["terms"] | {field: value}
    named(honest, honest.changed(at, terms=terms), invariant, rule, text)


@pytest.mark.parametrize(
    ("field", "value"), [("dvi", 101), ("dvi", 0), ("completeness", 101), ("units", 0)]
)
def test_a_score_out_of_range(honest, field: str, value: int) -> None:
    at = honest.find("RecordAttested")
    scores = honest.events[at].args["scores"] | {field: value}
    named(honest, honest.changed(at, scores=scores), 7, "R7", "is out of range")


def test_a_correction_of_somebody_elses_record(honest) -> None:
    """R6."""
    new = honest.names.records["new"]
    at = next(
        i
        for i, e in enumerate(honest.events)
        if e.event == "RecordRegistered" and e.args["record"] == new
    )
    draft = honest.events[at].args["draft"] | {"owner": OTHER}
    named(honest, honest.changed(at, draft=draft), 7, "R6", "owner and custodian of the version")


# ------------------------------------------------------------------ the tariff (R13)


def bought(honest, number: int) -> int:
    """The position of the purchase whose salt has this number in its high bits."""
    return next(
        i
        for i, e in enumerate(honest.events)
        if e.event == "LicenceBought" and e.args["salt"] >> KEY_BITS == number
    )


def block_of(honest, number: int) -> int:
    return honest.events[bought(honest, number)].block


@pytest.mark.parametrize(
    ("number", "form", "units"),
    [(20, 2, 4), (21, 2, 2), (22, 2, 2), (23, 2, 2), (25, 3, 0), (27, 2, 2), (28, 2, 2)],
)
def test_the_story_uses_every_factor(honest, number: int, form: int, units: int) -> None:
    """In region, commercial, certified, urgent, rental, scarce, and after governance."""
    args = honest.events[bought(honest, number)].args
    assert (args["form"], args["units"]) == (form, units)
    price = {
        20: 65 * DUT,
        21: 50 * DUT * 13 * 25 // 100,
        22: 50 * DUT * 13 * 85 // 1000,
        23: 50 * DUT * 13 // 20,
        25: 50 * DUT * 13 * 3 // 100,
        27: 10 * DUT * 11 // 20,
        28: 10 * DUT,
    }[number]
    assert args["price"] == price


@pytest.mark.parametrize("number", [20, 21, 22, 23, 25, 26, 27, 28, 29])
def test_a_price_that_the_tariff_does_not_give(honest, number: int) -> None:
    """R13, each factor: the price at its block from the tariff's state, not from the event."""
    at = bought(honest, number)
    events = honest.changed(at, price=honest.events[at].args["price"] + 10**9)
    named(honest, events, 2, "R13", "price of licence")


def test_a_rental_that_pays_less_than_its_share_of_the_floor(honest) -> None:
    """A floor of 77 DUT a year is 23.1 DUT for a rental of three months."""
    at = bought(honest, 26)
    assert honest.events[at].args["price"] == 77 * DUT * 3 // 10
    named(honest, honest.changed(at, price=15 * DUT), 2, "R13", "price of licence")


@pytest.mark.parametrize(
    ("event", "changes", "number"),
    [
        ("ReferenceChanged", {"current": 51 * DUT}, 20),
        ("FactorChanged", {"factor": 0, "current": 26_000}, 21),
        ("FactorChanged", {"factor": 1, "current": 5_500}, 23),
        ("FactorChanged", {"factor": 2, "current": 5_500}, 24),
        ("FactorChanged", {"factor": 3, "current": 9_500}, 20),
        ("FactorChanged", {"factor": 5, "current": 14_000}, 20),
        ("FactorChanged", {"factor": 6, "current": 1_600}, 22),
        ("FactorChanged", {"factor": 7, "current": 3_100}, 25),
        ("ScarcityChanged", {"current": 12_000}, 20),
    ],
)
def test_a_tariff_that_was_another_at_the_purchase(
    honest, event: str, changes: dict[str, int], number: int
) -> None:
    """What the price was computed from, changed in the past: every later price disagrees."""
    name = {"factor": changes["factor"]} if "factor" in changes else {"kind": 1}
    at = of(honest, event, **name)
    named(honest, honest.changed(at, **changes), 2, "R13", "price of licence")
    block = block_of(honest, number)
    found = honest.broken(honest.changed(at, **changes))[2].violations
    assert any(v.block == block for v in found)


def test_a_discount_for_somebody_who_is_not_certified(honest) -> None:
    at = of(honest, "LicenseeChanged", flags=2)
    named(honest, honest.changed(at, flags=0), 2, "R13", "price of licence")


def test_an_urgent_price_without_an_emergency(honest) -> None:
    """R13: urgency is a declared emergency where the record lives, as long as it lasts."""
    declared = of(honest, "EmergencyDeclared")
    text = "is urgent where no emergency was declared"
    named(honest, honest.without(declared), 4, "R13", text)
    named(honest, honest.changed(declared, region=276), 4, "R13", text)
    now = honest.world.evm.times[block_of(honest, 23)]
    named(honest, honest.changed(declared, until=now), 4, "R13", text)
    holds(honest, honest.changed(declared, until=now + 1))


def test_an_emergency_that_nobody_may_declare(honest) -> None:
    text = "an emergency was declared where or when there is none"
    at = of(honest, "EmergencyDeclared")
    named(honest, honest.changed(at, region=1000), 7, "R13", text)
    named(honest, honest.changed(at, until=2**40), 7, "R13", text)
    granted = of(honest, "RoleGranted", roleId=12)
    named(honest, honest.without(granted), 7, "R29", "nobody might call declare_emergency")


def test_a_kind_that_is_not_for_sale(honest) -> None:
    at = of(honest, "ReferenceChanged", kind=1)
    named(honest, honest.changed(at, current=0), 4, "R13", "that is not for sale")


@pytest.mark.parametrize(
    ("event", "changes", "text"),
    [
        ("ReferenceChanged", {"current": 10**24 + 10**9}, "reference price of kind 1 is out"),
        ("ReferenceChanged", {"current": 84 * 10**9}, "reference price of kind 1 is out"),
        ("ReferenceChanged", {"current": 50 * DUT + 1}, "reference price of kind 1 is out"),
        ("ReferenceChanged", {"previous": 1}, "reference price of kind 1 that was"),
        ("ReferenceChanged", {"kind": 9}, "there is no kind 9"),
        ("FactorChanged", {"current": 9_999}, "the factor commercial is out of bounds"),
        ("FactorChanged", {"previous": 1}, "the factor commercial that was"),
        ("FactorChanged", {"factor": 8}, "an unknown factor 8"),
        ("ScarcityChanged", {"current": 100_001}, "scarcity of kind 1 is out of bounds"),
        ("ScarcityChanged", {"current": 4_999}, "scarcity of kind 1 is out of bounds"),
        ("ScarcityChanged", {"current": 9_999}, "scarcity of kind 1 to begin with"),
        ("ScarcityChanged", {"previous": 1}, "scarcity of kind 1 that was"),
        ("MarketBound", {"market": OTHER}, "the market that makes demand"),
    ],
)
def test_a_tariff_out_of_bounds(honest, event: str, changes: dict[str, Any], text: str) -> None:
    named(honest, honest.changed(honest.find(event), **changes), 7, "R13", text)


def test_a_second_market_bound_to_the_tariff(honest) -> None:
    events = honest.with_event("Tariff", "MarketBound", market=honest.world.market.address)
    named(honest, events, 7, "R13", "the market that was bound before")


@pytest.mark.parametrize("event", ["ReferenceChanged", "FactorChanged"])
def test_a_tariff_changed_by_somebody_else(honest, event: str) -> None:
    last = honest.events[honest.find(event, -1)]
    again = last.args | {"previous": last.args["current"]}
    named(honest, honest.with_event("Tariff", event, **again), 7, "R29", f"{event} of")


def moves(honest) -> list[int]:
    """Where scarcity moved by itself: kind 1, 2, 1, 2 up, 2 down, 4."""
    first = of(honest, "MarketBound")
    found = [i for i, e in enumerate(honest.events) if e.event == "ScarcityChanged" and i > first]
    return found[:6]


def test_the_story_moves_scarcity(honest) -> None:
    args = [honest.events[i].args for i in moves(honest)]
    assert [a["kind"] for a in args] == [1, 2, 1, 2, 2, 4]
    assert [(a["previous"], a["current"]) for a in args if a["kind"] == 2] == [
        (10_000, 10_000),
        (10_000, 11_000),
        (11_000, 9_900),
    ]


@pytest.mark.parametrize("number", range(6))
def test_a_scarcity_that_moves_more_than_demand_gives(honest, number: int) -> None:
    """R13: by a tenth at most, and only where demand for each record went."""
    at = moves(honest)[number]
    current = honest.events[at].args["current"] + 1
    named(honest, honest.changed(at, current=current), 7, "R13", "after a move")


def test_a_scarcity_that_moves_twice_in_a_week(honest) -> None:
    at = moves(honest)[5]
    events = insert(honest.events, at, honest.events[at])
    named(honest, events, 7, "R13", "scarcity of kind 4 moved twice in one week")


def test_a_scarcity_set_by_somebody_else(honest) -> None:
    """Without a call of the timelock it would have to be a move, which it is not."""
    at = of(honest, "ScarcityChanged", current=20_000)
    assert honest.events[at + 1].event == "CallExecuted"
    named(honest, honest.without(at + 1), 7, "R13", "scarcity of kind 2 after a move")


def test_demand_that_was_never_settled(honest) -> None:
    """Demand is what was settled: less of it would not have moved scarcity up."""
    at = next(
        i
        for i, e in enumerate(honest.events)
        if e.event == "LicenceSettled" and e.args["kind"] == 2
    )
    named(honest, honest.without(at), 7, "R13", "scarcity of kind 2 after a move")


def test_demand_booked_under_another_kind(honest) -> None:
    at = honest.find("LicenceSettled")
    named(honest, honest.changed(at, kind=3), 2, "R13", "kind of the record of licence")


def test_a_supply_that_was_another(honest) -> None:
    """The second series record halved the demand for each."""
    record = next(
        e.args["record"]
        for e in reversed(honest.events)
        if e.event == "RecordRegistered" and e.args["draft"]["kind"] == 2
    )
    at = of(honest, "RecordAttested", record=record)
    named(honest, honest.without(at), 7, "R13", "RecordRegistry.supply(2) on the chain")


# ------------------------------------------------------------------ rentals (R12)


def test_a_rental_that_is_too_long(honest) -> None:
    at = bought(honest, 26)
    later = honest.events[at].args["end"] + 1
    named(honest, honest.changed(at, end=later), 4, "R12", "is too long for a rental")


def test_a_rental_with_units(honest) -> None:
    named(honest, honest.changed(bought(honest, 25), units=1), 4, "R12", "no form, no units")


def test_a_rental_paid_as_a_year(honest) -> None:
    """What one form costs is not what another does."""
    at = bought(honest, 25)
    named(honest, honest.changed(at, form=1), 2, "R13", "price of licence")


# ------------------------------------------------------------------ top-ups (R12)


def test_a_top_up_at_another_price(honest) -> None:
    """At the licence's own price, to the base unit."""
    at = honest.find("LicenceToppedUp")
    args = honest.events[at].args
    named(honest, honest.changed(at, paid=args["paid"] - 10**9), 2, "R12", "paid for a top-up")
    named(honest, honest.changed(at, levy=args["levy"] - 1), 2, "R15", "levy paid for a top-up")


def test_a_top_up_after_the_rates_changed(honest) -> None:
    """R15: the money of one licence is of one epoch."""
    rates = honest.events[honest.find("RatesChanged", 1)]
    events = insert(honest.events, honest.find("LicenceToppedUp") - 1, rates)
    named(honest, events, 2, "R15", "rates epoch at a top-up")


def test_a_top_up_of_an_unknown_licence(honest) -> None:
    at = honest.find("LicenceToppedUp")
    named(honest, honest.changed(at, licence=b"\1" * 32), 4, "R12", "was topped up")


def test_a_top_up_of_a_term(honest) -> None:
    at = honest.find("LicenceToppedUp")
    term = honest.world.licence_id(honest.names.running)
    rental = honest.world.licence_id(honest.names.rental)
    for licence in (term, rental):
        events = honest.changed(at, licence=licence)
        if licence == rental:
            named(honest, events, 4, "R12", "was topped up, but counts no units")
        else:  # bought later
            named(honest, events, 4, "R12", "the unknown licence")


@pytest.mark.parametrize(
    ("event", "rule", "text"),
    [
        ("ConsentRevoked", "R9", "was topped up after its consent was revoked"),
        ("LicenceClosed", "R12", "was topped up after it ended"),
    ],
)
def test_a_top_up_too_late(honest, event: str, rule: str, text: str) -> None:
    licence = honest.world.licence_id(honest.names.kept)
    name = (
        {"licence": licence}
        if event == "LicenceClosed"
        else {"consent": honest.names.kept["consent"]}
    )
    top_up = honest.events[of(honest, "LicenceToppedUp", licence=licence)]
    events = insert(honest.events, of(honest, event, **name), top_up)
    named(honest, events, 4, rule, text)


def test_a_top_up_of_a_suspended_licence(honest) -> None:
    licence = honest.world.licence_id(honest.names.kept)
    at = of(honest, "LicenceToppedUp", licence=licence) - 1
    suspended = honest.events[honest.find("LicenceSuspended")]
    events = insert(honest.events, at, suspended, licence=licence)
    named(honest, events, 4, "R31", "was topped up while it was suspended")


def test_a_top_up_of_a_destroyed_record(honest) -> None:
    """R35: nobody licenses it from then on."""
    licence = honest.world.licence_id(honest.names.kept)
    at = of(honest, "LicenceToppedUp", licence=licence) - 1
    destroyed = honest.events[honest.find("RecordDestroyed")]
    events = insert(honest.events, at, destroyed, record=honest.names.kept["record"])
    named(honest, events, 4, "R35", "topped up after its record was replaced or destroyed")


def test_a_top_up_of_too_many_units(honest) -> None:
    at = honest.find("LicenceToppedUp")
    named(honest, honest.changed(at, units=2**40), 4, "R12", "by no units, or too many")
    named(honest, honest.changed(at, units=0), 4, "R12", "by no units, or too many")


def test_a_top_up_while_the_market_was_paused(honest) -> None:
    paused = next(
        e for e in honest.events if (e.contract, e.event) == ("DataMarket", "PauseChanged")
    )
    events = insert(honest.events, honest.find("LicenceToppedUp") - 1, paused)
    named(honest, events, 7, "R29", "a top-up of licence")


@pytest.mark.parametrize("event", ["LicenceToppedUp", "LicenceBought"])
def test_spending_while_frozen(honest, event: str) -> None:
    """R2: sanctions stop what was deposited before from being spent."""
    frozen = honest.events[of(honest, "StandingChanged", current=5)]
    account = str(honest.world.people.licensee)
    at = honest.find(event) - 1
    events = insert(honest.events, at, frozen, account=account, previous=1, current=5)
    words = {"LicenceToppedUp": "topped up", "LicenceBought": "bought"}[event]
    named(honest, events, 4, "R2", f"was {words} by a frozen licensee")


# ------------------------------------------------------------------ vouchers (R14)


def voucher(honest, number: int) -> int:
    return honest.find("VoucherRedeemed", number)


def test_a_voucher_for_more_than_was_prepaid(honest) -> None:
    events = honest.changed(voucher(honest, 0), used=71, units=71)
    named(honest, events, 4, "R14", "for more units than were prepaid")


def test_a_voucher_that_counts_other_units_than_it_says(honest) -> None:
    at = voucher(honest, 1)
    events = honest.changed(at, units=honest.events[at].args["units"] + 1)
    named(honest, events, 4, "R14", "units redeemed of licence")


def test_a_voucher_that_brings_nothing_new(honest) -> None:
    """Vouchers are cumulative: an old one counts for nothing."""
    events = insert(honest.events, voucher(honest, 0), honest.events[voucher(honest, 0)])
    named(honest, events, 4, "R14", "that brought nothing new")


def test_a_voucher_of_a_licence_that_names_no_key(honest) -> None:
    licence = honest.world.licence_id(honest.names.series)
    at = voucher(honest, 0)
    named(honest, honest.changed(at, licence=licence), 4, "R14", "takes no vouchers")
    unknown = honest.changed(at, licence=b"\1" * 32)
    named(honest, unknown, 4, "R14", "a voucher of the unknown licence")


def test_a_voucher_dated_in_the_future(honest) -> None:
    at = voucher(honest, 0)
    time = honest.events[at].args["time"] + 1
    named(honest, honest.changed(at, time=time), 4, "R14", "is dated in the future")


def test_a_voucher_dated_after_the_end(honest) -> None:
    """What was acknowledged before settles; nothing that was acknowledged after."""
    short = honest.world.licence_id(honest.names.short)
    at = of(honest, "VoucherRedeemed", 1, licence=short)
    end = honest.events[of(honest, "LicenceBought", licence=short)].args["end"]
    assert honest.world.evm.times[honest.events[at].block] > end
    named(honest, honest.changed(at, time=end + 1), 4, "R14", "is dated after its end")
    holds(honest, honest.changed(at, time=end), 4)


def test_a_voucher_dated_after_the_revocation(honest) -> None:
    kept = honest.names.kept
    at = of(honest, "VoucherRedeemed", -1, licence=honest.world.licence_id(kept))
    revoked = of(honest, "ConsentRevoked", consent=kept["consent"])
    moment = honest.world.evm.times[honest.events[revoked].block]
    assert honest.events[at].args["time"] == moment
    named(honest, honest.changed(at, time=moment + 1), 4, "R14", "is dated after its end")


def test_a_voucher_after_the_window(honest) -> None:
    """The last one came in the third day and a bit, once the window was of four."""
    at = honest.find("WindowChanged", 1)
    text = "after the window had closed"
    named(honest, honest.changed(at, current=3 * 86_400), 4, "R14", text)
    named(honest, honest.changed(honest.find("WindowChanged"), current=3600), 4, "R14", text)


def test_a_voucher_of_a_closed_licence(honest) -> None:
    licence = honest.world.licence_id(honest.names.kept)
    last = honest.events[of(honest, "VoucherRedeemed", -1, licence=licence)]
    events = insert(honest.events, of(honest, "LicenceClosed", licence=licence), last, used=67)
    named(honest, events, 4, "R14", "redeemed after it was closed")


def test_a_licence_with_vouchers_that_is_closed_too_early(honest) -> None:
    """Its closing waits for the window, else the custodian would lose what was acknowledged."""
    licence = honest.world.licence_id(honest.names.kept)
    closed = of(honest, "LicenceClosed", licence=licence)
    settled = max(i for i in range(closed) if honest.events[i].event == "LicenceSettled")
    wider = honest.changed(honest.find("WindowChanged", 1), current=9 * 86_400)
    named(honest, wider, 4, "R12", "was closed before it ended")
    assert settled < closed


def test_a_licence_with_vouchers_that_kept_the_rest(honest) -> None:
    licence = honest.world.licence_id(honest.names.kept)
    events = honest.without(of(honest, "LicenceClosed", licence=licence))
    named(honest, events, 2, "R9", "had ended and its rest was not returned")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"current": 30 * 86_400 + 1}, "the window of vouchers is out of bounds"),
        ({"previous": 1}, "the window of vouchers that was"),
    ],
)
def test_a_window_that_the_rules_forbid(honest, changes: dict[str, int], text: str) -> None:
    named(honest, honest.changed(honest.find("WindowChanged"), **changes), 7, "R14", text)


def test_a_window_changed_by_somebody_else(honest) -> None:
    events = honest.with_event("DataMarket", "WindowChanged", previous=2 * 86_400, current=0)
    named(honest, events, 7, "R29", "WindowChanged of")


# ------------------------------------------------------------------ desks (R12)


def test_a_desk_that_sells_below_the_floor(honest) -> None:
    at = bought(honest, 40)
    args = honest.events[at].args
    assert args["payer"] == honest.names.desk != args["licensee"]
    named(honest, honest.changed(at, price=50 * DUT - 10**9), 2, "R12", "below the floor")


def test_a_desk_that_sells_at_an_uneven_price(honest) -> None:
    at = bought(honest, 40)
    named(honest, honest.changed(at, price=61 * DUT + 1), 2, "R12", "uneven or below the floor")


def test_a_licence_paid_by_somebody_who_is_no_desk(honest) -> None:
    at = bought(honest, 40)
    payer = str(honest.world.people.licensee)
    text = f"LicenceBought of {honest.world.market.address} is by {payer}, which is no desk"
    named(honest, honest.changed(at, payer=payer), 7, "R29", text)
    granted = of(honest, "RoleGranted", roleId=13)
    named(honest, honest.without(granted), 7, "R29", "which is no desk")


def test_a_licensee_who_sells_to_itself(honest) -> None:
    """Whoever is no desk pays R13's price, whatever it says."""
    at = bought(honest, 40)
    named(honest, honest.changed(at, payer=str(honest.world.people.other_licensee)), 2, "R13", "")


def test_a_desk_that_lost_its_role(honest) -> None:
    revoked = of(honest, "RoleRevoked", roleId=13)
    moved = honest.events[of(honest, "DeskMoved")]
    events = insert(honest.events, revoked + 1, moved, amount=1)
    named(honest, events, 7, "R29", "which is no desk")


def test_deposits_moved_by_somebody_who_is_no_desk(honest) -> None:
    stranger = str(honest.world.people.stranger)
    events = honest.changed(of(honest, "DeskMoved"), desk=stranger, target=stranger)
    named(honest, events, 7, "R29", f"is by {stranger}, which is no desk")


def test_a_desk_that_moves_money_between_others(honest) -> None:
    p = honest.world.people
    events = honest.changed(of(honest, "DeskMoved"), target=str(p.stranger))
    named(honest, events, 6, "R12", "neither is its own")


def test_a_desk_that_takes_more_than_there_is(honest) -> None:
    events = honest.changed(of(honest, "DeskMoved"), amount=10**25)
    named(honest, events, 6, "R15", "more than its deposit")


def test_a_charge_while_the_market_was_paused(honest) -> None:
    """What goes back is never paused."""
    paused = next(
        e for e in honest.events if (e.contract, e.event) == ("DataMarket", "PauseChanged")
    )
    charge, release = of(honest, "DeskMoved"), of(honest, "DeskMoved", 1)
    text = f"a charge by the desk {honest.names.desk}"
    named(honest, insert(honest.events, charge - 1, paused), 7, "R29", text)
    found = honest.broken(insert(honest.events, release - 1, paused))[7].violations
    assert not any(text in str(v) for v in found)


def test_a_charge_of_somebody_frozen(honest) -> None:
    """R2: a deposit does not leave through a desk either."""
    frozen = honest.events[of(honest, "StandingChanged", current=5)]
    charge = of(honest, "DeskMoved")
    account = honest.events[charge].args["source"]
    events = insert(honest.events, charge - 1, frozen, account=account, previous=1, current=5)
    named(honest, events, 7, "R2", f"a desk took from {account}, which is frozen")


# ------------------------------------------------------------------ versions and destruction


def test_a_record_licensed_after_it_was_destroyed(honest) -> None:
    """R35."""
    purchase = honest.events[bought(honest, 50)]
    destroyed = of(honest, "RecordDestroyed", record=honest.names.destroyed)
    events = insert(honest.events, destroyed, purchase)
    named(honest, events, 4, "R35", "is for a record that was destroyed")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"custodian": 4}, "who destroyed record"),
        ({"certificate": bytes(32)}, "without a certificate"),
        ({"record": b"\1" * 32}, "was destroyed"),
    ],
)
def test_a_destruction_that_the_rules_forbid(honest, changes: dict[str, Any], text: str) -> None:
    named(honest, honest.changed(honest.find("RecordDestroyed"), **changes), 7, "R35", text)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"record": b"\1" * 32}, "which is unknown"),
        ({"fields": b"\1" * 32}, "profile and licence of a copy"),
        ({"licence": b"\1" * 32}, "profile and licence of a copy"),
    ],
)
def test_a_copy_that_was_stated_otherwise(honest, changes: dict[str, Any], text: str) -> None:
    """R35."""
    named(honest, honest.changed(honest.find("RenditionAdded"), **changes), 7, "R35", text)


@pytest.mark.parametrize(
    "part", [{"fingerprint": bytes(32)}, {"content": bytes(32)}, {"codec": 1}, {"size": 0}]
)
def test_a_copy_that_is_incomplete(honest, part: dict[str, Any]) -> None:
    at = honest.find("RenditionAdded")
    copy = honest.events[at].args["rendition"] | part
    named(honest, honest.changed(at, rendition=copy), 7, "R35", "is incomplete")


def test_a_copy_after_the_destruction(honest) -> None:
    destroyed = of(honest, "RecordDestroyed", record=honest.names.destroyed)
    stated = honest.events[honest.find("RenditionAdded")]
    named(honest, insert(honest.events, destroyed, stated), 7, "R35", "after its destruction")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"licence": b"\1" * 32}, "which is unknown"),
        ({"record": b"\1" * 32}, "record and licensee of the destruction"),
        ({"licensee": "0x" + "11" * 20}, "record and licensee of the destruction"),
        ({"statement": bytes(32)}, "or without a statement"),
    ],
)
def test_an_attested_destruction_that_the_rules_forbid(
    honest, changes: dict[str, Any], text: str
) -> None:
    """R35."""
    at = honest.find("DestructionAttested")
    named(honest, honest.changed(at, **changes), 7, "R35", text)


def test_a_destruction_attested_twice_or_too_early(honest) -> None:
    at = honest.find("DestructionAttested")
    attested = honest.events[at]
    named(honest, insert(honest.events, at, attested), 7, "R35", "was attested twice")
    purchase = of(honest, "LicenceBought", licence=attested.args["licence"])
    events = insert(honest.events, purchase, attested)
    named(honest, events, 7, "R35", "while the licence was not over")


def test_a_record_destroyed_twice(honest) -> None:
    at = honest.find("RecordDestroyed")
    named(honest, insert(honest.events, at, honest.events[at]), 7, "R35", "was destroyed twice")


def test_a_record_destroyed_by_a_custodian_without_accreditation(honest) -> None:
    at = honest.find("RecordDestroyed")
    number = honest.names.number
    change = next(e for e in honest.events if e.event == "InstitutionChanged")
    custodian = str(honest.world.people.custodian)
    args = {"number": number, "account": custodian, "previousAccount": custodian}
    caps = {"capabilities": 0, "previousCapabilities": 1}
    events = insert(honest.events, at - 1, change, **args, **caps)
    named(honest, events, 7, "R35", "which is no accredited custodian")


def test_a_record_attested_after_it_was_destroyed(honest) -> None:
    at = honest.find("RecordDestroyed", -1)
    record = honest.events[at].args["record"]
    attested = honest.events[honest.find("RecordAttested", -1)]
    events = insert(honest.events, at, attested, record=record, minted=0)
    named(honest, events, 5, "R35", "was attested after it was destroyed")


def test_a_version_of_a_file_that_is_not_its_last(honest) -> None:
    """R6: what was stated of a file is corrected one version after the other."""
    first, second, third = honest.names.versions
    at = of(honest, "RecordRegistered", record=third)
    assert honest.events[at].args["draft"]["previous"] == second
    draft = honest.events[at].args["draft"] | {"previous": first}
    named(honest, honest.changed(at, draft=draft), 7, "R6", "the last version of the file")


def test_a_file_registered_again_as_if_it_were_new(honest) -> None:
    first, second, _ = honest.names.versions
    draft = honest.events[of(honest, "RecordRegistered", record=first)].args["draft"]
    at = of(honest, "RecordRegistered", record=second)
    draft = honest.events[at].args["draft"] | {"previous": bytes(32)}
    named(honest, honest.changed(at, draft=draft), 7, "R6", "the last version of the file")
    named(honest, honest.changed(at, record=first), 7, "R6", "id of record")


def test_half_a_point_of_quality_counts(honest) -> None:
    """R1: completeness 80 and annotation 90 mint for 85; one more point mints for 85.5."""
    at = honest.find("RecordAttested")
    scores = honest.events[at].args["scores"] | {"completeness": 81}
    events = honest.changed(at, scores=scores)
    named(honest, events, 5, "R1", f"{440 * DUT} instead of {442 * DUT}")


# ------------------------------------------------------------------ licences as tokens (R12)


def shown(honest, event: str, number: int = 0) -> int:
    found = [
        i for i, e in enumerate(honest.events) if (e.contract, e.event) == ("LicenceToken", event)
    ]
    return found[number]


def test_a_licence_token_that_moves(honest) -> None:
    at = shown(honest, "Transfer")
    args = honest.events[at].args | {"from": honest.events[at].args["to"], "to": OTHER}
    events = honest.with_event("LicenceToken", "Transfer", **args)
    named(honest, events, 7, "R12", "moved, or appeared twice")


def test_a_licence_token_of_somebody_else(honest) -> None:
    at = shown(honest, "Transfer")
    named(honest, honest.changed(at, to=OTHER), 7, "R12", "holder of the token of licence")


def test_a_token_of_a_licence_that_was_never_bought(honest) -> None:
    at = shown(honest, "Transfer")
    named(honest, honest.changed(at, tokenId=5), 7, "R12", "holder of the token of licence 0x00")


@pytest.mark.parametrize("event", ["Locked", "TokenExpiryUpdated"])
def test_a_licence_token_that_does_not_say_what_it_is(honest, event: str) -> None:
    at = shown(honest, event)
    named(honest, honest.without(at), 7, "R12", f"lacks its {event}")
    again = insert(honest.events, at + 2, honest.events[at])
    named(honest, again, 7, "R12", f"{event} of the token of licence")


def test_a_licence_token_with_another_end(honest) -> None:
    at = shown(honest, "TokenExpiryUpdated")
    end = honest.events[at].args["endTime"] + 1
    named(honest, honest.changed(at, endTime=end), 7, "R12", "start and end of the token")


def test_a_licence_token_that_is_unlocked(honest) -> None:
    events = honest.with_event("LicenceToken", "Unlocked", tokenId=1)
    named(honest, events, 7, "R29", "which this ledger does not know")

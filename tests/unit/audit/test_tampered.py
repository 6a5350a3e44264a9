"""Histories that lie: each is caught, under the right invariant and the right rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.world import DUT, ZERO

from medtoken.audit import Event

OTHER = "0x" + "ab" * 20


def named(honest, events: list[Event], invariant: int, rule: str, text: str) -> None:
    """The finding of this invariant fails and names this rule and these words."""
    finding = honest.broken(events).get(invariant)
    assert finding is not None, f"invariant {invariant} holds"
    found = [v for v in finding.violations if v.rule == rule and text in str(v)]
    assert found, finding.detail
    assert str(found[0]) in finding.detail or len(finding.violations) > 10


def holds(honest, events: list[Event], *invariants: int) -> None:
    assert not set(honest.broken(events)) & set(invariants)


def insert(events: list[Event], at: int, event: Event, **changes: Any) -> list[Event]:
    """An event copied into the history after position ``at``, in a transaction of its own."""
    before = events[at]
    copy = replace(
        event,
        args=event.args | changes,
        block=before.block,
        index=before.index,
        tx=b"invented",
    )
    # Later logs of the block move on by one, as they would.
    head = [replace(e, index=e.index * 2) for e in events[: at + 1]]
    tail = [replace(e, index=e.index * 2) for e in events[at + 1 :]]
    return [*head, replace(copy, index=2 * before.index + 1), *tail]


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
    """The last operation waited for exactly its delay of 100 seconds."""
    at = honest.find("CallScheduled", -1)
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
    paused = next(e for e in honest.events if e.event == "PauseChanged")
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

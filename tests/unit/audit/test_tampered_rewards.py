"""Lies about points, badges, donations, vouchers and outcomes are caught (R25–R27)."""

from __future__ import annotations

from typing import Any

import pytest
from support.world import DUT, ZERO

from medtoken.audit import Event

OTHER = "0x" + "ab" * 20
REWARDS = "Rewards"


def place(honest, event: str, contract: str = REWARDS, **args: Any) -> int:
    return next(
        i
        for i, e in enumerate(honest.events)
        if (e.contract, e.event) == (contract, event) and all(e.args[k] == args[k] for k in args)
    )


def caught(honest, events: list[Event], rule: str, text: str, invariant: int = 7) -> None:
    finding = honest.broken(events).get(invariant)
    assert finding is not None, f"invariant {invariant} holds"
    found = [v for v in finding.violations if v.rule == rule and text in str(v)]
    assert found, finding.detail


@pytest.mark.parametrize("source", range(1, 7))
def test_a_point_more_from_any_source(honest, source: int) -> None:
    at = place(honest, "PointsEarned", source=source)
    points = honest.events[at].args["points"] + 1
    caught(honest, honest.changed(at, points=points), "R25", f"from source {source}")


@pytest.mark.parametrize("source", [1, 2, 5, 6])
def test_what_counted_counts_once(honest, source: int) -> None:
    event = honest.events[place(honest, "PointsEarned", source=source, institution=False)]
    month = honest.world.now // (30 * 86_400)
    again = honest.with_event(REWARDS, "PointsEarned", **event.args | {"month": month})
    caught(honest, again, "R25", "counted twice" if source != 2 else "least amount")


def test_points_for_what_is_not_there(honest) -> None:
    for source, text in ((1, "which is not registered"), (2, "which was never bought")):
        at = place(honest, "PointsEarned", source=source, institution=False)
        caught(honest, honest.changed(at, subject=b"\1" * 32), "R25", text)
    at = place(honest, "PointsEarned", source=5)
    friend = bytes(12) + bytes.fromhex(OTHER[2:])
    caught(honest, honest.changed(at, subject=friend), "R25", "without records of both")


def test_ones_own_use_counts_nothing(honest) -> None:
    """R25: a licensee who is the patient farms no points."""
    at = place(honest, "PointsEarned", source=2, institution=False)
    licence = honest.events[at].args["subject"]
    bought = next(
        i
        for i, e in enumerate(honest.events)
        if e.event == "LicenceBought" and e.args["licence"] == licence
    )
    patient = honest.events[at].args["account"]
    caught(honest, honest.changed(bought, licensee=patient), "R25", "a party of its record")


def test_a_streak_or_an_institutions_points_by_themselves(honest) -> None:
    month = honest.world.now // (30 * 86_400)
    for source, institution in ((3, False), (1, True)):
        args = {"account": OTHER, "source": source, "subject": bytes(32), "points": 60}
        events = honest.with_event(
            REWARDS, "PointsEarned", **args, month=month, institution=institution
        )
        caught(honest, events, "R25", "came by themselves")


def test_points_that_never_came(honest) -> None:
    for args in ({"source": 3}, {"source": 1, "institution": True}):
        at = place(honest, "PointsEarned", **args)
        caught(honest, honest.without(at), "R25", "lacks its points of source")


def test_ideas_are_adopted_by_the_timelock_only(honest) -> None:
    event = honest.events[place(honest, "PointsEarned", source=6)]
    month = honest.world.now // (30 * 86_400)
    args = event.args | {"subject": b"\x0c" * 32, "month": month}
    events = honest.with_event(REWARDS, "PointsEarned", **args)
    caught(honest, events, "R29", "did not come from the timelock")


def test_a_nomination_with_more_points_or_at_another_time(honest) -> None:
    at = place(honest, "Nominated")
    points = honest.events[at].args["points"] + 1
    caught(honest, honest.changed(at, points=points), "R25", "points of")
    late = honest.with_event(REWARDS, "Nominated", **honest.events[at].args)
    caught(honest, late, "R25", "outside its time")


def test_a_badge_for_somebody_else_or_twice_or_never_given(honest) -> None:
    at = place(honest, "BadgeAwarded")
    caught(honest, honest.changed(at, account=OTHER), "R25", "who is number 1")
    again = honest.with_event(REWARDS, "BadgeAwarded", **honest.events[at].args)
    caught(honest, again, "R25", "too early, or twice")
    given = place(honest, "Transfer", "BadgeToken")
    caught(honest, honest.without(given, given + 1), "R25", "was awarded and never given")
    caught(honest, honest.without(given + 1), "R25", "does not say that it is bound")
    args = honest.events[given].args | {"tokenId": 5, "to": OTHER}
    invented = honest.with_event("BadgeToken", "Transfer", **args)
    caught(honest, invented, "R25", "holder of badge 5")


def test_a_donation_to_nobody_listed_or_of_more(honest) -> None:
    at = place(honest, "DonationDirected")
    caught(honest, honest.changed(at, recipient=OTHER), "R25", "to nobody who is listed")
    amount = honest.events[at].args["amount"] + 1
    caught(honest, honest.changed(at, amount=amount), "R25", "the donation of badge", 3)
    again = honest.with_event(REWARDS, "DonationDirected", **honest.events[at].args)
    caught(honest, again, "R25", "went out twice")


def test_money_that_left_the_budget_without_a_reason(honest) -> None:
    address = honest.suite.addresses[REWARDS]
    args = {"from": address, "to": str(honest.world.people.licensee), "value": 3}
    events = honest.with_event("UsageToken", "Transfer", **args)
    caught(honest, events, "R25", "3 left the budget of donations", 3)


def test_a_redemption_without_a_burn_or_at_another_price(honest) -> None:
    at = place(honest, "Redeemed", service=1)
    burn = place(honest, "Transfer", "ContributionToken", to=ZERO, value=4 * DUT)
    caught(honest, honest.without(burn), "R26", "DCT that were never burned", 5)
    caught(honest, honest.changed(at, price=DUT), "R26", "voucher, token and price")
    caught(honest, honest.changed(at, service=9), "R26", "is not offered to")


def test_a_voucher_served_by_somebody_else_or_twice(honest) -> None:
    at = place(honest, "VoucherServed")
    text = "was served twice, or not by its provider"
    caught(honest, honest.changed(at, provider=OTHER), "R26", text)
    again = honest.with_event(REWARDS, "VoucherServed", **honest.events[at].args)
    caught(honest, again, "R26", text)


def test_an_outcome_of_somebody_elses_licence(honest) -> None:
    at = place(honest, "OutcomeReported")
    caught(honest, honest.changed(at, licensee=OTHER), "R27", "what licence")
    led = place(honest, "RecordLed")
    caught(honest, honest.changed(led, record=b"\1" * 32), "R27", "what licence")

"""Cover and compensation that lie (R22, R23): each is caught, under the right invariant and rule."""

from __future__ import annotations

import pytest
from support.histories import insert, named
from support.world import DUT

OTHER = "0x" + "ab" * 20
WORD = b"\1" * 32


def test_the_story_leaves_what_the_rules_give(honest) -> None:
    ledger, world = honest.fold(honest.events), honest.world
    cover, fund = ledger.cover, ledger.fund
    assert cover.held == world.dut.balanceOf(world.cover.address) > 0
    assert fund.held == world.dut.balanceOf(world.compensation.address) > 0
    assert [cover.paid[policy] for policy in (1, 2)] == [40 * DUT, 11 * DUT]
    assert cover.pool == 2 * DUT
    assert fund.kept == 3 * DUT + 3 + 2 - 2 * DUT
    shown = ledger.as_dict()
    assert len(shown["cover"]["open"]) == 1
    assert shown["fund"]["kept"] == str(fund.kept)
    assert honest.broken(honest.events) == {}


@pytest.mark.parametrize(
    ("event", "at", "change", "invariant", "rule", "text"),
    [
        ("PremiumPaid", 0, {"cover": 41 * DUT}, 6, "R23", "number, custodian, cover, end and pool"),
        ("PremiumPaid", 0, {"until": 1}, 6, "R23", "number, custodian, cover, end and pool"),
        ("PremiumPaid", 1, {"pool": 0}, 6, "R23", "number, custodian, cover, end and pool"),
        ("PremiumPaid", 0, {"payer": OTHER}, 7, "R23", "is no accredited custodian"),
        (
            "PremiumPaid",
            0,
            {"premium": 2 * DUT},
            6,
            "R23",
            "a premium: sender, receiver and amount",
        ),
        ("ClaimMade", 0, {"claim": WORD}, 7, "R23", "id and policy of the claim"),
        ("ClaimMade", 0, {"policy": 2}, 7, "R23", "id and policy of the claim"),
        ("ClaimDecided", 0, {"granted": 31 * DUT}, 6, "R23", "was granted more than it claims"),
        ("ClaimDecided", 1, {"paid": 29 * DUT}, 6, "R23", "policy, account, payment and pool"),
        ("ClaimDecided", 3, {"paid": 100 * DUT}, 6, "R23", "policy, account, payment and pool"),
        ("ClaimDecided", 0, {"account": OTHER}, 6, "R23", "policy, account, payment and pool"),
        ("ClaimDecided", 0, {"reason": bytes(32)}, 6, "R23", "not open, or without a reason"),
        ("BreachCover.ParameterChanged", 1, {"current": 1}, 7, "R23", "term is out of bounds"),
        ("BreachCover.ParameterChanged", 1, {"previous": 1}, 7, "R23", "term as it was"),
        ("BreachCover.ParameterChanged", 1, {"name": WORD}, 7, "R23", "an unknown parameter"),
        ("BreachCover.Withdrawn", 0, {"amount": 10**24}, 6, "R23", "withdrew more than"),
        ("ContributionPaid", 0, {"custodianAmount": 1}, 2, "R22", "parts of the contribution"),
        ("ContributionPaid", 0, {"patient": OTHER}, 2, "R22", "parts of the contribution"),
        ("ContributionPaid", 0, {"licence": WORD}, 7, "R22", "that was not used"),
        ("ContributionPaid", 0, {"licensee": OTHER}, 7, "R22", "record and licensee of"),
        ("Compensated", 0, {"amount": 10 * DUT}, 6, "R22", "more than is kept"),
        ("Compensated", 0, {"left": 0}, 6, "R22", "what the fund keeps after it"),
        ("Compensated", 0, {"reason": bytes(32)}, 6, "R22", "without a reason"),
        ("CompensationFund.Withdrawn", 0, {"amount": 10**24}, 6, "R22", "withdrew more than"),
    ],
)
def test_a_lie_is_found(honest, event, at, change, invariant, rule, text) -> None:
    named(honest, honest.changed(honest.find(event, at), **change), invariant, rule, text)


def test_a_breach_outside_the_term(honest) -> None:
    at = honest.find("ClaimMade")
    given = honest.events[at].args["given"] | {"occurred": 1}
    named(honest, honest.changed(at, given=given), 7, "R23", "outside its policy's term")


def test_a_claim_that_is_decided_twice_or_never_made(honest) -> None:
    at = honest.find("ClaimDecided")
    again = insert(honest.events, at, honest.events[at])
    named(honest, again, 6, "R23", "not open, or without a reason")
    named(honest, honest.without(honest.find("ClaimMade")), 6, "R23", "not open, or without")


def test_money_that_comes_while_paused(honest) -> None:
    for event, rule in (("PremiumPaid", "R23"), ("ContributionPaid", "R22")):
        contract = honest.events[honest.find(event)].contract
        paused = honest.events[honest.find(f"{contract}.PauseChanged")]
        events = insert(honest.events, honest.find(event) - 1, paused)
        named(honest, events, 7, rule, "of nothing, or while paused")


def test_what_is_kept_goes_by_the_timelock_alone(honest) -> None:
    events = honest.with_event(
        "CompensationFund", "Compensated", account=OTHER, amount=1, left=DUT + 5, reason=WORD
    )
    named(honest, events, 7, "R29", "did not come from the timelock")


def test_money_that_leaves_without_a_reason(honest) -> None:
    for contract, rule, text in (
        ("BreachCover", "R23", "left the breach cover"),
        ("CompensationFund", "R22", "left the compensation fund"),
    ):
        home = honest.suite.addresses[contract]
        move = {"from": home, "to": str(honest.world.people.licensee), "value": 1}
        named(honest, honest.with_event("UsageToken", "Transfer", **move), 6, rule, text)

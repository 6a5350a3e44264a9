"""Outcomes, RT and budgets that lie (R4, R16): each is caught, under the right invariant and rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.histories import insert, named, of
from support.world import DAY, DUT, ZERO

from medtoken.audit import Event
from medtoken.chain.words import GRAIN

OTHER = "0x" + "ab" * 20


def licence(honest, which: str) -> bytes:
    return honest.world.licence_id(getattr(honest.names, which))


def supported(honest, which: str = "helped") -> int:
    """The position of the event by which the budget helps one of the story's licences."""
    return of(honest, "LicenceSupported", licence=licence(honest, which))


def released(honest, at: int = 0, which: str = "helped") -> int:
    return of(honest, "SupportReleased", at, licence=licence(honest, which))


def beside(honest, at: int, event: str, contract: str | None = None) -> int:
    """The position of an event in the same transaction."""
    tx = honest.events[at].tx
    return next(
        i
        for i, e in enumerate(honest.events)
        if (e.tx, e.event) == (tx, event) and contract in (None, e.contract)
    )


def verified(honest, at: int = 0) -> int:
    evidence = honest.names.outcome["evidence"]
    found = [
        i
        for i, e in enumerate(honest.events)
        if e.event == "OutcomeVerified" and e.args["given"]["evidence"] == evidence
    ]
    return found[at]


def given(honest, at: int, **changes: Any) -> list[Event]:
    return honest.changed(at, given=honest.events[at].args["given"] | changes)


# ------------------------------------------------------------------ outcomes


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"kind": 4}, "is of an unknown kind"),
        ({"evidence": bytes(32)}, "names no evidence"),
        ({"licensee": OTHER}, "rests on a licence that is not the licensee's"),
        ({"licence": b"\1" * 32}, "rests on a licence that is not the licensee's"),
        ({"kind": 1}, "id of outcome"),
    ],
)
def test_an_outcome_that_the_rules_forbid(honest, changes: dict[str, Any], text: str) -> None:
    named(honest, given(honest, verified(honest), **changes), 7, "R4", text)


def test_a_seat_that_is_none(honest) -> None:
    """R29: the table of permissions says who the seats are."""
    events = honest.changed(verified(honest), seat=OTHER)
    named(honest, events, 7, "R29", f"is by {OTHER}, which is no technical seat")


def test_one_seat_counted_twice(honest) -> None:
    first, second = verified(honest), verified(honest, 1)
    events = honest.changed(second, seat=honest.events[first].args["seat"])
    named(honest, events, 7, "R4", "was verified twice by one seat")
    named(honest, honest.changed(second, votes=3), 7, "R4", "votes for outcome")


def test_a_licensee_that_verified_its_own(honest) -> None:
    at = verified(honest)
    events = honest.changed(at, seat=honest.events[at].args["given"]["licensee"])
    named(honest, events, 7, "R4", "was verified by the licensee itself")


def test_evidence_that_is_verified_again(honest) -> None:
    first, second = verified(honest), verified(honest, 1)
    events = insert(honest.events, second + 2, honest.events[first], seat=OTHER, votes=3)
    named(honest, events, 7, "R4", "was verified after its evidence was rewarded")


def test_a_reward_that_nobody_verified_or_too_few(honest) -> None:
    reward = beside(honest, verified(honest, 1), "OutcomeRewarded")
    named(honest, honest.without(verified(honest)), 7, "R4", "as it was verified")
    again = insert(honest.events, reward + 1, honest.events[reward])
    named(honest, again, 7, "R4", "as it was verified")
    named(honest, honest.without(reward), 7, "R4", "was verified and never rewarded")


@pytest.mark.parametrize("changes", [{"amount": 2_000 * DUT + 1}, {"licensee": OTHER}])
def test_a_reward_of_another_amount_or_to_somebody_else(honest, changes: dict[str, Any]) -> None:
    reward = beside(honest, verified(honest, 1), "OutcomeRewarded")
    named(honest, honest.changed(reward, **changes), 7, "R4", "the reward of outcome")


# ------------------------------------------------------------------ the token


def test_rt_minted_burned_or_moved_without_a_word(honest) -> None:
    licensee = str(honest.world.people.licensee)
    for sender, to in ((ZERO, OTHER), (licensee, ZERO), (licensee, OTHER)):
        moved = {"from": sender, "to": to, "value": 5}
        events = honest.with_event("ResearchToken", "Transfer", **moved)
        named(honest, events, 7, "R4", "a move of RT, by the desk's word")


def test_rt_that_was_spent_and_not_burned(honest) -> None:
    burn = beside(honest, supported(honest), "Transfer", "ResearchToken")
    named(honest, honest.without(burn), 7, "R4", "RT never went from")
    named(honest, honest.without(burn), 7, "R4", "ResearchToken.totalSupply() on the chain")


def test_more_rt_burned_than_somebody_had(honest) -> None:
    mint = beside(honest, verified(honest, 1), "Transfer", "ResearchToken")
    named(honest, honest.without(mint), 7, "R4", "spent more RT than it held")


def test_another_desk_bound(honest) -> None:
    events = honest.changed(of(honest, "DeskBound"), desk=OTHER)
    named(honest, events, 7, "R4", "the desk of RT")


# ------------------------------------------------------------------ licences


@pytest.mark.parametrize("amount", [0, GRAIN + 1, 96 * DUT + GRAIN, 10**30])
def test_a_support_over_its_share_uneven_or_of_nothing(honest, amount: int) -> None:
    """40 % of four calls at 60 DUT are 96."""
    at = supported(honest)
    sold = honest.events[beside(honest, at, "LicenceBought")].args
    assert sold["paid"] * 4 // 10 < 10**30
    if amount == 96 * DUT + GRAIN:
        amount = sold["paid"] * 4 // 10 + GRAIN
    named(honest, honest.changed(at, amount=amount), 3, "R4", "more than RT's share of")


def test_a_support_of_another_licence_or_licensee(honest) -> None:
    at = supported(honest)
    other = licence(honest, "help_held")
    named(honest, honest.changed(at, licence=other), 4, "R4", "one that was not bought with it")
    named(honest, honest.changed(at, licensee=OTHER), 4, "R4", "licensee of the support")
    named(honest, honest.without(at), 4, "R12", "which does not say why")
    named(honest, honest.without(at), 6, "R12", ": no reason")


def test_a_licence_that_was_sold_for_less(honest) -> None:
    """A desk may sell at prices of its own; this one sells at the tariff's."""
    at = beside(honest, supported(honest), "LicenceBought")
    args = honest.events[at].args
    price = args["price"] - GRAIN
    paid = price * args["units"]
    events = honest.changed(at, price=price, paid=paid, levy=paid * 4 // 100)
    named(honest, events, 2, "R13", "price with the support of licence")
    named(honest, events, 2, "R4", "who paid how much of the support")


def test_somebody_else_who_was_charged(honest) -> None:
    at = beside(honest, supported(honest), "DeskMoved")
    events = honest.changed(at, source=str(honest.world.people.other_licensee))
    named(honest, events, 2, "R4", "who paid how much of the support")


def test_help_that_the_budget_never_gave(honest) -> None:
    at = supported(honest)
    spent = beside(honest, at, "BudgetSpent")
    named(honest, honest.without(spent), 3, "R16", "of the reserve never moved for")
    named(honest, honest.without(spent), 3, "R4", "what the reserve spent on research")
    deposited = beside(honest, at, "Deposited")
    named(honest, honest.without(deposited), 6, "R4", "never deposited")
    named(honest, honest.without(deposited), 6, "R12", "against what it holds for others")


@pytest.mark.parametrize("by", [-GRAIN, GRAIN])
def test_a_release_of_more_or_less_than_was_earned(honest, by: int) -> None:
    at = released(honest)
    args = honest.events[at].args
    events = honest.changed(at, amount=args["amount"] + by)
    named(honest, events, 6, "R4", "licensee, amount and rest of the release")
    named(honest, honest.changed(at, licensee=OTHER), 6, "R4", "licensee, amount and rest")


def test_a_rest_that_the_licensee_keeps(honest) -> None:
    """What a revoked licence did not earn of its help is the reserve's, whatever the desk says."""
    at = released(honest, which="unhelped")
    args = honest.events[at].args
    assert args["returned"] > 0
    kept = honest.changed(at, amount=args["amount"] + args["returned"], returned=0)
    named(honest, kept, 6, "R4", "licensee, amount and rest of the release")
    back = beside(honest, at, "BudgetReturned")
    named(honest, honest.without(back), 3, "R16", "of the reserve never moved for")
    move = beside(honest, at, "DeskMoved")
    named(honest, honest.changed(move, amount=10**18), 6, "R12", "by its own word")


def test_a_release_twice_or_of_nothing(honest) -> None:
    at = released(honest, which="unhelped")
    again = insert(honest.events, at, honest.events[at])
    named(honest, again, 6, "R4", "of no support, or of one that is done")
    at = released(honest, which="help_held")
    end = beside(honest, at, "DeskMoved")
    again = insert(honest.events, end, honest.events[at])
    named(honest, again, 6, "R4", "is of nothing")
    unknown = honest.changed(at, licence=b"\1" * 32)
    named(honest, unknown, 6, "R4", "of no support, or of one that is done")


def test_a_desk_that_takes_a_deposit_out(honest) -> None:
    research, house = honest.world.research.address, honest.world.house.address
    for desk, rule, text in (
        (research, "R4", "deposits for itself, or takes out"),
        (house, "R12", "out of the market"),
    ):
        events = honest.with_event("DataMarket", "DepositReclaimed", account=desk, amount=7)
        named(honest, events, 6, rule, text)


def test_rules_out_of_bounds_or_out_of_nowhere(honest) -> None:
    for event, changes in (
        ("SeatsChanged", {"current": 21}),
        ("ShareChanged", {"current": 5_001}),
        ("RewardChanged", {"current": 10**24 + GRAIN}),
    ):
        at = of(honest, event, -1)
        named(honest, honest.changed(at, **changes), 7, "R4", "of research is out of bounds")
        named(honest, honest.changed(at, previous=3), 7, "R4", "of research as it was")
    at = of(honest, "RewardChanged", -1)
    named(honest, honest.changed(at, current=DUT + 1), 7, "R4", "is uneven, or of no outcome")
    events = honest.with_event("ResearchDesk", "SeatsChanged", previous=2, current=1)
    named(honest, events, 7, "R29", "did not come from the timelock")


# ------------------------------------------------------------------ budgets


def test_a_budget_that_nobody_approved(honest) -> None:
    """R16: approving is the timelock's."""
    nothing = {"limit": 0, "period": 0, "since": 0, "until": 0}
    now = honest.world.now
    budget = {"limit": 9, "period": DAY, "since": now, "until": now + DAY}
    events = honest.with_event(
        "Treasury", "BudgetApproved", spender=OTHER, previous=nothing, current=budget
    )
    named(honest, events, 7, "R29", "did not come from the timelock")
    named(honest, events, 3, "R16", "Treasury.budget_word(")


@pytest.mark.parametrize(
    "changes",
    [
        {"period": 0},
        {"period": DAY - 1},
        {"period": 367 * DAY},
        {"until": 1},
        {"since": 1},
        {"limit": 0},
    ],
)
def test_a_budget_out_of_bounds(honest, changes: dict[str, int]) -> None:
    at = of(honest, "BudgetApproved", -1)
    current = honest.events[at].args["current"] | changes
    named(honest, honest.changed(at, current=current), 3, "R16", "is out of bounds")


def test_a_budget_that_was_another_before(honest) -> None:
    at = of(honest, "BudgetApproved", 1)
    before = honest.events[at].args["previous"] | {"limit": 1}
    named(honest, honest.changed(at, previous=before), 3, "R16", "as it was")


def test_spending_over_the_limit_or_after_the_end(honest) -> None:
    annotator = str(honest.world.people.annotator)
    spent = of(honest, "BudgetSpent", spender=annotator)
    args = honest.events[spent].args
    over = {"amount": 9 * DUT + 1, "used": 9 * DUT + 1}
    named(honest, honest.changed(spent, **over), 3, "R16", "was not within its budget")
    approved = of(honest, "BudgetApproved", spender=annotator)
    named(honest, honest.without(approved), 3, "R16", "was not within its budget")
    for field in ("period", "used", "reserve"):
        events = honest.changed(spent, **{field: args[field] + 1})
        named(honest, events, 3, "R16", "period, use of its limit and reserve")
    lost = beside(honest, spent, "Transfer", "UsageToken")
    named(honest, honest.changed(lost, to=OTHER), 3, "R16", "what a budget spends")
    named(honest, honest.without(spent), 3, "R16", "left the reserve for")


def test_spending_more_than_the_reserve(honest) -> None:
    """With a budget over all that there is."""
    annotator = str(honest.world.people.annotator)
    approved = of(honest, "BudgetApproved", spender=annotator)
    spent = of(honest, "BudgetSpent", spender=annotator)
    events = list(honest.events)
    current = events[approved].args["current"] | {"limit": 10**33}
    events[approved] = replace(events[approved], args=events[approved].args | {"current": current})
    most = {"amount": 10**32, "used": 10**32}
    events[spent] = replace(events[spent], args=events[spent].args | most)
    named(honest, events, 3, "R16", "was more than the reserve")


def test_giving_back_more_than_was_spent_or_nothing(honest) -> None:
    annotator = str(honest.world.people.annotator)
    at = of(honest, "BudgetReturned", spender=annotator)
    for amount in (0, 4 * DUT + 1):
        named(honest, honest.changed(at, amount=amount), 3, "R16", "more than it has spent")
    lost = beside(honest, at, "Transfer", "UsageToken")
    named(honest, honest.without(lost), 3, "R16", "never moved from")


def test_a_desk_that_spends_without_a_word(honest) -> None:
    """The suite's own spender says in its log what for."""
    at = beside(honest, supported(honest), "BudgetSpent")
    spent = beside(honest, supported(honest), "Transfer", "UsageToken")
    events = insert(honest.events, spent, honest.events[at], amount=1)
    named(honest, events, 3, "R16", "spends, by its own word")

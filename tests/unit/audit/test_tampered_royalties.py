"""Lies about royalties and milestone options are caught, each under its rule (R18–R20)."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi import encode
from eth_utils import keccak
from support.royalties import Stage
from support.world import DUT

from medtoken.audit import Event

OTHER = "0x" + "ab" * 20
VAULT = "RoyaltyVault"


def place(honest, event: str, number: int = 0) -> int:
    found = [i for i, e in enumerate(honest.events) if (e.contract, e.event) == (VAULT, event)]
    return found[number]


def caught(honest, events: list[Event], invariant: int, rule: str, text: str) -> None:
    """The finding of this invariant fails and names this rule and these words."""
    finding = honest.broken(events).get(invariant)
    assert finding is not None, f"invariant {invariant} holds"
    found = [v for v in finding.violations if v.rule == rule and text in str(v)]
    assert found, finding.detail


def by(honest, event: str, field: str, amount: int) -> list[Event]:
    """The history with an amount of the first event of this name off by a little."""
    at = place(honest, event)
    return honest.changed(at, **{field: honest.events[at].args[field] + amount})


@pytest.mark.parametrize(
    ("event", "field", "rule", "text"),
    [
        ("SalesAttested", "royalty", "R19", "the royalty of study"),
        ("SalesAttested", "sales", "R19", "the royalty of study"),
        ("RoyaltyPaid", "levy", "R15", "the levy on the royalty of study"),
        ("RoyaltyPaid", "amount", "R19", "paid or waived"),
        ("RoyaltyClaimed", "amount", "R19", "part of study"),
        ("LevyHandedOver", "amount", "R15", "levy waiting in study"),
        ("OptionGranted", "levy", "R15", "the levy on the option"),
        ("OptionVested", "amount", "R20", "option 0x"),
        ("OptionReturned", "amount", "R20", "what option 0x"),
    ],
)
def test_amounts_off_by_one_grain(honest, event: str, field: str, rule: str, text: str) -> None:
    """Exactly 1 % of sales, exactly the levy, exactly everybody's share: to the base unit."""
    amount = 1 if field in ("royalty", "levy") or rule == "R15" else 10**9
    amount = 100 * 10**9 if field == "sales" else amount
    at_amount = 1 if (event, field) == ("RoyaltyPaid", "amount") else amount
    caught(honest, by(honest, event, field, at_amount), 2, rule, text)


def test_a_royalty_that_was_never_pulled(honest) -> None:
    at = place(honest, "RoyaltyPaid")
    pulled = honest.events[at + 1]
    assert (pulled.event, pulled.args["to"]) == ("Transfer", honest.suite.addresses[VAULT])
    caught(honest, honest.without(at + 1), 2, "R19", "a royalty: ")


def test_a_royalty_over_what_is_due(honest) -> None:
    at = place(honest, "SalesAttested")
    caught(honest, honest.without(at), 2, "R19", "or more than is due, was paid or waived")


def test_a_member_who_claims_twice(honest) -> None:
    claim = honest.events[place(honest, "RoyaltyClaimed")]
    events = honest.with_event(VAULT, "RoyaltyClaimed", **claim.args)
    caught(honest, events, 2, "R19", "part of study")


def test_a_claim_of_somebody_who_never_joined(honest) -> None:
    args = honest.events[place(honest, "RoyaltyClaimed")].args | {"account": OTHER, "amount": DUT}
    caught(honest, honest.with_event(VAULT, "RoyaltyClaimed", **args), 2, "R19", f"{OTHER}'s part")


def test_claims_over_the_pot(honest) -> None:
    """R19: what members take never exceeds their share, nor together the pot."""
    study = honest.names.study
    sealed = [e for e in honest.events if e.event == "StudySealed"]
    number = [e.args["study"] for e in sealed].index(study.id)
    events = honest.changed(place(honest, "StudySealed", number), total=1_000)
    caught(honest, events, 6, "R19", "took more than its pot")


def test_members_that_outweigh_their_roster(honest) -> None:
    study = honest.names.study
    args = {"study": study.id, "account": OTHER, "index": 0, "weight": 1}
    events = honest.with_event(VAULT, "MemberJoined", **args)
    caught(honest, events, 7, "R19", "weigh nothing, or more than its total")


def test_a_member_who_joined_and_was_not_credited(honest) -> None:
    at = place(honest, "MemberJoined")
    assert honest.events[at + 1].event == "RoyaltyClaimed"
    caught(honest, honest.without(at + 1), 2, "R19", "and was not credited with")


def test_a_levy_that_the_treasury_never_got(honest) -> None:
    args = {"study": honest.names.other_study.id}
    args["amount"] = honest.names.other_study.books.levy
    assert args["amount"] > 0
    events = honest.with_event(VAULT, "LevyHandedOver", **args)
    caught(honest, events, 2, "R15", "never reached the treasury")


def test_a_levy_told_to_the_treasury_only(honest) -> None:
    at = place(honest, "LevyHandedOver")
    caught(honest, honest.without(at), 2, "R15", "the levy on royalties and options")


@pytest.mark.parametrize(
    ("event", "changes", "text"),
    [
        ("StudySealed", {"rate": 101}, "rate and opening of study"),
        ("StudySealed", {"opens": 5}, "rate and opening of study"),
        ("StudySealed", {"sealer": 2}, "which is no custodian"),
        ("StudySealed", {"sealer": 99}, "which is no custodian"),
        ("StudySealed", {"number": 5}, "id of study"),
        ("StudySealed", {"total": 0}, "without roster, manifest or weights"),
        ("StudyUndertaken", {"payer": OTHER}, "who undertakes study"),
        ("SalesAttested", {"evidence": bytes(32)}, "without undertaking or evidence"),
        ("SalesAttested", {"period": 0}, "out of order"),
    ],
)
def test_what_the_rules_of_rosters_forbid(
    honest, event: str, changes: dict[str, Any], text: str
) -> None:
    caught(honest, honest.changed(place(honest, event), **changes), 7, "R19", text)


def test_a_roster_sealed_twice(honest) -> None:
    sealed = honest.events[place(honest, "StudySealed")]
    events = honest.with_event(VAULT, "StudySealed", **sealed.args)
    caught(honest, events, 7, "R19", "was sealed twice")


def test_a_roster_cancelled_after_it_opened(honest) -> None:
    args = {"study": honest.names.study.id, "reason": b"\1" * 32}
    events = honest.with_event(VAULT, "StudyCancelled", **args)
    caught(honest, events, 7, "R19", "was cancelled after it opened")


def test_what_nobody_undertook_cannot_become_due(honest) -> None:
    at = place(honest, "StudyUndertaken")
    caught(honest, honest.without(at), 7, "R19", "without undertaking or evidence")


def test_sales_attested_by_a_stranger(honest) -> None:
    """R29: only the attester of products, and never the payer itself (R19)."""
    at = place(honest, "SalesAttested")
    stranger = str(honest.world.people.stranger)
    events = honest.changed(at, attester=stranger)
    caught(honest, events, 7, "R29", f"is by {stranger}, which is no attester of products")
    payer = str(honest.names.study.payer)
    caught(honest, honest.changed(at, attester=payer), 7, "R19", "or by its payer")


def test_an_option_vested_by_its_funder(honest) -> None:
    at = place(honest, "OptionVested")
    events = honest.changed(at, attester=honest.events[at].args["funder"])
    caught(honest, events, 7, "R20", "or by its own funder")


def test_an_option_settled_twice(honest) -> None:
    for event in ("OptionVested", "OptionReturned"):
        again = honest.with_event(VAULT, event, **honest.events[place(honest, event)].args)
        caught(honest, again, 7, "R20", "is unknown, or was settled before")


def test_an_option_that_went_back_too_early(honest) -> None:
    returned = honest.events[place(honest, "OptionReturned")].args
    at = place(honest, "OptionGranted", honest.names.milestones.index(returned["milestone"]))
    expiry = honest.events[at].args["expiry"] + 1
    caught(honest, honest.changed(at, expiry=expiry), 7, "R20", "went back before it expired")


@pytest.mark.parametrize("by", [-86_400, 31 * 365 * 86_400])
def test_an_option_without_a_term(honest, by: int) -> None:
    at = place(honest, "OptionGranted")
    expiry = honest.events[at].args["expiry"] + by
    caught(honest, honest.changed(at, expiry=expiry), 7, "R20", "expires at once or never")


def test_a_withdrawal_of_more_than_was_credited(honest) -> None:
    args = {"account": OTHER, "to": OTHER, "amount": 1}
    events = honest.with_event(VAULT, "Withdrawn", **args)
    caught(honest, events, 6, "R19", "withdrew more than it was credited with")


def test_money_that_left_the_vault_without_a_reason(honest) -> None:
    vault = honest.suite.addresses[VAULT]
    to = str(honest.world.people.licensee)
    events = honest.with_event("UsageToken", "Transfer", **{"from": vault, "to": to, "value": 3})
    caught(honest, events, 6, "R19", f"3 left the royalty vault for {to}: no reason")


def test_money_that_came_in_while_the_vault_was_paused(honest) -> None:
    at = place(honest, "RoyaltyPaid")
    paused = honest.events[place(honest, "PauseChanged")]
    before = honest.events[at - 1]
    moved = type(before)(
        VAULT, "PauseChanged", paused.args, paused.address, before.block, b"invented", before.index
    )
    events = [*honest.events[:at], moved, *honest.events[at:]]
    caught(honest, events, 7, "R29", "came into the royalty vault while it was paused")


def test_parameters_out_of_bounds_or_of_somebody_else(honest) -> None:
    at = place(honest, "ParameterChanged", 5)
    assert honest.events[at].args["previous"] == 500  # the levy that was followed
    caught(honest, honest.changed(at, current=300), 7, "R19", "the levy of royalties")
    rate = place(honest, "ParameterChanged", 3)
    caught(honest, honest.changed(rate, current=1001), 7, "R19", "rate of royalties is out of")
    alone = honest.with_event(VAULT, "ParameterChanged", **honest.events[rate].args)
    caught(honest, alone, 7, "R29", "did not come from the timelock")
    unknown = honest.changed(rate, name=b"\1" * 32)
    caught(honest, unknown, 7, "R19", "an unknown parameter")


def test_a_vault_that_lost_money(recorded, auditing) -> None:
    """Invariant 6: what the vault's own words promise is more than it holds."""
    stage = Stage(recorded)
    study = stage.open({recorded.people.patient: 1, recorded.people.stranger: 2})
    study.bring(10 * DUT)
    study.grant(5 * DUT)
    study.join(recorded.people.patient)
    assert auditing(recorded).holds
    held = stage.held()
    vault = stage.vault.address
    at = int.from_bytes(keccak(encode(["address", "uint256"], [vault, 0])))  # its DUT
    with recorded.evm.stored(stage.dut.address, at, held - 1):
        broken = {f.id: f for f in auditing(recorded).invariants if not f.holds}
    assert set(broken) == {1, 6, 7}
    assert f"DUT of the vault on the chain: {held - 1} instead of at least {held}" in str(
        broken[6].detail
    )

"""R28: the auditor holds the governor to its bounds, and knows when objections are counted anew."""

from __future__ import annotations

from typing import Any

import pytest
from support.world import DAY, DUT


@pytest.mark.parametrize(
    ("event", "value", "sentence"),
    [
        ("VotingDelaySet", {"newVotingDelay": 7 * DAY - 1}, "the council has too little time"),
        ("VotingPeriodSet", {"newVotingPeriod": DAY - 1}, "the vote's time: 86399 is out of"),
        ("VotingPeriodSet", {"newVotingPeriod": 30 * DAY + 1}, "the vote's time: 2592001 is out"),
        ("ProposalThresholdSet", {"newProposalThreshold": 0}, "the votes of a proposer: 0 is out"),
        (
            "ProposalThresholdSet",
            {"newProposalThreshold": 10**5 * DUT + 1},
            f"the votes of a proposer: {10**5 * DUT + 1} is out of bounds",
        ),
    ],
)
def test_rules_lie_in_their_bounds(
    honest: Any, event: str, value: dict[str, int], sentence: str
) -> None:
    found = honest.fold(honest.changed(honest.find(event, -1), **value)).violations
    assert any(sentence in v.text for v in found)


def objections(honest: Any) -> list[int]:
    return [i for i, e in enumerate(honest.events) if e.event == "ProposalObjected"]


def test_objections_that_are_counted_anew_reject(honest: Any) -> None:
    at = objections(honest)[-1]
    told, rejected = honest.events[at : at + 2]
    same = [
        i
        for i in objections(honest)
        if honest.events[i].args["seat"] == told.args["seat"]
        and honest.events[i].args["proposalId"] == told.args["proposalId"]
    ]
    assert len(same) == 2
    assert (told.args["weight"], rejected.event) == (5_333, "ProposalCanceled")
    assert honest.fold(honest.events).governor.proposals[told.args["proposalId"]].rejected


def test_a_second_objection_that_rejects_nothing_was_never_told(honest: Any) -> None:
    at = objections(honest)[-2]
    again = [*honest.events[: at + 1], honest.events[at], *honest.events[at + 1 :]]
    assert any("twice, too late" in v.text for v in honest.fold(again).violations)

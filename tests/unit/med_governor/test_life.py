"""R28: a proposal's life: proposed by a holder, gated, voted on, queued, executed by anybody."""

from __future__ import annotations

import pytest
from eth_utils import keccak
from support.governance import (
    ACTIVE,
    AGAINST,
    CANCELED,
    DEFEATED,
    EXECUTED,
    FOR,
    PENDING,
    QUEUED,
    SUCCEEDED,
    Governed,
    refuses,
)
from support.world import DAY, DUT, ZERO, reverts

from medtoken.deploy.roles import CANCELLER, PROPOSER


def test_a_carried_proposal_changes_the_suite(governed: Governed) -> None:
    g, p = governed, governed.people
    made = g.now
    proposal = g.propose()
    created = g.evm.event("ProposalCreated")
    assert created["proposalId"] == proposal
    assert created["proposer"] == p.patient
    assert created["targets"] == [g.treasury.address]
    assert (created["voteStart"], created["voteEnd"]) == (made + 7 * DAY, made + 14 * DAY)
    assert g.governor.gateEnd(proposal) == g.governor.proposalSnapshot(proposal) + 1 + 7 * DAY
    assert g.state(proposal) == PENDING
    g.pass_gate()
    assert g.state(proposal) == ACTIVE
    g.governor.castVote(proposal, FOR, sender=p.custodian)
    assert g.evm.event("VoteCast") == {
        "voter": p.custodian,
        "proposalId": proposal,
        "support": FOR,
        "weight": 600 * DUT,
        "reason": "",
    }
    g.end_vote()
    assert g.state(proposal) == SUCCEEDED
    g.queue()
    assert g.evm.event("ProposalQueued")["proposalId"] == proposal
    assert g.state(proposal) == QUEUED
    g.execute()
    assert g.evm.event("ProposalExecuted") == {"proposalId": proposal}
    assert g.treasury.burn_rule()[1] == 4_000
    assert g.state(proposal) == EXECUTED


def test_the_gate_is_closed_and_the_vote_is_open_to_the_second(governed: Governed) -> None:
    g = governed
    proposal = g.propose()
    g.evm.warp(int(g.governor.gateEnd(proposal)) - g.now)
    assert g.state(proposal) == PENDING
    with refuses("GovernorUnexpectedProposalState", proposal, PENDING):
        g.governor.castVote(proposal, FOR, sender=g.people.custodian)
    g.evm.warp(1)
    g.vote(proposal, {g.people.custodian: FOR})
    g.evm.warp(int(g.governor.proposalDeadline(proposal)) - g.now)
    g.vote(proposal, {g.people.patient: FOR})
    g.evm.warp(1)
    with refuses("GovernorUnexpectedProposalState", proposal, SUCCEEDED):
        g.governor.castVote(proposal, FOR, sender=g.people.annotator)


def test_holders_of_either_token_propose_and_strangers_do_not(governed: Governed) -> None:
    g, p = governed, governed.people
    g.propose(text="by a holder of GT", by=p.custodian)
    g.propose(text="by a holder of DCT", by=p.patient)
    with refuses("GovernorInsufficientProposerVotes", p.stranger, 0, 1):
        g.propose(text="by nobody", by=p.stranger)


def test_only_its_proposer_cancels_and_only_while_the_gate_is_open(governed: Governed) -> None:
    g, p = governed, governed.people
    proposal = g.propose()
    terms = g.terms(g.raising(), "text")
    for who in (p.stranger, p.operator, p.guardian, p.custodian):
        with refuses("GovernorUnableToCancel", proposal, who):
            g.governor.cancel(*terms, sender=who)
    with g.evm.anchor():
        g.governor.cancel(*terms, sender=p.patient)
        assert g.evm.event("ProposalCanceled") == {"proposalId": proposal}
        assert g.state(proposal) == CANCELED
    g.pass_gate()
    with refuses("GovernorUnableToCancel", proposal, p.patient):
        g.governor.cancel(*terms, sender=p.patient)


def test_before_its_vote_is_won_nothing_is_queued_or_executed(governed: Governed) -> None:
    g = governed
    proposal = g.propose()
    for state, then in ((PENDING, g.pass_gate), (ACTIVE, g.end_vote), (DEFEATED, g.end_vote)):
        for step in (g.queue, g.execute):
            with refuses("GovernorUnexpectedProposalState", proposal, state):
                step()
        then()
    assert g.treasury.burn_rule()[1] == 5_000


def test_the_timelock_waits_and_anybody_executes_there_too(governed: Governed) -> None:
    g = governed
    g.carry([(g.timelock.address, g.timelock.abi.call("updateDelay", 2 * DAY))], "a delay")
    proposal = g.propose()
    g.pass_gate()
    g.vote(proposal, {g.people.custodian: FOR})
    g.end_vote()
    targets, values, data, text = g.terms(g.raising(), "text")
    g.governor.queue(targets, values, data, text, sender=g.people.stranger)
    g.evm.warp(2 * DAY - 1)
    with refuses("TimelockUnexpectedOperationState"):
        g.execute()
    g.evm.warp(1)
    salt = (int(g.governor.address, 16) << 96 ^ int.from_bytes(text)).to_bytes(32)
    g.timelock.executeBatch(targets, values, data, bytes(32), salt, sender=g.people.stranger)
    assert g.treasury.burn_rule()[1] == 4_000
    assert g.state(proposal) == EXECUTED


def test_after_the_handover_the_operator_is_nobody(governed: Governed) -> None:
    g, p = governed, governed.people
    for who in (p.operator, p.deployer, p.stranger):
        for role in (PROPOSER, CANCELLER, bytes(32)):
            assert not g.timelock.hasRole(role, who)
    assert g.timelock.hasRole(PROPOSER, g.governor.address)
    assert not g.timelock.hasRole(CANCELLER, g.governor.address)
    assert not g.timelock.hasRole(bytes(32), g.governor.address)
    with refuses("AccessControlUnauthorizedAccount", p.operator):
        g.as_timelock(g.treasury, "set_burn_share", 1)


def test_the_clock_is_the_tokens(governed: Governed) -> None:
    g = governed
    for token in (g.gt, g.dct):
        assert g.governor.clock() == token.clock() == g.now
        assert g.governor.CLOCK_MODE() == token.CLOCK_MODE() == "mode=timestamp"
    assert g.governor.COUNTING_MODE() == "support=bravo&quorum=for,abstain"


# ------------------------------------------------------------------ rules


def test_a_proposal_changes_the_rules_within_their_bounds(governed: Governed) -> None:
    g = governed
    encode = g.governor.abi.call
    g.carry(
        [
            (g.governor.address, encode("setQuorumShare", 5_000)),
            (g.governor.address, encode("setContributionDivisor", 1_000_000)),
            (g.governor.address, encode("setVotingPeriod", 30 * DAY)),
            (g.governor.address, encode("setProposalThreshold", 100_000 * DUT)),
        ]
    )
    assert g.evm.event("QuorumShareSet") == {"previous": 400, "current": 5_000}
    assert g.evm.event("ContributionDivisorSet") == {"previous": 100, "current": 1_000_000}
    assert g.evm.event("VotingPeriodSet")["newVotingPeriod"] == 30 * DAY
    assert g.evm.event("ProposalThresholdSet")["newProposalThreshold"] == 100_000 * DUT
    assert (g.governor.quorumShare(), g.governor.contributionDivisor()) == (5_000, 1_000_000)


@pytest.mark.parametrize(
    ("function", "value", "sentence"),
    [
        ("setQuorumShare", 0, "governor: quorum out of bounds"),
        ("setQuorumShare", 5_001, "governor: quorum out of bounds"),
        ("setContributionDivisor", 0, "governor: divisor out of bounds"),
        ("setContributionDivisor", 1_000_001, "governor: divisor out of bounds"),
        ("setProposalThreshold", 0, "governor: who holds nothing does not propose"),
        ("setProposalThreshold", 100_000 * DUT + 1, "governor: threshold out of bounds"),
        ("setVotingPeriod", DAY - 1, "governor: period out of bounds"),
        ("setVotingPeriod", 30 * DAY + 1, "governor: period out of bounds"),
        ("setVotingDelay", 1, "governor: the council's time is fixed"),
    ],
)
def test_no_proposal_breaks_the_rules(
    governed: Governed, function: str, value: int, sentence: str
) -> None:
    calls = [(governed.governor.address, governed.governor.abi.call(function, value))]
    with reverts(sentence):
        governed.carry(calls)


def test_only_a_proposal_changes_the_governor(governed: Governed) -> None:
    g, p = governed, governed.people
    attempts = {
        "setQuorumShare": (1,),
        "setContributionDivisor": (1,),
        "setVotingPeriod": (1,),
        "setProposalThreshold": (1,),
        "setSeat": (p.stranger, 1),
        "updateTimelock": (p.stranger,),
        "relay": (p.stranger, 0, b""),
    }
    for function, args in attempts.items():
        for who in (p.stranger, p.operator, p.deployer, p.guardian, g.seats[1][0]):
            with refuses("GovernorOnlyExecutor", who):
                getattr(g.governor, function)(*args, sender=who)


def test_a_governor_without_what_it_needs_is_not_made(governed: Governed) -> None:
    g = governed
    rules = dict(g.params.governor)
    good = [g.timelock.address, g.gt.address, g.dct.address, rules, []]
    for place, value, sentence in (
        (0, ZERO, "governor: no timelock is named"),
        (3, rules | {"gate": 7 * DAY - 1}, "governor: the council has too little time"),
        (3, rules | {"period": DAY - 1}, "governor: period out of bounds"),
        (3, rules | {"threshold": 100_000 * DUT + 1}, "governor: threshold out of bounds"),
        (3, rules | {"threshold": 0}, "governor: who holds nothing does not propose"),
        (3, rules | {"divisor": 0}, "governor: divisor out of bounds"),
        (3, rules | {"quorumShare": 0}, "governor: quorum out of bounds"),
        (4, [{"account": ZERO, "chamber": 1}], "council: nobody is named"),
    ):
        args = [*good[:place], value, *good[place + 1 :]]
        with reverts(sentence):
            g.evm.deploy("MedGovernor", *args, sender=g.people.stranger)


def test_tokens_of_another_clock_are_refused(governed: Governed) -> None:
    """Code that answers every call with the number 1: a token whose clock counts something else."""
    g = governed
    blocks = "0x" + "b1" * 20
    g.evm.insert_code(blocks, bytes.fromhex("600160005260206000f3"))
    args = (g.timelock.address, g.gt.address, blocks, dict(g.params.governor), [])
    with reverts("governor: the tokens' clock is another"):
        g.evm.deploy("MedGovernor", *args, sender=g.people.stranger)


def test_a_lost_vote_is_lost(governed: Governed) -> None:
    g = governed
    proposal = g.propose()
    g.pass_gate()
    g.vote(proposal, {g.people.patient: FOR, g.people.custodian: AGAINST})
    g.end_vote()
    assert g.state(proposal) == DEFEATED
    with refuses("GovernorUnexpectedProposalState", proposal, DEFEATED):
        g.queue()


def test_an_unknown_proposal_has_no_state(governed: Governed) -> None:
    unknown = int.from_bytes(keccak(text="unknown"))
    with refuses("GovernorNonexistentProposal", unknown):
        governed.state(unknown)
    assert governed.governor.gateEnd(unknown) == 0


def test_a_proposal_can_change_the_timelock(governed: Governed) -> None:
    g = governed
    other = g.evm.deploy("TimelockController", 0, [], [ZERO], ZERO, sender=g.people.stranger)
    update = g.governor.abi.call("updateTimelock", other.address)
    g.carry([(g.governor.address, update)])
    assert g.evm.event("TimelockChange") == {
        "oldTimelock": g.timelock.address,
        "newTimelock": other.address,
    }
    assert g.governor.timelock() == other.address

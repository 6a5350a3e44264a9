"""R28: votes weigh 1.5 × GT + 0.5 × contribution; over 60 % and a quorum carry; ballots are relayed."""

from __future__ import annotations

import pytest
from support.evm import CHAIN_ID
from support.governance import (
    ABSTAIN,
    AGAINST,
    DEFEATED,
    FOR,
    SUCCEEDED,
    Governed,
    refuses,
)
from support.world import DUT, Actor

from medtoken.messages import Ballot, GovernorDomain


def test_gt_weighs_three_times_what_a_contribution_does(governed: Governed) -> None:
    g, p = governed, governed.people
    then = g.now - 1
    weights = {p.custodian: 600, p.patient: 50, p.other_patient: 100, p.annotator: 200}
    for who, votes in weights.items():
        assert g.governor.getVotes(who, then) == votes * DUT
    g.mint(g.gt, p.patient, 2 * DUT)
    g.evm.warp(1)
    assert g.governor.getVotes(p.patient, g.now - 1) == 53 * DUT
    assert g.governor.getVotes(p.stranger, g.now - 1) == 0


def test_the_quorum_is_a_share_of_all_votes(governed: Governed) -> None:
    g = governed
    assert g.governor.quorum(g.now - 1) == 950 * DUT * 400 // 10_000 == 38 * DUT


@pytest.mark.parametrize(
    ("pro", "against", "wanted"),
    [(60, 40, DEFEATED), (61, 40, SUCCEEDED), (60, 39, SUCCEEDED), (0, 0, DEFEATED)],
)
def test_more_than_sixty_per_cent_of_both_sides(
    governed: Governed, pro: int, against: int, wanted: int
) -> None:
    g = governed
    sides = {Actor("one side"): (pro, FOR), Actor("other side"): (against, AGAINST)}
    for who, (votes, _) in sides.items():
        g.mint(g.gt, who, votes * 2 * DUT)
    g.evm.warp(1)
    proposal = g.propose()
    g.pass_gate()
    g.vote(proposal, {who: support for who, (_, support) in sides.items()})
    # Who abstains reaches the quorum and takes no side.
    g.vote(proposal, {g.people.custodian: ABSTAIN})
    g.end_vote()
    assert g.state(proposal) == wanted
    assert g.governor.proposalVotes(proposal) == (against * 3 * DUT, pro * 3 * DUT, 600 * DUT)


@pytest.mark.parametrize(("dct", "wanted"), [(8_000, SUCCEEDED), (7_999, DEFEATED)])
def test_the_quorum_is_reached_to_the_unit(governed: Governed, dct: int, wanted: int) -> None:
    g = governed
    # The whole comes to 1,000 votes, of which 4 % are 40.
    voter, rest = Actor("voter"), Actor("rest")
    g.mint(g.dct, voter, dct * DUT)
    g.mint(g.dct, rest, (10_000 - dct) * DUT)
    g.evm.warp(1)
    proposal = g.propose(by=g.people.custodian)
    g.pass_gate()
    g.vote(proposal, {voter: FOR})
    g.end_vote()
    assert g.state(proposal) == wanted


def test_votes_against_do_not_help_to_the_quorum(governed: Governed) -> None:
    g = governed
    small = Actor("small")
    g.mint(g.dct, small, 100 * DUT)
    g.evm.warp(1)
    proposal = g.propose()
    g.pass_gate()
    g.vote(proposal, {small: AGAINST, g.people.custodian: AGAINST})
    g.end_vote()
    assert g.state(proposal) == DEFEATED


# ------------------------------------------------------------------ by signature


def _ballot(g: Governed, proposal: int, voter: Actor, support: int = FOR) -> Ballot:
    return Ballot(proposal, support, str(voter), int(g.governor.nonces(voter)))


def _domain(g: Governed) -> GovernorDomain:
    return GovernorDomain(CHAIN_ID, g.governor.address)


def test_a_patient_votes_by_signature_through_any_relay(governed: Governed) -> None:
    g, p = governed, governed.people
    proposal = g.propose()
    g.pass_gate()
    signature = _ballot(g, proposal, p.patient).sign(p.patient.key, _domain(g))
    g.governor.castVoteBySig(proposal, FOR, p.patient, signature, sender=p.relay)
    assert g.evm.event("VoteCast")["voter"] == p.patient
    assert g.evm.event("NonceUsed") == {"account": p.patient, "nonce": 0}
    assert g.governor.hasVoted(proposal, p.patient)
    assert not g.governor.hasVoted(proposal, p.relay)
    assert g.governor.proposalVotes(proposal)[FOR] == 50 * DUT


def test_a_signed_vote_is_good_once_and_for_what_it_says(governed: Governed) -> None:
    g, p = governed, governed.people
    proposal, other = g.propose(), g.propose(g.raising(3_000), "other")
    g.pass_gate()
    signature = _ballot(g, proposal, p.patient).sign(p.patient.key, _domain(g))
    forgeries = [
        (proposal, AGAINST, p.patient, signature),
        (other, FOR, p.patient, signature),
        (proposal, FOR, p.other_patient, signature),
        (proposal, FOR, p.patient, signature[:-1]),
        (proposal, FOR, p.patient, b""),
        (
            proposal,
            FOR,
            p.patient,
            _ballot(g, proposal, p.patient).sign(p.stranger.key, _domain(g)),
        ),
        (
            proposal,
            FOR,
            p.patient,
            _ballot(g, proposal, p.patient).sign(
                p.patient.key, GovernorDomain(CHAIN_ID + 1, g.governor.address)
            ),
        ),
    ]
    for attempt in forgeries:
        with refuses("GovernorInvalidSignature", attempt[2]):
            g.governor.castVoteBySig(*attempt, sender=p.relay)
    g.governor.castVoteBySig(proposal, FOR, p.patient, signature, sender=p.relay)
    with refuses("GovernorInvalidSignature", p.patient):  # its nonce is used
        g.governor.castVoteBySig(proposal, FOR, p.patient, signature, sender=p.relay)
    again = _ballot(g, proposal, p.patient, AGAINST).sign(p.patient.key, _domain(g))
    with refuses("GovernorAlreadyCastVote", p.patient):
        g.governor.castVoteBySig(proposal, AGAINST, p.patient, again, sender=p.relay)


def test_a_vote_with_a_reason_is_signed_too(governed: Governed) -> None:
    g, p = governed, governed.people
    proposal = g.propose()
    g.pass_gate()
    g.governor.castVoteWithReason(proposal, AGAINST, "too early", sender=p.custodian)
    assert g.evm.event("VoteCast")["reason"] == "too early"
    with refuses("GovernorInvalidVoteType"):
        g.governor.castVote(proposal, 3, sender=p.patient)


def test_a_vote_with_parameters_counts_as_any_other(governed: Governed) -> None:
    g, p = governed, governed.people
    proposal = g.propose()
    g.pass_gate()
    g.governor.castVoteWithReasonAndParams(proposal, FOR, "", b"\1", sender=p.patient)
    assert g.evm.event("VoteCastWithParams")["weight"] == 50 * DUT
    assert g.governor.proposalVotes(proposal) == (0, 50 * DUT, 0)

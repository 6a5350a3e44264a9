"""R28 under attack: each test is somebody who tries to rule, and does not."""

from __future__ import annotations

import pytest
from eth_utils import keccak
from support.evm import Reverted
from support.governance import (
    ACTIVE,
    AGAINST,
    CANCELED,
    DEFEATED,
    EXECUTED,
    FOR,
    INSTITUTIONS,
    QUEUED,
    TECHNICAL,
    USERS,
    Governed,
    refuses,
)
from support.world import DAY, DUT, Actor, reverts

from medtoken.deploy.roles import Role

MANY = 10**6 * DUT


# ------------------------------------------------------------------ votes that come late


def test_votes_minted_in_answer_to_a_proposal_have_no_weight(governed: Governed) -> None:
    g, p = governed, governed.people
    late = Actor("late")
    proposal = g.propose()
    for moment in (g.pass_gate, lambda: g.evm.warp(1)):
        moment()
        g.mint(g.gt, late, MANY)
        g.mint(g.gt, p.patient, MANY)
    assert g.governor.getVotes(late, g.now - 1) > 0
    g.vote(proposal, {late: FOR, p.patient: FOR})
    assert g.governor.proposalVotes(proposal) == (0, 50 * DUT, 0)


def test_votes_minted_during_the_gate_have_no_weight(governed: Governed) -> None:
    """The council's week would be a week to mint in, were votes weighed when it ends."""
    g = governed
    late = Actor("late")
    proposal = g.propose()
    g.evm.warp(1)
    g.mint(g.gt, late, MANY)
    g.pass_gate()
    g.vote(proposal, {late: FOR})
    assert g.governor.proposalVotes(proposal) == (0, 0, 0)


def test_votes_minted_in_the_proposals_own_second_have_no_weight(governed: Governed) -> None:
    """Before and after it in one block: neither makes a proposer, nor votes, nor moves the quorum."""
    g = governed
    late = Actor("late")
    g.mint(g.gt, late, MANY)
    with refuses("GovernorInsufficientProposerVotes", late, 0, 1):
        g.propose(by=late)
    proposal = g.propose()
    g.mint(g.dct, late, MANY)
    g.pass_gate()
    assert g.governor.quorum(g.governor.proposalSnapshot(proposal)) == 38 * DUT
    g.vote(proposal, {late: FOR})
    assert g.governor.proposalVotes(proposal) == (0, 0, 0)


def test_rules_that_change_reach_no_open_proposal(governed: Governed) -> None:
    g = governed
    encode = g.governor.abi.call
    calls = [
        (g.governor.address, encode("setContributionDivisor", 1)),
        (g.governor.address, encode("setQuorumShare", 5_000)),
        (g.governor.address, encode("setVotingPeriod", DAY)),
    ]
    first = g.propose(calls, "rules")
    g.pass_gate()
    g.vote(first, {g.people.custodian: FOR})
    g.end_vote()
    g.queue(calls, "rules")
    second = g.propose()
    g.execute(calls, "rules")
    deadline = g.governor.proposalDeadline(second)
    g.pass_gate()
    g.vote(second, {g.people.patient: FOR})
    assert g.governor.proposalVotes(second) == (0, 50 * DUT, 0)
    assert g.governor.quorum(g.governor.proposalSnapshot(second)) == 38 * DUT
    assert deadline - g.governor.gateEnd(second) == g.params.governor["period"]


# ------------------------------------------------------------------ votes that count twice


def test_nobody_votes_twice(governed: Governed) -> None:
    g, p = governed, governed.people
    proposal = g.propose()
    g.pass_gate()
    g.vote(proposal, {p.patient: FOR})
    for support in (FOR, AGAINST):
        with refuses("GovernorAlreadyCastVote", p.patient):
            g.vote(proposal, {p.patient: support})
    with refuses("GovernorAlreadyCastVote", p.patient):
        g.governor.castVoteWithReasonAndParams(proposal, FOR, "again", b"\1", sender=p.patient)


def test_what_was_recovered_does_not_vote_again(governed: Governed) -> None:
    """R41 moves a balance to a new wallet; the votes of an open proposal stay where they were."""
    g, p = governed, governed.people
    recovery, wallet = Actor("recovery"), Actor("new wallet")
    grant = g.manager.abi.call("grantRole", int(Role.RECOVERY), recovery, 0)
    g.carry([(g.manager.address, grant)], "recovery")
    proposal = g.propose()
    g.pass_gate()
    g.vote(proposal, {p.patient: FOR})
    g.dct.recover(p.patient, wallet, sender=recovery)
    g.evm.warp(1)
    g.vote(proposal, {wallet: FOR})
    assert g.governor.proposalVotes(proposal) == (0, 50 * DUT, 0)
    assert g.governor.getVotes(wallet, g.now - 1) == 50 * DUT


def test_votes_are_not_lent(governed: Governed) -> None:
    g, p = governed, governed.people
    for token, holder in ((g.gt, p.custodian), (g.dct, p.patient)):
        with reverts("soulbound: votes cannot be delegated"):
            token.delegate(p.stranger, sender=holder)
        assert token.delegates(holder) == holder
        with reverts("soulbound: not transferable"):
            token.transfer(p.stranger, 1, sender=holder)
    proposal = g.propose()
    g.pass_gate()
    g.vote(proposal, {p.stranger: FOR, p.custodian: FOR})
    assert g.governor.proposalVotes(proposal) == (0, 600 * DUT, 0)


# ------------------------------------------------------------------ proposals that run twice


def test_an_executed_proposal_is_over(governed: Governed) -> None:
    g = governed
    calls = g.raising()
    proposal = g.carry(calls)
    for attempt in (lambda: g.queue(calls), lambda: g.execute(calls), lambda: g.propose(calls)):
        with refuses("GovernorUnexpectedProposalState", proposal, EXECUTED):
            attempt()
    salt = (int(g.governor.address, 16) << 96 ^ int.from_bytes(keccak(text="text"))).to_bytes(32)
    with refuses("TimelockUnexpectedOperationState"):
        g.timelock.executeBatch(
            *g.terms(calls, "text")[:3], bytes(32), salt, sender=g.people.stranger
        )


def test_other_calls_under_a_carried_description_are_another_proposal(governed: Governed) -> None:
    g = governed
    proposal = g.propose()
    g.pass_gate()
    g.vote(proposal, {g.people.custodian: FOR})
    g.end_vote()
    for step in (g.queue, g.execute):
        with refuses("GovernorNonexistentProposal"):
            step(g.raising(9_000))


def test_nobody_takes_a_named_proposers_place(governed: Governed) -> None:
    """Else whoever sees it first could propose the same, and cancel it for ever."""
    g, p = governed, governed.people
    text = f"mine #proposer={p.patient}"
    with refuses("GovernorRestrictedProposer", p.custodian):
        g.propose(text=text, by=p.custodian)
    g.propose(text=text, by=p.patient)


# ------------------------------------------------------------------ re-entrancy through execution


def _caller(to: str, data: bytes) -> bytes:
    """Code that makes one call with fixed data, and reverts as that does."""
    size = len(data)
    head = bytearray()
    prefix = 46  # length of what stands before the data
    head += bytes.fromhex(f"61{size:04x}61{prefix:04x}5f39")  # codecopy(0, prefix, size)
    head += bytes.fromhex(
        f"5f5f61{size:04x}5f5f73{to[2:].lower()}5af1"
    )  # call(gas, to, 0, 0, size, 0, 0)
    jump = prefix - 2
    head += bytes.fromhex(f"60{jump:02x}575f5ffd")
    assert len(head) == jump, len(head)
    return bytes(head) + bytes.fromhex("5b00") + data


@pytest.mark.parametrize("function", ["execute", "queue"])
def test_a_proposal_that_calls_back_into_itself_does_not_run(
    governed: Governed, function: str
) -> None:
    g = governed
    callee = "0x" + ("c1" if function == "execute" else "c2") * 20
    calls = [(callee, b""), *g.raising()]
    again = g.governor.abi.call(function, *g.terms(calls, "text"))
    g.evm.insert_code(callee, _caller(g.governor.address, again))
    proposal = g.propose(calls)
    g.pass_gate()
    g.vote(proposal, {g.people.custodian: FOR})
    g.end_vote()
    g.queue(calls)
    with refuses("FailedCall"):
        g.execute(calls)
    assert g.state(proposal) == QUEUED
    assert g.treasury.burn_rule()[1] == 5_000


def test_the_callback_itself_works_where_it_is_harmless(governed: Governed) -> None:
    """So that the test above fails by the governor's refusal, and not by its own code."""
    g = governed
    callee = "0x" + "c3" * 20
    calls = [(callee, b""), *g.raising()]
    g.evm.insert_code(callee, _caller(g.governor.address, g.governor.abi.call("clock")))
    g.carry(calls)
    assert g.treasury.burn_rule()[1] == 4_000


def test_a_callback_does_not_reach_what_only_a_proposal_may(governed: Governed) -> None:
    """While it executes, the timelock may call the governor with the proposal's own calls, nobody else."""
    g = governed
    callee = "0x" + "c4" * 20
    seize = g.governor.abi.call("setSeat", g.people.stranger, USERS)
    g.evm.insert_code(callee, _caller(g.governor.address, seize))
    with refuses("FailedCall"):
        g.carry([(callee, b""), *g.seating((g.people.stranger, USERS))])
    assert g.governor.chamberOf(g.people.stranger) == 0


def test_a_change_of_the_governor_does_not_run_past_it(governed: Governed) -> None:
    """Anybody executes at the timelock; the governor takes such calls from its own ``execute`` alone."""
    g = governed
    new = Actor("new")
    calls = g.seating((new, USERS))
    proposal = g.propose(calls)
    g.pass_gate()
    g.vote(proposal, {g.people.custodian: FOR})
    g.end_vote()
    g.queue(calls)
    salt = (int(g.governor.address, 16) << 96 ^ int.from_bytes(keccak(text="text"))).to_bytes(32)
    with pytest.raises(Reverted):
        g.timelock.executeBatch(
            *g.terms(calls, "text")[:3], bytes(32), salt, sender=g.people.stranger
        )
    g.execute(calls)
    assert g.governor.chamberOf(new) == USERS


# ------------------------------------------------------------------ the council


def test_a_captured_council_does_not_keep_its_seats(governed: Governed) -> None:
    """It rejects everything, but not its own end; then what it rejected is carried."""
    g = governed
    everybody = [seat for held in g.seats.values() for seat in held]
    rejected = g.propose()
    g.object(rejected, *g.seats[USERS], *g.seats[INSTITUTIONS][:2])
    assert g.state(rejected) == CANCELED
    calls = g.seating(*((seat, 0) for seat in everybody), (Actor("honest"), USERS))
    rescue = g.propose(calls, "a new council")
    assert g.governor.isAboutSeats(rescue)
    for seat in everybody:
        with reverts("council: not in its own case"):
            g.object(rescue, seat)
    g.pass_gate()
    g.vote(rescue, {g.people.custodian: FOR})
    g.end_vote()
    g.queue(calls, "a new council")
    g.execute(calls, "a new council")
    assert [s["account"] for s in g.governor.seats()] == [Actor("honest")]
    g.carry(g.raising(), "once more")
    assert g.treasury.burn_rule()[1] == 4_000


def test_nothing_rides_past_the_council_beside_a_seat(governed: Governed) -> None:
    g = governed
    seat = g.seating((Actor("new"), USERS))
    quorum = (g.governor.address, g.governor.abi.call("setQuorumShare", 1))
    elsewhere = (g.treasury.address, seat[0][1])
    for number, calls in enumerate(
        ([*seat, *g.raising()], [*seat, quorum], [elsewhere, *seat], [(g.governor.address, b"")])
    ):
        proposal = g.propose(calls, f"number {number}")
        assert not g.governor.isAboutSeats(proposal)
        g.object(proposal, *g.seats[USERS], *g.seats[INSTITUTIONS][:2])
        assert g.state(proposal) == CANCELED


def test_one_captured_chamber_rejects_nothing(governed: Governed) -> None:
    g = governed
    for chamber in (USERS, INSTITUTIONS, TECHNICAL):
        proposal = g.propose(text=f"chamber {chamber}")
        g.object(proposal, *g.seats[chamber])
        g.pass_gate()
        assert g.state(proposal) == ACTIVE


def test_a_chamber_left_alone_does_not_become_the_council(governed: Governed) -> None:
    """The seats of the others are gone: their weight is silent, and is not shared out."""
    g = governed
    g.carry(g.seating(*((s, 0) for c in (INSTITUTIONS, TECHNICAL) for s in g.seats[c])))
    proposal = g.propose()
    assert g.object(proposal, *g.seats[USERS]) == 4_000
    g.pass_gate()
    assert g.state(proposal) == ACTIVE


def test_a_dead_council_holds_nothing_up(governed: Governed) -> None:
    g = governed
    g.carry(g.raising())
    assert g.treasury.burn_rule()[1] == 4_000
    g.carry(g.seating(*((s, 0) for held in g.seats.values() for s in held)), "no council at all")
    assert g.governor.seats() == []
    g.carry(g.raising(3_000), "without one")
    assert g.treasury.burn_rule()[1] == 3_000


def test_nobody_seats_themselves(governed: Governed) -> None:
    g = governed
    for who in (g.people.stranger, g.seats[USERS][0], g.people.council, g.people.operator):
        with refuses("GovernorOnlyExecutor", who):
            g.governor.setSeat(who, TECHNICAL, sender=who)


def test_a_minority_is_not_enough_to_take_the_council(governed: Governed) -> None:
    g, p = governed, governed.people
    calls = g.seating(*((s, 0) for held in g.seats.values() for s in held))
    proposal = g.propose(calls)
    g.pass_gate()
    g.vote(proposal, {p.annotator: FOR, p.custodian: AGAINST})
    g.end_vote()
    assert g.state(proposal) == DEFEATED

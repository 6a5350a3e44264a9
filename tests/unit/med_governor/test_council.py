"""R28: the council's gate: chambers of 40, 40 and 20 %; over a half rejects, silence passes."""

from __future__ import annotations

import pytest
from support.evm import CHAIN_ID
from support.governance import (
    ACTIVE,
    CANCELED,
    INSTITUTIONS,
    PENDING,
    TECHNICAL,
    USERS,
    Governed,
    refuses,
)
from support.world import ZERO, Actor, reverts

from medtoken.messages import GovernorDomain, Objection


@pytest.mark.parametrize(
    ("users", "institutions", "technical", "weight"),
    [
        (5, 0, 0, 4_000),
        (0, 5, 0, 4_000),
        (0, 0, 5, 2_000),
        (5, 0, 2, 4_800),
        (5, 1, 1, 5_200),
        (4, 2, 1, 5_200),
        (5, 0, 3, 5_200),
        (0, 5, 3, 5_200),
        (4, 1, 2, 4_800),
    ],
)
def test_seats_weigh_by_their_chamber(
    governed: Governed, users: int, institutions: int, technical: int, weight: int
) -> None:
    g = governed
    proposal = g.propose()
    objecting = [
        *g.seats[USERS][:users],
        *g.seats[INSTITUTIONS][:institutions],
        *g.seats[TECHNICAL][:technical],
    ]
    assert g.object(proposal, *objecting) == weight == g.governor.objections(proposal)
    assert g.state(proposal) == (CANCELED if weight > 5_000 else PENDING)


def test_half_is_not_enough(governed: Governed) -> None:
    """All seats of users, and one of four institutions: 40 % and 10 %."""
    g = governed
    g.carry(g.seating((g.seats[INSTITUTIONS][4], 0)))
    proposal = g.propose()
    assert g.object(proposal, *g.seats[USERS], g.seats[INSTITUTIONS][0]) == 5_000
    assert g.state(proposal) == PENDING


def test_a_rejected_proposal_is_over(governed: Governed) -> None:
    g = governed
    proposal = g.propose()
    g.object(proposal, *g.seats[USERS], g.seats[INSTITUTIONS][0])
    g.governor.object(proposal, sender=g.seats[TECHNICAL][0])
    assert g.evm.event("ProposalObjected") == {
        "proposalId": proposal,
        "seat": g.seats[TECHNICAL][0],
        "weight": 5_200,
    }
    assert g.evm.event("ProposalCanceled") == {"proposalId": proposal}
    g.pass_gate()
    for attempt in (
        lambda: g.governor.castVote(proposal, 1, sender=g.people.custodian),
        g.queue,
        g.execute,
        lambda: g.object(proposal, g.seats[TECHNICAL][1]),
        g.propose,
    ):
        with refuses("GovernorUnexpectedProposalState", proposal, CANCELED):
            attempt()


def test_who_may_object_and_when(governed: Governed) -> None:
    g, p = governed, governed.people
    seat = g.seats[USERS][0]
    proposal = g.propose()
    for who in (p.stranger, p.operator, p.council, p.technical, p.custodian):
        with reverts("council: the caller has no seat"):
            g.object(proposal, who)
    g.object(proposal, seat)
    assert g.governor.objected(proposal, seat)
    assert g.object(proposal, seat) == 800  # counted anew, not twice, and not told again
    assert g.evm.logs == []
    g.pass_gate()
    assert g.state(proposal) == ACTIVE
    with refuses("GovernorUnexpectedProposalState", proposal, ACTIVE):
        g.object(proposal, g.seats[USERS][1])


def test_a_seat_objects_by_signature(governed: Governed) -> None:
    g, p = governed, governed.people
    seat, other = g.seats[USERS][:2]
    proposal, second = g.propose(), g.propose(g.raising(1), "second")
    domain = GovernorDomain(CHAIN_ID, g.governor.address)
    signature = Objection(proposal, str(seat)).sign(seat.key, domain)
    for attempt in ((second, seat, signature), (proposal, other, signature)):
        with refuses("GovernorInvalidSignature", attempt[1]):
            g.governor.objectBySig(*attempt, sender=p.relay)
    stranger = Objection(proposal, str(p.stranger)).sign(p.stranger.key, domain)
    with reverts("council: the caller has no seat"):
        g.governor.objectBySig(proposal, p.stranger, stranger, sender=p.relay)
    assert g.governor.objectBySig(proposal, seat, signature, sender=p.relay) == 800
    assert g.governor.objectBySig(proposal, seat, signature, sender=p.relay) == 800
    assert g.evm.logs == []


# ------------------------------------------------------------------ seats


def test_a_proposal_seats_moves_and_unseats(governed: Governed) -> None:
    g = governed
    new, moved, gone = Actor("new"), g.seats[USERS][0], g.seats[TECHNICAL][4]
    g.carry(g.seating((new, USERS), (moved, TECHNICAL), (gone, 0)))
    told = [log.args for log in g.evm.logs if log.event == "SeatSet"]
    assert told == [
        {"account": new, "previous": 0, "current": USERS},
        {"account": moved, "previous": USERS, "current": TECHNICAL},
        {"account": gone, "previous": TECHNICAL, "current": 0},
    ]
    seats = {s["account"]: s["chamber"] for s in g.governor.seats()}
    assert len(seats) == len(g.governor.seats()) == 15
    assert (seats[new], seats[moved]) == (USERS, TECHNICAL)
    assert gone not in seats
    assert g.governor.chamberOf(gone) == 0
    with reverts("council: the caller has no seat"):
        g.object(g.propose(), gone)


def test_who_lost_its_seat_has_lost_its_objections(governed: Governed) -> None:
    """The proposal to unseat was made first; between the two the seat objects."""
    g = governed
    gone = g.seats[USERS][0]
    calls = g.seating((gone, 0))
    first = g.propose(calls, "unseat")
    g.pass_gate()
    g.vote(first, {g.people.custodian: 1})
    g.end_vote()
    g.queue(calls, "unseat")
    second = g.propose()
    g.object(second, gone, g.seats[USERS][1])
    assert g.governor.objections(second) == 1_600
    g.execute(calls, "unseat")
    assert g.governor.objections(second) == 1_000  # one of four


def test_objections_that_come_to_weigh_more_are_counted_by_whoever_has_objected(
    governed: Governed,
) -> None:
    """Seats that have not objected go while the gate is open, and nobody is left to object anew."""
    g = governed
    silent = g.seats[INSTITUTIONS][1:]
    calls = g.seating(*((seat, 0) for seat in silent))
    first = g.propose(calls, "unseat")
    g.pass_gate()
    g.vote(first, {g.people.custodian: 1})
    g.end_vote()
    g.queue(calls, "unseat")
    proposal = g.propose()
    objecting = [*g.seats[USERS], g.seats[INSTITUTIONS][0]]
    assert g.object(proposal, *objecting) == 4_800
    g.execute(calls, "unseat")
    assert g.governor.objections(proposal) == 8_000
    assert g.state(proposal) == PENDING
    with reverts("council: the caller has no seat"):
        g.object(proposal, silent[0])
    assert g.object(proposal, objecting[0]) == 8_000
    assert g.evm.event("ProposalObjected") == {
        "proposalId": proposal,
        "seat": objecting[0],
        "weight": 8_000,
    }
    assert g.evm.event("ProposalCanceled") == {"proposalId": proposal}
    assert g.state(proposal) == CANCELED


@pytest.mark.parametrize(
    ("account", "chamber", "sentence"),
    [
        (ZERO, USERS, "council: nobody is named"),
        (Actor("nobody"), 0, "council: nothing changes"),
        (Actor("seat 1.0"), USERS, "council: nothing changes"),
    ],
)
def test_a_change_of_seats_that_is_none(
    governed: Governed, account: str, chamber: int, sentence: str
) -> None:
    with reverts(sentence):
        governed.carry(governed.seating((account, chamber)))


def test_the_council_has_forty_five_seats_at_most(governed: Governed) -> None:
    g = governed
    g.carry(g.seating(*((Actor(f"more {n}"), USERS) for n in range(30))))
    assert len(g.governor.seats()) == g.governor.MAX_SEATS() == 45
    with reverts("council: every seat is taken"):
        g.carry(g.seating((Actor("one more"), USERS)), "another")

"""Proposals, the council's gate and the votes on them, counted again from the tokens' books (R28)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from eth_abi import encode

from medtoken._keccak import keccak
from medtoken.audit import rules
from medtoken.audit.books.base import ZERO_ADDRESS, Book, Handler, hexed
from medtoken.audit.books.contribution import ContributionBook
from medtoken.audit.books.governance import TimelockBook
from medtoken.audit.journal import Event, Journal
from medtoken.chain.abi import abi

# What a vote says, and how the governor numbers where a proposal is.
AGAINST, FOR, ABSTAIN = range(3)
PENDING, ACTIVE, CANCELED, DEFEATED, SUCCEEDED, QUEUED, _, EXECUTED = range(8)

Call = tuple[str, int, bytes]  # target, value, data


def own_functions() -> frozenset[bytes]:
    """Selectors of the functions that the governor takes from a carried proposal alone."""
    names = (
        "setSeat",
        "setContributionDivisor",
        "setQuorumShare",
        "setProposalThreshold",
        "setVotingPeriod",
        "updateTimelock",
        "relay",
    )
    return frozenset(abi("MedGovernor").selector(name) for name in names)


@dataclass
class Proposal:
    """A proposal and what became of it. Times in unix seconds, votes in base units."""

    proposer: str
    calls: tuple[Call, ...]
    description: bytes  # the hash of its text
    made_at: int
    gate_end: int
    vote_end: int
    about_seats: bool
    objected: set[str] = field(default_factory=set)
    voters: set[str] = field(default_factory=set)
    tally: list[int] = field(default_factory=lambda: [0, 0, 0])
    operation: bytes = b""  # of the timelock, once it is queued
    eta: int = 0
    rejected: bool = False
    cancelled: bool = False
    executed: bool = False

    @property
    def snapshot(self) -> int:
        """As of which second votes are weighed."""
        return self.made_at - 1

    def terms(self) -> tuple[list[str], list[int], list[bytes]]:
        """Targets, values and data of its calls."""
        targets, values, data = zip(*self.calls, strict=True) if self.calls else ((), (), ())
        return list(targets), list(values), list(data)


@dataclass
class OwnCalls:
    """The queue in which the governor keeps what a running proposal may call of itself.

    What such a proposal did not use up stays in the storage behind the queue's end.
    """

    begin: int = 0
    end: int = 0
    words: dict[int, bytes] = field(default_factory=dict)

    def run(self, calls: list[bytes], governed: frozenset[bytes]) -> None:
        """Take note of an execution; ``calls`` are the data of the proposal's calls of the governor."""
        for data in calls:
            self.words[self.end] = keccak(data)
            self.end += 1
        # A governed function takes out all before its own call, and that; others take out nothing.
        last = max((n for n, data in enumerate(calls, 1) if data[:4] in governed), default=0)
        for place in range(self.begin, self.begin + last):
            self.words[place] = bytes(32)
        self.begin += last
        if self.begin != self.end:
            self.begin = self.end = 0


class GovernorBook(Book):
    """MedGovernor and its council, from the first rules on.

    Every vote is weighed again by what its voter held of both tokens the second before the proposal was
    made; objections by the seats there are; and what is queued or executed must have been carried. Who
    signed or sent what is not in the logs. A proposal that itself executes another one leaves a queue of
    the governor's own calls in another order than this book has it.
    """

    def __init__(
        self,
        journal: Journal,
        address: str | None,
        timelock: TimelockBook,
        obeyed: str,
        tokens: tuple[ContributionBook, ContributionBook],
    ) -> None:
        """``address``: the governor's, if there is one; ``obeyed``: the timelock's; tokens: GT and DCT."""
        super().__init__(journal)
        self.address = address
        self.timelock = timelock
        self.obeyed = obeyed
        self.governance, self.contribution = tokens
        self.proposals: dict[int, Proposal] = {}
        self.seats: list[str] = []
        self.chambers: dict[str, int] = {}  # also of those who left, with 0
        self.most_seats = 0  # that there ever were
        self.nonces: dict[str, int] = defaultdict(int)
        self.delay = 0
        self.period = 0
        self.threshold = 0
        # since (unix seconds, 0 from the first on) → value
        self.divisors: dict[int, int] = {}
        self.quorum_shares: dict[int, int] = {}
        self.calls = OwnCalls()
        self._born: bytes | None = None  # the transaction that made it
        # Of the transaction at hand: rejections that objections amount to, rules set, what was queued.
        self._rejections: list[int] = []
        self._changes: set[str] = set()
        self._voted: set[bytes] = set()

    # ------------------------------------------------------------------ what holds

    @property
    def divisor(self) -> int:
        """How much DCT is one contribution, for proposals from now on."""
        return next(reversed(self.divisors.values()), 0)

    @property
    def quorum_share(self) -> int:
        """The quorum in bps of all votes, for proposals from now on."""
        return next(reversed(self.quorum_shares.values()), 0)

    def weight(self, account: str, moment: int) -> int:
        """An account's votes as of a time, base units."""
        return self._weigh(
            self.governance.held(account, moment), self.contribution.held(account, moment), moment
        )

    def quorum(self, moment: int) -> int:
        """The votes for or abstaining that carry a proposal as of a time, base units."""
        every = self._weigh(
            self.governance.supplied(moment), self.contribution.supplied(moment), moment
        )
        return every * _at(self.quorum_shares, moment) // rules.BPS

    def objections(self, proposal: Proposal) -> int:
        """What those who objected and have a seat weigh, bps of the whole council."""
        return rules.council_weight(self.chambers, proposal.objected)

    def carried(self, proposal: Proposal) -> bool:
        """Whether its votes carry it."""
        against, pro, abstain = proposal.tally
        return rules.carried(against, pro, abstain, self.quorum(proposal.snapshot))

    def state(self, proposal: Proposal, now: int) -> int:
        """Where a proposal is now, as the governor numbers it."""
        if proposal.rejected or proposal.cancelled:
            return CANCELED
        if proposal.executed:
            return EXECUTED
        if now <= proposal.vote_end:
            return PENDING if now <= proposal.gate_end else ACTIVE
        if not self.carried(proposal):
            return DEFEATED
        operation = self.timelock.operations.get(proposal.operation)
        if operation is None:
            return SUCCEEDED
        return EXECUTED if operation.done else CANCELED if operation.cancelled else QUEUED

    def end_transaction(self) -> None:
        """What was objected to is rejected, what is the governor's to set or to schedule came of a vote."""
        for number in self._rejections:
            self._require(False, f"{number} was not rejected, though the council objected")
        called = any(target == self.address for target, _ in self.timelock.executed)
        for name in sorted(self._changes):
            self._require(called, f"{name} of the governor did not come from the timelock")
        for operation, proposers in self.timelock.scheduled:
            # What the governor relays for a carried proposal may be an operation too.
            self._require(
                proposers != {self.address} or operation in self._voted or called,
                f"operation {hexed(operation)} was scheduled without a vote",
            )
        self._rejections.clear()
        self._changes.clear()
        self._voted.clear()

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        return {
            "seats": {account: self.chambers[account] for account in sorted(self.seats)},
            "proposals": {
                str(number): {
                    "proposer": found.proposer,
                    "calls": [
                        {"target": target, "value": str(value), "data": hexed(data)}
                        for target, value, data in found.calls
                    ],
                    "objections": self.objections(found),
                    "votes": {
                        name: str(found.tally[at])
                        for at, name in enumerate(("against", "for", "abstain"))
                    },
                    "rejected": found.rejected,
                    "cancelled": found.cancelled,
                    "eta": found.eta,
                    "executed": found.executed,
                }
                for number, found in sorted(self.proposals.items())
            },
        }

    # ------------------------------------------------------------------ a proposal's life

    def _created(self, event: Event) -> None:
        args, now = event.args, self.journal.now
        number, text = args["proposalId"], keccak(text=args["description"])
        calls = tuple(zip(args["targets"], args["values"], args["calldatas"], strict=False))
        seating = abi("MedGovernor").selector("setSeat")
        about_seats = all(to == self.address and data[:4] == seating for to, _, data in calls)
        start, end = args["voteStart"], args["voteEnd"]
        made = Proposal(args["proposer"], calls, text, now, start, end, about_seats)
        kinds = ["address[]", "uint256[]", "bytes[]", "bytes32"]
        named = int.from_bytes(keccak(encode(kinds, [*made.terms(), text])))
        self._expect("the number of a proposal", named, number)
        unused = [""] * len(args["targets"])
        self._expect(f"the signatures of {number}, which are unused", unused, args["signatures"])
        self._expect(
            f"the ends of gate and vote of proposal {number}",
            (now + self.delay, now + self.delay + self.period),
            (start, end),
        )
        self._require(number not in self.proposals, f"proposal {number} was made twice")
        self._require(
            self.weight(made.proposer, made.snapshot) >= self.threshold,
            f"{made.proposer}, who proposed {number}, has not enough votes for it",
        )
        self.proposals[number] = made

    def _objection(self, event: Event) -> None:
        number, seat = event.args["proposalId"], event.args["seat"]
        found = self._find(number)
        if found is None:
            return
        self._require(seat in self.seats, f"{seat}, who objected to {number}, has no seat")
        again = seat in found.objected
        found.objected.add(seat)
        weight = self.objections(found)
        # Who objects again has them counted anew, and is heard when that rejects.
        self._require(
            self._is_pending(found)
            and not found.about_seats
            and (not again or weight > rules.BPS // 2),
            f"{seat} objected to {number} twice, too late, or where the council has no say",
        )
        self._expect(f"the objections to {number}, bps", weight, event.args["weight"])
        if weight > rules.BPS // 2:
            self._rejections.append(number)

    def _canceled(self, event: Event) -> None:
        number = event.args["proposalId"]
        found = self._find(number)
        if found is None:
            return
        if number in self._rejections:
            self._rejections.remove(number)
            found.rejected = True
            return
        self._require(self._is_pending(found), f"{number} was cancelled after its gate had closed")
        found.cancelled = True

    def _vote(self, event: Event) -> None:
        args = event.args
        number, voter = args["proposalId"], args["voter"]
        found = self._find(number)
        if found is None:
            return
        self._require(
            not found.rejected
            and not found.cancelled
            and voter not in found.voters
            and not self.journal.before(found.gate_end + 1)
            and self.journal.before(found.vote_end + 1),
            f"{voter} voted on {number} twice, or at another time than that of its vote",
        )
        weight = self.weight(voter, found.snapshot)
        self._expect(f"the weight of {voter} on {number}", weight, args["weight"])
        found.voters.add(voter)
        if self._require(args["support"] in (AGAINST, FOR, ABSTAIN), f"{voter} said no such thing"):
            found.tally[args["support"]] += weight

    def _queued(self, event: Event) -> None:
        number = event.args["proposalId"]
        found = self._find(number)
        if found is None:
            return
        self._require(
            not found.rejected
            and not found.cancelled
            and not found.eta
            and not self.journal.before(found.vote_end + 1)
            and self.carried(found),
            f"{number} was queued without having been carried",
        )
        # The timelock's id of a batch: with the governor's own address in its salt.
        own = int.from_bytes(bytes.fromhex(event.address[2:]) + bytes(12))
        salt = (own ^ int.from_bytes(found.description)).to_bytes(32)
        kinds = ["address[]", "uint256[]", "bytes[]", "bytes32", "bytes32"]
        found.operation = keccak(encode(kinds, [*found.terms(), bytes(32), salt]))
        found.eta = event.args["etaSeconds"]
        self._voted.add(found.operation)
        operation = self.timelock.operations.get(found.operation)
        self._expect(
            f"the calls of {number} in the timelock, and from when it may run",
            (dict(enumerate(found.calls)), found.eta),
            operation and (operation.calls, operation.ready_at),
        )

    def _executed(self, event: Event) -> None:
        number = event.args["proposalId"]
        found = self._find(number)
        if found is None:
            return
        operation = self.timelock.operations.get(found.operation)
        self._require(
            not found.executed and operation is not None and operation.done,
            f"{number} was executed twice, or without the timelock",
        )
        found.executed = True
        own = [data for target, _, data in found.calls if target == self.address]
        self.calls.run(own, own_functions())

    def _nonce(self, event: Event) -> None:
        account, nonce = event.args["account"], event.args["nonce"]
        self._expect(f"the nonce of {account}'s ballot", self.nonces[account], nonce)
        self.nonces[account] += 1

    # ------------------------------------------------------------------ its rules

    def _seat(self, event: Event) -> None:
        self._set(event)
        account, previous, current = (event.args[k] for k in ("account", "previous", "current"))
        self._expect(f"the chamber of {account}", self.chambers.get(account, 0), previous)
        self._require(
            current in (0, *rules.CHAMBERS) and current != previous and account != ZERO_ADDRESS,
            f"{account} was seated in no chamber",
        )
        if account not in self.seats:
            self.seats.append(account)
        elif current == 0:
            # The last one takes the place of the one that leaves.
            self.seats[self.seats.index(account)] = self.seats[-1]
            self.seats.pop()
        self.chambers[account] = current
        self.most_seats = max(self.most_seats, len(self.seats))
        self._require(len(self.seats) <= rules.SEATS, "there are more seats than there may be")

    def _delay(self, event: Event) -> None:
        self._set(event)
        before, after = event.args["oldVotingDelay"], event.args["newVotingDelay"]
        self._expect("the council's time, which never changes", (0, 0), (self.delay, before))
        self._require(after >= rules.GATE, "the council has too little time")
        self.delay = after

    def _period(self, event: Event) -> None:
        self._set(event)
        before, after = event.args["oldVotingPeriod"], event.args["newVotingPeriod"]
        self._require(
            rules.within(after, rules.PERIODS), f"the vote's time: {after} is out of bounds"
        )
        self._expect("the vote's time, as it was", self.period, before)
        self.period = after

    def _threshold(self, event: Event) -> None:
        self._set(event)
        before, after = event.args["oldProposalThreshold"], event.args["newProposalThreshold"]
        self._require(
            rules.within(after, rules.THRESHOLDS),
            f"the votes of a proposer: {after} is out of bounds",
        )
        self._expect("the votes of a proposer, as they were", self.threshold, before)
        self.threshold = after

    def _timelock(self, event: Event) -> None:
        self._set(event)
        before, after = event.args["oldTimelock"], event.args["newTimelock"]
        was = ZERO_ADDRESS if event.tx == self._born else self.obeyed
        self._expect("the timelock that the governor uses", (was, self.obeyed), (before, after))

    def _divisor(self, event: Event) -> None:
        self._govern(event, self.divisors, rules.DIVISORS, "DCT to a contribution")

    def _share(self, event: Event) -> None:
        self._govern(event, self.quorum_shares, rules.QUORUM_SHARES, "the quorum, bps")

    def _govern(
        self, event: Event, values: dict[int, int], bounds: tuple[int, int], what: str
    ) -> None:
        self._set(event)
        before, after = event.args["previous"], event.args["current"]
        self._expect(f"{what}, as it was", next(reversed(values.values()), 0), before)
        self._require(rules.within(after, bounds), f"{what}: {after} is out of bounds")
        values[self.journal.now if values else 0] = after

    # ------------------------------------------------------------------ internal

    def _set(self, event: Event) -> None:
        if self._born is None:
            self._born = event.tx
        if event.tx != self._born:
            self._changes.add(event.event)

    def _find(self, number: int) -> Proposal | None:
        found = self.proposals.get(number)
        self._require(found is not None, f"nobody has made the proposal {number}")
        return found

    def _is_pending(self, found: Proposal) -> bool:
        closed = found.rejected or found.cancelled
        return not closed and self.journal.before(found.gate_end + 1)

    def _weigh(self, gt: int, dct: int, moment: int) -> int:
        return rules.votes(gt, dct, _at(self.divisors, moment))

    def _expect(self, text: str, expected: Any, actual: Any) -> bool:
        return self.journal.expect(7, "R28", text, expected, actual)

    def _require(self, condition: bool, text: str) -> bool:
        return self.journal.require(condition, 7, "R28", text)

    handlers: ClassVar[Mapping[str, Handler]] = {
        "ProposalCreated": _created,
        "ProposalObjected": _objection,
        "ProposalCanceled": _canceled,
        "VoteCast": _vote,
        "VoteCastWithParams": _vote,
        "ProposalQueued": _queued,
        "ProposalExecuted": _executed,
        "NonceUsed": _nonce,
        "SeatSet": _seat,
        "VotingDelaySet": _delay,
        "VotingPeriodSet": _period,
        "ProposalThresholdSet": _threshold,
        "TimelockChange": _timelock,
        "ContributionDivisorSet": _divisor,
        "QuorumShareSet": _share,
    }
    silent = frozenset({"EIP712DomainChanged"})


def _at(values: dict[int, int], moment: int) -> int:
    """The value that held at a time; zero before the first."""
    return next((values[since] for since in reversed(values) if since <= moment), 0)

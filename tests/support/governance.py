"""The suite after its operator has handed the timelock to the governor (R28), and people with votes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from eth_utils import keccak

from medtoken import artifacts
from medtoken.deploy.handover import handover_calls
from medtoken.deploy.plan import governor_step, resolve
from support.evm import Contract, Reverted
from support.world import DUT, NONE, Actor, World

USERS, INSTITUTIONS, TECHNICAL = 1, 2, 3
AGAINST, FOR, ABSTAIN = 0, 1, 2
PENDING, ACTIVE, CANCELED, DEFEATED, SUCCEEDED, QUEUED, _, EXECUTED = range(8)

Call = tuple[str, bytes]


class Governed(World):
    """Five seats in each chamber; votes of a custodian's GT and of three holders of DCT."""

    def __init__(self) -> None:
        super().__init__()
        self.seats = {
            chamber: [Actor(f"seat {chamber}.{n}") for n in range(5)]
            for chamber in (USERS, INSTITUTIONS, TECHNICAL)
        }
        listed = [(str(who), chamber) for chamber, held in self.seats.items() for who in held]
        addresses = {name: contract.address for name, contract in self.suite.items()}
        step = governor_step(self.params, listed)
        args = resolve(step.args, addresses)
        self.governor = self.evm.deploy(step.name, *args, sender=self.people.deployer)
        self.hand_over()
        p = self.people
        self.faucet = Actor("faucet")
        # In weights: 600, 50, 100, 200.
        self.mint(self.gt, p.custodian, 400 * DUT)
        self.mint(self.dct, p.patient, 10_000 * DUT)
        self.mint(self.dct, p.other_patient, 20_000 * DUT)
        self.mint(self.dct, p.annotator, 40_000 * DUT)
        self.evm.warp(1)

    def hand_over(self) -> None:
        """Let the timelock take the governor for the operator, as the package does it."""
        calls = handover_calls(self.timelock.address, self.governor.address, self.people.operator)
        targets, data = [to for to, _ in calls], [data for _, data in calls]
        batch = (targets, [0] * len(calls), data, NONE, self.fresh("salt"))
        self.timelock.scheduleBatch(*batch, 0, sender=self.people.operator)
        self.timelock.executeBatch(*batch, sender=self.people.stranger)

    def mint(self, token: Contract, who: str, amount: int) -> None:
        """Give votes, as if the faucet were the contract that mints the token."""
        layout = artifacts.load(token.name)["storageLayout"]["storage"]
        slot = next(int(entry["slot"]) for entry in layout if entry["label"] == "minter")
        with self.evm.stored(token.address, slot, int(self.faucet, 16)):
            token.mint(who, amount, sender=self.faucet)

    # ------------------------------------------------------------- proposals

    def raising(self, share: int = 4_000) -> list[Call]:
        """The calls of a proposal that changes the treasury's burn share."""
        return [(self.treasury.address, self.treasury.abi.call("set_burn_share", share))]

    def seating(self, *changes: tuple[str, int]) -> list[Call]:
        """The calls of a proposal that sets seats."""
        governor = self.governor
        return [(governor.address, governor.abi.call("setSeat", *change)) for change in changes]

    def terms(self, calls: Sequence[Call], description: str) -> tuple[Any, ...]:
        """What names a proposal in ``queue``, ``execute`` and ``cancel``."""
        targets, data = [to for to, _ in calls], [data for _, data in calls]
        return targets, [0] * len(calls), data, keccak(text=description)

    def propose(
        self, calls: Sequence[Call] | None = None, text: str = "text", *, by: str | None = None
    ) -> int:
        *terms, _ = self.terms(calls or self.raising(), text)
        return int(self.governor.propose(*terms, text, sender=by or self.people.patient))

    def pass_gate(self) -> None:
        self.evm.warp(int(self.governor.votingDelay()) + 1)

    def end_vote(self) -> None:
        self.evm.warp(int(self.governor.votingPeriod()) + 1)

    def vote(self, proposal: int, votes: Mapping[str, int]) -> None:
        for who, support in votes.items():
            self.governor.castVote(proposal, support, sender=who)

    def queue(self, calls: Sequence[Call] | None = None, text: str = "text") -> None:
        self.governor.queue(*self.terms(calls or self.raising(), text), sender=self.people.stranger)
        self.evm.warp(self.params.timelock_delay + 1)

    def execute(self, calls: Sequence[Call] | None = None, text: str = "text") -> None:
        self.governor.execute(
            *self.terms(calls or self.raising(), text), sender=self.people.stranger
        )

    def carry(self, calls: Sequence[Call], text: str = "text") -> int:
        """Bring a proposal through its whole life, by the custodian's votes."""
        proposal = self.propose(calls, text)
        self.pass_gate()
        self.vote(proposal, {self.people.custodian: FOR})
        self.end_vote()
        self.queue(calls, text)
        self.execute(calls, text)
        return proposal

    def state(self, proposal: int) -> int:
        return int(self.governor.state(proposal))

    def object(self, proposal: int, *seats: str) -> int:
        """The weight of the objections after these."""
        weight = 0
        for seat in seats:
            weight = int(self.governor.object(proposal, sender=seat))
        return weight


@contextmanager
def refuses(error: str, *args: Any) -> Iterator[None]:
    """The call inside reverts with this error of OpenZeppelin's, whose first arguments are these."""
    with pytest.raises(Reverted) as caught:
        yield
    assert str(caught.value).startswith(f"{error}({', '.join(str(a) for a in args)}")

"""R28: after the handover nothing holds that no vote has carried, and a look at the chain tells so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
from eth_utils import to_checksum_address
from support.declared import Declared, declared
from support.evm import Contract
from support.governance import FOR, Governed
from support.recording import EvmChain
from support.world import DAY, NONE, Actor

from medtoken import artifacts
from medtoken.chain.node import Node, Receipt
from medtoken.deploy.handover import check_handover, hand_over, handover_calls
from medtoken.deploy.plan import GOVERNOR, Chamber
from medtoken.deploy.record import Deployment
from medtoken.deploy.roles import CANCELLER, PROPOSER, Role
from medtoken.deploy.verify import Deviation
from medtoken.errors import BadInput, DeploymentError


@dataclass
class Wallet:
    """Who sends."""

    address: str


class Sending(EvmChain):
    """The chain as a node that also sends."""

    def call(self, to: str, data: bytes, block: int | None = None) -> bytes:
        return super().call(to, data, self.head().number)

    def send(self, wallet: Wallet, to: str | None, data: bytes, *, key: str) -> Receipt:
        made = None
        if to is None:
            made = str(to_checksum_address(self.evm.create(data, wallet.address)))
        else:
            self.evm.transact(wallet.address, to, data)
        return Receipt(bytes(32), self.head().number, 0, made, ())


class Handover:
    """The operator's suite, and the record as the handover keeps it."""

    def __init__(self, at: Declared) -> None:
        self.at, self.world = at, at.world
        self.timelock = at.world.timelock
        self.node = cast(Node, Sending(at.world.evm))
        self.record: Deployment = at.deployment
        self.operator = at.world.people.operator

    def take(self, *seats: Any, **rules: int) -> str:
        """The next step of it."""
        params = replace(self.world.params, governor={**self.world.params.governor, **rules})
        wallet = cast(Any, Wallet(self.operator))
        self.record, said = hand_over(
            self.node, wallet, self.record, params, seats, save=self._save
        )
        return said

    def _save(self, record: Deployment) -> None:
        self.record = record

    def schedule(self, function: str, *args: Any, delay: int = 0) -> bytes:
        """A call of the manager that the operator schedules; its id."""
        manager = self.world.manager
        data = manager.abi.call(function, *args)
        terms = (manager.address, 0, data, NONE, self.world.fresh("salt"))
        self.timelock.schedule(*terms, delay, sender=self.operator)
        return bytes(self.timelock.hashOperation(*terms))

    def seize(self, delay: int = 0) -> bytes:
        """A stranger would rule."""
        return self.schedule(
            "grantRole", int(Role.ADMIN), self.world.people.stranger, 0, delay=delay
        )

    def in_spite(self) -> None:
        """The calls of the handover, by whoever does not use the package for it."""
        calls = handover_calls(self.timelock.address, self.record.address(GOVERNOR), self.operator)
        for to, data in calls[:1] + calls[2:] + calls[1:2]:
            self.world.timelock_call(to, data)

    def deviations(self) -> list[Deviation]:
        return list(replace(self.at, deployment=self.record).verify().deviations)


@pytest.fixture(scope="module")
def _declared() -> Declared:
    return declared()


@pytest.fixture
def h(_declared: Declared) -> Iterator[Handover]:
    with _declared.world.evm.anchor():
        yield Handover(_declared)


def slow(h: Handover) -> None:
    h.world.as_timelock(h.timelock, "updateDelay", DAY)


DONE = "The governor alone proposes to the timelock."


def test_what_was_scheduled_before_is_not_handed_over(h: Handover) -> None:
    waits = h.seize(delay=DAY)
    with pytest.raises(DeploymentError, match=f"0x{waits.hex()} waits in the timelock"):
        h.take()
    assert GOVERNOR not in h.record.contracts
    h.timelock.cancel(waits, sender=h.operator)
    assert h.take() == DONE
    assert h.deviations() == []


def test_what_is_scheduled_beside_the_handover_stops_it(h: Handover) -> None:
    slow(h)
    assert h.take().startswith("The handover is scheduled")
    waits = h.seize(delay=3 * DAY)
    with pytest.raises(DeploymentError, match=f"0x{waits.hex()} waits in the timelock"):
        h.take()
    h.world.evm.warp(DAY)
    with pytest.raises(DeploymentError, match=f"0x{waits.hex()} waits in the timelock"):
        h.take()
    assert h.timelock.hasRole(PROPOSER, h.operator)
    h.timelock.cancel(waits, sender=h.operator)
    assert h.take() == DONE


def test_what_survives_a_handover_by_hand_is_told(h: Handover) -> None:
    slow(h)
    h.take()
    # The same calls in other operations, and behind their back one that gives a stranger everything.
    h.world.params, quick = replace(h.world.params, timelock_delay=DAY), h.world.params
    waits = h.seize(delay=30 * DAY)
    h.in_spite()
    h.world.params = quick
    with pytest.raises(DeploymentError, match="waits in the timelock, and no vote has carried it"):
        check_handover(h.node, h.record)
    texts = [d.text for d in h.deviations() if d.text.startswith("Operation")]
    assert (
        f"Operation 0x{waits.hex()} waits in the timelock, and no vote has carried it; nobody can "
        "cancel it."
    ) in texts
    assert len(texts) == 2  # and the handover that was scheduled first


@pytest.mark.parametrize(("role", "does"), [(PROPOSER, "proposes to"), (CANCELLER, "cancels in")])
def test_nobody_else_has_a_role_of_the_timelock(h: Handover, role: bytes, does: str) -> None:
    stranger = h.world.people.stranger
    h.world.as_timelock(h.timelock, "grantRole", role, stranger)
    with pytest.raises(DeploymentError, match=f"{stranger} {does} the timelock too"):
        h.take()
    h.world.as_timelock(h.timelock, "revokeRole", role, stranger)
    slow(h)
    h.take()
    h.world.params, quick = replace(h.world.params, timelock_delay=DAY), h.world.params
    h.world.as_timelock(h.timelock, "grantRole", role, stranger)
    h.in_spite()
    h.world.params = quick
    with pytest.raises(DeploymentError, match=f"{stranger} has a role of the timelock"):
        check_handover(h.node, h.record)


def test_a_governor_that_does_not_propose_is_told(h: Handover) -> None:
    slow(h)
    h.take()
    with pytest.raises(DeploymentError, match=" (has|lacks) a role of the timelock"):
        check_handover(h.node, h.record)


def test_the_second_run_names_the_same_rules_and_seats(h: Handover) -> None:
    slow(h)
    seat = (str(Actor("seat")), Chamber.USERS)
    h.take(seat)
    for seats, rules in (((), {}), ((seat,), {"quorumShare": 500})):
        with pytest.raises(BadInput, match="made with other rules or other seats"):
            h.take(*seats, **rules)
    h.world.evm.warp(DAY)
    assert h.take(seat) == DONE


# ------------------------------------------------------------------ under the governor


@pytest.fixture(scope="module")
def _governed() -> Declared:
    return declared(Governed)


@pytest.fixture
def ruled(_governed: Declared) -> Iterator[tuple[Declared, Governed]]:
    assert isinstance(_governed.world, Governed)
    with _governed.world.evm.anchor():
        yield _governed, _governed.world


def test_what_was_voted_on_may_wait(ruled: tuple[Declared, Governed]) -> None:
    at, g = ruled
    found = at.verify()
    assert (found.deviations, found.timelock_delay) == ((), 0)
    assert found.rules == g.params.governor
    proposal = g.propose()
    g.pass_gate()
    g.vote(proposal, {g.people.custodian: FOR})
    g.end_vote()
    g.queue()
    assert at.verify().deviations == ()
    check_handover(cast(Node, Sending(g.evm)), at.deployment)


def test_a_governor_of_another_timelock_is_told(ruled: tuple[Declared, Governed]) -> None:
    at, g = ruled
    zero = "0x" + "00" * 20
    other: Contract = g.evm.deploy(
        "TimelockController", 0, [], [zero], zero, sender=g.people.stranger
    )
    update = g.governor.abi.call("updateTimelock", other.address)
    g.carry([(g.governor.address, update)])
    assert [(d.kind, d.text) for d in at.verify().deviations] == [
        (
            "governor",
            f"The governor obeys the timelock {other.address}, not {g.timelock.address}.",
        )
    ]
    held = at.powers().of(GOVERNOR, "setSeat").holders
    assert [h.address for h in held] == [other.address]


def test_a_rule_out_of_its_bounds_is_told(ruled: tuple[Declared, Governed]) -> None:
    at, g = ruled
    layout = artifacts.load(GOVERNOR)["storageLayout"]["storage"]
    slot = next(int(e["slot"]) for e in layout if e["label"] == "_proposalThreshold")
    with g.evm.stored(g.governor.address, slot, 10**24):
        assert [d.text for d in at.verify().deviations] == [
            f"The governor's threshold is {10**24}, not within 1 and {10**23}."
        ]

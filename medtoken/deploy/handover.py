"""Handing the timelock over to the governor (R28): from then on votes propose to it, and nobody else.

A suite may start with an operator who proposes to the timelock, for there are no votes on the first day.
The operator's last proposal makes the governor the one proposer and takes the operator's own power.
Afterwards nothing that was queued can be cancelled, by anybody. So whatever else waits in the timelock
is executed or cancelled before: it would be law that no vote has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from medtoken._keccak import keccak
from medtoken.chain.abi import abi
from medtoken.chain.node import Node, Signer
from medtoken.deploy.execute import create, plain
from medtoken.deploy.plan import GOVERNOR, Params, governor_step, resolve
from medtoken.deploy.record import Deployment
from medtoken.deploy.roles import CANCELLER, PROPOSER
from medtoken.deploy.timelock import TIMELOCK, Waiting
from medtoken.errors import BadInput, DeploymentError

_NONE = bytes(32)


def handover_calls(timelock: str, governor: str, operator: str) -> list[tuple[str, bytes]]:
    """The calls of the operator's last proposal: target and data."""
    encode = abi(TIMELOCK).call
    return [
        (timelock, encode("grantRole", PROPOSER, governor)),
        (timelock, encode("revokeRole", PROPOSER, operator)),
        (timelock, encode("revokeRole", CANCELLER, operator)),
    ]


def hand_over(
    node: Node,
    wallet: Signer,
    deployment: Deployment,
    params: Params,
    seats: Sequence[tuple[str, int]],
    *,
    save: Callable[[Deployment], None],
) -> tuple[Deployment, str]:
    """Take the next step of the handover; returns the record and what is so now, as a sentence.

    The wallet is the operator's. Run it again at any time: it goes on from what the chain says. ``save`` is
    called as soon as the governor stands, so that there is only one. Raises DeploymentError while anything
    else waits in the timelock or anybody else has a role of it, BadInput when the governor was made with
    other rules or seats.
    """
    timelock = deployment.address(TIMELOCK)

    def ask(function: str, *args: Any) -> Any:
        data = node.call(timelock, abi(TIMELOCK).call(function, *args))
        return abi(TIMELOCK).result(function, data)

    def send(function: str, *args: Any) -> None:
        node.send(wallet, timelock, abi(TIMELOCK).call(function, *args), key=f"handover:{function}")

    def must_propose() -> None:
        if not ask("hasRole", PROPOSER, wallet.address):
            raise DeploymentError(f"{wallet.address} does not propose to the timelock.")

    def must_be_alone(*own: bytes) -> None:
        waiting = Waiting(node, deployment, node.head().number)
        _nothing_waits(waiting.operations(), own)
        for role, does in ((PROPOSER, "proposes to"), (CANCELLER, "cancels in")):
            for who in waiting.holders(role):
                if who != wallet.address:
                    raise DeploymentError(
                        f"{who} {does} the timelock too; take that away before the handover."
                    )

    addresses = {name: c.address for name, c in deployment.contracts.items()}
    step = governor_step(params, seats)
    if GOVERNOR in deployment.contracts:
        if deployment.contracts[GOVERNOR].constructor != plain(resolve(step.args, addresses)):
            raise BadInput(
                "The governor was made with other rules or other seats; name the same ones again."
            )
    else:
        must_propose()
        must_be_alone()
        made = create(node, wallet, step, addresses, "handover:governor")
        deployment = replace(deployment, contracts=deployment.contracts | {GOVERNOR: made})
        save(deployment)
    governor = deployment.address(GOVERNOR)
    calls = handover_calls(timelock, governor, wallet.address)
    # The governor's address makes it this handover's own.
    salt = keccak(text=f"handover:{governor}")
    batch = ([to for to, _ in calls], [0] * len(calls), [data for _, data in calls], _NONE, salt)
    operation = ask("hashOperationBatch", *batch)
    if not ask("isOperation", operation):
        must_propose()
        must_be_alone()
        send("scheduleBatch", *batch, ask("getMinDelay"))
    if not ask("isOperationDone", operation):
        must_be_alone(operation)  # something may have been scheduled since
        if not ask("isOperationReady", operation):
            due = ask("getTimestamp", operation)
            return deployment, f"The handover is scheduled; run this again after unix time {due}."
        send("executeBatch", *batch)
    check_handover(node, deployment)
    return deployment, "The governor alone proposes to the timelock."


def check_handover(node: Node, deployment: Deployment) -> None:
    """Check who may propose and cancel, and that nothing waits but what was voted on.

    Raises DeploymentError when anybody but the governor has a power, or something else waits.
    """
    governor = deployment.address(GOVERNOR)
    waiting = Waiting(node, deployment, node.head().number)
    for role, wanted in ((PROPOSER, {governor}), (CANCELLER, set[str]())):
        held = set(waiting.holders(role))
        for holder in sorted(held ^ wanted):
            state = "lacks" if holder in wanted else "has"
            raise DeploymentError(f"{holder} {state} a role of the timelock after the handover.")
    _nothing_waits(waiting.unexplained(), ())


def _nothing_waits(operations: Sequence[bytes], own: Sequence[bytes]) -> None:
    for operation in operations:
        if operation not in own:
            raise DeploymentError(
                f"Operation 0x{operation.hex()} waits in the timelock, and no vote has carried it. "
                "After the handover nobody can cancel it: execute or cancel it before."
            )

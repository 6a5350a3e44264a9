"""Handing the timelock over to the governor (R28): from then on votes propose to it, and nobody else.

A suite may start with an operator who proposes to the timelock, for there are no votes on the first day.
The operator's last proposal makes the governor the one proposer and takes the operator's own power.
Afterwards nothing that was queued can be cancelled, by anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from medtoken._keccak import keccak
from medtoken.chain.abi import abi
from medtoken.chain.node import Node, Signer
from medtoken.deploy.execute import create
from medtoken.deploy.plan import GOVERNOR, Params, governor_step
from medtoken.deploy.record import Deployment
from medtoken.deploy.roles import CANCELLER, PROPOSER
from medtoken.errors import DeploymentError

TIMELOCK = "TimelockController"
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
    called as soon as the governor stands, so that there is only one.
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

    if GOVERNOR not in deployment.contracts:
        must_propose()
        addresses = {name: c.address for name, c in deployment.contracts.items()}
        made = create(node, wallet, governor_step(params, seats), addresses, "handover:governor")
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
        send("scheduleBatch", *batch, ask("getMinDelay"))
    if not ask("isOperationDone", operation):
        if not ask("isOperationReady", operation):
            due = ask("getTimestamp", operation)
            return deployment, f"The handover is scheduled; run this again after unix time {due}."
        send("executeBatch", *batch)
    check_handover(node, deployment, wallet.address)
    return deployment, "The governor alone proposes to the timelock."


def check_handover(node: Node, deployment: Deployment, operator: str) -> None:
    """Check who may propose and cancel. Raises DeploymentError when the operator still has a power."""
    timelock, governor = deployment.address(TIMELOCK), deployment.address(GOVERNOR)
    for role, holder, wanted in (
        (PROPOSER, governor, True),
        (CANCELLER, governor, False),
        (PROPOSER, operator, False),
        (CANCELLER, operator, False),
    ):
        data = node.call(timelock, abi(TIMELOCK).call("hasRole", role, holder))
        if abi(TIMELOCK).result("hasRole", data) is not wanted:
            state = "lacks" if wanted else "still has"
            raise DeploymentError(f"{holder} {state} a role of the timelock after the handover.")

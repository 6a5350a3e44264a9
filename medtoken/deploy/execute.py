"""Carrying out a deployment plan on a real chain: resumable, never deploying twice.

Every transaction is named by its place in the plan and goes through the outbox, so a run that is
killed anywhere and started again takes up the same transactions. It ends by checking what it made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from eth_utils import to_checksum_address

from medtoken import artifacts
from medtoken.chain.abi import abi
from medtoken.chain.node import Node, Receipt, Signer
from medtoken.deploy.plan import Call, Create, Params, Step, build_plan, resolve
from medtoken.deploy.record import DeployedContract, Deployment, integrity
from medtoken.deploy.verify import PROXY, verify
from medtoken.errors import DeploymentError

Progress = Callable[[str], None]


def deploy(
    node: Node,
    wallet: Signer,
    params: Params,
    *,
    network: str,
    progress: Progress = lambda line: None,
) -> Deployment:
    """Deploy the suite and return its record; the wallet ends without any power.

    Raises DeploymentDeviates when what stands on the chain in the end is not what was planned. With a
    node that has an outbox, run it again after a crash: it continues.
    """
    plan = build_plan(params, wallet.address)
    # Other parameters or other code are another deployment, and so is another deployer.
    name = f"deploy:{network}:{_digest(plan)}"
    addresses: dict[str, str] = {}
    contracts: dict[str, DeployedContract] = {}
    for number, step in enumerate(plan, 1):
        key = f"{name}:{number}"
        progress(f"[{number}/{len(plan)}] {step.text()}")
        if isinstance(step, Create):
            contracts[step.name] = create(node, wallet, step, addresses, key)
        elif isinstance(step, Call):
            data = abi(step.contract).call(step.function, *resolve(step.args, addresses))
            node.send(wallet, addresses[step.contract], data, key=key)
    people = {"platform": params.platform, **params.people}
    if params.operator is not None:
        people["operator"] = params.operator
    offices = {name: str(to_checksum_address(who)) for name, who in people.items()}
    deployment = Deployment(node.chain_id, network, wallet.address, contracts, offices)
    verify(node, deployment).require()
    return deployment


def create(
    node: Node, wallet: Signer, step: Create, addresses: dict[str, str], key: str
) -> DeployedContract:
    """Carry out one step that creates a contract, and note its address in ``addresses``."""
    args = resolve(step.args, addresses)
    made = _send_creation(node, wallet, step.name, args, key)
    address, initialize, logic = _created(made), None, None
    receipt = made
    if step.proxied:
        logic = address
        initialize = resolve(step.initialize, addresses)
        data = abi(step.name).call("initialize", *initialize)
        owner = addresses["TimelockController"]
        receipt = _send_creation(node, wallet, PROXY, (logic, owner, data), f"{key}:proxy")
        address = _created(receipt)
    addresses[step.name] = address
    artifact = artifacts.load(step.name)
    return DeployedContract(
        name=step.name,
        address=address,
        proxy=step.proxied,
        implementation=logic,
        block=receipt.block,
        tx="0x" + receipt.tx.hex(),
        implementation_tx="0x" + made.tx.hex() if step.proxied else None,
        constructor=plain(args),
        initialize=plain(initialize) if initialize is not None else None,
        compiler={**artifact["compiler"], "settings": artifact["settings"]},
        integrity=integrity(step.name),
    )


def _send_creation(
    node: Node, wallet: Signer, name: str, args: tuple[Any, ...], key: str
) -> Receipt:
    code = bytes.fromhex(artifacts.load(name)["bytecode"].removeprefix("0x"))
    return node.send(wallet, None, code + abi(name).construct(*args), key=key)


def _digest(plan: list[Step]) -> str:
    codes = [integrity(step.name) for step in plan if isinstance(step, Create)]
    return hashlib.sha256(repr((plan, codes, integrity(PROXY))).encode()).hexdigest()


def _created(receipt: Receipt) -> str:
    if receipt.contract is None:
        raise DeploymentError(f"Transaction 0x{receipt.tx.hex()} created no contract.")
    return receipt.contract


def plain(value: Any) -> Any:
    """Arguments as JSON: bytes as hex, big numbers as text."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value]

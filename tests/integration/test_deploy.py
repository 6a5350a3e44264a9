"""Deploying: killed anywhere and run again it makes one suite, and it checks what it made."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.live import Chain, kill_after_line, medtoken, places

from medtoken.chain.abi import abi
from medtoken.chain.contracts import Suite
from medtoken.chain.devnet import anvil, dev_wallet
from medtoken.chain.node import Node
from medtoken.deploy.execute import deploy
from medtoken.deploy.plan import PEOPLE, Create, Params, build_plan, load_params
from medtoken.deploy.record import Deployment
from medtoken.deploy.roles import Role
from medtoken.deploy.verify import verify
from medtoken.errors import DeploymentDeviates, DeploymentError, WrongChain
from medtoken.home import Home


@pytest.fixture(scope="module")
def _empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with anvil() as node:
        yield node


@pytest.fixture
def empty(_empty: Node) -> Iterator[Node]:
    """A chain on which nothing was deployed."""
    mark = _empty.rpc("evm_snapshot")
    yield _empty
    assert _empty.rpc("evm_revert", mark)


@pytest.fixture
def params() -> Params:
    operator = dev_wallet(1).address
    return load_params(
        "devnet",
        operator=operator,
        platform=dev_wallet(2).address,
        people=dict.fromkeys(PEOPLE, operator),
    )


def transactions(params: Params) -> int:
    """How many the plan takes: a proxy is one more."""
    plan = build_plan(params, dev_wallet(0).address)
    return len(plan) + sum(1 for step in plan if isinstance(step, Create) and step.proxied)


def sent(node: Node) -> int:
    address = dev_wallet(0).address
    return int(node.rpc("eth_getTransactionCount", address, "latest"), 16)


# ------------------------------------------------------------------ resuming


def arguments(node: Node, home: Path) -> list[str]:
    operator = dev_wallet(1).address
    return [
        "deploy", "--rpc", node.url, "--home", str(home), "--as", "deployer", "--json",
        "--operator", operator, "--platform", dev_wallet(2).address,
        *(word for name in PEOPLE for word in ("--office", f"{name}={operator}")),
    ]  # fmt: skip


def killed_and_finished(node: Node, folder: Path, lines: list[int]) -> Deployment:
    """Killed as soon as it says its n-th line, for each of ``lines``; then run to the end."""
    Home(folder).keep_wallet("deployer", dev_wallet(0))
    for line in lines:
        assert kill_after_line(line, *arguments(node, folder))
        assert not Home(folder).deployment(node.chain_id).exists()
    done = medtoken(*arguments(node, folder)).ok()
    return Deployment.load(done["deployment"])


def undisturbed(node: Node, params: Params) -> Deployment:
    return deploy(Node.connect(node.url), dev_wallet(0), params, network="devnet")


def what_stands(deployment: Deployment) -> list[tuple[object, ...]]:
    return [
        (c.name, c.address, c.implementation, c.constructor, c.initialize, c.integrity)
        for c in deployment.contracts.values()
    ]


def assert_killed_or_not_is_the_same(
    node: Node, params: Params, folder: Path, lines: list[int]
) -> None:
    mark = node.rpc("evm_snapshot")
    killed = killed_and_finished(node, folder, lines)
    assert sent(node) == transactions(params)
    verify(node, killed).require()
    height = node.head().number
    assert node.rpc("evm_revert", mark)
    whole = undisturbed(node, params)
    assert what_stands(killed) == what_stands(whole)
    assert height == node.head().number


def test_killed_between_transactions_it_deploys_nothing_twice(
    empty: Node, params: Params, tmp_path: Path
) -> None:
    assert_killed_or_not_is_the_same(empty, params, tmp_path / "home", [1, 8, 40])


@pytest.mark.slow
@pytest.mark.parametrize("line", places(45, 15))
def test_killed_at_any_step_it_deploys_nothing_twice(
    empty: Node, params: Params, tmp_path: Path, line: int
) -> None:
    assert_killed_or_not_is_the_same(empty, params, tmp_path / "home", [line])


def test_run_again_after_its_end_it_sends_nothing(
    empty: Node, params: Params, tmp_path: Path
) -> None:
    line = Node.connect(empty.url, outbox=Home(tmp_path).outbox)
    first = deploy(line, dev_wallet(0), params, network="devnet")
    height = empty.head().number
    assert deploy(line, dev_wallet(0), params, network="devnet") == first
    assert empty.head().number == height


@pytest.mark.parametrize("change", [{"cap": 10**24}, {"operator": dev_wallet(5).address}])
def test_other_parameters_are_another_deployment(
    empty: Node, params: Params, tmp_path: Path, change: dict[str, object]
) -> None:
    line = Node.connect(empty.url, outbox=Home(tmp_path).outbox)
    first = deploy(line, dev_wallet(0), params, network="devnet")
    other = replace(params, **change)  # type: ignore[arg-type]
    second = deploy(line, dev_wallet(0), other, network="devnet")
    assert not {c.address for c in first.contracts.values()} & {
        c.address for c in second.contracts.values()
    }
    if "cap" in change:
        assert Suite(empty, first).usage.read("cap") == params.cap
        assert Suite(empty, second).usage.read("cap") == 10**24


# ------------------------------------------------------------------ checking


def without(deployment: Deployment, name: str, **changes: object) -> Deployment:
    contracts = dict(deployment.contracts)
    contracts[name] = replace(contracts[name], **changes)  # type: ignore[arg-type]
    return replace(deployment, contracts=contracts)


def test_what_was_deployed_stands(live: Chain) -> None:
    verify(live.node, live.suite.deployment).require()


def test_a_record_of_another_chain(live: Chain) -> None:
    other = replace(live.suite.deployment, chain_id=1)
    with pytest.raises(WrongChain, match="is for chain 1, but the node is on chain 31337"):
        verify(live.node, other)
    with pytest.raises(WrongChain, match="is for chain 1"):
        Suite(live.node, other)


@pytest.mark.parametrize("name", ["UsageToken", "DataMarket", "Treasury", "AccessManager"])
def test_a_contract_that_is_not_there(live: Chain, name: str) -> None:
    nowhere = "0x" + "ab" * 20
    other = without(live.suite.deployment, name, address=nowhere)
    with pytest.raises(
        DeploymentDeviates, match=f"no contract at {nowhere}, where {name} should be"
    ):
        verify(live.node, other).require()


def test_a_chain_that_was_started_afresh(live: Chain, empty: Node) -> None:
    with pytest.raises(DeploymentError, match="no contract at"):
        verify(empty, live.suite.deployment).require()
    with pytest.raises(DeploymentError, match="of an earlier chain, perhaps"):
        Suite(empty, live.suite.deployment)


def grant_admin(live: Chain, to: str) -> None:
    """The timelock gives the admin role away, which only its own decision can."""
    manager = live.suite.deployment.address("AccessManager")
    timelock = live.suite.deployment.address("TimelockController")
    live.node.rpc("anvil_impersonateAccount", timelock)
    live.node.rpc("anvil_setBalance", timelock, hex(10**18))
    data = abi("AccessManager").call("grantRole", int(Role.ADMIN), to, 0)
    call = {"from": timelock, "to": manager, "data": "0x" + data.hex()}
    live.node.rpc("eth_sendTransaction", call)
    live.node.rpc("anvil_stopImpersonatingAccount", timelock)


def test_a_deployer_that_kept_power(live: Chain) -> None:
    deployer = live.suite.deployment.deployer
    grant_admin(live, deployer)
    with pytest.raises(DeploymentDeviates, match=f"{deployer} still has the admin role"):
        verify(live.node, live.suite.deployment).require()


# ------------------------------------------------------------------ the record

Damage = Callable[[dict[str, object]], object]
DAMAGE: dict[str, Damage] = {
    "no object": lambda data: [],
    "another format": lambda data: {**data, "format": 99},
    "no contracts": lambda data: {**data, "contracts": []},
    "contracts of another kind": lambda data: {**data, "contracts": 5},
    "a contract without a name": lambda data: {**data, "contracts": [{}]},
    "no chain": lambda data: {k: v for k, v in data.items() if k != "chain_id"},
    "a chain that is no number": lambda data: {**data, "chain_id": "x"},
    "offices that are no addresses": lambda data: {**data, "offices": {"guardian": "me"}},
    "a market less": lambda data: _changed(data, "DataMarket", None),
    "an address that is none": lambda data: _changed(data, "DataMarket", {"address": "0x12"}),
    "an address that is no text": lambda data: _changed(data, "UsageToken", {"address": 5}),
    "a transaction that is no text": lambda data: _changed(data, "Treasury", {"tx": None}),
    "a block that is no number": lambda data: _changed(data, "AccessManager", {"block": "x"}),
}


def _changed(
    data: dict[str, object], name: str, change: dict[str, object] | None
) -> dict[str, object]:
    contracts = []
    for contract in data["contracts"]:  # type: ignore[attr-defined]
        if contract["name"] != name:
            contracts.append(contract)
        elif change is not None:
            contracts.append({**contract, **change})
    return {**data, "contracts": contracts}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_record_that_is_malformed(live: Chain, tmp_path: Path, how: str) -> None:
    path = tmp_path / "record.json"
    live.suite.deployment.save(path)
    path.write_text(json.dumps(DAMAGE[how](json.loads(path.read_text()))))
    with pytest.raises(DeploymentError) as caught:
        Suite(live.node, Deployment.load(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("body", ["", "{", '{"format": 1', "\xff"])
def test_a_record_that_is_not_json(live: Chain, tmp_path: Path, body: str) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(body.encode("latin-1"))
    with pytest.raises(DeploymentError, match="is malformed"):
        Deployment.load(path)


def test_a_record_comes_back_as_it_was_written(live: Chain, tmp_path: Path) -> None:
    live.suite.deployment.save(tmp_path / "record.json")
    assert Deployment.load(tmp_path / "record.json") == live.suite.deployment

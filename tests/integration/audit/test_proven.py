"""Logs and storage from a node that lies: every lie is caught and named, and no truth is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.liar import Liar, liar
from support.live import Chain
from support.stage import Stage

from medtoken.audit.proven import ProvenChain, ProvenLog
from medtoken.audit.source import Suite
from medtoken.chain.stream import Client, NodeRefused
from medtoken.errors import BadInput, MedtokenError, NodeUnreachable, ProofFailed

Logs = Callable[[], list[ProvenLog]]


@pytest.fixture
def node(stage: Stage) -> Iterator[Liar]:
    """A proxy before a node on whose chain a record was registered and attested."""
    with liar(stage.chain.node.url) as found:
        yield found


@pytest.fixture
def client(node: Liar) -> Iterator[Client]:
    with Client(node.url, timeout=5) as found:
        yield found


@pytest.fixture
def suite(stage: Stage) -> Suite:
    return Suite.of(stage.chain.suite.deployment)


@pytest.fixture
def first(stage: Stage) -> int:
    return stage.chain.suite.deployment.first_block


@pytest.fixture
def read(stage: Stage, client: Client, suite: Suite, first: int) -> Logs:
    """Read all logs of the suite, anchored at the block that the honest node has last."""

    def reading() -> list[ProvenLog]:
        end = stage.chain.node.head()
        return list(ProvenChain(client, end.hash).logs(list(suite.emitters), first, end.number))

    return reading


def in_receipts(change: Callable[[list[dict[str, Any]]], None], skip: int = 0) -> Any:
    """A lie about the logs of the blocks that have at least two, but for the first ``skip``."""
    left = [skip]

    def lie(method: str, params: list[Any], result: Any) -> Any:
        logs = (
            [log for r in result for log in r["logs"]] if method.endswith("BlockReceipts") else []
        )
        if len(logs) < 2:
            return result
        left[0] -= 1
        if left[0] >= 0:
            return result
        changed = copy.deepcopy(result)
        change(changed)
        return changed

    return lie


def most(receipts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The logs of the receipt that has most."""
    found: list[dict[str, Any]] = max((r["logs"] for r in receipts), key=len)
    return found


def drop(receipts: list[dict[str, Any]]) -> None:
    most(receipts).pop()


def drop_all(receipts: list[dict[str, Any]]) -> None:
    for receipt in receipts:
        receipt["logs"] = []


def drop_receipt(receipts: list[dict[str, Any]]) -> None:
    receipts.pop()


def amount(receipts: list[dict[str, Any]]) -> None:
    logs = most(receipts)
    log = next(log for log in logs if len(log["data"]) >= 66)
    log["data"] = log["data"][:65] + ("1" if log["data"][65] != "1" else "2") + log["data"][66:]


def reorder(receipts: list[dict[str, Any]]) -> None:
    most(receipts).reverse()


def invent(receipts: list[dict[str, Any]]) -> None:
    logs = most(receipts)
    logs.append(copy.deepcopy(logs[-1]))


def topic(receipts: list[dict[str, Any]]) -> None:
    log = next(log for log in most(receipts) if len(log["topics"]) > 1)
    log["topics"][1] = "0x" + "00" * 32


def emitter(receipts: list[dict[str, Any]]) -> None:
    most(receipts)[0]["address"] = "0x" + "11" * 20


def outcome(receipts: list[dict[str, Any]]) -> None:
    receipts[0]["status"] = "0x0"


@pytest.mark.parametrize(
    "change", [drop, drop_all, drop_receipt, amount, reorder, invent, topic, emitter, outcome]
)
@pytest.mark.parametrize("skip", [0, 3])
def test_a_log_that_was_bent_is_caught(
    node: Liar, read: Logs, change: Callable[[list[dict[str, Any]]], None], skip: int
) -> None:
    node.lie = in_receipts(change, skip)
    with pytest.raises(ProofFailed, match="The receipts .* are not those that its header commits"):
        read()


def test_an_emitter_in_capitals_hides_nothing(node: Liar, read: Logs, stage: Stage) -> None:
    honest = read()

    def capitals(receipts: list[dict[str, Any]]) -> None:
        for receipt in receipts:
            for log in receipt["logs"]:
                log["address"] = "0x" + log["address"][2:].upper()

    node.lie = in_receipts(capitals)
    assert read() == honest


def test_an_honest_node_is_believed(node: Liar, read: Logs, stage: Stage, suite: Suite) -> None:
    end = stage.chain.node.head().number
    plain = list(stage.chain.node.logs(list(suite.emitters), 0, end))
    places = [(log.address, log.topics, log.data, log.block, log.tx, log.index) for log in plain]
    found = read()
    assert len(found) > 100
    assert [
        (log.address, log.topics, log.data, log.block, log.tx, log.index) for log in found
    ] == places
    # Of blocks whose bloom excludes us nothing was fetched.
    assert 0 < node.asked.count("eth_getBlockReceipts") <= len({log.block for log in plain}) + 5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("logsBloom", "0x" + "00" * 256),
        ("receiptsRoot", "0x" + "12" * 32),
        ("timestamp", "0x1"),
        ("parentHash", "0x" + "34" * 32),
        ("stateRoot", "0x" + "56" * 32),
        ("extraData", "0x99"),
        ("gasUsed", "0x7"),
    ],
)
def test_a_header_that_was_bent_is_caught(
    node: Liar, read: Logs, stage: Stage, first: int, field: str, value: str
) -> None:
    at = first + 40
    # Of a block without logs an empty bloom is the true one.
    while not int(stage.chain.node.rpc("eth_getBlockByNumber", hex(at), False)["logsBloom"], 16):
        at += 1

    def lie(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getBlockByNumber" and params[0] == hex(at):
            return {**result, field: value}
        return result

    node.lie = lie
    with pytest.raises(ProofFailed, match=rf"Block ({at}|{at - 1}) hashes to 0x"):
        read()


def test_a_hash_that_is_only_claimed_counts_for_nothing(node: Liar, read: Logs) -> None:
    def lie(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getBlockByNumber":
            return {**result, "timestamp": "0x5"}  # and the true hash beside it
        return result

    node.lie = lie
    with pytest.raises(ProofFailed):
        read()


def test_another_block_in_the_place_of_the_one_that_was_given_is_caught(
    node: Liar, stage: Stage, client: Client
) -> None:
    good = stage.chain.node.block(5)

    def lie(method: str, params: list[Any], result: Any) -> Any:
        return {**result, "stateRoot": "0x" + "00" * 32} if method.endswith("ByHash") else result

    node.lie = lie
    with pytest.raises(ProofFailed, match="gave a block for 0x"):
        ProvenChain(client, good.hash)


def test_another_fork_is_caught(node: Liar, stage: Stage, read: Logs) -> None:
    """The auditor has a hash of one fork; the node has since followed another."""
    chain = stage.chain.node
    fork = chain.rpc("evm_snapshot")
    stage.chain.mine(3)
    anchor = chain.rpc("eth_getBlockByNumber", "latest", False)
    saved = {
        hex(n): dict(chain.rpc("eth_getBlockByNumber", hex(n), False))
        for n in range(int(anchor["number"], 16) + 1)
    }
    assert chain.rpc("evm_revert", fork)
    stage.chain.warp(77)
    stage.chain.mine(5)

    def lie(method: str, params: list[Any], result: Any) -> Any:
        # It still knows the block that it is asked for, and serves its new chain below.
        return saved[anchor["number"]] if method == "eth_getBlockByHash" else result

    node.lie = lie
    with Client(node.url, timeout=5) as client:
        proven = ProvenChain(client, bytes.fromhex(anchor["hash"][2:]))
        with pytest.raises(ProofFailed, match="not of the chain that was asked for"):
            list(proven.logs(["0x" + "11" * 20], 0, proven.end.number))


@pytest.mark.parametrize("last", [-1, -7])
def test_a_chain_cut_short_is_caught(node: Liar, stage: Stage, read: Logs, last: int) -> None:
    end = stage.chain.height()

    def lie(method: str, params: list[Any], result: Any) -> Any:
        gone = method == "eth_getBlockByNumber" and int(params[0], 16) > end + last - 1
        return None if gone else result

    node.lie = lie
    with pytest.raises(NodeUnreachable, match=f"has no block {end + last}"):
        read()


def test_receipts_that_are_gone_are_not_taken_for_none(node: Liar, read: Logs) -> None:
    node.lie = lambda method, params, result: None if "Receipts" in method else result
    with pytest.raises(NodeUnreachable, match="has no receipts of block"):
        read()


def test_a_node_that_serves_no_receipts_by_block_is_named(node: Liar, read: Logs) -> None:
    refusal = Exception("the method does not exist")
    node.lie = lambda method, params, result: refusal if "Receipts" in method else result
    with pytest.raises(NodeUnreachable, match="gives no receipts by block"):
        read()


def test_a_node_that_falls_silent_is_named(node: Liar, stage: Stage) -> None:
    with Client(node.url, timeout=0.3) as client:
        node.silent.set()
        with pytest.raises(NodeUnreachable, match=r"was silent for 0\.3 s"):
            ProvenChain(client, stage.chain.node.head().hash)


def test_a_hash_that_the_node_does_not_know_is_refused(client: Client) -> None:
    with pytest.raises(BadInput, match="has no block 0x4242"):
        ProvenChain(client, b"\x42" * 32)


# ---------------------------------------------------------------------------- state


def test_storage_is_proven_word_by_word(stage: Stage, client: Client, suite: Suite) -> None:
    chain = stage.chain.node
    proven = ProvenChain(client, chain.head().hash)
    for name, address in suite.addresses.items():
        slots = [*range(20), 2**255]
        assert proven.slots(address, slots) == [chain.storage(address, s) for s in slots], name
        assert proven.code(address) == chain.code(address)
    assert proven.account("0x" + "77" * 20).balance == 0


@pytest.mark.parametrize("place", ["accountProof", "storageProof"])
def test_a_word_that_was_bent_is_caught(
    node: Liar, stage: Stage, client: Client, suite: Suite, place: str
) -> None:
    market = suite.addresses["DataMarket"]
    proven = ProvenChain(client, stage.chain.node.head().hash)

    def lie(method: str, params: list[Any], result: Any) -> Any:
        if method != "eth_getProof":
            return result
        changed = copy.deepcopy(result)
        nodes = changed[place] if place == "accountProof" else changed[place][0]["proof"]
        nodes[-1] = nodes[-1][:-1] + ("0" if nodes[-1][-1] != "0" else "1")
        return changed

    node.lie = lie
    with pytest.raises(ProofFailed, match="A proof lacks a node"):
        proven.storage(market, 10)


def test_what_the_node_says_beside_the_proof_counts_for_nothing(
    node: Liar, stage: Stage, client: Client, suite: Suite
) -> None:
    market = suite.addresses["DataMarket"]
    true = stage.chain.node.storage(market, 10)

    def lie(method: str, params: list[Any], result: Any) -> Any:
        if method != "eth_getProof":
            return result
        entry = {**result["storageProof"][0], "value": "0x99"}
        return {**result, "storageHash": "0x" + "00" * 32, "storageProof": [entry]}

    node.lie = lie
    assert ProvenChain(client, stage.chain.node.head().hash).storage(market, 10) == true != 0x99


def test_the_proof_of_another_slot_is_no_proof(
    node: Liar, stage: Stage, client: Client, suite: Suite
) -> None:
    market = suite.addresses["DataMarket"]
    node.lie = lambda method, params, result: (
        {**result, "storageProof": []} if method == "eth_getProof" else result
    )
    proven = ProvenChain(client, stage.chain.node.head().hash)
    with pytest.raises(ProofFailed, match="other slots"):
        proven.storage(market, 10)


def test_code_that_was_bent_is_caught(
    node: Liar, stage: Stage, client: Client, suite: Suite
) -> None:
    node.lie = lambda method, params, result: (
        result[:-2] + "00" if method == "eth_getCode" else result
    )
    proven = ProvenChain(client, stage.chain.node.head().hash)
    with pytest.raises(ProofFailed, match="code of"):
        proven.code(suite.addresses["UsageToken"])


def test_a_proof_is_of_the_block_that_was_given_alone(client: Client, live: Chain) -> None:
    proven = ProvenChain(client, live.node.block(3).hash)
    with pytest.raises(BadInput, match="A proof"):
        proven.storage("0x" + "11" * 20, 0, 2)
    with pytest.raises(BadInput, match="A proof"):
        list(proven.logs([], 0, 2))


def test_a_refusal_of_the_node_is_told_as_its_own(client: Client) -> None:
    with pytest.raises(NodeRefused, match="refused eth_nonsense") as caught:
        client.ask("eth_nonsense")
    assert isinstance(caught.value, MedtokenError)
    # The connection is as good as before.
    assert client.ask("eth_chainId") == hex(31337)


def test_what_was_not_read_to_its_end_does_not_answer_the_next_question(client: Client) -> None:
    answers = client.stream(("eth_getBlockByNumber", (hex(n), False)) for n in range(4))
    assert b'"0x0"' in next(answers)
    answers.close()
    assert client.ask("eth_chainId") == hex(31337)

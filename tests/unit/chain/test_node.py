"""The node client: every way in which a node can fail becomes one sentence of medtoken's."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from support.live import answering, between

from medtoken.chain.devnet import free_port
from medtoken.chain.node import Node, Wallet, refused
from medtoken.errors import (
    BadInput,
    ConsentRefused,
    ContractRefused,
    InsufficientFunds,
    InvalidSignature,
    MedtokenError,
    NodeUnreachable,
    NotPermitted,
    WrongChain,
)

SOMEBODY = "0x" + "11" * 20
REVERTS = bytes.fromhex("60006000fd")  # as creation code: revert without a reason
# Error(string) "market: no"
SENTENCE = (
    bytes.fromhex("08c379a0")
    + (32).to_bytes(32)
    + (10).to_bytes(32)
    + b"market: no".ljust(32, b"\0")
)
RESULT = b'{"jsonrpc":"2.0","id":0,"result":%s}'
ERROR = b'{"jsonrpc":"2.0","id":0,"error":%s}'


def nonce(node: Node, wallet: Wallet) -> int:
    return int(node.rpc("eth_getTransactionCount", wallet.address, "latest"), 16)


def told(answer: bytes | ContractRefused) -> bytes:
    if isinstance(answer, ContractRefused):
        raise answer
    return answer


def one_sentence(error: MedtokenError) -> None:
    text = str(error)
    assert text
    assert "\n" not in text
    assert "Traceback" not in text


# ------------------------------------------------------------------ connecting


def test_nobody_listens() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(NodeUnreachable, match=f"No Ethereum node answers at {url}") as caught:
        Node.connect(url)
    one_sentence(caught.value)


def test_a_name_that_leads_nowhere() -> None:
    with pytest.raises(NodeUnreachable):
        Node.connect("http://nobody.invalid:8545")


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8545", "ftp://127.0.0.1", "ws://127.0.0.1:8545", "http://", "http:///x",
     "http://[", "http://127.0.0.1:99999", "http://127.0.0.1:x"],
)  # fmt: skip
def test_what_is_no_address_of_a_node(url: str) -> None:
    with pytest.raises(BadInput) as caught:
        Node.connect(url)
    one_sentence(caught.value)


def test_another_chain_than_the_one_asked_for(node: Node) -> None:
    assert Node.connect(node.url, chain_id=31337).chain_id == 31337
    with pytest.raises(WrongChain, match="is on chain 31337, not on chain 1"):
        Node.connect(node.url, chain_id=1)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<!DOCTYPE html><html><body>It works!</body></html>"),
        (200, b""),
        (500, b"Internal Server Error"),
        (404, b""),
        (200, b'{"jsonrpc":"2.0","id":0,"res'),
        (200, b"[]"),
        (200, b"{}"),
        (200, b"null"),
        (200, b"5"),
        (200, b"\xff\xfe"),
        (200, RESULT % b"null"),
        (200, RESULT % b'"zz"'),
        (200, RESULT % b"[]"),
        (200, RESULT % b"{}"),
        (200, ERROR % b"5"),
        (200, ERROR % b"null"),
    ],
)
def test_a_server_that_is_no_node(status: int, body: bytes) -> None:
    with answering(body, status) as url, pytest.raises(MedtokenError) as caught:
        Node.connect(url)
    one_sentence(caught.value)
    assert url in str(caught.value) or isinstance(caught.value, ContractRefused)


def test_a_server_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(NodeUnreachable, match="ReadTimeout"):
            Node.connect(url, timeout=0.2)
        server.settimeout(0.2)
        server.accept()[0].close()
        # It was asked once: a silent node keeps nobody waiting five times as long.
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_proxy_for_the_world_is_not_asked_about_this_machine(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert Node.connect(node.url).chain_id == 31337


# ------------------------------------------------------------------ reading

READINGS: dict[str, Callable[[Node], object]] = {
    "head": lambda n: n.head(),
    "final": lambda n: n.final(),
    "block": lambda n: n.block(1),
    "call": lambda n: n.call(SOMEBODY, b"abcd"),
    "storage": lambda n: n.storage(SOMEBODY, 0),
    "code": lambda n: n.code(SOMEBODY),
    "balance": lambda n: n.balance(SOMEBODY),
    "calls": lambda n: [told(a) for a in n.calls([(SOMEBODY, b"")], 0)],
    "logs": lambda n: list(n.logs([SOMEBODY], 0, 9)),
    "send": lambda n: n.send(Wallet.create(), SOMEBODY, b""),
}


@pytest.mark.parametrize("name", READINGS)
@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", RESULT % b'"zz"', RESULT % b"{}", RESULT % b"[5]", ERROR % b"5",
     ERROR % b'{"code":-32000,"message":"busy"}',
     ERROR % b'{"code":3,"message":"execution reverted","data":"0xzz"}',
     ERROR % b'{"code":3,"message":"execution reverted","data":"0x08c379a0"}'],
)  # fmt: skip
def test_a_node_that_stops_making_sense(name: str, body: bytes) -> None:
    def hook(method: str, forward: Callable[[], bytes]) -> bytes:
        return RESULT % b'"0x7a69"' if method == "eth_chainId" else body

    with between("", hook) as url:
        node = Node.connect(url)
        with pytest.raises(MedtokenError) as caught:
            READINGS[name](node)
    one_sentence(caught.value)


def test_a_node_that_goes_away(node: Node) -> None:
    with between(node.url, lambda method, forward: forward()) as url:
        line = Node.connect(url)
        assert line.head() == node.head()
    with pytest.raises(NodeUnreachable):
        line.head()
    with pytest.raises(NodeUnreachable):
        list(line.calls([(SOMEBODY, b"")], 0))


def test_a_block_that_is_not_there(node: Node) -> None:
    with pytest.raises(BadInput, match="has no block 999999"):
        node.block(999_999)


@pytest.mark.parametrize("address", ["", "0x12", "somebody", "0x" + "zz" * 20])
def test_what_is_no_account(node: Node, address: str) -> None:
    with pytest.raises(BadInput, match="is not an address"):
        node.balance(address)


def test_many_calls_are_answered_in_their_order_and_a_refusal_ends_none(node: Node) -> None:
    echo = "0x" + "e0" * 20  # returns what it is called with, and refuses what begins with ff
    code = "60003560f81c60ff14601457365f5f37365ff35b5f5ffd"
    node.rpc("anvil_setCode", echo, "0x" + code)
    asked = [(echo, bytes([n % 256, n // 256])) for n in range(600)]
    found = list(node.calls(asked, node.head().number))
    assert [isinstance(a, ContractRefused) for a in found] == [n % 256 == 255 for n in range(600)]
    for (_, data), answer in zip(asked, found, strict=True):
        assert isinstance(answer, ContractRefused) or answer == data
    assert list(node.calls([], 0)) == []


@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
def test_logs_are_whole_however_many_requests_they_take(
    node: Node, wallet: Wallet, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medtoken.chain.node._LOG_CHUNK", chunk)
    log = bytes.fromhex("602a60006000a1")  # as creation code: logs a topic and nothing else
    blocks = []
    for gap in (0, 1, 3):
        node.rpc("anvil_mine", hex(gap)) if gap else None
        blocks.append(node.send(wallet, None, log).block)
    made = _creations(wallet, 3)
    found = list(node.logs(made, blocks[0], blocks[-1]))
    assert [(log.address, log.block) for log in found] == list(zip(made, blocks, strict=True))
    assert [log.block for log in node.logs(made, blocks[0] + 1, blocks[-1] - 1)] == blocks[1:2]
    assert list(node.logs(made, 0, blocks[0] - 1)) == []
    assert list(node.logs(made, blocks[0], blocks[-1], [(42).to_bytes(32)])) == found
    assert list(node.logs(made, blocks[0], blocks[-1], [(43).to_bytes(32)])) == []


def _creations(wallet: Wallet, count: int) -> list[str]:
    """The addresses of the first contracts that a wallet creates."""
    import rlp
    from eth_utils import keccak, to_canonical_address, to_checksum_address

    sender = to_canonical_address(wallet.address)
    return [to_checksum_address(keccak(rlp.encode([sender, n]))[12:]) for n in range(count)]


# ------------------------------------------------------------------ writing


def test_a_transaction_comes_back_with_its_receipt(node: Node, wallet: Wallet) -> None:
    receipt = node.send(wallet, None, bytes.fromhex("602a60006000a1"))
    assert receipt.contract == _creations(wallet, 1)[0]
    assert [log.topics for log in receipt.logs] == [((42).to_bytes(32),)]
    assert receipt.block == node.head().number
    assert receipt.gas > 53_000
    assert nonce(node, wallet) == 1


def test_what_would_revert_is_not_sent(node: Node, wallet: Wallet) -> None:
    height = node.head().number
    with pytest.raises(ContractRefused) as caught:
        node.send(wallet, None, REVERTS)
    one_sentence(caught.value)
    assert nonce(node, wallet) == 0
    assert node.head().number == height


def test_a_contract_s_sentence_is_the_error(node: Node, wallet: Wallet) -> None:
    # Creation code that reverts with the data behind it.
    size = len(SENTENCE)
    code = bytes.fromhex(f"60{size:02x}600c60003960{size:02x}6000fd") + SENTENCE
    with pytest.raises(ContractRefused) as caught:
        node.send(wallet, None, code)
    assert str(caught.value) == "market: no"


def test_what_uses_more_gas_than_is_paid_for_is_not_sent(node: Node, wallet: Wallet) -> None:
    node.most_gas = 100_000
    # 3,000 words of code to store: far more.
    with pytest.raises(NotPermitted, match="more than 100,000 is not paid"):
        node.send(wallet, None, bytes.fromhex("61600060005360006160 00f3".replace(" ", "")))
    assert nonce(node, wallet) == 0


def test_a_wallet_without_ether(node: Node) -> None:
    poor = Wallet.create()
    height = node.head().number
    with pytest.raises(InsufficientFunds):
        node.send(poor, SOMEBODY, b"")
    assert node.head().number == height


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        ("signature: not by its owner", InvalidSignature),
        ("consent: signature is too late", InvalidSignature),
        ("account: signature is too late", InvalidSignature),
        ("ERC2612ExpiredSignature(5)", InvalidSignature),
        ("consent: it was revoked", ConsentRefused),
        ("account: deposit is too small", InsufficientFunds),
        ("account: more than was earned", InsufficientFunds),
        ("ERC20InsufficientBalance(0x0, 1, 2)", InsufficientFunds),
        ("access: caller may not do this", NotPermitted),
        ("institutions: the caller is not accredited for this", NotPermitted),
        ("account: it is frozen", NotPermitted),
        ("market: paused", ContractRefused),
    ],
)
def test_a_sentence_has_its_exception(sentence: str, kind: type[ContractRefused]) -> None:
    error = refused(sentence)
    assert type(error) is kind
    assert str(error) == sentence


# ------------------------------------------------------------------ wallets


@pytest.mark.parametrize("key", ["", "0x", "zz" * 32, "11" * 31, "11" * 33, "00" * 32, "ff" * 32])
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(BadInput, match="32 bytes") as caught:
        Wallet.from_key(key)
    assert key[:8] not in str(caught.value) or not key


def test_a_wallet_does_not_show_its_key() -> None:
    wallet = Wallet.create()
    assert wallet.key.hex() not in repr(wallet) + str(wallet)
    assert wallet.address in repr(wallet)

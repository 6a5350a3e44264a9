"""The outbox: a process killed anywhere around a transaction carries it out exactly once."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from support.live import between, environment, killed_at, python

from medtoken.chain.node import Node, Receipt, Wallet
from medtoken.chain.outbox import Outbox, write_durably
from medtoken.errors import ContractRefused, NodeUnreachable, StateError

SOMEBODY = "0x" + "11" * 20
OTHER = "0x" + "22" * 20
# Creation code that reverts once the chain's time is past the five bytes.
UNTIL = "64{:010x}4211600c57005b60006000fd"

SENDER = """
import sys
from pathlib import Path
from medtoken.chain.node import Node, Wallet
from medtoken.chain.outbox import Outbox
url, folder, secret, intent = sys.argv[1:]
node = Node.connect(url, outbox=Outbox(Path(folder)))
receipt = node.send(Wallet.from_key(secret), "0x" + "11" * 20, b"hello", key=intent or None)
print(receipt.block, flush=True)
sys.stdin.read()
"""

Stage = Callable[[str, Callable[[], None]], bool]


def nonce(node: Node, wallet: Wallet, block: str = "latest") -> int:
    return int(node.rpc("eth_getTransactionCount", wallet.address, block), 16)


def mined(node: Node, wallet: Wallet) -> int:
    """How many of its transactions are in blocks, once none that the node took waits for one."""
    while nonce(node, wallet) < nonce(node, wallet, "pending"):
        time.sleep(0.01)
    return nonce(node, wallet)


def send(
    node: Node, folder: Path, wallet: Wallet, data: bytes = b"hello", key: str | None = "auto:one"
) -> Receipt:
    """The same intent as SENDER's, in a process that lives."""
    line = Node.connect(node.url, outbox=Outbox(folder))
    return line.send(wallet, SOMEBODY, data, key=key)


def kill_a_sender(
    node: Node, folder: Path, wallet: Wallet, at: str, *, before: bool, key: str = "auto:one"
) -> None:
    """A process that sends is SIGKILLed when it asks ``at``, before or after the node has heard it."""

    def sender(url: str) -> Sequence[str]:
        return python(SENDER, url, folder, wallet.key.hex(), key)

    with killed_at(node.url, at, sender, before=before):
        pass


# ------------------------------------------------------------------ killed

KILLS = [
    ("eth_estimateGas", True, 0),  # nothing signed yet
    ("eth_sendRawTransaction", True, 0),  # signed, not sent
    ("eth_sendRawTransaction", False, 1),  # sent, and the sender does not know it
    ("eth_getTransactionReceipt", True, 1),  # sent
    ("eth_getTransactionReceipt", False, 1),  # mined, and the sender has not heard of it
]


# The kind of key matters for what is kept only, so one place of killing is enough for the others.
KEYS = [*((*kill, "auto:one") for kill in KILLS), (*KILLS[2], "once"), (*KILLS[2], "")]


@pytest.mark.parametrize(("at", "before", "sent", "key"), KEYS)
def test_a_killed_sender_s_transaction_is_carried_out_once(
    node: Node, wallet: Wallet, tmp_path: Path, at: str, before: bool, sent: int, key: str
) -> None:
    kill_a_sender(node, tmp_path, wallet, at, before=before, key=key)
    assert mined(node, wallet) == sent
    receipt = send(node, tmp_path, wallet, key=key or None)
    assert nonce(node, wallet) == 1
    assert send(node, tmp_path, wallet, key=key or None) == receipt
    assert nonce(node, wallet) == 1


def test_a_sender_killed_after_its_receipt_has_sent_once(
    node: Node, wallet: Wallet, tmp_path: Path
) -> None:
    with subprocess.Popen(
        python(SENDER, node.url, tmp_path, wallet.key.hex(), "auto:one"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        assert process.stdout
        block = int(process.stdout.readline())
        process.kill()
    assert send(node, tmp_path, wallet).block == block
    assert nonce(node, wallet) == 1


def test_a_sender_killed_again_and_again(node: Node, wallet: Wallet, tmp_path: Path) -> None:
    for at, before, _ in KILLS[1:4]:
        kill_a_sender(node, tmp_path, wallet, at, before=before)
    send(node, tmp_path, wallet)
    assert nonce(node, wallet) == 1


def test_what_waits_to_be_mined_is_waited_for(node: Node, wallet: Wallet, tmp_path: Path) -> None:
    node.rpc("evm_setAutomine", False)
    kill_a_sender(node, tmp_path, wallet, "eth_getTransactionReceipt", before=False)
    assert nonce(node, wallet) == 0
    assert int(node.rpc("eth_getTransactionCount", wallet.address, "pending"), 16) == 1
    miner = threading.Timer(0.3, Node.connect(node.url).rpc, ["evm_mine"])
    miner.start()
    send(node, tmp_path, wallet)
    miner.join()
    node.rpc("evm_mine")
    assert nonce(node, wallet) == 1


def test_a_nonce_that_another_transaction_used_frees_the_intent(
    node: Node, wallet: Wallet, tmp_path: Path
) -> None:
    kill_a_sender(node, tmp_path, wallet, "eth_sendRawTransaction", before=True)
    used = node.send(wallet, OTHER, b"")
    assert nonce(node, wallet) == 1
    receipt = send(node, tmp_path, wallet)
    assert receipt.tx != used.tx
    assert nonce(node, wallet) == 2
    assert send(node, tmp_path, wallet) == receipt


def test_one_that_came_too_late_is_made_anew(node: Node, wallet: Wallet, tmp_path: Path) -> None:
    line = Node.connect(node.url, outbox=Outbox(tmp_path))
    node.rpc("evm_setAutomine", False)
    soon = node.head().timestamp + 600
    first = threading.Thread(
        target=_quietly, args=(line, wallet, bytes.fromhex(UNTIL.format(soon)))
    )
    first.start()
    while int(node.rpc("eth_getTransactionCount", wallet.address, "pending"), 16) == 0:
        pass
    node.rpc("evm_increaseTime", 3600)
    node.rpc("evm_mine")
    first.join()
    # It was mined and reverted, so the next try is free to say something else.
    node.rpc("evm_setAutomine", True)
    assert nonce(node, wallet) == 1
    later = bytes.fromhex(UNTIL.format(soon + 90_000))
    receipt = line.send(wallet, None, later, key="auto:late")
    assert nonce(node, wallet) == 2
    assert receipt.contract


def _quietly(line: Node, wallet: Wallet, data: bytes) -> None:
    with pytest.raises(ContractRefused, match="was mined but reverted"):
        line.send(wallet, None, data, key="auto:late")


# ------------------------------------------------------------------ nodes that confuse

BUSY = b'{"jsonrpc":"2.0","id":0,"error":{"code":-32005,"message":"limit exceeded"}}'
KNOWN = b'{"jsonrpc":"2.0","id":0,"error":{"code":-32000,"message":"already known"}}'
NOTHING = b'{"jsonrpc":"2.0","id":0,"result":null}'


@pytest.mark.parametrize("complaint", [BUSY, KNOWN])
def test_a_node_that_takes_it_and_complains_has_it(
    node: Node, wallet: Wallet, tmp_path: Path, complaint: bytes
) -> None:
    def hook(method: str, forward: Callable[[], bytes]) -> bytes:
        answer = forward()
        return complaint if method == "eth_sendRawTransaction" else answer

    with between(node.url, hook) as url:
        line = Node.connect(url, outbox=Outbox(tmp_path))
        receipt = line.send(wallet, SOMEBODY, b"hello", key="auto:one")
    assert nonce(node, wallet) == 1
    assert send(node, tmp_path, wallet) == receipt
    assert nonce(node, wallet) == 1


def test_a_node_that_refuses_it_does_not_have_it(
    node: Node, wallet: Wallet, tmp_path: Path
) -> None:
    def hook(method: str, forward: Callable[[], bytes]) -> bytes:
        return BUSY if method == "eth_sendRawTransaction" else forward()

    with between(node.url, hook) as url, pytest.raises(ContractRefused, match="limit exceeded"):
        Node.connect(url, outbox=Outbox(tmp_path)).send(wallet, SOMEBODY, b"hello", key="auto:one")
    assert nonce(node, wallet) == 0
    send(node, tmp_path, wallet)
    assert nonce(node, wallet) == 1


def test_a_node_that_goes_away_after_taking_it(node: Node, wallet: Wallet, tmp_path: Path) -> None:
    gone = False

    def hook(method: str, forward: Callable[[], bytes]) -> bytes | None:
        nonlocal gone
        answer = forward()
        gone = gone or method == "eth_sendRawTransaction"
        return None if gone else answer

    with between(node.url, hook) as url, pytest.raises(NodeUnreachable):
        Node.connect(url, outbox=Outbox(tmp_path)).send(wallet, SOMEBODY, b"hello", key="auto:one")
    send(node, tmp_path, wallet)
    assert nonce(node, wallet) == 1


def test_a_node_that_forgot_what_it_took(node: Node, wallet: Wallet, tmp_path: Path) -> None:
    kill_a_sender(node, tmp_path, wallet, "eth_getTransactionReceipt", before=True)
    asked = 0

    def hook(method: str, forward: Callable[[], bytes]) -> bytes:
        nonlocal asked
        asked += method == "eth_getTransactionByHash"
        return NOTHING if method == "eth_getTransactionByHash" and asked == 1 else forward()

    with between(node.url, hook) as url:
        line = Node.connect(url, outbox=Outbox(tmp_path))
        line.send(wallet, SOMEBODY, b"hello", key="auto:one")
    assert asked == 2
    assert nonce(node, wallet) == 1


# ------------------------------------------------------------------ what is one intent


def test_without_a_key_the_intent_is_what_is_sent(
    node: Node, wallet: Wallet, tmp_path: Path
) -> None:
    line = Node.connect(node.url, outbox=Outbox(tmp_path))
    first = line.send(wallet, SOMEBODY, b"one")
    assert line.send(wallet, SOMEBODY.upper().replace("0X", "0x"), b"one") == first
    assert line.send(wallet, SOMEBODY, b"two") != first
    assert line.send(wallet, OTHER, b"one") != first
    assert nonce(node, wallet) == 3


def test_with_a_key_the_intent_is_the_sender_s(node: Node, wallet: Wallet, tmp_path: Path) -> None:
    line = Node.connect(node.url, outbox=Outbox(tmp_path))
    first = line.send(wallet, SOMEBODY, b"one", key="once")
    assert line.send(wallet, OTHER, b"two", key="once") == first
    rich = Wallet.create()
    node.rpc("anvil_setBalance", rich.address, hex(10**18))
    assert line.send(rich, SOMEBODY, b"one", key="once") != first
    assert (nonce(node, wallet), nonce(node, rich)) == (1, 1)


def test_clearing_forgets_the_passing_and_keeps_the_named(
    node: Node, wallet: Wallet, tmp_path: Path
) -> None:
    line = Node.connect(node.url, outbox=Outbox(tmp_path))
    keys = ("once", "auto:one", None)
    before = [line.send(wallet, SOMEBODY, bytes([n]), key=k) for n, k in enumerate(keys)]
    assert line.outbox
    line.outbox.clear()
    after = [line.send(wallet, SOMEBODY, bytes([n]), key=k) for n, k in enumerate(keys)]
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, False]
    assert nonce(node, wallet) == 5


def test_clearing_leaves_what_another_process_waits_for(
    node: Node, wallet: Wallet, tmp_path: Path
) -> None:
    kill_a_sender(node, tmp_path, wallet, "eth_sendRawTransaction", before=False)
    other = Node.connect(node.url, outbox=Outbox(tmp_path))
    other.send(wallet, OTHER, b"", key="auto:two")
    assert other.outbox
    other.outbox.clear()
    send(node, tmp_path, wallet)
    assert nonce(node, wallet) == 2


def test_taking_up_finishes_what_is_there_and_starts_nothing(
    node: Node, wallet: Wallet, tmp_path: Path
) -> None:
    line = Node.connect(node.url, outbox=Outbox(tmp_path))
    assert line.take_up(wallet, "auto:one") is None
    assert not line.took_up
    kill_a_sender(node, tmp_path, wallet, "eth_sendRawTransaction", before=True)
    receipt = line.take_up(wallet, "auto:one")
    assert receipt is not None
    assert line.took_up
    assert receipt.block == node.head().number
    assert nonce(node, wallet) == 1


def test_without_an_outbox_every_call_sends(node: Node, wallet: Wallet) -> None:
    node.send(wallet, SOMEBODY, b"one", key="once")
    node.send(wallet, SOMEBODY, b"one", key="once")
    assert nonce(node, wallet) == 2


# ------------------------------------------------------------------ files

DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda body: b"",
    "cut": lambda body: body[:-20],
    "not json": lambda body: b"hello",
    "json of another kind": lambda body: b"[]",
    "no transaction": lambda body: b'{"raw": ""}',
    "a number": lambda body: b'{"raw": 5}',
    "a bit flipped": lambda body: body.replace(b'"raw": "02', b'"raw": "03'),
    "bytes that are cut": lambda body: body.replace(b'"}', b'').rstrip(b'"}')[:-8] + b'"}',
    "another's signature": lambda body: body[:-12] + b"0" * 10 + b'"}',
}  # fmt: skip


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_file_stops_everything(
    node: Node, wallet: Wallet, tmp_path: Path, how: str
) -> None:
    send(node, tmp_path, wallet)
    (path,) = tmp_path.iterdir()
    damaged = DAMAGE[how](path.read_bytes())
    assert damaged != path.read_bytes()
    path.write_bytes(damaged)
    with pytest.raises(StateError, match=f"{path} is damaged") as caught:
        send(node, tmp_path, wallet)
    assert wallet.address in str(caught.value)
    assert nonce(node, wallet) == 1
    assert path.read_bytes() == damaged


def test_nothing_is_sent_that_could_not_be_written_down(
    node: Node, wallet: Wallet, tmp_path: Path
) -> None:
    folder = tmp_path / "outbox"
    folder.write_text("a file stands where the folder should be")
    with pytest.raises(StateError, match="cannot be read: Not a directory"):
        send(node, folder, wallet)
    assert nonce(node, wallet) == 0


def test_an_outbox_that_nobody_used_leaves_nothing(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox")
    assert outbox.pending(1, SOMEBODY, None, b"", "key") is None
    outbox.clear()
    outbox.forget(1, SOMEBODY, None, b"", "key")
    assert not (tmp_path / "outbox").exists()


def test_signed_transactions_are_their_owner_s_alone(
    node: Node, wallet: Wallet, tmp_path: Path
) -> None:
    send(node, tmp_path / "outbox", wallet)
    (path,) = (tmp_path / "outbox").iterdir()
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


WRITER = """
import sys
from pathlib import Path
from medtoken.chain.outbox import write_durably
path = Path(sys.argv[1])
print("ready", flush=True)
for n in range(10**9):
    write_durably(path, b"%d" % (n % 10) * 100_000)
"""


def test_a_file_is_never_half_written(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for _ in range(3):
        with subprocess.Popen(
            python(WRITER, path), stdout=subprocess.PIPE, env=environment()
        ) as process:
            assert process.stdout
            process.stdout.readline()
            while not path.exists():
                pass
            seen = {path.read_bytes() for _ in range(50)}
            process.kill()
        seen.add(path.read_bytes())
        for body in seen:
            assert len(body) == 100_000
            assert len(set(body)) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StateError, match="cannot be written: Permission denied"):
        write_durably(tmp_path / "file", b"")

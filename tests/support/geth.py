"""A real geth for tests: a chain of its own on loopback, a block for each transaction."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from eth_utils import to_checksum_address

from medtoken.chain.devnet import HOST, dies_with, free_port
from medtoken.chain.node import Node
from medtoken.demo.people import cast
from medtoken.errors import NodeUnreachable

ROOT = Path(__file__).resolve().parents[2]
CHAIN_ID = 1337
PATIENCE = 120
ETHER = 10**18


@dataclass(frozen=True)
class Geth:
    """A running client, and its three doors."""

    node: Node
    ws: str
    ipc: str

    @property
    def rich(self) -> str:
        """The development account: geth holds its key, and it holds everything."""
        (account,) = self.node.rpc("eth_accounts")
        return str(to_checksum_address(account))

    def give(self, to: str, wei: int) -> None:
        """Send ether; it is there with one of the next blocks."""
        self.node.rpc("eth_sendTransaction", {"from": self.rich, "to": to, "value": hex(wei)})

    def finalise(self) -> None:
        """Have what is there become final: geth's development chain finalises every 32 blocks."""
        head = self.node.head().number
        while int(self.node.rpc("eth_getBlockByNumber", "finalized", False)["number"], 16) < head:
            self.give(self.rich, 1)

    def pass_blocks(self, blocks: int) -> None:
        """Have the chain grow by at least so many."""
        end = self.node.head().number + blocks
        while self.node.head().number < end:
            self.give(self.rich, 1)


@contextlib.contextmanager
def geth(program: Path, *, archive: bool = True) -> Iterator[Geth]:
    """A chain on which everybody of the demo holds ether. ``archive`` keeps the state of every block."""
    history = ("--gcmode", "archive", "--state.scheme", "hash") if archive else ("--gcmode", "full")
    # A path of a socket may have some hundred characters, and pytest's folders have more.
    with (
        tempfile.TemporaryDirectory(prefix="medtoken-geth-") as folder,
        contextlib.ExitStack() as end,
    ):
        http, ws, log = free_port(), free_port(), Path(folder) / "log"
        ipc = str(Path(folder) / "geth.ipc")
        process = subprocess.Popen(
            [
                *(program, "--dev", "--datadir", folder, "--ipcpath", ipc, *history),
                *("--http", "--http.addr", HOST, "--http.port", str(http)),
                *("--http.api", "eth,net,web3,debug"),
                *(
                    "--ws",
                    "--ws.addr",
                    HOST,
                    "--ws.port",
                    str(ws),
                    "--ws.api",
                    "eth,net,web3,debug",
                ),
                *("--nodiscover", "--maxpeers", "0", "--verbosity", "2"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=end.enter_context(open(log, "wb")),
            stderr=subprocess.STDOUT,
            preexec_fn=dies_with(os.getpid()) if sys.platform == "linux" else None,  # noqa: PLW1509
        )
        end.callback(process.wait, PATIENCE)
        end.callback(process.terminate)
        node = _connected(process, f"http://{HOST}:{http}", log)
        made = Geth(node, f"ws://{HOST}:{ws}", ipc)
        _fund(made)
        yield made


def _connected(process: subprocess.Popen[bytes], url: str, log: Path) -> Node:
    deadline = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None, log.read_text()
        try:
            return Node.connect(url, chain_id=CHAIN_ID)
        except NodeUnreachable:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)


def _fund(made: Geth) -> None:
    people = [wallet.address for wallet in cast().wallets.values()]
    for address in people:
        made.give(address, 1000 * ETHER)
    deadline = time.monotonic() + PATIENCE
    while not all(made.node.balance(address) for address in people):
        assert time.monotonic() < deadline
        time.sleep(0.1)

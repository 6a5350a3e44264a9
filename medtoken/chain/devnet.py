"""A private Anvil for development and demonstration: started on loopback, gone with its owner."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from eth_account import Account

from medtoken.chain.node import Node, Wallet
from medtoken.chain.outbox import Outbox
from medtoken.errors import NodeUnreachable, ToolMissing

CHAIN_ID = 31337
HOST = "127.0.0.1"
# Foundry's published development phrase: everybody knows these keys, they are worth nothing.
_PHRASE = "test test test test test test test test test test test junk"
_START_WITHIN = 20.0


def dev_wallet(index: int) -> Wallet:
    """One of Anvil's prefunded development accounts."""
    Account.enable_unaudited_hdwallet_features()
    return Wallet(Account.from_mnemonic(_PHRASE, account_path=f"m/44'/60'/0'/0/{index}"))


def find_anvil() -> str:
    """Where Anvil is: on PATH, else in node_modules. Raises ToolMissing."""
    found = shutil.which("anvil")
    if found:
        return found
    roots = [Path.cwd(), *Path.cwd().parents, *Path(__file__).resolve().parents]
    for root in roots:
        for binary in sorted(root.glob("node_modules/@foundry-rs/anvil-*/bin/anvil")):
            return str(binary)
    raise ToolMissing("Anvil is not installed; `make setup` installs it from npm.")


def free_port() -> int:
    """A TCP port on loopback that is free now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def anvil(
    port: int = 0,
    *,
    chain_id: int = CHAIN_ID,
    state: Path | None = None,
    outbox: Outbox | None = None,
    log: Path | None = None,
    hardfork: str | None = None,
) -> Iterator[Node]:
    """Run a private Anvil and connect to it; it is stopped on the way out, however that happens.

    ``port`` 0 takes a free one; ``state`` is a file in which the chain is kept between runs;
    ``hardfork`` None is the newest that Anvil knows. Raises ToolMissing when Anvil is not installed or the
    port is taken.
    """
    binary = find_anvil()
    port = port or free_port()
    with socket.socket() as probe:
        if probe.connect_ex((HOST, port)) == 0:
            raise ToolMissing(f"Port {port} on {HOST} is taken; choose another with --port.")
    command: list[str] = [
        binary,
        *("--host", HOST, "--port", str(port), "--chain-id", str(chain_id)),
        *("--slots-in-an-epoch", "1", "--accounts", "20", "--balance", "10000", "--quiet"),
        *(("--state", str(state)) if state else ()),
        *(("--hardfork", hardfork) if hardfork else ()),
    ]
    with contextlib.ExitStack() as stack:
        out: Any = stack.enter_context(open(log, "ab")) if log else subprocess.DEVNULL
        process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603  our own arguments
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=dies_with(os.getpid()) if sys.platform == "linux" else None,  # noqa: PLW1509
        )
        stack.callback(_stop, process)
        yield _connected(process, f"http://{HOST}:{port}", chain_id, outbox)


def _connected(
    process: subprocess.Popen[bytes], url: str, chain_id: int, outbox: Outbox | None
) -> Node:
    deadline = time.monotonic() + _START_WITHIN
    while True:
        if process.poll() is not None:
            raise ToolMissing(f"Anvil stopped at once with code {process.returncode}.")
        try:
            return Node.connect(url, chain_id=chain_id, outbox=outbox)
        except NodeUnreachable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def dies_with(parent: int) -> Callable[[], None]:
    """Ask Linux, in the child, to stop it when its parent is killed, even by SIGKILL."""
    import ctypes

    prctl, pr_set_pdeathsig = ctypes.CDLL(None).prctl, 1

    def ask() -> None:
        prctl(pr_set_pdeathsig, signal.SIGTERM)
        # The parent may have died before this was asked. (Its id may be 1: in a container.)
        if os.getppid() != parent:
            os._exit(1)

    return ask

"""What tests of the real thing need: an Anvil, medtoken as a process, a line that can break."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from medtoken.chain.contracts import Suite
from medtoken.chain.devnet import anvil
from medtoken.chain.node import Node
from medtoken.cli import main
from medtoken.demo.people import Cast, cast, deploy_devnet
from medtoken.home import Home
from support.sweep import SWEEP_ALL

ROOT = Path(__file__).resolve().parents[2]
MEDTOKEN = (sys.executable, "-c", "from medtoken.cli import main; main()")
DAY = 86_400
# Generous: it ends a test that hangs, and says nothing about speed.
PATIENCE = 300


def places(last: int, some: int) -> list[int]:
    """Numbers from 1 to ``last`` at which a campaign kills: ``some``, evenly spread; in a sweep each."""
    if SWEEP_ALL or some >= last:
        return list(range(1, last + 1))
    return [1 + (last - 1) * n // (some - 1) for n in range(some)]


# ---------------------------------------------------------------------------- the chain


@dataclass
class Chain:
    """A development chain with the suite and its people."""

    node: Node
    suite: Suite
    cast: Cast
    home: Home

    @contextlib.contextmanager
    def anchor(self) -> Iterator[None]:
        """Everything that happens inside on the chain is undone at the end."""
        mark = self.node.rpc("evm_snapshot")
        try:
            yield
        finally:
            assert self.node.rpc("evm_revert", mark)

    def mine(self, blocks: int = 3) -> None:
        """Three blocks make final what is there."""
        for _ in range(blocks):
            self.node.rpc("evm_mine")

    def warp(self, seconds: int) -> None:
        self.node.rpc("evm_increaseTime", seconds)
        self.node.rpc("evm_mine")

    def reorganise(self, blocks: int) -> None:
        """The last blocks are left, with what happened in them; as many others stand there."""
        left = self.node.head()
        # Another miner: else an empty block made in the same second is the very same block again.
        self.node.rpc("anvil_setCoinbase", "0x" + os.urandom(20).hex())
        self.node.rpc("anvil_reorg", blocks, [])
        assert self.node.block(left.number).hash != left.hash

    def settle(self) -> None:
        """What the node has taken is in blocks: it mines a moment after it has answered."""
        while int(self.node.rpc("txpool_status")["pending"], 16):
            time.sleep(0.01)

    def nonce(self, address: str) -> int:
        """How many transactions an account has sent."""
        return int(self.node.rpc("eth_getTransactionCount", address, "latest"), 16)

    def height(self) -> int:
        return self.node.head().number

    def events(self, name: str) -> list[dict[str, Any]]:
        """Arguments of every event of this name, in the chain's order."""
        contracts = (
            self.suite.market,
            self.suite.registry,
            self.suite.treasury,
            self.suite.usage,
        )
        last = self.height()
        logs = tuple(self.node.logs([c.address for c in contracts], 0, last))
        return [log.args for c in contracts for log in c.events(logs, name)]


@contextlib.contextmanager
def chain(folder: Path) -> Iterator[Chain]:
    """A private Anvil with the suite deployed; ``folder`` takes the home of who deployed it."""
    home = Home(folder)
    with anvil(outbox=home.outbox) as node:
        suite, people = deploy_devnet(node, home, lambda line: None)
        # Tests of the outbox make their own; here a test must not find what an earlier one sent.
        node.outbox = None
        yield Chain(node, Suite(node, suite.deployment), people, home)


def populated(folder: Path, source: Chain) -> Home:
    """A home of its own for one test: the people's wallets and the deployment record."""
    home = Home(folder)
    for name, wallet in cast().wallets.items():
        home.keep_wallet(name, wallet)
    source.suite.deployment.save(home.deployment(source.node.chain_id))
    return home


# ---------------------------------------------------------------------------- medtoken as a process


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def ok(self) -> Any:
        """The JSON that it printed, once it is sure that it succeeded."""
        assert self.code == 0, self.err
        return self.json


def environment(**more: str) -> dict[str, str]:
    """This process's environment without what a developer may have set for medtoken."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MEDTOKEN_")}
    return {**clean, "PYTHONPATH": str(ROOT), **more}


def medtoken(*args: str | Path, **env: str) -> Ran:
    """Run the command line to its end."""
    done = subprocess.run(
        [*MEDTOKEN, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment(**env),
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def medtoken_here(*args: str | Path, **env: str) -> Ran:
    """Run the command line to its end in this process, for tests that call it often."""
    words = [str(word) for word in args]
    out, err = io.StringIO(), io.StringIO()
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MEDTOKEN_")}
    with (
        mock.patch.object(sys, "argv", ["medtoken", *words]),  # what transactions are known by
        mock.patch.dict(os.environ, {**clean, **env}, clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
    return Ran(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def running(*args: str | Path, **env: str) -> Iterator[subprocess.Popen[str]]:
    """A command that is running; killed at the end if it still does."""
    process = subprocess.Popen(
        [*MEDTOKEN, *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**env),
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def kill_after_line(number: int, *args: str | Path, **env: str) -> bool:
    """Run a command and SIGKILL it once it has said so many lines on stderr.

    Returns False when it came to its end before that.
    """
    with running(*args, **env) as process:
        assert process.stderr is not None
        for _ in range(number):
            if not process.stderr.readline():
                process.wait(PATIENCE)
                return False
        process.kill()
        process.wait(PATIENCE)
        return process.returncode == -signal.SIGKILL


def kill_after(seconds: float, *args: str | Path, **env: str) -> bool:
    """Run a command and SIGKILL it after a time; False when it had ended by itself."""
    with running(*args, **env) as process:
        try:
            process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        return process.returncode == -signal.SIGKILL


def children(pid: int) -> list[int]:
    """The processes that a process has started and that are there now."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


def alive(pid: int) -> bool:
    """Whether a process runs (one that nobody has waited for yet does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pid: int) -> bool:
    """Whether a process ends; a signal takes a moment to arrive."""
    deadline = time.monotonic() + PATIENCE
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def listing(folder: Path) -> dict[str, str]:
    """Every file below a folder with the hash of its content; locks say nothing and are left out."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.parent.name != "locks" and path.name != "lock"
    }


# ---------------------------------------------------------------------------- a line that breaks

Reply = bytes
# Given the request's method and a way to ask the node, says what the client gets; None: nothing.
Hook = Callable[[str, Callable[[], Reply]], Reply | None]


@contextlib.contextmanager
def between(url: str, hook: Hook) -> Iterator[str]:
    """A line to a node on which ``hook`` sits; yields the line's own address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))

            def forward() -> Reply:
                request = urllib.request.Request(  # noqa: S310  our own node
                    url, body, {"Content-Type": "application/json"}
                )
                with urllib.request.urlopen(request) as answer:  # noqa: S310
                    return bytes(answer.read())

            asked = json.loads(body)
            # Key keepers ask many things at once, and never send.
            reply = hook(asked["method"] if isinstance(asked, dict) else "batch", forward)
            if reply is not None:
                _reply(self, 200, reply)

        def log_message(self, *args: Any) -> None:
            pass

    with _serving(Handler) as address:
        yield address


@contextlib.contextmanager
def killed_at(
    url: str, at: str, command: Callable[[str], Sequence[str]], *, before: bool = False
) -> Iterator[str]:
    """Have a process SIGKILLed when it first asks ``at`` of the node at ``url``.

    ``command`` gives what to run from the address of the line; the node has heard the request, or not
    where ``before`` is set. Yields the line's address: it holds from then on.
    """
    victim: list[subprocess.Popen[str]] = []
    killed = False

    def hook(method: str, forward: Callable[[], Reply]) -> Reply | None:
        nonlocal killed
        if killed or method != at:
            return forward()
        killed = True
        if not before:
            forward()
        victim[0].kill()
        return None

    with between(url, hook) as line:
        with subprocess.Popen(
            command(line),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        ) as process:
            victim.append(process)
            out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == -signal.SIGKILL, err
        assert out == ""
        yield line


@contextlib.contextmanager
def answering(body: bytes, status: int = 200) -> Iterator[str]:
    """A server that answers everything in the same way."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            _reply(self, status, body)

        def log_message(self, *args: Any) -> None:
            pass

    with _serving(Handler) as address:
        yield address


def _reply(handler: http.server.BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


@contextlib.contextmanager
def _serving(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def python(script: str, *args: Any) -> Sequence[str]:
    """The command that runs a few lines of Python with the package at hand."""
    return [sys.executable, "-c", script, *map(str, args)]

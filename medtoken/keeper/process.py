"""Key keepers as processes of their own on loopback, for tests, demonstrations and measurements."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from medtoken.chain.devnet import dies_with
from medtoken.errors import StateError
from medtoken.keeper.client import HttpKeeper, configure_keepers

_START_WITHIN = 60.0


class KeeperProcess:
    """One keeper that can be stopped, killed and started again at the same address."""

    def __init__(
        self,
        folder: Path,
        *,
        rpc: str,
        deployment: Path,
        name: str,
        options: Sequence[str] = (),
        environment: dict[str, str] | None = None,
    ) -> None:
        """Nothing runs yet. ``options`` are more of ``medtoken keeper serve``'s."""
        self.folder = folder
        self.name = name
        self.log = folder / "keeper.log"
        self._command = [
            *(sys.executable, "-m", "medtoken.keeper", "--json"),
            *("--rpc", rpc, "--deployment", str(deployment)),
            *("--data", str(folder), "--name", name, *options),
        ]
        self._environment = {**os.environ, **(environment or {})}
        self._port = 0
        self.process: subprocess.Popen[str] | None = None

    def spawn(self) -> None:
        """Start it; ``ready`` waits."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.log.open("a") as log:
            self.process = subprocess.Popen(  # noqa: S603  our own module
                [*self._command, "--port", str(self._port)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self._environment,
                start_new_session=True,
                preexec_fn=dies_with(os.getpid()) if sys.platform == "linux" else None,  # noqa: PLW1509
            )

    def ready(self) -> HttpKeeper:
        """The keeper, once it answers. Raises StateError when it does not start."""
        process = self.process
        if process is None or process.stdout is None:
            raise StateError("The key keeper was not started.")
        deadline = time.monotonic() + _START_WITHIN
        line = ""
        while not line and time.monotonic() < deadline:
            if select.select([process.stdout], [], [], 0.2)[0]:
                line = process.stdout.readline()
                break
        try:
            told = json.loads(line)
        except ValueError:
            self.kill()
            said = self.log.read_text().strip().splitlines()
            raise StateError(f"The {self.name} did not start: {said[-1:] or 'no word'}.") from None
        self._port = int(told["url"].rpartition(":")[2])
        return HttpKeeper(told["url"], bytes.fromhex(told["keeper"][2:]), name=self.name)

    def start(self) -> HttpKeeper:
        """Start it and wait until it answers."""
        self.spawn()
        return self.ready()

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it hang: it takes connections and does not answer."""
        if self.process is not None:
            self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        process = self.process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(how)
            process.send_signal(signal.SIGCONT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdout is not None:
            process.stdout.close()
        self.process = None


@contextlib.contextmanager
def keeper_processes(
    folder: Path,
    *,
    rpc: str,
    deployment: Path,
    count: int = 3,
    options: Sequence[str] = ("--chain-clock",),
) -> Iterator[list[KeeperProcess]]:
    """Some keepers, each with a folder of its own; all are gone on the way out, however it ends.

    ``KeeperProcess.ready`` gives each as a client; they start at the same time.
    """
    keepers = [
        KeeperProcess(
            folder / str(number),
            rpc=rpc,
            deployment=deployment,
            name=f"keeper {number}",
            options=options,
        )
        for number in range(1, count + 1)
    ]
    with contextlib.ExitStack() as stack:
        for keeper in keepers:
            stack.callback(keeper.stop)
            keeper.spawn()
        yield keepers


@contextlib.contextmanager
def running_keepers(
    folder: Path, configuration: Path, *, rpc: str, deployment: Path
) -> Iterator[list[HttpKeeper]]:
    """Three keepers, and the ``keepers.json`` that names them for as long as they run."""
    with keeper_processes(folder, rpc=rpc, deployment=deployment) as processes:
        clients = [process.ready() for process in processes]
        configure_keepers(configuration, clients)
        try:
            yield clients
        finally:
            configuration.unlink(missing_ok=True)

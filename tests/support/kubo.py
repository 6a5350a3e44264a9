"""Real Kubo daemons for tests and benchmarks: loopback only, random ports, no way to the world."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120
# Only nodes with this key talk to each other.
_SWARM_KEY = "/key/swarm/psk/1.0.0/\n/base16/\n" + "6d65646b" * 8 + "\n"


class Daemon:
    """One running node and its repository."""

    def __init__(self, program: Path, repo: Path) -> None:
        self.repo = repo
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def api(self) -> str:
        """The RPC's multiaddress."""
        return (self.repo / "api").read_text().strip()

    @property
    def gateway(self) -> str:
        """The gateway's URL."""
        return (self.repo / "gateway").read_text().strip()

    @property
    def address(self) -> str:
        """Where other nodes reach it."""
        addresses: list[str] = json.loads(self.ipfs("id"))["Addresses"]
        return next(a for a in addresses if a.startswith("/ip4/127.0.0.1/tcp/"))

    def ipfs(self, *args: str | Path, stdin: bytes | None = None) -> str:
        """Run Kubo's own command line on this node; what it printed."""
        done = subprocess.run(
            [self._program, *args],
            input=stdin,
            capture_output=True,
            check=False,
            env=self._environment(),
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode(errors="replace")

    def at_work(self, command: str) -> bool:
        """Whether it is still busy with such a command, perhaps of a caller that is gone."""
        lines = (line.split() for line in self.ipfs("diag", "cmds").splitlines())
        return any(line[:2] == [command, "true"] for line in lines)

    def init(self, settings: Mapping[str, Any]) -> None:
        """Make the repository; ``settings`` are entries of its configuration."""
        self.ipfs("init", "--profile=test")
        (self.repo / "swarm.key").write_text(_SWARM_KEY)
        path = self.repo / "config"
        config = json.loads(path.read_text())
        config["Bootstrap"] = []
        config["Routing"]["Type"] = "none"
        for name, value in settings.items():
            section, _, key = name.partition(".")
            config[section][key] = value
        path.write_text(json.dumps(config))

    def start(self) -> None:
        """Start the daemon and wait until it is ready."""
        for name in ("api", "gateway"):
            (self.repo / name).unlink(missing_ok=True)
        log = self.repo / "daemon.log"
        with open(log, "wb") as out:
            self._process = subprocess.Popen(
                [self._program, "daemon"],
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=self._environment(),
            )
        deadline = time.monotonic() + PATIENCE
        while "Daemon is ready" not in log.read_text():
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process:
            self._process.kill()
            self._process.wait(PATIENCE)
            self._process = None
            for name in ("api.lock", "repo.lock"):
                (self.repo / name).unlink(missing_ok=True)

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "IPFS_PATH": str(self.repo),
            "IPFS_TELEMETRY": "off",
            "LIBP2P_FORCE_PNET": "1",
        }


@contextlib.contextmanager
def daemon(program: Path, repo: Path, **settings: Any) -> Iterator[Daemon]:
    """A running node; its repository is deleted at the end. ``Section__Key=value`` configures."""
    node = Daemon(program, repo)
    repo.mkdir(parents=True)
    try:
        node.init({name.replace("__", "."): value for name, value in settings.items()})
        node.start()
        yield node
    finally:
        node.kill()
        shutil.rmtree(repo, ignore_errors=True)

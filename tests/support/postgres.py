"""A real PostgreSQL for tests, from the machine's own package, in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

USER = "postgres"
_START_WITHIN = 60


def binaries() -> Path | None:
    """Where PostgreSQL's programs are; Debian leaves them off PATH."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return debian[-1].parent if debian else None


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """A server on a socket of its own; yields the URL of its database. Skips where there is none.

    PostgreSQL refuses to run as root: there it runs as its package's own user.
    """
    where = binaries()
    if where is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is not installed, and CI is to test with it: make postgres")
        pytest.skip("PostgreSQL is not installed: make postgres")
    user = USER if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="medtoken-pg-") as name:
        folder = Path(name)
        if user:
            shutil.chown(folder, user)
        folder.chmod(0o755)
        data = folder / "data"
        subprocess.run(
            [where / "initdb", "-D", data, "-U", USER, "-A", "trust", "-N"],
            check=True,
            capture_output=True,
            user=user,
            cwd=folder,
        )
        server = subprocess.Popen(
            [where / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses="],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=user,
            cwd=folder,
        )
        url = f"postgresql://{USER}@/postgres?host={folder}"
        try:
            _wait(url, server)
            yield url
        finally:
            server.send_signal(signal.SIGINT)  # a fast shutdown
            server.wait(30)


def fresh_database(url: str, name: str) -> str:
    """Another database on the same server, empty."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')  # type: ignore[arg-type]
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]
    return url.replace("/postgres?", f"/{name}?")


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_WITHIN
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return

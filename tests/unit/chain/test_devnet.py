"""The private Anvil: it starts where there is room, and no longer than its owner lives."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest
from support.live import PATIENCE, alive, children, environment, python, wait_until_gone

from medtoken.chain.devnet import anvil, dev_wallet, find_anvil, free_port
from medtoken.chain.node import Node
from medtoken.errors import NodeUnreachable, ToolMissing

OWNER = """
import signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored by everybody below
from medtoken.chain.devnet import anvil
with anvil() as node:
    print(node.url, flush=True)
    sys.stdin.read()
"""


def test_it_runs_inside_and_is_gone_outside() -> None:
    with anvil() as node:
        (pid,) = [p for p in children(os.getpid()) if "anvil" in _name(p)][-1:]
        assert node.chain_id == 31337
        assert node.balance(dev_wallet(0).address) > 0
    assert not alive(pid)
    with pytest.raises(NodeUnreachable):
        node.head()


def _name(pid: int) -> str:
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/comm").read_text()
    return ""


def test_it_is_gone_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), anvil() as node:
        raise ZeroDivisionError
    with pytest.raises(NodeUnreachable):
        node.head()


def test_only_this_machine_can_reach_it() -> None:
    with anvil() as node:
        port = int(node.url.rpartition(":")[2])
        listening = [
            line.split()[1]
            for table in ("tcp", "tcp6")
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
            if line.split()[3] == "0A" and line.split()[1].endswith(f":{port:04X}")
        ]
        assert listening == [f"0100007F:{port:04X}"]


def test_two_run_beside_each_other() -> None:
    with anvil() as one, anvil(chain_id=5) as two:
        assert one.url != two.url
        assert (one.chain_id, two.chain_id) == (31337, 5)


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        before = children(os.getpid())
        with pytest.raises(ToolMissing, match=f"Port {port} on 127.0.0.1 is taken"), anvil(port):
            pass
        assert children(os.getpid()) == before


def test_a_port_that_is_free() -> None:
    port = free_port()
    with anvil(port) as node:
        assert node.url == f"http://127.0.0.1:{port}"


def test_without_anvil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("medtoken.chain.devnet.__file__", str(tmp_path / "devnet.py"))
    with pytest.raises(ToolMissing, match="Anvil is not installed"):
        find_anvil()


def test_an_anvil_that_cannot_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "anvil"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(broken.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(ToolMissing, match="stopped at once with code 3"), anvil():
        pass


def test_its_chain_can_be_kept(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    with anvil(state=state) as node:
        node.send(dev_wallet(3), "0x" + "11" * 20, b"kept")
    with anvil(state=state) as node:
        assert int(node.rpc("eth_getTransactionCount", dev_wallet(3).address, "latest"), 16) == 1


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_dies_with_its_owner(end: signal.Signals) -> None:
    with subprocess.Popen(
        python(OWNER),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as owner:
        assert owner.stdout
        url = owner.stdout.readline().strip()
        (pid,) = children(owner.pid)
        assert Node.connect(url).chain_id == 31337
        owner.send_signal(end)
        owner.wait(PATIENCE)
    assert wait_until_gone(pid)


def test_it_does_not_hear_the_terminal_s_ctrl_c() -> None:
    with anvil() as node:
        (pid,) = [p for p in children(os.getpid()) if "anvil" in _name(p)][-1:]
        assert os.getpgid(pid) != os.getpgid(0)
        assert node.head().number == 0


def test_its_owner_may_be_process_1() -> None:
    unshare = shutil.which("unshare")
    alone = [unshare or "", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    if not unshare or subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let a test have processes of its own")
    done = subprocess.run(
        [*alone, *python(OWNER)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("http://127.0.0.1:")

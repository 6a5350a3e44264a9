"""Tables from a real node: over every transport, whatever it allows, and whatever goes wrong."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.liar import Liar, liar
from support.live import Chain, environment, medtoken_here, python
from support.stage import Stage
from support.tables import every_file

from medtoken.audit.tables import Extracted, extract, load
from medtoken.deploy.record import Deployment
from medtoken.errors import (
    BadInput,
    DeploymentError,
    IntegrityError,
    MedtokenError,
    NodeUnreachable,
    ProofFailed,
    WrongChain,
)

Files = dict[str, bytes]


@pytest.fixture
def node(stage: Stage) -> Iterator[Liar]:
    with liar(stage.chain.node.url) as found:
        yield found


@pytest.fixture
def deployment(stage: Stage) -> Deployment:
    return stage.chain.suite.deployment


@pytest.fixture
def plain(stage: Stage, deployment: Deployment, tmp_path: Path) -> Files:
    """What an honest node and a run without any trouble give."""
    extract(stage.chain.node.url, deployment, tmp_path / "plain", depth=0)
    return dict(every_file(tmp_path / "plain"))


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few events make a segment, so that there are several."""
    monkeypatch.setattr("medtoken.audit.tables.reading.SEGMENT", 60)
    monkeypatch.setattr("medtoken.audit.tables.logs._MOST_BLOCKS", 8)


def read(node: Liar | str, deployment: Deployment, out: Path, **more: Any) -> Extracted:
    url = node if isinstance(node, str) else node.url
    more = {"depth": 0, "timeout": 60.0} | more
    return extract(url, deployment, out, **more)


def files(out: Path) -> Files:
    return dict(every_file(out))


def only_tables(found: Files) -> Files:
    return {name: body for name, body in found.items() if name.endswith(".parquet")}


@contextlib.contextmanager
def ipc(url: str, path: Path) -> Iterator[Path]:
    """A socket in the file system behind which a node answers over WebSocket."""
    from websockets.sync.client import connect

    parts = urlsplit(url)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def serve(line: socket.socket) -> None:
        with line, connect(f"ws://{parts.netloc}", max_size=None, proxy=None) as upstream:
            rest = b""
            while part := line.recv(1 << 16):
                *asked, rest = (rest + part).split(b"\n")
                for one in asked:
                    upstream.send(one.decode())
                    line.sendall(upstream.recv(decode=False))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = server.accept()
                threading.Thread(target=serve, args=(line,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield path
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


# ---------------------------------------------------------------------------- the same bytes


@pytest.mark.parametrize("way", ["ws", "ipc", "anchor"])
def test_every_way_gives_the_same_tables(
    way: str, stage: Stage, deployment: Deployment, plain: Files, tmp_path: Path
) -> None:
    url, out, more = stage.chain.node.url, tmp_path / "out", {}
    with contextlib.ExitStack() as stack:
        if way == "ws":
            url = url.replace("http", "ws")
        elif way == "ipc":
            url = str(stack.enter_context(ipc(url, tmp_path / "ipc")))
        else:
            more = {"anchor": bytes(stage.chain.node.head().hash)}
        read(url, deployment, out, **more)
    found = load(out)
    assert only_tables(files(out)) == only_tables(plain)
    assert found.manifest.rows > 150
    assert len(found.manifest.cuts) > 1
    if way == "anchor":
        assert found.manifest.anchor == "0x" + stage.chain.node.head().hash.hex()
    else:
        assert files(out) == plain


def test_the_tables_hold_every_log(stage: Stage, plain: Files, tmp_path: Path) -> None:
    last = stage.chain.node.head().number
    logs = stage.chain.node.rpc("eth_getLogs", {"fromBlock": "0x0", "toBlock": hex(last)})
    found = load(tmp_path / "plain")
    assert found.manifest.rows == len(logs)
    places = sorted(
        (row["block_number"], row["log_index"])
        for table in found.by_name.values()
        for row in table.read().select(["block_number", "log_index"]).to_pylist()
    )
    expected = sorted((int(log["blockNumber"], 16), int(log["logIndex"], 16)) for log in logs)
    assert places == expected


@pytest.mark.parametrize("most", [1, 3, 7])
def test_ranges_are_halved_until_the_node_allows_them(
    node: Liar, deployment: Deployment, plain: Files, tmp_path: Path, most: int
) -> None:
    def lie(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getLogs":
            asked = params[0]
            if int(asked["toBlock"], 16) - int(asked["fromBlock"], 16) >= most:
                return Exception("query exceeds max block range")
        return result

    node.lie = lie
    read(node, deployment, tmp_path / "out")
    assert files(tmp_path / "out") == plain


def test_long_answers_are_asked_for_in_parts(
    node: Liar,
    deployment: Deployment,
    plain: Files,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("medtoken.audit.tables.logs._LONGEST", 6_000)
    read(node, deployment, tmp_path / "out")
    assert files(tmp_path / "out") == plain
    monkeypatch.setattr("medtoken.audit.tables.logs._LONGEST", 1)  # less than any block
    read(node, deployment, tmp_path / "again")
    assert files(tmp_path / "again") == plain


def test_a_proven_emitter_in_capitals_hides_nothing(
    node: Liar, stage: Stage, deployment: Deployment, plain: Files, tmp_path: Path
) -> None:
    def lie(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getBlockReceipts":
            for receipt in result:
                for log in receipt["logs"]:
                    log["address"] = "0x" + log["address"][2:].upper()
        return result

    node.lie = lie
    read(node, deployment, tmp_path / "out", anchor=bytes(stage.chain.node.head().hash))
    assert only_tables(files(tmp_path / "out")) == only_tables(plain)


def test_a_node_that_tells_no_times_is_asked_for_them(
    node: Liar, deployment: Deployment, plain: Files, tmp_path: Path
) -> None:
    def lie(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getLogs":
            return [{k: v for k, v in log.items() if k != "blockTimestamp"} for log in result]
        return result

    node.lie = lie
    read(node, deployment, tmp_path / "out")
    assert files(tmp_path / "out") == plain


_KILLED = """
import os, signal, sys
from pathlib import Path
import medtoken.audit.tables.reading as module
from medtoken.deploy.record import Deployment
url, record, out, every = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
module.SEGMENT = 60
deployment = Deployment.load(record)
kills = 0
for at in range(1, 10_000, every):
    child = os.fork()
    if child == 0:
        left = [at]
        def counted(call):
            def calling(*args, **more):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*args, **more)
            return calling
        os.replace, os.fsync, os.unlink = counted(os.replace), counted(os.fsync), counted(os.unlink)
        Path.unlink = counted(Path.unlink)
        module.extract(url, deployment, out / str(at), depth=0)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == 0:
        break
    assert code == -signal.SIGKILL, code
    kills += 1
    again = os.fork()
    if again == 0:
        module.extract(url, deployment, out / str(at), depth=0)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(again, 0)[1]) == 0
print(kills)
"""


@pytest.mark.parametrize(
    "every", [30, pytest.param(3, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_a_run_that_was_killed_ends_in_the_same_bytes(
    stage: Stage, deployment: Deployment, plain: Files, tmp_path: Path, every: int
) -> None:
    import subprocess

    deployment.save(tmp_path / "record.json")
    (tmp_path / "runs").mkdir()
    done = subprocess.run(
        python(_KILLED, stage.chain.node.url, tmp_path / "record.json", tmp_path / "runs", every),
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 3
    runs = sorted((tmp_path / "runs").iterdir())
    assert len(runs) == int(done.stdout) + 1
    for run in runs:
        assert files(run) == plain, run.name


def test_later_blocks_are_added_and_damaged_files_fetched_again(
    stage: Stage, deployment: Deployment, tmp_path: Path
) -> None:
    url, out = stage.chain.node.url, tmp_path / "out"
    read(url, deployment, out, depth=20)
    first = load(out)
    assert first.manifest.last is not None
    assert first.manifest.last.number == stage.chain.height() - 20
    path = first["access_manager_role_granted"].paths[1]
    path.write_bytes(path.read_bytes()[:100])
    other = first["tariff_factor_changed"].paths[1]
    other.unlink()
    with pytest.raises(IntegrityError):
        load(out)
    found = read(url, deployment, out, depth=20)
    assert found.events == 0
    assert {Path(name).name for name in found.mended} == {path.name, other.name}
    assert read(url, deployment, out, depth=0).events > 0
    read(url, deployment, tmp_path / "fresh", depth=20)
    read(url, deployment, tmp_path / "fresh", depth=0)
    assert files(out) == files(tmp_path / "fresh")


# ---------------------------------------------------------------------------- forks


def test_what_a_fork_left_behind_is_dropped_and_read_again(
    stage: Stage, deployment: Deployment, tmp_path: Path
) -> None:
    url, out = stage.chain.node.url, tmp_path / "out"
    stage.chain.mine(8)  # a fork below a snapshot could not be undone
    before = read(url, deployment, out)
    stage.chain.reorganise(5)
    found = read(url, deployment, out)
    assert found.rolled_back is not None
    assert before.manifest.first_block < found.rolled_back < before.manifest.first_block + 10_000
    read(url, deployment, tmp_path / "fresh")
    assert files(out) == files(tmp_path / "fresh")


def test_a_fork_in_the_middle_of_a_run_is_noticed(
    node: Liar, stage: Stage, deployment: Deployment, tmp_path: Path
) -> None:
    asked = [0]
    stage.chain.mine(8)

    def lie(method: str, params: list[Any], result: Any) -> Any:
        asked[0] += method == "eth_getLogs"
        if asked[0] == 6 and method == "eth_getLogs":
            stage.chain.reorganise(4)
        return result

    node.lie = lie
    read(node, deployment, tmp_path / "out")
    node.lie = lambda method, params, result: result
    read(node, deployment, tmp_path / "fresh")
    assert files(tmp_path / "out") == files(tmp_path / "fresh")


# ---------------------------------------------------------------------------- bad input


def refused(
    node: Liar, deployment: Deployment, out: Path, kind: type[MedtokenError], text: str
) -> None:
    with pytest.raises(kind, match=text):
        read(node, deployment, out)


def test_a_record_of_another_chain_or_suite_is_refused(
    node: Liar, deployment: Deployment, tmp_path: Path
) -> None:
    other = replace(deployment, chain_id=5)
    refused(node, other, tmp_path / "a", WrongChain, "on chain 31337.*record is of chain 5")
    moved = {
        **deployment.contracts,
        "Tariff": replace(deployment.contracts["Tariff"], address="0x" + "77" * 20),
    }
    refused(
        node,
        replace(deployment, contracts=moved),
        tmp_path / "b",
        DeploymentError,
        "no contract at 0x7777.*Tariff",
    )
    tariff = deployment.contracts["Tariff"].address
    twice = {
        **deployment.contracts,
        "Treasury": replace(deployment.contracts["Treasury"], address=tariff),
    }
    refused(
        node,
        replace(deployment, contracts=twice),
        tmp_path / "d",
        DeploymentError,
        "has Treasury and Tariff at one address",
    )
    assert not (tmp_path / "d").exists()
    node.lie = lambda method, params, result: [] if method == "eth_getLogs" else result
    refused(node, deployment, tmp_path / "c", DeploymentError, "tells of no event of this suite")


def test_tables_of_another_chain_are_left_alone(
    node: Liar, deployment: Deployment, plain: Files, tmp_path: Path
) -> None:
    def lie(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getBlockByNumber" and result and params[0] != "latest":
            return {**result, "hash": "0x" + "88" * 32}
        return result

    node.lie = lie
    refused(node, deployment, tmp_path / "plain", WrongChain, "is on another chain")
    assert files(tmp_path / "plain") == plain


def test_a_node_that_lags_behind_the_tables_is_named(
    node: Liar, deployment: Deployment, plain: Files, tmp_path: Path
) -> None:
    last = load(tmp_path / "plain").manifest.last
    assert last is not None
    node.lie = lambda method, params, result: (
        None if method == "eth_getBlockByNumber" and params[0] == hex(last.number) else result
    )
    refused(node, deployment, tmp_path / "plain", NodeUnreachable, "lags behind")
    assert files(tmp_path / "plain") == plain


@pytest.mark.parametrize(
    ("trouble", "text"),
    [
        ("pruned", "gives no logs of block .*history has been pruned"),
        ("first", "has no block .* in which the suite begins"),
        ("nonsense", "no usable answer"),
        ("other", "where those of blocks"),
    ],
)
def test_what_a_node_cannot_serve_is_named_and_the_rest_kept(
    node: Liar, deployment: Deployment, plain: Files, tmp_path: Path, trouble: str, text: str
) -> None:
    out = tmp_path / "out"
    asked = [0]

    def lie(method: str, params: list[Any], result: Any) -> Any:
        if trouble == "first":
            first = hex(deployment.first_block)
            return None if params[:1] == [first] else result
        if method != "eth_getLogs":
            return result
        asked[0] += 1
        if asked[0] < 14:
            return result
        if trouble == "pruned":
            return Exception("history has been pruned")
        return (
            {"logs": 7}
            if trouble == "nonsense"
            else [{**log, "blockNumber": "0x1"} for log in result]
        )

    node.lie = lie
    refused(node, deployment, out, NodeUnreachable, text)
    if trouble != "first":
        assert 0 < load(out).manifest.rows < load(tmp_path / "plain").manifest.rows
    node.lie = lambda method, params, result: result
    read(node, deployment, out)
    assert files(out) == plain


def test_a_node_that_stalls_is_named_and_the_next_run_goes_on(
    node: Liar, deployment: Deployment, plain: Files, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    asked = [0]

    def lie(method: str, params: list[Any], result: Any) -> Any:
        asked[0] += method == "eth_getLogs"
        if asked[0] == 14:
            node.silent.set()
        return result

    node.lie = lie
    with pytest.raises(NodeUnreachable, match="was silent for 4 s"):
        read(node, deployment, out, timeout=4.0)
    node.lie = lambda method, params, result: result
    node.silent.clear()
    kept = load(out).manifest.rows
    assert kept > 0
    found = read(node, deployment, out)
    assert found.events == found.manifest.rows - kept
    assert files(out) == plain


# ---------------------------------------------------------------------------- proven


def test_a_lie_ends_a_proven_run_and_an_honest_node_goes_on(
    node: Liar, stage: Stage, deployment: Deployment, plain: Files, tmp_path: Path
) -> None:
    anchor, out = bytes(stage.chain.node.head().hash), tmp_path / "out"
    left = [100]

    def lie(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getBlockReceipts":
            left[0] -= 1
            if left[0] < 0 and result[0]["logs"]:
                result[0]["logs"].pop()
        return result

    node.lie = lie
    with pytest.raises(ProofFailed, match="are not those that its header commits to"):
        read(node, deployment, out, anchor=anchor)
    assert load(out).manifest.anchor is None
    assert load(out).manifest.rows > 0
    node.lie = lambda method, params, result: result
    read(node, deployment, out, anchor=anchor)
    assert only_tables(files(out)) == only_tables(plain)
    # Once more changes nothing; an earlier block vouches for too little.
    assert read(node, deployment, out, anchor=anchor).events == 0
    earlier = bytes(stage.chain.node.block(stage.chain.height() - 2).hash)
    with pytest.raises(BadInput, match="reach to block"):
        read(node, deployment, out, anchor=earlier)
    with pytest.raises(BadInput, match="go on in the same way"):
        read(node, deployment, out)


# ---------------------------------------------------------------------------- the command


def test_the_command_says_what_it_did(stage: Stage, deployment: Deployment, tmp_path: Path) -> None:
    deployment.save(tmp_path / "record.json")
    words = ("audit", "extract", "--rpc", stage.chain.node.url, "--out", tmp_path / "out")
    given = (*words, "--deployment", tmp_path / "record.json", "--depth", "0", "--json")
    found = medtoken_here(*given).ok()
    assert found["events"] == found["added"] == load(tmp_path / "out").manifest.rows
    assert found["last_block"] == stage.chain.height()
    assert found["undecoded"] == 0
    assert medtoken_here(*given).ok()["added"] == 0
    assert medtoken_here(*words).code == 2
    anchor = "0x" + stage.chain.node.head().hash.hex()
    clash = medtoken_here(*given, "--anchor", anchor)
    assert (clash.code, "goes with neither" in clash.err) == (2, True)


def test_followed_blocks_appear(
    live: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two looks at the head: at the second there are more blocks, at the third it is stopped."""
    looks = [0]

    def pause(seconds: float) -> None:
        looks[0] += 1
        if looks[0] == 2:
            raise KeyboardInterrupt
        live.mine(4)

    monkeypatch.setattr("medtoken.audit.tables.reading.time.sleep", pause)
    head = live.height()
    with pytest.raises(KeyboardInterrupt):
        read(live.node.url, live.suite.deployment, tmp_path / "out", depth=2, follow=True)
    last = load(tmp_path / "out").manifest.last
    assert last is not None
    assert last.number == head + 2
    assert os.listdir(tmp_path / "out")

"""A real daemon behind the same interface: same bytes, same CIDs, pinned, resumable, checked."""

from __future__ import annotations

import http.server
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.kubo import PATIENCE, Daemon
from support.memory import PEAK

from medtoken.errors import BadInput, IntegrityError, StoreError
from medtoken.ipfs import (
    CID,
    LEAF_SIZE,
    BlockMissing,
    CarFile,
    Codec,
    EmbeddedStore,
    KuboStore,
    check,
    file_cid,
    repair,
    write_car,
)
from medtoken.ipfs._store import walk

VECTORS = json.loads(
    (Path(__file__).parents[2] / "unit" / "ipfs" / "vectors.json").read_text(encoding="utf-8")
)
PERIOD = 1048583
TABLE = bytes((j * j + j // 256 + j // 65536) % 251 for j in range(PERIOD))
SIZES = [file for file in VECTORS["files"] if file["size"] < 1 << 23]


class Spy(KuboStore):
    """Remembers the blocks that it sends one by one."""

    def __init__(self, api: str) -> None:
        super().__init__(api)
        self.sent: list[CID] = []

    def _send(self, cid: CID, block: bytes | memoryview) -> None:
        self.sent.append(cid)
        super()._send(cid, block)


class Breaking(io.BytesIO):
    """Gives so many bytes and then an error, once ``ready``."""

    def __init__(
        self, data: bytes, error: Exception, ready: Callable[[], bool] = lambda: True
    ) -> None:
        super().__init__(data)
        self.error, self.ready = error, ready

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = super().readinto(buffer)
        if not count:
            until(self.ready)
            raise self.error
        return count


def until(true: Callable[[], bool]) -> None:
    """Wait until it is so; the daemon goes on by itself, at its own pace."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def flat_file(node: Daemon, block: bytes) -> Path:
    """Where the daemon keeps a block."""
    (found,) = [p for p in (node.repo / "blocks").glob("*/*.data") if p.read_bytes() == block]
    return found


@pytest.mark.parametrize("file", SIZES, ids=lambda file: str(file["size"]))
def test_both_stores_give_the_same_cids_and_bytes(
    store: KuboStore, embedded: EmbeddedStore, node: Daemon, file: dict[str, Any]
) -> None:
    data = (TABLE * 6)[: file["size"]]
    cid = store.add_file(io.BytesIO(data))
    assert str(cid) == file["cid"]
    assert embedded.add_file(io.BytesIO(data)) == cid
    assert file_cid(store.open(cid)) == cid
    assert list(store.pins()) == list(embedded.pins()) == [cid]
    for block in walk(cid, embedded.get_block):
        assert store.get_block(block) == embedded.get_block(block)
    assert str(cid) in node.ipfs("pin", "ls", "--type=recursive", "--quiet")


def test_a_small_file_that_is_there_already_is_pinned(store: KuboStore) -> None:
    cid = store.put_block(b"small")
    assert list(store.pins()) == []
    assert store.add_file(io.BytesIO(b"small")) == cid
    assert list(store.pins()) == [cid]


def test_progress_tells_the_bytes_done(store: KuboStore, stream: io.BytesIO) -> None:
    for _ in ("sent", "found there"):
        stream.seek(0)
        seen: list[int] = []
        store.add_file(stream, seen.append)
        assert seen == sorted(seen)
        assert len(seen) >= 20
        assert seen[-1] == stream.tell()


def test_what_an_interrupted_call_left_there_is_not_sent_again(
    node: Daemon, store: KuboStore, content: bytes
) -> None:
    leaves = [CID.of(content[at : at + LEAF_SIZE]) for at in range(0, len(content), LEAF_SIZE)]
    taken = KuboStore(node.api)
    broke = OSError("the disk broke")
    # Kubo writes in batches of 8 MiB, the blocks of each in no order, and what it has of the next
    # batch when the upload breaks off, it may write or not.
    with pytest.raises(OSError, match="the disk broke"):
        store.add_file(
            Breaking(content[: 17 << 20], broke, lambda: all(map(taken.has, leaves[:8])))
        )
    until(lambda: not node.at_work("add"))
    cid = file_cid(io.BytesIO(content))
    assert list(store.pins()) == []
    there = {leaf for leaf in leaves if store.has(leaf)}
    assert set(leaves[:8]) <= there <= set(leaves[:17])
    spy = Spy(node.api)
    assert spy.add_file(io.BytesIO(content)) == cid
    assert set(spy.sent) == {*leaves, cid} - there
    assert list(store.pins()) == [cid]
    assert check(KuboStore(node.api, offline=True), cid).sound
    sent = len(spy.sent)
    assert spy.add_file(io.BytesIO(content)) == cid
    assert len(spy.sent) == sent


ADD_AND_DIE = """
import os, signal, sys
from medtoken.ipfs import KuboStore

class Stream:
    def __init__(self, file, size):
        self.file, self.left = file, size
    def readinto(self, buffer):
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
        count = self.file.readinto(buffer[: self.left])
        self.left -= count
        return count

with open(sys.argv[2], "rb", buffering=0) as file:
    KuboStore(sys.argv[1]).add_file(Stream(file, int(sys.argv[3])))
"""


@pytest.mark.parametrize("how", ["raised", "killed"])
def test_an_upload_that_breaks_off_is_no_file_to_the_daemon(
    node: Daemon, store: KuboStore, content: bytes, tmp_path: Path, how: str
) -> None:
    size = 13 * LEAF_SIZE
    if how == "raised":
        with pytest.raises(OSError, match="broke"):
            store.add_file(Breaking(content[:size], OSError("broke")))
    else:
        (tmp_path / "content").write_bytes(content)
        command = [sys.executable, "-c", ADD_AND_DIE, node.api, tmp_path / "content", str(size)]
        done = subprocess.run(command, check=False, capture_output=True)
        assert done.returncode == -signal.SIGKILL, done.stderr
    until(lambda: not node.at_work("add"))
    assert store.has(CID.of(content[:LEAF_SIZE]))
    # A connection that ended would have been the file's end to it: it would have made this root.
    assert not store.has(file_cid(io.BytesIO(content[:size])))
    assert list(store.pins()) == []


@pytest.mark.parametrize("error", [StoreError("no more"), BadInput("odd"), ValueError("wrong")])
def test_an_error_of_the_stream_is_the_one_that_is_raised(
    store: KuboStore, content: bytes, error: Exception
) -> None:
    for size in (0, 100, 3 << 20):
        with pytest.raises(type(error), match=str(error)):
            store.add_file(Breaking(content[:size], error))
    assert list(store.pins()) == []


def test_only_medtokens_pins_are_listed_and_deleted(
    node: Daemon, store: KuboStore, stream: io.BytesIO, content: bytes
) -> None:
    cid = store.add_file(stream)
    others = store.put_block(b"somebody else's")
    node.ipfs("pin", "add", "--name=theirs", str(others))
    shared = CID.of(content[:LEAF_SIZE])
    node.ipfs("pin", "add", "--name=theirs", str(shared))
    assert list(store.pins()) == [cid]
    store.delete(cid)
    assert list(store.pins()) == []
    assert not store.has(cid)
    assert not store.has(CID.of(content[LEAF_SIZE : 2 * LEAF_SIZE]))
    assert store.has(shared)
    assert store.has(others)
    for gone in (cid, others):
        with pytest.raises(StoreError, match="not pinned"):
            store.delete(gone)
    node.ipfs("pin", "rm", str(shared), str(others))


def test_a_file_is_pinned_only_when_it_is_whole(
    node: Daemon, store: KuboStore, embedded: EmbeddedStore
) -> None:
    cid = embedded.add_file(io.BytesIO(os.urandom(3 << 20)))
    store.put_block(embedded.get_block(cid), Codec.DAG_PB)
    with pytest.raises(BlockMissing):
        store.pin(cid)
    assert list(store.pins()) == []
    repair(KuboStore(node.api, offline=True), cid, embedded)
    assert list(store.pins()) == [cid]


def test_what_is_not_there_is_missing_or_late(node: Daemon) -> None:
    cid = CID.of(os.urandom(10))
    with pytest.raises(BlockMissing, match=str(cid)):
        KuboStore(node.api, offline=True).get_block(cid)
    with pytest.raises(StoreError, match="within 1 s|in time"):
        KuboStore(node.api, patience=1).get_block(cid)


def test_altered_and_missing_blocks_of_a_daemon_are_found_and_repaired(
    own: Daemon, embedded: EmbeddedStore, content: bytes
) -> None:
    store = KuboStore(own.api, offline=True)
    cid = store.add_file(io.BytesIO(content))
    assert embedded.add_file(io.BytesIO(content)) == cid
    leaves = [content[at << 20 : at + 1 << 20] for at in range(20)]
    flat_file(own, leaves[3]).write_bytes(leaves[4])
    flat_file(own, leaves[7]).write_bytes(leaves[7][:-1])
    own.kill()
    flat_file(own, leaves[9]).unlink()
    own.start()
    store = KuboStore(own.api, offline=True)
    health = check(store, cid)
    assert set(health.altered) == {CID.of(leaves[3]), CID.of(leaves[7])}
    assert health.missing == (CID.of(leaves[9]),)
    with pytest.raises(IntegrityError, match=own.api):
        store.get_block(CID.of(leaves[3]))
    assert len(repair(store, cid, embedded).repaired) == 3
    assert check(store, cid).sound
    assert list(store.pins()) == [cid]


def test_an_altered_block_that_others_pin_is_left_to_them(
    own: Daemon, embedded: EmbeddedStore, content: bytes
) -> None:
    store = KuboStore(own.api, offline=True)
    cid = store.add_file(io.BytesIO(content))
    embedded.add_file(io.BytesIO(content))
    leaf = content[:LEAF_SIZE]
    own.ipfs("pin", "add", "--name=theirs", str(CID.of(leaf)))
    flat_file(own, leaf).write_bytes(leaf[:-1])
    with pytest.raises(StoreError, match="a pin that is not medtoken's"):
        repair(store, cid, embedded)


def test_a_car_goes_to_the_daemon_and_one_of_its_own_comes_back_the_same(
    node: Daemon, embedded: EmbeddedStore, store: KuboStore, stream: io.BytesIO, tmp_path: Path
) -> None:
    cid = embedded.add_file(stream)
    with open(tmp_path / "ours.car", "wb") as file:
        write_car(cid, embedded.get_block, file)
    said = node.ipfs("dag", "import", tmp_path / "ours.car")
    assert str(cid) in said
    assert check(KuboStore(node.api, offline=True), cid).sound
    theirs = tmp_path / "theirs.car"
    with open(theirs, "wb") as file:
        subprocess.run(
            [node._program, "dag", "export", "--offline", str(cid)],
            check=True,
            stdout=file,
            stderr=subprocess.DEVNULL,
            env=node._environment(),
        )
    assert theirs.read_bytes() == (tmp_path / "ours.car").read_bytes()
    assert CarFile(theirs).roots == (cid,)
    node.ipfs("pin", "rm", str(cid))


def test_no_daemon_is_one_sentence_that_names_the_address(own: Daemon) -> None:
    store = KuboStore(own.api)
    cid = store.add_file(io.BytesIO(b"here"))
    own.kill()
    for call in (
        lambda: store.get_block(cid),
        lambda: store.has(cid),
        lambda: store.add_file(io.BytesIO(b"more")),
        lambda: list(store.pins()),
        lambda: store.pin(cid),
        lambda: store.delete(cid),
        lambda: store.put_block(b"more"),
    ):
        with pytest.raises(StoreError, match=r"IPFS daemon at /ip4/127.0.0.1/tcp/\d+ "):
            call()


def test_a_daemon_that_is_killed_in_the_middle_is_named_and_nothing_is_pinned(own: Daemon) -> None:
    class Killing(io.BytesIO):
        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            if self.tell() > 5 << 20:
                own.kill()
            return super().readinto(buffer)

    with pytest.raises(StoreError, match="IPFS daemon at"):
        KuboStore(own.api).add_file(Killing(bytes(20 << 20)))
    own.start()
    assert list(KuboStore(own.api).pins()) == []


# ---------------------------------------------------------------------------- a daemon that lies


@pytest.fixture
def liar() -> Iterator[tuple[str, list[str], dict[str, Any]]]:
    """Something that speaks Kubo's RPC and says what ``answers`` has: address, what was asked."""
    asked: list[str] = []
    answers: dict[str, Any] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            while (size := int(self.rfile.readline(), 16)) if self._chunked() else 0:
                self.rfile.read(size + 2)
            asked.append(self.path)
            answer = answers.get(self.path.split("?")[0].removeprefix("/api/v0"))
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(500 if answer is None else 200)
            if answer is None:
                body = json.dumps({"Message": "could not find it", "Type": "error"}).encode()
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _chunked(self) -> bool:
            return self.headers.get("Transfer-Encoding") == "chunked"

        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"/ip4/127.0.0.1/tcp/{server.server_port}", asked, answers
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_daemon_that_says_another_cid_is_named_and_asked_for_nothing_more(
    liar: tuple[str, list[str], dict[str, Any]],
) -> None:
    api, asked, answers = liar
    other = str(CID.of(b"another"))
    answers["/add"] = {"Name": "", "Hash": other, "Size": "5"}
    with pytest.raises(IntegrityError, match=f"{api} says {other}"):
        KuboStore(api).add_file(io.BytesIO(b"bytes"))
    assert asked[-1].startswith("/api/v0/add?")
    assert not any(path.startswith("/api/v0/pin/") for path in asked)
    answers["/block/put"] = {"Key": other, "Size": 5}
    with pytest.raises(IntegrityError, match=f"{api} says {other}"):
        KuboStore(api).put_block(b"bytes")


@pytest.mark.parametrize("name", ["medtoken", "theirs", "", None])
def test_a_daemon_that_did_not_name_the_pin_is_asked_to(
    liar: tuple[str, list[str], dict[str, Any]], name: str | None
) -> None:
    api, asked, answers = liar
    cid = str(CID.of(b"bytes"))
    answers["/add"] = {"Name": "", "Hash": cid, "Size": "5"}
    answers["/pin/add"] = {"Pins": [cid]}
    if name is not None:
        answers["/pin/ls"] = {"Keys": {cid: {"Type": "recursive", "Name": name}}}
    assert str(KuboStore(api).add_file(io.BytesIO(b"bytes"))) == cid
    pinned = [path for path in asked if path.startswith("/api/v0/pin/add?")]
    assert len(pinned) == (name != "medtoken")
    assert all("name=medtoken" in path for path in pinned)


@pytest.mark.parametrize("lie", [b"other bytes", b"", bytes(3 << 20)], ids=["other", "none", "big"])
def test_a_daemon_that_gives_other_bytes_is_named(
    liar: tuple[str, list[str], dict[str, Any]], lie: bytes
) -> None:
    api, _, answers = liar
    answers["/block/get"] = lie
    with pytest.raises(IntegrityError, match=api):
        KuboStore(api).get_block(CID.of(b"bytes"))


@pytest.mark.parametrize("junk", [b"", b"{", [], {}, {"Keys": 7}, {"Hash": 3}, "text", b"\xff"])
def test_a_daemon_that_answers_junk_is_named(
    liar: tuple[str, list[str], dict[str, Any]], junk: Any
) -> None:
    api, _, answers = liar
    answers.update(dict.fromkeys(("/add", "/block/put", "/pin/ls", "/pin/add"), junk))
    store = KuboStore(api)
    for call in (
        lambda: store.add_file(io.BytesIO(b"bytes")),
        lambda: store.put_block(b"bytes"),
        lambda: store.pin(CID.of(b"bytes")),
        # An answer without pins says that there are none.
        *([] if isinstance(junk, dict) and "Keys" not in junk else [lambda: list(store.pins())]),
    ):
        with pytest.raises((StoreError, IntegrityError), match=api):
            call()


# ---------------------------------------------------------------------------- large records

ADD_ZEROS = (
    PEAK
    + """
import io, sys
from medtoken.ipfs import KuboStore

class Stream(io.RawIOBase):
    left, count = int(sys.argv[2]), 0
    def readinto(self, buffer):
        size = min(len(buffer), self.left)
        buffer[:8] = self.count.to_bytes(8)[: len(buffer)]
        self.left -= size
        self.count += 1
        return size

store = KuboStore(sys.argv[1])
cid = store.add_file(Stream())
reader = store.open(cid)
piece = memoryview(bytearray(1 << 20))
while reader.readinto(piece):
    pass
print(reader.tell(), peak())
"""
)


@pytest.mark.slow
def test_two_gibibytes_go_there_and_back_in_less_than_200_mb(own: Daemon) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ADD_ZEROS, own.api, str(2 << 30)],
        check=True,
        capture_output=True,
        text=True,
    )
    size, peak = map(int, done.stdout.split())
    assert size == 2 << 30
    assert peak < 200e6, f"{peak / 1e6:.0f} MB"

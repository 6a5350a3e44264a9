"""The store in a folder: verified, crash-safe, usable by several processes at once."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medtoken.errors import IntegrityError, StoreError
from medtoken.ipfs import CID, LEAF_SIZE, Codec, EmbeddedStore, file_cid

DATA = b"".join(bytes([i]) * LEAF_SIZE for i in range(3)) + b"end"  # four different leaves


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore(tmp_path / "store")


def block_files(tmp_path: Path) -> list[Path]:
    return sorted(tmp_path.glob("store/blocks/*/*"))


def temporary_files(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "store" / "tmp").iterdir())


def test_a_file_reads_back_and_is_pinned(store: EmbeddedStore, tmp_path: Path) -> None:
    cid = store.add_file(io.BytesIO(DATA))
    assert cid == file_cid(io.BytesIO(DATA))
    assert store.open(cid).readall() == DATA
    assert list(store.pins()) == [cid]
    again = EmbeddedStore(tmp_path / "store")
    assert again.has(cid)
    assert again.open(cid).readall() == DATA
    assert again.add_file(io.BytesIO(DATA)) == cid
    assert not temporary_files(tmp_path)


@pytest.mark.parametrize("durable", [True, False])
def test_a_block_reads_back_and_is_not_pinned(tmp_path: Path, durable: bool) -> None:
    store = EmbeddedStore(tmp_path / "store", durable=durable)
    cid = store.put_block(b"block", Codec.RAW)
    assert store.put_block(b"block") == cid == CID.of(b"block")
    assert store.has(cid)
    assert store.get_block(cid) == b"block"
    assert list(store.pins()) == []


def test_every_altered_block_is_noticed_at_reading(store: EmbeddedStore, tmp_path: Path) -> None:
    cid = store.add_file(io.BytesIO(DATA))
    for path in block_files(tmp_path):
        good = path.read_bytes()
        for bad in (good[:-1], good + b"x", good[:-1] + bytes([good[-1] ^ 1]), b""):
            path.write_bytes(bad)
            with pytest.raises(IntegrityError, match="altered"):
                store.open(cid).readall()
        path.write_bytes(good)
    assert store.open(cid).readall() == DATA


def test_a_missing_block_is_named(store: EmbeddedStore, tmp_path: Path) -> None:
    cid = store.add_file(io.BytesIO(DATA))
    path = block_files(tmp_path)[0]
    path.unlink()
    assert not store.has(CID.parse(path.name))
    with pytest.raises(StoreError, match=path.name):
        store.open(cid).readall()


def test_adding_a_file_again_repairs_its_altered_blocks(
    store: EmbeddedStore, tmp_path: Path
) -> None:
    cid = store.add_file(io.BytesIO(DATA))
    for path in block_files(tmp_path):
        path.write_bytes(b"rot")
    assert store.add_file(io.BytesIO(DATA)) == cid
    assert store.open(cid).readall() == DATA


def test_an_interrupted_stream_leaves_nothing(store: EmbeddedStore, tmp_path: Path) -> None:
    kept = store.add_file(io.BytesIO(DATA[: 2 * LEAF_SIZE]))
    before = block_files(tmp_path)

    class Broken(io.BytesIO):
        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            if self.tell() > 3 * LEAF_SIZE:
                raise KeyboardInterrupt
            return super().readinto(buffer)

    with pytest.raises(KeyboardInterrupt):
        store.add_file(Broken(DATA + bytes(1000) + DATA))
    assert block_files(tmp_path) == before
    assert list(store.pins()) == [kept]
    assert store.open(kept).readall() == DATA[: 2 * LEAF_SIZE]
    assert not temporary_files(tmp_path)


def test_a_failing_disk_is_one_sentence_and_leaves_nothing(
    store: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter(range(100))

    def full(descriptor: int) -> None:
        if next(calls) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        store.add_file(io.BytesIO(DATA))
    assert block_files(tmp_path) == []
    assert list(store.pins()) == []
    assert not temporary_files(tmp_path)


def test_deleting_keeps_what_other_files_use(store: EmbeddedStore, tmp_path: Path) -> None:
    other = DATA[: 2 * LEAF_SIZE] + b"another end"
    first, second = store.add_file(io.BytesIO(DATA)), store.add_file(io.BytesIO(other))
    assert CID.of(DATA[:LEAF_SIZE]) in {CID.parse(path.name) for path in block_files(tmp_path)}
    store.delete(first)
    assert list(store.pins()) == [second]
    assert store.open(second).readall() == other
    assert not store.has(first)
    with pytest.raises(StoreError, match="not in the store"):
        store.open(first)
    store.delete(second)
    assert block_files(tmp_path) == []


def test_deleting_what_is_not_there_is_refused(store: EmbeddedStore) -> None:
    with pytest.raises(StoreError, match="not in the store"):
        store.delete(CID.of(b"never stored"))


def test_a_damaged_file_can_be_deleted(store: EmbeddedStore, tmp_path: Path) -> None:
    cid = store.add_file(io.BytesIO(DATA))
    (tmp_path / "store" / "blocks" / str(cid)[-3:-1] / str(cid)).write_bytes(b"rot")
    store.delete(cid)
    assert list(store.pins()) == []
    store.collect()
    assert block_files(tmp_path) == []


def test_a_damaged_file_keeps_others_from_being_collected(
    store: EmbeddedStore, tmp_path: Path
) -> None:
    cid = store.add_file(io.BytesIO(DATA))
    (tmp_path / "store" / "blocks" / str(cid)[-3:-1] / str(cid)).write_bytes(b"rot")
    before = block_files(tmp_path)
    with pytest.raises(IntegrityError, match=str(cid)):
        store.collect()
    assert block_files(tmp_path) == before


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError, match="Not a directory"):
        EmbeddedStore(tmp_path / "file")


ADD_FROM_STDIN = """
import io, sys
from medtoken.ipfs import EmbeddedStore
print(EmbeddedStore(sys.argv[1]).add_file(io.FileIO(0)), flush=True)
"""


def adder(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", ADD_FROM_STDIN, str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def wait_for_blocks(tmp_path: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while len(block_files(tmp_path)) < count:
        assert time.monotonic() < deadline, "the other process wrote nothing"
        time.sleep(0.01)


def test_a_killed_process_leaves_nothing_pinned_and_its_blocks_can_be_collected(
    store: EmbeddedStore, tmp_path: Path
) -> None:
    kept = store.add_file(io.BytesIO(b"kept"))
    with adder(tmp_path / "store") as process:
        assert process.stdin
        process.stdin.write(DATA)
        process.stdin.flush()
        wait_for_blocks(tmp_path, 3)
        process.send_signal(signal.SIGKILL)
    assert list(store.pins()) == [kept]
    (tmp_path / "store" / "tmp" / "left").write_bytes(b"half a block")
    left = len(block_files(tmp_path)) - 1
    assert left >= 2
    assert store.collect() == left
    assert [path.name for path in block_files(tmp_path)] == [str(kept)]
    assert not temporary_files(tmp_path)
    cid = store.add_file(io.BytesIO(DATA))
    assert store.open(cid).readall() == DATA


def test_two_processes_may_add_the_same_file_at_once(store: EmbeddedStore, tmp_path: Path) -> None:
    with adder(tmp_path / "store") as one, adder(tmp_path / "store") as two:
        for at in range(0, len(DATA), 4096):
            for process in (one, two):
                assert process.stdin
                process.stdin.write(DATA[at : at + 4096])
        answers = {process.communicate()[0].decode().strip() for process in (one, two)}
    cid = file_cid(io.BytesIO(DATA))
    assert answers == {str(cid)}
    assert store.open(cid).readall() == DATA
    assert list(store.pins()) == [cid]


def test_collecting_waits_for_a_file_that_another_process_adds(
    store: EmbeddedStore, tmp_path: Path
) -> None:
    collect = "import sys; from medtoken.ipfs import EmbeddedStore as S; S(sys.argv[1]).collect()"
    with adder(tmp_path / "store") as process:
        assert process.stdin
        process.stdin.write(DATA)
        process.stdin.flush()
        wait_for_blocks(tmp_path, 3)
        command = [sys.executable, "-c", collect, str(tmp_path / "store")]
        with subprocess.Popen(command) as collecting:
            with pytest.raises(subprocess.TimeoutExpired):
                collecting.wait(1)
            cid = CID.parse(process.communicate()[0].decode().strip())
        assert collecting.returncode == 0
    assert store.open(cid).readall() == DATA

"""Killed in the middle, nothing is half-visible; a large record needs no more memory than a small."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from support.memory import PEAK

from medtoken.ipfs import EmbeddedStore

from .conftest import SECRET, Record

SEAL_FROM_STDIN = """
import io, sys
from medtoken.ipfs import EmbeddedStore
from medtoken.sealing import SealStream
EmbeddedStore(sys.argv[1]).add_file(SealStream(io.FileIO(0), bytes(32)))
"""

OPEN_SLOWLY = """
import io, sys, time
from medtoken.sealing import open_sealed
class Slow(io.FileIO):
    def readinto(self, buffer):
        if self.tell() == 2 * 1048576:
            time.sleep(600)
        return super().readinto(buffer)
open_sealed(Slow(sys.argv[1]), bytes.fromhex(sys.argv[2]), sys.argv[3])
"""

SEAL_AND_OPEN = (
    PEAK
    + """
import sys
from medtoken.ipfs import EmbeddedStore
from medtoken.sealing import open_sealed, seal
folder, secret = sys.argv[1], bytes(32)
def both(name):
    store = EmbeddedStore(folder + "/store")
    sealed = seal(folder + "/" + name, custodian_secret=secret, store=store)
    open_sealed(store.open(sealed.cid), sealed.dek, folder + "/out")
both("small")
before = peak()
both("large")
print(peak() - before)
"""
)


def wait_until(there: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not there():
        assert process.poll() is None, "the process ended by itself"
        assert time.monotonic() < deadline, "the process did not come so far"
        time.sleep(0.01)


def test_sealing_killed_in_the_middle_leaves_nothing_visible(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SEAL_FROM_STDIN, str(tmp_path / "store")]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(bytes(4 << 20))
        process.stdin.flush()
        wait_until(lambda: list(tmp_path.glob("store/blocks/*/*")), process)
        process.send_signal(signal.SIGKILL)
    store = EmbeddedStore(tmp_path / "store")
    assert list(store.pins()) == []
    assert store.collect() > 0
    assert list(tmp_path.glob("store/blocks/*/*")) == []


def test_opening_killed_in_the_middle_leaves_nothing_visible(
    record: Record, tmp_path: Path
) -> None:
    (tmp_path / "raw").write_bytes(record.raw)
    out = tmp_path / "folder" / "out"
    out.parent.mkdir()
    out.write_bytes(b"from before")
    dek = record.sealed.dek.hex()
    command = [sys.executable, "-c", OPEN_SLOWLY, str(tmp_path / "raw"), dek, str(out)]
    with subprocess.Popen(command) as process:
        wait_until(lambda: list(out.parent.glob(".out.*.part")), process)
        process.send_signal(signal.SIGKILL)
    assert out.read_bytes() == b"from before"
    assert [path.name for path in out.parent.glob("[!.]*")] == ["out"]


def test_a_large_record_needs_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    """The peak grows by less than a tenth of the 200 MB that go through."""
    (tmp_path / "small").write_bytes(bytes(8 << 20))
    with open(tmp_path / "large", "wb") as file:
        file.truncate(200_000_000)
    command = [sys.executable, "-c", SEAL_AND_OPEN, str(tmp_path)]
    grown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert int(grown) < 20_000_000
    assert (tmp_path / "out").stat().st_size == 200_000_000


def test_the_stream_of_a_large_record_holds_a_few_segments() -> None:
    import tracemalloc

    from medtoken.sealing import SealStream

    class Zeros(io.RawIOBase):
        left = 64 << 20

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            count = min(len(buffer), self.left)
            self.left -= count
            return count

    piece = bytearray(1 << 16)
    tracemalloc.start()
    try:
        with SealStream(Zeros(), SECRET) as stream:
            while stream.readinto(memoryview(piece)):
                pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20

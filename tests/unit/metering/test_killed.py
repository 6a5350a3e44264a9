"""R14: either side is killed at any moment, again and again; no call is lost, none is charged twice."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path

import pytest
from support import peers
from support.meters import KEY, MARKET
from support.sweep import times

from medtoken.metering import CustodianMeter, LicenseeMeter

PEERS = Path(peers.__file__)
# Starting a process takes seconds on a busy machine.
_STUCK = 120


def _start(side: str, folder: Path, calls: int) -> subprocess.Popen[bytes]:
    # A socket's path is short.
    command = [sys.executable, str(PEERS), side, str(folder), _socket(folder), str(calls)]
    return subprocess.Popen(command[: None if side == "licensee" else -1])


def _socket(folder: Path) -> str:
    return f"{tempfile.gettempdir()}/medtoken-{zlib.crc32(str(folder).encode()):08x}.sock"


def _run(folder: Path, calls: int, killed: str, seed: int, kills: int) -> int:
    """Run both to the end; kill one of them whenever a part of the work is done, in the midst of more."""
    chance = random.Random(seed)
    whole = sum(len(str(n)) + 1 for n in range(1, calls + 1))
    marks = sorted(chance.uniform(0, 0.95 * whole) for _ in range(kills))
    served = folder / "served"
    running = {side: _start(side, folder, calls) for side in ("custodian", "licensee")}
    deaths = done = 0
    progress = time.monotonic()
    try:
        while running["licensee"].poll() is None:
            assert time.monotonic() < progress + _STUCK, "they make no progress"
            time.sleep(chance.uniform(0, 0.004))
            size = served.stat().st_size if served.exists() else 0
            if size > done:
                done, progress = size, time.monotonic()
            if marks and size > marks[0]:
                marks.pop(0)
                side = killed if killed != "both" else chance.choice(sorted(running))
                running[side].kill()
                deaths += running[side].wait() == -9
                running[side] = _start(side, folder, calls)
        assert running["licensee"].returncode == 0
        assert running["custodian"].poll() is None
    finally:
        for process in running.values():
            process.kill()
            process.wait()
        Path(_socket(folder)).unlink(missing_ok=True)
    return deaths


def _check(folder: Path, calls: int) -> None:
    units = peers.total(calls)
    with CustodianMeter(folder / "custodian", MARKET, credit=peers.CREDIT) as custodian:
        assert custodian.counted(peers.LICENCE) == units
        assert custodian.acknowledged(peers.LICENCE) == units
        assert custodian.open_calls(peers.LICENCE) == []
        (claim,) = custodian.claims()
        assert claim.voucher.units == units
    with LicenseeMeter(folder / "licensee", MARKET, KEY) as licensee:
        assert licensee.received_units(peers.LICENCE) == units
        assert licensee.open_calls(peers.LICENCE) == []
    served = Counter(map(int, (folder / "served").read_text().split()))
    assert sorted(served) == list(range(1, calls + 1))


@pytest.mark.parametrize(
    "killed",
    [
        "both",
        pytest.param("custodian", marks=pytest.mark.slow),
        pytest.param("licensee", marks=pytest.mark.slow),
    ],
)
def test_neither_side_loses_or_doubles_a_call(tmp_path: Path, killed: str) -> None:
    calls = 1_000
    assert _run(tmp_path, calls, killed, seed=7, kills=4) >= 3
    _check(tmp_path, calls)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(times(1, 4)))
def test_neither_side_loses_or_doubles_a_call_in_a_long_campaign(tmp_path: Path, seed: int) -> None:
    calls = 6_000
    assert _run(tmp_path, calls, "both", seed, kills=12) >= 10
    _check(tmp_path, calls)

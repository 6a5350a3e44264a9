#!/usr/bin/env python3
"""Speed of sealing, opening, content addressing, both stores and key releases, beside their bounds.

Each round takes new random bytes and does everything once, one thing after the other, so that all of
a round meet the same load of the machine: ratios are taken within a round, and the median and best
over the rounds are written as ``{name: {median, best, target, met}}``. ``sha256`` is one pass
of SHA-256 over the same bytes; ``kubo_cli_add`` is Kubo's own command line adding them to the same
daemon with the same parameters.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _bench import report
from support import binaries
from support.kubo import Daemon, daemon

from medtoken.ipfs import LEAF_SIZE, MAX_LINKS, EmbeddedStore, KuboStore, file_cid
from medtoken.keeper.bench import BATCH, bench_keepers, releases_per_second
from medtoken.sealing import SealedReader, SealStream, open_sealed

SECRET = bytes(32)
READ = 1000
# name: (what is divided by what, target). A ratio of speeds within a round.
RATIOS: dict[str, tuple[str, str, float]] = {
    "seal_to_sha256": ("seal", "sha256", 0.33),
    "cid_to_sha256": ("cid", "sha256", 0.9),
    "kubo_add_to_cli": ("kubo_add", "kubo_cli_add", 0.9),
}
# name: target in ms.
LATENCIES = {"random_read": 5.0, "open_and_random_read": None}
RELEASES = {"releases_single": 80.0, "releases_batch": 200.0}


class Bench:
    """One measured run over ``size`` bytes a round, below ``folder``."""

    def __init__(self, folder: Path, size: int, node: Daemon) -> None:
        self.folder, self.size, self.node = folder, size, node
        self.plain = folder / "plain"
        self.kubo = KuboStore(node.api)

    def round(self) -> dict[str, float]:
        """Name to MB/s, or ms for the reads."""
        store = EmbeddedStore(self.folder / "store")
        self._fill()
        speeds = {
            "sha256": self._speed(self._sha256),
            "cid": self._speed(self._cid),
            "seal": self._speed(self._seal),
            "embedded_add": self._speed(lambda: self._add(store)),
        }
        # Who adds first meets a daemon with less to do, so they take turns.
        adds: list[tuple[str, Callable[[], Any]]] = [
            ("kubo_add", lambda: self._add(self.kubo)),
            ("kubo_cli_add", self._cli_add),
        ]
        random.shuffle(adds)
        for name, add in adds:
            self._fill()
            speeds[name] = self._speed(add)
        with open(self.plain, "rb", buffering=0) as file, SealStream(file, SECRET) as stream:
            sealed = stream.result(store.add_file(stream))
        speeds["open"] = self._speed(
            lambda: open_sealed(store.open(sealed.cid), sealed.dek, self.folder / "opened")
        )
        reader = SealedReader(store.open(sealed.cid), sealed.dek)
        speeds["random_read"] = self._reads(lambda: reader)
        speeds["open_and_random_read"] = self._reads(
            lambda: SealedReader(store.open(sealed.cid), sealed.dek)
        )
        for cid in self.kubo.pins():
            self.kubo.delete(cid)
        self.node.ipfs("repo", "gc", "--quiet")
        shutil.rmtree(self.folder / "store")
        return speeds

    def _fill(self) -> None:
        with open(self.plain, "wb") as file:
            for _ in range(self.size // LEAF_SIZE):
                file.write(os.urandom(LEAF_SIZE))

    def _speed(self, work: Callable[[], Any]) -> float:
        started = time.perf_counter()
        work()
        return self.size / 1e6 / (time.perf_counter() - started)

    def _reads(self, reader: Callable[[], SealedReader], count: int = 100) -> float:
        """The median time of a read of 1 kB at a random offset, in ms."""
        taken = []
        for _ in range(count):
            offset = secrets.randbelow(self.size - READ)
            started = time.perf_counter()
            reader().read_range(offset, READ)
            taken.append((time.perf_counter() - started) * 1e3)
        return statistics.median(taken)

    def _sha256(self) -> None:
        digest, buffer = hashlib.sha256(), memoryview(bytearray(LEAF_SIZE))
        with open(self.plain, "rb", buffering=0) as file:
            while count := file.readinto(buffer):
                digest.update(buffer[:count])

    def _cid(self) -> None:
        with open(self.plain, "rb", buffering=0) as file:
            file_cid(file)

    def _seal(self) -> None:
        buffer = memoryview(bytearray(LEAF_SIZE))
        with open(self.plain, "rb", buffering=0) as file, SealStream(file, SECRET) as stream:
            while stream.readinto(buffer):
                pass

    def _add(self, store: EmbeddedStore | KuboStore) -> None:
        with open(self.plain, "rb", buffering=0) as file:
            store.add_file(file)

    def _cli_add(self) -> None:
        self.node.ipfs(
            "add",
            "--quieter",
            "--cid-version=1",
            "--raw-leaves",
            f"--chunker=size-{LEAF_SIZE}",
            f"--max-file-links={MAX_LINKS}",
            "--hash=sha2-256",
            self.plain,
        )


def releases(rounds: int, count: int) -> dict[str, list[float]]:
    """Complete 2-of-3 key releases a second from three keeper processes."""
    with bench_keepers() as keepers:
        return {
            "releases_single": [releases_per_second(keepers, count) for _ in range(rounds)],
            "releases_batch": [
                releases_per_second(keepers, max(count, BATCH), BATCH) for _ in range(rounds)
            ],
        }


def summary(
    values: list[float], unit: str, target: float | None, *, lower: bool = False
) -> dict[str, Any]:
    median, best = statistics.median(values), (min if lower else max)(values)
    met = None if target is None else (median <= target if lower else median >= target)
    return {
        "median": round(median, 3),
        "best": round(best, 3),
        "unit": unit,
        "target": target,
        "met": met,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="build/bench/store.json")
    parser.add_argument("--mib", type=int, default=256, help="MiB in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--releases", type=int, default=400, help="key releases in each round")
    args = parser.parse_args()
    program = binaries.find("ipfs")
    if program is None:
        print("error: Kubo is neither on PATH nor built; `make kubo` builds it.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with daemon(program, folder / "kubo") as node:
            bench = Bench(folder, args.mib << 20, node)
            bench.round()  # warms up
            rounds = [bench.round() for _ in range(args.rounds)]
    result = {
        name: summary([r[name] for r in rounds], "ms", LATENCIES[name], lower=True)
        if name in LATENCIES
        else summary([r[name] for r in rounds], "MB/s", None)
        for name in rounds[0]
    }
    for name, (over, under, target) in RATIOS.items():
        result[name] = summary([r[over] / r[under] for r in rounds], "ratio", target)
    if args.releases:
        for name, rates in releases(args.rounds, args.releases).items():
            result[name] = summary(rates, "1/s", RELEASES[name])
    print(f"{'':22} {'median':>9} {'best':>9} {'':5} {'target':>7}")
    for name, row in result.items():
        verdict = {None: "", True: "met", False: "MISSED"}[row["met"]]
        print(
            f"{name:22} {row['median']:>9,.2f} {row['best']:>9,.2f} {row['unit']:5} "
            f"{row['target'] or '':>7} {verdict}"
        )
    machine = {
        "mib": args.mib,
        "rounds": args.rounds,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "kubo": subprocess.run(
            [program, "version", "--number"], capture_output=True, text=True, check=True
        ).stdout.strip(),
    }
    report.write(args.out, {"run": machine, **result})
    return 0


if __name__ == "__main__":
    sys.exit(main())

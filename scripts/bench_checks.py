#!/usr/bin/env python3
"""How long all checks take over ten million events, and how much memory.

A real deployment's events are read from a private Anvil; an economy that keeps every rule, but for one
settlement, is made up on top of them (``_bench/audit/history.py``). All checks run in a process of
their own: they must find that settlement, and nothing besides. Where a target is missed the result
says so; it is no error.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from _bench import report
from _bench.audit import checking, history

from medtoken.audit.tables import extract
from medtoken.chain.devnet import anvil
from medtoken.demo.people import deploy_devnet
from medtoken.home import Home

SECONDS, MEGABYTES = 60, 2_000


def measured(events: int, place: Path) -> dict[str, Any]:
    """Make a history of so many events in a folder, and check it."""
    with anvil() as node:
        suite, _ = deploy_devnet(node, Home(place / "home"), lambda line: None)
        extract(node.url, suite.deployment, place / "base", depth=0)
    made, lie = history.fill(place / "base", place / "tables", events)
    print(f"{made:,} events made up", flush=True)
    words = [sys.executable, checking.__file__, str(place / "tables")]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    told = [(one["check"], one["transaction"]) for one in found["violations"]]
    if told != [("r15_split", lie)]:
        sys.exit(f"The checks should name transaction {lie} alone; they found {told}.")
    targets = {
        "seconds, below": (found["seconds"], SECONDS),
        "peak memory in MB, below": (found["peak_mb"], MEGABYTES),
    }
    return found | {
        "targets": {
            name: {"measured": value, "target": target, "met": value < target}
            for name, (value, target) in targets.items()
        }
    }


def main() -> None:
    """Measure, and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="build/bench/checks.json")
    parser.add_argument("--events", type=int, default=10_000_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report.write(args.out, measured(args.events, Path(folder)))


if __name__ == "__main__":
    main()

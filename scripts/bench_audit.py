#!/usr/bin/env python3
"""How fast events are read: ours, plain and proven, beside the transport's limit, web3.py, Ape and cryo.

Half a million events of the suite's kinds on a private Anvil (made up by a loader at the suite's addresses:
see ``_bench/audit/chain.py``), each reader in a process of its own. web3.py and Ape read a share of the
blocks, for they would take many minutes. Where a target is missed the result says so; it is no error.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from _bench import report
from _bench.audit import readers
from _bench.audit.chain import fill
from _bench.audit.readers import READERS, Job

from medtoken.chain.devnet import anvil
from medtoken.demo.people import deploy_devnet
from medtoken.home import Home

# Of how many blocks a slow reader gets one.
_SHARE = {"web3.py": 20, "ape": 20}


def measured(name: str, job: Job) -> dict[str, Any]:
    """What a reader came to in a process of its own; why not, where it could not run."""
    words = [name, job.url, job.deployment, job.first, job.last, job.out]
    done = subprocess.run(
        [sys.executable, readers.__file__, *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, "APE_DATA_FOLDER": str(job.out.parent / "ape")},
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no word"]
        return {"not_measured": lines[-1]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(events: int, say: Any, cryo: str | None) -> dict[str, Any]:
    """Fill a chain and have everybody read it."""
    with tempfile.TemporaryDirectory() as folder, anvil() as node:
        place = Path(folder)
        suite, _ = deploy_devnet(node, Home(place / "home"), lambda line: None)
        record = place / "deployment.json"
        suite.deployment.save(record)
        first = node.head().number + 1
        made = fill(node, suite.deployment, events, progress=say)
        last = node.head().number
        # The limit before and after, for the machine may have had other things to do.
        order = ["limit", *(name for name in READERS if name != "limit"), "limit"]
        results: dict[str, Any] = {}
        for name in order:
            blocks = (last - first + 1) // _SHARE.get(name, 1)
            job = Job(node.url, record, first, first + blocks - 1, place / f"tables-{len(results)}")
            found = measured(name, job)
            if "seconds" in found:
                # What was emitted: the deployment's few events are read as well, and not counted.
                seen = min(abs(found.pop("events")), made * blocks // (last - first + 1))
                seen = made if name == "limit" else seen
                found |= {"events": seen, "per_second": round(seen / found["seconds"])}
            if name == "limit" and name in results:
                found = max(found, results[name], key=lambda one: one.get("per_second", 0))
            results[name] = found
            say(f"{name}: {found}")
        if cryo is not None:
            results["cryo"] = _cryo(cryo, Job(node.url, record, first, last, place / "cryo"), made)
            say(f"cryo: {results['cryo']}")
    best = results["limit"]["per_second"]
    for found in results.values():
        if "per_second" in found:
            found["share_of_limit"] = round(found["per_second"] / best, 4)
    return {
        "events": made,
        "blocks": last - first + 1,
        "readers": results,
        "targets": _targets(results),
    }


_CRYO = """
import json, sys, time
from pathlib import Path
import cryo
start = time.perf_counter()
blocks = [f"{sys.argv[2]}:{int(sys.argv[3]) + 1}"]
found = cryo.collect("logs", blocks=blocks, rpc=sys.argv[1], output_format="polars", verbose=False)
seconds = time.perf_counter() - start
status = Path("/proc/self/status").read_text()
peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
print(json.dumps({"events": len(found), "seconds": seconds, "peak_mb": int(peak.split()[1]) * 1024 / 1e6}))
"""


def _cryo(python: str, job: Job, made: int) -> dict[str, Any]:
    """cryo (``pip install cryo polars``) in an environment of its own: it collects logs, undecoded."""
    done = subprocess.run(
        [python, "-c", _CRYO, job.url, str(job.first), str(job.last)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return {"not_measured": (done.stderr.strip().splitlines() or ["no word"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if found["events"] != made:
        found["incomplete"] = f"{found['events']} of {made} logs"
    return found | {"per_second": round(found["events"] / found["seconds"])}


def _targets(results: dict[str, Any]) -> dict[str, Any]:
    """Each target with what was measured, and whether it is met."""
    rate = {name: found.get("per_second", 0) for name, found in results.items()}
    measured_: dict[str, tuple[float, float]] = {
        "plain / limit, at least": (rate["aggregated"] / rate["limit"], 0.55),
        "proven / limit, at least": (rate["proven"] / rate["limit"], 0.28),
    }
    if rate["web3.py"]:
        measured_["plain / web3.py, at least"] = (rate["aggregated"] / rate["web3.py"], 100)
    found: dict[str, Any] = {
        name: {"measured": round(value, 4), "target": target, "met": value >= target}
        for name, (value, target) in measured_.items()
    }
    peak = max(results[name].get("peak_mb", 0) for name in ("aggregated", "plain", "proven"))
    found["peak memory in MB, below"] = {"measured": peak, "target": 150, "met": peak < 150}
    return found


def main() -> None:
    """Compare, and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="build/bench/audit.json")
    parser.add_argument("--events", type=int, default=512_000)
    parser.add_argument("--cryo", help="a Python that can import cryo")
    args = parser.parse_args()
    report.write(args.out, compare(args.events, lambda line: print(line, flush=True), args.cryo))


if __name__ == "__main__":
    main()

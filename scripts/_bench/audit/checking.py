"""All checks over a folder of tables in a process of its own, so that its memory is its own.

python checking.py FOLDER        the last line is JSON: seconds, peak memory, and what was found
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Check, and print what it took."""
    from medtoken.audit.checks import all_checks, outcomes
    from medtoken.audit.tables import load

    start = time.perf_counter()
    found = load(Path(sys.argv[1]))
    verified = last = time.perf_counter()
    seconds: dict[str, float] = {}
    violations: list[dict[str, Any]] = []
    for outcome in outcomes(found, "duckdb", all_checks()):
        now = time.perf_counter()
        seconds[outcome.check.name], last = round(now - last, 2), now
        violations += outcome.as_dict()["violations"]
        print(f"{outcome.check.name}: {seconds[outcome.check.name]} s", file=sys.stderr, flush=True)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    result = {
        "events": found.manifest.rows,
        "seconds": round(last - start, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "hashes_seconds": round(verified - start, 2),
        "peak_mb": round(_peak() / 1e6, 1),
        "checks": seconds,
        "violations": violations,
    }
    print(json.dumps(result))


def _peak() -> int:
    """The most memory that this process had, bytes. Linux's own mark, for a fork starts anew with it."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(one for one in status.read_text().splitlines() if one.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    main()

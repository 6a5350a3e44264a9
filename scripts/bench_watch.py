"""What the watcher misses and what it tells wrongly, counted in simulated months (R31).

Each month runs through the real contracts on the in-process chain, with violations planted at known
licences; the watcher sees the events alone. Writes JSON; the same seeds give the same figures.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.month import month

from medtoken.watch import Kind, WatchBooks


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--months", type=int, default=10)
    parser.add_argument("--licences", type=int, default=40, help="in each month")
    args = parser.parse_args()
    planted: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    false: Counter[str] = Counter()
    licences = uses = alerts = 0
    for seed in range(args.months):
        found = month(seed, licences=args.licences)
        books = WatchBooks(found.suite, found.clock())
        for event in found.events:
            books.apply(event)
        books.close()
        told = {(alert.kind, alert.subject) for alert in books.alerts}
        planted.update(found.planted.values())
        missed.update(what for key, what in found.planted.items() if key not in told)
        false.update(str(kind) for kind, _ in told - set(found.planted))
        licences += found.licences
        uses += found.uses
        alerts += len(books.alerts)
    result = {
        "months": args.months,
        "licence_months": licences,
        "uses": uses,
        "alerts": alerts,
        "planted": dict(sorted(planted.items())),
        "missed": {what: missed[what] for what in sorted(planted)},
        "false_alarms": {kind.value: false[kind.value] for kind in Kind},
        "false_alarms_per_licence_month": sum(false.values()) / licences,
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()

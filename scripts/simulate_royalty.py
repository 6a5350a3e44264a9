#!/usr/bin/env python3
"""Royalties of studies with ten, a thousand and a million contributors, on a private Anvil.

Rosters, roots and proofs are made here; payments, proofs and claims of a sample are real transactions.
Ends with an error when one base unit is missing, else writes costs and sums.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from medtoken.chain.devnet import anvil
from medtoken.demo.people import deploy_devnet
from medtoken.home import Home
from medtoken.royalty import simulate


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="build/bench/royalty.json")
    parser.add_argument("--contributors", type=int, default=1_000_000, metavar="N")
    args = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, anvil() as node:
        suite, people = deploy_devnet(node, Home(folder), lambda line: None)
        sizes = (10, 1_000, args.contributors)
        result = simulate(suite, people, sizes, progress=print)
    result["seconds"] = round(time.perf_counter() - started, 1)
    print(
        f"{'contributors':>12} {'pay in':>8} {'claim':>8} {'of 100':>8} {'first':>8} {'of 50':>8}"
    )
    for f in result["sizes"]:
        gas = f["gas"]
        names = ("pay_in", "claim", "claim_batch_each", "first_claim", "first_claim_batch_each")
        shown = " ".join(f"{gas[n]:>8,}" for n in names)
        print(f"{f['contributors']:>12,} {shown}")
    last = result["sizes"][-1]["conservation"]
    print(
        f"dust of the last pot: {last['dust_carried'][-1]} base units of {last['pots'][-1]}; "
        f"{result['seconds']} s, {result['peak_memory_mb']} MB"
    )
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"written to {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

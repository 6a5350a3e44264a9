#!/usr/bin/env python3
"""Gas of the suite's operations beside Ocean Protocol's, from receipts of one run on one private chain.

Writes ``{tools, operations: {name: {gas, calldata, bound, target, includes, peer, peer_gas, …}}}``;
``--markdown`` also writes the page that shows it. Gas is per item where the name says ``each``. Exits
with 1 when an operation is over its target, and with a sentence when something it needs is missing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from _bench import report
from _bench.gas import ocean, table
from _bench.gas.ours import Bench

from medtoken.chain.devnet import anvil
from medtoken.demo.people import deploy_devnet
from medtoken.errors import MedtokenError
from medtoken.home import Home


def measure() -> dict[str, Any]:
    """Both sides on one new chain, as it goes into the JSON."""
    package = ocean.package()  # said before anything is deployed
    with tempfile.TemporaryDirectory() as folder, anvil() as node:
        client, release = str(node.rpc("web3_clientVersion")).split("/")[:2]
        suite, people = deploy_devnet(node, Home(folder), lambda line: None)
        theirs = ocean.Bench(node, package, people).run()
        ours = Bench(suite, people).run()
    # The newest rules before EIP-7951: a chain without the precompile of P-256.
    with tempfile.TemporaryDirectory() as folder, anvil(hardfork="prague") as node:
        suite, people = deploy_devnet(node, Home(folder), lambda line: None)
        without = Bench(suite, people).passkeys()["passkey_approve"]
    ours["passkey_approve_without_precompile"] = without
    return {
        "tools": {client: release.removeprefix("v"), ocean.PACKAGE: package.version},
        "operations": table.collect(ours, theirs),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="build/bench/gas.json")
    parser.add_argument("--markdown", metavar="FILE", help="write the page that shows it, too")
    args = parser.parse_args()
    try:
        result = measure()
    except MedtokenError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    operations = result["operations"]
    print(table.text(operations))
    report.write(args.out, result)
    if args.markdown:
        Path(args.markdown).write_text(table.markdown(result), encoding="utf-8")
        print(f"shown in {args.markdown}")
    if over := table.over_target(operations):
        print(f"error: over the target: {', '.join(over)}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

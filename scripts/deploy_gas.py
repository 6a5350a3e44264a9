"""Write medtoken/deploy/gas.json: what each kind of a deployment's transactions uses, from real receipts.

python scripts/deploy_gas.py

Deploys on a private Anvil, once with an operator and once governed from the start. Calls of one function
use their mean, rounded up.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from medtoken.chain.devnet import anvil, dev_wallet
from medtoken.chain.node import Node, Receipt
from medtoken.deploy.cost import kinds
from medtoken.deploy.execute import deploy
from medtoken.deploy.plan import PEOPLE, Chamber, Params, build_plan, load_params

TARGET = ROOT / "medtoken" / "deploy" / "gas.json"


def measured(params: Params) -> list[tuple[str, int]]:
    """The transactions of one deployment in their order: what each is, and its gas."""
    with anvil() as node:
        used: list[int] = []

        class Noting(Node):
            def send(self, *args: Any, **more: Any) -> Receipt:
                receipt = super().send(*args, **more)
                used.append(receipt.gas)
                return receipt

        wallet = dev_wallet(0)
        deploy(Noting.connect(node.url), wallet, params, network="devnet")
        names = [kind for step in build_plan(params, wallet.address) for kind in kinds(step)]
        return list(zip(names, used, strict=True))


def main() -> None:
    """Measure, and write the file."""
    who = dev_wallet(1).address
    everybody = dict.fromkeys(PEOPLE, who)
    found: defaultdict[str, list[int]] = defaultdict(list)
    seats = [(dev_wallet(n).address, int(chamber)) for n, chamber in enumerate(Chamber) if n]
    plans = [
        load_params("devnet", operator=who, platform=who, people=everybody),
        load_params(
            "devnet", operator=None, platform=who, people=everybody, seats=seats, governed=True
        ),
    ]
    for params in plans:
        for kind, gas in measured(params):
            found[kind].append(gas)
    mean = {kind: -(-sum(used) // len(used)) for kind, used in sorted(found.items())}
    TARGET.write_text(json.dumps(mean, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""`ape run deploy` to Sepolia: an Anvil with its chain id, a key file of Ape's, offices in a file.

Ape itself runs as its users run it, in a process of its own; the network is named with a node's address.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from eth_account import Account

from medtoken.chain.devnet import anvil, dev_wallet
from medtoken.deploy.plan import PEOPLE
from medtoken.deploy.record import Deployment
from medtoken.deploy.verify import verify

ROOT = Path(__file__).resolve().parents[2]
SEPOLIA = 11_155_111
PHRASE = "a phrase that protects nothing but play money"
DEPLOYER = dev_wallet(0)


def test_deploy_to_sepolia(tmp_path):
    data = Path(os.environ["APE_DATA_FOLDER"])
    alias = f"rehearsal-{os.getpid()}"
    keys = data / "accounts" / f"{alias}.json"
    keys.parent.mkdir(parents=True, exist_ok=True)
    keys.write_text(json.dumps(Account.encrypt(DEPLOYER.key, PHRASE)))
    office = dev_wallet(1).address
    named = dict.fromkeys(["operator", "platform", *PEOPLE], office)
    ours = tmp_path / "ours.toml"
    lines = [f'{name} = "{address}"' for name, address in named.items()]
    ours.write_text("\n".join(['base = "sepolia"', "[offices]", *lines]))
    out = tmp_path / "record.json"
    try:
        with anvil(chain_id=SEPOLIA) as node:
            command = [
                *(str(Path(sys.executable).parent / "ape"), "run", "deploy"),
                *("--network", f"ethereum:sepolia:{node.url}"),
                *("--account", alias, "--auto-sign"),
                *("--params", str(ours), "--home", str(tmp_path / "home"), "--out", str(out)),
            ]
            phrase = {f"APE_ACCOUNTS_{alias}_PASSPHRASE": PHRASE}
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                cwd=ROOT,
                env={**os.environ, **phrase},
                timeout=600,
                check=False,
            )
            assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
            record = Deployment.load(out)
            assert (record.chain_id, record.deployer) == (SEPOLIA, DEPLOYER.address)
            assert record.offices["guardian"] == office
            verify(node, record).require()
    finally:
        keys.unlink()

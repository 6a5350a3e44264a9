"""R29: the way of an operator to a public testnet, on an Anvil with Sepolia's chain id.

Plan, deployment with a kill, verification, the main job, the audit: all by the parameters that ship for
it, whose timelock waits two days, with the offices in a parameter file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from support.live import Chain, kill_after_line, medtoken
from support.stage import Stage

from medtoken.chain.contracts import Suite
from medtoken.chain.devnet import anvil
from medtoken.chain.node import Node, Wallet
from medtoken.demo.people import CAST, admit_people, cast
from medtoken.deploy.plan import PEOPLE
from medtoken.deploy.record import Deployment
from medtoken.formats import Format
from medtoken.home import Home
from medtoken.messages import DUT
from medtoken.vocabulary import Form

SEPOLIA = 11_155_111
DAYS_2 = 172_800
ISSUED = 1_000_000 * DUT


@pytest.fixture
def sepolia() -> Iterator[Node]:
    with anvil(chain_id=SEPOLIA) as node:
        yield node


def parameters(folder: Path) -> Path:
    """An operator's own file: a testnet's values, and who holds what."""
    people = cast()
    named = dict.fromkeys(["operator", *PEOPLE], people["operator"].address)
    named |= {"platform": people["platform"].address, "exchange": people["exchange"].address}
    lines = [f'{name} = "{address}"' for name, address in named.items()]
    file = folder / "ours.toml"
    file.write_text("\n".join(['base = "sepolia"', "[offices]", *lines]))
    return file


def test_from_the_plan_to_the_audit(
    sepolia: Node, files: Mapping[Format, Path], tmp_path: Path
) -> None:
    home = Home(tmp_path / "home")
    for name in CAST:
        home.keep_wallet(name, cast()[name])
    where = ("--rpc", sepolia.url, "--home", str(tmp_path / "home"), "--json")
    deploying = ("deploy", "--params", str(parameters(tmp_path)), *where)

    plan = medtoken(*deploying, "--plan").ok()
    assert (plan["chain_id"], plan["timelock_delay"]) == (SEPOLIA, DAYS_2)
    assert plan["offices"]["guardian"] == cast()["operator"].address
    assert int(plan["wei"]) == plan["gas"] * int(plan["wei_a_gas"]) > 0
    assert sepolia.head().number == 0  # nothing was sent

    assert kill_after_line(20, *deploying)
    done = medtoken(*deploying).ok()
    record = Deployment.load(done["deployment"])
    assert record.chain_id == SEPOLIA
    blocks = sepolia.head().number
    used = sum(
        int(sepolia.rpc("eth_getBlockByNumber", hex(number), False)["gasUsed"], 16)
        for number in range(1, blocks + 1)
    )
    assert abs(used - plan["gas"]) < used / 100  # what the plan said is what it took

    told = medtoken("verify", *where).ok()
    assert (told["holds"], told["timelock_delay"]) == (True, DAYS_2)

    chain = Chain(sepolia, Suite(sepolia, record), cast(), home)
    admit_people(chain.suite, chain.cast, lambda line: None, issued=ISSUED)
    chain.mine()
    stage = Stage(chain, home, files, Wallet.create())
    held = stage.record()
    consent = stage.consent(held)
    stage.licensee.deposit(10**21)
    bought = stage.buy(held, consent, Form.METERED, 4)
    stage.licensee.use(bought.licence, 3)
    stage.suite.market.settle(chain.cast["relay"], [bought.ref])
    assert stage.suite.market.earnings(stage.patient.address).earned > 0

    head = sepolia.head()
    report = medtoken("audit", "replay", *where, "--anchor", "0x" + head.hash.hex()).ok()
    assert report["invariants"]
    assert report["proof"]

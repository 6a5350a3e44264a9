"""The suite on a second client: the same life, the same audit, and what a node has not kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.geth import Geth, geth
from support.liar import liar
from support.live import Chain, medtoken_here, populated
from support.stage import Stage

from medtoken.audit import replay
from medtoken.audit.proven import ProvenChain
from medtoken.audit.slots import CONTRACTS
from medtoken.chain.contracts import Suite
from medtoken.chain.node import Wallet
from medtoken.chain.stream import Client
from medtoken.demo.people import deploy_devnet
from medtoken.errors import MedtokenError, ProofFailed
from medtoken.formats import Format
from medtoken.home import Home
from medtoken.vocabulary import Form


@dataclass(frozen=True)
class Lived:
    """A chain of geth's on which a record was licensed, used and paid for."""

    geth: Geth
    stage: Stage


def live(client: Geth, folder: Path, files: dict[Format, Path]) -> Stage:
    home = Home(folder / "home")
    suite, people = deploy_devnet(client.node, home, lambda line: None)
    made = Chain(client.node, Suite(client.node, suite.deployment), people, home)
    stage = Stage(made, populated(folder / "used", made), files, Wallet.create())
    client.finalise()  # no keeper takes a share from a custodian whose accreditation is not final
    record = stage.record()
    consent = stage.consent(record)
    stage.licensee.deposit(10**21)
    bought = stage.buy(record, consent, Form.METERED, 4)
    stage.licensee.use(bought.licence, 3)
    stage.suite.market.settle(people["relay"], [bought.ref])
    return stage


@pytest.fixture(scope="module")
def lived(
    program: Path, files: dict[Format, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lived]:
    with geth(program) as client:
        yield Lived(client, live(client, tmp_path_factory.mktemp("geth"), files))


@pytest.mark.parametrize("door", ["http", "ws", "ipc"])
def test_it_is_proven_through_every_door(lived: Lived, door: str) -> None:
    node, deployment = lived.geth.node, lived.stage.suite.deployment
    where = {"http": node.url, "ws": lived.geth.ws, "ipc": lived.geth.ipc}[door]
    plain = replay(node, deployment)
    assert plain.holds, [str(v) for v in plain.violations]
    with Client(where, timeout=30) as client:
        report = replay(ProvenChain(client, node.head().hash), deployment)
    assert report.holds, [str(v) for v in report.violations]
    assert report.proof is not None
    assert report.proof.roots == [name for name in CONTRACTS if name in deployment.contracts]
    assert report.ledger.as_dict() == plain.ledger.as_dict()
    assert report.ledger.usage.supply > 0


def test_a_lie_about_its_logs_is_named(lived: Lived) -> None:
    deployment = lived.stage.suite.deployment
    with liar(lived.geth.node.url) as node:
        node.lie = lambda method, params, result: [] if "Receipts" in method else result
        with (
            Client(node.url, timeout=30) as client,
            pytest.raises(ProofFailed, match="are not those that its header commits to"),
        ):
            replay(ProvenChain(client, lived.geth.node.head().hash), deployment)


def test_a_node_that_has_dropped_old_state_says_so(
    program: Path, files: dict[Format, Path], tmp_path: Path
) -> None:
    """Its newest state is proven; that of an old block is refused in one sentence."""
    with geth(program, archive=False) as client:
        stage = live(client, tmp_path, files)
        node, deployment = client.node, stage.suite.deployment
        old = node.head()
        client.pass_blocks(200)
        with Client(node.url, timeout=30) as line:
            report = replay(ProvenChain(line, node.head().hash), deployment)
            assert report.holds, [str(v) for v in report.violations]
            with pytest.raises(MedtokenError) as refusal:
                replay(ProvenChain(line, old.hash), deployment)
        assert refusal.value.exit_code == 8
        ran = medtoken_here(
            *("audit", "replay", "--anchor", "0x" + old.hash.hex(), "--rpc", node.url),
            *("--deployment", str(stage.home.deployment(node.chain_id))),
        )
        assert (ran.code, ran.out) == (8, "")
        assert ran.err.count("\n") == 1

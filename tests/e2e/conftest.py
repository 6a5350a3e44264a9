"""A devnet as a person starts one, with somebody's record, consent and licence on it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.live import PATIENCE, Chain, Ran, alive, children, medtoken, running
from support.stage import Stage

from medtoken.chain.contracts import Suite
from medtoken.chain.node import Node, Wallet
from medtoken.cli import main
from medtoken.demo.fixtures import real_files
from medtoken.demo.people import cast
from medtoken.deploy.record import Deployment
from medtoken.formats import Format
from medtoken.home import Home
from medtoken.messages import DUT
from medtoken.parties.licensee import Bought
from medtoken.vocabulary import Form

Run = Callable[..., Ran]


@dataclass
class Devnet:
    """One test's view of the devnet: what it does to the chain is undone, its folder is a copy."""

    stage: Stage
    home: Path
    record: str
    unattested: str
    consent: str
    licence: str

    @property
    def chain(self) -> Chain:
        return self.stage.chain

    @property
    def rpc(self) -> str:
        return self.chain.node.url

    @property
    def where(self) -> tuple[str, ...]:
        """The options that lead every command here."""
        return ("--rpc", self.rpc, "--home", str(self.home))

    def file(self, kind: Format) -> str:
        return str(self.stage.files[kind])


@pytest.fixture(scope="session")
def _devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    home = tmp_path_factory.mktemp("devnet") / "home"
    with running("devnet", "--port", "0", "--home", home, "--json") as process:
        assert process.stdout
        text = ""
        while not text.endswith("}\n}\n") and (line := process.stdout.readline()):
            text += line
        ready = json.loads(text)
        assert Path(ready["deployment"]) == Home(home).deployment(ready["chain_id"])
        (anvil,) = children(process.pid)
        yield ready["rpc"], home
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        assert not alive(anvil)


@pytest.fixture(scope="session")
def _prepared(
    _devnet: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Stage, Bought, bytes]:
    url, folder = _devnet
    home = Home(folder)
    node = Node.connect(url)
    chain = Chain(node, Suite(node, Deployment.load(home.deployment(31337))), cast(), home)
    found = real_files(tmp_path_factory.mktemp("files"))
    patient = Wallet.create()
    home.keep_wallet("patient", patient)
    home.keep_wallet("somebody", Wallet.create())
    stage = Stage(chain, home, {f.format: f.path for f in found}, patient)
    stage.licensee.deposit(1000 * DUT)
    record = stage.record()
    consent = stage.consent(record)
    bought = stage.buy(record, consent, Form.METERED, 10)
    stage.licensee.use(bought.licence, 4)
    chain.suite.market.settle(chain.cast["relay"], [bought.ref])
    chain.mine()
    return stage, bought, stage.add(Format.CGM).record


@pytest.fixture
def devnet(_prepared: tuple[Stage, Bought, bytes], tmp_path: Path) -> Iterator[Devnet]:
    stage, bought, unattested = _prepared
    home = shutil.copytree(stage.home.folder, tmp_path / "home")
    with stage.chain.anchor():
        yield Devnet(
            Stage(stage.chain, Home(home), stage.files, stage.patient_wallet),
            home,
            "0x" + bought.ref.record.hex(),
            "0x" + unattested.hex(),
            "0x" + bought.ref.consent.hex(),
            "0x" + bought.licence.hex(),
        )


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line without a new process each time: many small questions to it."""
    for name in [name for name in os.environ if name.startswith("MEDTOKEN_")]:
        monkeypatch.delenv(name)

    def call(*args: str | Path) -> Ran:
        monkeypatch.setattr(sys, "argv", ["medtoken", *map(str, args)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ran(ended.value.code, out, err)

    return call


@pytest.fixture
def process(devnet: Devnet) -> Run:
    """The command line as people meet it, in a process of its own, with --json."""

    def call(*args: str | Path) -> Ran:
        return medtoken(*args, *devnet.where, "--json")

    return call

"""Three keeper processes on a real chain, and records whose keys they hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.live import Chain, chain

from medtoken.chain.node import Wallet
from medtoken.keeper.bench import licensed
from medtoken.keeper.client import HttpKeeper, configure_keepers
from medtoken.keeper.process import KeeperProcess, keeper_processes
from medtoken.keys import (
    Custodianship,
    HpkePrivateKey,
    Keeper,
    KeyRequest,
    Rendition,
    SignedKeyRequest,
    order_with,
    release_key,
    sign_with,
)
from medtoken.messages import DUT
from medtoken.parties import Licensee, Patient

# Generous: it ends a test that hangs, and says nothing about speed.
PATIENCE = 120.0


@dataclass
class Case:
    """One licensed record, and short ways to ask for its key."""

    world: World
    licence: bytes
    record: bytes
    rendition: Rendition
    block: int
    key: bytes
    patient: Patient
    private_key: HpkePrivateKey = field(default_factory=HpkePrivateKey.generate)

    def request(self, **changes: object) -> KeyRequest:
        """Not yet addressed to a keeper."""
        fields: dict[str, object] = {
            "chain_id": self.world.chain.node.chain_id,
            "market": self.world.chain.suite.market.address,
            "licence": self.licence,
            "record": self.record,
            "requester": self.world.pharma.address,
            "public_key_hash": self.private_key.public_key.fingerprint,
            "block": self.block,
            "expiry": self.world.now + 600,
        }
        return KeyRequest(**{**fields, **changes})  # type: ignore[arg-type]

    def signed(self, keeper: Keeper, **changes: object) -> SignedKeyRequest:
        request = self.request(**changes).for_keeper(keeper.keeper_id)
        return SignedKeyRequest(
            request,
            bytes(self.private_key.public_key),
            sign_with(self.world.pharma.account)(request),
        )

    def open(
        self,
        keepers: Sequence[Keeper] | None = None,
        *,
        wallet: Wallet | None = None,
        patience: float = PATIENCE,
        hedge: float = PATIENCE,
        **changes: object,
    ) -> bytes:
        """The key, from these keepers; only if it is the record's."""
        signer = wallet or self.world.pharma
        changes.setdefault("requester", signer.address)
        return release_key(
            self.world.keepers if keepers is None else keepers,
            self.request(**changes),
            self.private_key,
            rendition=self.rendition,
            sign=sign_with(signer.account),
            commits_to=lambda key: key == self.key,
            patience=patience,
            hedge=hedge,
        )


@dataclass
class World:
    """A chain that only ever grows, three keepers, and people."""

    chain: Chain
    processes: list[KeeperProcess]
    keepers: list[HttpKeeper]

    @property
    def pharma(self) -> Wallet:
        return self.chain.cast["pharma"]

    @property
    def operator(self) -> Wallet:
        return self.chain.cast["operator"]

    @property
    def now(self) -> int:
        return self.chain.node.head().timestamp

    def case(self, *, final: bool = True, metered: int = 0) -> Case:
        """A new record whose key the keepers hold, licensed."""
        suite, cast = self.chain.suite, self.chain.cast
        licensee = Licensee(suite, self.pharma)
        made = licensed(suite, cast, licensee, self.keepers, metered=metered)
        if final:
            self.chain.mine()
        return Case(
            self, made.licence, made.record, made.rendition, made.block, made.key, made.patient
        )

    def custodianship(self, wallet: Wallet | None = None) -> Custodianship:
        return Custodianship(
            chain_id=self.chain.node.chain_id,
            market=self.chain.suite.market.address,
            sign=order_with((wallet or self.chain.cast["hospital"]).key),
            now=lambda: self.now,
        )

    def start_again(self) -> None:
        """Have every keeper running and at its place."""
        for at, process in enumerate(self.processes):
            process.resume()
            if process.process is None or process.process.poll() is not None:
                process.kill()
                self.keepers[at] = process.start()
        self.configure()

    def configure(self) -> None:
        configure_keepers(self.chain.home.keepers_file, self.keepers)


@pytest.fixture(scope="session")
def _world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("keepers")
    with chain(folder / "home") as made:
        deployment = made.home.deployment(made.node.chain_id)
        Licensee(made.suite, made.cast["pharma"]).deposit(5_000_000 * DUT)
        with keeper_processes(
            folder / "keepers", rpc=made.node.url, deployment=deployment
        ) as processes:
            world = World(made, processes, [process.ready() for process in processes])
            world.configure()
            yield world


@pytest.fixture
def world(_world: World) -> Iterator[World]:
    """Keepers that run; whatever a test did to their processes is put right."""
    _world.start_again()
    yield _world
    _world.start_again()


@pytest.fixture
def case(world: World) -> Case:
    return world.case()

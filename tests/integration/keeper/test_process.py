"""The keeper as a process: what it leaves behind, how its vault opens, what it does not tell."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.live import alive, children, environment, python
from support.postgres import fresh_database, postgres

from medtoken.errors import IntegrityError, KeyRefused, StateError
from medtoken.keeper.process import KeeperProcess
from medtoken.keys import Custodianship, Passphrase, Rendition, SqliteVault, deposit
from medtoken.vocabulary import profile_hash

from .conftest import Case, World

PASSPHRASE = "correct horse battery staple"
OWNER = """
import sys, time
from pathlib import Path
from medtoken.keeper.process import running_keepers
folder, rpc, deployment = sys.argv[1:]
with running_keepers(Path(folder), Path(folder) / "k.json", rpc=rpc, deployment=Path(deployment)):
    print("ready", flush=True)
    time.sleep(600)
"""


def process(world: World, folder: Path, *options: str, **env: str) -> KeeperProcess:
    return KeeperProcess(
        folder,
        rpc=world.chain.node.url,
        deployment=world.chain.home.deployment(world.chain.node.chain_id),
        name="keeper",
        options=("--chain-clock", *options),
        environment=env,
    )


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_keepers_go_with_their_owner(world: World, tmp_path: Path, end: signal.Signals) -> None:
    deployment = world.chain.home.deployment(world.chain.node.chain_id)
    owner = subprocess.Popen(
        python(OWNER, tmp_path, world.chain.node.url, deployment),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(),
    )
    with owner:
        assert owner.stdout
        assert owner.stdout.readline() == "ready\n"
        keepers = children(owner.pid)
        assert len(keepers) == 3
        owner.send_signal(end)
        owner.wait(60)
        deadline = time.monotonic() + 60
        while any(alive(pid) for pid in keepers):
            assert time.monotonic() < deadline, "a keeper outlives its owner"
            time.sleep(0.02)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.mark.parametrize("vault", ["key file", "passphrase", "PostgreSQL"])
def test_shares_outlive_a_keeper_however_they_are_kept(
    case: Case, tmp_path: Path, vault: str, request: pytest.FixtureRequest
) -> None:
    """A third keeper of this kind holds a share of a new record, is killed, and gives it later."""
    world = case.world
    env = {}
    if vault == "passphrase":
        env = {"MEDTOKEN_KEEPER_PASSPHRASE": PASSPHRASE}
    if vault == "PostgreSQL":
        url = fresh_database(request.getfixturevalue("server"), "keeper")
        env = {"MEDTOKEN_KEEPER_DATABASE": url}
    other = process(world, tmp_path / "other", **env)
    try:
        client = other.start()
        others = [*world.keepers[:2], client]
        # The record's key anew, at a later version, for the keepers that it now has.
        assert deposit(case.rendition, case.key, others, world.custodianship()) == 2
        assert case.open([world.keepers[0], client]) == case.key
        other.kill()
        client = other.start()
        assert client.keeper_id == others[2].keeper_id
        assert case.open([client, world.keepers[1]]) == case.key
        assert (tmp_path / "other" / "vault.sqlite").exists() == (vault != "PostgreSQL")
        assert (tmp_path / "other" / "vault.key").exists() == (vault != "passphrase")
    finally:
        other.stop()


def test_a_wrong_passphrase_opens_nothing(world: World, tmp_path: Path) -> None:
    keeper = process(world, tmp_path, MEDTOKEN_KEEPER_PASSPHRASE=PASSPHRASE)
    keeper.start()
    keeper.stop()
    for wrong in ("another passphrase of length", "short"):
        with pytest.raises(StateError, match="did not start"):
            process(world, tmp_path, MEDTOKEN_KEEPER_PASSPHRASE=wrong).start()
    with pytest.raises(IntegrityError):
        SqliteVault(tmp_path / "vault.sqlite", Passphrase("another passphrase of length"))
    told = keeper.log.read_text()
    assert "not that of the vault" in told
    assert PASSPHRASE not in told


def test_a_keeper_that_cannot_start_says_why_in_one_sentence(world: World, tmp_path: Path) -> None:
    deployment = world.chain.home.deployment(world.chain.node.chain_id)
    taken = world.keepers[0].url.rpartition(":")[2]
    key = tmp_path / "open.key"
    key.write_bytes(bytes(32))
    key.chmod(0o644)
    cases: list[tuple[list[str], str]] = [
        (["--deployment", str(tmp_path / "none.json")], "There is no deployment record"),
        (["--deployment", str(deployment), "--port", taken], "cannot be listened on"),
        (["--deployment", str(deployment), "--key-file", str(key)], "may be read by others"),
        (["--deployment", str(deployment), "--database", "postgresql://%%"], "malformed"),
        (["--deployment", str(deployment), "--rpc", "nowhere"], "not an http"),
    ]
    for options, why in cases:
        done = subprocess.run(
            [sys.executable, "-m", "medtoken.keeper", "--data", str(tmp_path / "d"), *options],
            capture_output=True,
            text=True,
            timeout=120,
            env=environment(),
            check=False,
        )
        assert done.returncode not in (0, 1), done
        assert why in done.stderr
        assert done.stderr.count("\n") == 1
        assert done.stdout == ""


def test_nothing_secret_is_on_a_keepers_disk_or_in_its_log(case: Case) -> None:
    world = case.world
    assert case.open() == case.key
    with pytest.raises(KeyRefused):
        case.open(wallet=world.chain.cast["stranger"])
    written = b"".join(
        path.read_bytes()
        for keeper in world.processes
        for path in keeper.folder.rglob("*")
        if path.is_file() and path.name != "vault.key"
    )
    assert len(written) > 10_000
    for secret in (case.key, case.key[:16], world.pharma.key):
        assert secret not in written
        assert secret.hex().encode() not in written
    for keeper in world.processes:
        assert "Traceback" not in keeper.log.read_text()
        assert os.stat(keeper.folder / "vault.key").st_mode & 0o077 == 0


def test_a_deposit_by_nobodys_custodian_is_refused(world: World) -> None:
    """Signed by everybody else, or for a record whose id does not follow from number and tag."""
    suite, cast = world.chain.suite, world.chain.cast
    number, tag = suite.registry.number_of(cast["hospital"].address), os.urandom(32)
    record = suite.registry.record_id(number, tag)
    copy = Rendition(record, profile_hash("de-identified"))

    def attempt(wallet: Any, **evidence: Any) -> Custodianship:
        return dataclasses.replace(world.custodianship(wallet), **evidence)

    for custodian in (
        attempt(cast["stranger"], custodian=number, tag=tag),
        attempt(cast["laboratory"], custodian=number, tag=tag),
        attempt(cast["hospital"], custodian=number, tag=bytes(32)),
        attempt(cast["hospital"], custodian=number + 1, tag=tag),
        attempt(cast["hospital"]),
    ):
        with pytest.raises(KeyRefused, match="custodian"):
            deposit(copy, bytes(32), world.keepers, custodian)
        assert [keeper.share_version(copy.id) for keeper in world.keepers] == [0, 0, 0]
    good = attempt(cast["hospital"], custodian=number, tag=tag)
    assert deposit(copy, bytes(range(32)), world.keepers, good) == 1


def test_a_registered_record_is_its_custodians(case: Case) -> None:
    world = case.world
    with pytest.raises(KeyRefused, match="custodian"):
        deposit(case.rendition, bytes(32), world.keepers, world.custodianship(world.pharma))
    assert case.open() == case.key

"""Rotation and destruction with real processes and the chain: shares change, and then are gone."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import pytest
from support.keepers import Wrapped
from support.live import medtoken_here, populated

from medtoken.errors import ContractRefused, IntegrityError, KeyRefused, NotPermitted
from medtoken.home import Home
from medtoken.keeper.certificate import Certificate
from medtoken.keeper.client import configure_keepers
from medtoken.keys import Code, Keeper, Refused, rotate
from medtoken.parties import Custodian

from .conftest import Case, World


@pytest.fixture
def home(world: World, tmp_path: Path) -> Home:
    """The hospital's folder, with the three keepers pinned."""
    home = populated(tmp_path / "home", world.chain)
    configure_keepers(home.keepers_file, world.keepers)
    return home


@pytest.fixture
def hospital(world: World, home: Home) -> Custodian:
    return Custodian(world.chain.suite, world.chain.cast["hospital"], home)


def test_a_rotation_changes_every_share_and_not_the_key(case: Case, hospital: Custodian) -> None:
    assert hospital.rotate_shares(case.record) == 2
    for pair in combinations(case.world.keepers, 2):
        assert case.open(pair) == case.key


@pytest.mark.slow
@pytest.mark.parametrize("step", ["rotate", "complete", "finish"])
@pytest.mark.parametrize("at", range(3))
def test_a_keeper_killed_in_any_step_comes_back_to_the_same_key(
    case: Case, hospital: Custodian, step: str, at: int
) -> None:
    world = case.world

    class Killed(Wrapped):
        def __getattr__(self, name: str) -> object:
            if name == step:
                world.processes[at].kill()
            return super().__getattr__(name)

    keepers: list[Keeper] = list(world.keepers)
    keepers[at] = Killed(world.keepers[at])
    with pytest.raises(KeyRefused, match=f"keeper {at + 1}: did not answer"):
        rotate(case.rendition, keepers, world.custodianship())
    assert case.open() == case.key
    world.keepers[at] = world.processes[at].start()
    for pair in combinations(world.keepers, 2):
        assert case.open(pair) == case.key
    configure_keepers(hospital._home.keepers_file, world.keepers)
    again = Custodian(world.chain.suite, world.chain.cast["hospital"], hospital._home)
    version = again.rotate_shares(case.record)
    assert [keeper.share_version(case.rendition.id) for keeper in world.keepers] == [version] * 3
    for pair in combinations(world.keepers, 2):
        assert case.open(pair) == case.key


def test_a_destroyed_record_is_opened_by_nobody(case: Case, hospital: Custodian) -> None:
    world, registry = case.world, case.world.chain.suite.registry
    assert case.open() == case.key
    certificate = hospital.destroy_record(case.record)
    with pytest.raises(KeyRefused, match="destroyed"):
        case.open()
    assert [keeper.holding(case.rendition.id).shredded for keeper in world.keepers] == [True] * 3
    event = registry.destruction(case.record)
    assert event is not None
    assert event["certificate"] == certificate.hash
    receipts = certificate.check(case.record)
    assert {r.card.keeper_id for r in receipts} == {k.keeper_id for k in world.keepers}
    # Once more changes nothing, and gives the same certificate.
    height = world.chain.height()
    assert hospital.destroy_record(case.record) == certificate
    assert world.chain.height() == height


def test_a_record_destroyed_on_the_chain_is_refused_by_a_keeper_that_missed_it(case: Case) -> None:
    """The order never reached the keepers; what the newest block says is enough."""
    world = case.world
    world.chain.suite.registry.destroy(world.chain.cast["hospital"], case.record, b"\x01" * 32)
    for keeper in world.keepers:
        with pytest.raises(Refused) as refusal:
            keeper.release(case.signed(keeper))
        assert refusal.value.code is Code.SHREDDED


def test_with_a_keeper_dead_nothing_is_certified_until_it_is_back(
    case: Case, hospital: Custodian
) -> None:
    world = case.world
    world.processes[2].kill()
    with pytest.raises(KeyRefused, match="keeper 3"):
        hospital.destroy_record(case.record)
    assert world.chain.suite.registry.destruction(case.record) is None
    with pytest.raises(KeyRefused):
        case.open()
    world.keepers[2] = world.processes[2].start()
    configure_keepers(hospital._home.keepers_file, world.keepers)
    again = Custodian(world.chain.suite, world.chain.cast["hospital"], hospital._home)
    assert len(again.destroy_record(case.record).check(case.record)) == 3


def test_nobody_else_destroys_or_rotates(case: Case, home: Home) -> None:
    world = case.world
    for name in ("laboratory", "pharma", "stranger"):
        other = Custodian(world.chain.suite, world.chain.cast[name], home)
        with pytest.raises(NotPermitted, match="not the custodian"):
            other.destroy_record(case.record)
        with pytest.raises(KeyRefused, match="custodian"):
            other.rotate_shares(case.record)
        with pytest.raises(ContractRefused):
            world.chain.suite.registry.destroy(world.chain.cast[name], case.record, b"\x01" * 32)
    assert case.open() == case.key


def test_a_certificate_that_was_touched_is_refused(case: Case, hospital: Custodian) -> None:
    good = hospital.destroy_record(case.record)
    document = json.loads(good.document)

    def canonical(data: object) -> bytes:
        return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()

    assert canonical(document) == good.document
    one, two, three = document["receipts"]
    touched = [
        canonical({**document, "record": "0x" + "09" * 32}),
        canonical({**document, "custodian": case.world.pharma.address}),
        canonical({**document, "format": "another"}),
        canonical({**document, "receipts": [one]}),
        canonical({**document, "receipts": [one, one, one]}),
        canonical({**document, "receipts": [{**one, "version": 0}, two, three]}),
        canonical({**document, "receipts": [{**one, "time": 1}, two, three]}),
        canonical({**document, "receipts": [{**one, "deadline": 1}, two, three]}),
        canonical({**document, "receipts": [{**one, "signature": two["signature"]}, two]}),
        canonical({**document, "receipts": [{**one, "address": two["address"]}, two]}),
        good.document + b"\n",
        good.document[:-1],
        b"",
    ]
    for bad in touched:
        with pytest.raises(IntegrityError):
            Certificate(bad).check(case.record)
    with pytest.raises(IntegrityError):
        good.check(b"\x09" * 32)


def test_the_command_line_destroys_and_shows_the_certificate(case: Case, home: Home) -> None:
    world = case.world
    common = ["--rpc", world.chain.node.url, "--home", str(home.folder), "--json"]
    record = "0x" + case.record.hex()
    assert medtoken_here("record", "rotate-key", record, *common).ok()["version"] == 2
    missing = medtoken_here("record", "certificate", record, *common)
    assert missing.code == 17
    assert "no destruction certificate" in missing.err
    asked = medtoken_here("record", "destroy", record, *common)
    assert asked.code != 0
    assert case.open() == case.key
    done = medtoken_here("record", "destroy", record, "--yes", *common).ok()
    shown = medtoken_here("record", "certificate", record, *common).ok()
    assert shown["certificate"] == done["certificate"]
    assert [r["version"] for r in shown["receipts"]] == [2, 2, 2]
    path = home.folder / "certificates" / f"{case.record.hex()}.json"
    path.write_bytes(path.read_bytes().replace(b'"version":2', b'"version":3', 1))
    touched = medtoken_here("record", "certificate", record, *common)
    assert touched.code == 5

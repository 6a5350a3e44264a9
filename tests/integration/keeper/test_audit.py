"""Keepers' logs against the chain: honest ones are clean, and every unjustified release is named."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path

import pytest
from support.live import medtoken_here, populated

from medtoken import bodies
from medtoken.chain.rpc import Rpc
from medtoken.errors import IntegrityError
from medtoken.keeper import wire
from medtoken.keeper.audit import Finding, releases_without_licence
from medtoken.keeper.client import HttpKeeper, configure_keepers
from medtoken.keys import (
    KeeperIdentity,
    KeyKeeper,
    LicenceState,
    LogEntry,
    SignedKeyRequest,
    SqliteVault,
    Tip,
    revoke,
    sign_with,
    split,
    verify_log,
)
from medtoken.messages import Revocation
from medtoken.watch.keepers import KeeperLog

from .conftest import Case, World


def findings(world: World, entries: Sequence[LogEntry]) -> list[Finding]:
    return releases_without_licence(
        entries, Rpc(world.chain.node.url), world.chain.suite.deployment
    )


class Corrupt:
    """What a keeper that its operator bent sees: every licence lives, for anybody."""

    def __init__(self, case: Case, honest: object) -> None:
        self._case, self._honest = case, honest
        self.licensee = case.world.pharma.address
        self.consent = case.world.chain.suite.market.licence_ref(case.licence).consent

    def tip(self) -> Tip:
        return self._honest.tip()  # type: ignore[attr-defined, no-any-return]

    def licence_states(self, tip: Tip, wanted: Sequence[tuple[bytes, int]]) -> list[LicenceState]:
        state = LicenceState(
            live=True,
            licensee=self.licensee,
            record=self._case.record,
            expires=1 << 40,
            block=tip.final,
            consent=self.consent,
            fields=self._case.rendition.fields,
        )
        return [state for _ in wanted]

    def custodian(self, tip: Tip, record: bytes, number: int, tag: bytes) -> str:
        return ""

    def patient(self, tip: Tip, consent: bytes) -> str:
        return self._case.patient.address

    def approves(self, tip: Tip, account: str, digest: bytes, signature: bytes) -> bool:
        return False


@pytest.fixture
def corrupt(case: Case) -> KeyKeeper:
    """A keeper of a real record's share, with an operator of its own mind."""
    from medtoken.chain.licence_view import MarketView

    suite = case.world.chain.suite
    keeper = KeyKeeper(
        KeeperIdentity.generate(),
        name="corrupt",
        chain_id=suite.node.chain_id,
        market=suite.market.address,
        chain=Corrupt(case, MarketView(Rpc(suite.node.url), suite.deployment)),
        vault=SqliteVault.in_memory(),
    )
    keeper._vault.put(split(case.key, case.rendition.id)[0], {"kind": "deposit", "time": 0})
    return keeper


def test_honest_logs_are_clean(world: World) -> None:
    """After releases, refusals and a revocation, in every keeper."""
    cases = [world.case() for _ in range(2)]
    for case in cases:
        for pair in combinations(world.keepers, 2):
            assert case.open(pair) == case.key
    market = world.chain.suite.market
    consent = market.licence_ref(cases[0].licence).consent
    revoke(consent, cases[0].patient.sign(Revocation(consent)), world.keepers)
    world.chain.mine()
    assert cases[1].open() == cases[1].key
    market.revoke(world.chain.cast["relay"], consent, cases[0].patient.sign(Revocation(consent)))
    for keeper in world.keepers:
        entries = list(keeper.log())
        head = keeper.log_head()
        assert (len(entries), verify_log(entries)) == (head.entries, head.hash)
        assert any(entry.event["kind"] == "release" for entry in entries)
        assert findings(world, entries) == []


def write(file: Path, entries: Iterable[LogEntry]) -> None:
    file.write_bytes(b"".join(bodies.encoded(wire.Entry.of(entry)) + b"\n" for entry in entries))


def test_a_release_after_the_revocation_is_named(
    case: Case, corrupt: KeyKeeper, tmp_path: Path
) -> None:
    world = case.world
    corrupt.release(case.signed(corrupt))
    consent = world.chain.suite.market.licence_ref(case.licence).consent
    world.chain.suite.market.revoke(
        world.chain.cast["relay"], consent, case.patient.sign(Revocation(consent))
    )
    corrupt.release(case.signed(corrupt))
    # Whoever watches is told of it once, and again only when there is more.
    file = tmp_path / "corrupt.jsonl"
    write(file, corrupt.log())
    log, rpc = KeeperLog(file), Rpc(world.chain.node.url)
    (alert,) = log.look(rpc, world.chain.suite.deployment)
    assert (alert.kind, alert.rule, alert.parties) == ("release", "R34", (world.pharma.address,))
    assert alert.text.endswith("entry 3 of its log: the consent was revoked")
    assert log.look(rpc, world.chain.suite.deployment) == [alert]
    write(file, list(corrupt.log())[:2])
    again = log.look(rpc, world.chain.suite.deployment)
    assert [a.text for a in again if a != alert] == [
        "The log of corrupt.jsonl was altered: entries that were seen before are gone or changed"
    ]
    # What no keeper writes is an alteration, and ends nothing.
    nonsense = LogEntry.following(None, {"kind": "release", "requester": "x", "nonce": "1"})
    write(file, [nonsense])
    (altered,) = KeeperLog(file).look(rpc, world.chain.suite.deployment)
    assert altered.text == "The log of corrupt.jsonl was altered: an entry is malformed"
    (found,) = findings(world, list(corrupt.log()))
    assert (found.entry, found.reason) == (3, "the consent was revoked")
    assert (found.record, found.licence) == ("0x" + case.record.hex(), "0x" + case.licence.hex())
    assert found.requester == world.pharma.address


def test_a_release_to_somebody_else_is_named(case: Case, corrupt: KeyKeeper) -> None:
    world = case.world
    stranger = world.chain.cast["stranger"]
    corrupt._chain.licensee = stranger.address  # type: ignore[attr-defined]
    request = case.request(requester=stranger.address).for_keeper(corrupt.keeper_id)
    signature = sign_with(stranger.account)(request)
    corrupt.release(SignedKeyRequest(request, bytes(case.private_key.public_key), signature))
    (found,) = findings(world, list(corrupt.log()))
    assert found.reason == "the requester is not the licensee"
    assert found.requester == stranger.address


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"licence": b"\x09" * 32}, "the licence is unknown"),
        ({"block": 1}, "the licence is unknown"),
    ],
)
def test_a_release_without_a_licence_is_named(
    case: Case, corrupt: KeyKeeper, changes: dict[str, object], reason: str
) -> None:
    corrupt.release(case.signed(corrupt, **changes))
    (found,) = findings(case.world, list(corrupt.log()))
    assert found.reason.startswith(reason)


def test_a_release_before_finality_is_named(world: World) -> None:
    from medtoken.chain.licence_view import MarketView

    case = world.case(final=False)
    suite = world.chain.suite
    keeper = KeyKeeper(
        KeeperIdentity.generate(),
        name="hasty",
        chain_id=suite.node.chain_id,
        market=suite.market.address,
        chain=Corrupt(case, MarketView(Rpc(suite.node.url), suite.deployment)),
        vault=SqliteVault.in_memory(),
    )
    keeper._vault.put(split(case.key, case.rendition.id)[0], {"kind": "deposit"})
    keeper.release(case.signed(keeper, block=0))
    world.chain.mine()
    assert len(findings(world, list(keeper.log()))) == 1


def rewritten(entries: Sequence[LogEntry], at: int, **changes: str | int) -> list[LogEntry]:
    """The log with one event changed and every hash after it made anew, as its keeper could."""
    again: list[LogEntry] = []
    for number, entry in enumerate(entries):
        event = {**entry.event, **changes} if number == at else entry.event
        again.append(LogEntry.following(again[-1] if again else None, event))
    return again


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"requester": "0x" + "98" * 20}, "not the one that is named"),
        ({"nonce": "1"}, "not the one that is named"),
        ({"signature": "0x" + "00" * 65}, "not signed by the requester"),
        ({"head_hash": "0x" + "09" * 32}, "a block that the chain has left"),
        ({"head_block": 10_000_000}, "the chain has no such block"),
        ({"chain_id": 1}, "for another market"),
        ({"consent": "0x" + "09" * 32}, "under another consent"),
        ({"fields": "0x" + "09" * 32}, "by another profile than the consent names"),
        ({"copy_for": "0x" + "09" * 32}, "the copy is for another licence"),
        ({"market": "nowhere"}, "malformed"),
    ],
)
def test_a_log_that_its_keeper_made_up_is_noticed(
    case: Case, changes: dict[str, str | int], reason: str
) -> None:
    world = case.world
    assert case.open(world.keepers[:2]) == case.key
    entries = list(world.keepers[0].log())
    assert entries[-1].event["kind"] == "release"
    forged = rewritten(entries, len(entries) - 1, **changes)
    verify_log(forged)
    found = [f for f in findings(world, forged) if f.entry == len(entries)]
    assert any(reason in f.reason for f in found), found


def test_a_log_forbids_what_came_before_in_it(case: Case, corrupt: KeyKeeper) -> None:
    world = case.world
    corrupt.release(case.signed(corrupt))
    entries = list(corrupt.log())
    revocation = {"kind": "revocation", "consent": entries[-1].event["consent"]}
    shredding = {"kind": "shred", "record": entries[-1].event["record"]}
    repeated: list[LogEntry] = []
    for event in (entries[-1].event, revocation, shredding, entries[-1].event):
        repeated.append(LogEntry.following(repeated[-1] if repeated else None, event))
    reasons = {f.reason for f in findings(world, repeated) if f.entry == 4}
    assert reasons == {
        "its nonce was used before",
        "the keeper knew that the consent was revoked",
        "the record's share had been shredded",
    }


def test_an_altered_log_is_refused(case: Case) -> None:
    assert case.open() == case.key
    entries = list(case.world.keepers[0].log())
    with pytest.raises(IntegrityError, match="altered or is missing"):
        findings(case.world, entries[1:])
    changed = dataclasses.replace(entries[-1], body=entries[-1].body.replace("1", "2", 1))
    with pytest.raises(IntegrityError, match="altered or is missing"):
        findings(case.world, [*entries[:-1], changed])


# --- the command line ----------------------------------------------------------------------------


def test_the_command_line_pins_reads_and_checks(case: Case, tmp_path: Path) -> None:
    world = case.world
    home = populated(tmp_path / "home", world.chain)
    common = ["--rpc", world.chain.node.url, "--home", str(home.folder), "--json"]
    described = [json.loads(medtoken_here("keeper", "info", k.url).out) for k in world.keepers]
    assert [d["keeper"] for d in described] == [bodies.hexed(k.keeper_id) for k in world.keepers]
    named = [
        f"{letter}={k.url}={bodies.hexed(k.keeper_id)}"
        for letter, k in zip("abc", world.keepers, strict=True)
    ]
    assert medtoken_here("keeper", "pin", *named[:2], *common).code == 2
    assert medtoken_here("keeper", "pin", *named[:2], named[0], *common).code == 2
    swapped = f"c={world.keepers[2].url}={bodies.hexed(world.keepers[1].keeper_id)}"
    assert medtoken_here("keeper", "pin", *named[:2], swapped, *common).code == 5
    assert medtoken_here("keeper", "pin", *named, *common).ok()["keepers"].keys() == {"a", "b", "c"}
    assert [k.name for k in home.keepers(world.chain.suite)] == ["a", "b", "c"]

    assert case.open(world.keepers[:2]) == case.key
    checked = medtoken_here("keeper", "log", "a", "--verify", *common).ok()
    assert checked["unjustified"] == []
    assert checked["releases"] >= 1
    lines = medtoken_here("keeper", "log", "a", *common).out
    saved = tmp_path / "a.jsonl"
    saved.write_text(lines)
    assert medtoken_here("keeper", "log", "--file", saved, "--verify", *common).ok() == checked
    saved.write_text(lines.replace("deposit", "Deposit", 1))
    assert medtoken_here("keeper", "log", "--file", saved, "--verify", *common).code == 5
    forged = rewritten(list(world.keepers[0].log()), len(lines.splitlines()) - 1, nonce="1")
    saved.write_bytes(b"".join(bodies.encoded(wire.Entry.of(e)) + b"\n" for e in forged))
    bad = medtoken_here("keeper", "log", "--file", saved, "--verify", *common)
    assert bad.code == 1
    assert len(bad.json["unjustified"]) == 1
    assert medtoken_here("keeper", "log", "nobody", *common).code == 2


def test_a_patient_tells_the_keepers_on_the_command_line(case: Case, tmp_path: Path) -> None:
    world = case.world
    home = populated(tmp_path / "home", world.chain)
    configure_keepers(home.keepers_file, world.keepers)
    home.keep_wallet("patient", case.patient._wallet)
    common = ["--rpc", world.chain.node.url, "--home", str(home.folder), "--json"]
    consent = "0x" + world.chain.suite.market.licence_ref(case.licence).consent.hex()
    other = medtoken_here("keeper", "revoke", consent, "--as", "pharma", *common)
    assert other.code == 14
    assert case.open() == case.key
    assert len(medtoken_here("keeper", "revoke", consent, *common).ok()["keepers"]) == 3
    for keeper in world.keepers:
        assert isinstance(keeper, HttpKeeper)
        assert list(keeper.log())[-1].event["kind"] == "revocation"

"""The vault keeps shares encrypted, nonces for ever and a log that cannot be changed unseen."""

from __future__ import annotations

import dataclasses
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from support.postgres import fresh_database, postgres

from medtoken.errors import BadInput, IntegrityError, KeyRefused, StoreError
from medtoken.keys import (
    Passphrase,
    Refused,
    Share,
    SqliteVault,
    load_or_create_key,
    open_vault,
    split,
    verify_log,
)
from medtoken.keys._vault import Release, Staged

RECORD = b"\x01" * 32
KEY = b"k" * 32
DEK = bytes(range(32))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vault.sqlite"


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a vault of either kind may be; the same one each time in a test."""
    if request.param == "sqlite":
        return str(tmp_path / "vault.sqlite")
    return fresh_database(request.getfixturevalue("server"), "vault")


@pytest.fixture
def share() -> Share:
    return split(DEK, RECORD)[0]


def test_a_share_outlives_the_process_and_is_encrypted(path: Path, share: Share) -> None:
    vault = SqliteVault(path, KEY)
    vault.put(share, {"kind": "deposit"})
    vault.close()
    raw = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert share.value not in raw
    assert share.value[:16] not in raw
    again = SqliteVault(path, KEY)
    assert again.get(RECORD) == share
    assert again.version(RECORD) == 1
    assert [entry.event["kind"] for entry in again.log()] == ["deposit"]


def test_another_key_is_refused(path: Path, share: Share) -> None:
    SqliteVault(path, KEY).put(share, {})
    with pytest.raises(IntegrityError, match="key"):
        SqliteVault(path, b"x" * 32)
    with pytest.raises(BadInput, match="32 bytes"):
        SqliteVault(path, b"x" * 31)
    assert SqliteVault(path, KEY).get(RECORD) == share


def test_what_is_no_vault_is_refused(path: Path) -> None:
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match=r"vault\.sqlite"):
        SqliteVault(path, KEY)
    with pytest.raises(StoreError, match="cannot be used"):
        SqliteVault(path.parent / "missing" / "vault", KEY)


def test_an_altered_share_is_noticed(path: Path, share: Share) -> None:
    vault = SqliteVault(path, KEY)
    vault.put(share, {})
    other = split(DEK, b"\x02" * 32)[0]
    vault.put(other, {})
    with sqlite3.connect(path) as raw:
        raw.execute(
            "UPDATE shares SET sealed = (SELECT sealed FROM shares WHERE record = ?) "
            "WHERE record = ?",
            (other.record, RECORD),
        )
    raw.close()
    with pytest.raises(IntegrityError, match="altered"):
        vault.get(RECORD)
    assert vault.get(other.record) == other


def test_only_a_later_version_replaces_a_share(share: Share) -> None:
    vault = SqliteVault.in_memory()
    vault.put(share, {})
    with pytest.raises(KeyRefused, match="version 1 .* already held"):
        vault.put(share, {})
    later = split(DEK, RECORD, 5)[0]
    vault.put(later, {})
    with pytest.raises(KeyRefused, match="version 5"):
        vault.put(split(DEK, RECORD, 4)[0], {})
    assert vault.get(RECORD) == later
    assert vault.version(RECORD) == 5
    assert len(list(vault.log())) == 2


def test_a_shredded_share_is_gone_for_good(path: Path, share: Share) -> None:
    vault = SqliteVault(path, KEY)
    vault.put(share, {"kind": "deposit"})
    with sqlite3.connect(path) as raw:
        (sealed,) = raw.execute("SELECT sealed FROM shares").fetchone()
    raw.close()
    assert sealed in b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert vault.shred(RECORD, {"kind": "shred"})
    assert vault.get(RECORD) is None
    assert vault.version(RECORD) == 1
    with pytest.raises(KeyRefused, match="shredded"):
        vault.put(split(DEK, RECORD, 2)[0], {})
    assert not vault.shred(RECORD, {"kind": "shred"})
    assert [entry.event["kind"] for entry in vault.log()] == ["deposit", "shred"]
    vault.close()
    left = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert sealed not in left
    assert sealed[12:60] not in left


def test_a_record_never_held_is_unknown() -> None:
    vault = SqliteVault.in_memory()
    assert vault.get(RECORD) is None
    assert vault.version(RECORD) == 0
    assert list(vault.log()) == []


def test_a_record_never_held_can_be_barred(share: Share) -> None:
    vault = SqliteVault.in_memory()
    assert not vault.shred(RECORD, {"kind": "shred"})
    assert [entry.event["kind"] for entry in vault.log()] == ["shred"]
    with pytest.raises(KeyRefused, match="shredded"):
        vault.put(share, {})


def test_a_nonce_is_used_once_even_after_a_restart(path: Path) -> None:
    SqliteVault(path, KEY).append({"kind": "release"}, b"nonce")
    vault = SqliteVault(path, KEY)
    with pytest.raises(KeyRefused, match="nonce"):
        vault.append({"kind": "release"}, b"nonce")
    vault.append({"kind": "release"}, b"another")
    assert len(list(vault.log())) == 2


def test_two_threads_cannot_use_one_nonce_twice(path: Path) -> None:
    vaults = [SqliteVault(path, KEY) for _ in range(2)]
    barrier, done = threading.Barrier(8), []

    def use(vault: SqliteVault) -> None:
        barrier.wait()
        try:
            vault.append({}, b"nonce")
        except KeyRefused:
            return
        done.append(vault)

    threads = [threading.Thread(target=use, args=(vaults[i % 2],)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 1
    assert len(list(vaults[0].log())) == 1


# --- log ----------------------------------------------------------------------------------------


@pytest.fixture
def vault() -> SqliteVault:
    vault = SqliteVault.in_memory()
    for i in range(5):
        vault.append({"kind": "release", "i": i}, bytes([i]))
    return vault


def test_the_log_is_a_chain(vault: SqliteVault) -> None:
    entries = list(vault.log())
    assert verify_log(entries) == entries[-1].hash
    assert verify_log([]) == bytes(32)
    assert [entry.event["i"] for entry in entries] == [0, 1, 2, 3, 4]


def test_a_log_that_was_changed_is_noticed(vault: SqliteVault) -> None:
    entries = list(vault.log())
    changed = dataclasses.replace(entries[2], body=entries[2].body.replace("2", "7"))
    renumbered = dataclasses.replace(entries[3], number=3)
    for bad in (
        [*entries[:2], changed, *entries[3:]],
        [*entries[:2], *entries[3:]],
        [*entries[:2], renumbered, *entries[4:]],
        [entries[1], entries[0], *entries[2:]],
        [*entries[:4], dataclasses.replace(entries[4], number=9)],
        entries[1:],
        [entries[0], *entries],
    ):
        with pytest.raises(IntegrityError, match="log"):
            verify_log(bad)
    assert verify_log(entries[:3]) != verify_log(entries)


@pytest.mark.parametrize("statement", ["UPDATE log SET body = '{}'", "DELETE FROM log"])
def test_the_database_itself_keeps_the_log_append_only(path: Path, statement: str) -> None:
    SqliteVault(path, KEY).append({}, b"nonce")
    raw = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute(statement)
    raw.close()
    assert len(list(SqliteVault(path, KEY).log())) == 1


APPEND_FOR_EVER = """
import itertools, sys
from medtoken.keys import SqliteVault
vault = SqliteVault(sys.argv[1], b"k" * 32)
for i in itertools.count():
    vault.append({"kind": "release", "i": i}, i.to_bytes(8, "big"))
    print(i, flush=True)
"""


def test_a_killed_keeper_has_logged_all_that_it_answered(path: Path) -> None:
    command = [sys.executable, "-c", APPEND_FOR_EVER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        told = [int(process.stdout.readline()) for _ in range(20)]
        process.kill()
    entries = list(SqliteVault(path, KEY).log())
    verify_log(entries)
    assert [entry.event["i"] for entry in entries][:20] == told


# --- key file -----------------------------------------------------------------------------------


def test_the_key_file_is_made_once_and_private(tmp_path: Path) -> None:
    file = tmp_path / "key"
    key = load_or_create_key(file)
    assert len(key) == 32
    assert file.stat().st_mode & 0o777 == 0o600
    assert load_or_create_key(file) == key
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    assert load_or_create_key(tmp_path / "another") != key


def test_a_key_file_that_is_not_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(bytes(31))
    file.chmod(0o600)
    with pytest.raises(BadInput, match="32 bytes"):
        load_or_create_key(file)
    file.write_bytes(os.urandom(32))
    file.chmod(0o640)
    with pytest.raises(BadInput, match="read by others"):
        load_or_create_key(file)
    with pytest.raises(StoreError, match="cannot be used"):
        load_or_create_key(tmp_path / "missing" / "key")


# --- either database ----------------------------------------------------------------------------


def release(record: bytes, nonce: bytes, consent: bytes = b"c" * 32) -> Release:
    return Release({"kind": "release", "nonce": nonce.hex()}, nonce, record, consent)


def test_either_vault_keeps_what_it_was_given(where: str, share: Share) -> None:
    vault = open_vault(where, KEY)
    vault.put(share, {"kind": "deposit"})
    vault.keep("name", b"one")
    vault.keep("name", b"two")
    assert vault.keep_first("name", b"three") == b"two"
    assert vault.keep_first("other", b"four") == b"four"
    vault.revoke(b"c" * 32, {"kind": "revocation"})
    vault.close()
    again = open_vault(where, KEY)
    assert (again.get(RECORD), again.version(RECORD)) == (share, 1)
    assert (again.kept("name"), again.kept("nothing")) == (b"two", None)
    assert again.revoked(b"c" * 32)
    assert not again.revoked(b"d" * 32)
    assert not again.revoke(b"c" * 32, {})
    entries = list(again.log())
    assert verify_log(entries) == entries[-1].hash
    assert again.head() == entries[-1] == again.entry(2)
    assert list(again.log(1)) == entries[1:]
    assert list(again.log(0, 1)) == entries[:1]
    assert again.entry(3) is None
    again.close()


def test_either_vault_holds_shares_in_their_order(where: str, share: Share) -> None:
    vault = open_vault(where, KEY)
    with pytest.raises(KeyRefused, match="no share"):
        vault.stage(Staged(b"r" * 32, split(DEK, RECORD, 2)[0], complete=False), {})
    vault.put(share, {})
    with pytest.raises(KeyRefused, match="already held"):
        vault.put(share, {})
    with pytest.raises(KeyRefused, match="does not follow"):
        vault.stage(Staged(b"r" * 32, split(DEK, RECORD, 3)[0], complete=False), {})
    following = split(DEK, RECORD, 2)[0]
    vault.stage(Staged(b"q" * 32, following, complete=False), {})
    vault.stage(Staged(b"r" * 32, following, complete=False), {})
    assert vault.held([RECORD])[0].usable == [share]
    assert not vault.abandon(RECORD, 3, {})
    with pytest.raises(KeyRefused, match="not in use"):
        vault.finish(RECORD, 2, {})
    vault.stage(Staged(b"r" * 32, following, complete=True), {})
    assert vault.held([RECORD])[0].usable == [share, following]
    assert vault.version(RECORD) == 2
    with pytest.raises(KeyRefused, match="does not follow"):
        vault.stage(Staged(b"r" * 32, following, complete=True), {})
    assert vault.finish(RECORD, 2, {})
    assert not vault.finish(RECORD, 2, {})
    assert vault.held([RECORD, b"\x09" * 32])[0].usable == [following]
    vault.stage(Staged(b"s" * 32, split(DEK, RECORD, 3)[0], complete=True), {})
    assert vault.abandon(RECORD, 3, {})
    assert vault.held([RECORD])[0].usable == [following]
    vault.close()


def test_either_vault_shreds_for_good(where: str, share: Share) -> None:
    vault = open_vault(where, KEY)
    vault.put(share, {})
    vault.stage(Staged(b"r" * 32, split(DEK, RECORD, 2)[0], complete=True), {})
    assert vault.shred(RECORD, {"kind": "shred"})
    held = vault.held([RECORD])[0]
    assert (held.usable, held.staged, held.shredded) == ([], None, True)
    assert not vault.shred(RECORD, {"kind": "shred"})
    for attempt in (
        lambda: vault.put(split(DEK, RECORD, 9)[0], {}),
        lambda: vault.stage(Staged(b"r" * 32, split(DEK, RECORD, 2)[0], complete=False), {}),
        lambda: vault.finish(RECORD, 2, {}),
    ):
        with pytest.raises(KeyRefused):
            attempt()
    assert len(list(vault.log())) == 3
    vault.close()


def test_either_vault_logs_a_release_or_refuses_it(where: str, share: Share) -> None:
    vault = open_vault(where, KEY)
    vault.put(share, {})
    vault.revoke(b"d" * 32, {})
    answers = vault.release(
        [
            release(RECORD, b"1"),
            release(RECORD, b"1"),
            release(RECORD, b"2", consent=b"d" * 32),
            release(b"\x09" * 32, b"3"),
            release(RECORD, b"4"),
        ]
    )
    kinds = [a.code.value if isinstance(a, Refused) else a.number for a in answers]
    assert kinds == [3, "nonce-used", "consent-revoked", "no-share", 4]
    (again,) = vault.release([release(RECORD, b"4")])
    assert isinstance(again, Refused)
    verify_log(vault.log())
    vault.close()


def test_either_vault_is_one_chain_for_many_writers(where: str, share: Share) -> None:
    vaults = [open_vault(where, KEY) for _ in range(3)]
    vaults[0].put(share, {})
    barrier = threading.Barrier(6)

    def write(number: int) -> None:
        barrier.wait()
        for i in range(20):
            vaults[number % 3].release([release(RECORD, bytes([number, i])), release(RECORD, b"x")])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = list(vaults[0].log())
    verify_log(entries)
    assert len(entries) == 1 + 6 * 20 + 1
    for vault in vaults:
        vault.close()


def test_either_vault_opens_with_its_own_key_only(where: str, share: Share) -> None:
    vault = open_vault(where, Passphrase("a passphrase of some length"))
    vault.put(share, {})
    vault.close()
    for wrong in (Passphrase("another one of some length"), KEY):
        with pytest.raises(IntegrityError):
            open_vault(where, wrong)
    again = open_vault(where, Passphrase("a passphrase of some length"))
    assert again.get(RECORD) == share
    again.close()
    with pytest.raises(BadInput, match="12 characters"):
        Passphrase("short")


def test_a_passphrase_does_not_open_a_vault_with_a_key_file(where: str) -> None:
    open_vault(where, KEY).close()
    with pytest.raises(IntegrityError, match="key file"):
        open_vault(where, Passphrase("a passphrase of some length"))


def test_a_vault_whose_derivation_was_weakened_is_noticed(path: Path) -> None:
    SqliteVault(path, Passphrase("a passphrase of some length")).close()
    for derivation in ("scrypt 1 8 1 00", "scrypt 99 8 1 00", "none", "md5 1 1 1 00"):
        with sqlite3.connect(path) as raw:
            raw.execute("UPDATE vault SET derivation = ?", (derivation,))
        raw.close()
        with pytest.raises(IntegrityError):
            SqliteVault(path, Passphrase("a passphrase of some length"))


@pytest.mark.parametrize(
    "statement", ["UPDATE log SET body = '{}'", "DELETE FROM log", "TRUNCATE log"]
)
def test_postgresql_itself_keeps_the_log_append_only(server: str, statement: str) -> None:
    url = fresh_database(server, "append")
    vault = open_vault(url, KEY)
    vault.append({}, b"nonce")
    with psycopg.connect(url) as raw, pytest.raises(psycopg.Error, match="append-only"):
        raw.execute(statement)
    assert len(list(vault.log())) == 1
    vault.close()


def test_a_lost_connection_is_made_again(server: str, share: Share) -> None:
    url = fresh_database(server, "lost")
    vault = open_vault(url, KEY)
    vault.put(share, {})
    with psycopg.connect(server, autocommit=True) as raw:
        raw.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'lost'")
    with pytest.raises(StoreError, match="cannot be used"):
        vault.get(RECORD)
    assert vault.get(RECORD) == share
    vault.close()


def test_what_is_no_database_is_refused_without_telling_the_password(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as refusal:
        open_vault(f"postgresql://me:secret@/nothing?host={tmp_path}", KEY)
    assert "secret" not in str(refusal.value)
    with pytest.raises(BadInput, match="malformed"):
        open_vault("postgresql://%%%", KEY)


def test_nothing_in_postgresql_is_in_the_clear(server: str, share: Share) -> None:
    url = fresh_database(server, "clear")
    vault = open_vault(url, KEY)
    vault.put(share, {})
    vault.keep("identity", b"a private key of the keeper's own")
    vault.close()
    with psycopg.connect(url) as raw:
        stored = b"".join(
            bytes(value)
            for (value,) in raw.execute(
                "SELECT sealed FROM shares UNION ALL SELECT sealed FROM kept"
            ).fetchall()
        )
    assert len(stored) > 200
    assert share.value[:16] not in stored
    assert b"private" not in stored

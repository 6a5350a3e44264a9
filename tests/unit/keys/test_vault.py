"""The vault keeps shares encrypted, nonces for ever and a log that cannot be changed unseen."""

from __future__ import annotations

import dataclasses
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from medtoken.errors import BadInput, IntegrityError, KeyRefused, StoreError
from medtoken.keys import Share, SqliteVault, load_or_create_key, split, verify_log

RECORD = b"\x01" * 32
KEY = b"k" * 32
DEK = bytes(range(32))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vault.sqlite"


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
    vault.put(share, {})
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
    assert [entry.event.get("kind") for entry in vault.log()] == [None, "shred"]
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
    vault.append({"i": i}, i.to_bytes(8, "big"))
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

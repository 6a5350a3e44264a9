"""Where a keeper keeps its shares, its nonces and its log."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from medtoken.errors import BadInput, IntegrityError, KeyRefused, StoreError

from ._log import Event, LogEntry
from ._shamir import Share

_SCHEMA = """
PRAGMA secure_delete = ON;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS vault (version INTEGER NOT NULL, key_check BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS shares (
    record BLOB PRIMARY KEY,
    version INTEGER NOT NULL,
    sealed BLOB            -- NULL once shredded
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS log (
    number INTEGER PRIMARY KEY,
    body TEXT NOT NULL,
    hash BLOB NOT NULL,
    nonce BLOB UNIQUE      -- of a release: requester and nonce
);
CREATE TRIGGER IF NOT EXISTS log_update BEFORE UPDATE ON log
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS log_delete BEFORE DELETE ON log
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
"""


class ShareVault(Protocol):
    """One share per record, and a log. Each method is one transaction: all of it or nothing."""

    def version(self, record: bytes) -> int:
        """The version of the share last put for ``record``, shredded or not; 0 if none was."""

    def put(self, share: Share, event: Event) -> None:
        """Hold a share in place of any older one, and log it.

        KeyRefused if the record was shredded or a share of this or a later version is held.
        """

    def get(self, record: bytes) -> Share | None:
        """The share, or None if there is none (any more)."""

    def shred(self, record: bytes, event: Event) -> bool:
        """Delete a share for good and log it; whether there was one."""

    def append(self, event: Event, nonce: bytes) -> LogEntry:
        """Log a release; KeyRefused if ``nonce`` was used before."""

    def log(self) -> Iterator[LogEntry]:
        """All entries, oldest first."""


class SqliteVault:
    """A vault in one SQLite file, each share encrypted under ``key`` (32 bytes).

    AES-256-GCM with a random nonce per write; record and version are associated data. Usable from
    several threads and several processes.
    """

    def __init__(self, path: str | os.PathLike[str], key: bytes) -> None:
        if len(key) != 32:
            raise BadInput(f"a vault key has 32 bytes, not {len(key)}")
        self._path = os.fspath(path)
        self._cipher = AESGCM(hmac.digest(key, b"medtoken vault v1 shares", "sha256"))
        check = hmac.digest(key, b"medtoken vault v1 check", "sha256")
        self._lock = threading.RLock()
        with self._translating():
            self._connection = sqlite3.connect(
                self._path, timeout=30, isolation_level=None, check_same_thread=False
            )
            self._connection.executescript(_SCHEMA)
        with self._transaction() as run:
            held = run("SELECT version, key_check FROM vault").fetchone()
            if held is None:
                run("INSERT INTO vault VALUES (1, ?)", check)
            elif held != (1, check):
                raise IntegrityError(f"the key given is not that of the vault at {self._path}")

    @classmethod
    def in_memory(cls) -> SqliteVault:
        """A vault that is gone with the process, for tests and demonstrations."""
        return cls(":memory:", secrets.token_bytes(32))

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    def version(self, record: bytes) -> int:
        with self._transaction() as run:
            row = run("SELECT version FROM shares WHERE record = ?", record).fetchone()
        return int(row[0]) if row else 0

    def put(self, share: Share, event: Event) -> None:
        nonce = secrets.token_bytes(12)
        bound = _bound(share.record, share.version)
        sealed = nonce + self._cipher.encrypt(nonce, bytes(share), bound)
        with self._transaction() as run:
            row = run(
                "SELECT version, sealed IS NULL FROM shares WHERE record = ?", share.record
            ).fetchone()
            if row and row[1]:
                raise KeyRefused(f"the share of record 0x{share.record.hex()} was shredded")
            if row and row[0] >= share.version:
                raise KeyRefused(
                    f"a share of version {row[0]} of record 0x{share.record.hex()} is already held"
                )
            run("REPLACE INTO shares VALUES (?, ?, ?)", share.record, share.version, sealed)
            self._append(event, None)

    def get(self, record: bytes) -> Share | None:
        with self._transaction() as run:
            row = run("SELECT version, sealed FROM shares WHERE record = ?", record).fetchone()
        if row is None or row[1] is None:
            return None
        version, sealed = row
        try:
            plain = self._cipher.decrypt(sealed[:12], sealed[12:], _bound(record, version))
        except InvalidTag:
            raise IntegrityError(f"the share of record 0x{record.hex()} was altered") from None
        return Share.from_bytes(plain)

    def shred(self, record: bytes, event: Event) -> bool:
        with self._transaction() as run:
            held = run(
                "UPDATE shares SET sealed = NULL WHERE record = ? AND sealed IS NOT NULL", record
            ).rowcount
            if held:
                self._append(event, None)
        return bool(held)

    def append(self, event: Event, nonce: bytes) -> LogEntry:
        with self._transaction() as run:
            if run("SELECT 1 FROM log WHERE nonce = ?", nonce).fetchone():
                raise KeyRefused("this request was answered before: its nonce is used")
            return self._append(event, nonce)

    def log(self) -> Iterator[LogEntry]:
        with self._transaction() as run:
            rows = run("SELECT number, body, hash FROM log ORDER BY number").fetchall()
        return (LogEntry(*row) for row in rows)

    def _append(self, event: Event, nonce: bytes | None) -> LogEntry:
        """Add an entry inside the transaction that is open."""
        run = self._connection.execute
        row = run("SELECT number, body, hash FROM log ORDER BY number DESC LIMIT 1").fetchone()
        entry = LogEntry.following(LogEntry(*row) if row else None, event)
        run("INSERT INTO log VALUES (?, ?, ?, ?)", (entry.number, entry.body, entry.hash, nonce))
        return entry

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[_Run]:
        with self._lock, self._translating():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield lambda sql, *values: self._connection.execute(sql, values)
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextlib.contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"the vault at {self._path} cannot be used: {error}") from error


class _Run(Protocol):
    def __call__(self, sql: str, *values: object) -> sqlite3.Cursor: ...


def load_or_create_key(path: str | os.PathLike[str]) -> bytes:
    """The 32-byte vault key in a file that only its owner may read; made when missing."""
    file = Path(path)
    try:
        if not file.exists():
            draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
            try:
                with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as new:
                    new.write(secrets.token_bytes(32))
                    new.flush()
                    os.fsync(new.fileno())
                with contextlib.suppress(FileExistsError):
                    os.link(draft, file)
            finally:
                draft.unlink(missing_ok=True)
        if file.stat().st_mode & 0o077:
            raise BadInput(f"the key file {file} may be read by others; chmod 600 it")
        key = file.read_bytes()
    except OSError as error:
        raise StoreError(f"the key file {file} cannot be used: {error.strerror}") from error
    if len(key) != 32:
        raise BadInput(f"the key file {file} does not hold 32 bytes")
    return key


def _bound(record: bytes, version: int) -> bytes:
    return hashlib.sha256(b"medtoken vault v1" + record + version.to_bytes(4, "big")).digest()

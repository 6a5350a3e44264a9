"""Where a keeper keeps its shares, its own keys, its nonces, its revocations and its log."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import sqlite3
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from medtoken.errors import BadInput, IntegrityError, StoreError

from ._log import Event, LogEntry
from ._refusal import Code, Refused
from ._shamir import Share

TABLES = """
CREATE TABLE IF NOT EXISTS vault (
    version INTEGER NOT NULL,
    key_check {blob} NOT NULL,
    derivation TEXT        -- how a passphrase becomes the key; NULL with a key file
);
CREATE TABLE IF NOT EXISTS kept (
    name TEXT PRIMARY KEY,
    sealed {blob} NOT NULL
);
CREATE TABLE IF NOT EXISTS shares (
    rendition {blob} PRIMARY KEY,
    record {blob} NOT NULL,  -- of which it is a copy
    version BIGINT NOT NULL,
    sealed {blob},         -- NULL once shredded
    next {blob},           -- a rotation on its way, if any
    complete INTEGER NOT NULL DEFAULT 0  -- whether the next version is in use already
);
CREATE TABLE IF NOT EXISTS shredded (
    record {blob} PRIMARY KEY,
    version BIGINT NOT NULL,  -- the newest of its shares that was in use; 0 if none was held
    entry BIGINT NOT NULL     -- in the log
);
CREATE TABLE IF NOT EXISTS revocations (
    consent {blob} PRIMARY KEY,
    entry BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS log (
    number BIGINT PRIMARY KEY,
    body TEXT NOT NULL,
    hash {blob} NOT NULL,
    nonce {blob} UNIQUE    -- of a release: requester and nonce
);
"""
_VERSION = 1
_LEAST_PASSPHRASE = 12
_SCRYPT_LOG_N, _SCRYPT_R, _SCRYPT_P = 17, 8, 1
_MOST_LOG_N = 20


class Passphrase:
    """What the operator types to open a vault; the key follows from it by scrypt."""

    def __init__(self, text: str) -> None:
        """BadInput when it is too short to be worth anything."""
        if len(text) < _LEAST_PASSPHRASE:
            raise BadInput(f"a vault's passphrase has {_LEAST_PASSPHRASE} characters or more")
        self._text = text.encode()

    @staticmethod
    def new_derivation() -> str:
        """Parameters and a fresh salt, as the vault keeps them in the open."""
        return f"scrypt {_SCRYPT_LOG_N} {_SCRYPT_R} {_SCRYPT_P} {secrets.token_bytes(16).hex()}"

    def key(self, derivation: str) -> bytes:
        """The vault's key, 32 bytes."""
        try:
            kind, log_n, r, p, salt = derivation.split()
            if kind != "scrypt" or not 0 < int(log_n) <= _MOST_LOG_N:
                raise ValueError(kind)
            scrypt = Scrypt(bytes.fromhex(salt), 32, 1 << int(log_n), int(r), int(p))
        except ValueError:
            raise IntegrityError("the vault's key derivation is malformed") from None
        return scrypt.derive(self._text)


@dataclass(frozen=True, slots=True)
class Staged:
    """The next version of a share, while a rotation is on its way."""

    rotation: bytes
    """Which rotation, 32 bytes."""
    share: Share
    """Its commitments are all zero until the rotation is complete."""
    complete: bool


@dataclass(frozen=True, slots=True)
class Held:
    """What a vault holds of one copy of a record."""

    version: int
    """Of the oldest share that is held, or was last; 0 if there never was one."""
    share: Share | None = None
    staged: Staged | None = None
    shredded: bool = False

    @property
    def usable(self) -> list[Share]:
        """Every share that may be released: two while a rotation is being finished."""
        shares = [self.share] if self.share else []
        if self.staged and self.staged.complete:
            shares.append(self.staged.share)
        return shares


@dataclass(frozen=True, slots=True)
class Release:
    """A release that is about to happen."""

    event: Event
    nonce: bytes
    rendition: bytes
    consent: bytes


class ShareVault(Protocol):
    """Shares by rendition, and a log. Each method is one transaction: all of it or nothing.

    A record has one rendition for each copy that was sealed of it.
    """

    def keep(self, name: str, value: bytes) -> None:
        """Keep something of the keeper's own, encrypted, in place of what had the name."""

    def keep_first(self, name: str, value: bytes) -> bytes:
        """Keep something unless the name is taken; what is kept under it now."""

    def kept(self, name: str) -> bytes | None:
        """What was kept under a name."""

    def version(self, rendition: bytes) -> int:
        """The newest version put for ``rendition`` and in use, shredded or not; 0 if none was."""

    def held(self, renditions: Sequence[bytes]) -> list[Held]:
        """What is held of each."""

    def get(self, rendition: bytes) -> Share | None:
        """The share, or None if there is none (any more)."""

    def put(self, share: Share, event: Event, record: bytes | None = None) -> None:
        """Hold a share in place of any older one, and log it.

        ``record`` is the one whose copy it is a share of (None: the share names it itself).
        KeyRefused if that was shredded or a share of this or a later version is held.
        """

    def stage(self, staged: Staged, event: Event) -> None:
        """Keep the next version beside the one in use, in place of one that is not complete."""

    def abandon(self, rendition: bytes, version: int, event: Event) -> bool:
        """Forget the next version, if it is ``version``; whether there was one."""

    def finish(self, rendition: bytes, version: int, event: Event) -> bool:
        """Forget every share older than ``version``, which must be in use; whether there was one."""

    def shred(self, record: bytes, event: Event) -> bool:
        """Delete the shares of all copies of a record for good and log it; whether there was one.

        A record of which nothing was held is marked all the same: nothing will ever be put.
        """

    def shredded(self, record: bytes) -> tuple[int, int] | None:
        """The newest version that was in use when a record was shredded, and the log entry of it."""

    def append(self, event: Event, nonce: bytes | None = None) -> LogEntry:
        """Log something; KeyRefused if ``nonce`` was used before."""

    def release(self, releases: Sequence[Release]) -> list[LogEntry | Refused]:
        """Log releases, each unless its nonce was used, its share is gone or its consent revoked."""

    def revoke(self, consent: bytes, event: Event) -> bool:
        """Remember a consent as revoked and log it; False if it was remembered before."""

    def revoked(self, consent: bytes) -> bool:
        """Whether a consent was revoked here."""

    def log(self, after: int = 0, limit: int | None = None) -> Iterator[LogEntry]:
        """The entries behind number ``after``, oldest first."""

    def head(self) -> LogEntry | None:
        """The newest entry."""

    def entry(self, number: int) -> LogEntry | None:
        """One entry."""


class Run(Protocol):
    """Executes one statement inside the transaction that is open; ``?`` stands for a value."""

    def __call__(self, sql: str, *values: object) -> Any: ...


class SqlVault:
    """What vaults in SQLite and in PostgreSQL have in common. Safe to use from several threads.

    Shares and the keeper's own keys are encrypted by AES-256-GCM with a random nonce per write;
    what they are is associated data.
    """

    _where: str
    _cipher: AESGCM

    @abstractmethod
    def _transaction(self, *, write: bool = True) -> contextlib.AbstractContextManager[Run]:
        """One transaction; of those that write, one at a time."""

    def _unlock(self, key: bytes | Passphrase) -> None:
        """Find the cipher, or IntegrityError when the key is not the vault's."""
        with self._transaction() as run:
            held = run("SELECT version, key_check, derivation FROM vault").fetchone()
            derivation = held[2] if held else None
            if isinstance(key, Passphrase):
                if held and derivation is None:
                    raise IntegrityError(f"the vault at {self._where} opens with a key file")
                derivation = derivation or Passphrase.new_derivation()
                key = key.key(derivation)
            elif derivation is not None:
                raise IntegrityError(f"the vault at {self._where} opens with a passphrase")
            check = hmac.digest(key, b"medtoken vault v1 check", "sha256")
            if held is None:
                run("INSERT INTO vault VALUES (?, ?, ?)", _VERSION, check, derivation)
            elif (held[0], bytes(held[1])) != (_VERSION, check):
                raise IntegrityError(f"the key given is not that of the vault at {self._where}")
        self._cipher = AESGCM(hmac.digest(key, b"medtoken vault v1 shares", "sha256"))

    def keep(self, name: str, value: bytes) -> None:
        sealed = self._seal(value, _bound_name(name))
        with self._transaction() as run:
            run(
                "INSERT INTO kept VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed",
                name,
                sealed,
            )

    def keep_first(self, name: str, value: bytes) -> bytes:
        sealed = self._seal(value, _bound_name(name))
        with self._transaction() as run:
            run("INSERT INTO kept VALUES (?, ?) ON CONFLICT (name) DO NOTHING", name, sealed)
        return self.kept(name) or b""

    def kept(self, name: str) -> bytes | None:
        with self._transaction(write=False) as run:
            row = run("SELECT sealed FROM kept WHERE name = ?", name).fetchone()
        return (
            self._open(bytes(row[0]), _bound_name(name), f"what is kept as {name}") if row else None
        )

    def version(self, rendition: bytes) -> int:
        held = self.held([rendition])[0]
        return held.staged.share.version if held.staged and held.staged.complete else held.version

    def held(self, renditions: Sequence[bytes]) -> list[Held]:
        with self._transaction(write=False) as run:
            rows = [
                run(
                    "SELECT version, sealed, next, complete FROM shares WHERE rendition = ?",
                    rendition,
                ).fetchone()
                for rendition in renditions
            ]
        return [
            self._held(rendition, *row) if row else Held(0)
            for rendition, row in zip(renditions, rows, strict=True)
        ]

    def get(self, rendition: bytes) -> Share | None:
        return self.held([rendition])[0].share

    def put(self, share: Share, event: Event, record: bytes | None = None) -> None:
        record = share.record if record is None else record
        sealed = self._seal(bytes(share), _bound(share.record, share.version))
        with self._transaction() as run:
            self._require_before(run, record, share.record, share.version)
            run(
                "INSERT INTO shares (rendition, record, version, sealed) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (rendition) DO UPDATE SET version = excluded.version, "
                "sealed = excluded.sealed, next = NULL, complete = 0",
                share.record,
                record,
                share.version,
                sealed,
            )
            _append(run, [(event, None)])

    def stage(self, staged: Staged, event: Event) -> None:
        share = staged.share
        plain = staged.rotation + bytes(share)
        sealed = self._seal(plain, _bound(share.record, share.version, b"next"))
        with self._transaction() as run:
            row = run(
                "SELECT version, sealed IS NULL, complete FROM shares WHERE rendition = ?",
                share.record,
            ).fetchone()
            if row is None or row[1]:
                raise Refused(Code.NO_SHARE, "no share of this record's key is held here")
            if row[0] + 1 != share.version or row[2]:
                raise Refused(
                    Code.WRONG_VERSION, f"version {share.version} does not follow version {row[0]}"
                )
            run(
                "UPDATE shares SET next = ?, complete = ? WHERE rendition = ?",
                sealed,
                int(staged.complete),
                share.record,
            )
            _append(run, [(event, None)])

    def abandon(self, rendition: bytes, version: int, event: Event) -> bool:
        with self._transaction() as run:
            done = run(
                "UPDATE shares SET next = NULL, complete = 0 "
                "WHERE rendition = ? AND version = ? AND next IS NOT NULL",
                rendition,
                version - 1,
            ).rowcount
            if done:
                _append(run, [(event, None)])
        return bool(done)

    def finish(self, rendition: bytes, version: int, event: Event) -> bool:
        held = self.held([rendition])[0]
        if held.shredded:
            raise Refused(Code.SHREDDED, _shredded_text(rendition))
        if held.version >= version > 0:
            return False
        if not (held.staged and held.staged.complete and held.staged.share.version == version):
            raise Refused(Code.WRONG_VERSION, f"version {version} is not in use here")
        sealed = self._seal(bytes(held.staged.share), _bound(rendition, version))
        with self._transaction() as run:
            done = run(
                "UPDATE shares SET version = ?, sealed = ?, next = NULL, complete = 0 "
                "WHERE rendition = ? AND version = ? AND complete = 1",
                version,
                sealed,
                rendition,
                held.version,
            ).rowcount
            if done:
                _append(run, [(event, None)])
        self._purge()
        return bool(done)

    def shred(self, record: bytes, event: Event) -> bool:
        with self._transaction() as run:
            if _shredded(run, record):
                return False
            (newest,) = run(
                "SELECT MAX(version) FROM shares WHERE record = ? AND sealed IS NOT NULL", record
            ).fetchone()
            (entry,) = _append(run, [(event, None)])
            run("INSERT INTO shredded VALUES (?, ?, ?)", record, newest or 0, entry.number)
            run(
                "UPDATE shares SET sealed = NULL, next = NULL, complete = 0 WHERE record = ?",
                record,
            )
        self._purge()
        return bool(newest)

    def shredded(self, record: bytes) -> tuple[int, int] | None:
        with self._transaction(write=False) as run:
            return _shredded(run, record)

    def append(self, event: Event, nonce: bytes | None = None) -> LogEntry:
        with self._transaction() as run:
            if nonce is not None and _used(run, nonce):
                raise Refused(Code.NONCE_USED, _NONCE_USED)
            return _append(run, [(event, nonce)])[0]

    def release(self, releases: Sequence[Release]) -> list[LogEntry | Refused]:
        with self._transaction() as run:
            verdicts = _verdicts(run, releases)
            good = [r for r, verdict in zip(releases, verdicts, strict=True) if verdict is None]
            entries = iter(_append(run, [(r.event, r.nonce) for r in good]))
            return [next(entries) if verdict is None else verdict for verdict in verdicts]

    def revoke(self, consent: bytes, event: Event) -> bool:
        with self._transaction() as run:
            if _revoked(run, consent):
                return False
            (entry,) = _append(run, [(event, None)])
            run("INSERT INTO revocations VALUES (?, ?)", consent, entry.number)
        return True

    def revoked(self, consent: bytes) -> bool:
        with self._transaction(write=False) as run:
            return _revoked(run, consent)

    def log(self, after: int = 0, limit: int | None = None) -> Iterator[LogEntry]:
        with self._transaction(write=False) as run:
            rows = run(
                "SELECT number, body, hash FROM log WHERE number > ? ORDER BY number LIMIT ?",
                after,
                limit if limit is not None else (1 << 62),
            ).fetchall()
        return (_entry(row) for row in rows)

    def head(self) -> LogEntry | None:
        with self._transaction(write=False) as run:
            return _head(run)

    def entry(self, number: int) -> LogEntry | None:
        return next(self.log(number - 1, 1), None)

    def _purge(self) -> None:
        """After something was deleted: leave as little of it behind as the database can."""

    def _require_before(self, run: Run, record: bytes, rendition: bytes, version: int) -> None:
        if _shredded(run, record):
            raise Refused(Code.SHREDDED, _shredded_text(record))
        row = run("SELECT version, complete FROM shares WHERE rendition = ?", rendition).fetchone()
        if row and sum(row) >= version:
            raise Refused(
                Code.WRONG_VERSION,
                f"a share of version {sum(row)} of 0x{rendition.hex()} is already held",
            )

    def _held(
        self,
        rendition: bytes,
        version: int,
        sealed: bytes | None,
        following: bytes | None,
        complete: int,
    ) -> Held:
        what = f"the share of 0x{rendition.hex()}"
        share = staged = None
        if sealed is not None:
            share = Share.from_bytes(self._open(bytes(sealed), _bound(rendition, version), what))
        if following is not None:
            plain = self._open(bytes(following), _bound(rendition, version + 1, b"next"), what)
            staged = Staged(plain[:32], Share.from_bytes(plain[32:]), bool(complete))
        # Nothing but shredding leaves a row without its share.
        return Held(version, share, staged, shredded=sealed is None)

    def _seal(self, plain: bytes, bound: bytes) -> bytes:
        nonce = secrets.token_bytes(12)
        return nonce + self._cipher.encrypt(nonce, plain, bound)

    def _open(self, sealed: bytes, bound: bytes, what: str) -> bytes:
        try:
            return self._cipher.decrypt(sealed[:12], sealed[12:], bound)
        except InvalidTag:
            raise IntegrityError(f"{what} was altered") from None


_SQLITE = """
PRAGMA journal_mode = WAL;
PRAGMA secure_delete = ON;
PRAGMA synchronous = FULL;
{tables}
CREATE TRIGGER IF NOT EXISTS log_update BEFORE UPDATE ON log
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS log_delete BEFORE DELETE ON log
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
"""


class SqliteVault(SqlVault):
    """A vault in one SQLite file (and its journal). Several processes may have it open."""

    def __init__(self, path: str | os.PathLike[str], key: bytes | Passphrase) -> None:
        """``key`` is 32 bytes, or a passphrase. IntegrityError if it is not the vault's."""
        if isinstance(key, bytes) and len(key) != 32:
            raise BadInput(f"a vault key has 32 bytes, not {len(key)}")
        self._where = os.fspath(path)
        self._lock = threading.RLock()
        with self._translating():
            self._connection = sqlite3.connect(
                self._where, timeout=30, isolation_level=None, check_same_thread=False
            )
        try:
            with self._translating():
                self._connection.executescript(_SQLITE.format(tables=TABLES.format(blob="BLOB")))
            self._unlock(key)
        except BaseException:
            self.close()
            raise

    @classmethod
    def in_memory(cls) -> SqliteVault:
        """A vault that is gone with the process, for tests and demonstrations."""
        return cls(":memory:", secrets.token_bytes(32))

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._connection.close()

    def _purge(self) -> None:
        # The journal may still hold pages from before.
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextlib.contextmanager
    def _transaction(self, *, write: bool = True) -> Iterator[Run]:
        with self._lock, self._translating():
            self._connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
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
            raise StoreError(f"the vault at {self._where} cannot be used: {error}") from error


def open_vault(where: str | os.PathLike[str], key: bytes | Passphrase) -> SqlVault:
    """A vault by the path of its SQLite file, or by a ``postgresql://`` URL."""
    if str(where).startswith(("postgresql://", "postgres://")):
        from ._postgres import PostgresVault

        return PostgresVault(str(where), key)
    return SqliteVault(where, key)


_NONCE_USED = "this request was answered before: its nonce is used"


def _verdicts(run: Run, releases: Sequence[Release]) -> list[Refused | None]:
    """Why each release must not happen, or None."""
    seen: set[bytes] = set()
    verdicts: list[Refused | None] = []
    checked: dict[tuple[Callable[[Run, bytes], bool], bytes], bool] = {}

    def is_so(check: Callable[[Run, bytes], bool], value: bytes) -> bool:
        if (check, value) not in checked:
            checked[check, value] = check(run, value)
        return checked[check, value]

    for release in releases:
        verdict = None
        if release.nonce in seen or _used(run, release.nonce):
            verdict = Refused(Code.NONCE_USED, _NONCE_USED)
        elif is_so(_revoked, release.consent):
            verdict = Refused(Code.REVOKED, "the consent was revoked")
        elif not is_so(_holding, release.rendition):
            verdict = Refused(Code.NO_SHARE, "no share of this record's key is held here")
        seen.add(release.nonce)
        verdicts.append(verdict)
    return verdicts


def _used(run: Run, nonce: bytes) -> bool:
    return run("SELECT 1 FROM log WHERE nonce = ?", nonce).fetchone() is not None


def _revoked(run: Run, consent: bytes) -> bool:
    return run("SELECT 1 FROM revocations WHERE consent = ?", consent).fetchone() is not None


def _holding(run: Run, rendition: bytes) -> bool:
    found = run("SELECT 1 FROM shares WHERE rendition = ? AND sealed IS NOT NULL", rendition)
    return found.fetchone() is not None


def _shredded(run: Run, record: bytes) -> tuple[int, int] | None:
    row = run("SELECT version, entry FROM shredded WHERE record = ?", record).fetchone()
    return (int(row[0]), int(row[1])) if row else None


def _shredded_text(what: bytes) -> str:
    return f"the share of 0x{what.hex()} was shredded"


def _head(run: Run) -> LogEntry | None:
    row = run("SELECT number, body, hash FROM log ORDER BY number DESC LIMIT 1").fetchone()
    return _entry(row) if row else None


def _entry(row: Sequence[Any]) -> LogEntry:
    return LogEntry(int(row[0]), str(row[1]), bytes(row[2]))


def _append(run: Run, events: Sequence[tuple[Event, bytes | None]]) -> list[LogEntry]:
    """Add entries inside the transaction that is open."""
    previous = _head(run)
    entries = []
    for event, nonce in events:
        previous = LogEntry.following(previous, event)
        run(
            "INSERT INTO log VALUES (?, ?, ?, ?)",
            previous.number,
            previous.body,
            previous.hash,
            nonce,
        )
        entries.append(previous)
    return entries


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


def _bound(record: bytes, version: int, what: bytes = b"") -> bytes:
    return hashlib.sha256(
        b"medtoken vault v1" + record + version.to_bytes(4, "big") + what
    ).digest()


def _bound_name(name: str) -> bytes:
    return hashlib.sha256(b"medtoken vault v1 kept" + name.encode()).digest()

"""A vault in PostgreSQL, for operators who run one anyway. Needs the ``postgres`` extra."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from medtoken.errors import BadInput, StoreError, ToolMissing

from ._vault import TABLES, Passphrase, Run, SqlVault

try:
    import psycopg
except ImportError:  # pragma: no cover
    raise ToolMissing("A vault in PostgreSQL needs psycopg: install medtoken[postgres].") from None

_TRIGGERS = """
CREATE OR REPLACE FUNCTION medtoken_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the log is append-only'; END $$;
CREATE OR REPLACE TRIGGER log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log
FOR EACH STATEMENT EXECUTE FUNCTION medtoken_append_only();
"""
# Any constant: vaults that open at the same moment make their tables one after the other.
_SET_UP_LOCK = 0x6D656474


class PostgresVault(SqlVault):
    """A vault in one PostgreSQL database (or schema, by the URL's ``options``) of its own.

    A connection that is lost is made again at the next call. A deleted row's space is given free by
    a vacuum; what the server's write-ahead log and backups keep is encrypted like everything else.
    """

    def __init__(self, url: str, key: bytes | Passphrase) -> None:
        """``key`` is 32 bytes, or a passphrase. IntegrityError if it is not the vault's."""
        if isinstance(key, bytes) and len(key) != 32:
            raise BadInput(f"a vault key has 32 bytes, not {len(key)}")
        try:
            named = psycopg.conninfo.conninfo_to_dict(url)
        except psycopg.ProgrammingError:
            # What is wrong with it is not told: it may quote the password.
            raise BadInput("the database's URL is malformed") from None
        self._url = url
        # Never the password.
        self._where = f"database {named.get('dbname', '')} at {named.get('host', 'localhost')}"
        self._lock = threading.RLock()
        self._connection: psycopg.Connection[Any] | None = None
        try:
            with self._transaction(write=False) as run:
                run("SELECT pg_advisory_xact_lock(?)", _SET_UP_LOCK)
                run(TABLES.format(blob="BYTEA"))
                run(_TRIGGERS)
            self._unlock(key)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _purge(self) -> None:
        with self._lock, contextlib.suppress(psycopg.Error, StoreError):
            self._connected().execute("VACUUM shares")

    @contextlib.contextmanager
    def _transaction(self, *, write: bool = True) -> Iterator[Run]:
        with self._lock:
            try:
                connection = self._connected()

                def run(sql: str, *values: object) -> Any:
                    return connection.execute(sql.replace("?", "%s"), values or None)

                with connection.transaction():
                    if write:
                        # One writer at a time, so that the log stays one chain; readers go on.
                        run("LOCK TABLE log IN SHARE ROW EXCLUSIVE MODE")
                    yield run
            except psycopg.Error as error:
                if self._connection is not None and self._connection.closed:
                    self._connection = None
                first = str(error).partition("\n")[0]
                raise StoreError(f"the vault in {self._where} cannot be used: {first}") from error

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._url, autocommit=True, connect_timeout=5)
        return self._connection

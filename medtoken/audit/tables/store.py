"""The folder of a suite's tables: Parquet files, and a manifest that says what they are.

``<folder>/<contract>/<event>/<first block>-<last block>.parquet``: rows in the chain's order; the
numbers are those of the blocks of the first and the last row. ``schema.parquet`` beside them has no
rows, so that every table can be read. Files are cut where all tables together have ``SEGMENT``
rows, at the end of a block: that depends on the chain alone, and so does every byte. What comes
after the last cut is the tail, in files of the same kind that longer ones replace.

A commit writes new files under names that did not exist, then the manifest in one step, then removes
what the manifest no longer names. So the folder is whole whenever it is read.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from medtoken.audit.tables.arrays import table_of
from medtoken.audit.tables.schema import VERSION, schemas
from medtoken.chain.outbox import write_durably
from medtoken.errors import BadInput, IntegrityError, StateError, WrongChain

MANIFEST = "manifest.json"
SEGMENT = 32_768
# How a folder was read: on the node's word, or from receipts that headers vouch for.
LOGS, RECEIPTS = "logs", "receipts"

_EMPTY = "schema.parquet"
_OURS = re.compile(r"\d{12}-\d{12}\.parquet|\.\d{12}-\d{12}\.parquet\.\d+")


class Point(msgspec.Struct, frozen=True):
    """A block: its number, hash (0x) and time (unix seconds)."""

    number: int
    hash: str
    time: int


class File(msgspec.Struct, frozen=True):
    """One Parquet file of a table."""

    name: str
    rows: int
    sha256: str

    @property
    def first(self) -> int:
        """The block of its first row."""
        return int(self.name[:12])


class Kept(msgspec.Struct):
    """A table as the manifest has it."""

    folder: str
    rows: int
    files: list[File]


class Manifest(msgspec.Struct):
    """What a folder holds. ``last`` is the last block that was read, None before the first."""

    schema: int
    chain_id: int
    contracts: dict[str, str]  # addresses by name
    first_block: int
    first_hash: str  # of that block, 0x
    depth: int  # blocks before the head that were not taken for final
    how: str  # LOGS or RECEIPTS
    anchor: str | None  # the block hash that vouches for all, where ``how`` is RECEIPTS
    last: Point | None
    cuts: list[Point]  # the last blocks of the segments that are complete
    tables: dict[str, Kept]

    @property
    def market(self) -> str:
        """The address by which a deployment is known."""
        return self.contracts["DataMarket"]

    @property
    def rows(self) -> int:
        """How many events there are in all tables."""
        return sum(table.rows for table in self.tables.values())


@dataclass(frozen=True)
class Loaded:
    """One table that was found whole."""

    name: str
    folder: Path
    schema: pa.Schema
    rows: int
    paths: tuple[Path, ...]  # never none: one without rows is always there

    @property
    def sql(self) -> str:
        """Its files and no others, as DuckDB reads them: a file that no manifest names is not read."""
        named = ", ".join("'" + str(path).replace("'", "''") + "'" for path in self.paths)
        return f"read_parquet([{named}])"

    def read(self) -> pa.Table:
        """All rows. For tests and small tables: this is not bounded."""
        parts = [pq.ParquetFile(path).read() for path in self.paths]
        return pa.concat_tables([part.cast(self.schema) for part in parts])


@dataclass(frozen=True)
class Tables:
    """The tables of a folder by name, and its manifest."""

    manifest: Manifest
    by_name: dict[str, Loaded]

    def __getitem__(self, name: str) -> Loaded:
        """A table by its name."""
        return self.by_name[name]


def load(out: Path, *, verify: bool = True) -> Tables:
    """The tables of a folder, after every file was held against its hash (unless not ``verify``).

    Raises BadInput where there are none, IntegrityError naming the file that was damaged or has another
    schema, StateError for tables of another version.
    """
    manifest = read_manifest(out)
    found = {}
    for name, (folder, schema) in schemas(manifest.chain_id, manifest.market).items():
        kept = manifest.tables[name]
        paths = [out / folder / file.name for file in kept.files]
        if verify:
            for file, path in zip(kept.files, paths, strict=True):
                _verify(path, file)
        empty = out / folder / _EMPTY
        if not _same_schema(empty, schema):
            raise IntegrityError(
                f"{empty} is not the schema of its table; `medtoken audit extract` writes it again."
            )
        found[name] = Loaded(name, out / folder, schema, kept.rows, (empty, *paths))
    return Tables(manifest, found)


def read_manifest(out: Path) -> Manifest:
    """The manifest of a folder. Raises as ``load`` does."""
    path = out / MANIFEST
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise BadInput(f"There are no tables in {out}: {MANIFEST} is missing.") from None
    except (OSError, msgspec.DecodeError) as error:
        raise IntegrityError(
            f"{path} cannot be read: {error}. Nothing tells which of the tables beside it are whole: "
            "delete the folder and extract them anew."
        ) from None
    if found.schema != VERSION:
        raise StateError(
            f"The tables in {out} have schema {found.schema}, this is {VERSION}; extract them anew."
        )
    if set(found.tables) != set(schemas(found.chain_id, found.market)):
        raise StateError(
            f"The tables in {out} are of a suite with other events; extract them anew."
        )
    return found


class Store:
    """A folder of tables that is being written. One process at a time; use as a context manager."""

    def __init__(self, out: Path, fresh: Manifest) -> None:
        """Open a folder, or begin one as ``fresh`` says.

        Raises BadInput for a folder of something else, WrongChain for one of another chain or
        deployment, StateError when another process is writing or the disk refuses.
        """
        self.out = out
        with _said(out):
            out.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(out / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise StateError(f"Another process is writing to {out}.") from None
        try:
            self.schemas = schemas(fresh.chain_id, fresh.market)
            self.manifest = self._begun(fresh)
            with _said(out):
                self._tidy()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Store:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let others write."""
        self.close()

    def close(self) -> None:
        """Let others write."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    @property
    def next_block(self) -> int:
        """The first block that was not read yet."""
        last = self.manifest.last
        return self.manifest.first_block if last is None else last.number + 1

    @property
    def tail_first(self) -> int:
        """The first block of the tail."""
        cuts = self.manifest.cuts
        return cuts[-1].number + 1 if cuts else self.manifest.first_block

    @property
    def tail_rows(self) -> int:
        """How many rows the tail has."""
        first = self.tail_first
        files = (f for kept in self.manifest.tables.values() for f in kept.files)
        return sum(file.rows for file in files if file.first >= first)

    def commit(
        self, rows: Iterable[tuple[str, pa.Table]], last: Point, *, cut: bool = False
    ) -> None:
        """Add the rows of the blocks up to ``last``; ``cut`` makes a segment of them and the tail.

        A table is written when it comes, and no two are held at a time. Raises StateError when the
        disk refuses; then the folder is as before.
        """
        first = self.tail_first
        files: dict[str, File] = {}
        with _said(self.out):
            for name, more in rows:
                if more.num_rows:
                    parts = [*self._tail(name), more]
                    files[name] = self._write(name, pa.concat_tables(parts).combine_chunks())
        manifest = self.manifest
        for name, file in files.items():
            kept = manifest.tables[name]
            before = [f for f in kept.files if f.first < first]
            rest = [f for f in kept.files if f.first >= first]
            kept.files = [*before, file]
            kept.rows += file.rows - sum(f.rows for f in rest)
        manifest.last, manifest.anchor = last, None
        if cut:
            manifest.cuts.append(last)
        self._save(files)

    def roll_back(self, to: Point | None) -> None:
        """Drop everything after a cut, or all of it."""
        manifest = self.manifest
        end = manifest.first_block - 1 if to is None else to.number
        manifest.cuts = [cut for cut in manifest.cuts if cut.number <= end]
        manifest.last, manifest.anchor = to, None
        for kept in manifest.tables.values():
            kept.files = [file for file in kept.files if file.first <= end]
            kept.rows = sum(file.rows for file in kept.files)
        self._save(manifest.tables)

    def vouched(self, anchor: str) -> None:
        """Say that a block hash vouches for everything."""
        self.manifest.anchor = anchor
        self._save()

    def damaged(self) -> Iterator[tuple[str, File]]:
        """The files that are missing or do not have their hash."""
        for name, kept in self.manifest.tables.items():
            for file in kept.files:
                try:
                    _verify(self.out / kept.folder / file.name, file)
                except IntegrityError:
                    yield name, file

    def segment_of(self, file: File) -> tuple[int, Point]:
        """The first block of a file's segment, or of the tail, and its last."""
        first = self.manifest.first_block
        for cut in self.manifest.cuts:
            if file.first <= cut.number:
                return first, cut
            first = cut.number + 1
        if self.manifest.last is None:
            raise StateError(f"{self.out / MANIFEST} names a file beyond its last block.")
        return first, self.manifest.last

    def mend(self, name: str, file: File, rows: pa.Table) -> None:
        """Write a damaged file again. Raises IntegrityError when the chain now gives other rows."""
        with _said(self.out):
            made = self._write(name, rows) if rows.num_rows else None
        if made != file:
            if made is not None and made.name != file.name:
                (self.out / self.manifest.tables[name].folder / made.name).unlink()
            raise IntegrityError(
                f"{self.out / self.manifest.tables[name].folder / file.name} was damaged, and the "
                "node now gives other events for its blocks; extract into a new folder."
            )

    # ------------------------------------------------------------------ inside

    def _begun(self, fresh: Manifest) -> Manifest:
        if not (self.out / MANIFEST).exists():
            ours = {folder.split("/")[0] for folder, _ in self.schemas.values()} | {".lock"}
            other = [p.name for p in self.out.iterdir() if not p.name.startswith(".manifest")]
            if set(other) - ours:
                raise BadInput(f"{self.out} is not empty and holds no tables; name another folder.")
            return fresh
        found = read_manifest(self.out)
        if (found.chain_id, found.contracts) != (fresh.chain_id, fresh.contracts):
            raise WrongChain(
                f"The tables in {self.out} are of chain {found.chain_id} and market {found.market}, "
                f"not of chain {fresh.chain_id} and market {fresh.market}."
            )
        if found.how != fresh.how:
            raise BadInput(
                f"The tables in {self.out} were read from {found.how}; go on in the same way"
                f"{' with --anchor' if found.how == RECEIPTS else ', without --anchor'}."
            )
        return found

    def _tidy(self) -> None:
        """Every table has its folder and its empty file, and none that the manifest does not name."""
        for name, (folder, schema) in self.schemas.items():
            place = self.out / folder
            place.mkdir(parents=True, exist_ok=True)
            if not _same_schema(place / _EMPTY, schema):
                pq.write_table(table_of([], schema), place / _EMPTY)
            self._remove_others(name)
        for path in self.out.glob(f".{MANIFEST}.*"):
            path.unlink()
        if not (self.out / MANIFEST).exists():
            self._save()

    def _remove_others(self, name: str) -> None:
        kept = self.manifest.tables[name]
        named = {file.name for file in kept.files}
        for path in (self.out / kept.folder).iterdir():
            if _OURS.fullmatch(path.name) and path.name not in named:
                path.unlink()

    def _tail(self, name: str) -> Iterator[pa.Table]:
        """The rows of a table after the last cut."""
        first, kept = self.tail_first, self.manifest.tables[name]
        for file in kept.files:
            if file.first >= first:
                path = self.out / kept.folder / file.name
                _verify(path, file)
                columns = pq.ParquetFile(path).read().columns
                yield pa.Table.from_arrays(columns, schema=self.schemas[name][1])

    def _write(self, name: str, rows: pa.Table) -> File:
        numbers = rows.column("block_number")
        file = f"{numbers[0].as_py():012d}-{numbers[-1].as_py():012d}.parquet"
        place = self.out / self.schemas[name][0]
        temporary = place / f".{file}.{os.getpid()}"
        try:
            # Not forced to the disk: what a power cut takes has not its hash, and is fetched again.
            pq.write_table(rows, temporary, compression="zstd", compression_level=1)
            digest = _digest(temporary)
            os.replace(temporary, place / file)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        return File(file, rows.num_rows, digest)

    def _save(self, changed: Iterable[str] = ()) -> None:
        body = msgspec.json.format(msgspec.json.encode(self.manifest, order="deterministic"))
        write_durably(self.out / MANIFEST, body + b"\n", mode=0o644)
        for name in changed:
            self._remove_others(name)


def fresh(
    chain_id: int,
    contracts: Mapping[str, str],
    first_block: int,
    *,
    first_hash: str = "",
    depth: int = 0,
    how: str = LOGS,
) -> Manifest:
    """The manifest of a folder in which nothing was read yet."""
    market = contracts["DataMarket"]
    kept = {name: Kept(folder, 0, []) for name, (folder, _) in schemas(chain_id, market).items()}
    return Manifest(
        schema=VERSION,
        chain_id=chain_id,
        contracts=dict(contracts),
        first_block=first_block,
        first_hash=first_hash,
        depth=depth,
        how=how,
        anchor=None,
        last=None,
        cuts=[],
        tables=kept,
    )


def _same_schema(path: Path, schema: pa.Schema) -> bool:
    try:
        found = pq.read_schema(path)
        return bool(found.equals(schema)) and found.metadata == schema.metadata
    except (OSError, pa.ArrowException):
        return False


def _verify(path: Path, file: File) -> None:
    try:
        digest = _digest(path)
    except OSError as error:
        raise IntegrityError(
            f"{path} cannot be read ({error.strerror}); `medtoken audit extract` fetches it again."
        ) from None
    if digest != file.sha256:
        raise IntegrityError(
            f"{path} was damaged: its SHA-256 is not that of the manifest; "
            "`medtoken audit extract` fetches it again."
        )


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _said(out: Path) -> Iterator[None]:
    """What the disk refuses, in a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StateError(
                f"The disk of {out} is full. What was written before is whole: make room and run "
                "the same command again to go on."
            ) from None
        raise StateError(f"{out} cannot be written: {error.strerror or error}.") from None

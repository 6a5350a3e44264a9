"""Which checks there are, and running them on an engine."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import ibis
import ibis.expr.types as ir

from medtoken.audit import checks
from medtoken.audit.checks._base import COLUMNS, History
from medtoken.audit.tables import Tables, load
from medtoken.errors import BadInput

ENGINES = ("duckdb", "spark")
_MEMORY = "1200MB"  # of DuckDB's own; the process has some beside it


@dataclass(frozen=True)
class Violation:
    """One row of a check: where, whom it concerns, and the numbers. ``log`` is its place in the block."""

    rule: str
    check: str
    block: int
    transaction: str
    log: int
    what: str
    subject: str
    parties: tuple[str, ...]
    expected: str
    found: str

    def __str__(self) -> str:
        """One line: the rule, the place, what is wrong, and the numbers."""
        about = f" of {self.subject}" if self.subject else ""
        whom = f" ({', '.join(self.parties)})" if self.parties else ""
        numbers = f": {self.found} instead of {self.expected}" if self.expected else ""
        return (
            f"{self.rule}, block {self.block}, transaction {self.transaction}: "
            f"{self.what}{about}{whom}{numbers}"
        )


@dataclass(frozen=True)
class Check:
    """A rule as a query. ``invariant`` is the number of the one that it is part of, if any."""

    name: str
    rule: str
    invariant: int | None
    title: str
    text: str
    module: ModuleType

    @property
    def sentence(self) -> str:
        """What must hold, without the rule's number."""
        return self.text.split("\n\n", 1)[0].split(": ", 1)[1].replace("\n", " ")

    @property
    def detail(self) -> str:
        """Which events it reads, and what a violation shows."""
        return self.text.split("\n\n", 1)[1].strip().replace("\n", " ")

    def rows(self, history: History) -> ir.Table:
        """The expression whose rows are the violations."""
        found: ir.Table = self.module.violations(history)
        return found

    def run(self, history: History, backend: Any) -> list[Violation]:
        """The violations in the chain's order."""
        rows = self.rows(history).select(*COLUMNS)
        rows = rows.order_by(list(COLUMNS))
        found = backend.to_pyarrow(rows).to_pylist()
        return [
            Violation(
                rule=self.rule,
                check=self.name,
                block=row["block"],
                transaction=row["transaction"],
                log=row["log"],
                what=row["what"],
                subject=row["subject"],
                parties=tuple(row["parties"].split()),
                expected=row["expected"],
                found=row["found"],
            )
            for row in found
        ]


@dataclass(frozen=True)
class Outcome:
    """What a check found."""

    check: Check
    violations: tuple[Violation, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: numbers as text, in base units."""
        return {
            "check": self.check.name,
            "rule": self.check.rule,
            "invariant": self.check.invariant,
            "title": self.check.title,
            "holds": not self.violations,
            "violations": [asdict(v) | {"parties": list(v.parties)} for v in self.violations],
        }


def all_checks() -> tuple[Check, ...]:
    """Every check, in the order of the rules."""
    found = []
    for info in pkgutil.iter_modules(checks.__path__):
        if not info.name.startswith("_"):
            module = import_module(f"{checks.__name__}.{info.name}")
            text = (module.__doc__ or "").strip()
            found.append(
                Check(info.name, module.RULE, module.INVARIANT, module.TITLE, text, module)
            )
    return tuple(sorted(found, key=lambda check: check.name))


def chosen(rules: Sequence[str]) -> tuple[Check, ...]:
    """The checks of these rules (``R13``) or names; all where none is named. Raises BadInput."""
    every = all_checks()
    if not rules:
        return every
    found = []
    for rule in rules:
        own = [c for c in every if rule.lower() in (c.rule.lower(), c.name)]
        if not own:
            known = ", ".join(dict.fromkeys(c.rule for c in every))
            raise BadInput(f"Nothing checks {rule} in a history; known are {known}.")
        found += [c for c in own if c not in found]
    return tuple(found)


@contextmanager
def opened(engine: str, found: Tables) -> Iterator[tuple[History, Any]]:
    """The tables as relations of an engine, and its backend. Raises BadInput where it is not installed."""
    if engine == "spark":
        with _spark() as (session, backend):

            def of_spark(name: str) -> ir.Table:
                paths = [str(path) for path in found[name].paths]
                session.read.parquet(*paths).createOrReplaceTempView(name)
                rows: ir.Table = backend.table(name)
                return rows

            yield _history(of_spark, found), backend
        return
    backend = ibis.duckdb.connect()
    spill = TemporaryDirectory(prefix="medtoken-checks-")
    try:
        # What a query needs beyond this goes to the disk, so that the history's length does not matter.
        backend.raw_sql(f"SET memory_limit = '{_MEMORY}'")
        backend.raw_sql(f"SET temp_directory = '{spill.name}'")
        backend.raw_sql("SET preserve_insertion_order = false")
        backend.raw_sql(
            "CREATE MACRO medtoken_floor_div(a, b) AS "
            "CAST(CAST(a AS HUGEINT) // CAST(b AS HUGEINT) AS DECIMAL(38, 0))"
        )

        def of_duckdb(name: str) -> ir.Table:
            rows: ir.Table = backend.read_parquet(found[name].paths, table_name=name)
            return rows

        yield _history(of_duckdb, found), backend
    finally:
        backend.disconnect()
        spill.cleanup()


def run(
    tables: Path, engine: str = "duckdb", rules: Sequence[str] = ()
) -> tuple[Tables, tuple[Outcome, ...]]:
    """Check the tables of a folder. Raises as ``medtoken.audit.tables.load`` does, and BadInput."""
    wanted = chosen(rules)
    found = load(tables)
    return found, tuple(outcomes(found, engine, wanted))


def outcomes(found: Tables, engine: str, wanted: Iterable[Check]) -> Iterator[Outcome]:
    """Run checks one after the other on one engine."""
    with opened(engine, found) as (history, backend):
        for check in wanted:
            yield Outcome(check, tuple(check.run(history, backend)))


def _history(read: Callable[[str], ir.Table], found: Tables) -> History:
    """Of each table, the files that were verified and no others."""
    return History(lambda contract, event: read(f"{contract}_{event}"), found.manifest.contracts)


@contextmanager
def _spark() -> Iterator[tuple[Any, Any]]:
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise BadInput(
            "Spark is not installed; `pip install medtoken[spark]` adds it, and it needs Java 17."
        ) from None
    # Where a cluster is configured, Spark finds it in its own settings. Wide queries need a deep stack
    # where they are compiled; their stages are too long to be compiled whole.
    session = (
        SparkSession.builder.appName("medtoken audit")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.extraJavaOptions", "-Xss16m")
        .config("spark.executor.extraJavaOptions", "-Xss16m")
        .config("spark.sql.codegen.wholeStage", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.ansi.enabled", "true")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    backend = ibis.pyspark.connect(session)
    try:
        backend.raw_sql(
            "CREATE OR REPLACE TEMPORARY FUNCTION medtoken_floor_div"
            "(a DECIMAL(38, 0), b DECIMAL(38, 0)) RETURNS DECIMAL(38, 0) "
            "RETURN CAST((a - a % b) / b AS DECIMAL(38, 0))"
        )
        yield session, backend
    finally:
        session.stop()

"""The same checks on Spark find what DuckDB finds: what was planted, and nothing besides."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pyarrow as pa
import pytest
from support.tables import write

from medtoken.audit.checks import all_checks, outcomes
from medtoken.audit.tables import Point, Store, Tables, fresh, load

pytestmark = [pytest.mark.spark, pytest.mark.filterwarnings("ignore")]

# A row of each that has a number: one base unit more.
PLANTED = {
    "data_market_licence_settled": "patient_amount",
    "treasury_levy_received": "burned",
    "record_registry_record_attested": "minted",
    "royalty_vault_royalty_claimed": "amount",
    "storage_rewards_storage_proven": "minted",
    "data_market_licence_bought": "price",
}


# So small a history is planned once, in one part, and nothing is compiled for it.
SMALL = {
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.shuffle.partitions": "1",
    "spark.default.parallelism": "1",
}


@pytest.fixture(scope="module")
def bad(honest: Any, tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """The honest history's tables with six rows that lie."""
    good, bad = (tmp_path_factory.mktemp("spark") / name for name in ("good", "bad"))
    times = honest.world.evm.times.__getitem__
    write(good, honest.events, honest.suite.addresses, times)
    made = load(good)
    changed = {name: made[name].read() for name in made.by_name if made[name].rows}
    for name, column in PLANTED.items():
        rows = changed[name].to_pylist()
        rows[0][column] += 1
        changed[name] = pa.Table.from_pylist(rows, schema=made[name].schema)
    last = made.manifest.last
    assert last is not None
    manifest = fresh(made.manifest.chain_id, made.manifest.contracts, 0)
    with Store(bad, manifest) as store:
        store.commit(changed.items(), Point(last.number, last.hash, last.time))
    return load(bad)


def test_spark_finds_what_duckdb_finds(bad: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    # `make test-spark` installs both, and wants no skipped test.
    if not os.environ.get("MEDTOKEN_NEEDS_SPARK"):
        pytest.importorskip("pyspark")
        if shutil.which("java") is None:
            pytest.skip("Spark needs Java 17 or later")
    settings = [word for key, value in SMALL.items() for word in ("--conf", f"{key}={value}")]
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", " ".join([*settings, "pyspark-shell"]))
    expected = {o.check.name: o.violations for o in outcomes(bad, "duckdb", all_checks())}
    found = {o.check.name: o.violations for o in outcomes(bad, "spark", all_checks())}
    assert found == expected
    assert sum(1 for violations in found.values() if violations) >= len(PLANTED) - 1

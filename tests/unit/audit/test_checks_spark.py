"""The same checks on Spark find what DuckDB finds: nothing in the honest history, and what was planted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.tables import write

from medtoken.audit.checks import all_checks, outcomes
from medtoken.audit.tables import Point, Store, fresh, load

pytestmark = [
    pytest.mark.spark,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java 17"),
]

# A row of each that has a number: one base unit more.
PLANTED = {
    "data_market_licence_settled": "patient_amount",
    "treasury_levy_received": "burned",
    "record_registry_record_attested": "minted",
    "royalty_vault_royalty_claimed": "amount",
    "storage_rewards_storage_proven": "minted",
    "data_market_licence_bought": "price",
}


def test_spark_finds_what_duckdb_finds(honest: Any, tmp_path: Path) -> None:
    pytest.importorskip("pyspark")
    good, bad = tmp_path / "good", tmp_path / "bad"
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
        store.commit(changed, Point(last.number, last.hash, last.time))
    spark = {}
    for folder in (good, bad):
        found = load(folder)
        duckdb = [outcome.violations for outcome in outcomes(found, "duckdb", all_checks())]
        spark[folder] = [outcome.violations for outcome in outcomes(found, "spark", all_checks())]
        assert spark[folder] == duckdb
    assert not any(spark[good])
    assert sum(1 for found in spark[bad] if found) >= len(PLANTED) - 1

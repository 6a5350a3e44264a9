"""The tables of events: their schemas, what is written, and what was damaged."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.tables import every_file

from medtoken.audit.source import CONTRACTS
from medtoken.audit.tables import UNDECODED, Point, Store, fresh, load, schemas, tables
from medtoken.audit.tables.schema import PLACE, column_name, snake
from medtoken.audit.tables.units import unit_of
from medtoken.errors import BadInput, IntegrityError, MedtokenError, StateError, WrongChain

ADDRESSES = {name: f"0x{number:040x}" for number, name in enumerate(CONTRACTS, 1)}
USED = "data_market_licence_used"


def point(number: int) -> Point:
    return Point(number, f"0x{number:064x}", 1_700_000_000 + number)


def used(*blocks: int) -> dict[str, pa.Table]:
    """A use of a licence in each block."""
    schema = schemas(1, ADDRESSES["DataMarket"])[USED][1]
    rows = [
        {
            "block_number": n,
            "block_hash": n.to_bytes(32),
            "block_time": 1_700_000_000 + n,
            "tx_hash": n.to_bytes(32),
            "tx_index": 0,
            "log_index": n % 7,
            "address": bytes.fromhex(ADDRESSES["DataMarket"][2:]),
            "licence": b"\x01" * 32,
            "units": n,
            "used": 2 * n,
            "oversize": None,
        }
        for n in blocks
    ]
    return {USED: pa.Table.from_pylist(rows, schema=schema)}


def store(out: Path, **more: Any) -> Store:
    return Store(out, fresh(1, ADDRESSES, 10, **more))


def written(out: Path, cuts: Sequence[tuple[tuple[int, ...], int, bool]]) -> Path:
    with store(out) as made:
        for blocks, last, cut in cuts:
            made.commit(used(*blocks).items(), point(last), cut=cut)
    return out


# ---------------------------------------------------------------------------- schemas


def test_every_event_has_a_table_and_every_number_a_unit() -> None:
    found = tables()
    assert len(found) > 150
    for table in found.values():
        names = [*(field.name for field in PLACE), *(c.name for c in table.columns)]
        assert len(names) == len(set(names)), table.name
        for column in table.columns:
            counts = pa.types.is_integer(column.field.type) or pa.types.is_decimal(
                column.field.type
            )
            assert not counts or column.unit, (table.name, column.name)


def test_a_number_without_a_unit_is_no_column() -> None:
    assert unit_of("DataMarket", "LicenceSettled", "nonsense") is None


def test_units_are_those_of_the_event() -> None:
    found = tables()
    units = {c.name: c.unit for c in found["data_market_licence_settled"].columns}
    assert units["gross"] == units["levy"] == "base units"
    units = {c.name: c.unit for c in found["data_market_rates_changed"].columns}
    assert units["current_levy"] == "bps"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("EIP712DomainChanged", "eip712_domain_changed"),
        ("previousVotes", "previous_votes"),
        ("atRisk", "at_risk"),
        ("DCTMinted", "dct_minted"),
    ],
)
def test_names_are_in_snake_case(name: str, expected: str) -> None:
    assert snake(name) == expected


@pytest.mark.parametrize("name", ["from", "to", "end", "address", "blockHash", "oversize"])
def test_a_name_that_is_taken_or_reserved_gets_an_underscore(name: str) -> None:
    assert column_name([name]) == snake(name) + "_"


def test_a_text_of_which_only_the_hash_is_told_says_so() -> None:
    changed = tables()["treasury_parameter_changed"]
    assert changed.columns[0].name == "name_hash"
    assert changed.columns[0].field.type == pa.binary(32)


def test_no_name_of_a_column_needs_quotes_in_sql() -> None:
    duckdb = pytest.importorskip("duckdb")
    names = {c.name for table in tables().values() for c in table.columns}
    for name in sorted(names):
        assert duckdb.sql(f"SELECT 1 AS {name}").columns == [name]


# ---------------------------------------------------------------------------- the folder


def test_what_was_written_is_read_with_its_types(tmp_path: Path) -> None:
    out = written(tmp_path / "out", [((11, 12), 12, True), ((15,), 16, False)])
    found = load(out)
    assert found.manifest.rows == found[USED].rows == 3
    assert found.manifest.last == point(16)
    rows = found[USED].read()
    assert rows.column("block_number").to_pylist() == [11, 12, 15]
    assert rows.column("units").to_pylist() == [11, 12, 15]
    assert rows.schema.field("units").metadata[b"unit"] == b"count"
    assert rows.schema.metadata[b"medtoken.chain_id"] == b"1"
    assert rows.schema.metadata[b"medtoken.market"] == ADDRESSES["DataMarket"].encode()


def test_a_table_without_rows_is_there_too(tmp_path: Path) -> None:
    found = load(written(tmp_path / "out", []))
    assert set(found.by_name) == {*tables(), UNDECODED}
    for table in found.by_name.values():
        assert table.read().num_rows == 0
    duckdb = pytest.importorskip("duckdb")
    rows = found["usage_token_transfer"].sql
    assert duckdb.sql(f"SELECT from_, to_, value FROM {rows}").fetchall() == []  # noqa: S608


def test_a_file_that_the_manifest_does_not_name_is_not_read(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    out = written(tmp_path / "it's", [((11, 12), 13, True)])
    table = load(out)[USED]
    (file,) = [path for path in table.paths if "-" in path.name]
    file.with_name("000000000001-000000000002.parquet").write_bytes(file.read_bytes())
    table = load(out)[USED]
    assert table.read().num_rows == 2
    assert duckdb.sql(f"SELECT count(*) FROM {table.sql}").fetchall() == [(2,)]  # noqa: S608


def test_amounts_are_exact_to_38_digits(tmp_path: Path) -> None:
    schema = schemas(1, ADDRESSES["DataMarket"])["treasury_levy_received"][1]
    assert schema.field("amount").type == pa.decimal128(38, 0)
    most = Decimal(10**38 - 1)
    assert pa.array([most], schema.field("amount").type).to_pylist() == [most]


@pytest.mark.parametrize(
    "cuts",
    [
        [((11,), 11, False), ((12, 13), 13, True), ((14,), 14, False), ((15,), 16, False)],
        [((11, 12, 13), 13, True), ((), 14, False), ((14,), 14, False), ((15,), 16, False)],
    ],
)
def test_the_same_rows_are_the_same_bytes_whatever_the_steps(tmp_path: Path, cuts: Any) -> None:
    plain = written(tmp_path / "a", [((11, 12, 13), 13, True), ((14, 15), 16, False)])
    assert dict(every_file(written(tmp_path / "b", cuts))) == dict(every_file(plain))


def test_it_goes_on_where_it_was_left(tmp_path: Path) -> None:
    out = written(tmp_path / "out", [((11,), 11, True), ((12,), 12, False)])
    with store(out) as again:
        assert (again.next_block, again.tail_rows) == (13, 1)
        again.commit(used(13).items(), point(13), cut=True)
    other = written(tmp_path / "b", [((11,), 11, True), ((12, 13), 13, True)])
    assert dict(every_file(out)) == dict(every_file(other))


def test_what_is_rolled_back_leaves_nothing(tmp_path: Path) -> None:
    out = written(tmp_path / "out", [((11,), 11, True), ((12,), 12, True), ((13,), 13, False)])
    with store(out) as again:
        again.roll_back(point(11))
    assert dict(every_file(out)) == dict(every_file(written(tmp_path / "b", [((11,), 11, True)])))
    with store(out) as again:
        again.roll_back(None)
    assert dict(every_file(out)) == dict(every_file(written(tmp_path / "c", [])))


def test_leftovers_of_a_killed_process_go(tmp_path: Path) -> None:
    out = written(tmp_path / "out", [((11,), 11, True)])
    before = dict(every_file(out))
    folder = load(out)[USED].folder
    (folder / "000000000012-000000000013.parquet").write_bytes(b"half")
    (folder / ".000000000012-000000000013.parquet.77").write_bytes(b"half")
    (out / ".manifest.json.77").write_bytes(b"half")
    with store(out):
        pass
    assert dict(every_file(out)) == before


@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_a_damaged_file_is_named_and_can_be_written_again(tmp_path: Path, damage: str) -> None:
    out = written(tmp_path / "out", [((11, 12), 12, True), ((13,), 13, False)])
    before = dict(every_file(out))
    path = load(out)[USED].paths[1]
    body = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        half = len(body) // 2
        path.write_bytes(
            body[:half]
            if damage == "cut"
            else body[:half] + bytes([body[half] ^ 1]) + body[half + 1 :]
        )
    with pytest.raises(IntegrityError, match=path.name):
        load(out)
    with store(out) as again:
        [(name, file)] = again.damaged()
        assert (name, file.name) == (USED, path.name)
        assert again.segment_of(file) == (10, point(12))
        again.mend(name, file, used(11, 12)[USED])
        assert not list(again.damaged())
    assert dict(every_file(out)) == before


def test_other_events_do_not_mend_a_file(tmp_path: Path) -> None:
    out = written(tmp_path / "out", [((11, 12), 12, True)])
    path = load(out)[USED].paths[1]
    path.unlink()
    with store(out) as again:
        [(name, file)] = again.damaged()
        with pytest.raises(IntegrityError, match="now gives other events"):
            again.mend(name, file, used(11)[USED])


def test_a_damaged_schema_is_named_and_written_again(tmp_path: Path) -> None:
    out = written(tmp_path / "out", [])
    path = out / "usage_token/transfer/schema.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(IntegrityError, match="is not the schema of its table"):
        load(out)
    with store(out):
        pass
    load(out)


def test_a_full_disk_is_named_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = written(tmp_path / "out", [((11,), 11, True)])
    before = dict(every_file(out))

    def full(*args: Any, **more: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with store(out) as again, monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", full)
        with pytest.raises(StateError, match="The disk of .* is full"):
            again.commit(used(12).items(), point(12))
    assert dict(every_file(out)) == before


def test_two_processes_do_not_write_to_one_folder(tmp_path: Path) -> None:
    with store(tmp_path / "out"), pytest.raises(StateError, match="Another process"):
        store(tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "refusal", "text"),
    [
        ({"chain_id": 2}, WrongChain, "are of chain 1"),
        ({"contracts": {**ADDRESSES, "DataMarket": "0x" + "77" * 20}}, WrongChain, "not of chain"),
        ({"how": "receipts"}, BadInput, "without --anchor"),
    ],
)
def test_tables_of_something_else_are_refused(
    tmp_path: Path, change: dict[str, Any], refusal: type[MedtokenError], text: str
) -> None:
    out = written(tmp_path / "out", [])
    asked = {"chain_id": 1, "contracts": ADDRESSES, "first_block": 10, **change}
    with pytest.raises(refusal, match=text):
        Store(out, fresh(**asked))


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("mine")
    with pytest.raises(BadInput, match="is not empty"):
        store(tmp_path)
    with pytest.raises(BadInput, match=r"manifest\.json is missing"):
        load(tmp_path)


def test_a_manifest_of_another_version_is_refused(tmp_path: Path) -> None:
    out = written(tmp_path / "out", [])
    path = out / "manifest.json"
    path.write_text(path.read_text().replace('"schema": 2', '"schema": 99'))
    with pytest.raises(StateError, match="have schema 99"):
        load(out)
    path.write_text("{")
    with pytest.raises(IntegrityError, match="cannot be read.*extract them anew"):
        load(out)

"""Folders of tables: written from a history, compared byte by byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from medtoken.audit.journal import Event
from medtoken.audit.tables import Point, Store, fresh, tables
from medtoken.audit.tables.schema import OVERSIZE, Table
from support.evm import CHAIN_ID

Row = dict[str, Any]


def every_file(out: Path) -> Iterator[tuple[str, bytes]]:
    """Each file of a folder with its content."""
    for path in sorted(out.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(out)), path.read_bytes()


def write(
    out: Path,
    events: Sequence[Event],
    contracts: Mapping[str, str],
    time: Callable[[int], int],
) -> None:
    """Write all events of a history into ``out``, as the extraction does."""
    rows: dict[str, list[Row]] = {name: [] for name in tables()}
    by_event = {(t.contract, t.event): t for t in tables().values()}
    for event in events:
        table = by_event[event.contract, event.event]
        rows[table.name].append(_place(event, time) | _row(table, event.args))
    last = max(e.block for e in events)
    with Store(out, fresh(CHAIN_ID, contracts, 0)) as store:
        made = {
            name: pa.Table.from_pylist(found, schema=store.schemas[name][1])
            for name, found in rows.items()
            if found
        }
        store.commit(made.items(), Point(last, "0x" + last.to_bytes(32).hex(), time(last)))


def _place(event: Event, time: Callable[[int], int]) -> Row:
    return {
        "block_number": event.block,
        "block_hash": event.block.to_bytes(32),
        "block_time": time(event.block),
        "tx_hash": event.tx,
        "tx_index": 0,
        "log_index": event.index,
        "address": bytes.fromhex(event.address[2:]),
    }


def _row(table: Table, args: Mapping[str, Any]) -> Row:
    row: Row = {}
    wide = []
    for column in table.columns:
        value: Any = args
        for part in column.path:
            value = value[part]
        value = _value(value, column.field.type)
        if isinstance(value, Decimal) and value >= 10**38:
            wide.append({"column": column.name, "word": int(value).to_bytes(32)})
            value = None
        row[column.name] = value
    if wide:
        row[OVERSIZE] = wide
    return row


def _value(value: Any, arrow: pa.DataType) -> Any:
    if isinstance(value, str) and value.startswith("0x"):
        return bytes.fromhex(value[2:])
    if isinstance(value, (list, tuple)):
        return [_value(item, arrow.value_type) for item in value]
    if isinstance(value, dict):
        return {
            field.name: _value(v, field.type)
            for field, v in zip(arrow, value.values(), strict=True)
        }
    if arrow == pa.binary(32) and isinstance(value, int):
        return value.to_bytes(32)
    if arrow == pa.decimal128(38, 0) and isinstance(value, int):
        return Decimal(value)
    return value

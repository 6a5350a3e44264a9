"""Logs into typed columns, held against the ABI decoder one log at a time."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from eth_abi import encode

from medtoken.audit.proven.receipts import Log as RawLog
from medtoken.audit.proven.receipts import Receipt, encoded
from medtoken.audit.source import CONTRACTS, OPTIONAL, Suite
from medtoken.audit.tables import UNDECODED, Point, Table, schemas, tables
from medtoken.audit.tables.arrays import build, table_of
from medtoken.audit.tables.decode import Collector, Log
from medtoken.chain.abi import abi
from medtoken.errors import NodeUnreachable

ADDRESSES = {name: f"0x{number:040x}" for number, name in enumerate((*CONTRACTS, *OPTIONAL), 1)}
PROXIES = {ADDRESSES["DataMarket"]: "DataMarket"}
SUITE = Suite(ADDRESSES, PROXIES, 1)
SCHEMAS = schemas(1, ADDRESSES["DataMarket"])
BLOCK = Point(9, "0x" + "ab" * 32, 1_700_000_000)
FULL = 2**256 - 1


def emitter(table: Table) -> str:
    """An address that may emit an event."""
    return next(
        address
        for address, interfaces in SUITE.emitters.items()
        if table.contract in [interface.name for interface in interfaces]
    )


def value(draw: random.Random, kind: str, parts: Any = ()) -> Any:
    if kind.endswith("]"):
        return [value(draw, kind[: kind.rindex("[")], parts) for _ in range(draw.randrange(4))]
    if kind == "tuple":
        return tuple(value(draw, p["type"], p.get("components", ())) for p in parts)
    plain: dict[str, Any] = {
        "address": "0x" + draw.randbytes(20).hex(),
        "bool": draw.random() < 0.5,
        "string": "text " * draw.randrange(20),
        "bytes": draw.randbytes(draw.randrange(90)),
    }
    if kind in plain:
        return plain[kind]
    if kind.startswith("bytes"):
        return draw.randbytes(int(kind[5:]))
    return draw.randrange(1 << min(int(kind[4:]), 62))


def made(table: Table, draw: random.Random, index: int = 0) -> Log:
    """A log of an event with any arguments."""
    entry = abi(table.contract)._events[table.topic]
    topics, kinds, plain = [table.topic], [], []
    for item in entry["inputs"]:
        kind = item["type"]
        if item["indexed"]:
            given = draw.randbytes(32) if kind == "string" else value(draw, kind)
            topics.append(given if kind == "string" else encode([kind], [given]))
        else:
            kinds.append(_type(item))
            plain.append(value(draw, kind, item.get("components", ())))
    return Log(
        emitter(table).lower(),
        ["0x" + topic.hex() for topic in topics],
        "0x" + encode(kinds, plain).hex(),
        hex(BLOCK.number),
        BLOCK.hash,
        "0x" + draw.randbytes(32).hex(),
        hex(index // 3),
        hex(index),
    )


def _type(item: Mapping[str, Any]) -> str:
    kind = str(item["type"])
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_type(c) for c in item['components'])}){kind.removeprefix('tuple')}"


def taken(*logs: Log) -> dict[str, pa.Table]:
    collector = Collector(SUITE, SCHEMAS)
    collector.add(logs, [BLOCK])
    return collector.take()


def same(told: Any, column: Any) -> bool:
    if isinstance(told, list):
        return len(told) == len(column) and all(map(same, told, column))
    if isinstance(told, dict):
        return all(map(same, told.values(), column.values()))
    if isinstance(told, str) and isinstance(column, bytes):
        return bytes.fromhex(told[2:]) == column
    if isinstance(told, int) and isinstance(column, bytes):
        return told.to_bytes(32) == column
    return bool(told == column)


def test_every_event_is_decoded_as_the_abi_says() -> None:
    draw = random.Random(7)
    logs = [made(t, draw, n) for n, t in enumerate(t for t in tables().values() for _ in range(3))]
    found = taken(*logs)
    assert UNDECODED not in found
    assert sum(table.num_rows for table in found.values()) == len(logs)
    rows = {row["log_index"]: (name, row) for name, one in found.items() for row in one.to_pylist()}
    for log in logs:
        name, row = rows[int(log.log_index, 16)]
        table = tables()[name]
        told = abi(table.contract).log(
            [bytes.fromhex(t[2:]) for t in log.topics], bytes.fromhex(log.data[2:])
        )
        assert told is not None
        assert told.event == table.event
        for column in table.columns:
            argument: Any = told.args
            for part in column.path:
                argument = argument[part]
            assert same(argument, row[column.name]), (name, column.name)
        assert row["tx_hash"].hex() == log.transaction_hash[2:]
        assert row["address"].hex() == log.address[2:]
        assert row["tx_index"] == int(log.transaction_index, 16)
        assert (row["block_number"], row["block_time"]) == (9, 1_700_000_000)
        assert row.get("oversize") is None


def proven(*logs: Log) -> dict[str, pa.Table]:
    """The tables of logs that came in the receipts of a block, each in one of its own."""
    receipts = [
        Receipt(
            cumulative_gas_used=hex(21_000 * (n + 1)),
            logs_bloom="0x" + "00" * 256,
            logs=[RawLog(log.address, log.topics, log.data)],
            transaction_hash=log.transaction_hash,
            status="0x1",
        )
        for n, log in enumerate(logs)
    ]
    _, found = encoded(receipts)
    collector = Collector(SUITE, SCHEMAS)
    assert collector.add_proven(BLOCK, found) == len(logs)
    return collector.take()


def test_receipts_give_the_same_tables() -> None:
    draw = random.Random(8)
    kinds = [table for table in tables().values() for _ in range(3)]
    logs = [made(table, draw, n) for n, table in enumerate(kinds)]
    for bend in (short, long, padded, fewer, more, unknown, nameless):
        logs.append(approval(5))
        bend(logs[-1])
    logs.append(approval(6))
    logs[-1].data = "0x05"
    for n, log in enumerate(logs):
        log.transaction_index = log.log_index = hex(n)
    assert proven(*logs) == taken(*logs)


def test_arrays_are_those_that_arrow_builds() -> None:
    draw = random.Random(9)
    for table in tables().values():
        for name, found in taken(made(table, draw), made(table, draw, 1)).items():
            schema = SCHEMAS[name][1]
            rows = found.to_pylist()
            assert table_of(rows, schema) == pa.Table.from_pylist(rows, schema=schema)
    many = pa.list_(pa.struct([pa.field("a", pa.int64()), pa.field("b", pa.list_(pa.string()))]))
    for values, kind in [
        ([None, 2**63 - 1, -5], pa.int64()),
        ([None, 10**38 - 1, 3], pa.decimal128(38, 0)),
        ([True, None, False], pa.bool_()),
        (["ä", None, ""], pa.string()),
        ([None, b"\0", b"ab"], pa.binary()),
        ([None, b"ab"], pa.binary(2)),
        ([[], None, [{"a": 1, "b": ["x", "y"]}, {"a": None, "b": None}]], many),
    ]:
        assert build(values, kind).equals(pa.array(values, kind))
    for number, kind in [(10**38, pa.decimal128(38, 0)), (2**63, pa.int64()), (2**31, pa.int32())]:
        with pytest.raises(OverflowError):
            build([number], kind)


def test_reading_needs_no_ledger_and_no_pandas() -> None:
    """Who extracts holds tables in little memory: these took more of it than the tables."""
    script = (
        "import sys, medtoken.audit.tables as t, medtoken.audit.tables.arrays as a\n"
        "[a.table_of([], schema) for _, schema in t.schemas(1, '0x' + '11' * 20).values()]\n"
        "print(*{'pandas', 'web3', 'eth_account', 'medtoken.audit.ledger'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def approval(amount: int, account: int = 5) -> Log:
    """An approval of DUT; the account may be more than an address holds."""
    table = tables()["usage_token_approval"]
    log = made(table, random.Random(1))
    log.topics[1] = f"0x{account:064x}"
    log.data = f"0x{amount:064x}"
    return log


@pytest.mark.parametrize("amount", [0, 1, 10**38 - 1, 10**18, 2**64, 2**64 - 1, 2**96 + 3])
def test_an_amount_is_exact(amount: int) -> None:
    [row] = taken(approval(amount))["usage_token_approval"].to_pylist()
    assert row["value"] == Decimal(amount)
    assert row["oversize"] is None


@pytest.mark.parametrize("amount", [10**38, 10**38 + 1, 2**127, 2**128, FULL])
def test_an_amount_too_large_is_kept_whole_beside(amount: int) -> None:
    rows = taken(approval(7), approval(amount), approval(8))["usage_token_approval"].to_pylist()
    assert [row["value"] for row in rows] == [7, None, 8]
    assert rows[1]["oversize"] == [{"column": "value", "word": amount.to_bytes(32)}]
    assert rows[0]["oversize"] is None


@pytest.mark.parametrize("number", [2**63, 2**64, FULL])
def test_a_small_number_that_is_not_is_kept_beside_too(number: int) -> None:
    log = made(tables()["data_market_licence_used"], random.Random(2))
    log.data = f"0x{number:064x}{12:064x}"
    [row] = taken(log)["data_market_licence_used"].to_pylist()
    assert (row["units"], row["used"]) == (None, 12)
    assert row["oversize"] == [{"column": "units", "word": number.to_bytes(32)}]


def test_a_large_number_in_an_event_without_fixed_length_is_kept_beside() -> None:
    table = tables()["timelock_controller_call_executed"]
    log = made(table, random.Random(3))
    body = encode(["address", "uint256", "bytes"], ["0x" + "11" * 20, FULL, b"call"])
    log.data = "0x" + body.hex()
    [row] = taken(log)[table.name].to_pylist()
    assert row["value"] is None
    assert row["oversize"] == [{"column": "value", "word": FULL.to_bytes(32)}]
    assert row["data"] == b"call"


def short(log: Log) -> None:
    log.data = log.data[:-64]


def long(log: Log) -> None:
    log.data += "00" * 32


def padded(log: Log) -> None:
    log.topics[1] = "0x" + "11" * 32  # no address has so many bytes


def fewer(log: Log) -> None:
    log.topics.pop()
    log.data += "00" * 32


def more(log: Log) -> None:
    log.topics.append("0x" + "22" * 32)


def unknown(log: Log) -> None:
    log.topics[0] = "0x" + "33" * 32


def nameless(log: Log) -> None:
    log.topics.clear()


@pytest.mark.parametrize("bend", [short, long, padded, fewer, more, unknown, nameless])
def test_what_no_event_is_like_is_kept_as_it_came(bend: Any) -> None:
    log = approval(5)
    bend(log)
    found = taken(approval(1), log, approval(2))
    assert found["usage_token_approval"].num_rows == 2
    [row] = found[UNDECODED].to_pylist()
    assert ["0x" + topic.hex() for topic in row["topics"]] == log.topics
    assert "0x" + row["data"].hex() == log.data
    assert row["address"].hex() == log.address[2:]


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("data", "0x" + "zz" * 32),
        ("data", "11" + "00" * 32),
        ("transaction_hash", "0x" + "gg" * 32),
        ("log_index", "first"),
    ],
)
def test_what_is_not_hexadecimal_is_refused(field: str, text: str) -> None:
    log = approval(5)
    setattr(log, field, text)
    with pytest.raises(NodeUnreachable, match="not hexadecimal"):
        taken(log)


def test_logs_of_others_do_not_count() -> None:
    log = approval(5)
    log.address = "0x" + "99" * 20
    collector = Collector(SUITE, SCHEMAS)
    collector.add([log], [BLOCK])
    assert (collector.rows, collector.take()) == (0, {})


def test_a_proxy_s_events_have_its_address() -> None:
    table = tables()["transparent_upgradeable_proxy_upgraded"]
    [row] = taken(made(table, random.Random(5)))[table.name].to_pylist()
    assert "0x" + row["address"].hex() == ADDRESSES["DataMarket"]

"""One typed table for each event that a contract of the suite can emit, derived from its ABI.

A table has the columns of the place of an event first, then its arguments. A struct's parts stand
beside each other (``terms_expiry``); what has no fixed size keeps its shape. Every number says what
it counts. ``VERSION`` changes whenever a column's name, type or meaning does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa

from medtoken import artifacts
from medtoken.audit.source import CONTRACTS, OPTIONAL, PROXY, PROXY_ADMIN
from medtoken.audit.tables.units import SMALL, WORD, unit_of
from medtoken.chain.abi import topic

VERSION = 2

ADDRESS = pa.binary(20)
HASH = pa.binary(32)
SMALL_NUMBER = pa.int64()
AMOUNT = pa.decimal128(38, 0)

# A number that its column cannot hold: a sender may approve 2**256 - 1, and no event may be lost.
OVERSIZE = "oversize"
_OVERSIZE = pa.list_(
    pa.struct([pa.field("column", pa.string(), False), pa.field("word", HASH, False)])
)
# Logs of the suite's addresses that no interface knows, or whose data does not fit their event.
UNDECODED = "undecoded_log"

PLACE = (
    pa.field("block_number", pa.int64(), False),
    pa.field("block_hash", HASH, False),
    pa.field("block_time", pa.int64(), False, {"unit": "unix seconds"}),
    pa.field("tx_hash", HASH, False),
    pa.field("tx_index", pa.int32(), False),
    pa.field("log_index", pa.int32(), False),
    pa.field("address", ADDRESS, False),
)

# What DuckDB (1.5) or Spark (4.1, in its ANSI mode) reserves.
_RESERVED = re.compile(
    "all|analyse|analyze|and|any|array|as|asc|asymmetric|authorization|both|case|"
    "cast|check|collate|column|constraint|create|cross|current_date|current_time|"
    "current_timestamp|current_user|default|deferrable|desc|describe|distinct|do|else|"
    "end|escape|except|false|fetch|filter|for|foreign|from|full|grant|group|having|"
    "in|initially|inner|intersect|into|is|join|lambda|lateral|leading|left|limit|"
    "natural|not|null|offset|on|only|or|order|outer|overlaps|pivot|pivot_longer|"
    "pivot_wider|placing|primary|qualify|references|returning|right|select|session_user|"
    "show|some|summarize|symmetric|table|then|time|to|trailing|true|union|unique|"
    "unknown|unpivot|user|using|variadic|when|where|window|with|within"
)
_FIXED = frozenset(field.name for field in PLACE) | {OVERSIZE}


@dataclass(frozen=True)
class Column:
    """One argument of an event, or a part of one."""

    name: str
    path: tuple[str, ...]  # where it is among the event's arguments, as the ABI calls them
    solidity: str
    indexed: bool
    field: pa.Field

    @property
    def unit(self) -> str | None:
        """What it counts; None for what is no number."""
        found = (self.field.metadata or {}).get(b"unit")
        return None if found is None else found.decode()


@dataclass(frozen=True)
class Table:
    """The table of one event of one contract."""

    name: str  # in SQL, such as data_market_licence_settled
    folder: str  # below the folder of all tables, such as data_market/licence_settled
    contract: str
    event: str
    topic: bytes
    columns: tuple[Column, ...]

    @property
    def fixed(self) -> bool:
        """Whether every argument is one word, so that all logs of it are equally long."""
        return all(one.solidity not in _DYNAMIC and "[" not in one.solidity for one in self.columns)

    def schema(self, chain_id: int, market: str) -> pa.Schema:
        """The Arrow schema of a deployment: its chain, and the address of its market."""
        fields = [*PLACE, *(column.field for column in self.columns)]
        if any(_numeric(column.field.type) for column in self.columns):
            fields.append(pa.field(OVERSIZE, _OVERSIZE))
        return pa.schema(fields, _metadata(self.contract, self.event, chain_id, market))


_DYNAMIC = ("string", "bytes")


@cache
def tables() -> Mapping[str, Table]:
    """Every table by its name, contracts and events in the order of the alphabet."""
    found = {}
    for contract in sorted({*CONTRACTS, *OPTIONAL, PROXY, PROXY_ADMIN}):
        entries = [e for e in artifacts.load(contract)["abi"] if e["type"] == "event"]
        for entry in sorted(entries, key=lambda e: str(e["name"])):
            table = _table(contract, entry)
            found[table.name] = table
    return found


def undecoded(chain_id: int, market: str) -> pa.Schema:
    """The schema of the logs that could not be decoded: as they came."""
    fields = [
        *PLACE,
        pa.field("topics", pa.list_(pa.field("topic", HASH, False)), False),
        pa.field("data", pa.binary(), False),
    ]
    return pa.schema(fields, _metadata("", UNDECODED, chain_id, market))


@cache
def schemas(chain_id: int, market: str) -> Mapping[str, tuple[str, pa.Schema]]:
    """The folder and the schema of every table of a deployment, by its name; undecoded logs last."""
    found = {name: (t.folder, t.schema(chain_id, market)) for name, t in tables().items()}
    found[UNDECODED] = ("undecoded/log", undecoded(chain_id, market))
    return found


def snake(name: str) -> str:
    """``EIP712DomainChanged`` and ``previousVotes`` as ``eip712_domain_changed``, ``previous_votes``."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return words.lower()


def column_name(path: Sequence[str], hashed: bool = False) -> str:
    """The column of an argument: its parts in snake case; ``_`` follows what is taken or reserved.

    ``hashed``: of a text only the Keccak-256 stands in a topic; such a column ends in ``_hash``.
    """
    name = "_".join(snake(part) for part in path) + ("_hash" if hashed else "")
    return f"{name}_" if name in _FIXED or _RESERVED.fullmatch(name) else name


def _metadata(contract: str, event: str, chain_id: int, market: str) -> dict[str, str]:
    return {
        "medtoken.schema": str(VERSION),
        "medtoken.contract": contract,
        "medtoken.event": event,
        "medtoken.chain_id": str(chain_id),
        "medtoken.market": market.lower(),
    }


def _table(contract: str, entry: Mapping[str, Any]) -> Table:
    event = str(entry["name"])
    columns = [
        column
        for item in entry["inputs"]
        for column in _columns(contract, event, (), item, bool(item["indexed"]))
    ]
    folder = f"{snake(contract)}/{snake(event)}"
    return Table(folder.replace("/", "_"), folder, contract, event, topic(entry), tuple(columns))


def _columns(
    contract: str, event: str, path: tuple[str, ...], item: Mapping[str, Any], indexed: bool
) -> Iterator[Column]:
    here = (*path, str(item["name"]))
    kind = str(item["type"])
    if kind == "tuple" and not indexed:
        for part in item["components"]:
            yield from _columns(contract, event, here, part, False)
        return
    hashed = indexed and (kind in _DYNAMIC or kind == "tuple" or "[" in kind)
    name = column_name(here, hashed)
    arrow, unit = (HASH, None) if hashed else _arrow(contract, event, item)
    metadata = {"argument": ".".join(here), "type": kind} | ({"unit": unit} if unit else {})
    # A number is null where it is oversize; nothing else can be missing.
    nullable = _numeric(arrow) and kind != "bool"
    yield Column(
        name,
        here,
        "bytes32" if hashed else kind,
        indexed,
        pa.field(name, arrow, nullable, metadata),
    )


def _arrow(contract: str, event: str, item: Mapping[str, Any]) -> tuple[pa.DataType, str | None]:
    """A type, and the unit of what it counts."""
    kind, name = str(item["type"]), snake(str(item["name"]))
    if kind.endswith("]"):
        inner = {**item, "type": kind[: kind.rindex("[")]}
        arrow, unit = _arrow(contract, event, inner)
        return pa.list_(pa.field("item", arrow, False)), unit
    if kind == "tuple":
        fields = []
        for part in item["components"]:
            arrow, unit = _arrow(contract, event, part)
            metadata = {"unit": unit} if unit else None
            # Nothing tells of a number in a list that is too large: such a log stays undecoded.
            fields.append(pa.field(snake(str(part["name"])), arrow, False, metadata))
        return pa.struct(fields), None
    if kind.startswith("uint"):
        unit = unit_of(contract, event, name)
        if unit is None:
            raise LookupError(f"Nobody has said what {name} of {contract}.{event} counts.")
        return (HASH if unit == WORD else _number(int(kind[4:]), unit)), unit
    return _PLAIN.get(kind) or pa.binary(int(kind.removeprefix("bytes"))), None


_PLAIN = {"address": ADDRESS, "bool": pa.bool_(), "string": pa.string(), "bytes": pa.binary()}


def _number(bits: int, unit: str) -> pa.DataType:
    # A unit of small numbers is small in a wide word too; OpenZeppelin's roles fill their 64 bits.
    return SMALL_NUMBER if bits < 64 or (bits > 64 and unit in SMALL) else AMOUNT


def _numeric(arrow: pa.DataType) -> bool:
    return bool(arrow in (SMALL_NUMBER, AMOUNT))

"""Logs into columns: text is gathered by kind of event, and made typed a column at a time.

All logs of an event with fixed arguments are equally long, so they lie under each other in one
matrix of bytes, of which a column is a slice. Python touches a log only to put it on its pile.
"""

from __future__ import annotations

import binascii
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from eth_abi.exceptions import DecodingError

from medtoken.audit.source import Suite
from medtoken.audit.tables.schema import AMOUNT, OVERSIZE, UNDECODED, Column, Table, tables
from medtoken.audit.tables.store import Point
from medtoken.chain.abi import Abi
from medtoken.errors import NodeUnreachable

Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]

# Rows that a pile keeps as text before it turns them into bytes.
_PILE = 512
# 10**38 as two words of 64 bits: the first number that has too many digits.
_LIMIT = divmod(10**38, 1 << 64)
_ZERO, _X = b"0x"
_NOT_HEX = "The node gave a log that is not hexadecimal."


class Log(msgspec.Struct, rename="camel", gc=False):
    """A log as ``eth_getLogs`` gives it: hexadecimal text."""

    address: str
    topics: list[str]
    data: str
    block_number: str
    block_hash: str
    transaction_hash: str
    transaction_index: str
    log_index: str
    block_timestamp: str | None = None
    removed: bool = False


class _Pile:
    """The logs of one event at one address, in the order in which they came."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.topics = sum(column.indexed for column in table.columns)
        self.words = len(table.columns) - self.topics
        self.width = 66 * (1 + self.topics) + 2 + 64 * self.words
        self.text: list[str] = []
        self.bytes: list[bytes] = []
        self.places: list[npt.NDArray[np.int32]] = []
        self._places: list[tuple[int, int, int]] = []

    def add(self, row: str, place: tuple[int, int, int]) -> bool:
        """Put a log on; False when it is not as long as the event's must be."""
        if len(row) != self.width:
            return False
        self.text.append(row)
        self._places.append(place)
        return True

    def pack(self) -> None:
        """Turn text into bytes. Raises NodeUnreachable where it is not hexadecimal."""
        if not self.text:
            return
        text = np.frombuffer("".join(self.text).encode(), np.uint8)
        rows = text.reshape(len(self.text), self.width)
        # Each topic, and the data, has its own 0x.
        starts = [66 * n for n in range(2 + self.topics)]
        ends = [*starts[1:], self.width]
        try:
            if (rows[:, starts] != _ZERO).any() or (rows[:, [n + 1 for n in starts]] != _X).any():
                raise ValueError
            digits = [rows[:, a + 2 : b] for a, b in zip(starts, ends, strict=True)]
            self.bytes.append(binascii.unhexlify(np.concatenate(digits, axis=1)))
        except ValueError:
            raise NodeUnreachable(_NOT_HEX) from None
        self.places.append(np.array(self._places, np.int32))
        self.text, self._places = [], []


class Collector:
    """Logs of a suite, gathered until their tables are asked for."""

    def __init__(self, suite: Suite, schemas: Mapping[str, tuple[str, pa.Schema]]) -> None:
        """``schemas``: as ``medtoken.audit.tables.schemas`` gives them for the deployment."""
        by_event = {(table.contract, table.topic): table for table in tables().values()}
        self._schemas = schemas
        self._interfaces: dict[str, tuple[Abi, ...]] = {}
        self._tables: dict[tuple[str, str], Table] = {}
        for address, interfaces in suite.emitters.items():
            self._interfaces[address.lower()] = interfaces
            for interface in reversed(interfaces):
                for key in interface.event_topics:
                    table = by_event[interface.name, key]
                    self._tables[address.lower(), "0x" + key.hex()] = table
        self.rows = 0
        self._clear()

    def _clear(self) -> None:
        self.rows = 0
        self._piles: dict[tuple[str, str], _Pile] = {}
        self._loose: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._ordinals: dict[str, int] = {}
        self._blocks: list[tuple[int, bytes, int]] = []

    @property
    def addresses(self) -> list[str]:
        """Every address whose logs count, in lower case."""
        return list(self._interfaces)

    def add(self, logs: Sequence[Log], blocks: Iterable[Point]) -> None:
        """Gather logs of these addresses, in the chain's order. ``blocks``: theirs among them.

        Raises NodeUnreachable for what is no hexadecimal text.
        """
        for block in blocks:
            if block.hash not in self._ordinals:
                self._ordinals[block.hash] = len(self._blocks)
                self._blocks.append((block.number, bytes.fromhex(block.hash[2:]), block.time))
        piles, ordinals = self._piles, self._ordinals
        self.rows += len(logs)
        try:
            for log in logs:
                topics = log.topics
                pile = piles.get((log.address, topics[0])) if topics else None
                if pile is None or len(topics) != pile.topics + 1:
                    pile = self._pile(log)
                    if pile is None:
                        continue
                text = (
                    f"{log.transaction_hash}{topics[1]}{log.data}"
                    if len(topics) == 2
                    else "".join((log.transaction_hash, *topics[1:], log.data))
                )
                place = (
                    ordinals[log.block_hash],
                    int(log.transaction_index, 16),
                    int(log.log_index, 16),
                )
                if not pile.add(text, place):
                    self._undecoded(log)
                elif len(pile.text) >= _PILE:
                    pile.pack()
        except ValueError:
            raise NodeUnreachable(_NOT_HEX) from None

    def take(self) -> dict[str, pa.Table]:
        """The tables of what was gathered, which is forgotten."""
        by_table: dict[str, list[tuple[str, _Pile]]] = defaultdict(list)
        for (address, _), pile in self._piles.items():
            by_table[pile.table.name].append((address, pile))
        self._piles = {}
        self._numbers = np.array([block[0] for block in self._blocks], np.int64)
        self._times = np.array([block[2] for block in self._blocks], np.int64)
        self._hashes = np.frombuffer(b"".join(block[1] for block in self._blocks), np.uint8)
        found = {}
        for name in sorted(by_table):
            found[name] = self._typed(name, by_table.pop(name))
        for name, rows in self._loose.items():
            rows.sort(key=lambda row: (row["block_number"], row["log_index"]))
            found[name] = pa.Table.from_pylist(rows, schema=self._schemas[name][1])
        self._clear()
        return {name: table for name, table in found.items() if table.num_rows}

    # ------------------------------------------------------------------ one log at a time

    def _pile(self, log: Log) -> _Pile | None:
        """Where a log of a new kind goes; None when it was dealt with here."""
        address = log.address.lower()
        if address not in self._interfaces:
            self.rows -= 1
            return None
        key = (log.address, log.topics[0]) if log.topics else (log.address, "")
        table = self._tables.get((address, key[1].lower()))
        if table is None:
            self._undecoded(log)
        elif not table.fixed:
            self._dynamic(table, log)
        else:
            pile = self._piles.setdefault(key, _Pile(table))
            if len(log.topics) == pile.topics + 1:
                return pile
            self._undecoded(log)
        return None

    def _place(self, log: Log) -> dict[str, Any]:
        number, block_hash, time = self._blocks[self._ordinals[log.block_hash]]
        return {
            "block_number": number,
            "block_hash": block_hash,
            "block_time": time,
            "tx_hash": bytes.fromhex(log.transaction_hash[2:]),
            "tx_index": int(log.transaction_index, 16),
            "log_index": int(log.log_index, 16),
            "address": bytes.fromhex(log.address[2:]),
        }

    def _undecoded(self, log: Log) -> None:
        topics = [bytes.fromhex(topic[2:]) for topic in log.topics]
        row = {"topics": topics, "data": bytes.fromhex(log.data[2:])}
        self._loose[UNDECODED].append(self._place(log) | row)

    def _dynamic(self, table: Table, log: Log) -> None:
        topics = [bytes.fromhex(topic[2:]) for topic in log.topics]
        data = bytes.fromhex(log.data[2:])
        for interface in self._interfaces[log.address.lower()]:
            try:
                found = interface.log(topics, data)
            except (DecodingError, ValueError, OverflowError):
                break
            if found is not None:
                row, over = self._place(log), []
                for column in table.columns:
                    value: Any = found.args
                    for part in column.path:
                        value = value[part]
                    row[column.name] = _plain(value, column.field.type)
                    if isinstance(value, int) and value >= _bound(column.field.type):
                        row[column.name] = None
                        over.append({"column": column.name, "word": value.to_bytes(32)})
                row[OVERSIZE] = over or None
                try:
                    schema = self._schemas[table.name][1]
                    pa.Table.from_pylist([row], schema=schema)
                except (pa.ArrowException, OverflowError):
                    break  # a number in a list that is too large
                self._loose[table.name].append(row)
                return
        self._undecoded(log)

    # ------------------------------------------------------------------ many at a time

    def _typed(self, name: str, piles: list[tuple[str, _Pile]]) -> pa.Table:
        table = piles[0][1].table
        parts: list[Bytes] = []
        places: list[npt.NDArray[np.int32]] = []
        addresses: list[Bytes] = []
        for address, pile in piles:
            pile.pack()
            made = np.concatenate(pile.places)
            parts.append(np.frombuffer(b"".join(pile.bytes), np.uint8).reshape(len(made), -1))
            places.append(made)
            raw = np.frombuffer(bytes.fromhex(address[2:]), np.uint8)
            addresses.append(np.broadcast_to(raw, (len(made), 20)))
            pile.bytes, pile.places = [], []
        words, place, emitter = _joined(parts), _joined(places), _joined(addresses)
        order = np.lexsort((place[:, 2], self._numbers[place[:, 0]]))
        if (np.diff(order) < 0).any():
            words, place, emitter = words[order], place[order], emitter[order]
        arguments, over, wrong = self._arguments(table, words)
        columns = [*self._where(place, words[:, :32], emitter), *arguments]
        schema = self._schemas[name][1]
        if OVERSIZE in schema.names:
            columns.append(pa.array(over or [None] * len(words), schema.field(OVERSIZE).type))
        result = pa.Table.from_arrays(columns, schema=schema)
        if wrong.any():
            self._give_up(table, result.filter(pa.array(wrong)), words[wrong])
            result = result.filter(pa.array(~wrong))
        return result

    def _arguments(
        self, table: Table, words: Bytes
    ) -> tuple[list[pa.Array], list[list[dict[str, Any]] | None] | None, Flags]:
        """The columns, what is oversize, and which rows are not as the event must be."""
        wrong = np.zeros(len(words), np.bool_)
        over: list[list[dict[str, Any]] | None] | None = None
        made = []
        topic, word = count(1), count(1 + sum(column.indexed for column in table.columns))
        for column in table.columns:
            at = 32 * next(topic if column.indexed else word)
            array, bad, large = _column(column, words[:, at : at + 32])
            made.append(array)
            wrong |= bad
            if large is not None:
                over = over or [None] * len(words)
                for row in np.flatnonzero(large):
                    found = {"column": column.name, "word": words[row, at : at + 32].tobytes()}
                    over[row] = [*(over[row] or []), found]
        return made, over, wrong

    def _where(self, place: npt.NDArray[np.int32], tx: Bytes, address: Bytes) -> list[pa.Array]:
        ordinals = place[:, 0]
        return [
            pa.array(self._numbers[ordinals]),
            _binary(self._hashes.reshape(-1, 32)[ordinals]),
            pa.array(self._times[ordinals]),
            _binary(tx),
            pa.array(place[:, 1]),
            pa.array(place[:, 2]),
            _binary(address),
        ]

    def _give_up(self, table: Table, rows: pa.Table, words: Bytes) -> None:
        """Keep as they came the logs of an event whose words are not of its types."""
        topics = 1 + sum(column.indexed for column in table.columns)
        for row, raw in zip(rows.select(range(7)).to_pylist(), words, strict=True):
            found = [table.topic, *(raw[32 * n : 32 * n + 32].tobytes() for n in range(1, topics))]
            self._loose[UNDECODED].append(
                row | {"topics": found, "data": raw[32 * topics :].tobytes()}
            )


def _joined(parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _binary(rows: Bytes) -> pa.Array:
    buffer = pa.py_buffer(np.ascontiguousarray(rows))
    return pa.Array.from_buffers(pa.binary(rows.shape[1]), len(rows), [None, buffer])


def _column(column: Column, words: Bytes) -> tuple[pa.Array, Flags, Flags | None]:
    """A column from its words: the values, which words are of another type, which are too large."""
    kind, arrow = column.solidity, column.field.type
    if kind == "address":
        return _binary(words[:, 12:]), words[:, :12].any(axis=1), None
    if kind == "bool":
        return pa.array(words[:, 31] != 0), words[:, :31].any(axis=1) | (words[:, 31] > 1), None
    if kind.startswith("bytes"):
        size = arrow.byte_width
        return _binary(words[:, :size]), words[:, size:].any(axis=1), None
    wrong: Flags = words[:, : 32 - int(kind[4:]) // 8].any(axis=1)
    if pa.types.is_fixed_size_binary(arrow) and not pa.types.is_decimal(arrow):
        return _binary(words), wrong, None
    limbs = np.ascontiguousarray(words).view(">u8")
    if arrow == AMOUNT:
        high, low = limbs[:, 2], limbs[:, 3]
        large = (limbs[:, 0] | limbs[:, 1]) != 0
        large |= (high > _LIMIT[0]) | ((high == _LIMIT[0]) & (low >= _LIMIT[1]))
        little = np.ascontiguousarray(words[:, :15:-1])
    else:
        large = (limbs[:, 0] | limbs[:, 1] | limbs[:, 2]) != 0
        large |= limbs[:, 3] >> np.uint64(63) != 0
        little = limbs[:, 3].astype("<i8")
    if not large.any():
        return pa.Array.from_buffers(arrow, len(words), [None, pa.py_buffer(little)]), wrong, None
    # Where a number is null its bytes are zero, so that the file's are the same every time.
    little[large] = 0
    valid = pa.py_buffer(np.packbits(~large, bitorder="little"))
    return pa.Array.from_buffers(arrow, len(words), [valid, pa.py_buffer(little)]), wrong, large


def _bound(arrow: pa.DataType) -> int:
    """The first number that a column cannot hold."""
    return 10**38 if arrow == AMOUNT else 1 << 63 if pa.types.is_integer(arrow) else 1 << 256


def _plain(value: Any, arrow: pa.DataType) -> Any:
    """A decoded argument as Arrow takes it."""
    if isinstance(value, list):
        return [_plain(one, arrow.value_type) for one in value]
    if isinstance(value, dict):
        return {
            arrow.field(n).name: _plain(v, arrow.field(n).type)
            for n, v in enumerate(value.values())
        }
    if isinstance(value, int) and pa.types.is_fixed_size_binary(arrow):
        return value.to_bytes(32)
    if isinstance(value, str) and arrow == pa.binary(20):
        return bytes.fromhex(value[2:])
    return value

"""Logs into columns: text is gathered by kind of event, and made typed a column at a time.

All logs of an event with fixed arguments are equally long, so they lie under each other in one
matrix of bytes, of which a column is a slice. Python touches a log only to put it on its pile.
"""

from __future__ import annotations

import binascii
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from eth_abi.exceptions import DecodingError

from medtoken.audit.proven.receipts import ProvenReceipt, Shape, shape
from medtoken.audit.source import Suite
from medtoken.audit.tables.arrays import Bytes, Flags, binary, build, flags, numbers, table_of
from medtoken.audit.tables.schema import AMOUNT, OVERSIZE, UNDECODED, Column, Table, tables
from medtoken.audit.tables.store import Point
from medtoken.chain.abi import Abi
from medtoken.errors import NodeUnreachable

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
    """The logs of one event at one address, in the order in which they came.

    They come as text or, proven, as the RLP that was hashed. Either way they end as rows of bytes
    that are equally long: the hash of the transaction at ``at[0]``, the topics after the first at
    the next places, and the data at ``at[-1]``.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        indexed = sum(column.indexed for column in table.columns)
        self.topics = indexed + 1
        data = 32 * (len(table.columns) - indexed)
        # In text each topic, and the data, has its own 0x, which is taken for a byte.
        self.width = 66 * self.topics + 2 + 2 * data
        self.at = [33 * n + 1 for n in range(self.topics + 1)]
        self.shape = shape(self.topics, data)
        self.proven_at = [0, *(32 + n for n in self.shape.topics[1:]), 32 + self.shape.data]
        self.text: list[str] = []
        self.raw: list[bytes] = []
        self.places = array("i")
        self.bytes: list[bytes] = []

    def pack(self) -> None:
        """Turn what came into rows of bytes. Raises NodeUnreachable for text that is no hexadecimal."""
        if self.raw:
            # By turns the hash of the transaction and the log.
            self.bytes.append(b"".join(self.raw))
            self.at, self.raw = self.proven_at, []
        if not self.text:
            return
        try:
            text = bytearray("".join(self.text), "ascii")
            rows = np.frombuffer(text, np.uint8).reshape(len(self.text), self.width)
            starts = [66 * n for n in range(self.topics + 1)]
            marks = [n + 1 for n in starts]
            if (rows[:, starts] != _ZERO).any() or (rows[:, marks] != _X).any():
                raise ValueError
            rows[:, marks] = _ZERO
            self.bytes.append(binascii.unhexlify(text))
        except ValueError:
            raise NodeUnreachable(_NOT_HEX) from None
        self.text = []


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
        self.clear()

    def clear(self) -> None:
        """Forget what was gathered."""
        self.rows = 0
        self._piles: dict[tuple[str, str], _Pile] = {}
        self._by_bytes: dict[bytes, _Pile] = {}
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
            self._ordinal(block)
        piles = self._piles
        self.rows += len(logs)
        here, ordinal = "", 0
        try:
            for log in logs:
                topics = log.topics
                pile = piles.get((log.address, topics[0])) if topics else None
                if pile is None or len(topics) != pile.topics:
                    pile = self._pile(log)
                    if pile is None:
                        continue
                text = (
                    f"{log.transaction_hash}{topics[1]}{log.data}"
                    if len(topics) == 2
                    else "".join((log.transaction_hash, *topics[1:], log.data))
                )
                if len(text) != pile.width:
                    self._undecoded(log)
                    continue
                if log.block_hash != here:
                    here = log.block_hash
                    ordinal = self._ordinals[here]
                # Numbers first: one that is none must not leave a row without its place.
                place = (ordinal, int(log.transaction_index, 16), int(log.log_index, 16))
                pile.places.extend(place)
                pile.text.append(text)
                if len(pile.text) >= _PILE:
                    pile.pack()
        except (ValueError, OverflowError):
            raise NodeUnreachable(_NOT_HEX) from None

    def add_proven(self, block: Point, receipts: Iterable[ProvenReceipt]) -> int:
        """Gather the logs of a block from its receipts, as they were hashed. Gives how many count."""
        before, start, ordinal = self.rows, 0, self._ordinal(block)
        piles = self._by_bytes
        for receipt in receipts:
            tx, number = receipt.transaction_hash, receipt.transaction_index
            for index, (form, raw) in enumerate(receipt.logs, start):
                pile = piles.get(raw[: form.kind])
                if pile is None or pile.shape is not form:
                    pile = self._proven_pile(form, raw, block, tx, (number, index))
                    if pile is None:
                        continue
                self.rows += 1
                pile.places.extend((ordinal, number, index))
                pile.raw += (tx, raw)
                if len(pile.raw) >= 2 * _PILE:
                    pile.pack()
            start += len(receipt.logs)
        return self.rows - before

    def take(self) -> dict[str, pa.Table]:
        """The tables of what was gathered, which is forgotten."""
        return dict(self.tables())

    def tables(self) -> Iterator[tuple[str, pa.Table]]:
        """As ``take``, one after the other: so no two of them need be in memory at a time."""
        by_table: dict[str, list[tuple[str, _Pile]]] = defaultdict(list)
        for (address, _), pile in self._piles.items():
            by_table[pile.table.name].append((address, pile))
        self._piles, self._by_bytes = {}, {}
        self._numbers = np.array([block[0] for block in self._blocks], np.int64)
        self._times = np.array([block[2] for block in self._blocks], np.int64)
        self._hashes = np.frombuffer(b"".join(block[1] for block in self._blocks), np.uint8)
        for name in sorted(by_table):
            made = self._typed(name, by_table.pop(name))
            if made.num_rows:
                yield name, made
                del made
        for name, rows in self._loose.items():
            rows.sort(key=lambda row: (row["block_number"], row["log_index"]))
            yield name, table_of(rows, self._schemas[name][1])
        self.clear()

    def _ordinal(self, block: Point) -> int:
        """The place of a block among those of what was gathered."""
        found = self._ordinals.setdefault(block.hash, len(self._blocks))
        if found == len(self._blocks):
            self._blocks.append((block.number, bytes.fromhex(block.hash[2:]), block.time))
        return found

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
            if len(log.topics) == pile.topics:
                return pile
            self._undecoded(log)
        return None

    def _proven_pile(
        self, form: Shape, raw: bytes, block: Point, tx: bytes, place: tuple[int, int]
    ) -> _Pile | None:
        """Where a proven log of a new kind goes; None when it was dealt with here."""
        topics = ["0x" + topic.hex() for topic in form.topics_of(raw)]
        log = Log(
            "0x" + raw[form.address : form.address + 20].hex(),
            topics,
            "0x" + form.data_of(raw).hex(),
            hex(block.number),
            block.hash,
            "0x" + tx.hex(),
            hex(place[0]),
            hex(place[1]),
        )
        table = self._tables.get((log.address, topics[0])) if topics else None
        if table is not None and table.fixed:
            pile = self._piles.setdefault((log.address, topics[0]), _Pile(table))
            if pile.shape == form:
                self._by_bytes[raw[: form.kind]] = pile
                return pile
        self.add([log], ())
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
                    table_of([row], schema)
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
        at: list[int] = []
        addresses: list[Bytes] = []
        for address, pile in piles:
            pile.pack()
            made = np.frombuffer(pile.places, np.int32).reshape(-1, 3)
            if not len(made):
                continue
            parts.append(np.frombuffer(b"".join(pile.bytes), np.uint8).reshape(len(made), -1))
            places.append(made)
            raw = np.frombuffer(bytes.fromhex(address[2:]), np.uint8)
            addresses.append(np.broadcast_to(raw, (len(made), 20)))
            pile.bytes, at = [], pile.at
        if not parts:
            return table_of([], self._schemas[name][1])
        words, place, emitter = _joined(parts), _joined(places), _joined(addresses)
        order = np.lexsort((place[:, 2], self._numbers[place[:, 0]]))
        if (np.diff(order) < 0).any():
            words, place, emitter = words[order], place[order], emitter[order]
        arguments, over, wrong = self._arguments(table, words, at)
        columns = [*self._where(place, words[:, at[0] : at[0] + 32], emitter), *arguments]
        schema = self._schemas[name][1]
        if OVERSIZE in schema.names:
            kind = schema.field(OVERSIZE).type
            columns.append(pa.nulls(len(words), kind) if over is None else build(over, kind))
        result = pa.Table.from_arrays(columns, schema=schema)
        if wrong.any():
            self._give_up(table, result.filter(flags(wrong)), words[wrong], at)
            result = result.filter(flags(~wrong))
        return result

    def _arguments(
        self, table: Table, words: Bytes, places: Sequence[int]
    ) -> tuple[list[pa.Array], list[list[dict[str, Any]] | None] | None, Flags]:
        """The columns, what is oversize, and which rows are not as the event must be."""
        wrong = np.zeros(len(words), np.bool_)
        over: list[list[dict[str, Any]] | None] | None = None
        made = []
        topic, word = iter(places[1:-1]), count(places[-1], 32)
        for column in table.columns:
            at = next(topic if column.indexed else word)
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
            numbers(self._numbers[ordinals], pa.int64()),
            binary(self._hashes.reshape(-1, 32)[ordinals]),
            numbers(self._times[ordinals], pa.int64()),
            binary(tx),
            numbers(place[:, 1], pa.int32()),
            numbers(place[:, 2], pa.int32()),
            binary(address),
        ]

    def _give_up(self, table: Table, rows: pa.Table, words: Bytes, at: Sequence[int]) -> None:
        """Keep as they came the logs of an event whose words are not of its types."""
        for row, raw in zip(rows.select(range(7)).to_pylist(), words, strict=True):
            found = [table.topic, *(raw[n : n + 32].tobytes() for n in at[1:-1])]
            self._loose[UNDECODED].append(row | {"topics": found, "data": raw[at[-1] :].tobytes()})


def _joined(parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _column(column: Column, words: Bytes) -> tuple[pa.Array, Flags, Flags | None]:
    """A column from its words: the values, which words are of another type, which are too large."""
    kind, arrow = column.solidity, column.field.type
    if kind == "address":
        return binary(words[:, 12:]), words[:, :12].any(axis=1), None
    if kind == "bool":
        return flags(words[:, 31] != 0), words[:, :31].any(axis=1) | (words[:, 31] > 1), None
    if kind.startswith("bytes"):
        size = arrow.byte_width
        return binary(words[:, :size]), words[:, size:].any(axis=1), None
    wrong: Flags = words[:, : 32 - int(kind[4:]) // 8].any(axis=1)
    if pa.types.is_fixed_size_binary(arrow) and not pa.types.is_decimal(arrow):
        return binary(words), wrong, None
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
        return numbers(little, arrow), wrong, None
    # Where a number is null its bytes are zero, so that the file's are the same every time.
    little[large] = 0
    return numbers(little, arrow, large), wrong, large


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

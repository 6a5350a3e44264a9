"""Marks in tables: numbers move by one step of their last decimal place."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medtoken.errors import MalformedFile, UnsupportedFile
from medtoken.formats._cgm import find_columns
from medtoken.formats._io import label, lines, open_regular
from medtoken.marking._code import Floats

THRESHOLDS = {
    "mg/dL": tuple(map(Decimal, ("54", "70", "140", "180", "250"))),
    "mmol/L": tuple(map(Decimal, ("3.0", "3.9", "7.8", "10.0", "13.9"))),
}
"""Limits of the ranges that glucose is counted in: no value moves onto, off or across one."""
_LINE_LIMIT = 64 * 1024
_CELL_LIMIT = 20_000_000
_PAIR_LIMIT = 100_000_000
_NUMBER = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,9})?", re.ASCII)
_UNITS = (1.0, 18.016, 1 / 18.016)
_ANCHORS = 64


def _plain(name: str) -> str:
    return re.sub(r"[\s_./()\[\]-]", "", name).lower()


@dataclass
class Table:
    """A CSV table, read whole."""

    delimiter: str
    header: list[str]
    rows: list[list[str]]
    times: int | None
    """The column of times, if there is one."""
    unit: str | None
    """Of the glucose column, if there is one; mg/dL where the header does not say."""
    glucose: int | None


@dataclass
class Places:
    """Where a table can be marked: for each marked column its cells and its step."""

    columns: list[int]
    steps: list[Decimal]
    usable: npt.NDArray[np.bool_]
    """By row and marked column, flat."""


def read(path: Path) -> Table:
    """Read a CSV table of at most 20,000,000 cells."""
    name = label(path)
    with open_regular(path) as stream:
        text = [line for line in lines(stream, name, _LINE_LIMIT) if line.strip()]
    if not text:
        raise MalformedFile(f"{name}: holds nothing but white space")
    known = find_columns(text[0])
    delimiter = known.delimiter
    if known.glucose is None:
        delimiter = max(",;\t", key=text[0].count)
    try:
        rows = list(csv.reader(text, delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise MalformedFile(f"{name}: is not valid CSV ({error})") from None
    header, body = rows[0], rows[1:]
    if not body:
        raise MalformedFile(f"{name}: has a header but no rows")
    if len(body) * len(header) > _CELL_LIMIT:
        raise UnsupportedFile(f"{name}: has more than {_CELL_LIMIT:,} cells")
    for number, row in enumerate(body, 1):
        if len(row) != len(header):
            raise MalformedFile(
                f"{name}: row {number:,} has {len(row)} cells where the header has {len(header)}"
            )
    unit = (known.unit or "mg/dL") if known.glucose is not None else None
    return Table(delimiter, header, body, known.time, unit, known.glucose)


def places(path: Path, table: Table, names: tuple[str, ...]) -> Places:
    """The places of a master copy: in the columns named, or else in its glucose column."""
    if names:
        by_name = {_plain(name): index for index, name in enumerate(table.header)}
        columns = [by_name[_plain(name)] for name in names if _plain(name) in by_name]
        if len(columns) != len(names):
            raise UnsupportedFile(f"{label(path)}: does not have every column named")
    elif table.glucose is not None:
        columns = [table.glucose]
    else:
        raise UnsupportedFile(f"{label(path)}: has no glucose column; name the columns to mark")
    steps, usable = [], np.zeros((len(table.rows), len(columns)), dtype=bool)
    for at, column in enumerate(columns):
        cells = [row[column].strip() for row in table.rows]
        numbers = [Decimal(cell) if _NUMBER.fullmatch(cell) else None for cell in cells]
        decimals = Counter(
            len(c.partition(".")[2]) for c, n in zip(cells, numbers, strict=True) if n
        )
        if not decimals:
            raise UnsupportedFile(
                f"{label(path)}: the column {table.header[column]} has no numbers"
            )
        step = Decimal(1).scaleb(-max(decimals, key=lambda places: (decimals[places], places)))
        limits = THRESHOLDS[table.unit] if table.unit and column == table.glucose else ()
        usable[:, at] = [
            number is not None
            and number > step
            and not any(abs(number - limit) <= step for limit in limits)
            for number in numbers
        ]
        steps.append(step)
    return Places(columns, steps, usable.reshape(-1))


def marked(table: Table, where: Places, word: npt.NDArray[np.int8]) -> tuple[bytes, Floats]:
    """The table moved by a word, as CSV, and by how much each number moved."""
    width = len(where.columns)
    moved = np.zeros(len(word))
    rows = [list(row) for row in table.rows]
    for place in np.flatnonzero(where.usable):
        row, at = divmod(int(place), width)
        column, step = where.columns[at], where.steps[at]
        cell = rows[row][column]
        rows[row][column] = f"{Decimal(cell.strip()) + int(word[place]) * step:f}"
        moved[place] = float(int(word[place]) * step)
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=table.delimiter, lineterminator="\n")
    writer.writerow(table.header)
    writer.writerows(rows)
    return text.getvalue().encode(), moved


def residuals(
    master: Table, where: Places, leaked: Table, notes: list[str]
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """A leaked table's differences from the master in steps, and the places where it has any."""
    pairs = _columns(master, where, leaked)
    total, count = np.zeros(len(where.usable)), np.zeros(len(where.usable))
    if not pairs:
        notes.append("The leaked table has no column that was marked.")
        return total, count > 0
    first_at, first = pairs[0]
    own = _numbers(master, where.columns[first_at])
    theirs = _numbers(leaked, first)
    scale = _scale(own, theirs)
    if scale != 1.0:
        notes.append("The leaked values are in another unit; they were converted back.")
    rows = _aligned(master, leaked, own, theirs * scale, notes)
    width = len(where.columns)
    for at, column in pairs:
        values = _numbers(leaked, column) * (scale if column == first else 1.0)
        base = _numbers(master, where.columns[at])
        there = (rows >= 0) & np.isfinite(values)
        there[there] &= np.isfinite(base[rows[there]])
        slots = rows[there] * width + at
        difference = (values[there] - base[rows[there]]) / float(where.steps[at])
        np.add.at(total, slots, difference)
        np.add.at(count, slots, 1)
    seen = (count > 0) & where.usable
    return np.divide(total, count, out=np.zeros_like(total), where=count > 0), seen


def _columns(master: Table, where: Places, leaked: Table) -> list[tuple[int, int]]:
    """Which column of the leaked table is which marked one."""
    by_name = {_plain(name): index for index, name in enumerate(leaked.header)}
    found = []
    for at, column in enumerate(where.columns):
        index = by_name.get(_plain(master.header[column]))
        if index is None and column == master.glucose:
            index = leaked.glucose
        if index is None and len(where.columns) == 1:
            filled = [np.isfinite(_numbers(leaked, c)).mean() for c in range(len(leaked.header))]
            index = int(np.argmax(filled)) if max(filled) > 0.5 else None
        if index is not None:
            found.append((at, index))
    return found


def _numbers(table: Table, column: int) -> Floats:
    cells = (row[column].strip() for row in table.rows)
    return np.array([float(c) if _NUMBER.fullmatch(c) else np.nan for c in cells])


def _scale(own: Floats, theirs: Floats) -> float:
    """What leaked glucose has to be multiplied with to be in the master's unit."""
    if not np.any(np.isfinite(own)) or not np.any(np.isfinite(theirs)):
        return 1.0
    middle, their_middle = float(np.nanmedian(own)), float(np.nanmedian(theirs))
    if middle <= 0 or their_middle <= 0:
        return 1.0
    return min(_UNITS, key=lambda unit: abs(np.log(middle / (their_middle * unit))))


def _aligned(
    master: Table, leaked: Table, own: Floats, theirs: Floats, notes: list[str]
) -> npt.NDArray[np.int64]:
    """For each leaked row the master's row that it was, or -1. Looks at no candidate's word."""
    if master.times is not None and leaked.times is not None:
        rows = _by_time(_seconds(master), _seconds(leaked), own, theirs, notes)
        if np.mean(rows >= 0) > 0.5:
            return rows
    if len(own) * len(theirs) > _PAIR_LIMIT:
        notes.append("The leaked table has no times to find its rows by, and is too long without.")
        return np.full(len(theirs), -1)
    notes.append("The leaked rows were found by their values alone, in their order.")
    return _by_order(own, theirs)


def _seconds(table: Table) -> Floats:
    found = np.full(len(table.rows), np.nan)
    for number, row in enumerate(table.rows):
        try:
            moment = dt.datetime.fromisoformat(row[table.times or 0].strip())
            moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
            found[number] = moment.timestamp()
        except (ValueError, OverflowError):
            continue
    return found


def _by_time(
    own_times: Floats, their_times: Floats, own: Floats, theirs: Floats, notes: list[str]
) -> npt.NDArray[np.int64]:
    """Rows of the same time, once all times were moved by the same amount; nearest value first."""
    at: dict[int, list[int]] = defaultdict(list)
    for row, time in enumerate(own_times):
        if np.isfinite(time):
            at[round(time)].append(row)
    best, spread, offset = np.full(len(theirs), -1), np.inf, 0
    for tried in _offsets(own_times, their_times, own, theirs):
        rows = np.full(len(theirs), -1)
        for number, time in enumerate(their_times):
            near = at.get(round(time) + tried, []) if np.isfinite(time) else []
            if near:
                gaps = [abs(own[row] - theirs[number]) for row in near]
                rows[number] = near[int(np.nanargmin(gaps))] if np.any(np.isfinite(gaps)) else -1
        there = (rows >= 0) & np.isfinite(theirs)
        if there.sum() * 2 < len(theirs):
            continue
        gap = theirs[there] - own[rows[there]]
        if (found := float(np.median(np.abs(gap - np.median(gap))))) < spread:
            best, spread, offset = rows, found, tried
    if offset:
        notes.append(f"The leaked times are {-offset:+,} seconds away; they were moved back.")
    return best


def _offsets(own_times: Floats, their_times: Floats, own: Floats, theirs: Floats) -> list[int]:
    """Seconds to add to leaked times: none, and those that bring a sample onto rows of like value."""
    usable = np.flatnonzero(np.isfinite(their_times) & np.isfinite(theirs))
    known = np.flatnonzero(np.isfinite(own_times) & np.isfinite(own))
    if not len(usable) or not len(known):
        return [0]
    votes: Counter[int] = Counter()
    values = theirs - np.median(theirs[usable]) + np.median(own[known])
    for number in usable[np.linspace(0, len(usable) - 1, min(_ANCHORS, len(usable))).astype(int)]:
        close = np.abs(own[known] - values[number]) <= 0.05 * np.abs(own[known]) + 1e-9
        offsets = np.rint(own_times[known][close] - their_times[number]).astype(np.int64)
        votes.update(np.unique(offsets).tolist())
    return [0, *(offset for offset, _ in votes.most_common(3) if offset)]


def _by_order(own: Floats, theirs: Floats) -> npt.NDArray[np.int64]:
    """The cheapest way to read the leaked values off the master's in order, skipping rows."""
    base = np.where(np.isfinite(own), own, np.inf)
    cost = np.zeros(len(base) + 1)
    taken = np.zeros((len(theirs), len(base)), dtype=bool)
    for number, value in enumerate(theirs):
        gap = np.abs(base - value) if np.isfinite(value) else np.zeros(len(base))
        take = cost[:-1] + np.minimum(gap, 1e6)
        best = np.minimum.accumulate(take)
        taken[number] = take <= best
        cost = np.concatenate(([np.inf], best))
    rows = np.full(len(theirs), -1)
    at = len(base) - 1
    for number in range(len(theirs) - 1, -1, -1):
        while at > 0 and not taken[number, at]:
            at -= 1
        rows[number] = at
        at -= 1
        if at < 0 and number:
            return np.full(len(theirs), -1)
    return rows

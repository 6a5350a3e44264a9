"""Masking CSV tables (CGM series and others): row by row, only the columns that the profile names."""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medtoken.errors import MalformedFile
from medtoken.formats._io import HEAD_BYTES, label, lines, open_regular
from medtoken.masking._file import Masked
from medtoken.masking._keyed import AGED, EPOCH, OLDEST, Calendar, Keyed
from medtoken.masking._profile import Part, Profile, Rule

_LINE_LIMIT = 64 * 1024
_PEOPLE_LIMIT = 100_000
_NUMBER = re.compile(r"[+-]?[0-9]{1,12}(?:\.[0-9]{1,12})?(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)
_WORDS = {"", "na", "nan", "null", "none", "-", "lo", "low", "hi", "high"}
_HOWS = {"age", "code", "date", "number", "pseudonym"}


@dataclass(frozen=True)
class _Plan:
    """What happens to a table: for each column that leaves, its rule, its place and its heading."""

    delimiter: str
    width: int
    columns: tuple[tuple[Rule, int, str], ...]
    person: int | None


def plain(name: str) -> str:
    """A column's name without case and punctuation: how names are compared."""
    return re.sub(r"[\s_./()\[\]-]", "", name).lower()


def has_columns(path: Path, part: Part) -> bool:
    """Whether the file is a table that has a column which the profile names."""
    with open_regular(path) as stream:
        head = stream.read(HEAD_BYTES).split(b"\n", 1)[0]
    try:
        return bool(_plan(head.decode("utf-8-sig").rstrip("\r"), part).columns)
    except UnicodeDecodeError:
        return False


def write(
    path: Path, target: Path, part: Part, keyed: Keyed, result: Masked, profile: Profile
) -> None:
    """Write the masked table; its columns are headed by the first name of their rule."""
    masking = _Masking(path, part, keyed)
    with open(target, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([heading for _, _, heading in masking.plan.columns])
        for row in masking.rows():
            result.kept += sum(cell != "" for cell in row)
            writer.writerow(row)
    if not masking.seen:
        raise MalformedFile(f"{label(path)}: has a header but no rows")
    result.dropped = masking.cells - result.kept
    if masking.plan.person is None:
        result.notes.append("No column says whose row it is: all dates moved as one person's.")


def rows(path: Path, part: Part, keyed: Keyed) -> Iterator[dict[str, Any]]:
    """The masked rows by heading."""
    masking = _Masking(path, part, keyed)
    headings = [heading for _, _, heading in masking.plan.columns]
    for row in masking.rows():
        yield dict(zip(headings, row, strict=True))


def _plan(header: str, part: Part) -> _Plan:
    best = _Plan(",", 0, (), None)
    for delimiter in ",;\t":
        try:
            names: list[str] = next(csv.reader([header], delimiter=delimiter, strict=True), [])
        except csv.Error:
            continue
        places: dict[str, int] = {}
        for place, name in enumerate(names):
            places.setdefault(plain(name), place)
        columns = []
        for rule in part.rules:
            found_at = [places[plain(name)] for name in rule.of if plain(name) in places]
            columns += [(rule, place, rule.of[0]) for place in found_at[:1]]
        person = next((place for rule, place, _ in columns if rule.as_ == "pseudonym"), None)
        found = _Plan(delimiter, len(names), tuple(columns), person)
        if len(found.columns) > len(best.columns):
            best = found
    return best


class _Masking:
    """One pass over a table (two when dates become relative: the first finds where each begins)."""

    def __init__(self, path: Path, part: Part, keyed: Keyed) -> None:
        for rule in part.rules:
            if rule.as_ not in _HOWS:
                raise MalformedFile(
                    f"The profile has a rule {rule.as_!r}, which no column of a table has."
                )
        self._path, self._keyed, self._relative = path, keyed, part.dates == "relative"
        self._calendars: dict[str, Calendar] = {}
        self._person = ""
        self.seen = self.cells = 0
        self.plan = _plan(next(self._lines(), ""), part)
        if not self.plan.columns:
            raise MalformedFile(f"{label(path)}: has no column that the profile names")
        if self._relative:
            self._find_starts()

    def rows(self) -> Iterator[list[str]]:
        """The masked rows."""
        for row in self._raw():
            self.seen += 1
            self.cells += sum(cell.strip() != "" for cell in row)
            person = self._whose(row)
            yield [
                self._cell(rule, row[place].strip(), person) for rule, place, _ in self.plan.columns
            ]

    def _lines(self) -> Iterator[str]:
        with open_regular(self._path) as stream:
            for line in lines(stream, label(self._path), _LINE_LIMIT):
                if line.strip():
                    yield line

    def _raw(self) -> Iterator[list[str]]:
        text = self._lines()
        next(text, None)
        self._person = ""
        try:
            for number, row in enumerate(csv.reader(text, delimiter=self.plan.delimiter), 1):
                if len(row) != self.plan.width:
                    raise MalformedFile(
                        f"{label(self._path)}: row {number:,} has {len(row)} cells where the "
                        f"header has {self.plan.width}"
                    )
                yield row
        except csv.Error as error:
            raise MalformedFile(f"{label(self._path)}: is not valid CSV ({error})") from None

    def _whose(self, row: list[str]) -> str:
        if self.plan.person is not None and (person := row[self.plan.person].strip()):
            self._person = person  # a row without one is of the person of the row before
        return self._person

    def _find_starts(self) -> None:
        first: dict[str, dt.datetime] = {}
        places = [place for rule, place, _ in self.plan.columns if rule.as_ == "date"]
        for row in self._raw():
            person = self._whose(row)
            for moment in (_moment(row[place].strip()) for place in places):
                if moment is not None and (person not in first or moment[0] < first[person]):
                    first[person] = moment[0]
            if len(first) > _PEOPLE_LIMIT:
                raise MalformedFile(
                    f"{label(self._path)}: names more than {_PEOPLE_LIMIT:,} people"
                )
        self._calendars = {person: Calendar(EPOCH - start) for person, start in first.items()}

    def _cell(self, rule: Rule, cell: str, person: str) -> str:
        match rule.as_:
            case "pseudonym":
                return self._keyed.pseudonym(cell) if cell else ""
            case "date":
                return self._date(cell, person)
            case "code":
                return cell if cell in rule.values else ""
            case _:
                return _number(cell, aging=rule.as_ == "age")

    def _date(self, cell: str, person: str) -> str:
        found = _moment(cell)
        if found is None:
            return ""
        moment, day_only, aware = found
        if person not in self._calendars:
            self._calendars[person] = Calendar(self._keyed.shift(person))
        moved = self._calendars[person].moved(moment)
        if moved is None:
            return ""
        if day_only:
            return moved.date().isoformat()
        return moved.strftime("%Y-%m-%d %H:%M:%S").rjust(19, "0") + ("+00:00" if aware else "")


def _number(cell: str, *, aging: bool) -> str:
    if cell.lower() in _WORDS:
        return cell
    if not _NUMBER.fullmatch(cell):
        return ""
    return str(AGED) if aging and float(cell) > OLDEST else cell


def _moment(cell: str) -> tuple[dt.datetime, bool, bool] | None:
    """An ISO 8601 time in UTC to the second, whether it is only a day, whether it has an offset."""
    try:
        moment = dt.datetime.fromisoformat(cell)
        aware = moment.tzinfo is not None
        moment = moment.astimezone(dt.UTC) if aware else moment.replace(tzinfo=dt.UTC)
    except (ValueError, OverflowError):
        return None
    return moment.replace(microsecond=0), len(cell) <= 10, aware

"""Continuous glucose series as CSV with columns like iglu's ``id,time,gl``, streamed row by row.

Times are ISO 8601; glucose is mg/dL unless the column's name says mmol. Rows of one person must be
in time order; a row that is not counts as a defect, since sorting would need the whole file.
"""

from __future__ import annotations

import csv
import datetime as dt
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from medtoken.errors import MalformedFile
from medtoken.formats._io import label, lines, open_regular, size_of
from medtoken.formats._types import Format, MedicalFile, RecordKind, count

GAP = 45 * 60
"""Seconds: readings further apart leave the time between them uncovered (iglu's ``inter_gap``)."""
COARSE = 15 * 60
"""Seconds: the longest interval at which today's sensors report."""
FINE = 5 * 60 + 30
"""Seconds: the usual five-minute interval, with half a minute of jitter."""
YEAR = 31_557_600
"""Seconds of a Julian year (365.25 days)."""

_LINE_LIMIT = 64 * 1024
_SUBJECT_LIMIT = 100_000
_PLAUSIBLE = range(20_000, 600_001)  # thousandths of mg/dL
_YEARS = range(1900, 2200)
_JUMP = 25_000  # thousandths of mg/dL per minute between readings at most COARSE apart

_TIMES = {"time", "timestamp", "datetime", "glucosetime", "devicetimestamp"}
_GLUCOSES = {"gl", "glucose", "glucosevalue", "sensorglucose", "sgv", "bg"}
_SUBJECTS = {"id", "subject", "subjectid", "patient", "patientid", "usubjid"}
_DEVICES = {"device", "deviceid", "serialnumber", "source", "sourcedeviceid", "transmitterid"}
_NOTES = {"diagnosis", "meal", "event", "eventtype", "insulin", "carbs", "exercise", "note"}
_UNITS = {"mgdl": "mg/dL", "mmoll": "mmol/L", "mmol": "mmol/L"}
_LOINC = {"mg/dL": "LOINC:99504-3", "mmol/L": "LOINC:105272-9"}

_MISSING = {"", "na", "nan", "null", "none", "-"}
_LIMIT_WORDS = {"lo": 39_000, "low": 39_000, "hi": 401_000, "high": 401_000}
_NUMBER = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,12})?", re.ASCII)


@dataclass(frozen=True)
class Columns:
    """Where the columns are (indices into a row) and what the header says about them."""

    delimiter: str = ","
    width: int = 0
    subject: int | None = None
    time: int | None = None
    glucose: int | None = None
    unit: str | None = None
    device: bool = False
    notes: bool = False


@dataclass(frozen=True)
class CgmFacts:
    """What was measured on a series. Times are seconds; sums go over all subjects."""

    rows: int
    readings: int
    """Rows with a time and a glucose value."""
    missing: int
    """Rows whose glucose cell is empty or NA."""
    unreadable: int
    """Rows whose time or glucose is not one."""
    implausible: int
    """Readings outside 20 to 600 mg/dL, or further from the one before than glucose can move."""
    disordered: int
    """Rows at or before the time of the row before (same subject)."""
    unnamed: int
    """Rows without a subject id."""
    span: int
    """From each subject's first time to the last, rows out of order included."""
    covered: int
    """Time between readings at most GAP apart, of the best covered subject."""
    coarse: int
    """Sum of min(distance to the next reading, COARSE)."""
    fine: int
    """Sum of min(distance to the next reading, FINE)."""
    slots: int
    """Slots of COARSE length, from midnight on, that each subject's times span."""
    slots_seen: int
    """Those with at least one plausible reading in order of time."""
    unit: str | None
    """The glucose unit, when the header states it."""
    utc_offset: bool
    """Whether the times state their offset from UTC."""
    device_column: bool
    notes_column: bool


class _Subject:
    """Running totals of one person's rows; constant memory."""

    __slots__ = (
        "coarse", "covered", "fine", "first", "last", "now", "reading", "seen", "slot", "value",
    )  # fmt: skip

    def __init__(self, time: int) -> None:
        self.first = self.last = self.now = time
        self.reading: int | None = None
        self.value = self.covered = self.coarse = self.fine = self.seen = 0
        self.slot = -1

    def add(self, time: int, value: int) -> bool:
        """Take one reading in; False when it lies further from the last than glucose can move."""
        steady = True
        if self.reading is not None:
            gap = time - self.reading
            self.covered += gap if gap <= GAP else 0
            self.coarse += min(gap, COARSE)
            self.fine += min(gap, FINE)
            steady = gap > COARSE or abs(value - self.value) * 60 <= _JUMP * max(gap, 60)
        slot = time // COARSE
        self.seen += slot != self.slot
        self.slot, self.reading, self.value = slot, time, value
        return steady


def find_columns(header: str) -> Columns:
    """The columns of a CSV header line (comma, semicolon or tab); indices are None when absent."""
    best = Columns()
    for delimiter in ",;\t":
        try:
            row: list[str] = next(csv.reader([header], delimiter=delimiter, strict=True), [])
        except csv.Error:
            continue
        names = [re.sub(r"[\s_./()\[\]-]", "", cell).lower() for cell in row]
        unit = None
        for index, name in enumerate(names):
            for suffix, known in _UNITS.items():
                if name.endswith(suffix) and name.removesuffix(suffix) in _GLUCOSES:
                    names[index], unit = name.removesuffix(suffix), known
        found = Columns(
            delimiter,
            len(names),
            _first(names, _SUBJECTS),
            _first(names, _TIMES),
            _first(names, _GLUCOSES),
            unit,
            _first(names, _DEVICES) is not None,
            _first(names, _NOTES) is not None,
        )
        if found.time is not None and found.glucose is not None:
            return found
        if best.time is None and best.glucose is None:
            best = found
    return best


def _first(names: list[str], wanted: set[str]) -> int | None:
    return next((index for index, name in enumerate(names) if name in wanted), None)


def read(path: Path) -> MedicalFile:
    """Stream a CGM CSV: one pass, memory bounded by the number of people (at most 100,000)."""
    name = label(path)
    with open_regular(path) as stream:
        size = size_of(stream)
        text = lines(stream, name, _LINE_LIMIT)
        columns = find_columns(next((line for line in text if line.strip()), ""))
        series = _Series(name, columns)
        try:
            for row in csv.reader(text, delimiter=columns.delimiter, strict=True):
                if row:
                    series.take(row)
        except csv.Error as error:
            raise MalformedFile(f"{name}: is not valid CSV ({error})") from None
    facts = series.facts()
    people = series.people.values()
    first = min(subject.first for subject in people)
    last = max(subject.last for subject in people)
    days = facts.covered // 86_400
    return MedicalFile(
        format=Format.CGM,
        kind=RecordKind.SERIES,
        size=size,
        units=Fraction(facts.covered, 3 * YEAR),
        entries=facts.rows,
        subjects=len(people),
        codes=(_LOINC[facts.unit or "mg/dL"],),
        start=_day(first),
        end=_day(last),
        summary=(
            f"Glucose series of {count(facts.readings, 'reading')} of "
            f"{count(len(people), 'person', 'people')}, {count(days, 'day')} covered"
        ),
        facts=facts,
    )


class _Series:
    """Running totals of a whole file, row by row."""

    def __init__(self, name: str, columns: Columns) -> None:
        self.name, self.columns = name, columns
        self.people: dict[str, _Subject] = {}
        self.person = ""
        self.utc_offset: bool | None = None
        self.scale = 18_016 if columns.unit == "mmol/L" else 1_000
        self.rows = self.readings = self.missing = self.unreadable = 0
        self.implausible = self.disordered = self.unnamed = 0

    def take(self, row: list[str]) -> None:
        """Count one row; refuses one with another number of cells than the header."""
        self.rows += 1
        if len(row) != self.columns.width:
            raise MalformedFile(
                f"{self.name}: row {self.rows:,} has {count(len(row), 'cell')} "
                f"where the header has {self.columns.width}"
            )
        if self.columns.subject is None or not (person := row[self.columns.subject].strip()):
            self.unnamed += 1  # counts for the person of the row before
        else:
            self.person = person
        time = _seconds(row[self.columns.time or 0])
        if time is None:
            self.unreadable += 1
        elif (subject := self._subject(time)) is None:
            self.disordered += 1
        else:
            self._reading(subject, time[0], row[self.columns.glucose or 0].strip().lower())

    def _subject(self, time: tuple[int, bool]) -> _Subject | None:
        """The row's person, moved on to its time; None when that does not lie later."""
        seconds, utc_offset = time
        if self.utc_offset is None:
            self.utc_offset = utc_offset
        elif self.utc_offset != utc_offset:
            raise MalformedFile(
                f"{self.name}: row {self.rows:,} mixes times with and without a UTC offset"
            )
        subject = self.people.get(self.person)
        if subject is None:
            if len(self.people) == _SUBJECT_LIMIT:
                raise MalformedFile(f"{self.name}: names more than {_SUBJECT_LIMIT:,} people")
            subject = self.people[self.person] = _Subject(seconds)
        else:
            subject.first = min(subject.first, seconds)
            subject.last = max(subject.last, seconds)
            if seconds <= subject.now:
                return None
        subject.now = seconds
        return subject

    def _reading(self, subject: _Subject, time: int, cell: str) -> None:
        if cell in _MISSING:
            self.missing += 1
            return
        value = _LIMIT_WORDS.get(cell) or _thousandths(cell, self.scale)
        if value is None:
            self.unreadable += 1
            return
        self.readings += 1
        if value not in _PLAUSIBLE or not subject.add(time, value):
            self.implausible += 1

    def facts(self) -> CgmFacts:
        """The totals, once every row was taken; refuses a file that is mostly unusable."""
        if not self.rows:
            raise MalformedFile(f"{self.name}: has a header but no rows")
        if self.readings * 2 < self.rows:
            raise MalformedFile(
                f"{self.name}: only {self.readings:,} of {count(self.rows, 'row')} "
                "have a readable time and glucose value in time order"
            )
        people = self.people.values()
        return CgmFacts(
            rows=self.rows,
            readings=self.readings,
            missing=self.missing,
            unreadable=self.unreadable,
            implausible=self.implausible,
            disordered=self.disordered,
            unnamed=self.unnamed,
            span=sum(person.last - person.first for person in people),
            covered=max(person.covered for person in people),
            coarse=sum(person.coarse for person in people),
            fine=sum(person.fine for person in people),
            slots=sum(person.last // COARSE - person.first // COARSE + 1 for person in people),
            slots_seen=sum(person.seen for person in people),
            unit=self.columns.unit,
            utc_offset=bool(self.utc_offset),
            device_column=self.columns.device,
            notes_column=self.columns.notes,
        )


def _seconds(cell: str) -> tuple[int, bool] | None:
    """An ISO 8601 time as (seconds since year 1, whether it has an offset), in UTC if it has."""
    try:
        time = dt.datetime.fromisoformat(cell.strip())
        aware = time.tzinfo is not None
        if aware:
            time = time.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None
    if time.year not in _YEARS:
        return None
    return (time.toordinal() * 24 + time.hour) * 3600 + time.minute * 60 + time.second, aware


def _day(seconds: int) -> dt.date:
    return dt.date.fromordinal(seconds // 86_400)


def _thousandths(cell: str, scale: int) -> int | None:
    """A plain decimal number times ``scale`` (thousandths of mg/dL per unit), rounded down."""
    if not _NUMBER.fullmatch(cell):
        return None
    whole, _, fraction = cell.partition(".")
    return int(whole + fraction.ljust(12, "0")) * scale // 10**12

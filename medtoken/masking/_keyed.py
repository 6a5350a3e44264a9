"""What replaces identifiers: values keyed by the custodian's secret, the same within one scope."""

from __future__ import annotations

import datetime as dt
import hmac
import re
import uuid

from medtoken.errors import BadInput

EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
"""Where relative times begin."""
OLDEST = 89
"""Years of age above which nobody's age is told (45 CFR 164.514(b)(2)(i)(C))."""
AGED = 90
"""What an age above that becomes."""
_LEAST, _SPREAD = 366, 1461
_FHIR_TIME = re.compile(
    r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})(T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:Z|[+-][0-9]{2}:[0-9]{2})?)?)?)?"
)


class Keyed:
    """Pseudonyms, identifiers and date shifts of one scope.

    Two files masked under one ``scope`` (a study of many images, a patient's files for one project)
    keep their common references; under two scopes nothing links them.
    """

    def __init__(self, secret: bytes, scope: str) -> None:
        """``secret`` is the custodian's, of 32 bytes or more."""
        if len(secret) < 32:
            raise BadInput("A masking secret must have at least 32 bytes.")
        self._key = hmac.digest(secret, b"medtoken masking 1\0" + scope.encode(), "sha256")

    def _digest(self, kind: str, text: str) -> bytes:
        return hmac.digest(self._key, f"{kind}\0{text}".encode(errors="surrogatepass"), "sha256")

    def pseudonym(self, text: str) -> str:
        """Sixteen hexadecimal digits in place of a person's identifier."""
        return self._digest("person", text)[:8].hex()

    def uuid(self, text: str) -> str:
        """A UUID in place of a resource's identity."""
        return str(uuid.UUID(bytes=self._digest("resource", text)[:16], version=4))

    def uid(self, text: str) -> str:
        """A DICOM UID in place of another (PS3.5 B.2: 2.25 and a UUID as a number)."""
        return f"2.25.{uuid.UUID(bytes=self._digest('uid', text)[:16], version=4).int}"

    def shift(self, person: str) -> dt.timedelta:
        """Whole days, one to five years back: the same for all dates of a person."""
        number = int.from_bytes(self._digest("dates", person)[:8])
        return dt.timedelta(days=-(_LEAST + number % _SPREAD))


class Calendar:
    """The dates of one person: shifted, or relative to the first."""

    def __init__(self, shift: dt.timedelta, oldest: dt.date | None = None) -> None:
        """Dates before ``oldest`` are not told: they would give away an age above 89."""
        self._shift, self._oldest = shift, oldest

    def moved(self, moment: dt.datetime) -> dt.datetime | None:
        """A moment; None when it may not be told or leaves the calendar."""
        if self._oldest is not None and moment.date() < self._oldest:
            return None
        try:
            return moment + self._shift
        except OverflowError:
            return None

    def day(self, day: dt.date) -> dt.date | None:
        """A day."""
        moved = self.moved(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC))
        return moved.date() if moved else None

    def year(self, value: str) -> str | None:
        """The year of a FHIR date, however long ago."""
        parsed = moment_of(value)
        moved = Calendar(self._shift).moved(parsed[0]) if parsed else None
        return f"{moved.year:04}" if moved else None

    def text(self, value: str) -> str | None:
        """A FHIR date, dateTime or instant, as precise as it was down to the second, in UTC."""
        parsed = moment_of(value)
        if parsed is None:
            return None
        moment, precision = parsed
        moved = self.moved(moment)
        if moved is None:
            return None
        if precision == 4:
            return moved.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")
        return moved.date().isoformat()[: (4, 7, 10)[precision - 1]]


def moment_of(value: object) -> tuple[dt.datetime, int] | None:
    """A FHIR date or dateTime: its (first) moment in UTC and precision (1 year … 4 second)."""
    match = _FHIR_TIME.fullmatch(value) if isinstance(value, str) else None
    if not match:
        return None
    year, month, day, time = match.groups()
    try:
        if time is None:
            start = dt.datetime(int(year), int(month or 1), int(day or 1), tzinfo=dt.UTC)
            return start, 1 + (month is not None) + (day is not None)
        # Python reads six decimals at most; no fraction of a second leaves.
        moment = dt.datetime.fromisoformat(re.sub(r"\.[0-9]+", "", match[0]))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
        return moment.astimezone(dt.UTC), 4
    except (ValueError, OverflowError):
        return None


def years_before(day: dt.date, years: int) -> dt.date:
    """The same day of an earlier year (the first of March for a leap day)."""
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        return day.replace(year=max(1, day.year - years), month=3, day=1)

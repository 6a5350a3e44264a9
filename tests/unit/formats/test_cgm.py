"""Glucose series: exact time covered, every defect counted, nothing kept in memory."""

from __future__ import annotations

import datetime as dt
import tracemalloc
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medtoken.errors import MalformedFile, UnsupportedFile
from medtoken.formats import CgmFacts, MedicalFile, read

START = dt.datetime(2020, 1, 1)  # noqa: DTZ001
YEAR = 31_557_600


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x"


def facts(file: MedicalFile) -> CgmFacts:
    assert isinstance(file.facts, CgmFacts)
    return file.facts


def table(path: Path, rows: list[str], header: str = "id,time,gl") -> MedicalFile:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return read(path)


def at(minutes: int) -> str:
    return (START + dt.timedelta(minutes=minutes)).isoformat(" ")


def test_a_series_is_measured_exactly(path: Path) -> None:
    file = table(
        path,
        [
            f"a,{at(0)},100",
            f"a,{at(5)},101.5",
            f"a,{at(10)},",  # missing
            f"a,{at(15)},102",
            f"a,{at(15)},102",  # repeated
            f"a,{at(61)},LO",  # 46 minutes later: not covered
            f"a,{at(66)},700",  # implausible
            f"a,{at(70)},nonsense",
            "a,yesterday,99",
            f",{at(100)},60",  # no id: still a; 39 minutes after the last reading
            f"b,{at(0)},400",
            f"b,{at(5)},100",  # falls faster than 25 mg/dL a minute
        ],
    )
    assert facts(file) == CgmFacts(
        rows=12,
        readings=8,
        missing=1,
        unreadable=2,
        implausible=2,
        disordered=1,
        unnamed=1,
        span=(100 + 5) * 60,
        covered=(5 + 10 + 39) * 60,
        coarse=(5 + 10 + 15 + 15 + 5) * 60,
        fine=300 + 330 + 330 + 330 + 300,
        slots=7 + 1,
        slots_seen=4 + 1,
        unit=None,
        utc_offset=False,
        device_column=False,
        notes_column=False,
    )
    assert file.units == Fraction(54 * 60, 3 * YEAR)
    assert file.milliunits == 1, "a short series is still worth something"
    assert (file.subjects, file.entries) == (2, 12)
    assert file.codes == ("LOINC:99504-3",)
    assert (file.start, file.end) == (dt.date(2020, 1, 1), dt.date(2020, 1, 1))


def test_three_years_covered_are_one_unit(path: Path) -> None:
    step = 45
    rows = [f"a,{at(step * index)},100" for index in range(3 * YEAR // 60 // step + 1)]
    file = table(path, rows)
    assert file.units == 1 - Fraction(3 * YEAR % (step * 60), 3 * YEAR)
    assert file.milliunits in (999, 1000)


def test_the_units_of_several_people_are_those_of_one(path: Path) -> None:
    one = [f"a,{at(5 * index)},100" for index in range(300)]
    many = [row.replace("a", person) for person in "abc" for row in one]
    assert table(path, many).units == table(path, one).units


def test_the_real_series_is_the_one_that_iglu_publishes(real: dict[str, Path]) -> None:
    file = read(real["glucose.csv"])
    assert (file.entries, file.subjects, file.milliunits) == (2915, 1, 10)
    assert (file.start, file.end) == (dt.date(2015, 6, 6), dt.date(2015, 6, 19))
    found = facts(file)
    assert (found.missing, found.unreadable, found.implausible, found.disordered) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("header", "row", "unit", "code"),
    [
        ("Patient ID;Time;Glucose (mmol/L)", "1;{};5.55", "mmol/L", "LOINC:105272-9"),
        ("timestamp\tglucose_mg_dl", "{}\t100", "mg/dL", "LOINC:99504-3"),
        ('"","id","time","gl"', '"1","a b",{},100', None, "LOINC:99504-3"),
    ],
)
def test_delimiters_units_and_names_of_columns(
    header: str, row: str, unit: str | None, code: str, path: Path
) -> None:
    file = table(path, [row.format(at(5 * index)) for index in range(4)], header)
    assert facts(file).unit == unit
    assert file.codes == (code,)
    assert (facts(file).readings, facts(file).implausible) == (4, 0)


def test_millimoles_are_judged_as_such(path: Path) -> None:
    rows = [f"{at(index)},100" for index in range(3)]
    assert facts(table(path, rows, "time,gl")).implausible == 0
    assert facts(table(path, rows, "time,glucose_mmol_l")).implausible == 3


def test_offsets_from_utc_are_honoured(path: Path) -> None:
    file = table(path, ["a,2020-01-01T00:00:00+02:00,90", "a,2019-12-31T22:05:00Z,90"])
    assert facts(file).utc_offset
    assert facts(file).covered == 300


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"id,time,gl\n", "x: has a header but no rows"),
        (
            b"id,time,gl\n1,2020-01-01,90\n1,2020-01\n",
            "x: row 2 has 2 cells where the header has 3",
        ),
        (
            b"id,time,gl\n1,2020-01-01 00:00,90\n1,2020-01-01 00:05Z,90\n",
            "x: row 2 mixes times with and without a UTC offset",
        ),
        (
            b"id,time,gl\n1,2020-01-01 00:00,90\n1,x,90\n1,y,90\n",
            "x: only 1 of 3 rows have a readable time and glucose value in time order",
        ),
        (b'id,time,gl\n1,2020-01-01,"90\n', "x: is not valid CSV (unexpected end of data)"),
        (b"id,time,gl\n1,2020-01-01,\xff\n", "x: line 2 is not UTF-8 text"),
        (b"id,time,gl\n" + b"1" * 70_000, "x: line 2 is longer than 65,536 bytes"),
    ],
)
def test_a_bad_series_is_refused_in_one_sentence(content: bytes, sentence: str, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(MalformedFile) as refusal:
        read(path)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize("cell", ["inf", "-5", "1e3", "0x10", "٣٠", "1_0", "12345", "1.", "+9"])
def test_what_is_no_plain_number_is_unreadable(cell: str, path: Path) -> None:
    file = table(path, [f"a,{at(0)},90", f"a,{at(5)},{cell}", f"a,{at(10)},90"])
    assert (facts(file).unreadable, facts(file).readings) == (1, 2)


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "1", ""]
)
def test_impossible_times_are_unreadable(time: str, path: Path) -> None:
    file = table(path, ["a,2020-01-01T00:00Z,90", f"a,{time},90"])
    assert facts(file).unreadable == 1


def test_memory_does_not_grow_with_the_rows(path: Path) -> None:
    with path.open("w", encoding="utf-8") as stream:
        stream.write("id,time,gl\n")
        stream.writelines(f"a,{at(5 * index)},100\n" for index in range(100_000))
    read(path)
    tracemalloc.start()
    try:
        assert read(path).entries == 100_000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=200))
def test_any_bytes_after_the_header_are_read_or_refused(path: Path, rest: bytes) -> None:
    path.write_bytes(b"id,time,gl\na,2020-01-01,90\n" + rest)
    try:
        assert read(path).entries >= 1
    except UnsupportedFile as refusal:
        assert str(refusal).startswith("x: ")


def test_rows_out_of_order_still_belong_to_the_span(path: Path) -> None:
    late = [f"a,{at(minutes)},100" for minutes in (60, 65, 70)]
    found = facts(table(path, [*late, f"a,{at(0)},100"]))
    assert (found.span, found.slots, found.slots_seen, found.disordered) == (70 * 60, 5, 1, 1)

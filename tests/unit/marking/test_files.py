"""Marked copies of real files: little changes, and parts of them name whose they were."""

from __future__ import annotations

import csv
import datetime as dt
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medtoken import formats
from medtoken.cli import cli
from medtoken.errors import BadInput, MedtokenError, UnsupportedFile
from medtoken.home import Home
from medtoken.marking import Trace, mark_file, trace_file
from medtoken.parties.copies import Copies

from .conftest import SECRET

PEOPLE = [f"licensee {number}" for number in range(50)]
LEAKER = PEOPLE[42]
Rows = list[list[str]]


def rows_of(path: Path) -> Rows:
    return list(csv.reader(path.read_text().splitlines()))


def written(path: Path, rows: Rows) -> Path:
    path.write_text("".join(",".join(row) + "\n" for row in rows))
    return path


def names(found: Trace) -> list[str]:
    return [one.candidate for one in found.named]


def copy_for(master: Path, folder: Path, licensee: str = LEAKER) -> Path:
    copy = folder / f"{licensee}{master.suffix}"
    mark_file(master, copy, SECRET, licensee)
    return copy


def tenth(rows: Rows, rng: random.Random) -> Rows:
    return [rows[0], *rng.sample(rows[1:], len(rows) // 10)]


def moved(rows: Rows) -> Rows:
    by = dt.timedelta(days=-400, seconds=77)
    return [rows[0]] + [[a, str(dt.datetime.fromisoformat(t) + by), g] for a, t, g in rows[1:]]


def changed(rows: Rows, change: Callable[[float], float]) -> Rows:
    return [rows[0], *([a, t, f"{change(float(g)):.0f}"] for a, t, g in rows[1:])]


ATTACKS: dict[str, Callable[[Rows, random.Random], Rows]] = {
    "nothing": lambda rows, rng: rows,
    "a tenth, reordered": tenth,
    "a tenth, reordered, times moved": lambda rows, rng: moved(tenth(rows, rng)),
    "a tenth, rounded to 5": lambda rows, rng: changed(
        tenth(rows, rng), lambda x: 5 * round(x / 5)
    ),
    "rounded to 10": lambda rows, rng: changed(rows, lambda x: 10 * round(x / 10)),
    "noise": lambda rows, rng: changed(rows, lambda x: x + rng.gauss(0, 2)),
    "everything higher": lambda rows, rng: changed(rows, lambda x: x + 7),
    "another unit": lambda rows, rng: (
        [["id", "time", "glucose_mmol_l"]]
        + [[a, t, f"{float(g) / 18.016:.1f}"] for a, t, g in rows[1:]]
    ),
    "values alone": lambda rows, rng: [[g] for _, _, g in rows[500:1200]],
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_leaked_series_names_its_leaker_alone(series: Path, tmp_path: Path, attack: str) -> None:
    rows = ATTACKS[attack](rows_of(copy_for(series, tmp_path)), random.Random(7))
    leaked = written(tmp_path / "leaked.csv", rows)
    assert names(trace_file(leaked, series, SECRET, PEOPLE)) == [LEAKER]
    innocent = [name for name in PEOPLE if name != LEAKER]
    assert not trace_file(leaked, series, SECRET, innocent).named


def test_three_who_mix_their_copies_are_found(series: Path, tmp_path: Path) -> None:
    guilty = PEOPLE[:3]
    copies = [rows_of(copy_for(series, tmp_path, name)) for name in guilty]
    rng = random.Random(1)
    rows = [copies[0][0], *(rng.choice(several) for several in zip(*(c[1:] for c in copies)))]  # noqa: B905
    found = trace_file(written(tmp_path / "leaked.csv", rows), series, SECRET, PEOPLE)
    assert names(found)
    assert set(names(found)) <= set(guilty)


def test_the_master_itself_names_nobody(series: Path, image: Path) -> None:
    for master in (series, image):
        found = trace_file(master, master, SECRET, PEOPLE)
        assert not found.named
        assert found.places > 2000


def test_another_series_names_nobody(series: Path, tmp_path: Path) -> None:
    rng = random.Random(3)
    rows = [[a, t, str(rng.randrange(60, 250))] for a, t, _ in rows_of(series)[1:]]
    leaked = written(tmp_path / "leaked.csv", [["id", "time", "gl"], *rows])
    assert not trace_file(leaked, series, SECRET, PEOPLE).named


def test_a_marked_series_means_the_same_to_a_clinician(series: Path, tmp_path: Path) -> None:
    before = np.array([float(row[2]) for row in rows_of(series)[1:]])
    for name in PEOPLE[:4]:
        copy = copy_for(series, tmp_path, name)
        after = np.array([float(row[2]) for row in rows_of(copy)[1:]])
        assert np.abs(after - before).max() == 1
        assert abs(after.mean() - before.mean()) < 0.1
        for limit in (54, 70, 140, 180, 250):
            assert np.array_equal(after < limit, before < limit)
            assert np.array_equal(after <= limit, before <= limit)
        assert [row[:2] for row in rows_of(copy)] == [row[:2] for row in rows_of(series)]
        assert formats.read(copy).entries == len(before)


def pixels_of(path: Path) -> np.ndarray:
    return pydicom.dcmread(path).pixel_array.astype(float)


def leaked_image(source: Path, destination: Path, pixels: np.ndarray) -> Path:
    found = pydicom.dcmread(source)
    found.Rows, found.Columns = pixels.shape
    found.PixelData = np.rint(pixels).astype("<i2").tobytes()
    found.save_as(destination)
    return destination


PICTURES: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "nothing": lambda pixels, rng: pixels,
    "a tenth of it": lambda pixels, rng: pixels[37:78, 50:91],
    "256 greys, turned": lambda pixels, rng: np.rot90(np.clip(pixels / 8, 0, 255)),
    "a quarter, mirrored": lambda pixels, rng: pixels[11:75, 5:69][:, ::-1],
    "noise": lambda pixels, rng: pixels + rng.normal(0, 15, pixels.shape),
    "inverted": lambda pixels, rng: 2000 - pixels,
}


@pytest.mark.parametrize("attack", PICTURES)
def test_a_leaked_image_names_its_leaker_alone(image: Path, tmp_path: Path, attack: str) -> None:
    copy = copy_for(image, tmp_path)
    pixels = PICTURES[attack](pixels_of(copy), np.random.default_rng(5))
    leaked = leaked_image(image, tmp_path / "leaked.dcm", pixels)
    assert names(trace_file(leaked, image, SECRET, PEOPLE)) == [LEAKER]
    innocent = [name for name in PEOPLE if name != LEAKER]
    assert not trace_file(leaked, image, SECRET, innocent).named


def test_a_marked_image_differs_little_and_in_its_pixels_only(image: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.dcm"
    marked = mark_file(image, copy, SECRET, LEAKER)
    change = pixels_of(copy) - pixels_of(image)
    assert marked.rms == pytest.approx(float(np.sqrt((change**2).mean())))
    assert marked.largest == np.abs(change).max()
    assert marked.rms < 0.0025 * np.ptp(pixels_of(image))
    one, two = pydicom.dcmread(image), pydicom.dcmread(copy)
    del one.PixelData, two.PixelData
    assert one == two
    assert formats.read(copy).entries == 1


def test_another_image_names_nobody(image: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(500, 200, (128, 128))
    found = trace_file(leaked_image(image, tmp_path / "leaked.dcm", noise), image, SECRET, PEOPLE)
    assert not found.named
    assert found.notes == ["The leaked image could not be placed on the master."]


def test_the_same_licensee_gets_the_same_bytes(series: Path, image: Path, tmp_path: Path) -> None:
    for master in (series, image):
        one, two = tmp_path / "one", tmp_path / "two"
        mark_file(master, one, SECRET, LEAKER)
        mark_file(master, two, SECRET, LEAKER)
        assert one.read_bytes() == two.read_bytes()
        mark_file(master, two, SECRET, PEOPLE[0])
        assert one.read_bytes() != two.read_bytes()


def test_any_table_is_marked_in_the_columns_named(tmp_path: Path) -> None:
    rng = random.Random(2)
    rows = [[str(n), f"{rng.gauss(6, 1):.2f}", f"{rng.gauss(25, 4):.1f}"] for n in range(900)]
    master = written(tmp_path / "m.csv", [["visit", "hba1c", "bmi"], *rows])
    columns = ["HbA1c", "bmi"]
    marked = mark_file(master, tmp_path / "c.csv", SECRET, LEAKER, columns=columns)
    assert marked.places == 1800
    after = rows_of(tmp_path / "c.csv")[1:]
    assert {round(abs(float(a[1]) - float(b[1])), 6) for a, b in zip(after, rows, strict=True)} == {
        0.01
    }
    assert {round(abs(float(a[2]) - float(b[2])), 6) for a, b in zip(after, rows, strict=True)} == {
        0.1
    }
    found = trace_file(tmp_path / "c.csv", master, SECRET, PEOPLE, columns=columns)
    assert names(found) == [LEAKER]
    with pytest.raises(UnsupportedFile, match="name the columns"):
        mark_file(master, tmp_path / "c.csv", SECRET, LEAKER)
    with pytest.raises(UnsupportedFile, match="every column"):
        mark_file(master, tmp_path / "c.csv", SECRET, LEAKER, columns=["weight"])


def test_a_custodian_traces_among_those_it_gave_copies_to(series: Path, tmp_path: Path) -> None:
    copies = Copies(Home(tmp_path / "home"))
    for name in PEOPLE[:5]:
        copies.mark(series, tmp_path / f"{name}.csv", name)
    copies.mark(series, tmp_path / "again.csv", PEOPLE[0])
    assert copies.given(series) == sorted(PEOPLE[:5])
    found = copies.trace(tmp_path / f"{PEOPLE[3]}.csv", series)
    assert names(found) == [PEOPLE[3]]
    with pytest.raises(BadInput, match="other columns"):
        copies.mark(series, tmp_path / "x.csv", "x", columns=["gl", "time"])
    with pytest.raises(MedtokenError, match="No copy"):
        copies.trace(series, tmp_path / "again.csv")


def run(*words: Any) -> Any:
    return CliRunner().invoke(cli, ["record", *map(str, words)])


def test_the_command_line_marks_and_traces(series: Path, tmp_path: Path) -> None:
    home = ("--home", tmp_path / "home", "--json")
    for name in ("0xaa", "0xbb"):
        done = run("mark", series, "--for", name, "--out", tmp_path / name, *home)
        assert json.loads(done.output)["places"] > 2000
    done = run("trace", tmp_path / "0xbb", "--master", series, *home)
    found = json.loads(done.output)
    assert found["sure"] is True
    assert [one["licensee"] for one in found["named"]] == ["0xbb"]
    assert found["named"][0]["log10_false_accusation"] < -100
    done = run("trace", series, "--master", series, *home[:2])
    assert done.output.startswith("Not sure whose copy this is: of 2 candidates")


@pytest.mark.parametrize(
    "words",
    [
        ("mark", "absent", "--for", "a", "--out", "b"),
        ("trace", "absent", "--master", "absent"),
        ("mask", "absent", "--out", "b"),
        ("mask", "absent", "--out", "b", "--profile", "none"),
        ("query", "absent", "--where", "x"),
    ],
)
def test_a_bad_call_is_refused_in_a_sentence(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run(*words, "--home", tmp_path)
    assert isinstance(done.exception, BadInput)
    assert done.exception.exit_code == 2
    assert len(str(done.exception).splitlines()) == 1


def test_what_cannot_be_marked_is_refused(tmp_path: Path) -> None:
    bundle = tmp_path / "b.json"
    bundle.write_text('{"resourceType": "Bundle"}')
    with pytest.raises(UnsupportedFile, match="only tables and images"):
        mark_file(bundle, tmp_path / "out", SECRET, LEAKER)
    with pytest.raises(BadInput, match="name the licensee"):
        mark_file(bundle, tmp_path / "out", SECRET, "")
    assert not (tmp_path / "out").exists()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_leak_is_traced_or_refused_in_a_sentence(
    data: st.DataObject, series: Path, image: Path, tmp_path: Path
) -> None:
    master = data.draw(st.sampled_from([series, image]))
    raw = bytearray(master.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, min(len(raw), 2000) - 1))] = data.draw(st.integers(0, 255))
    leaked = tmp_path / "leaked"
    leaked.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    try:
        assert not trace_file(leaked, master, SECRET, PEOPLE[:3]).named
    except MedtokenError as refusal:
        assert len(str(refusal).splitlines()) == 1

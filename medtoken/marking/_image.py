"""Marks in images: low frequencies of 8 by 8 blocks move by one step, up or down."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medtoken.errors import MalformedFile, MedtokenError, UnsupportedFile
from medtoken.formats import _dicom as dicom
from medtoken.formats._io import label
from medtoken.marking._code import Floats

STRENGTH = 0.005
"""How far a frequency moves, as a part of the range between the 1st and the 99th percentile."""
LEAST_STEP = 2.0
BLOCK = 8
_FREQUENCIES = [(u, v) for u in range(4) for v in range(4) if 1 <= u + v <= 3]
PER_BLOCK = len(_FREQUENCIES)
_NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
_PIXEL_LIMIT = 64_000_000
_MATCH = 0.5
"""Least correlation at which a leaked image is taken for a part of the master."""


def _matrix() -> Floats:
    k, n = np.mgrid[:BLOCK, :BLOCK]
    found = np.cos(np.pi * (2 * n + 1) * k / (2 * BLOCK)) * np.sqrt(2 / BLOCK)
    found[0] /= np.sqrt(2)
    return np.asarray(found, dtype=np.float64)


_DCT = _matrix()


def read(path: Path) -> tuple[Any, npt.NDArray[np.int64]]:
    """A DICOM image's data set and its pixels as frames by rows by columns."""
    dicom.read(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            source = pydicom.dcmread(path)
            if source.file_meta.TransferSyntaxUID not in _NATIVE:
                raise UnsupportedFile(f"{label(path)}: its pixels are compressed")
            if source.get("SamplesPerPixel") != 1 or "PixelData" not in source:
                raise UnsupportedFile(f"{label(path)}: is no image of grey levels in whole numbers")
            size = int(source.Rows) * int(source.Columns) * int(source.get("NumberOfFrames") or 1)
            if size > _PIXEL_LIMIT:
                raise UnsupportedFile(f"{label(path)}: has more than {_PIXEL_LIMIT:,} pixels")
            pixels = source.pixel_array.astype(np.int64)
        except MedtokenError:
            raise
        except Exception as error:  # pydicom raises almost anything on a hostile file
            raise MalformedFile(
                f"{label(path)}: is DICOM, but damaged ({type(error).__name__})"
            ) from None
    return source, pixels.reshape(-1, *pixels.shape[-2:])


def step(pixels: npt.NDArray[np.int64]) -> float:
    """How far a frequency of this master moves, in stored pixel values."""
    low, high = np.percentile(pixels, [1, 99])
    return max(LEAST_STEP, STRENGTH * float(high - low))


def blocks(frames: Floats) -> Floats:
    """Frames cut into whole blocks: frame, block row, block column, row, column."""
    count, rows, columns = frames.shape
    rows, columns = rows // BLOCK * BLOCK, columns // BLOCK * BLOCK
    cut = frames[:, :rows, :columns]
    return cut.reshape(count, rows // BLOCK, BLOCK, columns // BLOCK, BLOCK).swapaxes(2, 3)


def usable(pixels: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Places that are marked: those of blocks that are not flat (padding, air cut off), flat."""
    textured = blocks(pixels.astype(np.float64)).std(axis=(3, 4)) >= 1.0
    found: npt.NDArray[np.bool_] = np.repeat(textured.reshape(-1), PER_BLOCK)
    return found


def marked(
    source: Any, pixels: npt.NDArray[np.int64], word: npt.NDArray[np.int8]
) -> npt.NDArray[np.int64]:
    """The pixels moved by a word, within what the image can store."""
    shape = blocks(pixels.astype(np.float64)).shape
    wave = np.zeros(shape)
    moves = (word * usable(pixels)).reshape(*shape[:3], PER_BLOCK) * step(pixels)
    for at, (u, v) in enumerate(_FREQUENCIES):
        wave[..., u, v] = moves[..., at]
    change = _DCT.T @ wave @ _DCT
    full = np.zeros(pixels.shape)
    rows, columns = shape[1] * BLOCK, shape[2] * BLOCK
    full[:, :rows, :columns] = change.swapaxes(2, 3).reshape(shape[0], rows, columns)
    stored = int(source.BitsStored)
    low, high = 0, (1 << stored) - 1
    if source.PixelRepresentation:
        low, high = -(1 << stored - 1), (1 << stored - 1) - 1
    found: npt.NDArray[np.int64] = np.clip(np.rint(pixels + full), low, high).astype(np.int64)
    return found


def encoded(source: Any, pixels: npt.NDArray[np.int64]) -> bytes:
    """Pixels as an element's bytes, in the order of the data set."""
    order = ">" if source.file_meta.TransferSyntaxUID == ExplicitVRBigEndian else "<"
    sign = "i" if source.PixelRepresentation else "u"
    data = pixels.astype(f"{order}{sign}{int(source.BitsAllocated) // 8}").tobytes()
    return data + b"\0" * (len(data) % 2)


def residuals(
    master: npt.NDArray[np.int64], leaked: npt.NDArray[np.int64], notes: list[str]
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """A leaked image's differences from the master in steps, and the places where it has any.

    The leaked image may be a part of the master, mirrored, turned by right angles, with other
    brightness and contrast. Looks at no candidate's word.
    """
    size = np.prod(blocks(master.astype(np.float64)).shape[:3])
    total, count = np.zeros((size, PER_BLOCK)), np.zeros((size, PER_BLOCK))
    for frame in leaked:
        placed = _placed(master.astype(np.float64), frame.astype(np.float64))
        if placed is None:
            continue
        difference, there = placed
        cut, whole = blocks(difference), blocks(there.astype(np.float64)).all(axis=(3, 4))
        waves = _DCT @ cut @ _DCT.T
        found = np.stack([waves[..., u, v] for u, v in _FREQUENCIES], axis=-1)
        total += found.reshape(size, PER_BLOCK) * whole.reshape(-1, 1)
        count += whole.reshape(-1, 1)
    if not np.any(count):
        notes.append("The leaked image could not be placed on the master.")
    seen = (count > 0).reshape(-1) & usable(master)
    mean = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
    return mean.reshape(-1) / step(master), seen


def _placed(master: Floats, leaked: Floats) -> tuple[Floats, npt.NDArray[np.bool_]] | None:
    """The difference from the master at each of its pixels, and where the leaked image has any."""
    best: tuple[float, int, int, int, Floats] | None = None
    for turns in range(4):
        for mirrored in (False, True):
            view = np.rot90(leaked[:, ::-1] if mirrored else leaked, turns)
            if view.shape[0] > master.shape[1] or view.shape[1] > master.shape[2]:
                continue
            for number, frame in enumerate(master):
                likeness, row, column = _position(frame, view)
                if best is None or likeness > best[0]:
                    best = likeness, number, row, column, view
    if best is None or best[0] < _MATCH:
        return None
    _, number, row, column, view = best
    part = master[number, row : row + view.shape[0], column : column + view.shape[1]]
    good = _unsaturated(view)
    if good.sum() < BLOCK * BLOCK:
        return None
    for _ in range(3):
        gain, offset = np.polyfit(part[good], view[good], 1)
        if abs(gain) < 1e-9:
            return None
        difference = (view - offset) / gain - part
        spread = float(np.median(np.abs(difference[good]))) * 1.4826 + 1e-9
        good = _unsaturated(view) & (np.abs(difference) < 4 * spread + 1)
        if good.sum() < BLOCK * BLOCK:
            return None
    full = np.zeros(master.shape)
    there = np.zeros(master.shape, dtype=bool)
    where = (number, slice(row, row + view.shape[0]), slice(column, column + view.shape[1]))
    full[where] = np.where(_unsaturated(view), difference, 0)
    there[where] = True
    return full, there


def _unsaturated(view: Floats) -> npt.NDArray[np.bool_]:
    """Pixels that were not cut off at the leaked image's darkest or brightest value."""
    kept = np.ones(view.shape, dtype=bool)
    for end in (view.min(), view.max()):
        if (view == end).mean() > 0.005:
            kept &= view != end
    return kept


def _position(frame: Floats, view: Floats) -> tuple[float, int, int]:
    """Where a view correlates best with a frame, normalised, by Fourier transforms."""
    rows, columns = frame.shape[0] - view.shape[0] + 1, frame.shape[1] - view.shape[1] + 1
    part = view - view.mean()
    norm = float(np.sqrt((part**2).sum()))
    if norm < 1e-9:
        return 0.0, 0, 0
    base = frame - frame.mean()
    spectrum = np.fft.rfft2(base) * np.conj(np.fft.rfft2(part, base.shape))
    product = np.fft.irfft2(spectrum, base.shape)[:rows, :columns]
    area = view.size
    mean = _sums(base, view.shape) / area
    power = np.maximum(_sums(base**2, view.shape) - area * mean**2, 1e-9)
    likeness = np.abs(product) / (np.sqrt(power) * norm)
    likeness[power < 1e-6 * float(power.max())] = 0
    at = int(np.argmax(likeness))
    return float(likeness.flat[at]), at // columns, at % columns


def _sums(frame: Floats, shape: tuple[int, ...]) -> Floats:
    """Sums over every window of a shape."""
    total = np.pad(frame.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    rows, columns = shape
    found: Floats = (
        total[rows:, columns:] - total[:-rows, columns:] - total[rows:, :-columns]
        + total[:-rows, :-columns]
    )  # fmt: skip
    return found

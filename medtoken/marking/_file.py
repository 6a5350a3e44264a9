"""Marking and tracing files: a table or an image, and the master it was made from."""

from __future__ import annotations

import hashlib
import io
import math
import os
import secrets
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import pydicom

from medtoken.errors import BadInput, MalformedFile, StateError, UnsupportedFile
from medtoken.formats import Format, identify
from medtoken.formats._io import label
from medtoken.marking import _image, _table
from medtoken.marking._code import THRESHOLD, Code, Floats, Trace

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Marked:
    """What marking a copy changed, in the unit of its values."""

    places: int
    """How many numbers, or frequencies of an image, were moved."""
    rms: float
    """Root mean square of the change, over all values or pixels of what was marked."""
    largest: float
    """Largest change of any value or pixel."""


def mark_file(
    master: str | PathLike[str],
    destination: str | PathLike[str],
    secret: bytes,
    licensee: str,
    *,
    columns: Sequence[str] = (),
) -> Marked:
    """Write the copy of ``master`` for one licensee; the same again for the same licensee.

    ``licensee`` is whatever the custodian will later look among: an address, or better a licence's
    id, so that two copies of one licensee differ. ``columns`` name the numbers of a table to mark
    (none: its glucose). Raises UnsupportedFile for a file that cannot be marked.
    """
    master, destination = Path(master), Path(destination)
    if not licensee:
        raise BadInput("A copy is marked for somebody: name the licensee.")
    if _is_image(master):
        if columns:
            raise BadInput("An image has no columns.")
        data, result = _mark_image(master, secret, licensee)
    else:
        data, result = _mark_table(master, secret, licensee, tuple(columns))
    _write(destination, data)
    return result


def trace_file(
    leaked: str | PathLike[str],
    master: str | PathLike[str],
    secret: bytes,
    candidates: Sequence[str],
    *,
    columns: Sequence[str] = (),
    threshold: float = THRESHOLD,
) -> Trace:
    """Whose copy of ``master`` a leaked file is.

    The leaked file may be a part, in another order, rounded, noisy, or mixed from several copies.
    Nobody is named unless the probability that an innocent candidate would be is at most
    ``threshold``, all candidates taken together.
    """
    leaked, master = Path(leaked), Path(master)
    notes: list[str] = []
    if _is_image(master):
        _, base = _image.read(master)
        _, pixels = _image.read(leaked)
        residuals, seen = _image.residuals(base, pixels, notes)
    else:
        table = _table.read(master)
        where = _table.places(master, table, tuple(columns))
        residuals, seen = _table.residuals(table, where, _table.read(leaked), notes)
    code = Code(secret, _digest(master), len(residuals))
    found = code.trace(residuals, seen, candidates, threshold)
    found.notes = notes
    return found


def _mark_table(
    master: Path, secret: bytes, licensee: str, columns: tuple[str, ...]
) -> tuple[bytes, Marked]:
    table = _table.read(master)
    where = _table.places(master, table, columns)
    code = Code(secret, _digest(master), len(where.usable))
    data, moved = _table.marked(table, where, code.word(licensee))
    return data, _marked(moved, int(where.usable.sum()))


def _mark_image(master: Path, secret: bytes, licensee: str) -> tuple[bytes, Marked]:
    source, pixels = _image.read(master)
    usable = _image.usable(pixels)
    if not usable.any():
        raise UnsupportedFile(f"{label(master)}: has no part that is not flat, so none to mark")
    code = Code(secret, _digest(master), len(usable))
    changed = _image.marked(source, pixels, code.word(licensee))
    source.PixelData = _image.encoded(source, changed)
    written = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            pydicom.dcmwrite(written, source)
        except Exception as error:  # pydicom raises almost anything on a hostile value
            raise MalformedFile(
                f"{label(master)}: is DICOM, but damaged ({type(error).__name__})"
            ) from None
    return written.getvalue(), _marked((changed - pixels).astype(np.float64), int(usable.sum()))


def _marked(change: Floats, places: int) -> Marked:
    if not places:
        raise UnsupportedFile("The file has no number that may be moved.")
    return Marked(places, math.sqrt(float(np.mean(change**2))), float(np.abs(change).max()))


def _is_image(path: Path) -> bool:
    try:
        kind = identify(path)
    except MalformedFile:
        raise
    except UnsupportedFile:
        return False  # perhaps a table that is no glucose series
    if kind in (Format.FHIR, Format.VCF, Format.STUDY):
        raise UnsupportedFile(f"{label(path)}: only tables and images are marked")
    return kind == Format.DICOM


def _digest(path: Path) -> bytes:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.digest()


def _write(destination: Path, data: bytes) -> None:
    temporary = destination.with_name(f".{destination.name[:100]}.{secrets.token_hex(8)}")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
        os.replace(temporary, destination)
    except (OSError, ValueError) as error:
        with suppress(OSError, ValueError):
            temporary.unlink()
        reason = getattr(error, "strerror", None) or "its path is not valid"
        raise StateError(f"{destination} cannot be written: {reason}.") from None

"""The copies of a record that a custodian gives away: masked, marked, listed, traced (R35)."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from medtoken import marking
from medtoken.errors import BadInput, StateError
from medtoken.home import Home
from medtoken.marking import THRESHOLD, Marked, Trace

_CHUNK = 1 << 20


class Copies:
    """The copies given away from one folder, which lists for whom each master was marked."""

    def __init__(self, home: Home) -> None:
        """Nothing is read or written yet."""
        self._home = home

    def mark(
        self,
        master: str | PathLike[str],
        destination: str | PathLike[str],
        licensee: str,
        *,
        columns: Sequence[str] = (),
    ) -> Marked:
        """Write the copy of ``master`` for a licensee, and list it before it can leave.

        Running it again gives the same bytes and lists nothing twice. Raises BadInput when another
        copy of this master has other columns marked: one trace has to find them all.
        """
        found = _file(destination)
        with self._home.locked("copies"):
            entry = self._entry(master)
            listed = entry or {"licensees": [], "columns": list(columns)}
            if listed["columns"] != list(columns):
                raise BadInput("Other copies of this master have other columns marked.")
            temporary = found.with_name(f".{found.name[:100]}.{secrets.token_hex(8)}")
            try:
                result = marking.mark_file(
                    master, temporary, self._home.copies_secret(), licensee, columns=columns
                )
                licensees = sorted({*listed["licensees"], licensee})
                self._home.write_journal(
                    _name(master), {"licensees": licensees, "columns": list(columns)}
                )
                os.replace(temporary, found)
            finally:
                with contextlib.suppress(OSError, ValueError):
                    temporary.unlink()
        return result

    def given(self, master: str | PathLike[str]) -> list[str]:
        """For whom copies of this master were marked."""
        entry = self._entry(master)
        return [] if entry is None else list(entry["licensees"])

    def trace(
        self,
        leaked: str | PathLike[str],
        master: str | PathLike[str],
        *,
        among: Sequence[str] = (),
        threshold: float = THRESHOLD,
    ) -> Trace:
        """Whose copy of ``master`` a leaked file is, among those listed and those named."""
        entry = self._entry(master) or {"licensees": [], "columns": []}
        candidates = [*entry["licensees"], *among]
        if not candidates:
            raise StateError(f"No copy of {Path(master).name} was marked from this folder.")
        return marking.trace_file(
            leaked,
            master,
            self._home.copies_secret(),
            candidates,
            columns=entry["columns"],
            threshold=threshold,
        )

    def _entry(self, master: str | PathLike[str]) -> dict[str, list[str]] | None:
        entry = self._home.read_journal(_name(master))
        if entry is None:
            return None
        lists = [entry.get("licensees"), entry.get("columns")]
        if not all(isinstance(one, list) and all(isinstance(x, str) for x in one) for one in lists):
            raise StateError("The list of copies of a master is damaged.")
        return {"licensees": entry["licensees"], "columns": entry["columns"]}


def _file(destination: str | PathLike[str]) -> Path:
    path = Path(destination)
    if path.is_dir():
        raise BadInput(f"{path} is a folder.")
    return path


def _name(master: str | PathLike[str]) -> str:
    digest = hashlib.sha256()
    try:
        with open(master, "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its path is not valid"
        raise BadInput(f"{master} cannot be read: {reason}.") from None
    return f"copies-{digest.hexdigest()}"

"""Folders of tables, compared byte by byte."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def every_file(out: Path) -> Iterator[tuple[str, bytes]]:
    """Each file of a folder with its content."""
    for path in sorted(out.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(out)), path.read_bytes()

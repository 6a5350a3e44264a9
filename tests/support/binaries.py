"""Programs that tests need and the project builds: found on PATH, else where `make` puts them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def find(program: str) -> Path | None:
    """A program on PATH, else the one that its make target has built."""
    found = shutil.which(program)
    built = ROOT / ".build" / "bin" / program
    return Path(found) if found else built if built.exists() else None


def needed(program: str, target: str) -> Path:
    """The program; without it the test is skipped, or fails where ``MEDTOKEN_NEEDS_<TARGET>`` is set."""
    found = find(program)
    if found is None:
        missing = f"{program} is neither on PATH nor built (`make {target}`)"
        if os.environ.get(f"MEDTOKEN_NEEDS_{target.upper()}"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found


def mark_all(items: list[pytest.Item], folder: Path, mark: pytest.MarkDecorator) -> None:
    """Give every test below a folder a mark."""
    for item in items:
        if folder in item.path.parents:
            item.add_marker(mark)

"""Where a benchmark's result goes: one JSON file, and a line that names it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write(path: str, result: Any) -> None:
    """Write a result, and the folders that lead to it."""
    out = Path(path)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"written to {out}")

"""The compiled contracts that ship with the package: ABI, bytecode, layout, hashes of sources.

``scripts/build_contracts.py`` writes them (``make build``); a wheel carries them, git does not.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from medtoken.errors import DeploymentError

__all__ = ["load", "names"]


def names() -> list[str]:
    """Every contract that has an artifact."""
    found = (entry.name for entry in files(__name__).iterdir())
    return sorted(name.removesuffix(".json") for name in found if name.endswith(".json"))


@cache
def load(name: str) -> dict[str, Any]:
    """The artifact of one contract. It is shared between callers: do not change it."""
    try:
        text = files(__name__).joinpath(f"{name}.json").read_text()
    except FileNotFoundError:
        raise DeploymentError(
            f"there is no compiled contract named {name}; in a checkout, run `make build` first."
        ) from None
    artifact: dict[str, Any] = json.loads(text)
    return artifact

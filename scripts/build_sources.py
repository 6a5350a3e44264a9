"""Write build/sources/<Contract>.json: what an explorer needs to verify a contract's source.

python scripts/build_sources.py

Each is a standard JSON input (Solidity's format, which Vyper takes too) with the sources and settings that
Each is a standard JSON input (Solidity's format, which Vyper takes too): the sources and settings that
record. ``tests/unit/scripts/test_sources.py`` compiles some of them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import build_contracts as build  # the folder of scripts is no package

TARGET = build.ROOT / "build" / "sources"
_OUTPUT = ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"]


def vyper_input(source: str) -> dict[str, Any]:
    """The standard JSON input of a Vyper contract."""
    out = build.vyper_output(source, ("solc_json",))["solc_json"]
    return dict(out)


def solidity_input(artifact: dict[str, Any], sources: dict[str, str]) -> dict[str, Any]:
    """The standard JSON input of a Solidity contract: it and what it imports."""
    return {
        "language": "Solidity",
        "sources": {path: {"content": text} for path, text in sorted(sources.items())},
        "settings": {
            **build.SOLIDITY_SETTINGS,
            "outputSelection": {artifact["source"]: {artifact["name"]: _OUTPUT}},
        },
    }


def imported(source: str) -> dict[str, str]:
    """A Solidity file and everything that it imports, by the paths that the compiler knows them by."""
    found: dict[str, str] = {}
    waiting = [source]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found[path] = text = build.solidity_file(path).read_text(encoding="utf-8")
        waiting += build.solidity_imports(path, text)
    return found


def main() -> None:
    """Write one file for each artifact."""
    TARGET.mkdir(parents=True, exist_ok=True)
    for old in TARGET.glob("*.json"):
        old.unlink()
    for path in sorted(build.ARTIFACTS.glob("*.json")):
        artifact = json.loads(path.read_text(encoding="utf-8"))
        source = artifact["source"]
        wanted = (
            vyper_input(source)
            if artifact["language"] == "Vyper"
            else solidity_input(artifact, imported(source))
        )
        (TARGET / path.name).write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
    print(f"{len(list(TARGET.glob('*.json')))} files in {TARGET.relative_to(build.ROOT)}")


if __name__ == "__main__":
    main()

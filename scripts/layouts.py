"""Keep tests/layouts.json: where every contract behind a proxy keeps its storage (R29).

python scripts/layouts.py            write it, unless an upgrade would break what is stored
python scripts/layouts.py --check    exit with 1 where it would, or where the file is not up to date

A variable may be added in a gap or behind the end. `--reset` writes whatever is compiled: for contracts
that no chain has yet.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from medtoken import artifacts
from medtoken.deploy.layout import Layout, Variable, faults, layout_of
from medtoken.deploy.plan import Create, build_plan, load_params

ROOT = Path(__file__).parent.parent
FILE = ROOT / "tests" / "layouts.json"
_NOBODY = "0x" + "11" * 20


def proxied() -> list[str]:
    """The contracts that stand behind a proxy."""
    params = load_params("devnet", operator=_NOBODY, platform=_NOBODY, people={})
    steps = build_plan(params, _NOBODY)
    return sorted(step.name for step in steps if isinstance(step, Create) and step.proxied)


def compiled() -> dict[str, Layout]:
    """What is compiled now. The compiler names structs; what they hold is read from the sources."""
    return {
        name: {
            variable: replace(one, type=_spelled(one.type, _structs(name)))
            for variable, one in layout_of(artifacts.load(name)).items()
        }
        for name in proxied()
    }


def _structs(contract: str) -> dict[str, str]:
    """The structs that a contract or its interface declares, with their members in their order."""
    found = {}
    for path in (f"contracts/{contract}.vy", f"contracts/interfaces/I{contract}.vyi"):
        text = (ROOT / path).read_text(encoding="utf-8")
        for name, body in re.findall(r"^struct (\w+):\n((?:    .*\n|\n)+)", text, re.M):
            members = re.findall(r"^    (\w+: [^\n#]+)", body, re.M)
            found[name] = f"{name}({', '.join(member.strip() for member in members)})"
    return found


def _spelled(kind: str, structs: Mapping[str, str]) -> str:
    return re.sub(r"\w+", lambda word: structs.get(word[0], word[0]), kind)


def kept(path: Path = FILE) -> dict[str, Layout]:
    """What deployments have; nothing where there is no file."""
    if not path.exists():
        return {}
    text = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: {variable: Variable(*entry) for variable, entry in layout.items()}
        for name, layout in text.items()
    }


def text_of(layouts: dict[str, Layout]) -> str:
    """The file: a line for each variable, its first slot, how many slots, and its type."""
    contracts = []
    for name, layout in sorted(layouts.items()):
        lines = [
            f'    "{variable}": {json.dumps([one.slot, one.size, one.type])}'
            for variable, one in layout.items()
        ]
        contracts.append(f'  "{name}": {{\n' + ",\n".join(lines) + "\n  }")
    return "{\n" + ",\n".join(contracts) + "\n}\n"


def problems(old: dict[str, Layout], new: dict[str, Layout]) -> list[str]:
    """What an upgrade from old to new would break, a sentence each."""
    gone = [f"{name} is behind a proxy no more." for name in sorted(set(old) - set(new))]
    moved = [
        f"{name}: {fault}"
        for name, layout in sorted(new.items())
        for fault in faults(old.get(name, {}), layout)
    ]
    return gone + moved


def main(options: list[str]) -> int:
    """Write or check."""
    old, new = kept(), compiled()
    found = [] if "--reset" in options else problems(old, new)
    for problem in found:
        print(f"error: {problem}", file=sys.stderr)
    if found:
        return 1
    if "--check" not in options:
        FILE.write_text(text_of(new), encoding="utf-8")
    elif FILE.read_text(encoding="utf-8") != text_of(new):
        print("error: tests/layouts.json is out of date: scripts/layouts.py.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

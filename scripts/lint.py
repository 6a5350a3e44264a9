#!/usr/bin/env python3
"""Run every static check, two at a time, and print only what a check has to say.

Python: ruff (rules and format), mypy. Vyper: mamushi (format), natrix (rules). Everything:
codespell, and that nothing is tracked which belongs to one machine or is larger than 1 MB.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.prefix) / "bin"
SIZE_LIMIT = 1_000_000
LINE_LENGTH = "100"
ALIEN = {
    "a path of one machine": re.compile(r"(?<![\w.\-/])/(?:root|home|work|Users|tmp)/\w+/"),
    "the address of a package index": re.compile(
        r"pypi\.org|pythonhosted\.org|registry\.npmjs|\"resolved\":|--(?:extra-)?index-url[ =]"
    ),
}


def vyper_files() -> list[str]:
    found = [*(ROOT / "contracts").rglob("*.vy"), *(ROOT / "contracts").rglob("*.vyi")]
    return sorted(str(p.relative_to(ROOT)) for p in found)


def tool(*command: str) -> tuple[bool, str]:
    """Run a tool of the environment; return whether it was content, and what it said."""
    run = subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return run.returncode == 0, (run.stdout + run.stderr).strip()


def mamushi() -> tuple[bool, str]:
    """Check the format of Vyper; files that mamushi's grammar cannot read are named, not failed.

    It takes many seconds for a large file, so what it said of a file is kept in ``.build/lint``
    under the hash of the content.
    """
    kept = ROOT / ".build" / "lint" / "mamushi.json"
    known: dict[str, str] = json.loads(kept.read_text()) if kept.exists() else {}
    setting = f"mamushi {version('mamushi')} {LINE_LENGTH}\n".encode()
    now = {f: sha256(setting + (ROOT / f).read_bytes()).hexdigest() for f in vyper_files()}
    if new := [file for file, key in now.items() if key not in known]:
        _, said = tool("mamushi", "--check", "--line-length", LINE_LENGTH, *new)
        verdicts = dict.fromkeys(new, "")
        for file in new:
            if f"would reformat {file}" in said:
                verdicts[file] = "changed"
            elif f"cannot format {file}:" in said:
                verdicts[file] = "unread"
        known |= {now[file]: verdict for file, verdict in verdicts.items()}
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(known))
    changed = [f"would reformat {f}" for f, key in now.items() if known[key] == "changed"]
    unread = [f"note: mamushi cannot read {f}" for f, key in now.items() if known[key] == "unread"]
    if changed:
        changed.append("`make format` does it.")
    return not changed, "\n".join([*changed, *unread])


def natrix() -> tuple[bool, str]:
    """Lint the deployable contracts; a module alone does not compile, so it cannot be linted."""
    files = [f for f in vyper_files() if f.count("/") == 1]
    if not files:
        return True, ""
    # Arguments show in ABIs and wallets, so they carry no underscore (the tool's default does).
    naming = "ArgNamingConvention.pattern=^[a-z][a-zA-Z0-9]*$"
    # The largest frames are those of proofs in batches: baskets, storage. bench_gas has their price.
    memory = "MemoryExpansion.max_frame_size=120000"
    rules = ("--rule-config", naming, "--rule-config", memory)
    # NTX4 takes a function that reads its own state and writes by calling others for a view.
    good, said = tool("natrix", "lint", *rules, "--disable", "NTX4", "--", *files)
    return good, "" if good else said


def tracked() -> tuple[bool, str]:
    """Nothing large is in git, nor anything that only makes sense on one machine."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        return True, "note: not a git checkout, so tracked files are not checked"
    faults = []
    for name in listed.stdout.split("\0"):
        path = ROOT / name
        if not name or not path.is_file():
            continue
        if path.stat().st_size > SIZE_LIMIT:
            faults.append(f"{name}: {path.stat().st_size:,} bytes, over {SIZE_LIMIT:,}")
            continue
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, 1):
            faults += [f"{name}:{number}: {what}" for what, p in ALIEN.items() if p.search(line)]
    return not faults, "\n".join(faults)


CHECKS: dict[str, Callable[[], tuple[bool, str]]] = {
    "mamushi": mamushi,
    "mypy": lambda: tool("mypy"),
    "ruff": lambda: tool("ruff", "check", "--quiet", "--output-format", "concise"),
    "ruff format": lambda: tool("ruff", "format", "--check", "--quiet"),
    "codespell": lambda: tool("codespell"),
    "natrix": natrix,
    "tracked files": tracked,
}


def main() -> int:
    only = sys.argv[1:] or list(CHECKS)
    unknown = [name for name in only if name not in CHECKS]
    if unknown:
        print(f"error: no check is named {unknown[0]}; there are {', '.join(CHECKS)}.")
        return 2
    failed = []
    started = time.monotonic()
    with ThreadPoolExecutor(max_workers=2) as pool:
        running = {name: pool.submit(CHECKS[name]) for name in only}
        for name, future in running.items():
            good, said = future.result()
            print(f"{'ok  ' if good else 'FAIL'}  {name}", flush=True)
            if said and (not good or "note:" in said):
                print("      " + said.replace("\n", "\n      "))
            if not good:
                failed.append(name)
    print(f"{len(only) - len(failed)} of {len(only)} checks, {time.monotonic() - started:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

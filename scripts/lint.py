#!/usr/bin/env python3
"""Run every static check, two at a time, and print only what a check has to say.

Python: ruff (rules and format), mypy. Vyper: mamushi (format), natrix (rules). Everything:
codespell, and that nothing is tracked which belongs to one machine or is larger than 1 MB.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
    """Check the format of Vyper; files that mamushi's grammar cannot read are named, not failed."""
    files = vyper_files()
    if not files:
        return True, ""
    _, said = tool("mamushi", "--check", "--line-length", LINE_LENGTH, *files)
    changed = [line for line in said.splitlines() if line.startswith("would reformat")]
    unread = re.findall(r"cannot format (\S+): (.*)", said)
    lines = [*changed, *(f"note: mamushi cannot read {file}" for file, _ in unread)]
    if changed:
        lines.append("`make format` does it.")
    return not changed, "\n".join(lines)


def natrix() -> tuple[bool, str]:
    """Lint the deployable contracts; a module alone does not compile, so it cannot be linted."""
    files = [f for f in vyper_files() if f.count("/") == 1]
    if not files:
        return True, ""
    # Arguments show in ABIs and wallets, so they carry no underscore (the tool's default does).
    naming = "ArgNamingConvention.pattern=^[a-z][a-zA-Z0-9]*$"
    good, said = tool("natrix", "lint", "--rule-config", naming, "--", *files)
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

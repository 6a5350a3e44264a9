#!/usr/bin/env python3
"""Compile every deployable contract and write ``medtoken/artifacts/<Name>.json``.

Ape is not needed, nor a network: Vyper comes from PyPI and runs in this process, solc from npm
and runs under Node (``scripts/solc``). What counts as deployable:

- ``contracts/*.vy``: every file, its name is the artifact's name;
- ``contracts/tokens/*.sol``, ``contracts/governance/*.sol``: every concrete contract they define;
- ``contracts/standards/*.sol``: every concrete contract they import by name.

A file is compiled again only when it, something it imports, a compiler, or an artifact that was made
of it has changed. Files that compile are written even when another one fails, so one broken contract
does not hold up the rest.

``metadata.bytecodeHash`` is ``none``: the bytecode then depends on the code and the settings alone,
not on comments or on the path of a source file, so anybody who rebuilds a release gets the same
bytes. ``sourceHash`` commits to the sources instead. (Ape cannot be told so: it builds the same
Vyper to the byte, and the same Solidity but for the hash at its end.)
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = ROOT / "contracts"
ARTIFACTS = ROOT / "medtoken" / "artifacts"
STATE = ROOT / "build" / "contracts.json"
SITE_PACKAGES = Path(sysconfig.get_paths()["purelib"])
OPENZEPPELIN = ROOT / "node_modules" / "@openzeppelin" / "contracts"

EVM_VERSION = "prague"  # the newest that Vyper 0.4.3 targets; both compilers agree on it
CODE_LIMIT = 24_576  # EIP-170
CODE_WATCH = 20_000  # from here on, think of moving something into a satellite contract
SOLIDITY_SETTINGS: dict[str, Any] = {
    "optimizer": {"enabled": True, "runs": 200},
    "evmVersion": EVM_VERSION,
    "metadata": {"bytecodeHash": "none"},
}
SOLIDITY_OUTPUT = [
    "abi",
    "metadata",
    "evm.bytecode.object",
    "evm.deployedBytecode.object",
    "evm.deployedBytecode.immutableReferences",
    "evm.methodIdentifiers",
    "storageLayout",
]
STATE_VERSION = 2  # raise it when this script writes artifacts differently


class BuildError(Exception):
    """A contract or a tool is at fault; the text is one sentence, perhaps with compiler output."""


@dataclass
class Job:
    """One run of a compiler: a Vyper file, or all Solidity files together."""

    key: str
    sources: list[str]
    compiler: str


@dataclass
class Result:
    """What a job made, and what it read to make it."""

    artifacts: list[dict[str, Any]] = field(default_factory=list)
    inputs: dict[str, str] = field(default_factory=dict)  # path -> sha256, repository files only


def sha256_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def artifact_path(name: str) -> Path:
    return ARTIFACTS / f"{name}.json"


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def package_version(folder: Path) -> str:
    try:
        return str(json.loads((folder / "package.json").read_text())["version"])
    except FileNotFoundError:
        raise BuildError(
            f"{relative(folder)} is not installed; run `make setup` (or `npm ci`) first."
        ) from None


def find_node() -> str:
    """The Node that set-up put into the environment where the machine's own would not do, or that."""
    own = Path(sys.prefix) / "bin" / "node"
    found = str(own) if own.is_file() else shutil.which("node")
    if found is None:
        raise BuildError("node is not installed; run `make setup`, which brings it as a wheel.")
    return found


# --- Vyper ------------------------------------------------------------------------------------


def vyper_compiler() -> str:
    try:
        from importlib.metadata import version

        return f"vyper {version('vyper')}, snekmate {version('snekmate')}, {EVM_VERSION}"
    except ImportError:
        raise BuildError("vyper is not installed here; run `make setup` first.") from None


def vyper_output(source: str, formats: tuple[str, ...]) -> dict[str, Any]:
    """What Vyper makes of a file, in its own formats; ``inputs`` are the files of ours that it read."""
    import warnings

    from vyper.compiler import compile_from_file_input
    from vyper.compiler.input_bundle import FilesystemInputBundle
    from vyper.compiler.settings import Settings
    from vyper.warnings import ContractSizeLimit

    warnings.simplefilter("ignore", ContractSizeLimit)  # main() reports every size
    bundle = FilesystemInputBundle([SITE_PACKAGES, ROOT])
    try:
        out = compile_from_file_input(
            bundle.load_file(Path(source)),
            input_bundle=bundle,
            settings=Settings(evm_version=EVM_VERSION),
            output_formats=formats,
        )
    except Exception as error:  # Vyper raises far more than its own exceptions
        raise BuildError(f"{source} does not compile.\n{type(error).__name__}: {error}") from None
    read = [p for p in bundle._source_ids if isinstance(p, Path) and p.is_relative_to(ROOT)]
    inputs = {relative(p): sha256_file(p) for p in read if not p.is_relative_to(SITE_PACKAGES)}
    return {**out, "inputs": inputs}


def compile_vyper(source: str) -> Result:
    import vyper

    out = vyper_output(
        source,
        (
            "abi",
            "bytecode",
            "bytecode_runtime",
            "layout",
            "method_identifiers",
            "integrity",
            "settings_dict",
        ),
    )
    layout = out["layout"]
    artifact = {
        "name": Path(source).stem,
        "language": "Vyper",
        "source": source,
        "compiler": {"name": "vyper", "version": vyper.__long_version__},
        "settings": {
            "evmVersion": EVM_VERSION,
            "optimize": out["settings_dict"].get("optimize", "gas"),
            "experimentalCodegen": out["settings_dict"].get("experimental_codegen", False),
        },
        "abi": out["abi"],
        "bytecode": out["bytecode"],
        "deployedBytecode": out["bytecode_runtime"],
        # Vyper appends immutables to the runtime code; offsets here count from its end.
        "immutableReferences": layout.get("code_layout", {}),
        "storageLayout": layout.get("storage_layout", {}),
        "methodIdentifiers": out["method_identifiers"],
        "sourceHash": "0x" + out["integrity"],
    }
    return Result([artifact], out["inputs"])


# --- Solidity ---------------------------------------------------------------------------------


def solidity_compiler() -> str:
    solc = package_version(ROOT / "node_modules" / "solc")
    library = package_version(OPENZEPPELIN)
    return f"solc {solc}, openzeppelin {library}, {json.dumps(SOLIDITY_SETTINGS, sort_keys=True)}"


def standard_imports(source: str) -> list[str]:
    """The names that a file in contracts/standards/ imports."""
    text = (ROOT / source).read_text()
    names = re.findall(r"import\s*{([^}]*)}", text)
    return [name.strip() for group in names for name in group.split(",") if name.strip()]


def compile_solidity(sources: list[str]) -> Result:
    request = {
        "language": "Solidity",
        "sources": {s: {"content": (ROOT / s).read_text()} for s in sources},
        "settings": {**SOLIDITY_SETTINGS, "outputSelection": {"*": {"*": SOLIDITY_OUTPUT}}},
    }
    run = subprocess.run(
        [find_node(), str(ROOT / "scripts" / "solc"), "--standard-json"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        raise BuildError(run.stderr.strip().splitlines()[-1] if run.stderr else "solc failed.")
    out = json.loads(run.stdout)
    faults = [e for e in out.get("errors", []) if e["severity"] == "error"]
    if faults:
        places = sorted({e["sourceLocation"]["file"] for e in faults if "sourceLocation" in e})
        listed = ", ".join(places) or "contracts/"
        detail = "".join(e.get("formattedMessage", e["message"]) for e in faults)
        raise BuildError(f"{listed} does not compile.\n{detail.strip()}")
    for warning in out.get("errors", []):
        file = warning.get("sourceLocation", {}).get("file", "")
        if file.startswith("contracts/"):
            print(warning.get("formattedMessage", warning["message"]).strip(), file=sys.stderr)

    wanted = {
        n for s in sources if s.startswith("contracts/standards/") for n in standard_imports(s)
    }
    artifacts = []
    for source, contracts in out["contracts"].items():
        for name, contract in contracts.items():
            ours = source in sources or (source.startswith("@openzeppelin/") and name in wanted)
            concrete = contract["evm"]["bytecode"]["object"]  # neither abstract nor an interface
            if ours and concrete:
                artifacts.append(solidity_artifact(name, source, contract))
    missing = wanted - {a["name"] for a in artifacts}
    if missing:
        raise BuildError(f"contracts/standards imports no concrete {', '.join(sorted(missing))}.")

    read = [s for s in out["sources"] if s.startswith("contracts/")]
    return Result(artifacts, {s: sha256_file(ROOT / s) for s in read})


def solidity_file(path: str) -> Path:
    """Where the compiler's path of a Solidity file is."""
    return ROOT / ("node_modules/" + path if path.startswith("@") else path)


def solidity_imports(path: str, text: str) -> list[str]:
    """What a Solidity file imports, by the compiler's paths."""
    found = re.findall(r'^\s*import\s+(?:[^";]*\sfrom\s+)?"([^"]+)"', text, flags=re.MULTILINE)
    return [
        os.path.normpath(f"{os.path.dirname(path)}/{name}") if name.startswith(".") else name
        for name in found
    ]


def solidity_artifact(name: str, source: str, contract: dict[str, Any]) -> dict[str, Any]:
    metadata = json.loads(contract["metadata"])
    hashes = {path: entry["keccak256"] for path, entry in metadata["sources"].items()}
    evm = contract["evm"]
    return {
        "name": name,
        "language": "Solidity",
        "source": source,
        "compiler": {"name": "solc", "version": metadata["compiler"]["version"]},
        "settings": SOLIDITY_SETTINGS,
        "abi": contract["abi"],
        "bytecode": "0x" + evm["bytecode"]["object"],
        "deployedBytecode": "0x" + evm["deployedBytecode"]["object"],
        "immutableReferences": evm["deployedBytecode"].get("immutableReferences", {}),
        "storageLayout": contract.get("storageLayout", {}),
        "methodIdentifiers": {k: "0x" + v for k, v in evm["methodIdentifiers"].items()},
        "sourceHash": "0x"
        + hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest(),
    }


# --- the build --------------------------------------------------------------------------------


def plan() -> list[Job]:
    """What there is to compile. Files whose name is not CamelCase are modules, never deployed."""
    vyper_files = sorted(p for p in CONTRACTS.glob("*.vy") if p.stem[:1].isupper())
    folders = ("standards", "tokens", "governance")
    solidity_files = sorted(p for f in folders for p in (CONTRACTS / f).glob("*.sol"))
    jobs = []
    if solidity_files:
        sources = [relative(p) for p in solidity_files]
        jobs.append(Job("solidity", sources, solidity_compiler()))
    if vyper_files:
        compiler = vyper_compiler()
        jobs += [Job(relative(p), [relative(p)], compiler) for p in vyper_files]
    return jobs


def run_job(job: Job) -> Result:
    os.chdir(ROOT)
    return compile_solidity(job.sources) if job.key == "solidity" else compile_vyper(job.key)


def fresh(job: Job, done: dict[str, Any]) -> bool:
    """Whether the last build of this job still stands."""
    if done.get("compiler") != job.compiler or done.get("sources") != job.sources:
        return False
    hashes = {ROOT / path: digest for path, digest in done["inputs"].items()}
    hashes |= {artifact_path(name): digest for name, digest in done["artifacts"].items()}
    return all(path.is_file() and sha256_file(path) == h for path, h in hashes.items())


def write_atomically(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)


def load_state() -> dict[str, Any]:
    try:
        state = json.loads(STATE.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    jobs: dict[str, Any] = state.get("jobs", {})
    if state.get("version") == 1:  # it only named the artifacts: what is there counts as built
        for done in jobs.values():
            paths = {name: artifact_path(name) for name in done["artifacts"]}
            done["artifacts"] = {n: sha256_file(p) if p.is_file() else "" for n, p in paths.items()}
        return jobs
    return jobs if state.get("version") == STATE_VERSION else {}


def save(job: Job, result: Result, state: dict[str, Any]) -> None:
    hashes = {}
    for artifact in result.artifacts:
        path = artifact_path(artifact["name"])
        write_atomically(path, json.dumps(artifact, indent=1) + "\n")
        hashes[artifact["name"]] = sha256_file(path)
    state[job.key] = {
        "compiler": job.compiler,
        "sources": job.sources,
        "inputs": result.inputs,
        "artifacts": hashes,
    }


def forget_the_rest(jobs: list[Job], state: dict[str, Any]) -> None:
    """Drop artifacts whose contract is gone, and refuse two contracts of one name."""
    for key in set(state) - {job.key for job in jobs}:
        del state[key]
    owner: dict[str, str] = {}
    for key, done in state.items():
        for name in done["artifacts"]:
            if name in owner:
                raise BuildError(f"two contracts are named {name}: in {owner[name]} and {key}.")
            owner[name] = key
    for path in ARTIFACTS.glob("*.json"):
        if path.stem not in owner:
            path.unlink()


def code_size(path: Path) -> int:
    artifact = json.loads(path.read_text())
    size = (len(artifact["deployedBytecode"]) - 2) // 2
    if artifact["language"] == "Vyper":  # its immutables are appended to the code
        size += sum(slot["length"] for slot in flatten(artifact["immutableReferences"]))
    return int(size)


def flatten(layout: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for value in layout.values():
        if "length" in value and "offset" in value:
            yield value
        else:
            yield from flatten(value)


def report_sizes(sizes: dict[str, int]) -> None:
    for name, size in sizes.items():
        note = "  TOO BIG" if size > CODE_LIMIT else "  watch" if size > CODE_WATCH else ""
        print(f"  {name:<28} {size:>6,} bytes {size * 100 // CODE_LIMIT:>4} %{note}")


@contextmanager
def one_build_at_a_time() -> Iterator[None]:
    """Two builds side by side would overwrite each other's work; the second one waits."""
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    (ROOT / "build").mkdir(exist_ok=True)
    with (ROOT / "build" / ".contracts.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(*, force: bool = False, workers: int = 2) -> tuple[int, list[str]]:
    """Compile what changed; return how many jobs ran and the sentences of those that failed."""
    jobs = plan()
    state = {} if force else load_state()
    todo = [job for job in jobs if not fresh(job, state.get(job.key, {}))]
    failures = []
    if todo:
        with ProcessPoolExecutor(max_workers=min(workers, len(todo))) as pool:
            running = {pool.submit(run_job, job): job for job in todo}
            for future in as_completed(running):
                job = running[future]
                try:
                    result = future.result()
                except BuildError as error:
                    failures.append(str(error))
                    state.pop(job.key, None)
                else:
                    save(job, result, state)
                    print(f"compiled {', '.join(a['name'] for a in result.artifacts)}")
    forget_the_rest(jobs, state)
    write_atomically(STATE, json.dumps({"version": STATE_VERSION, "jobs": state}, indent=1) + "\n")
    return len(todo), failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--force", action="store_true", help="compile everything again")
    parser.add_argument("--sizes", action="store_true", help="print sizes when nothing changed too")
    parser.add_argument("--workers", type=int, default=2, metavar="N")
    options = parser.parse_args()

    started = time.monotonic()
    try:
        with one_build_at_a_time():
            ran, failures = build(force=options.force, workers=options.workers)
            sizes = {p.stem: code_size(p) for p in sorted(ARTIFACTS.glob("*.json"))}
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if ran or options.sizes:
        report_sizes(sizes)
    too_big = [f"{name} ({size:,})" for name, size in sizes.items() if size > CODE_LIMIT]
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    if too_big:
        print(
            f"error: over the limit of {CODE_LIMIT:,} bytes: {', '.join(too_big)}.", file=sys.stderr
        )
    if failures or too_big:
        return 1
    elapsed = f"built in {time.monotonic() - started:.1f} s" if ran else "are up to date"
    print(f"{len(sizes)} contracts {elapsed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A contract of ours with a bug planted in its real source, compiled when first asked for."""

from __future__ import annotations

import hashlib
import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import snekmate
from vyper.compiler import compile_from_file_input
from vyper.compiler.input_bundle import FilesystemInputBundle
from vyper.compiler.settings import Settings

from medtoken import artifacts

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / ".build" / "planted"


@cache
def planted(contract: str, module: str, right: str, wrong: str) -> str:
    """Creation code of ``contract`` in whose ``module`` one line is wrong; kept by what it was made of."""
    source = (ROOT / "contracts" / module).read_text(encoding="utf-8")
    assert source.count(right) == 1, f"{module} has no such line, or several"
    made_of = f"{artifacts.load(contract)['sourceHash']} {module} {wrong}"
    file = KEPT / f"{hashlib.sha256(made_of.encode()).hexdigest()}.hex"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(f".{id(file)}")
        fresh.write_text(_compiled(contract, module, source.replace(right, wrong)))
        fresh.replace(file)
    return file.read_text()


def _compiled(contract: str, module: str, source: str) -> str:
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "contracts"
        shutil.copytree(ROOT / "contracts", copy)
        (copy / module).write_text(source, encoding="utf-8")
        site = Path(next(iter(snekmate.__path__))).parent
        bundle = FilesystemInputBundle([site, Path(folder)])
        out = compile_from_file_input(
            bundle.load_file(Path("contracts") / f"{contract}.vy"),
            input_bundle=bundle,
            settings=Settings(evm_version=artifacts.load(contract)["settings"]["evmVersion"]),
            output_formats=("bytecode",),
        )
    return str(out["bytecode"])

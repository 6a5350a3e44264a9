"""What is written for explorers compiles, alone, to the code that is deployed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import build_contracts
import build_sources
import pytest

from medtoken import artifacts

ROOT = Path(__file__).resolve().parents[3]


def compiled(command: list[str], wanted: dict[str, Any], folder: Path) -> dict[str, Any]:
    """By the compiler's command line, in a folder where there is no source of ours."""
    ran = subprocess.run(
        command, input=json.dumps(wanted), capture_output=True, text=True, cwd=folder, check=True
    )
    out: dict[str, Any] = json.loads(ran.stdout)
    contracts: dict[str, Any] = out["contracts"]
    return contracts


@pytest.mark.parametrize("name", ["PayoutRelay", "Treasury"])
def test_vyper(tmp_path: Path, name: str) -> None:
    artifact = artifacts.load(name)
    wanted = build_sources.vyper_input(artifact["source"])
    command = [str(Path(sys.executable).parent / "vyper-json")]
    made = compiled(command, wanted, tmp_path)[artifact["source"]][name]
    assert made["evm"]["bytecode"]["object"] == artifact["bytecode"]


@pytest.mark.parametrize("name", ["UsageToken", "TimelockController"])
def test_solidity(tmp_path: Path, name: str) -> None:
    artifact = artifacts.load(name)
    wanted = build_sources.solidity_input(artifact, build_sources.imported(artifact["source"]))
    command = [build_contracts.find_node(), str(ROOT / "scripts" / "solc"), "--standard-json"]
    made = compiled(command, wanted, tmp_path)[artifact["source"]][name]
    assert "0x" + made["evm"]["bytecode"]["object"] == artifact["bytecode"]

"""Contracts that only tests need, compiled from ``tests/contracts`` when first asked for."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import vyper
from eth_abi import encode

from support.evm import Evm

CONTRACTS = Path(__file__).resolve().parent.parent / "contracts"


@cache
def creation_code(name: str) -> bytes:
    """The creation code of ``tests/contracts/<name>.vy``."""
    source = (CONTRACTS / f"{name}.vy").read_text(encoding="utf-8")
    compiled = vyper.compile_code(source, output_formats=["bytecode"])
    return bytes.fromhex(compiled["bytecode"].removeprefix("0x"))


def runtime_code(evm: Evm, name: str, kinds: list[str], *args: Any) -> bytes:
    """The code that the constructor leaves with these arguments, immutables included."""
    with evm.anchor():
        return evm.code(evm.create(creation_code(name) + encode(kinds, args), evm.nobody))

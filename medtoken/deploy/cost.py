"""What a deployment costs: gas by step, as measured for this release on a chain of ours.

``gas.json`` beside this holds what each kind of step used (``make deploy-gas`` measures it again; a test
holds it against real receipts). Rollups charge for the data of a transaction on top of its gas.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from medtoken.deploy.plan import Create, Step


@cache
def measured() -> dict[str, int]:
    """Gas of each kind of transaction."""
    text = files("medtoken.deploy").joinpath("gas.json").read_text(encoding="utf-8")
    found: dict[str, int] = json.loads(text)
    return found


def kinds(step: Step) -> list[str]:
    """The transactions of a step, by what their gas depends on."""
    if isinstance(step, Create):
        return [f"create {step.name}", *([f"proxy {step.name}"] if step.proxied else [])]
    return [f"call {step.contract}.{step.function}"]


def gas_of(steps: Sequence[Step]) -> int:
    """Gas of all transactions of some steps together."""
    return sum(measured()[kind] for step in steps for kind in kinds(step))

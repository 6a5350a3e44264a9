"""The record of a deployment: what stands where, made by which transaction, from which code."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from eth_utils import to_checksum_address

from medtoken import artifacts
from medtoken.chain.outbox import write_durably
from medtoken.errors import DeploymentError

FORMAT = 1


@dataclass(frozen=True)
class DeployedContract:
    """One contract: ``address`` is what users call, the proxy's where there is one."""

    name: str
    address: str
    proxy: bool
    implementation: str | None
    block: int
    tx: str
    implementation_tx: str | None
    constructor: list[Any]
    initialize: list[Any] | None
    compiler: dict[str, Any]
    integrity: str  # SHA-256 of the creation code, 0x hex


@dataclass(frozen=True)
class Deployment:
    """A deployed suite. Load one with ``Deployment.load``.

    ``offices`` names the accounts that it was deployed for: ``operator``, ``platform``, and who got
    which role (``medtoken.deploy.plan.PEOPLE``); records from before it was kept have none.
    """

    chain_id: int
    network: str
    deployer: str
    contracts: dict[str, DeployedContract]
    offices: dict[str, str] = field(default_factory=dict)

    def address(self, name: str) -> str:
        """The address of a contract. Raises DeploymentError when the record does not have it."""
        try:
            return self.contracts[name].address
        except KeyError:
            raise DeploymentError(f"The deployment record has no contract {name}.") from None

    @property
    def first_block(self) -> int:
        """The block of the earliest contract: nothing of the suite happened before it."""
        return min(c.block for c in self.contracts.values())

    @classmethod
    def load(cls, path: str | Path) -> Deployment:
        """Read a deployment record. Raises DeploymentError when it is missing or malformed."""
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
            if data["format"] != FORMAT:
                raise DeploymentError(
                    f"The deployment record {path} has format {data['format']}, not {FORMAT}."
                )
            contracts = {c["name"]: DeployedContract(**c) for c in data["contracts"]}
            if not contracts or not all(isinstance(c.tx, str) for c in contracts.values()):
                raise ValueError("no contract, or one without its transaction")
            offices = {k: str(to_checksum_address(v)) for k, v in data.get("offices", {}).items()}
            return cls(int(data["chain_id"]), data["network"], data["deployer"], contracts, offices)
        except FileNotFoundError:
            raise DeploymentError(f"There is no deployment record {path}.") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise DeploymentError(f"The deployment record {path} is malformed.") from None

    def save(self, path: str | Path) -> None:
        """Write the record, whole or not at all."""
        body = {
            "format": FORMAT,
            "chain_id": self.chain_id,
            "network": self.network,
            "deployer": self.deployer,
            "offices": self.offices,
            "contracts": [asdict(c) for c in self.contracts.values()],
        }
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_durably(target, (json.dumps(body, indent=2) + "\n").encode(), mode=0o644)


def integrity(name: str) -> str:
    """SHA-256 of a contract's creation code as built here, 0x hex."""
    code = bytes.fromhex(artifacts.load(name)["bytecode"].removeprefix("0x"))
    return "0x" + hashlib.sha256(code).hexdigest()

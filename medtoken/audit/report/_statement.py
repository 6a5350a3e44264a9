"""What was checked, from which block to which, as an EIP-712 message that an auditor signs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

from medtoken._keccak import keccak
from medtoken.errors import BadInput, IntegrityError
from medtoken.messages import Domain, Message


@dataclass(frozen=True)
class AuditStatement(Message):
    """An auditor's word: these checks ran over these blocks and found so many violations."""

    firstBlock: int  # noqa: N815  the EIP-712 fields
    lastBlock: int  # noqa: N815
    lastBlockHash: bytes  # noqa: N815
    anchor: bytes
    events: int
    checks: int
    violations: int
    figures: bytes

    types: ClassVar[tuple[tuple[str, str], ...]] = (
        ("firstBlock", "uint256"),
        ("lastBlock", "uint256"),
        ("lastBlockHash", "bytes32"),
        ("anchor", "bytes32"),
        ("events", "uint256"),
        ("checks", "uint256"),
        ("violations", "uint256"),
        ("figures", "bytes32"),
    )

    def render(self) -> str:
        """The statement as sentences."""
        proven = (
            f"All of it is proven from the block hash 0x{self.anchor.hex()}."
            if any(self.anchor)
            else "The events are those that a node gave; no proof was asked of it."
        )
        return (
            f"I checked {self.events} events from block {self.firstBlock} to block {self.lastBlock} "
            f"(0x{self.lastBlockHash.hex()}) by {self.checks} checks and found {self.violations} "
            f"violations. {proven} What I found has the Keccak-256 0x{self.figures.hex()}."
        )


def _of(body: dict[str, Any]) -> AuditStatement:
    last, checked = body["last_block"], body["checks"]
    anchor = body["anchor"] or "0x" + "00" * 32
    return AuditStatement(
        firstBlock=body["first_block"],
        lastBlock=last["number"],
        lastBlockHash=bytes.fromhex(last["hash"][2:]),
        anchor=bytes.fromhex(anchor[2:]),
        events=body["events"],
        checks=len(checked),
        violations=sum(len(check["violations"]) for check in checked),
        figures=keccak(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()),
    )


def sign(body: dict[str, Any], key: bytes, signer: str) -> dict[str, Any]:
    """A report's JSON with the signed statement of it under ``statement``."""
    statement, domain = _of(body), Domain(body["chain_id"], body["market"])
    signature = statement.sign(key, domain)
    return body | {
        "statement": {
            "signer": signer,
            "text": statement.render(),
            "signature": "0x" + signature.hex(),
        }
    }


def verify(signed: dict[str, Any]) -> tuple[str, AuditStatement]:
    """Who signed a report's JSON, and what. Raises IntegrityError where it says something else."""
    try:
        body = {key: value for key, value in signed.items() if key != "statement"}
        claim = signed["statement"]
        statement, domain = _of(body), Domain(body["chain_id"], body["market"])
        signature = bytes.fromhex(claim["signature"][2:])
        signer = claim["signer"]
    except (KeyError, TypeError, ValueError):
        raise BadInput("This is no report with a signed statement.") from None
    if statement.signer(signature, domain) != signer:
        raise IntegrityError(
            f"{signer} did not sign this report: it was changed, or is by another."
        )
    return signer, statement

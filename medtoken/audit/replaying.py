"""Replaying a deployment: from its logs to a ledger, from the ledger to a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from medtoken.audit.invariants import Finding, judge
from medtoken.audit.journal import Clock, Violation
from medtoken.audit.ledger import Ledger
from medtoken.audit.proven import ProvenChain
from medtoken.audit.proven.state import Proof
from medtoken.audit.proven.state import read as read_proven
from medtoken.audit.source import Chain, Record, Suite, decoded
from medtoken.audit.state import read
from medtoken.errors import BadInput, NodeUnreachable, WrongChain

_ATTEMPTS = 3


@dataclass(frozen=True)
class Report:
    """What an audit found between two blocks, both included."""

    events: int
    from_block: int
    to_block: int
    invariants: tuple[Finding, ...]
    ledger: Ledger
    overdue: tuple[bytes, ...] = ()
    """Licences long over whose licensee has not attested the destruction of its copies (R35)."""
    proof: Proof | None = None  # None where the node was believed

    @property
    def holds(self) -> bool:
        """Whether every invariant holds."""
        return all(finding.holds for finding in self.invariants)

    @property
    def violations(self) -> tuple[Violation, ...]:
        """Everything that was found, each once."""
        found = (v for finding in self.invariants for v in finding.violations)
        return tuple(dict.fromkeys(found))

    def summary(self) -> str:
        """The verdict in one sentence."""
        broken = [str(finding.id) for finding in self.invariants if not finding.holds]
        what = f"{self.events} events from block {self.from_block} to {self.to_block}"
        if not broken:
            return f"All seven invariants hold over {what}."
        word = "Invariant" if len(broken) == 1 else "Invariants"
        does = "does" if len(broken) == 1 else "do"
        return f"{word} {', '.join(broken)} {does} not hold over {what}."

    def as_dict(self) -> dict[str, Any]:
        """The report for JSON: amounts in base units as text, addresses and ids as 0x hex."""
        return {
            "events": self.events,
            "from_block": self.from_block,
            "to_block": self.to_block,
            "invariants": [
                {"id": finding.id, "holds": finding.holds, "detail": finding.detail}
                for finding in self.invariants
            ],
            "overdue_destructions": [
                {
                    "licence": "0x" + licence.hex(),
                    "record": "0x" + self.ledger.market.licences[licence].ref.record.hex(),
                    "licensee": self.ledger.market.licences[licence].ref.licensee,
                }
                for licence in self.overdue
            ],
            "proof": self.proof.as_dict() if self.proof else None,
            "ledger": self.ledger.as_dict(),
        }


def replay(node: Chain, deployment: Record, last: int | None = None) -> Report:
    """Rebuild the ledger of a deployment from its logs and check the seven invariants.

    Up to block ``last``, or the newest one; the node must still have the state of that block. With a
    ``ProvenChain`` nothing that the node says is believed, and the report says what was proven. A
    rule that does not hold raises nothing: the report says so. Raises WrongChain when node and
    record name different chains, BadInput when ``last`` is before the deployment or ahead of the
    chain, NodeUnreachable when the node fails or its chain keeps changing underneath.
    """
    if node.chain_id != deployment.chain_id:
        raise WrongChain(
            f"The deployment record is for chain {deployment.chain_id}, "
            f"but the node is on chain {node.chain_id}."
        )
    suite = Suite.of(deployment)
    first = deployment.first_block
    for _ in range(_ATTEMPTS):
        head = node.head()
        end = head if last is None else node.block(last)
        if not suite.complete_at <= end.number <= head.number:
            raise BadInput(
                f"The audit would end at block {end.number}, but the contracts stand since block "
                f"{suite.complete_at} and the chain ends at {head.number}."
            )
        suite = Suite.of(deployment, end.number)
        clock = Clock(lambda number: node.block(number).timestamp)
        clock.learn(end.number, end.timestamp)
        logs = node.logs(list(suite.emitters), first, end.number)
        ledger = Ledger(suite, clock).fold(decoded(logs, suite))
        proof = None
        if isinstance(node, ProvenChain):
            state, proof = read_proven(ledger, node)
        else:
            state = read(ledger, node, end.number)
        if node.block(end.number).hash == end.hash:
            findings = judge(ledger, state)
            overdue = tuple(ledger.destructions.overdue(end.timestamp))
            return Report(ledger.events, first, end.number, findings, ledger, overdue, proof)
    raise NodeUnreachable("The node's chain changed while it was audited; try an older last block.")

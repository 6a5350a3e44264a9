"""What waits in the timelock, and who ever got a role of it: by its logs, each confirmed by a call.

Logs are read from the block on in which the node says that the contract was made, and from the chain's
first block on where it does not say so: a record that names later blocks hides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from eth_abi import encode

from medtoken._keccak import keccak
from medtoken.chain.abi import Log, abi
from medtoken.deploy.record import DeployedContract, Deployment

TIMELOCK = "TimelockController"
_GOVERNOR = "MedGovernor"
_NONE = bytes(32)


class RawLog(Protocol):
    """A log as a node gives it."""

    @property
    def address(self) -> str: ...  # noqa: D102
    @property
    def topics(self) -> tuple[bytes, ...]: ...  # noqa: D102
    @property
    def data(self) -> bytes: ...  # noqa: D102


class Chain(Protocol):
    """What is asked of a chain; ``medtoken.chain.node.Node`` answers it."""

    def logs(  # noqa: D102
        self, addresses: Sequence[str], first: int, last: int
    ) -> Iterable[RawLog]: ...
    def call(self, to: str, data: bytes, block: int | None = None) -> bytes: ...  # noqa: D102
    def made(self, tx: bytes) -> tuple[str, int] | None: ...  # noqa: D102


def read_logs(
    chain: Chain, deployment: Deployment, names: Sequence[str], block: int
) -> dict[str, list[Log]]:
    """All events of some contracts of a deployment up to a block, by contract."""
    contracts = {name: deployment.address(name) for name in names}
    found: dict[str, list[Log]] = {name: [] for name in names}
    first = min(_made_in(chain, deployment.contracts[name]) for name in names)
    for raw in chain.logs(list(contracts.values()), first, block):
        # A record that is not to be believed may name one address twice.
        for name, address in contracts.items():
            if address.lower() == raw.address.lower():
                log = abi(name).log(raw.topics, raw.data)
                if log is not None:
                    found[name].append(log)
    return found


def _made_in(chain: Chain, contract: DeployedContract) -> int:
    """The block before which the contract has no event; 0 where the node does not confirm the record."""
    digits = contract.tx.removeprefix("0x")
    try:
        made = chain.made(bytes.fromhex(digits)) if len(digits) == 64 else None
    except ValueError:
        return 0
    if made is None or made[0].lower() != contract.address.lower():
        return 0
    return made[1]


class Waiting:
    """The timelock of a deployment at a block."""

    def __init__(
        self,
        chain: Chain,
        deployment: Deployment,
        block: int,
        logs: Sequence[Log] | None = None,
    ) -> None:
        """``logs`` are the timelock's, where they have been read."""
        self._chain, self._deployment, self._block = chain, deployment, block
        self._timelock = deployment.address(TIMELOCK)
        if logs is None:
            logs = read_logs(chain, deployment, [TIMELOCK], block)[TIMELOCK]
        self._logs = logs

    def holders(self, role: bytes) -> list[str]:
        """Who has a role."""
        ever = dict.fromkeys(
            log.args["account"]
            for log in self._logs
            if log.event == "RoleGranted" and log.args["role"] == role
        )
        return [who for who in ever if self._ask("hasRole", role, who)]

    def operations(self) -> list[bytes]:
        """What was scheduled, and neither executed nor cancelled."""
        ever = dict.fromkeys(log.args["id"] for log in self._logs if log.event == "CallScheduled")
        return [number for number in ever if self._ask("isOperationPending", number)]

    def unexplained(self) -> list[bytes]:
        """Operations that wait, and that no proposal which the governor has queued explains."""
        found = self.operations()
        if not found or _GOVERNOR not in self._deployment.contracts:
            return found
        governor = self._deployment.address(_GOVERNOR)
        logs = read_logs(self._chain, self._deployment, [_GOVERNOR], self._block)
        voted = _queued(logs[_GOVERNOR])
        own = {_operation(governor, args) for args in voted}
        return [number for number in found if number not in own]

    def _ask(self, function: str, *args: Any) -> Any:
        data = abi(TIMELOCK).call(function, *args)
        return abi(TIMELOCK).result(function, self._chain.call(self._timelock, data, self._block))


def _queued(logs: Sequence[Log]) -> list[dict[str, Any]]:
    queued = {log.args["proposalId"] for log in logs if log.event == "ProposalQueued"}
    made = [log.args for log in logs if log.event == "ProposalCreated"]
    return [args for args in made if args["proposalId"] in queued]


def _operation(governor: str, proposal: dict[str, Any]) -> bytes:
    """The timelock's id of a proposal's calls: the governor's own address is in its salt."""
    own = int.from_bytes(bytes.fromhex(governor.removeprefix("0x")) + bytes(12))
    salt = (own ^ int.from_bytes(keccak(text=proposal["description"]))).to_bytes(32)
    kinds = ["address[]", "uint256[]", "bytes[]", "bytes32", "bytes32"]
    terms = [list(proposal[k]) for k in ("targets", "values", "calldatas")]
    return keccak(encode(kinds, [*terms, _NONE, salt]))

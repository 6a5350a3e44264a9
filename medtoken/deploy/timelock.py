"""What waits in the timelock, and who ever got a role of it: by its logs, each confirmed by a call.

All logs are read from the chain's first block on: a record that names later blocks hides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from eth_abi import encode

from medtoken._keccak import keccak
from medtoken.chain.abi import Log, abi

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


def read_logs(chain: Chain, contracts: dict[str, str], block: int) -> dict[str, list[Log]]:
    """All events of some contracts up to a block, by contract; ``contracts`` is name → address."""
    found: dict[str, list[Log]] = {name: [] for name in contracts}
    for raw in chain.logs(list(contracts.values()), 0, block):
        # A record that is not to be believed may name one address twice.
        for name, address in contracts.items():
            if address.lower() == raw.address.lower():
                log = abi(name).log(raw.topics, raw.data)
                if log is not None:
                    found[name].append(log)
    return found


class Waiting:
    """The timelock at a block."""

    def __init__(
        self, chain: Chain, timelock: str, block: int, logs: Sequence[Log] | None = None
    ) -> None:
        """``logs`` are the timelock's, where they have been read."""
        self._chain, self._timelock, self._block = chain, timelock, block
        if logs is None:
            logs = read_logs(chain, {TIMELOCK: timelock}, block)[TIMELOCK]
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

    def unexplained(self, governor: str | None) -> list[bytes]:
        """Operations that wait, and that no proposal which the governor has queued explains."""
        found = self.operations()
        if not found or governor is None:
            return found
        voted = _queued(read_logs(self._chain, {_GOVERNOR: governor}, self._block)[_GOVERNOR])
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

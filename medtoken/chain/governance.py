"""The governor as a Python object (R28), and what a proposal will call, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from medtoken._keccak import first_created, keccak
from medtoken.chain.abi import Abi, abi
from medtoken.chain.contracts import _Contract
from medtoken.chain.node import Receipt, Wallet
from medtoken.deploy.plan import GOVERNOR, Chamber
from medtoken.deploy.record import Deployment
from medtoken.deploy.roles import CANCELLER, EXECUTOR, PROPOSER, TIMELOCK_ADMIN, Role
from medtoken.errors import BadInput
from medtoken.messages import GovernorDomain

_PROXY_ADMIN = "ProxyAdmin"
# Calls that change who rules, and not only how.
_POWERS = {
    ("AccessManager", None),
    (_PROXY_ADMIN, None),
    ("TimelockController", None),
    (GOVERNOR, "relay"),
    (GOVERNOR, "updateTimelock"),
    (GOVERNOR, "setSeat"),
}
_TIMELOCK_ROLES = {
    PROPOSER: "PROPOSER",
    CANCELLER: "CANCELLER",
    EXECUTOR: "EXECUTOR",
    TIMELOCK_ADMIN: "ADMIN",
}


class ProposalState(IntEnum):
    """Where a proposal is, as the governor numbers it. Pending: the council's gate is open."""

    PENDING = 0
    ACTIVE = 1
    CANCELED = 2
    DEFEATED = 3
    SUCCEEDED = 4
    QUEUED = 5
    EXPIRED = 6
    EXECUTED = 7


class Support(IntEnum):
    """What a vote says."""

    AGAINST = 0
    FOR = 1
    ABSTAIN = 2


@dataclass(frozen=True)
class ProposedCall:
    """One call that the timelock will make, with ``value`` wei."""

    target: str
    data: bytes
    value: int = 0


@dataclass(frozen=True)
class Proposal:
    """A proposal as it was made."""

    id: int
    proposer: str
    calls: tuple[ProposedCall, ...]
    description: str
    gate_end: int  # the council's last second
    vote_end: int

    def terms(self) -> tuple[list[str], list[int], list[bytes], bytes]:
        """What names it in ``queue``, ``execute`` and ``cancel``."""
        return *_lists(self.calls), keccak(text=self.description)


def appeal(deployment: Deployment, account: str) -> list[ProposedCall]:
    """The calls of an appeal against a sanction (R31): DUT does not freeze the account any more.

    The timelock holds the sanctions role within this one transaction alone. The office keeps its own;
    whether it may freeze the account again is for another proposal to say.
    """
    manager, timelock = (deployment.address(n) for n in ("AccessManager", "TimelockController"))
    role, usage = int(Role.SANCTIONS), deployment.address("UsageToken")
    return [
        ProposedCall(manager, abi("AccessManager").call("grantRole", role, timelock, 0)),
        ProposedCall(usage, abi("UsageToken").call("setFrozen", account, False)),
        ProposedCall(manager, abi("AccessManager").call("revokeRole", role, timelock)),
    ]


class Governor(_Contract):
    """MedGovernor (R28)."""

    name = GOVERNOR

    @property
    def domain(self) -> GovernorDomain:
        """The EIP-712 domain that ballots and objections bind to."""
        return GovernorDomain(self._node.chain_id, self.address)

    def proposals(self) -> list[Proposal]:
        """Every proposal, oldest first."""
        return [_proposal(log.args) for _, log in self.find("ProposalCreated")]

    def proposal(self, number: int) -> Proposal:
        """One proposal. Raises BadInput when there is none of this number."""
        for found in self.proposals():
            if found.id == number:
                return found
        raise BadInput(f"There is no proposal {number}.")

    def state(self, number: int) -> ProposalState:
        """Where it is now."""
        return ProposalState(self.read("state", number))

    def tally(self, number: int) -> tuple[int, int, int]:
        """Votes against, for and abstaining, base units."""
        against, pro, abstain = self.read("proposalVotes", number)
        return int(against), int(pro), int(abstain)

    def quorum(self, number: int) -> int:
        """The votes for or abstaining that it needs, base units."""
        return int(self.read("quorum", self.read("proposalSnapshot", number)))

    def objections(self, number: int) -> int:
        """What the council's objections weigh, bps of the whole; over 5,000 rejects."""
        return int(self.read("objections", number))

    def votes(self, account: str, number: int) -> int:
        """What an account's vote on a proposal weighs, base units."""
        return int(self.read("getVotes", account, self.read("proposalSnapshot", number)))

    def nonce(self, account: str) -> int:
        """The nonce of an account's next signed ballot."""
        return int(self.read("nonces", account))

    def seats(self) -> dict[str, Chamber]:
        """The council: account → chamber."""
        return {s["account"]: Chamber(s["chamber"]) for s in self.read("seats")}

    def propose(
        self,
        wallet: Wallet,
        calls: Sequence[ProposedCall],
        description: str,
        key: str | None = None,
    ) -> Receipt:
        """Propose calls. Caller: a holder of GT or DCT; nobody else can take this text for it."""
        text = f"{description} #proposer={wallet.address}"
        return self.send(wallet, "propose", *_lists(calls), text, key=key)

    def object(self, wallet: Wallet, number: int, key: str | None = None) -> Receipt:
        """Object while the gate is open. Caller: a seat of the council."""
        return self.send(wallet, "object", number, key=key)

    def object_signed(
        self, wallet: Wallet, number: int, seat: str, signature: bytes, key: str | None = None
    ) -> Receipt:
        """Bring a seat's signed objection to the chain. Anybody may."""
        return self.send(wallet, "objectBySig", number, seat, signature, key=key)

    def vote(
        self, wallet: Wallet, number: int, support: Support, reason: str, key: str | None = None
    ) -> Receipt:
        """Vote with what the wallet held when the proposal was made."""
        return self.send(wallet, "castVoteWithReason", number, int(support), reason, key=key)

    def vote_signed(
        self,
        wallet: Wallet,
        number: int,
        support: Support,
        voter: str,
        signature: bytes,
        key: str | None = None,
    ) -> Receipt:
        """Bring a signed ballot to the chain. Anybody may."""
        args = (number, int(support), voter, signature)
        return self.send(wallet, "castVoteBySig", *args, key=key)

    def queue(self, wallet: Wallet, proposal: Proposal, key: str | None = None) -> Receipt:
        """Hand a carried proposal to the timelock. Anybody may."""
        return self.send(wallet, "queue", *proposal.terms(), key=key)

    def execute(self, wallet: Wallet, proposal: Proposal, key: str | None = None) -> Receipt:
        """Execute a queued proposal whose delay is over. Anybody may."""
        return self.send(wallet, "execute", *proposal.terms(), key=key)

    def cancel(self, wallet: Wallet, proposal: Proposal, key: str | None = None) -> Receipt:
        """Cancel a proposal while its gate is open. Caller: its proposer."""
        return self.send(wallet, "cancel", *proposal.terms(), key=key)


class Renderer:
    """Puts calls into words: names of the deployment's contracts and roles for addresses and numbers."""

    def __init__(self, deployment: Deployment) -> None:
        contracts = deployment.contracts.values()
        self._contracts = {c.address: c.name for c in contracts}
        # Administrator of a proxy → the contract behind it.
        self._admins = {first_created(c.address): c.name for c in contracts if c.proxy}

    def encode(self, contract: str, function: str, args: Sequence[Any]) -> ProposedCall:
        """A call of a function of the deployment. Raises BadInput."""
        addresses = {name: address for address, name in self._contracts.items()}
        if contract not in addresses:
            raise BadInput(f"The deployment has no contract {contract}.")
        return ProposedCall(addresses[contract], abi(contract).call(function, *args))

    def render(self, calls: Sequence[ProposedCall]) -> list[str]:
        """One line for each call, and a warning under each that needs one."""
        lines = []
        for number, call in enumerate(calls, 1):
            text, warnings = self._call(call)
            lines.append(f"{number}. {text}")
            lines += [f"   ! {warning}" for warning in warnings]
        return lines

    def _call(self, call: ProposedCall) -> tuple[str, list[str]]:
        warnings = []
        if call.value:
            warnings.append(f"It sends {call.value} wei.")
        contract = self._contracts.get(call.target)
        known, of = contract, ""
        if contract is None and call.target in self._admins:
            known, of = _PROXY_ADMIN, f" of {self._admins[call.target]}"
        if known is None:
            warnings.append("This deployment does not know the contract.")
            return f"{call.target} is sent 0x{call.data.hex()}", warnings
        try:
            function, args = abi(known).decode_call(call.data)
        except BadInput as error:
            warnings.append(str(error))
            return f"{known}{of} is sent 0x{call.data.hex()}", warnings
        if (known, None) in _POWERS or (known, function) in _POWERS:
            warnings.append("It changes who has power.")
        shown = ", ".join(self._arguments(known, abi(known), function, args))
        return f"{known}{of}.{function}({shown})", warnings

    def _arguments(
        self, contract: str, known: Abi, function: str, args: Sequence[Any]
    ) -> Iterator[str]:
        target = None
        for item, value in zip(known.function(function)["inputs"], args, strict=True):
            name = item["name"].removeprefix("_")
            if item["type"] == "address" and name == "target":
                target = self._contracts.get(value)
            yield f"{name} = {self._value(contract, name, value, target)}"

    def _value(self, contract: str, name: str, value: Any, target: str | None) -> str:
        if isinstance(value, dict):
            inner = (f"{k} = {self._value(contract, k, v, target)}" for k, v in value.items())
            return f"{{{', '.join(inner)}}}"
        if isinstance(value, (list, tuple)):
            return f"[{', '.join(self._value(contract, name, v, target) for v in value)}]"
        if isinstance(value, bytes):
            return _bytes(contract, value, target)
        if isinstance(value, str):
            known = self._contracts.get(value)
            return f"{known} ({value})" if known else value
        return _number(contract, name, value)


def _bytes(contract: str, value: bytes, target: str | None) -> str:
    text = f"0x{value.hex()}"
    if contract == "TimelockController" and value in _TIMELOCK_ROLES:
        return f"{_TIMELOCK_ROLES[value]} ({text})"
    if len(value) == 4 and target is not None:
        return abi(target).function_of(value) or text
    return text


def _number(contract: str, name: str, value: Any) -> str:
    if contract == "AccessManager" and name in ("roleId", "admin", "guardian"):
        return f"{Role(value).name} ({value})" if value in set(Role) else str(value)
    if contract == GOVERNOR and name == "chamber":
        return f"{Chamber(value).name} ({value})"
    return str(value)


def _lists(calls: Sequence[ProposedCall]) -> tuple[list[str], list[int], list[bytes]]:
    return [c.target for c in calls], [c.value for c in calls], [c.data for c in calls]


def _proposal(args: dict[str, Any]) -> Proposal:
    calls = zip(args["targets"], args["values"], args["calldatas"], strict=True)
    return Proposal(
        id=args["proposalId"],
        proposer=args["proposer"],
        calls=tuple(ProposedCall(target, data, value) for target, value, data in calls),
        description=args["description"],
        gate_end=args["voteStart"],
        vote_end=args["voteEnd"],
    )

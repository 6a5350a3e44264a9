"""Where the auditor gets its material: any chain that answers a few questions, and decoded logs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from eth_abi.exceptions import DecodingError

from medtoken._keccak import first_created
from medtoken.audit.journal import Event
from medtoken.chain.abi import Abi, abi
from medtoken.errors import ContractRefused, DeploymentError

PROXY = "TransparentUpgradeableProxy"
PROXY_ADMIN = "ProxyAdmin"
UNKNOWN = "an event that cannot be decoded"


class BlockHead(Protocol):
    """A block's number, hash and time (unix seconds)."""

    @property
    def number(self) -> int: ...  # noqa: D102
    @property
    def hash(self) -> bytes: ...  # noqa: D102
    @property
    def timestamp(self) -> int: ...  # noqa: D102


class ChainLog(Protocol):
    """A log as a node gives it; ``index`` is its place in the block."""

    @property
    def address(self) -> str: ...  # noqa: D102
    @property
    def topics(self) -> tuple[bytes, ...]: ...  # noqa: D102
    @property
    def data(self) -> bytes: ...  # noqa: D102
    @property
    def block(self) -> int: ...  # noqa: D102
    @property
    def tx(self) -> bytes: ...  # noqa: D102
    @property
    def index(self) -> int: ...  # noqa: D102


class Chain(Protocol):
    """What the auditor asks of a chain; ``medtoken.chain.node.Node`` answers it."""

    chain_id: int

    def head(self) -> BlockHead: ...  # noqa: D102
    def block(self, number: int) -> BlockHead: ...  # noqa: D102
    def logs(  # noqa: D102
        self, addresses: Sequence[str], first: int, last: int
    ) -> Iterable[ChainLog]: ...
    def call(self, to: str, data: bytes, block: int | None = None) -> bytes: ...  # noqa: D102
    def calls(  # noqa: D102
        self, asked: Sequence[tuple[str, bytes]], block: int
    ) -> Iterable[bytes | ContractRefused]: ...
    def storage(self, address: str, slot: int, block: int | None = None) -> int: ...  # noqa: D102


class Contract(Protocol):
    """A contract of a deployment record."""

    @property
    def address(self) -> str: ...  # noqa: D102
    @property
    def implementation(self) -> str | None: ...  # noqa: D102
    @property
    def block(self) -> int: ...  # noqa: D102


class Record(Protocol):
    """A deployment record; ``medtoken.deploy.record.Deployment`` is one."""

    @property
    def chain_id(self) -> int: ...  # noqa: D102
    @property
    def contracts(self) -> Mapping[str, Contract]: ...  # noqa: D102
    @property
    def first_block(self) -> int: ...  # noqa: D102


CONTRACTS = (
    "AccessManager",
    "TimelockController",
    "UsageToken",
    "ContributionToken",
    "GovernanceToken",
    "ResearchToken",
    "RecordRegistry",
    "Treasury",
    "Tariff",
    "Passkeys",
    "DataMarket",
    "AuctionHouse",
    "BasketDesk",
    "RoyaltyVault",
    "StorageRewards",
    "ResearchDesk",
    "LicenceView",
    "LicenceToken",
    "BadgeToken",
    "Rewards",
    "QualityDisputes",
    "InstitutionToken",
    "AssetAccount",
    "AssetDesk",
    "BreachCover",
    "CompensationFund",
    "DataTrust",
)
# What a suite may have from its deployment on, or get later (R28).
OPTIONAL = ("MedGovernor",)


@dataclass(frozen=True)
class Suite:
    """The addresses of a deployed suite: contracts by name, and which of them are proxies."""

    addresses: dict[str, str]
    proxies: dict[str, str]  # address → contract
    complete_at: int  # the block that made the last of those that no suite is without

    @classmethod
    def of(cls, record: Record, last: int | None = None) -> Suite:
        """From a deployment record, without what may be added and came after block ``last``.

        Raises DeploymentError when a contract is missing in it, or two are at one address.
        """
        missing = [name for name in CONTRACTS if name not in record.contracts]
        if missing:
            raise DeploymentError(f"The deployment record has no contract {', '.join(missing)}.")
        found = {name: record.contracts[name] for name in CONTRACTS}
        added = {name: record.contracts[name] for name in OPTIONAL if name in record.contracts}
        added = {name: c for name, c in added.items() if last is None or c.block <= last}
        at: dict[str, str] = {}
        for name, contract in (found | added).items():
            other = at.setdefault(contract.address.lower(), name)
            if other != name:
                raise DeploymentError(
                    f"The deployment record has {other} and {name} at one address, {contract.address}."
                )
        return cls(
            {name: c.address for name, c in (found | added).items()},
            {c.address: name for name, c in found.items() if c.implementation is not None},
            max(c.block for c in found.values()),
        )

    @property
    def emitters(self) -> dict[str, tuple[Abi, ...]]:
        """Every address whose logs count, with the interfaces that it may speak."""
        found: dict[str, tuple[Abi, ...]] = {}
        for name, address in self.addresses.items():
            found[address] = (abi(name), abi(PROXY)) if address in self.proxies else (abi(name),)
        for address in self.proxies:
            found[first_created(address)] = (abi(PROXY_ADMIN),)
        return found


def decoded(logs: Iterable[ChainLog], suite: Suite) -> Iterator[Event]:
    """Decode the logs of a suite. One that no interface knows keeps its place, without arguments."""
    emitters = suite.emitters
    for log in logs:
        interfaces = emitters.get(log.address)
        if interfaces is None:
            continue
        name, event, args = interfaces[0].name, UNKNOWN, {}
        for interface in interfaces:
            try:
                found = interface.log(log.topics, log.data)
            except (DecodingError, ValueError):
                break
            if found is not None:
                name, event, args = found.contract, found.event, found.args
                break
        yield Event(name, event, args, log.address, log.block, log.tx, log.index)

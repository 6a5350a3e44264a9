"""Who may do what on a chain now: every function that changes anything, its callers and their delay (R29).

``read_powers`` asks the chain and nothing else: members of roles from the AccessManager's events, each
confirmed by a call at the same block; functions, delays, bound contracts and owners by calls. Events are
read from the chain's first block on, whatever blocks the record names. The tables in ``roles`` and
``callers`` say which questions to ask, never the answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from eth_utils import to_checksum_address

from medtoken import artifacts
from medtoken.chain.abi import Log, abi, selector
from medtoken.chain.words import BudgetWord
from medtoken.deploy.callers import CALLERS, CARRIED, RULERS, Caller, Kind
from medtoken.deploy.plan import GOVERNOR, PEOPLE, ZERO_ADDRESS
from medtoken.deploy.record import Deployment
from medtoken.deploy.roles import Role
from medtoken.deploy.timelock import TIMELOCK, RawLog, Waiting, read_logs
from medtoken.errors import DeploymentError, WrongChain

PROXY_ADMIN = "ProxyAdmin"
PUBLIC_ROLE = 2**64 - 1  # OpenZeppelin's: everybody is a member
# Slots of ERC-1967.
IMPLEMENTATION_SLOT = 0x360894A13BA1A3210667C828492DB98DCA3E2076CC3735A920A3CA505D382BBC
ADMIN_SLOT = 0xB53127684A568B3173AE13B9F8A6016E243E63B6E8EE1178D6A717850B5D6103
TIMELOCK_ROLES = ("PROPOSER_ROLE", "CANCELLER_ROLE", "EXECUTOR_ROLE", "DEFAULT_ADMIN_ROLE")

# Contracts whose events say who was ever given a power.
_TOLD_BY = ("AccessManager", TIMELOCK, "Treasury", "UsageToken")
_PROTOCOL = 2  # the bit of a protocol contract in the usage token's standing
# Functions that one contract may call, by the view that names it.
_NAMED_BY = {
    ("ContributionToken", "mint"): "minter",
    ("GovernanceToken", "mint"): "minter",
    ("BadgeToken", "mint"): "minter",
    ("InstitutionToken", "mint"): "minter",
    ("ResearchToken", "mint"): "desk",
    ("ResearchToken", "burn"): "desk",
}


class _Block(Protocol):
    @property
    def number(self) -> int: ...
    @property
    def timestamp(self) -> int: ...


class Chain(Protocol):
    """What is asked of a chain; ``medtoken.chain.node.Node`` answers it."""

    chain_id: int

    def head(self) -> _Block: ...  # noqa: D102
    def logs(  # noqa: D102
        self, addresses: Sequence[str], first: int, last: int
    ) -> Iterable[RawLog]: ...
    def call(self, to: str, data: bytes, block: int | None = None) -> bytes: ...  # noqa: D102
    def made(self, tx: bytes) -> tuple[str, int] | None: ...  # noqa: D102
    def storage(self, address: str, slot: int, block: int | None = None) -> int: ...  # noqa: D102


@dataclass(frozen=True)
class Holder:
    """An account that may do something, ``delay`` seconds after it asks.

    ``address`` is zero for everybody, ``name`` empty where the deployment does not know it; ``since``
    is the unix time from which it may, where that is still to come, else zero.
    """

    address: str
    name: str
    delay: int = 0
    since: int = 0

    def text(self, *, addresses: bool) -> str:
        """In words; its address where that is asked for, or where it has no name."""
        if self.address == ZERO_ADDRESS:
            return "anybody"
        who = self.name or self.address
        if addresses and self.name:
            who += f" ({self.address})"
        return who + (f", from unix time {self.since} on" if self.since else "")


@dataclass(frozen=True)
class RoleState:
    """A role of the AccessManager: who names its members, after how many seconds, and who they are."""

    id: int
    name: str
    admin: int
    guardian: int
    grant_delay: int
    holders: tuple[Holder, ...]


@dataclass(frozen=True)
class Power:
    """A function and who may call it: in words, and the accounts where the chain names them."""

    contract: str
    address: str
    function: str
    kind: Kind
    who: str
    role: int | None = None
    holders: tuple[Holder, ...] = ()


@dataclass(frozen=True)
class Stray:
    """A function that the AccessManager gives to a role and that this release does not know."""

    address: str
    contract: str
    selector: str
    role: int


@dataclass(frozen=True)
class Powers:
    """Who may do what at a block."""

    chain_id: int
    block: int
    timelock_delay: int  # seconds
    roles: tuple[RoleState, ...]
    functions: tuple[Power, ...]
    strays: tuple[Stray, ...]
    closed: tuple[str, ...]  # contracts whose restricted functions nobody may call
    admin_delays: dict[
        str, int
    ]  # by contract: seconds before its table of functions changes; not zero
    # Operations that wait in the timelock, and that no proposal which the governor has queued explains.
    unexplained: tuple[str, ...]
    governor_timelock: str | None  # which timelock the governor obeys, if there is a governor
    rules: dict[str, int]  # of the governor: gate and period in seconds, threshold in base units

    def role(self, number: int) -> RoleState:
        """A role by its number."""
        return next(r for r in self.roles if r.id == number)

    def of(self, contract: str, function: str) -> Power:
        """Who may call a function."""
        return next(p for p in self.functions if (p.contract, p.function) == (contract, function))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Row:
    """Functions of one contract that the same may call; ``after`` is empty where it is at once."""

    contract: str
    functions: tuple[str, ...]
    who: str
    after: str


def rows(powers: Powers, *, addresses: bool) -> list[Row]:
    """The functions as a table for people, those with the same callers together."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for power in powers.functions:
        key = (power.contract, _who(powers, power, addresses=addresses), _after(power.holders))
        found.setdefault(key, []).append(power.function)
    return [Row(contract, tuple(f), who, after) for (contract, who, after), f in found.items()]


def role_rows(powers: Powers, *, addresses: bool) -> list[tuple[str, str, str, str]]:
    """The roles as a table for people: name, who holds it, who names its holders, who can cancel."""
    names = {role.id: role.name for role in powers.roles}
    return [
        (
            role.name,
            _all(role.holders, addresses=addresses),
            names.get(role.admin, f"role {role.admin}")
            + (f", after {role.grant_delay:,} s" if role.grant_delay else ""),
            names.get(role.guardian, f"role {role.guardian}"),
        )
        for role in powers.roles
    ]


def read_powers(chain: Chain, deployment: Deployment) -> Powers:
    """Read from the chain who may do what at its newest block.

    Raises WrongChain when the record is another chain's, DeploymentError when it lacks a contract or has
    one that nobody knows, and whatever the chain's client raises.
    """
    if chain.chain_id != deployment.chain_id:
        raise WrongChain(
            f"The deployment record is for chain {deployment.chain_id}, "
            f"but the node is on chain {chain.chain_id}."
        )
    return _Reader(chain, deployment).read()


def proxy_admin(chain: Chain, proxy: str, block: int | None = None) -> str:
    """The contract that a proxy's slot names as its admin."""
    return _to_address(chain.storage(proxy, ADMIN_SLOT, block))


class _Reader:
    def __init__(self, chain: Chain, deployment: Deployment) -> None:
        self._chain = chain
        self._deployment = deployment
        self._head = chain.head()
        self._block = self._head.number
        self._timelock = deployment.address("TimelockController")
        self._manager = deployment.address("AccessManager")
        self._admins = {
            name: proxy_admin(chain, contract.address, self._block)
            for name, contract in deployment.contracts.items()
            if contract.proxy
        }
        self._names = self._known()
        self._delay = int(self._ask("TimelockController", "getMinDelay"))
        self._told = read_logs(chain, deployment, _TOLD_BY, self._block)
        self._waiting = Waiting(chain, deployment, self._block, self._told[TIMELOCK])
        self._governor = None
        if GOVERNOR in deployment.contracts:
            self._governor = deployment.address(GOVERNOR)
            self._obeyed = str(self._ask(GOVERNOR, "timelock"))

    def read(self) -> Powers:
        logs = self._told["AccessManager"]
        roles = tuple(self._roles(logs))
        by_id = {role.id: role for role in roles}
        targets = {
            **{c.address: name for name, c in self._deployment.contracts.items()},
            **{
                log.args["target"]: self._name(log.args["target"])
                for log in logs
                if "target" in log.args
            },
        }
        return Powers(
            chain_id=self._chain.chain_id,
            block=self._block,
            timelock_delay=self._delay,
            roles=roles,
            functions=tuple(self._functions(by_id)),
            strays=tuple(self._strays(logs)),
            closed=tuple(
                name or address
                for address, name in targets.items()
                if self._ask("AccessManager", "isTargetClosed", address)
            ),
            admin_delays={
                name or address: delay
                for address, name in targets.items()
                if (delay := int(self._ask("AccessManager", "getTargetAdminDelay", address)))
            },
            unexplained=tuple("0x" + operation.hex() for operation in self._waiting.unexplained()),
            governor_timelock=self._obeyed if self._governor else None,
            rules=self._rules() if self._governor else {},
        )

    def _rules(self) -> dict[str, int]:
        views = {
            "gate": "votingDelay",
            "period": "votingPeriod",
            "threshold": "proposalThreshold",
            "quorumShare": "quorumShare",
            "divisor": "contributionDivisor",
        }
        return {name: int(self._ask(GOVERNOR, view)) for name, view in views.items()}

    # ------------------------------------------------------------------ roles

    def _roles(self, logs: list[Log]) -> Iterator[RoleState]:
        names: dict[int, str] = {int(role): role.name for role in Role}
        ever: dict[int, dict[str, None]] = {int(role): {} for role in Role}
        for log in logs:
            number = log.args.get("roleId")
            if number is None or number == PUBLIC_ROLE:
                continue
            members = ever.setdefault(int(number), {})
            if log.event == "RoleGranted":
                members[log.args["account"]] = None
            elif log.event == "RoleLabel":
                names.setdefault(int(number), log.args["label"])
        for number, accounts in sorted(ever.items()):
            holders = (self._member(number, account) for account in accounts)
            yield RoleState(
                id=number,
                name=names.get(number) or f"role {number}",
                admin=int(self._ask("AccessManager", "getRoleAdmin", number)),
                guardian=int(self._ask("AccessManager", "getRoleGuardian", number)),
                grant_delay=int(self._ask("AccessManager", "getRoleGrantDelay", number)),
                holders=tuple(h for h in holders if h is not None),
            )

    def _member(self, role: int, account: str) -> Holder | None:
        since, delay, _, _ = self._ask("AccessManager", "getAccess", role, account)
        if since == 0:
            return None
        later = int(since) if since > self._head.timestamp else 0
        return Holder(account, self._name(account, role), int(delay), later)

    def _of_role(self, role: RoleState | None) -> tuple[Holder, ...]:
        """Who may call what belongs to a role, with the timelock's own delay."""
        if role is None:
            return (Holder(ZERO_ADDRESS, "anybody"),)
        return tuple(self._slowed(holder) for holder in role.holders)

    def _slowed(self, holder: Holder) -> Holder:
        wait = self._delay if holder.address == self._timelock else 0
        return Holder(holder.address, holder.name, holder.delay + wait, holder.since)

    # ------------------------------------------------------------------ functions

    def _functions(self, roles: Mapping[int, RoleState]) -> Iterator[Power]:
        for name, contract in self._deployment.contracts.items():
            known = CALLERS.get(name, RULERS.get(name))
            if known is None:
                raise DeploymentError(f"This release does not know the contract {name}.")
            for function, caller in known.items():
                yield self._power(name, contract.address, function, caller, roles)
        for name, admin in self._admins.items():
            owner = _result(self._chain, PROXY_ADMIN, admin, "owner", block=self._block)
            holders = tuple(self._slowed(h) for h in self._holders([owner]))
            for function, caller in RULERS[PROXY_ADMIN].items():
                title = f"{PROXY_ADMIN} of {name}"
                yield Power(title, admin, function, caller.kind, caller.who, holders=holders)

    def _power(
        self,
        contract: str,
        address: str,
        function: str,
        caller: Caller,
        roles: Mapping[int, RoleState],
    ) -> Power:
        if caller.kind is not Kind.RESTRICTED:
            holders = tuple(self._bound(contract, function))
            return Power(contract, address, function, caller.kind, caller.who, holders=holders)
        role = int(Role.ADMIN)  # of the manager's own functions, whatever its table says
        if contract != "AccessManager":
            chosen = abi(contract).selector(function)
            role = int(self._ask("AccessManager", "getTargetFunctionRole", address, chosen))
        state = roles.get(role)
        if state is None and role != PUBLIC_ROLE:  # a role that nobody ever had
            state = RoleState(role, f"role {role}", int(Role.ADMIN), int(Role.ADMIN), 0, ())
        return Power(
            contract,
            address,
            function,
            caller.kind,
            state.name if state else "",
            role=role,
            holders=self._of_role(state),
        )

    def _bound(self, contract: str, function: str) -> Iterator[Holder]:
        """The accounts that a contract itself names."""
        if view := _NAMED_BY.get((contract, function)):
            yield from self._holders([self._ask(contract, view)])
        elif function == "setAuthority":
            yield from self._holders([self._ask(contract, "authority")])
        elif (contract, function) == ("UsageToken", "burn"):
            marked = dict.fromkeys(
                log.args["account"]
                for log in self._told[contract]
                if log.event == "StandingChanged" and log.args["current"] & _PROTOCOL
            )
            yield from self._holders(
                who for who in marked if self._ask(contract, "standing", who) & _PROTOCOL
            )
        elif contract == "Treasury" and function in ("spend", "give_back"):
            given = dict.fromkeys(
                log.args["spender"] for log in self._told[contract] if log.event == "BudgetApproved"
            )
            for spender in given:
                budget = BudgetWord.unpack(int(self._ask(contract, "budget_word", spender)))
                if function == "give_back" or budget.until > self._head.timestamp:
                    yield from self._holders([spender])
        elif contract == "MedGovernor":
            if RULERS[contract][function] == CARRIED:
                yield self._slowed(Holder(self._obeyed, self._name(self._obeyed)))
        elif contract == "TimelockController":
            role = {
                "schedule": "PROPOSER_ROLE",
                "scheduleBatch": "PROPOSER_ROLE",
                "cancel": "CANCELLER_ROLE",
                "execute": "EXECUTOR_ROLE",
                "executeBatch": "EXECUTOR_ROLE",
                "grantRole": "DEFAULT_ADMIN_ROLE",
                "revokeRole": "DEFAULT_ADMIN_ROLE",
            }.get(function)
            if role:
                for who in self._in_timelock(role):
                    waits = (
                        self._delay if function.startswith(("execute", "grant", "revoke")) else 0
                    )
                    yield Holder(who, self._name(who), waits)
            elif function == "updateDelay":
                yield Holder(self._timelock, contract, self._delay)

    def _in_timelock(self, role: str) -> list[str]:
        return self._waiting.holders(self._ask("TimelockController", role))

    def _strays(self, logs: list[Log]) -> Iterator[Stray]:
        known = {
            (contract.address, selector(entry))
            for name, contract in self._deployment.contracts.items()
            for entry in artifacts.load(name)["abi"]
            if entry["type"] == "function" and entry["name"] in CALLERS.get(name, ())
        }
        given = dict.fromkeys(
            (log.args["target"], log.args["selector"])
            for log in logs
            if log.event == "TargetFunctionRoleUpdated"
        )
        for target, chosen in given:
            role = int(self._ask("AccessManager", "getTargetFunctionRole", target, chosen))
            if (target, chosen) not in known and role != Role.ADMIN:
                yield Stray(target, self._name(target), "0x" + chosen.hex(), role)

    # ------------------------------------------------------------------ asking

    def _ask(self, contract: str, function: str, *args: Any) -> Any:
        address = self._deployment.address(contract)
        return _result(self._chain, contract, address, function, *args, block=self._block)

    def _holders(self, accounts: Iterable[str]) -> Iterator[Holder]:
        for account in accounts:
            if account != ZERO_ADDRESS:
                yield Holder(account, self._name(account))

    # ------------------------------------------------------------------ names

    def _known(self) -> dict[str, list[str]]:
        deployment = self._deployment
        named = [
            *((c.address, name) for name, c in deployment.contracts.items()),
            *((admin, f"{PROXY_ADMIN} of {name}") for name, admin in self._admins.items()),
            *((who, office) for office, who in deployment.offices.items()),
            (deployment.deployer, "deployer"),
        ]
        known: dict[str, list[str]] = {}
        for address, name in named:
            known.setdefault(address, []).append(name)
        return known

    def _name(self, address: str, role: int | None = None) -> str:
        """What the deployment calls an account: by its office in the role, else by its first name."""
        for office, who in self._deployment.offices.items():
            if role is not None and who == address and PEOPLE.get(office) == role:
                return office
        return self._known_first(address)

    def _known_first(self, address: str) -> str:
        return self._names.get(address, [""])[0]


def _result(
    chain: Chain, contract: str, address: str, function: str, *args: Any, block: int | None
) -> Any:
    data = abi(contract).call(function, *args)
    return abi(contract).result(function, chain.call(address, data, block))


def _to_address(word: int) -> str:
    return str(to_checksum_address(word.to_bytes(32)[12:]))


def _who(powers: Powers, power: Power, *, addresses: bool) -> str:
    names = _all(power.holders, addresses=addresses)
    if power.role == PUBLIC_ROLE:
        return "anybody"
    if power.role is not None:
        closed = power.contract in powers.closed
        return f"{power.who}: {'nobody, it is closed' if closed else names}"
    return f"{power.who}: {names}" if power.holders else power.who


def _all(holders: Sequence[Holder], *, addresses: bool) -> str:
    return ", ".join(h.text(addresses=addresses) for h in holders) or "nobody"


def _after(holders: Sequence[Holder]) -> str:
    waits = list(dict.fromkeys(h.delay for h in holders))
    if not any(waits):
        return ""
    if len(waits) == 1:
        return f"after {waits[0]:,} s"
    return "; ".join(f"{h.name or h.address} after {h.delay:,} s" for h in holders)

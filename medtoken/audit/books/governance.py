"""Who may do what, and who changed it: AccessManager, timelock, proxies (R29)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from eth_abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils import to_checksum_address

from medtoken._keccak import first_created, keccak
from medtoken.audit.books.base import ZERO_ADDRESS, Book, Handler, hexed
from medtoken.audit.books.rewards import FEEDBACK, IDEA
from medtoken.audit.books.tariff import TariffBook
from medtoken.audit.books.usage import FROZEN, PROTOCOL
from medtoken.audit.journal import Event, Journal
from medtoken.chain.abi import abi
from medtoken.deploy.roles import CANCELLER, EXECUTOR, PROPOSER, TIMELOCK_ADMIN, Role
from medtoken.vocabulary import Capability

# The function that each event of a restricted call comes from. Where several may have caused it,
# they belong to the same role.
_RESTRICTED = {
    ("AssetDesk", "LineageCancelled"): "cancel",
    ("AssetDesk", "ParameterChanged"): "set_share",
    ("AuctionHouse", "TermsChanged"): "set_terms",
    ("BasketDesk", "StepsChanged"): "set_steps",
    ("BreachCover", "ClaimDecided"): "decide_claim",
    ("BreachCover", "ParameterChanged"): "set_term",
    ("CompensationFund", "Compensated"): "compensate",
    ("ContributionToken", "MinterBound"): "bindMinter",
    ("ContributionToken", "Recovered"): "recover",
    ("DataMarket", "AgreementChanged"): "set_agreement",
    ("DataMarket", "LicenceSuspended"): "set_suspended",
    ("DataMarket", "LicenseeChanged"): "set_licensee",
    ("DataMarket", "PlatformChanged"): "set_platform",
    ("DataMarket", "RatesChanged"): "set_rates",
    ("DataMarket", "WindowChanged"): "set_window",
    ("DataTrust", "TrusteeChanged"): "set_trustee",
    ("GovernanceToken", "MinterBound"): "bindMinter",
    ("GovernanceToken", "Recovered"): "recover",
    ("InstitutionToken", "MinterBound"): "bindMinter",
    ("Passkeys", "ParameterChanged"): "set_delay",
    ("QualityDisputes", "ChallengeResolved"): "resolve",
    ("QualityDisputes", "ParameterChanged"): "set_bond",
    ("RecordRegistry", "AttestationRevised"): "revise",
    ("RecordRegistry", "ParameterChanged"): "set_coefficient",
    ("BadgeToken", "MinterBound"): "bindMinter",
    ("Rewards", "BeneficiaryChanged"): "set_beneficiary",
    ("Rewards", "ParameterChanged"): "set_parameter",
    ("Rewards", "ServiceChanged"): "set_service",
    ("ResearchDesk", "OutcomeVerified"): "verify_outcome",
    ("ResearchDesk", "RewardChanged"): "set_reward",
    ("ResearchDesk", "SeatsChanged"): "set_seats",
    ("ResearchDesk", "ShareChanged"): "set_share",
    ("ResearchToken", "DeskBound"): "bindDesk",
    ("RoyaltyVault", "OptionVested"): "vest_option",
    ("RoyaltyVault", "RoyaltyWaived"): "waive",
    ("RoyaltyVault", "SalesAttested"): "attest_sales",
    ("RoyaltyVault", "StudyCancelled"): "cancel",
    ("StorageRewards", "BonusesChanged"): "set_bonuses",
    ("StorageRewards", "RelationChanged"): "set_related",
    ("StorageRewards", "RulesChanged"): "set_rules",
    ("Tariff", "EmergencyDeclared"): "declare_emergency",
    ("Tariff", "FactorChanged"): "set_factor",
    ("Tariff", "MarketBound"): "bind_market",
    ("Tariff", "ReferenceChanged"): "set_reference",
    ("Treasury", "BudgetApproved"): "approve_budget",
    ("Treasury", "LevyReceived"): "receive_levy",
    ("Treasury", "ParameterChanged"): "set_ceiling",
    ("Treasury", "ReserveBurned"): "burn_reserve",
    ("UsageToken", "CapChanged"): "setCap",
    ("UsageToken", "Issued"): "issue",
    ("UsageToken", "Redeemed"): "redeem",
}

# Anybody may have the vault follow the market's levy.
_VAULT_SETTERS = {keccak(text=name): f"set_{name}" for name in ("rate", "window")}


def restricted_function(event: Event) -> str | None:
    """The restricted function that a contract's event comes from; None when anybody may cause it."""
    args = event.args
    found = _RESTRICTED.get((event.contract, event.event))
    match event.contract, event.event:
        case "UsageToken", "StandingChanged":
            changed = args["previous"] ^ args["current"]
            found = {PROTOCOL: "setProtocol", FROZEN: "setFrozen"}.get(changed, "admit")
        case "DataMarket", "DeskMoved":
            found = "release" if args["source"] == args["desk"] else "charge"
        case "DataMarket", "LicenceBought":
            found = "issue_licence" if args["payer"] != args["licensee"] else None
        case "Rewards", "PointsEarned":
            found = {FEEDBACK: "attest_feedback", IDEA: "adopt_idea"}.get(args["source"])
        case "RoyaltyVault", "ParameterChanged":
            found = _VAULT_SETTERS.get(args["name"])
        case (
            (
                "DataMarket"
                | "RoyaltyVault"
                | "QualityDisputes"
                | "BreachCover"
                | "CompensationFund"
            ),
            "PauseChanged",
        ):
            found = "pause" if args["paused"] else "unpause"
        case "RecordRegistry", "InstitutionChanged":
            kept = args["previousCapabilities"] & ~Capability.ATTESTER
            lost = args["capabilities"] == kept != args["previousCapabilities"]
            same = args["account"] == args["previousAccount"]
            found = "disqualify" if lost and same else "accredit"
        case "ContributionToken" | "GovernanceToken", "Transfer":
            found = "burn" if args["to"] == ZERO_ADDRESS else None
    return found


TIMELOCK_ROLES = (TIMELOCK_ADMIN, PROPOSER, EXECUTOR, CANCELLER)
# The role that the manager takes everybody for a member of.
_PUBLIC = 2**64 - 1
# Seconds before a changed delay of a role's grants or of a target's administration holds.
_SETBACK = 5 * 86_400


@dataclass(frozen=True)
class Delay:
    """A delay, seconds, that may be about to change at ``effect``, unix seconds."""

    before: int = 0
    after: int = 0
    effect: int = 0

    def at(self, now: int) -> int:
        """The delay that holds now."""
        return self.after if self.effect <= now else self.before

    def full(self, now: int) -> tuple[int, int, int]:
        """What holds now, what is to come, and when; zeros when nothing is."""
        return (self.after, 0, 0) if self.effect <= now else (self.before, self.after, self.effect)

    def update(self, now: int, value: int, setback: int = 0) -> Delay:
        """Another value: a lower one holds only after as long as it is lower."""
        current = self.at(now)
        return Delay(current, value, now + max(setback, current - value, 0))


@dataclass(frozen=True)
class Member:
    """A role's member: since when (unix seconds; zero: no more), and its execution delay."""

    since: int = 0
    delay: Delay = Delay()


class AccessBook(Book):
    """Roles, their members, and which role may call which function."""

    def __init__(self, journal: Journal) -> None:
        """Start empty."""
        super().__init__(journal)
        self.members: dict[tuple[int, str], Member] = {}  # also of those who left, with since 0
        self.admins: dict[int, int] = {}
        self.guardians: dict[int, int] = {}
        self.functions: dict[tuple[str, bytes], int] = {}
        self.closed: dict[str, bool] = {}
        self.labels: dict[int, str] = {}
        self.grant_delays: dict[int, Delay] = {}
        self.target_delays: dict[str, Delay] = {}
        self.nonces: dict[bytes, int] = {}
        self.schedules: dict[bytes, int] = {}

    def holders(self, role: int) -> set[str]:
        """Who has a role, those included whose membership starts later."""
        return {a for (r, a), member in self.members.items() if r == role and member.since}

    def may_call(self, account: str, target: str, function: bytes) -> bool:
        """Whether an account may call a function itself, now."""
        role = self.functions.get((target, function), int(Role.ADMIN))
        if role == _PUBLIC:
            return True
        member = self.members.get((role, account), Member())
        # Only a member's time, and only then, needs the clock.
        return member.since != 0 and (
            not self.journal.before(member.since) and member.delay.at(self.journal.now) == 0
        )

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        roles = sorted({role for role, _ in self.members} | set(self.labels) | set(self.admins))
        return {
            str(role): {
                "label": self.labels.get(role, "ADMIN" if role == Role.ADMIN else ""),
                "admin": self.admins.get(role, int(Role.ADMIN)),
                "members": sorted(self.holders(role)),
                "functions": [
                    {"target": target, "selector": hexed(selector)}
                    for (target, selector), held in sorted(self.functions.items())
                    if held == role
                ],
            }
            for role in roles
        }

    def _granted(self, event: Event) -> None:
        args, now = event.args, self.journal.now
        role, account = args["roleId"], args["account"]
        before = self.members.get((role, account), Member())
        if before.since == 0:
            since = now + self.grant_delays.get(role, Delay()).at(now)
            delay = Delay().update(now, args["delay"])
            told = since
        else:
            since, delay = before.since, before.delay.update(now, args["delay"])
            told = delay.effect
        self.journal.expect(
            7,
            "R29",
            f"whether {account} is new in role {role}, and since when",
            (before.since == 0, told),
            (args["newMember"], args["since"]),
        )
        self.members[role, account] = Member(since, delay)

    def _revoked(self, event: Event) -> None:
        role, account = event.args["roleId"], event.args["account"]
        self.journal.require(
            self.members.get((role, account), Member()).since != 0,
            7,
            "R29",
            f"role {role} was taken from {account}, who did not have it",
        )
        self.members[role, account] = Member()

    def _admin(self, event: Event) -> None:
        self.admins[event.args["roleId"]] = event.args["admin"]

    def _guardian(self, event: Event) -> None:
        self.guardians[event.args["roleId"]] = event.args["guardian"]

    def _function(self, event: Event) -> None:
        args = event.args
        self.functions[args["target"], args["selector"]] = args["roleId"]

    def _target(self, event: Event) -> None:
        self.closed[event.args["target"]] = event.args["closed"]

    def _label(self, event: Event) -> None:
        self.labels[event.args["roleId"]] = event.args["label"]

    def _grant_delay(self, event: Event) -> None:
        role = event.args["roleId"]
        before = self.grant_delays.get(role, Delay())
        self.grant_delays[role] = self._later(event, before, f"grants of role {role}")

    def _target_delay(self, event: Event) -> None:
        target = event.args["target"]
        before = self.target_delays.get(target, Delay())
        self.target_delays[target] = self._later(event, before, f"changes of {target}")

    def _later(self, event: Event, before: Delay, what: str) -> Delay:
        delay = before.update(self.journal.now, event.args["delay"], _SETBACK)
        text = f"when another delay for {what} holds"
        self.journal.expect(7, "R29", text, delay.effect, event.args["since"])
        return delay

    def _scheduled(self, event: Event) -> None:
        args, operation, nonce = event.args, event.args["operationId"], event.args["nonce"]
        call = [args["caller"], args["target"], args["data"]]
        self.journal.expect(
            7,
            "R29",
            "id and nonce of an operation of the manager",
            (keccak(encode(["address", "address", "bytes"], call)), self._nonce(operation) + 1),
            (operation, nonce),
        )
        self.nonces[operation] = nonce
        self.schedules[operation] = event.args["schedule"]

    def _nonce(self, operation: bytes) -> int:
        return self.nonces.get(operation, 0)

    def _done(self, event: Event) -> None:
        operation = event.args["operationId"]
        due = self.schedules.get(operation, 0)
        name = f"nonce of operation {hexed(operation)}"
        self.journal.expect(7, "R29", name, self._nonce(operation), event.args["nonce"])
        self.journal.require(
            due != 0 and (event.event == "OperationCanceled" or not self.journal.before(due)),
            7,
            "R29",
            f"operation {hexed(operation)} was not scheduled, or carried out too early",
        )
        self.schedules[operation] = 0

    handlers: ClassVar[Mapping[str, Handler]] = {
        "RoleGranted": _granted,
        "RoleRevoked": _revoked,
        "RoleAdminChanged": _admin,
        "RoleGuardianChanged": _guardian,
        "RoleGrantDelayChanged": _grant_delay,
        "RoleLabel": _label,
        "TargetFunctionRoleUpdated": _function,
        "TargetClosed": _target,
        "TargetAdminDelayUpdated": _target_delay,
        "OperationScheduled": _scheduled,
        "OperationExecuted": _done,
        "OperationCanceled": _done,
    }


@dataclass(frozen=True)
class Operation:
    """An operation of the timelock: its calls, and from when it may run (unix seconds)."""

    calls: dict[int, tuple[str, int, bytes]]  # index → target, value, data
    predecessor: bytes
    ready_at: int
    executed: frozenset[int] = frozenset()
    cancelled: bool = False

    @property
    def done(self) -> bool:
        """Whether every call was carried out."""
        return len(self.executed) == len(self.calls)


class TimelockBook(Book):
    """What was proposed to the timelock, when it may run, and what ran."""

    def __init__(self, journal: Journal) -> None:
        """Start empty."""
        super().__init__(journal)
        self.operations: dict[bytes, Operation] = {}
        self.min_delay = 0
        self.members: dict[tuple[bytes, str], bool] = {}
        self.admins: dict[bytes, bytes] = {}
        # targets that the transaction at hand called, and with what
        self.executed: list[tuple[str, bytes]] = []
        # operations that it took, and who might propose then
        self.scheduled: list[tuple[bytes, set[str]]] = []
        self._births: set[bytes] = set()

    def is_birth(self, event: Event) -> bool:
        """Whether this is the transaction in which the timelock was made."""
        return event.tx in self._births

    def end_transaction(self) -> None:
        """Forget what this transaction called and scheduled."""
        self.executed.clear()
        self.scheduled.clear()

    def holders(self, role: bytes) -> set[str]:
        """Who has a role of the timelock."""
        return {account for (of, account), held in self.members.items() if of == role and held}

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        return {
            "min_delay": self.min_delay,
            "operations": {
                hexed(key): {
                    "ready_at": op.ready_at,
                    "done": op.done,
                    "cancelled": op.cancelled,
                    "calls": [
                        {"target": target, "value": str(value), "data": hexed(data)}
                        for _, (target, value, data) in sorted(op.calls.items())
                    ],
                }
                for key, op in sorted(self.operations.items())
            },
            "members": [
                {"role": hexed(role), "account": account}
                for (role, account), held in sorted(self.members.items())
                if held
            ],
        }

    def _scheduled(self, event: Event) -> None:
        args = event.args
        call = (args["target"], args["value"], args["data"])
        self.scheduled.append((args["id"], self.holders(PROPOSER)))
        found = self.operations.get(args["id"])
        ready_at = self.journal.now + args["delay"]
        if found is None or found.cancelled:
            self.journal.require(
                args["delay"] >= self.min_delay,
                7,
                "R29",
                f"operation {hexed(args['id'])} waits less than the least delay",
            )
            found = Operation({}, args["predecessor"], ready_at)
        self.journal.expect(
            7,
            "R29",
            f"since when, and after which other, operation {hexed(args['id'])} may run",
            (found.ready_at, found.predecessor),
            (ready_at, args["predecessor"]),
        )
        self.operations[args["id"]] = replace(found, calls={**found.calls, args["index"]: call})

    def _executed(self, event: Event) -> None:
        args = event.args
        name = f"operation {hexed(args['id'])}"
        self.executed.append((args["target"], args["data"]))
        found = self.operations.get(args["id"])
        if found is None:
            self.journal.require(False, 7, "R29", f"{name} ran without being proposed")
            return
        self.journal.expect(
            7,
            "R29",
            f"call {args['index']} of {name}",
            found.calls.get(args["index"]),
            (args["target"], args["value"], args["data"]),
        )
        self.journal.require(
            not found.cancelled
            and args["index"] not in found.executed
            and not self.journal.before(found.ready_at),
            7,
            "R29",
            f"{name} ran twice, too early, or after it was cancelled",
        )
        before = self.operations.get(found.predecessor)
        self.journal.require(
            not any(found.predecessor) or (before is not None and before.done),
            7,
            "R29",
            f"{name} ran before the one that it waits for",
        )
        self.operations[args["id"]] = replace(found, executed=found.executed | {args["index"]})

    def _cancelled(self, event: Event) -> None:
        key = event.args["id"]
        found = self.operations.get(key)
        if found is None or found.done or found.cancelled:
            self.journal.require(False, 7, "R29", f"operation {hexed(key)} was not pending")
            return
        self.operations[key] = replace(found, cancelled=True)

    def _delay(self, event: Event) -> None:
        self.journal.expect(
            7, "R29", "the least delay that was", self.min_delay, event.args["oldDuration"]
        )
        self.min_delay = event.args["newDuration"]

    def _granted(self, event: Event) -> None:
        if not self.members:
            self._births.add(event.tx)
        self.members[event.args["role"], event.args["account"]] = True

    def _revoked(self, event: Event) -> None:
        key = (event.args["role"], event.args["account"])
        self.journal.require(
            self.members.get(key, False),
            7,
            "R29",
            f"a role of the timelock was taken from {key[1]}, who did not have it",
        )
        self.members[key] = False

    def _admin(self, event: Event) -> None:
        self.admins[event.args["role"]] = event.args["newAdminRole"]

    handlers: ClassVar[Mapping[str, Handler]] = {
        "CallScheduled": _scheduled,
        "CallExecuted": _executed,
        "Cancelled": _cancelled,
        "MinDelayChange": _delay,
        "RoleGranted": _granted,
        "RoleRevoked": _revoked,
        "RoleAdminChanged": _admin,
    }
    silent = frozenset({"CallSalt"})


@dataclass
class Proxy:
    """A proxy: where its logic is, who administers it, and who owns that administrator."""

    implementation: str = ZERO_ADDRESS
    admin: str = ZERO_ADDRESS
    owner: str = ZERO_ADDRESS
    births: set[bytes] = field(default_factory=set)  # the transaction that made it
    upgrades: list[tuple[int, str]] = field(default_factory=list)  # block, implementation


class ProxyBook(Book):
    """Every proxy of the suite, by its own address."""

    def __init__(self, journal: Journal, proxies: dict[str, str]) -> None:
        """``proxies`` gives the contract behind each proxy's address."""
        super().__init__(journal)
        self.names = proxies
        self.proxies = {address: Proxy() for address in proxies}
        # OpenZeppelin's proxy makes its administrator itself: the address follows from its own.
        self._of_admin = {first_created(address): address for address in proxies}

    @property
    def admins(self) -> tuple[str, ...]:
        """The addresses of the ProxyAdmin contracts."""
        return tuple(self._of_admin)

    def admin_of(self, address: str) -> str | None:
        """The ProxyAdmin of a proxy; None of what is no proxy."""
        return self.proxies[address].admin if address in self.proxies else None

    def is_new(self, event: Event) -> bool:
        """Whether the proxy that an event is about is being made in this transaction."""
        proxy = self.proxies.get(self._of_admin.get(event.address, event.address))
        return proxy is not None and (not proxy.upgrades or event.tx in proxy.births)

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        return {
            self.names[address]: {
                "address": address,
                "implementation": proxy.implementation,
                "admin": proxy.admin,
                "owner": proxy.owner,
                "upgrades": [
                    {"block": block, "implementation": to} for block, to in proxy.upgrades
                ],
            }
            for address, proxy in sorted(self.proxies.items())
        }

    def _upgraded(self, event: Event) -> None:
        proxy = self.proxies[event.address]
        if not proxy.upgrades:
            proxy.births.add(event.tx)
        proxy.implementation = event.args["implementation"]
        proxy.upgrades.append((event.block, proxy.implementation))

    def _admin(self, event: Event) -> None:
        proxy = self.proxies[event.address]
        self.journal.expect(
            7,
            "R29",
            f"administrator of the proxy of {self.names[event.address]}",
            (proxy.admin, first_created(event.address)),
            (event.args["previousAdmin"], event.args["newAdmin"]),
        )
        self.journal.require(
            event.tx in proxy.births or proxy.admin != ZERO_ADDRESS,
            7,
            "R29",
            f"the proxy of {self.names[event.address]} was made without any logic",
        )
        proxy.admin = event.args["newAdmin"]

    def _owner(self, event: Event) -> None:
        proxy = self.proxies[self._of_admin[event.address]]
        self.journal.expect(
            7, "R29", "the owner that was", proxy.owner, event.args["previousOwner"]
        )
        proxy.owner = event.args["newOwner"]

    handlers: ClassVar[Mapping[str, Handler]] = {
        "Upgraded": _upgraded,
        "AdminChanged": _admin,
        "OwnershipTransferred": _owner,
    }


class Governance:
    """Holds every restricted change against the table of permissions (R29).

    A restricted function runs only while its role has a member and its contract is not closed. What
    belongs to the admin role comes in a transaction in which the timelock carried out a call to the
    contract that changed, to its proxy's administrator, or to the manager, once the timelock is the
    only admin, unless the contract is just being made.
    """

    def __init__(
        self,
        journal: Journal,
        addresses: dict[str, str],
        access: AccessBook,
        timelock: TimelockBook,
        proxies: ProxyBook,
        tariff: TariffBook,
    ) -> None:
        """``addresses`` are the contracts' by name; ``tariff`` is told what governance set."""
        self.journal = journal
        self.addresses = addresses
        self.access = access
        self.timelock = timelock
        self.proxies = proxies
        self.tariff = tariff
        self._changes: dict[str, set[str]] = defaultdict(set)  # emitter → events

    def watch(self, event: Event) -> None:
        """Take note of an event before it is booked."""
        if self._by_timelock(event):
            self._changes[event.address].add(event.event)
        caller, what = self._caller(event)
        if caller is not None:
            self.journal.require(
                self._may(caller, event.contract, restricted_function(event) or ""),
                7,
                "R29",
                f"{event.event} of {event.address} is by {caller}, which is no {what}",
            )

    def is_desk(self, account: str) -> bool:
        """Whether an account may sell licences as a desk, now (R12)."""
        return self._may(account, "DataMarket", "issue_licence")

    def _may(self, account: str, contract: str, function: str) -> bool:
        """Whether an account may call a restricted function itself, now."""
        # A member with a delay goes through the manager, which then is the caller.
        if account == self.addresses["AccessManager"]:
            return True
        chosen = abi(contract).selector(function)
        return self.access.may_call(account, self.addresses[contract], chosen)

    def end_transaction(self) -> None:
        """Every governed change of this transaction must be the timelock's."""
        manager = self.addresses["AccessManager"]
        if self.tariff.scarcity_changed:
            self.tariff.conclude(self._ordered(), others=self._others_set_scarcity())
        called = {target for target, _ in self.timelock.executed}
        for address, events in self._changes.items():
            ways = {address, self.proxies.admin_of(address), manager}
            self.journal.require(
                bool(called & ways),
                7,
                "R29",
                f"{', '.join(sorted(events))} of {address} did not come from the timelock",
            )
        self._changes.clear()

    def _caller(self, event: Event) -> tuple[str | None, str]:
        """Who called, where an event of a restricted function tells it, and as what."""
        match event.contract, event.event:
            case "DataMarket", "DeskMoved":
                return str(event.args["desk"]), "desk"
            case "DataMarket", "LicenceBought" if event.args["payer"] != event.args["licensee"]:
                return str(event.args["payer"]), "desk"
            case "ResearchDesk", "OutcomeVerified":
                return str(event.args["seat"]), "technical seat"
            case "RoyaltyVault", "SalesAttested" | "OptionVested":
                return str(event.args["attester"]), "attester of products"
        return None, ""

    def _ordered(self) -> Iterator[tuple[int, int]]:
        """Kind and scarcity of every call by which the timelock set one in this transaction."""
        manager, chosen = self.addresses["AccessManager"], abi("Tariff").selector("set_scarcity")
        through = abi("AccessManager").selector("execute")
        for target, data in self.timelock.executed:
            to, call = target, data
            try:
                if target == manager and data[:4] == through:
                    to, call = decode(["address", "bytes"], data[4:])
                    to = to_checksum_address(to)
                if to == self.addresses["Tariff"] and call[:4] == chosen:
                    kind, scarcity = decode(["uint256", "uint256"], call[4:])
                    yield kind, scarcity
            except DecodingError:
                continue

    def _others_set_scarcity(self) -> bool:
        """Whether somebody else than the timelock may set a scarcity."""
        chosen = abi("Tariff").selector("set_scarcity")
        role = self.access.functions.get((self.addresses["Tariff"], chosen), int(Role.ADMIN))
        return role != Role.ADMIN or not self._handed_over()

    def _by_timelock(self, event: Event) -> bool:
        """Whether only the timelock may cause this event where it stands."""
        if event.contract in ("TransparentUpgradeableProxy", "ProxyAdmin"):
            return not self.proxies.is_new(event)
        if event.contract == "TimelockController":
            # While it is being made, its deployer may administer its roles too.
            alone = self.timelock.holders(TIMELOCK_ADMIN) == {event.address}
            made = alone and not self.timelock.is_birth(event)
            return made and event.event in ("MinDelayChange", "RoleGranted", "RoleAdminChanged")
        if event.contract == "AccessManager":
            return self._handed_over() and self._manages(event)
        function = restricted_function(event)
        if function is None or self.proxies.is_new(event):
            return False
        role = self._role(event, function)
        return role == Role.ADMIN and self._handed_over()

    def _role(self, event: Event, function: str) -> int:
        """The role that may call a function, which must have a member now."""
        chosen = abi(event.contract).selector(function)
        role = self.access.functions.get((event.address, chosen), int(Role.ADMIN))
        self.journal.require(
            bool(self.access.holders(role)) and not self.access.closed.get(event.address),
            7,
            "R29",
            f"{event.event} of {event.address} came while nobody might call {function}",
        )
        return role

    def _handed_over(self) -> bool:
        return self.access.holders(Role.ADMIN) == {self.addresses["TimelockController"]}

    def _manages(self, event: Event) -> bool:
        if event.event == "RoleGranted":
            return self.access.admins.get(event.args["roleId"], Role.ADMIN) == Role.ADMIN
        # Who has a role may give it up; members with a delay schedule their own operations.
        own = ("RoleRevoked", "OperationScheduled", "OperationExecuted", "OperationCanceled")
        return event.event not in own

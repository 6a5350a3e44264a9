"""What a deployment consists of, as a list of steps: the same list on every chain and in the tests.

A step creates one contract or makes one call. Arguments may refer to what an earlier step created
(``Ref("DataMarket")``), so a plan is plain data that can be printed, resumed and checked.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from importlib.resources import files
from pathlib import Path
from typing import Any

from eth_utils import is_address, to_checksum_address

from medtoken.chain.abi import abi
from medtoken.deploy.roles import (
    CONTRACT_ROLES,
    FUNCTION_ROLES,
    PROPOSER,
    ROLE_ADMINS,
    TIMELOCK_ADMIN,
    Role,
)
from medtoken.errors import BadInput, DeploymentError

ZERO_ADDRESS = "0x" + "00" * 20
KINDS = 8

# The parameter files that others may build on.
_BASES = ("devnet", "sepolia")

# The factors of a price (R13), in the order in which the tariff keeps them.
FACTORS = (
    "commercial",
    "emergency",
    "public",
    "sensitive",
    "highly_sensitive",
    "in_region",
    "compliance_discount",
    "rental",
)

# The rules of storage rewards (R5), in the order in which the contract keeps them.
STORAGE_RULES = ("threshold", "samples", "gap", "window", "price")

GOVERNOR = "MedGovernor"

# The rules of the governor (R28), as the contract names them.
GOVERNOR_RULES = ("gate", "period", "threshold", "quorumShare", "divisor")

# The bounds that the contract enforces for them, both included.
GOVERNOR_BOUNDS = {
    "gate": (7 * 86_400, 2**48 - 1),
    "period": (86_400, 30 * 86_400),
    "threshold": (1, 100_000 * 10**18),
    "quorumShare": (1, 5_000),
    "divisor": (1, 1_000_000),
}

# The people that a deployment names, and the role that each gets in the AccessManager.
PEOPLE: dict[str, Role] = {
    "compliance": Role.COMPLIANCE,
    "exchange": Role.EXCHANGE,
    "admission": Role.ADMISSION,
    "sanctions": Role.SANCTIONS,
    "accreditation": Role.ACCREDITATION,
    "credentials": Role.CREDENTIALS,
    "supervisor": Role.SUPERVISOR,
    "guardian": Role.GUARDIAN,
    "regulator": Role.REGULATOR,
    "products": Role.PRODUCTS,
    "council": Role.COUNCIL,
    "arbitrator": Role.ARBITRATOR,
    "technical": Role.TECHNICAL,
}


class Chamber(IntEnum):
    """The council's chambers, as the governor numbers them; zero is no seat (R28)."""

    NONE = 0
    USERS = 1
    INSTITUTIONS = 2
    TECHNICAL = 3


@dataclass(frozen=True)
class Ref:
    """The address that an earlier step will have created: a contract's, its proxy's if it has one."""

    name: str


@dataclass(frozen=True)
class Create:
    """Create a contract. With ``proxied`` it is logic, and ``initialize`` runs through a new proxy."""

    name: str
    args: tuple[Any, ...]
    proxied: bool = False
    initialize: tuple[Any, ...] = ()

    def text(self) -> str:
        """In words."""
        return f"create {self.name}" + (", behind a proxy" if self.proxied else "")


@dataclass(frozen=True)
class Call:
    """Call a function of a contract that was created; ``why`` is shown to the operator."""

    contract: str
    function: str
    args: tuple[Any, ...]
    why: str

    def text(self) -> str:
        """In words."""
        return f"{self.contract}.{self.function}: {self.why}"


Step = Create | Call


@dataclass(frozen=True)
class Params:
    """Everything that a deployment decides: numbers with their reasons, and who holds which role."""

    timelock_delay: int
    rates: Mapping[str, int]
    cap: int
    ceiling: int
    burn_share: int
    min_quality: int
    coefficients: tuple[int, ...]
    references: tuple[int, ...]
    factors: tuple[int, ...]
    window: int
    auction: tuple[int, int, int]  # increment in bps, extension in seconds, patience in days
    discounts: tuple[tuple[int, int], ...]  # of baskets: from the how-manieth record on, bps
    royalty_rate: int
    royalty_window: int
    storage: Mapping[str, int]  # the rules of storage rewards
    bonuses: tuple[tuple[int, int], ...]  # from so many paid calls on, bps
    donation: int
    least_use: int
    badge_threshold: int
    bond: int
    dispute_window: int
    asset: tuple[int, int]  # lineage share in bps, seconds until a roster opens
    research: tuple[int, int, tuple[int, ...]]  # seats, share in bps, base units of RT by kind
    cover_term: int  # seconds that a premium of the breach cover covers
    passkey_delay: int  # seconds until a change of a passkey counts
    # base units of DUT that the reserve may give in a period, the seconds of it, and those of all periods
    research_budget: tuple[int, int, int]
    governor: Mapping[str, int]  # the rules of the governor
    operator: str | None  # proposes to the timelock until it hands over; None: the governor does
    platform: str  # earns the platform's part
    people: Mapping[str, str] = field(default_factory=dict)  # name in PEOPLE → account
    seats: tuple[tuple[str, int], ...] = ()  # without an operator: account and chamber


def agreement_text() -> str:
    """The data-use commitment that every licensee signs by naming its hash when it buys (R12)."""
    return files("medtoken").joinpath("agreement.md").read_text(encoding="utf-8")


def agreement_hash() -> bytes:
    """SHA-256 of the data-use commitment's text."""
    return hashlib.sha256(agreement_text().encode()).digest()


def load_params(
    network: str,
    *,
    operator: str | None,
    platform: str | None,
    people: Mapping[str, str],
    seats: Sequence[tuple[str, int]] = (),
    governed: bool = False,
) -> Params:
    """Read a parameter file: one that ships (``devnet``, ``sepolia``), or a path to one.

    A file may build on one that ships (``base``), and name accounts itself (``[offices]``: ``operator``,
    ``platform``, names of PEOPLE); those given here come before them. With ``governed``, and without any
    operator, the governor proposes from the start, with ``seats`` as its council (R28). Raises BadInput
    when the file is missing, malformed or incomplete.
    """
    try:
        data = _read(network)
        named = {str(k): str(to_checksum_address(v)) for k, v in data.get("offices", {}).items()}
        operator = operator or (None if governed else named.get("operator"))
        platform = platform or named.get("platform", ZERO_ADDRESS)
        people = {k: v for k, v in named.items() if k not in ("operator", "platform")} | {**people}
        unknown = set(people) - set(PEOPLE)
        if unknown:
            raise BadInput(f"no deployment knows the role {', '.join(sorted(unknown))}.")
        params = Params(
            timelock_delay=_number(data["timelock"]["delay"]),
            rates={
                k: _number(data["rates"][k]) for k in ("provider", "annotator", "platform", "levy")
            },
            cap=_number(data["usage_token"]["cap"]),
            ceiling=_number(data["treasury"]["ceiling"]),
            burn_share=_number(data["treasury"]["burn_share"]),
            min_quality=_number(data["registry"]["min_quality"]),
            coefficients=tuple(_number(v) for v in data["registry"]["coefficients"]),
            references=tuple(_number(v) for v in data["tariff"]["references"]),
            factors=tuple(_number(data["tariff"][name]) for name in FACTORS),
            window=_number(data["market"]["voucher_window"]),
            auction=(
                _number(data["auction"]["increment"]),
                _number(data["auction"]["extension"]),
                _number(data["auction"]["patience"]),
            ),
            discounts=tuple((_number(n), _number(bps)) for n, bps in data["basket"]["discounts"]),
            royalty_rate=_number(data["royalty"]["rate"]),
            royalty_window=_number(data["royalty"]["challenge_window"]),
            storage={k: _number(data["storage"][k]) for k in STORAGE_RULES},
            bonuses=tuple((_number(n), _number(bps)) for n, bps in data["storage"]["bonuses"]),
            donation=_number(data["rewards"]["donation"]),
            least_use=_number(data["rewards"]["least_use"]),
            badge_threshold=_number(data["rewards"]["badge_threshold"]),
            bond=_number(data["disputes"]["bond"]),
            dispute_window=_number(data["disputes"]["window"]),
            asset=(_number(data["asset"]["share"]), _number(data["asset"]["challenge_window"])),
            cover_term=_number(data["cover"]["term"]),
            passkey_delay=_number(data["passkeys"]["delay"]),
            research=(
                _number(data["research"]["seats"]),
                _number(data["research"]["share"]),
                tuple(_number(v) for v in data["research"]["rewards"]),
            ),
            research_budget=(
                _number(data["research"]["budget"]),
                _number(data["research"]["period"]),
                _number(data["research"]["length"]),
            ),
            governor={k: _number(data["governor"][k]) for k in GOVERNOR_RULES},
            operator=operator,
            platform=platform,
            people=dict(people),
            seats=tuple((account, int(chamber)) for account, chamber in seats),
        )
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"the parameters {network} cannot be read: {error}") from None
    for account in (operator, platform, *people.values()):
        if account is not None and not is_address(account):
            raise BadInput(f"{account} is not an address.")
    if ZERO_ADDRESS in (operator, platform):
        raise BadInput("A deployment needs an operator and a platform account.")
    if ZERO_ADDRESS in people.values():
        raise BadInput("Nobody can act as the zero address: leave the office out.")
    if operator is None and not governed:
        raise BadInput("A deployment has an operator, or else it is governed from the start.")
    if operator is not None and seats:
        raise BadInput("An operator seats the council when it hands over to the governor.")
    if len(params.coefficients) != KINDS or len(params.references) != KINDS:
        raise BadInput(f"the parameters {network} must name {KINDS} coefficients and references.")
    return params


def _read(network: str) -> dict[str, Any]:
    """A parameter file, with what it does not name from the one that it builds on."""
    path = Path(network)
    if path.suffix == ".toml":
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    else:
        source = files("medtoken.deploy").joinpath("params", f"{network}.toml")
        data = tomllib.loads(source.read_text(encoding="utf-8"))
    if "base" not in data:
        return data
    base = data.pop("base")
    if base not in _BASES:
        raise ValueError(f"{base} is not one of {', '.join(_BASES)}")
    merged = _read(base)
    for name, values in data.items():
        # A slip of the pen would leave the base's value in force, unseen.
        known = {"operator", "platform", *PEOPLE} if name == "offices" else merged[name].keys()
        for key in values.keys() - known:
            raise ValueError(f"nothing is called {key} in [{name}]")
        merged[name] = {**merged.get(name, {}), **values}
    return merged


def _number(value: Any) -> int:
    """A whole number, as TOML's or as text. Raises ValueError on anything else, and below zero."""
    if type(value) is int and value >= 0:
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    raise ValueError(f"{value!r} is no whole number")


def build_plan(params: Params, deployer: str) -> list[Step]:
    """The steps that deploy the whole suite and end with a deployer that has no power."""
    return [
        Create("AccessManager", (deployer,)),
        Create(
            "TimelockController",
            # Anybody may execute what was proposed and has waited. Nobody administers it but itself; the
            # governor is made after it, so without an operator the deployer does until it named that.
            (params.timelock_delay, [params.operator], [ZERO_ADDRESS], ZERO_ADDRESS)
            if params.operator
            else (params.timelock_delay, [], [ZERO_ADDRESS], deployer),
        ),
        Create("UsageToken", (Ref("AccessManager"),)),
        Create("ContributionToken", (Ref("AccessManager"),)),
        Create("GovernanceToken", (Ref("AccessManager"),)),
        Create("ResearchToken", (Ref("AccessManager"),)),
        Create(
            "RecordRegistry",
            (deployer, Ref("AccessManager"), Ref("ContributionToken")),
            proxied=True,
            initialize=(list(params.coefficients), params.min_quality),
        ),
        Create(
            "Treasury",
            (deployer, Ref("AccessManager"), Ref("UsageToken")),
            proxied=True,
            initialize=(params.ceiling, params.burn_share),
        ),
        Create(
            "Tariff",
            (deployer, Ref("AccessManager"), Ref("RecordRegistry")),
            proxied=True,
            initialize=(list(params.references), list(params.factors)),
        ),
        # It asks the precompile of P-256, and counts itself on a chain that has none.
        Create("ERC7913WebAuthnVerifier", ()),
        Create(
            "Passkeys",
            (deployer, Ref("AccessManager"), Ref("ERC7913WebAuthnVerifier")),
            proxied=True,
            initialize=(params.passkey_delay,),
        ),
        Create(
            "DataMarket",
            (
                deployer,
                Ref("AccessManager"),
                Ref("UsageToken"),
                Ref("RecordRegistry"),
                Ref("Treasury"),
                Ref("Tariff"),
                Ref("Passkeys"),
            ),
            proxied=True,
            initialize=(
                dict(params.rates),
                params.platform,
                params.window,
                agreement_hash(),
            ),
        ),
        Create(
            "AuctionHouse",
            (
                deployer,
                Ref("AccessManager"),
                Ref("DataMarket"),
                Ref("RecordRegistry"),
                Ref("UsageToken"),
            ),
            proxied=True,
            initialize=params.auction,
        ),
        Create(
            "BasketDesk",
            (deployer, Ref("AccessManager"), Ref("DataMarket"), Ref("Tariff")),
            proxied=True,
            initialize=([{"count": n, "discount": bps} for n, bps in params.discounts],),
        ),
        Create(
            "RoyaltyVault",
            (
                deployer,
                Ref("AccessManager"),
                Ref("UsageToken"),
                Ref("RecordRegistry"),
                Ref("Treasury"),
                Ref("DataMarket"),
            ),
            proxied=True,
            initialize=(params.royalty_rate, params.royalty_window),
        ),
        Create(
            "StorageRewards",
            (
                deployer,
                Ref("AccessManager"),
                Ref("GovernanceToken"),
                Ref("RecordRegistry"),
                Ref("DataMarket"),
            ),
            proxied=True,
            initialize=(
                dict(params.storage),
                [{"calls": calls, "share": bps} for calls, bps in params.bonuses],
            ),
        ),
        Create(
            "ResearchDesk",
            (
                deployer,
                Ref("AccessManager"),
                Ref("ResearchToken"),
                Ref("UsageToken"),
                Ref("Treasury"),
                Ref("Tariff"),
                Ref("DataMarket"),
            ),
            proxied=True,
            initialize=(*params.research[:2], list(params.research[2])),
        ),
        Create(
            "DataTrust",
            (
                deployer,
                Ref("AccessManager"),
                Ref("DataMarket"),
                Ref("RecordRegistry"),
                Ref("Tariff"),
                Ref("UsageToken"),
            ),
            proxied=True,
        ),
        Create("LicenceView", (Ref("DataMarket"),)),
        Create("LicenceToken", (Ref("DataMarket"),)),
        Create("BadgeToken", (Ref("AccessManager"),)),
        Create(
            "Rewards",
            (
                deployer,
                Ref("AccessManager"),
                Ref("RecordRegistry"),
                Ref("DataMarket"),
                Ref("LicenceView"),
                Ref("UsageToken"),
                Ref("ContributionToken"),
                Ref("GovernanceToken"),
                Ref("BadgeToken"),
            ),
            proxied=True,
            initialize=(params.donation, params.least_use, params.badge_threshold),
        ),
        Create(
            "QualityDisputes",
            (deployer, Ref("AccessManager"), Ref("UsageToken"), Ref("RecordRegistry")),
            proxied=True,
            initialize=(params.bond, params.dispute_window),
        ),
        Create("InstitutionToken", (Ref("AccessManager"),)),
        Create("AssetAccount", (Ref("DataMarket"),)),
        Create(
            "AssetDesk",
            (
                deployer,
                Ref("AccessManager"),
                Ref("UsageToken"),
                Ref("RecordRegistry"),
                Ref("DataMarket"),
                Ref("InstitutionToken"),
                Ref("AssetAccount"),
            ),
            proxied=True,
            initialize=params.asset,
        ),
        Create(
            "BreachCover",
            (deployer, Ref("AccessManager"), Ref("UsageToken"), Ref("RecordRegistry")),
            proxied=True,
            initialize=(params.cover_term,),
        ),
        Create(
            "CompensationFund",
            (
                deployer,
                Ref("AccessManager"),
                Ref("UsageToken"),
                Ref("RecordRegistry"),
                Ref("DataMarket"),
            ),
            proxied=True,
        ),
        Create("PayoutRelay", ()),
        *_wiring(params),
        *(() if params.operator else _governed(params, deployer)),
        *_permissions(params, deployer),
    ]


def governor_step(params: Params, seats: Sequence[tuple[str, int]]) -> Create:
    """The step that creates the governor; ``seats`` are account and chamber of the first council."""
    return Create(
        GOVERNOR,
        (
            Ref("TimelockController"),
            Ref("GovernanceToken"),
            Ref("ContributionToken"),
            dict(params.governor),
            [{"account": account, "chamber": int(chamber)} for account, chamber in seats],
        ),
    )


def _governed(params: Params, deployer: str) -> Iterator[Step]:
    timelock = "TimelockController"
    yield governor_step(params, params.seats)
    yield Call(timelock, "grantRole", (PROPOSER, Ref(GOVERNOR)), "votes alone propose")
    yield Call(
        timelock,
        "renounceRole",
        (TIMELOCK_ADMIN, deployer),
        "the timelock alone says who proposes to it",
    )


def _wiring(params: Params) -> Iterator[Step]:
    yield Call(
        "ContributionToken", "bindMinter", (Ref("RecordRegistry"),), "the registry alone mints DCT"
    )
    yield Call(
        "GovernanceToken", "bindMinter", (Ref("StorageRewards"),), "proven storage alone mints GT"
    )
    yield Call(
        "InstitutionToken", "bindMinter", (Ref("AssetDesk"),), "the asset desk alone mints IT"
    )
    yield Call(
        "ResearchToken", "bindDesk", (Ref("ResearchDesk"),), "the research desk alone mints RT"
    )
    yield Call(
        "Treasury",
        "approve_budget",
        (Ref("ResearchDesk"), *params.research_budget),
        "the reserve helps to pay licences within this",
    )
    yield Call(
        "Tariff", "bind_market", (Ref("DataMarket"),), "the market's settlements are the demand"
    )
    yield Call("BadgeToken", "bindMinter", (Ref("Rewards"),), "rewards alone give badges")
    purses = (
        "DataMarket",
        "Treasury",
        "RoyaltyVault",
        "Rewards",
        "QualityDisputes",
        "AssetDesk",
        "ResearchDesk",
        "BreachCover",
        "CompensationFund",
    )
    for contract in purses:
        yield Call(
            "UsageToken", "setProtocol", (Ref(contract), True), f"the {contract} may hold DUT"
        )
    yield Call("UsageToken", "setCap", (params.cap,), "exchanges may issue DUT up to this a day")


def _permissions(params: Params, deployer: str) -> Iterator[Step]:
    manager = "AccessManager"
    for contract, functions in FUNCTION_ROLES.items():
        for role in sorted(set(functions.values())):
            names = [name for name, held in functions.items() if held is role]
            selectors = [abi(contract).selector(name) for name in names]
            yield Call(
                manager,
                "setTargetFunctionRole",
                (Ref(contract), selectors, int(role)),
                f"{role.name} calls {contract}.{', '.join(names)}",
            )
    for role in Role:
        if role is not Role.ADMIN:
            yield Call(manager, "labelRole", (int(role), role.name), f"role {int(role)} has a name")
    for role, holders in CONTRACT_ROLES.items():
        for holder in holders:
            yield Call(
                manager,
                "grantRole",
                (int(role), Ref(holder), 0),
                f"{role.name} is held by {holder}",
            )
    for name, role in PEOPLE.items():
        if name in params.people:
            yield Call(
                manager,
                "grantRole",
                (int(role), params.people[name], 0),
                f"{role.name} is held by {params.people[name]}",
            )
    for role, admin in ROLE_ADMINS.items():
        yield Call(
            manager,
            "setRoleAdmin",
            (int(role), int(admin)),
            f"{admin.name} decides who is {role.name}",
        )
    yield Call(
        manager,
        "grantRole",
        (int(Role.ADMIN), Ref("TimelockController"), 0),
        "the timelock administers everything",
    )
    yield Call(
        manager, "renounceRole", (int(Role.ADMIN), deployer), "the deployer ends without any power"
    )


def resolve(value: Any, addresses: Mapping[str, str]) -> Any:
    """Replace every Ref inside ``value`` by the address that it stands for."""
    if isinstance(value, Ref):
        try:
            return addresses[value.name]
        except KeyError:
            raise DeploymentError(f"the plan uses {value.name} before it is created.") from None
    if isinstance(value, dict):
        return {k: resolve(v, addresses) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(resolve(v, addresses) for v in value)
    return value

"""Whether a deployment is what this release would have made, and whether nobody has a power too many (R29).

Code is compared to the byte, immutables included: the creation code that ships with the package is run
again at the contract's own address, inside a call that changes nothing, and must leave the very code that
stands there. No compiler is needed. Powers are those of ``medtoken.deploy.powers``, held against the
declared tables; who should hold what, and which constructor arguments are right, follows from the plan.

All of it is on the word of one node. Ask your own, or several.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from eth_utils import to_checksum_address

from medtoken import artifacts
from medtoken._keccak import first_created
from medtoken.chain.abi import abi
from medtoken.deploy.callers import Kind
from medtoken.deploy.plan import (
    GOVERNOR,
    GOVERNOR_BOUNDS,
    PEOPLE,
    ZERO_ADDRESS,
    Call,
    Create,
    Ref,
    build_plan,
    governor_step,
    load_params,
    resolve,
)
from medtoken.deploy.powers import (
    IMPLEMENTATION_SLOT,
    PROXY_ADMIN,
    Chain,
    Holder,
    Powers,
    proxy_admin,
    read_powers,
)
from medtoken.deploy.record import DeployedContract, Deployment, integrity
from medtoken.deploy.roles import CONTRACT_ROLES, FUNCTION_ROLES, ROLE_ADMINS, Role
from medtoken.errors import BadInput, ContractRefused, DeploymentDeviates, WrongChain

PROXY = "TransparentUpgradeableProxy"
_RULERS = ("AccessManager", "TimelockController")
# Creation code that returns one byte, and an address where nothing is.
_PROBE, _PROBED = bytes.fromhex("602a60005360016000f3"), bytes.fromhex("2a")
_NOWHERE = "0x" + "5e" * 20


class CodeChain(Chain, Protocol):
    """What is asked of a chain; ``medtoken.chain.node.Node`` answers it."""

    def code(self, address: str, block: int | None = None) -> bytes: ...  # noqa: D102
    def construct(  # noqa: D102
        self, address: str, code: bytes, sender: str, block: int | None = None
    ) -> bytes: ...


@dataclass(frozen=True)
class Deviation:
    """One way in which a deployment is not what it should be, in one clear sentence."""

    kind: str  # record, code, proxy, role, function, bound, timelock, governor
    contract: str  # whose it is
    text: str


@dataclass(frozen=True)
class Verification:
    """What was found at a block; no deviation is the proof that was asked for."""

    chain_id: int
    block: int
    contracts: int
    functions: int
    deployer: str
    deployer_roles: tuple[str, ...]
    # Seconds that the timelock waits, and the governor's rules; None and nothing where not read.
    timelock_delay: int | None
    rules: dict[str, int]
    deviations: tuple[Deviation, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"holds": not self.deviations}

    def require(self) -> None:
        """Raise DeploymentDeviates with every sentence, if there is any."""
        if self.deviations:
            raise DeploymentDeviates(" ".join(d.text for d in self.deviations))


def verify(chain: CodeChain, deployment: Deployment) -> Verification:
    """Hold a deployment against this release's code and its declared tables, at the chain's newest block.

    Raises WrongChain when the record is another chain's, BadInput when the node cannot simulate, and
    whatever the chain's client raises. Deviations are returned, not raised.
    """
    if chain.chain_id != deployment.chain_id:
        raise WrongChain(
            f"The deployment record is for chain {deployment.chain_id}, "
            f"but the node is on chain {chain.chain_id}."
        )
    block = chain.head().number
    plan = _Plan(deployment)
    found = list(_listed(deployment, plan))
    if not found:
        found += _standing(chain, deployment, block)
    powers = None
    if not found:
        if chain.construct(_NOWHERE, _PROBE, deployment.deployer, block) != _PROBED:
            raise BadInput("The node does not simulate with state overrides; ask another node.")
        found += _codes(chain, deployment, plan, block)
        # What another AccessManager or timelock says about powers is worth nothing.
        if not any(d.contract in _RULERS for d in found):
            try:
                powers = read_powers(chain, deployment)
            except (BadInput, ContractRefused) as error:
                text = f"Who may do what cannot be read: {error}"
                found.append(Deviation("code", "AccessManager", text))
    if powers is not None:
        found += _roles(powers, deployment)
        found += _functions(powers, deployment, plan)
        found += _timelock(powers, deployment)
        found += _governor(powers, deployment)
    held = [
        role.name
        for role in (powers.roles if powers else ())
        if any(h.address == deployment.deployer for h in role.holders)
    ]
    return Verification(
        chain_id=chain.chain_id,
        block=block,
        contracts=len(deployment.contracts),
        functions=len(powers.functions) if powers else 0,
        deployer=deployment.deployer,
        deployer_roles=tuple(held),
        timelock_delay=powers.timelock_delay if powers else None,
        rules=powers.rules if powers else {},
        deviations=tuple(found),
    )


class _Plan:
    """What the plan says whatever its parameters are: contracts, their links, and who is bound to what."""

    def __init__(self, deployment: Deployment) -> None:
        deployer = deployment.deployer
        params = load_params("devnet", operator=deployer, platform=deployer, people={})
        steps = build_plan(params, deployer)
        self.created = {step.name: step for step in steps if isinstance(step, Create)}
        if (
            GOVERNOR in deployment.contracts
        ):  # it comes with the handover, and its code names no seat
            self.created[GOVERNOR] = governor_step(params, ())
        # (contract, function) → names of the contracts that may call it
        self.bound: dict[tuple[str, str], set[str]] = {}
        for step in steps:
            if isinstance(step, Call) and step.args and isinstance(step.args[0], Ref):
                for function in {
                    "bindMinter": ("mint",),
                    "bindDesk": ("mint", "burn"),
                    "setProtocol": ("burn",),
                    "approve_budget": ("spend", "give_back"),
                }.get(step.function, ()):
                    self.bound.setdefault((step.contract, function), set()).add(step.args[0].name)


# ---------------------------------------------------------------------- the record


def _listed(deployment: Deployment, plan: _Plan) -> Iterator[Deviation]:
    for name in sorted(plan.created.keys() - deployment.contracts.keys()):
        yield Deviation("record", name, f"The deployment record has no contract {name}.")
    for name in sorted(deployment.contracts.keys() - plan.created.keys()):
        yield Deviation(
            "record", name, f"The deployment record has {name}, which no deployment makes."
        )
    for name, step in plan.created.items():
        contract = deployment.contracts.get(name)
        if (
            contract
            and (contract.proxy, contract.implementation is not None) != (step.proxied,) * 2
        ):
            stands = "behind a proxy" if step.proxied else "without a proxy"
            yield Deviation(
                "record", name, f"{name} should stand {stands}; the record says otherwise."
            )


def _standing(chain: CodeChain, deployment: Deployment, block: int) -> Iterator[Deviation]:
    for contract in deployment.contracts.values():
        if not chain.code(contract.address, block):
            yield Deviation(
                "code",
                contract.name,
                f"There is no contract at {contract.address}, where {contract.name} should be.",
            )


# ---------------------------------------------------------------------- code and proxies


def _codes(
    chain: CodeChain, deployment: Deployment, plan: _Plan, block: int
) -> Iterator[Deviation]:
    addresses = {name: c.address for name, c in deployment.contracts.items()}
    for name, contract in deployment.contracts.items():
        where = contract.address
        if contract.proxy:
            yield from _proxy(chain, contract, addresses["TimelockController"], block)
            where = _at(chain.storage(contract.address, IMPLEMENTATION_SLOT, block))
        args = resolve(plan.created[name].args, addresses)
        creation = _creation(name) + abi(name).construct(*args)
        try:
            built = chain.construct(where, creation, deployment.deployer, block)
        except ContractRefused as error:
            yield Deviation("code", name, f"The code of {name} cannot be built at {where}: {error}")
            continue
        stands = chain.code(where, block)
        other = contract.integrity != integrity(name)
        if stands != built:
            at = next(
                (i for i, (a, b) in enumerate(zip(stands, built, strict=False)) if a != b), -1
            )
            place = f"from byte {at} on" if at >= 0 else "in length"
            release = "; the record says that other code was deployed" if other else ""
            yield Deviation(
                "code",
                name,
                f"The code of {name} at {where} is not what this release builds: it differs "
                f"{place}{release}.",
            )
        elif other:
            yield Deviation(
                "record", name, f"The deployment record says that {name} was made from other code."
            )


def _proxy(
    chain: CodeChain, contract: DeployedContract, timelock: str, block: int
) -> Iterator[Deviation]:
    name, address = contract.name, contract.address
    logic = _at(chain.storage(address, IMPLEMENTATION_SLOT, block))
    if logic != contract.implementation:
        yield Deviation(
            "proxy",
            name,
            f"The proxy of {name} leads to {logic}, not to {contract.implementation}.",
        )
    admin, made = proxy_admin(chain, address, block), first_created(address)
    if admin != made:
        yield Deviation("proxy", name, f"The admin of the proxy of {name} is {admin}, not {made}.")
    if chain.code(address, block) != _filled(PROXY, made):
        yield Deviation(
            "code",
            name,
            f"The proxy of {name} at {address} is not OpenZeppelin's as this release builds it.",
        )
    # The proxy obeys the admin that its code names, whatever its slot says.
    if chain.code(made, block) != bytes.fromhex(_runtime(PROXY_ADMIN)):
        yield Deviation(
            "code",
            name,
            f"The admin of the proxy of {name} at {made} is not OpenZeppelin's as this release "
            "builds it.",
        )
        return
    data = abi(PROXY_ADMIN).call("owner")
    owner = abi(PROXY_ADMIN).result("owner", chain.call(made, data, block))
    if owner != timelock:
        yield Deviation(
            "proxy",
            name,
            f"{owner} can upgrade {name}: it owns the proxy's admin, not the timelock.",
        )


def _creation(name: str) -> bytes:
    return bytes.fromhex(artifacts.load(name)["bytecode"].removeprefix("0x"))


def _runtime(name: str) -> str:
    return str(artifacts.load(name)["deployedBytecode"].removeprefix("0x"))


def _filled(name: str, address: str) -> bytes:
    """The code of a contract whose only immutable is an address."""
    code = bytearray.fromhex(_runtime(name))
    for places in artifacts.load(name)["immutableReferences"].values():
        for place in places:
            start = place["start"]
            code[start : start + 32] = bytes(12) + bytes.fromhex(address.removeprefix("0x"))
    return bytes(code)


def _at(word: int) -> str:
    return str(to_checksum_address(word.to_bytes(32)[12:]))


# ---------------------------------------------------------------------- powers


def _roles(powers: Powers, deployment: Deployment) -> Iterator[Deviation]:
    """Each role has the members, the admin and the guardian that were declared."""
    timelock = deployment.address("TimelockController")
    for state in powers.roles:
        wanted: dict[str, str] = {}
        if state.id in {int(role) for role in Role}:
            role = Role(state.id)
            wanted = {deployment.address(name): name for name in CONTRACT_ROLES.get(role, ())}
            wanted |= {
                who: name for name, who in deployment.offices.items() if PEOPLE.get(name) is role
            }
            if role is Role.ADMIN:
                wanted[timelock] = "TimelockController"
            admin = int(ROLE_ADMINS.get(role, Role.ADMIN))
            if (state.admin, state.guardian, state.grant_delay) != (admin, int(Role.ADMIN), 0):
                yield Deviation(
                    "role",
                    "AccessManager",
                    f"Members of {state.name} are named by role {state.admin} after "
                    f"{state.grant_delay} s, and role {state.guardian} cancels for it; declared are "
                    f"role {admin}, 0 s and role 0.",
                )
        for holder in state.holders:
            if holder.address not in wanted:
                yield _undeclared(state.name, state.id, holder, deployment)
            elif holder.delay or holder.since:
                yield Deviation(
                    "role",
                    "AccessManager",
                    f"{_named(holder)} holds {state.name} with a delay of {holder.delay} s"
                    + (f" and from unix time {holder.since} on" if holder.since else "")
                    + ", and should hold it at once.",
                )
        for address in wanted.keys() - {h.address for h in state.holders}:
            if state.id == Role.ADMIN:
                yield Deviation(
                    "role", "AccessManager", f"The timelock {address} lacks the admin role."
                )
            else:
                yield Deviation(
                    "role",
                    "AccessManager",
                    f"{wanted[address]} {address} does not hold {state.name}, as declared.",
                )


def _undeclared(name: str, role: int, holder: Holder, deployment: Deployment) -> Deviation:
    if holder.address == deployment.deployer and role == Role.ADMIN:
        return Deviation(
            "role", "AccessManager", f"The deployer {holder.address} still has the admin role."
        )
    when = f" from unix time {holder.since} on" if holder.since else ""
    return Deviation(
        "role",
        "AccessManager",
        f"{_named(holder)} holds {name}{when}, and no declaration gives it that.",
    )


def _functions(powers: Powers, deployment: Deployment, plan: _Plan) -> Iterator[Deviation]:
    """Each function belongs to its role, or to the contracts that were bound to it."""
    names = {role.id: role.name for role in powers.roles}
    manager = deployment.address("AccessManager")
    for power in powers.functions:
        where = f"{power.contract}.{power.function}"
        if power.kind is Kind.RESTRICTED:
            wanted = FUNCTION_ROLES.get(power.contract, {}).get(power.function, Role.ADMIN)
            if power.role != wanted:
                holds = power.who or "everybody"
                yield Deviation(
                    "function", power.contract, f"{where} belongs to {holds}, not to {wanted.name}."
                )
            continue
        held = {h.address for h in power.holders}
        bound = {
            deployment.address(n) for n in plan.bound.get((power.contract, power.function), ())
        }
        if power.function == "setAuthority":
            bound = {manager}
        elif (power.contract, power.function) not in plan.bound:
            continue
        # A budget ends, and that takes nothing from anybody else.
        missing: set[str] = set() if power.contract == "Treasury" else bound - held
        for address in sorted((held - bound) | missing):
            holder = next((h for h in power.holders if h.address == address), None)
            said = "may" if holder else "may not"
            who = _named(holder) if holder else _contract(deployment, address)
            yield Deviation(
                "bound", power.contract, f"{who} {said} call {where}, other than declared."
            )
    for stray in powers.strays:
        yield Deviation(
            "function",
            stray.contract,
            f"{stray.selector} of {stray.contract or stray.address} belongs to "
            f"{names.get(stray.role, f'role {stray.role}')}, and no table gives it away.",
        )
    for contract in powers.closed:
        yield Deviation(
            "function", contract, f"{contract} is closed: nobody can call what is restricted."
        )
    for contract, delay in powers.admin_delays.items():
        yield Deviation(
            "function",
            contract,
            f"The roles of {contract} change after {delay} s only, not at once.",
        )


def _timelock(powers: Powers, deployment: Deployment) -> Iterator[Deviation]:
    """The timelock has the delay of its making; anybody executes, and it alone rules itself.

    The governor proposes to it, and until the handover the operator.
    """
    timelock = deployment.address("TimelockController")
    made = deployment.contracts["TimelockController"].constructor
    if not made:
        yield Deviation(
            "timelock",
            "TimelockController",
            f"The timelock waits {powers.timelock_delay} s; the record does not say how long it was "
            "made to wait.",
        )
    elif str(powers.timelock_delay) != str(made[0]):
        yield Deviation(
            "timelock",
            "TimelockController",
            f"The timelock waits {powers.timelock_delay} s, and was made to wait {made[0]} s.",
        )
    proposers = {a for n, a in deployment.offices.items() if n == "operator"}
    cancellers = proposers
    if GOVERNOR in deployment.contracts:
        governor = deployment.address(GOVERNOR)
        proposes = powers.of("TimelockController", "schedule").holders
        if any(holder.address == governor for holder in proposes):  # not while it is on its way
            proposers, cancellers = {governor}, set()
            for operation in powers.unexplained:
                yield Deviation(
                    "timelock",
                    "TimelockController",
                    f"Operation {operation} waits in the timelock, and no vote has carried it; "
                    "nobody can cancel it.",
                )
    for function, doing, wanted in (
        ("schedule", "propose to", proposers),
        ("cancel", "cancel in", cancellers),
        ("execute", "execute in", {ZERO_ADDRESS}),
        ("grantRole", "rule", {timelock}),
    ):
        holders = powers.of("TimelockController", function).holders
        for holder in holders:
            if holder.address not in wanted:
                who = _named(replace(holder, since=0))
                yield Deviation(
                    "timelock",
                    "TimelockController",
                    f"{who} may {doing} the timelock, and was not declared.",
                )
        for address in wanted - {h.address for h in holders}:
            who = "Not everybody" if address == ZERO_ADDRESS else address
            may = "may" if address == ZERO_ADDRESS else "may not"
            yield Deviation(
                "timelock",
                "TimelockController",
                f"{who} {may} {doing} the timelock, other than declared.",
            )


def _governor(powers: Powers, deployment: Deployment) -> Iterator[Deviation]:
    """The governor obeys the suite's timelock, and its rules lie in their bounds."""
    if GOVERNOR not in deployment.contracts:
        return
    timelock = deployment.address("TimelockController")
    if powers.governor_timelock != timelock:
        yield Deviation(
            "governor",
            GOVERNOR,
            f"The governor obeys the timelock {powers.governor_timelock}, not {timelock}.",
        )
    for name, (least, most) in GOVERNOR_BOUNDS.items():
        if not least <= powers.rules[name] <= most:
            yield Deviation(
                "governor",
                GOVERNOR,
                f"The governor's {name} is {powers.rules[name]}, not within {least} and {most}.",
            )


def _named(holder: Holder) -> str:
    if holder.address == ZERO_ADDRESS:
        return "Everybody"
    return f"{holder.name} {holder.address}".strip()


def _contract(deployment: Deployment, address: str) -> str:
    return next(f"{n} {address}" for n, c in deployment.contracts.items() if c.address == address)

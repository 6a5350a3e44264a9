"""R29: `medtoken verify` finds every power too many; each deviation is planted here, and found alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from support.declared import Declared, declared
from support.recording import RawLog
from support.world import DAY

from medtoken.deploy.plan import PEOPLE
from medtoken.deploy.powers import _TOLD_BY, PUBLIC_ROLE
from medtoken.deploy.record import DeployedContract
from medtoken.deploy.roles import CONTRACT_ROLES, Role
from medtoken.errors import BadInput, DeploymentDeviates, WrongChain


@pytest.fixture(scope="module")
def _fresh() -> Declared:
    return declared()


@pytest.fixture
def fresh(_fresh: Declared) -> Iterator[Declared]:
    with _fresh.world.evm.anchor():
        yield _fresh


def _found(at: Declared) -> list[tuple[str, str, str]]:
    return [(d.kind, d.contract, d.text) for d in at.verify().deviations]


def test_a_fresh_deployment_deviates_in_nothing(fresh: Declared) -> None:
    found = fresh.verify()
    assert found.deviations == ()
    assert (found.contracts, found.deployer_roles) == (29, ())
    assert found.functions == len(fresh.powers().functions) > 200
    assert found.as_dict()["holds"] is True
    found.require()


# ---------------------------------------------------------------- powers

Plant = Callable[[Declared], None]


def _meant(args: tuple[Any, ...], known: dict[str, str]) -> list[Any]:
    return [known.get(a, a) if isinstance(a, str) else a for a in args]


def _manager(function: str, *args: Any) -> Plant:
    """Have the timelock call the manager; a text is the address of who or what has this name."""

    def plant(at: Declared) -> None:
        known = {n: c.address for n, c in at.world.suite.items()}
        known |= {n: str(getattr(at.world.people, n)) for n in ("stranger", "guardian", "deployer")}
        at.world.as_timelock(at.world.manager, function, *_meant(args, known))

    return plant


def _timelock(function: str, role: str, who: str) -> Plant:
    def plant(at: Declared) -> None:
        timelock = at.world.timelock
        number = getattr(timelock, role)()
        account = {"nobody": "0x" + "00" * 20}.get(who) or str(getattr(at.world.people, who))
        at.world.as_timelock(timelock, function, number, account)

    return plant


def _token(name: str, function: str, *args: Any) -> Plant:
    def plant(at: Declared) -> None:
        known = {n: c.address for n, c in at.world.suite.items()}
        known["stranger"] = str(at.world.people.stranger)
        at.world.as_timelock(at.world.suite[name], function, *_meant(args, known))

    return plant


def _shorter(at: Declared) -> None:
    at.world.as_timelock(at.world.timelock, "updateDelay", 60)


def _grant_later(at: Declared) -> None:
    _manager("setGrantDelay", int(Role.COUNCIL), 2 * DAY)(at)
    at.world.evm.warp(6 * DAY)
    _manager("grantRole", int(Role.COUNCIL), "stranger", 0)(at)


def _slower(at: Declared) -> None:
    _manager("setTargetAdminDelay", "DataMarket", 2 * DAY)(at)
    at.world.evm.warp(6 * DAY)
    at.world.dut.admit(at.world.people.relay, sender=at.world.people.admission)


PLANTED: dict[str, tuple[Plant, list[tuple[str, str, str]]]] = {
    "a stranger rules": (
        _manager("grantRole", 0, "stranger", 0),
        [("role", "AccessManager", "{stranger} holds ADMIN, and no declaration gives it that.")],
    ),
    "the deployer rules": (
        _manager("grantRole", 0, "deployer", 0),
        [("role", "AccessManager", "The deployer {deployer} still has the admin role.")],
    ),
    "the deployer holds an office": (
        _manager("grantRole", int(Role.GUARDIAN), "deployer", 0),
        [
            (
                "role",
                "AccessManager",
                "deployer {deployer} holds GUARDIAN, and no declaration gives it that.",
            )
        ],
    ),
    "a guardian more": (
        _manager("grantRole", int(Role.GUARDIAN), "stranger", 0),
        [("role", "AccessManager", "{stranger} holds GUARDIAN, and no declaration gives it that.")],
    ),
    "a guardian less": (
        _manager("revokeRole", int(Role.GUARDIAN), "guardian"),
        [("role", "AccessManager", "guardian {guardian} does not hold GUARDIAN, as declared.")],
    ),
    "a guardian with a delay": (
        _manager("grantRole", int(Role.GUARDIAN), "guardian", 3600),
        [
            (
                "role",
                "AccessManager",
                "guardian {guardian} holds GUARDIAN with a delay of 3600 s, and should hold it at "
                "once.",
            )
        ],
    ),
    "a contract without its role": (
        _manager("revokeRole", int(Role.LEVY), "DataMarket"),
        [("role", "AccessManager", "DataMarket {DataMarket} does not hold LEVY, as declared.")],
    ),
    "a contract with a role too many": (
        _manager("grantRole", int(Role.DESK), "LicenceView", 0),
        [
            (
                "role",
                "AccessManager",
                "LicenceView {LicenceView} holds DESK, and no declaration gives it that.",
            )
        ],
    ),
    "a role that nobody declared": (
        _manager("grantRole", 77, "stranger", 0),
        [("role", "AccessManager", "{stranger} holds role 77, and no declaration gives it that.")],
    ),
    "others name the exchanges": (
        _manager("setRoleAdmin", int(Role.EXCHANGE), int(Role.GUARDIAN)),
        [
            (
                "role",
                "AccessManager",
                "Members of EXCHANGE are named by role 8 after 0 s, and role 0 cancels for it; "
                "declared are role 1, 0 s and role 0.",
            )
        ],
    ),
    "somebody cancels for a role": (
        _manager("setRoleGuardian", int(Role.DESK), int(Role.GUARDIAN)),
        [
            (
                "role",
                "AccessManager",
                "Members of DESK are named by role 0 after 0 s, and role 8 cancels for it; "
                "declared are role 0, 0 s and role 0.",
            )
        ],
    ),
    "a member to be": (
        _grant_later,
        [
            (
                "role",
                "AccessManager",
                "Members of COUNCIL are named by role 0 after 172800 s, and role 0 cancels for it; "
                "declared are role 0, 0 s and role 0.",
            ),
            (
                "role",
                "AccessManager",
                "{stranger} holds COUNCIL from unix time {later} on, and no declaration gives it "
                "that.",
            ),
        ],
    ),
    "a function for another role": (
        _manager("setTargetFunctionRole", "DataMarket", [bytes.fromhex("8456cb59")], 1),
        [("function", "DataMarket", "DataMarket.pause belongs to COMPLIANCE, not to GUARDIAN.")],
    ),
    "a function for everybody": (
        _manager(
            "setTargetFunctionRole",
            "DataMarket",
            [bytes.fromhex("8456cb59")],
            PUBLIC_ROLE,
        ),
        [("function", "DataMarket", "DataMarket.pause belongs to everybody, not to GUARDIAN.")],
    ),
    "a function that nobody knows": (
        _manager("setTargetFunctionRole", "DataMarket", [b"\1\2\3\4"], 8),
        [
            (
                "function",
                "DataMarket",
                "0x01020304 of DataMarket belongs to GUARDIAN, and no table gives it away.",
            )
        ],
    ),
    "a contract that is closed": (
        _manager("setTargetClosed", "Tariff", True),
        [("function", "Tariff", "Tariff is closed: nobody can call what is restricted.")],
    ),
    "a table that changes late": (
        _slower,
        [
            (
                "function",
                "DataMarket",
                "The roles of DataMarket change after 172800 s only, not at once.",
            )
        ],
    ),
    "another that may burn": (
        _token("UsageToken", "setProtocol", "stranger", True),
        [("bound", "UsageToken", "{stranger} may call UsageToken.burn, other than declared.")],
    ),
    "one that may not burn any more": (
        _token("UsageToken", "setProtocol", "Treasury", False),
        [
            (
                "bound",
                "UsageToken",
                "Treasury {Treasury} may not call UsageToken.burn, other than declared.",
            )
        ],
    ),
    "another budget": (
        _token("Treasury", "approve_budget", "stranger", 10**18, 30 * DAY, 300 * DAY),
        [
            ("bound", "Treasury", "{stranger} may call Treasury.spend, other than declared."),
            ("bound", "Treasury", "{stranger} may call Treasury.give_back, other than declared."),
        ],
    ),
    "a token that obeys another manager": (
        _manager("updateAuthority", "UsageToken", "Tariff"),
        [
            (
                "bound",
                "UsageToken",
                "AccessManager {AccessManager} may not call UsageToken.setAuthority, other than "
                "declared.",
            ),
            (
                "bound",
                "UsageToken",
                "Tariff {Tariff} may call UsageToken.setAuthority, other than declared.",
            ),
        ],
    ),
    "a shorter wait": (
        _shorter,
        [
            (
                "timelock",
                "TimelockController",
                "The timelock waits 60 s, and was made to wait 0 s.",
            )
        ],
    ),
    "another who proposes": (
        _timelock("grantRole", "PROPOSER_ROLE", "stranger"),
        [
            (
                "timelock",
                "TimelockController",
                "{stranger} may propose to the timelock, and was not declared.",
            )
        ],
    ),
    "another who rules the timelock": (
        _timelock("grantRole", "DEFAULT_ADMIN_ROLE", "stranger"),
        [
            (
                "timelock",
                "TimelockController",
                "{stranger} may rule the timelock, and was not declared.",
            )
        ],
    ),
    "nobody cancels": (
        _timelock("revokeRole", "CANCELLER_ROLE", "operator"),
        [
            (
                "timelock",
                "TimelockController",
                "{operator} may not cancel in the timelock, other than declared.",
            )
        ],
    ),
    "not everybody executes": (
        _timelock("revokeRole", "EXECUTOR_ROLE", "nobody"),
        [
            (
                "timelock",
                "TimelockController",
                "Not everybody may execute in the timelock, other than declared.",
            )
        ],
    ),
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_power_too_many_or_too_few_is_found_and_nothing_else(fresh: Declared, what: str) -> None:
    plant, wanted = PLANTED[what]
    assert fresh.verify().deviations == ()
    plant(fresh)
    people = fresh.world.people
    words = {name: c.address for name, c in fresh.world.suite.items()} | {
        name: str(getattr(people, name)) for name in people.__dataclass_fields__
    }
    words["later"] = str(fresh.world.evm.time + 2 * DAY)
    found = sorted(_found(fresh))
    assert found == sorted((k, c, text.format(**words)) for k, c, text in wanted)
    with pytest.raises(DeploymentDeviates) as caught:
        fresh.verify().require()
    assert str(caught.value) == " ".join(d.text for d in fresh.verify().deviations)


def test_a_timelock_that_gave_its_power_away(fresh: Declared) -> None:
    timelock = fresh.world.timelock.address
    fresh.world.as_timelock(fresh.world.manager, "renounceRole", 0, timelock)
    assert _found(fresh) == [
        ("role", "AccessManager", f"The timelock {timelock} lacks the admin role.")
    ]


def test_the_deployers_offices_are_told_where_the_record_declares_them(fresh: Declared) -> None:
    """On a development chain one account may be everybody."""
    deployer = str(fresh.world.people.deployer)
    _manager("grantRole", int(Role.GUARDIAN), "deployer", 0)(fresh)
    _manager("revokeRole", int(Role.GUARDIAN), "guardian")(fresh)
    offices = fresh.deployment.offices | {"guardian": deployer}
    there = replace(fresh, deployment=replace(fresh.deployment, offices=offices))
    found = there.verify()
    assert (found.deviations, found.deployer_roles) == ((), ("GUARDIAN",))


def test_a_record_that_names_no_office_makes_every_holder_a_deviation(fresh: Declared) -> None:
    there = replace(fresh, deployment=replace(fresh.deployment, offices={}))
    texts = [text for _, _, text in _found(there)]
    for name, role in PEOPLE.items():
        who = getattr(fresh.world.people, name)
        assert f"{who} holds {role.name}, and no declaration gives it that." in texts
    assert len(texts) == len(PEOPLE) + 2  # and who proposes and cancels


def test_an_upgrade_and_who_can_make_one(fresh: Declared) -> None:
    world, record = fresh.world, fresh.deployment
    proxy = world.treasury
    slot = 0xB53127684A568B3173AE13B9F8A6016E243E63B6E8EE1178D6A717850B5D6103
    admin = world.evm.contract("ProxyAdmin", f"0x{world.evm.storage(proxy.address, slot):040x}")
    deployer, manager = world.people.deployer, world.manager.address
    same = world.evm.deploy("Treasury", deployer, manager, world.dut.address, sender=deployer)
    world.as_timelock(admin, "upgradeAndCall", proxy.address, same.address, b"")
    old = record.contracts["Treasury"].implementation
    moved = ("proxy", "Treasury", f"The proxy of Treasury leads to {same.address}, not to {old}.")
    assert _found(fresh) == [moved]
    stranger = world.people.stranger
    world.as_timelock(admin, "transferOwnership", stranger)
    assert _found(fresh)[1:] == [
        (
            "proxy",
            "Treasury",
            f"{stranger} can upgrade Treasury: it owns the proxy's admin, not the timelock.",
        )
    ]


def test_logic_that_was_linked_to_something_else(fresh: Declared) -> None:
    """The same source and build, but another manager rules it: an immutable tells."""
    world = fresh.world
    proxy = world.treasury
    slot = 0xB53127684A568B3173AE13B9F8A6016E243E63B6E8EE1178D6A717850B5D6103
    admin = world.evm.contract("ProxyAdmin", f"0x{world.evm.storage(proxy.address, slot):040x}")
    deployer = world.people.deployer
    other = world.evm.deploy(
        "Treasury", deployer, world.people.stranger, world.dut.address, sender=deployer
    )
    world.as_timelock(admin, "upgradeAndCall", proxy.address, other.address, b"")
    _, (kind, contract, text) = _found(fresh)
    assert (kind, contract) == ("code", "Treasury")
    assert text.startswith(f"The code of Treasury at {other.address} is not what this release")


# ---------------------------------------------------------------- the record


def _recorded(at: Declared, name: str, **changes: Any) -> Declared:
    contracts: dict[str, DeployedContract] = dict(at.deployment.contracts)
    contracts[name] = replace(contracts[name], **changes)
    return replace(at, deployment=replace(at.deployment, contracts=contracts))


def test_a_record_without_a_contract_or_with_one_too_many(fresh: Declared) -> None:
    contracts = dict(fresh.deployment.contracts)
    contracts["Emperor"] = contracts.pop("Tariff")
    there = replace(fresh, deployment=replace(fresh.deployment, contracts=contracts))
    assert [text for _, _, text in _found(there)] == [
        "The deployment record has no contract Tariff.",
        "The deployment record has Emperor, which no deployment makes.",
    ]


def test_a_record_of_later_blocks_hides_no_power(fresh: Declared) -> None:
    """Events count from the chain's first block on, whatever the record says of its contracts."""
    PLANTED["a stranger rules"][0](fresh)
    _token("UsageToken", "setProtocol", "stranger", True)(fresh)
    _token("Treasury", "approve_budget", "stranger", 10**18, 30 * DAY, 300 * DAY)(fresh)
    _timelock("grantRole", "PROPOSER_ROLE", "stranger")(fresh)
    told = _found(fresh)
    assert len(told) == 5
    tx, other = b"\x01" * 32, b"\x02" * 32
    head = fresh.chain.head().number
    # Neither does a transaction that the chain does not know, nor one that made another contract.
    chain = replace(fresh.chain, receipts={other: (fresh.deployment.address("Tariff"), head)})
    for named in ("0x" + tx.hex(), "0x" + other.hex(), "0x1", "none"):
        later = {
            name: replace(contract, block=10**6, tx=named)
            for name, contract in fresh.deployment.contracts.items()
        }
        deployment = replace(fresh.deployment, contracts=later)
        assert _found(replace(fresh, chain=chain, deployment=deployment)) == told


def test_logs_are_read_from_where_the_chain_says_that_contracts_were_made(fresh: Declared) -> None:
    """A public chain has millions of blocks before them."""
    asked: list[int] = []
    read = fresh.chain.logs

    def logs(addresses: Sequence[str], first: int, last: int) -> Iterator[RawLog]:
        asked.append(first)
        return read(addresses, first, last)

    contracts, receipts = {}, {}
    for number, (name, contract) in enumerate(fresh.deployment.contracts.items()):
        contracts[name] = replace(contract, tx=f"0x{number:064x}")
        receipts[number.to_bytes(32)] = (contract.address.lower(), 7 + number)
    chain = replace(fresh.chain, receipts=receipts)
    deployment = replace(fresh.deployment, contracts=contracts)
    first = min(7 + list(contracts).index(name) for name in _TOLD_BY)
    with patch.object(chain, "logs", logs):
        replace(fresh, chain=chain, deployment=deployment).powers()
    assert asked == [first]


def test_a_record_that_does_not_say_what_the_timelock_was_made_with(fresh: Declared) -> None:
    there = _recorded(fresh, "TimelockController", constructor=[])
    text = "The timelock waits 0 s; the record does not say how long it was made to wait."
    assert _found(there) == [("timelock", "TimelockController", text)]
    assert there.verify().timelock_delay == 0


def test_a_record_that_hides_a_proxy(fresh: Declared) -> None:
    there = _recorded(fresh, "Tariff", proxy=False, implementation=None)
    text = "Tariff should stand behind a proxy; the record says otherwise."
    assert _found(there) == [("record", "Tariff", text)]


def test_a_record_of_other_code(fresh: Declared) -> None:
    there = _recorded(fresh, "Tariff", integrity="0x" + "00" * 32)
    text = "The deployment record says that Tariff was made from other code."
    assert _found(there) == [("record", "Tariff", text)]


def test_a_record_that_names_a_contract_of_the_suite_twice(fresh: Declared) -> None:
    other = fresh.deployment.address("LicenceToken")
    found = _found(_recorded(fresh, "LicenceView", address=other))
    # Neither is it the view, nor is what asks the view linked to this.
    assert [(kind, contract) for kind, contract, _ in found] == [
        ("code", "LicenceView"),
        ("code", "Rewards"),
    ]
    assert found[0][2].startswith(f"The code of LicenceView at {other} is not what this release")


def test_a_record_whose_timelock_is_another_contract_tells_nothing_of_powers(
    fresh: Declared,
) -> None:
    there = _recorded(fresh, "TimelockController", address=fresh.deployment.address("Tariff"))
    found = there.verify()
    assert found.functions == 0
    assert "TimelockController" in {d.contract for d in found.deviations}


def test_a_record_of_another_chain(fresh: Declared) -> None:
    with pytest.raises(WrongChain, match="is for chain 1, but the node is on chain 31337"):
        replace(fresh, deployment=replace(fresh.deployment, chain_id=1)).verify()


def test_a_node_that_does_not_simulate_is_refused_and_not_believed(
    fresh: Declared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fresh.chain, "construct", lambda *_: b"")
    with pytest.raises(BadInput, match="does not simulate with state overrides"):
        fresh.verify()


def test_roles_of_contracts_are_held_by_contracts_of_the_plan(fresh: Declared) -> None:
    assert {n for names in CONTRACT_ROLES.values() for n in names} <= set(
        fresh.deployment.contracts
    )

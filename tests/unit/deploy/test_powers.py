"""R29: `medtoken roles` tells from the chain who may call what, and after which delay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.declared import Declared, declared
from support.world import DAY

from medtoken.deploy.callers import CALLERS, RULERS, Kind
from medtoken.deploy.plan import PEOPLE, ZERO_ADDRESS
from medtoken.deploy.powers import PUBLIC_ROLE, role_rows, rows
from medtoken.deploy.roles import CONTRACT_ROLES, FUNCTION_ROLES, ROLE_ADMINS, Role
from medtoken.errors import DeploymentError


@pytest.fixture(scope="module")
def _fresh() -> Declared:
    return declared()


@pytest.fixture
def fresh(_fresh: Declared) -> Iterator[Declared]:
    with _fresh.world.evm.anchor():
        yield _fresh


def _as_admin(at: Declared, function: str, *args: object) -> None:
    at.world.as_timelock(at.world.manager, function, *args)


def _who(at: Declared, contract: str, function: str) -> list[str]:
    return [h.name or h.address for h in at.powers().of(contract, function).holders]


def test_every_function_of_every_contract_is_told(fresh: Declared) -> None:
    powers = fresh.powers()
    told = {(p.contract, p.function) for p in powers.functions}
    proxied = [name for name, c in fresh.deployment.contracts.items() if c.proxy]
    assert told == {
        *((c, f) for c, known in CALLERS.items() for f in known),
        *((c, f) for c in ("AccessManager", "TimelockController") for f in RULERS[c]),
        *((f"ProxyAdmin of {c}", f) for c in proxied for f in RULERS["ProxyAdmin"]),
    }
    assert (powers.strays, powers.closed, powers.admin_delays) == ((), (), {})
    assert (powers.chain_id, powers.block) == (31337, fresh.chain.head().number)


@pytest.mark.parametrize("role", list(Role))
def test_the_members_of_a_role_have_their_names(fresh: Declared, role: Role) -> None:
    state = fresh.powers().role(role)
    offices = {name for name, held in PEOPLE.items() if held is role}
    contracts = {"TimelockController"} if role is Role.ADMIN else set(CONTRACT_ROLES.get(role, ()))
    assert {h.name for h in state.holders} == offices | contracts
    assert state.admin == ROLE_ADMINS.get(role, Role.ADMIN)
    assert (state.name, state.guardian, state.grant_delay) == (role.name, Role.ADMIN, 0)
    assert all(h.delay == h.since == 0 for h in state.holders)


def test_a_restricted_function_is_its_roles(fresh: Declared) -> None:
    powers = fresh.powers()
    for power in powers.functions:
        if power.kind is Kind.RESTRICTED:
            wanted = FUNCTION_ROLES.get(power.contract, {}).get(power.function, Role.ADMIN)
            assert (power.role, power.who) == (wanted, wanted.name)
            assert power.holders == powers.role(wanted).holders


def test_what_a_contract_names_itself_is_read_there(fresh: Declared) -> None:
    assert _who(fresh, "ContributionToken", "mint") == ["RecordRegistry"]
    assert _who(fresh, "GovernanceToken", "mint") == ["StorageRewards"]
    assert _who(fresh, "BadgeToken", "mint") == ["Rewards"]
    assert _who(fresh, "InstitutionToken", "mint") == ["AssetDesk"]
    assert _who(fresh, "ResearchToken", "burn") == ["ResearchDesk"]
    assert _who(fresh, "UsageToken", "setAuthority") == ["AccessManager"]
    assert _who(fresh, "Treasury", "spend") == ["ResearchDesk"]
    assert "Treasury" in _who(fresh, "UsageToken", "burn")
    assert _who(fresh, "TimelockController", "schedule") == ["operator"]
    assert _who(fresh, "TimelockController", "cancel") == ["operator"]
    assert _who(fresh, "TimelockController", "updateDelay") == ["TimelockController"]
    assert _who(fresh, "ProxyAdmin of DataMarket", "upgradeAndCall") == ["TimelockController"]
    anybody = fresh.powers().of("TimelockController", "execute").holders
    assert [h.address for h in anybody] == [ZERO_ADDRESS]


def test_the_timelocks_delay_is_that_of_what_it_alone_may_do(fresh: Declared) -> None:
    timelock = fresh.world.timelock
    fresh.world.as_timelock(timelock, "updateDelay", 2 * DAY)
    powers = fresh.powers()
    assert powers.timelock_delay == 2 * DAY
    for contract, function in (
        ("DataMarket", "set_rates"),
        ("AccessManager", "setTargetFunctionRole"),
        ("ProxyAdmin of Treasury", "upgradeAndCall"),
        ("TimelockController", "execute"),
        ("TimelockController", "updateDelay"),
    ):
        assert [h.delay for h in powers.of(contract, function).holders] == [2 * DAY]
    assert powers.of("DataMarket", "pause").holders[0].delay == 0
    shown = {r.contract: r for r in rows(powers, addresses=False) if "set_rates" in r.functions}
    assert shown["DataMarket"].who == "ADMIN: TimelockController"
    assert shown["DataMarket"].after == "after 172,800 s"


# ---------------------------------------------------------------- what has changed since


def test_a_member_that_was_removed_is_not_told(fresh: Declared) -> None:
    guardian = fresh.world.people.guardian
    _as_admin(fresh, "revokeRole", int(Role.GUARDIAN), guardian)
    assert _who(fresh, "DataMarket", "pause") == []
    pause = next(r for r in rows(fresh.powers(), addresses=False) if "pause" in r.functions)
    assert pause.who == "GUARDIAN: nobody"


def test_a_member_that_nobody_knows_is_told_by_address_and_with_its_delay(fresh: Declared) -> None:
    stranger = fresh.world.people.stranger
    _as_admin(fresh, "grantRole", int(Role.GUARDIAN), stranger, 3600)
    holders = fresh.powers().of("DataMarket", "pause").holders
    assert [(h.name, h.address, h.delay) for h in holders] == [
        ("guardian", str(fresh.world.people.guardian), 0),
        ("", str(stranger), 3600),
    ]
    pause = next(r for r in rows(fresh.powers(), addresses=False) if "pause" in r.functions)
    assert pause.who == f"GUARDIAN: guardian, {stranger}"
    assert pause.after == f"guardian after 0 s; {stranger} after 3,600 s"


def test_a_member_to_be_is_told_with_the_time_from_which_it_is_one(fresh: Declared) -> None:
    stranger, role = fresh.world.people.stranger, int(Role.GUARDIAN)
    _as_admin(fresh, "setGrantDelay", role, 2 * DAY)
    fresh.world.evm.warp(6 * DAY)  # the manager's own setback
    _as_admin(fresh, "grantRole", role, stranger, 0)
    since = fresh.world.evm.time + 2 * DAY
    state = fresh.powers().role(role)
    assert state.grant_delay == 2 * DAY
    assert [h.since for h in state.holders if h.address == stranger] == [since]
    assert f"from unix time {since} on" in str(role_rows(fresh.powers(), addresses=True))
    fresh.world.evm.warp(2 * DAY)
    fresh.world.dut.admit(stranger, sender=fresh.world.people.admission)  # a block at that time
    assert [h.since for h in fresh.powers().role(role).holders] == [0, 0]


def test_a_function_that_was_given_away(fresh: Declared) -> None:
    market = fresh.world.market
    chosen = [market.abi.selector("set_rates")]
    _as_admin(fresh, "setTargetFunctionRole", market.address, chosen, int(Role.GUARDIAN))
    power = fresh.powers().of("DataMarket", "set_rates")
    assert (power.role, [h.name for h in power.holders]) == (Role.GUARDIAN, ["guardian"])
    _as_admin(fresh, "setTargetFunctionRole", market.address, chosen, PUBLIC_ROLE)
    power = fresh.powers().of("DataMarket", "set_rates")
    assert [h.address for h in power.holders] == [ZERO_ADDRESS]
    shown = next(r for r in rows(fresh.powers(), addresses=False) if "set_rates" in r.functions)
    assert shown.who == "anybody"
    _as_admin(fresh, "setTargetFunctionRole", market.address, chosen, 99)
    power = fresh.powers().of("DataMarket", "set_rates")
    assert (power.who, power.holders) == ("role 99", ())


def test_a_function_that_no_release_knows(fresh: Declared) -> None:
    market = fresh.world.market.address
    _as_admin(fresh, "setTargetFunctionRole", market, [b"\1\2\3\4"], int(Role.GUARDIAN))
    (stray,) = fresh.powers().strays
    assert (stray.contract, stray.selector, stray.role) == ("DataMarket", "0x01020304", 8)


def test_a_contract_that_was_closed(fresh: Declared) -> None:
    _as_admin(fresh, "setTargetClosed", fresh.world.market.address, True)
    assert fresh.powers().closed == ("DataMarket",)
    shown = next(r for r in rows(fresh.powers(), addresses=False) if "set_rates" in r.functions)
    assert shown.who == "ADMIN: nobody, it is closed"


def test_a_role_that_nobody_declared(fresh: Declared) -> None:
    stranger = fresh.world.people.stranger
    _as_admin(fresh, "labelRole", 77, "EMPEROR")
    _as_admin(fresh, "grantRole", 77, stranger, 0)
    state = fresh.powers().role(77)
    assert (state.name, [h.address for h in state.holders]) == ("EMPEROR", [str(stranger)])


def test_a_budget_that_has_ended_is_no_power(fresh: Declared) -> None:
    fresh.world.evm.warp(366 * DAY)
    fresh.world.dut.admit(fresh.world.people.relay, sender=fresh.world.people.admission)
    assert _who(fresh, "Treasury", "spend") == []
    assert _who(fresh, "Treasury", "give_back") == ["ResearchDesk"]


def test_a_protocol_contract_that_is_none_any_more(fresh: Declared) -> None:
    dut, vault = fresh.world.dut, fresh.world.suite["RoyaltyVault"]
    fresh.world.as_timelock(dut, "setProtocol", vault.address, False)
    assert "RoyaltyVault" not in _who(fresh, "UsageToken", "burn")


def test_a_record_with_a_contract_that_this_release_does_not_know(fresh: Declared) -> None:
    contracts = dict(fresh.deployment.contracts)
    contracts["Emperor"] = replace(contracts["Tariff"], name="Emperor")
    with pytest.raises(DeploymentError, match="does not know the contract Emperor"):
        Declared(fresh.world, fresh.chain, replace(fresh.deployment, contracts=contracts)).powers()

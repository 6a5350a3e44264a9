"""R28: what a proposal will call is said in words, and what cannot be said is never passed over."""

from __future__ import annotations

import pytest
from support.world import World

from medtoken._keccak import first_created
from medtoken.chain.abi import abi
from medtoken.chain.governance import ProposedCall, Renderer
from medtoken.deploy.handover import handover_calls
from medtoken.deploy.record import DeployedContract, Deployment
from medtoken.deploy.roles import Role
from medtoken.errors import BadInput


@pytest.fixture
def renderer(bare: World) -> Renderer:
    made = {
        name: DeployedContract(
            name, c.address, name == "Treasury", None, 1, "0x", None, [], None, {}, "0x"
        )
        for name, c in bare.suite.items()
    }
    return Renderer(Deployment(31337, "test", str(bare.people.deployer), made))


def test_a_call_is_shown_by_name(bare: World, renderer: Renderer) -> None:
    budget = (bare.research.address, 10**18, 86_400, 864_000)
    calls = [
        renderer.encode("Treasury", "set_burn_share", [4_000]),
        renderer.encode("Treasury", "approve_budget", budget),
    ]
    assert renderer.render(calls) == [
        "1. Treasury.set_burn_share(burnShare = 4000)",
        f"2. Treasury.approve_budget(spender = ResearchDesk ({bare.research.address}), "
        "limit = 1000000000000000000, period = 86400, length = 864000)",
    ]


def test_what_gives_power_is_marked(bare: World, renderer: Renderer) -> None:
    stranger, manager = bare.people.stranger, bare.manager.address
    selectors = [abi("Treasury").selector("approve_budget")]
    admin = first_created(bare.treasury.address)
    upgrade = abi("ProxyAdmin").call(
        "upgradeAndCall", bare.treasury.address, str(stranger), b"\1\2"
    )
    timelock = bare.timelock.address
    calls = [
        renderer.encode("AccessManager", "grantRole", [int(Role.ADMIN), str(stranger), 0]),
        renderer.encode(
            "AccessManager",
            "setTargetFunctionRole",
            [bare.treasury.address, selectors, int(Role.COUNCIL)],
        ),
        ProposedCall(admin, upgrade),
        *[ProposedCall(*c) for c in handover_calls(timelock, manager, str(stranger))[:1]],
    ]
    power = "   ! It changes who has power."
    lines = renderer.render(calls)
    assert lines[1::2] == [power] * 4
    assert lines[0] == (
        f"1. AccessManager.grantRole(roleId = ADMIN (0), account = {stranger}, executionDelay = 0)"
    )
    assert lines[2] == (
        f"2. AccessManager.setTargetFunctionRole(target = Treasury ({bare.treasury.address}), "
        "selectors = [approve_budget], roleId = COUNCIL (15))"
    )
    assert lines[4] == (
        f"3. ProxyAdmin of Treasury.upgradeAndCall(proxy = Treasury ({bare.treasury.address}), "
        f"implementation = {stranger}, data = 0x0102)"
    )
    assert "grantRole(role = PROPOSER (0x" in lines[6]


def test_what_is_not_understood_is_said(bare: World, renderer: Renderer) -> None:
    stranger = str(bare.people.stranger)
    good = renderer.encode("Treasury", "set_burn_share", [4_000])
    longer = ProposedCall(good.target, good.data + b"\0")
    shorter = ProposedCall(good.target, good.data[:-1])
    unknown = ProposedCall(good.target, b"\1\2\3\4")
    assert renderer.render([ProposedCall(stranger, b"\1", 5), longer, shorter, unknown]) == [
        f"1. {stranger} is sent 0x01",
        "   ! It sends 5 wei.",
        "   ! This deployment does not know the contract.",
        f"2. Treasury is sent 0x{longer.data.hex()}",
        "   ! This is more than the arguments of Treasury.set_burn_share.",
        f"3. Treasury is sent 0x{shorter.data.hex()}",
        "   ! These are no arguments of Treasury.set_burn_share.",
        "4. Treasury is sent 0x01020304",
        "   ! Treasury has no function 0x01020304.",
    ]


def test_a_call_that_does_not_exist_is_not_made(renderer: Renderer) -> None:
    with pytest.raises(BadInput, match="The deployment has no contract Mint"):
        renderer.encode("Mint", "mint", [])
    with pytest.raises(BadInput, match="Treasury has no function mint"):
        renderer.encode("Treasury", "mint", [])

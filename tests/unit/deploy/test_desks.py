"""R12, R29: the plan deploys the desks, gives them their role and nobody else, and sets their terms."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from support.desks import Desks
from support.evm import PROXY
from support.world import Actor, reverts

from medtoken.deploy.plan import Call, Ref, build_plan, load_params
from medtoken.deploy.roles import CONTRACT_ROLES, FUNCTION_ROLES, Role
from medtoken.errors import BadInput

DESKS = ("AuctionHouse", "BasketDesk")
ALL = (*DESKS, "ResearchDesk", "DataTrust")


@pytest.fixture(scope="module")
def bare() -> Desks:
    return Desks()


def test_the_plan_grants_the_role_to_the_desks_and_to_no_person() -> None:
    params = load_params("devnet", operator=Actor("operator"), platform=Actor("p"), people={})
    granted = [
        step.args[1]
        for step in build_plan(params, Actor("deployer"))
        if isinstance(step, Call)
        and step.function == "grantRole"
        and step.args[0] == int(Role.DESK)
    ]
    assert granted == [Ref(name) for name in ALL]
    assert CONTRACT_ROLES[Role.DESK] == ALL


@pytest.mark.parametrize("role", sorted(CONTRACT_ROLES))
def test_the_contracts_hold_their_roles(bare: Desks, role: Role) -> None:
    for name in bare.suite:
        held, _ = bare.manager.hasRole(int(role), bare.suite[name].address)
        assert held == (name in CONTRACT_ROLES[role])


@pytest.mark.parametrize("function", ["charge", "release", "issue_licence"])
def test_what_desks_may_call_is_theirs_alone(bare: Desks, function: str) -> None:
    assert FUNCTION_ROLES["DataMarket"][function] is Role.DESK
    raw = bare.market.abi.selector(function)
    target = bare.market.address
    for who in (*vars(bare.people).values(), bare.timelock.address):
        allowed, _ = bare.manager.canCall(who, target, raw)
        assert not allowed, f"{who} may {function}"
    for name in ALL:
        allowed, _ = bare.manager.canCall(bare.suite[name].address, target, raw)
        assert allowed


@pytest.mark.parametrize("name", DESKS)
def test_the_bare_logic_is_locked(bare: Desks, name: str) -> None:
    arguments = {
        "AuctionHouse": [bare.market.address, bare.registry.address, bare.dut.address],
        "BasketDesk": [bare.market.address, bare.tariff.address],
    }[name]
    first = {"AuctionHouse": (500, 600, 7), "BasketDesk": ([],)}[name]
    deployer = bare.people.deployer
    logic = bare.evm.deploy(name, deployer, bare.manager.address, *arguments, sender=deployer)
    with reverts("initializer: done before"):
        logic.initialize(*first, sender=deployer)
    data = logic.abi.call("initialize", *first)
    with reverts("initializer: not the deployer"):
        bare.evm.deploy(
            PROXY, logic.address, bare.timelock.address, data, sender=bare.people.stranger
        )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("increment = 500", ""),
        ("patience = 7", 'patience = "long"'),
        ("[basket]", "[baskets]"),
        ("[[100, 500]", "[[100]"),
    ],
)
def test_incomplete_parameters_are_refused(tmp_path: Path, old: str, new: str) -> None:
    text = files("medtoken.deploy").joinpath("params", "devnet.toml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "params.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BadInput, match="the parameters"):
        load_params(str(path), operator=Actor("o"), platform=Actor("p"), people={})

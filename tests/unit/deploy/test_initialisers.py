"""R29: no contract behind a proxy is initialised a second time, by anybody, in any way."""

from __future__ import annotations

from typing import Any

import pytest
from support.world import PROXIED, World, reverts

from medtoken._keccak import first_created
from medtoken.deploy.plan import Create, build_plan, resolve

IMPLEMENTATION = 0x360894A13BA1A3210667C828492DB98DCA3E2076CC3735A920A3CA505D382BBC
DONE = "initializer: done before"


def first_values(world: World, name: str) -> Any:
    """What the deployment initialised a contract with."""
    plan = build_plan(world.params, world.people.deployer)
    step = next(s for s in plan if isinstance(s, Create) and s.name == name)
    assert step.proxied
    return resolve(step.initialize, {n: c.address for n, c in world.suite.items()})


@pytest.mark.parametrize("name", sorted(PROXIED))
def test_nobody_initialises_again(bare: World, name: str) -> None:
    """Through the proxy, nor the bare logic, nor on the way of an upgrade by the timelock."""
    w, proxy = bare, bare.suite[name]
    values = first_values(w, name)
    logic = w.evm.contract(name, f"0x{w.evm.storage(proxy.address, IMPLEMENTATION):040x}")
    for contract in (proxy, logic):
        for who in (w.people.deployer, w.people.operator, w.people.stranger):
            with reverts(DONE):
                contract.initialize(*values, sender=who)
        with reverts(DONE):
            w.as_timelock(contract, "initialize", *values)
    admin = w.evm.contract("ProxyAdmin", first_created(proxy.address))
    again = proxy.abi.call("initialize", *values)
    with reverts(DONE):
        w.as_timelock(admin, "upgradeAndCall", proxy.address, logic.address, again)

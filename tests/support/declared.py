"""The suite as its deployment leaves it, on a chain of this process, as ``medtoken roles`` reads it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from unittest.mock import patch

from eth_utils import to_checksum_address

from medtoken.deploy.plan import GOVERNOR, ZERO_ADDRESS
from medtoken.deploy.powers import IMPLEMENTATION_SLOT, Powers, read_powers
from medtoken.deploy.record import Deployment, integrity
from medtoken.deploy.verify import Verification, verify
from support.governance import Governed
from support.recording import EvmChain, RecordingEvm, deployment_of
from support.world import World


@dataclass
class Declared:
    """A fresh deployment in which every office is held by an account of its own."""

    world: World
    chain: EvmChain
    deployment: Deployment

    def verify(self) -> Verification:
        """Whether it is what it should be."""
        return verify(self.chain, self.deployment)

    def powers(self) -> Powers:
        """Who may do what now."""
        return read_powers(self.chain, self.deployment)


def declared(kind: type[World] = World) -> Declared:
    """Deploy the suite by the real plan, under its governor where that is the kind of world."""
    with patch("support.world.Evm", RecordingEvm):
        world = kind()
    assert isinstance(world.evm, RecordingEvm)
    params = world.params
    offices = {"operator": params.operator, "platform": params.platform, **params.people}
    addresses = {name: contract.address for name, contract in world.suite.items()}
    if isinstance(world, Governed):
        addresses[GOVERNOR] = world.governor.address
    deployment = deployment_of(
        addresses,
        world.people.deployer,
        {name: str(who) for name, who in offices.items()},
    )
    chain = EvmChain(world.evm)
    for name, contract in deployment.contracts.items():
        logic = None
        if contract.proxy:
            word = world.evm.storage(contract.address, IMPLEMENTATION_SLOT)
            logic = to_checksum_address(word.to_bytes(20))
        deployment.contracts[name] = replace(
            contract, implementation=logic, integrity=integrity(name)
        )
    timelock = deployment.contracts["TimelockController"]
    made = [str(params.timelock_delay), [params.operator], [ZERO_ADDRESS], ZERO_ADDRESS]
    deployment.contracts["TimelockController"] = replace(timelock, constructor=made)
    return Declared(world, chain, deployment)

"""The suite as its deployment leaves it, on a chain of this process, as ``medtoken roles`` reads it."""

from __future__ import annotations

from dataclasses import dataclass
from unittest.mock import patch

from medtoken.deploy.powers import Powers, read_powers
from medtoken.deploy.record import Deployment
from support.recording import EvmChain, RecordingEvm, deployment_of
from support.world import World


@dataclass
class Declared:
    """A fresh deployment in which every office is held by an account of its own."""

    world: World
    chain: EvmChain
    deployment: Deployment

    def powers(self) -> Powers:
        """Who may do what now."""
        return read_powers(self.chain, self.deployment)


def declared() -> Declared:
    """Deploy the suite by the real plan."""
    with patch("support.world.Evm", RecordingEvm):
        world = World()
    assert isinstance(world.evm, RecordingEvm)
    params = world.params
    offices = {"operator": params.operator, "platform": params.platform, **params.people}
    deployment = deployment_of(
        {name: contract.address for name, contract in world.suite.items()},
        world.people.deployer,
        {name: str(who) for name, who in offices.items()},
    )
    return Declared(world, EvmChain(world.evm), deployment)

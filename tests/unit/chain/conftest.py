"""One Anvil for the tests of the node client and of what stands on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from medtoken.chain.devnet import anvil
from medtoken.chain.node import Node, Wallet


@pytest.fixture(scope="session")
def _anvil() -> Iterator[Node]:
    with anvil() as node:
        yield node


@pytest.fixture
def node(_anvil: Node) -> Iterator[Node]:
    """A node whose chain is put back after the test."""
    mark = _anvil.rpc("evm_snapshot")
    yield Node.connect(_anvil.url)
    _anvil.rpc("evm_setAutomine", True)
    assert _anvil.rpc("evm_revert", mark)


@pytest.fixture
def wallet(node: Node) -> Wallet:
    """A wallet that has ether and has sent nothing."""
    made = Wallet.create()
    node.rpc("anvil_setBalance", made.address, hex(10**18))
    return made

"""R12: a licence is named by the hash of consent, record, licensee and salt."""

from __future__ import annotations

import pytest
from eth_utils import keccak
from support.world import NONE, ZERO, World, reverts


def test_it_is_the_id_that_the_market_uses(world: World) -> None:
    ref = world.buy(world.granted(), salt=world.keyed(5))
    assert world.view.licence_id(ref) == world.licence_id(ref)
    assert world.view.licence_id(ref) == world.evm.event("LicenceBought")["licence"]


@pytest.mark.parametrize("salt", [0, 1, 1 << 160, 2**256 - 1])
def test_every_part_counts(world: World, salt: int) -> None:
    ref = {"consent": NONE, "record": NONE, "licensee": world.people.stranger, "salt": salt}
    who = bytes(12) + bytes.fromhex(world.people.stranger[2:])
    assert world.view.licence_id(ref) == keccak(NONE + NONE + who + salt.to_bytes(32))
    for changed in ({"consent": b"\1" * 32}, {"record": b"\1" * 32}, {"licensee": ZERO}):
        assert world.view.licence_id(ref | changed) != world.view.licence_id(ref)


def test_a_view_of_no_market_is_refused(bare: World) -> None:
    with reverts("view: no market is named"):
        bare.evm.deploy("LicenceView", ZERO, sender=bare.people.deployer)

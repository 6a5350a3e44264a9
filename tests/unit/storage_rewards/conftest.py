"""A custodian with three records on its shelf."""

from __future__ import annotations

import pytest
from support.holdings import Shelf
from support.world import World


@pytest.fixture
def shelf(world: World) -> Shelf:
    shelf = Shelf(world, world.people.custodian, world.people.attester)
    for size in (5_000, 20_000, 1_700):
        shelf.add(size)
    return shelf

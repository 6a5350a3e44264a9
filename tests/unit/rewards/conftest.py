"""Rewards in a world."""

from __future__ import annotations

import pytest
from support.rewards import Stage
from support.world import World


@pytest.fixture
def stage(world: World) -> Stage:
    return Stage(world)

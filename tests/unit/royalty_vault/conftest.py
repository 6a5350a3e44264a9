"""A vault with one open study of three members."""

from __future__ import annotations

import pytest
from support.royalties import Stage, Study
from support.world import World


@pytest.fixture
def stage(world: World) -> Stage:
    return Stage(world)


@pytest.fixture
def weights(world: World) -> dict[str, int]:
    people = world.people
    return {people.patient: 100, people.other_patient: 200, people.annotator: 300}


@pytest.fixture
def study(stage: Stage, weights: dict[str, int]) -> Study:
    """Open and undertaken; its payer is the licensee."""
    return stage.open(weights)

"""R3: the lineage share and the window are governed within bounds; an event tells old and new."""

from __future__ import annotations

import pytest
from eth_utils import keccak
from support.world import DAY, World, reverts


@pytest.mark.parametrize(
    ("name", "before", "least", "most", "sentence"),
    [
        ("share", 2_000, 500, 5_000, "asset: share out of bounds"),
        ("window", 7 * DAY, DAY, 90 * DAY, "asset: window out of bounds"),
    ],
)
def test_a_parameter_moves_within_its_bounds(
    world: World, name: str, before: int, least: int, most: int, sentence: str
) -> None:
    desk, at = world.assets, ("share", "window").index(name)
    assert desk.terms()[at] == before
    with reverts("access: caller may not do this"):
        getattr(desk, f"set_{name}")(least, sender=world.people.operator)
    for value in (least, most):
        world.as_timelock(desk, f"set_{name}", value)
        assert desk.terms()[at] == value
    told = world.evm.event("ParameterChanged")
    assert told == {"name": keccak(text=name), "previous": least, "current": most}
    for value in (least - 1, most + 1):
        with reverts(sentence):
            world.as_timelock(desk, f"set_{name}", value)


def test_it_is_initialised_once(world: World) -> None:
    with reverts("initializer: done before"):
        world.assets.initialize(2_000, 7 * DAY, sender=world.people.deployer)

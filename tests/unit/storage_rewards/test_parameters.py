"""R5: what the timelock sets, within the contract's own bounds, and what the supervisor states."""

from __future__ import annotations

from typing import Any

import pytest
from support.world import DAY, DUT, ZERO, World, reverts

RULES = {"threshold": 60, "samples": 44, "gap": 7 * DAY, "window": DAY, "price": DUT}


def test_the_deployment_sets_them(bare: World) -> None:
    assert bare.storage.rules() == RULES
    assert bare.storage.bonuses() == [{"calls": 10_000, "share": 2_000}]


@pytest.mark.parametrize(
    ("field", "least", "most"),
    [
        ("threshold", 1, 100),
        ("samples", 30, 256),
        ("gap", DAY, 30 * DAY),
        ("window", 3_600, DAY),
        ("price", 10**16, 10**24),
    ],
)
def test_rules_move_within_their_bounds(bare: World, field: str, least: int, most: int) -> None:
    for value in (least, most):
        previous = bare.storage.rules()
        bare.as_timelock(bare.storage, "set_rules", RULES | {field: value})
        assert bare.evm.event("RulesChanged") == {
            "previous": previous,
            "current": RULES | {field: value},
        }
    for value in (least - 1, most + 1, 0):
        with reverts("storage: rules out of bounds"):
            bare.as_timelock(bare.storage, "set_rules", RULES | {field: value})


def _steps(*steps: tuple[int, int]) -> list[dict[str, int]]:
    return [{"calls": calls, "share": share} for calls, share in steps]


def test_further_steps_are_governed(bare: World) -> None:
    steps = _steps((1, 1), (10_000, 2_000), (10**12, 20_000))
    previous = bare.storage.bonuses()
    bare.as_timelock(bare.storage, "set_bonuses", steps)
    assert bare.evm.event("BonusesChanged") == {"previous": previous, "current": steps}
    assert bare.storage.bonuses() == steps
    bare.as_timelock(bare.storage, "set_bonuses", [])
    assert bare.storage.bonuses() == []


@pytest.mark.parametrize(
    "steps",
    [
        _steps((0, 1)),
        _steps((1, 0)),
        _steps((10, 5), (10, 6)),
        _steps((10, 5), (11, 5)),
        _steps((10**12 + 1, 5)),
        _steps((1, 20_001)),
    ],
)
def test_steps_that_make_no_sense(bare: World, steps: list[dict[str, int]]) -> None:
    with reverts("storage: bonuses out of bounds"):
        bare.as_timelock(bare.storage, "set_bonuses", steps)


def test_relations(world: World) -> None:
    people, storage = world.people, world.storage

    def state(who: str, related: Any) -> None:
        storage.set_related(1, who, related, sender=people.supervisor)

    with reverts("storage: no licensee is named"):
        state(ZERO, True)
    with reverts("storage: nothing changes"):
        state(people.licensee, False)
    state(people.licensee, True)
    assert world.evm.event("RelationChanged") == {
        "custodian": 1,
        "licensee": people.licensee,
        "related": True,
    }
    assert storage.related(1, people.licensee)
    assert not storage.related(2, people.licensee)
    for who in (people.stranger, people.custodian, people.operator):
        with reverts("access: caller may not do this"):
            storage.set_related(1, people.licensee, False, sender=who)

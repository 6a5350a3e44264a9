"""R11, R13: the credential role states a licensee's groups, region and standing; its money stays."""

from __future__ import annotations

import pytest
from support.world import DUT, LICENSEE_FIELDS, MILLION, ZERO, World, pack, reverts

OUT = "account: unknown group or region"


def _set(world: World, account: str, groups: int, region: int, flags: int) -> None:
    world.market.set_licensee(account, groups, region, flags, sender=world.people.credentials)


@pytest.mark.parametrize(
    ("groups", "region", "flags"), [(0, 0, 0), (5, 158, 2), (2**96 - 1, 999, 3)]
)
def test_the_change_is_stored_beside_the_deposit_and_told(
    world: World, groups: int, region: int, flags: int
) -> None:
    licensee = world.people.licensee
    _set(world, licensee, groups, region, flags)
    assert world.evm.event("LicenseeChanged") == {
        "account": licensee,
        "groups": groups,
        "region": region,
        "flags": flags,
    }
    assert world.market.licensee_word(licensee) == pack(
        LICENSEE_FIELDS,
        deposit=MILLION * DUT // 2,
        groups=groups,
        region=region,
        flags=flags,
    )


@pytest.mark.parametrize(
    ("groups", "region", "flags"),
    [
        (2**96, 158, 0),
        (2**128 - 1, 158, 0),
        (2**256 - 1, 158, 0),
        (1, 1000, 0),
        (1, 2**16 + 158, 0),
        (1, 158, 4),
        (1, 158, 2**16),
        (1, 158, 2**256 - 1),
    ],
)
def test_no_value_can_spill_into_another_field(
    world: World, groups: int, region: int, flags: int
) -> None:
    with reverts(OUT):
        _set(world, world.people.licensee, groups, region, flags)


def test_no_account_is_refused(world: World) -> None:
    with reverts("account: no account is named"):
        _set(world, ZERO, 1, 158, 0)


def test_a_stranger_and_the_licensee_itself_are_refused(world: World) -> None:
    people = world.people
    for who in (people.stranger, people.licensee, people.operator, people.accreditation):
        with reverts("access: caller may not do this"):
            world.market.set_licensee(who, 1, 158, 0, sender=who)


def test_money_that_comes_and_goes_leaves_the_rest(world: World) -> None:
    licensee = world.people.licensee
    _set(world, licensee, 2**96 - 1, 999, 3)
    standing = world.market.licensee_word(licensee) >> 128
    world.market.reclaim(world.deposit_of(licensee), sender=licensee)
    assert world.market.licensee_word(licensee) == standing << 128
    world.market.deposit(licensee, 1, sender=licensee)
    assert world.market.licensee_word(licensee) == standing << 128 | 1

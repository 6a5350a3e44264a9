"""R8, R29: the accreditation role says who is a custodian, an annotator, an attester."""

from __future__ import annotations

import pytest
from support.world import ZERO, World, reverts


def test_numbers_count_up_from_one(bare: World) -> None:
    for number in (1, 2, 3):
        who = bare.new_actor()
        assert bare.accredit(who, number) == number
        assert bare.evm.event("InstitutionChanged") == {
            "number": number,
            "account": who,
            "capabilities": number,
            "previousAccount": ZERO,
            "previousCapabilities": 0,
        }
        assert bare.registry.institution(number) == (who, number)
        assert bare.registry.number_of(who) == number


def test_a_change_keeps_the_number(bare: World) -> None:
    who = bare.new_actor()
    number = bare.accredit(who, 1)
    assert bare.accredit(who, 7) == number
    assert bare.evm.event("InstitutionChanged")["previousCapabilities"] == 1
    assert bare.registry.institution(number) == (who, 7)


def test_zero_withdraws_every_capability(world: World) -> None:
    people = world.people
    record = world.register()
    for who in (people.custodian, people.attester):
        world.accredit(who, 0)
    with reverts("institutions: the caller is not accredited for this"):
        world.register()
    with reverts("institutions: the caller is not accredited for this"):
        world.attest(record)


def test_nobody_and_unknown_capabilities_are_refused(bare: World) -> None:
    with reverts("institutions: no account is named"):
        bare.accredit(ZERO, 1)
    for bits in (8, 1 << 96, 2**256 - 1):
        with reverts("institutions: unknown capability"):
            bare.accredit(bare.new_actor(), bits)


def test_a_stranger_cannot_accredit_itself(world: World) -> None:
    people = world.people
    for who in (people.stranger, people.custodian, people.operator, people.credentials):
        with reverts("access: caller may not do this"):
            world.registry.accredit(who, 7, sender=who)


@pytest.mark.parametrize("number", [0, 5, 2**20, 2**256 - 1])
def test_who_was_never_accredited_is_nobody(world: World, number: int) -> None:
    assert world.registry.institution(number) == (ZERO, 0)
    assert world.registry.number_of(world.people.stranger) == 0


def test_the_last_number_that_fits_20_bits_is_the_last(bare: World) -> None:
    for _ in range(6):
        count = bare.accredit(bare.new_actor(), 1)
    slot = next(s for s in range(64) if bare.evm.storage(bare.registry.address, s) == count)
    with bare.evm.stored(bare.registry.address, slot, 2**20 - 2):
        assert bare.accredit(bare.new_actor(), 1) == 2**20 - 1
        with reverts("institutions: no number is left"):
            bare.accredit(bare.new_actor(), 1)

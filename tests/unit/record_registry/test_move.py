"""An institution moves to a new account and keeps its number, its records and what they earn."""

from __future__ import annotations

from support.world import ZERO, World, reverts


def test_the_number_follows_and_the_old_account_is_nobody(world: World) -> None:
    people = world.people
    number = world.number(people.custodian)
    record = world.register()
    new = world.new_actor()
    world.registry.move(number, new, sender=people.accreditation)
    assert world.evm.event("InstitutionChanged") == {
        "number": number,
        "account": new,
        "capabilities": 1,
        "previousAccount": people.custodian,
        "previousCapabilities": 1,
    }
    assert world.registry.institution(number) == (new, 1)
    assert world.number(new) == number
    assert world.number(people.custodian) == 0
    assert world.registry.parties(record)["custodian"] == new
    with reverts("institutions: the caller is not accredited for this"):
        world.register()
    assert world.register(sender=new)


def test_an_old_account_that_returns_is_another_institution(world: World) -> None:
    people = world.people
    record = world.register()
    number = world.number(people.custodian)
    world.registry.move(number, world.new_actor(), sender=people.accreditation)
    again = world.accredit(people.custodian, 1)
    assert again not in (0, number)
    with reverts("registry: the previous version is somebody else's"):
        world.register(previous=record)


def test_unknown_taken_and_empty_are_refused(world: World) -> None:
    people = world.people
    number = world.number(people.custodian)

    def move(which: int, account: str) -> None:
        world.registry.move(which, account, sender=people.accreditation)

    for unknown in (0, 99, 2**256 - 1):
        with reverts("institutions: unknown institution"):
            move(unknown, world.new_actor())
    with reverts("institutions: no account is named"):
        move(number, ZERO)
    for taken in (people.annotator, people.custodian):
        with reverts("institutions: the account is taken"):
            move(number, taken)


def test_a_stranger_cannot_move_an_institution_to_itself(world: World) -> None:
    people = world.people
    number = world.number(people.custodian)
    for who in (people.stranger, people.custodian, people.operator):
        with reverts("access: caller may not do this"):
            world.registry.move(number, world.new_actor(), sender=who)


def test_an_institution_without_accreditation_can_still_move(world: World) -> None:
    """So that it is paid at its new account for what it did while it had one."""
    people = world.people
    record = world.register()
    number = world.accredit(people.custodian, 0)
    new = world.new_actor()
    world.registry.move(number, new, sender=people.accreditation)
    assert world.registry.parties(record)["custodian"] == new
    with reverts("institutions: the caller is not accredited for this"):
        world.register(sender=new)

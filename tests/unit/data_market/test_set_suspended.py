"""R31: the supervisor suspends a licence, and lets it run again."""

from __future__ import annotations

from support.world import METERED, World, reverts


def test_the_flag_and_nothing_else_changes(world: World) -> None:
    ref = world.buy(world.granted())
    licence = world.licence_id(ref)
    before = world.meter(ref)
    for suspended in (True, True, False, False):
        world.market.set_suspended(licence, suspended, sender=world.people.supervisor)
        assert world.evm.events() == ["LicenceSuspended"]
        assert world.evm.event("LicenceSuspended") == {"licence": licence, "suspended": suspended}
        assert world.meter(ref) == before | {"flags": METERED | 4 * suspended}
        assert world.view.is_valid(ref, 1) is not suspended


def test_an_unknown_or_closed_licence_is_refused(world: World) -> None:
    consent = world.granted()
    ref = world.buy(consent)
    supervisor = world.people.supervisor
    with reverts("licence: unknown licence"):
        world.market.set_suspended(world.fresh(), True, sender=supervisor)
    world.revoke(consent)
    world.settle(ref)
    with reverts("licence: it is closed"):
        world.market.set_suspended(world.licence_id(ref), True, sender=supervisor)


def test_a_stranger_cannot_suspend_or_lift(world: World) -> None:
    people = world.people
    licence = world.licence_id(world.buy(world.granted()))
    for who in (people.stranger, people.licensee, people.patient, people.guardian):
        for suspended in (True, False):
            with reverts("access: caller may not do this"):
                world.market.set_suspended(licence, suspended, sender=who)


def test_a_flag_that_is_no_bool_is_refused(world: World) -> None:
    licence = world.licence_id(world.buy(world.granted()))
    data = bytearray(world.market.abi.call("set_suspended", licence, True))
    data[-1] = 2
    with reverts("the contract refused and gave no reason"):
        world.evm.transact(world.people.supervisor, world.market.address, bytes(data))

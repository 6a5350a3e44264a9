"""R29: the guardian pauses money in, never withdrawals, revocations or funds; the timelock unpauses."""

from __future__ import annotations

from support.world import DUT, World, reverts

PAUSED = "market: paused"


def test_only_money_in_stops(world: World) -> None:
    """Deposits and purchases stop; uses, settlement, withdrawals, reclaims, consents go on."""
    people = world.people
    consent, other = world.granted(), world.granted()
    ref = world.buy(consent)
    world.market.pause(sender=people.guardian)
    assert world.evm.event("PauseChanged") == {"paused": True}
    with reverts(PAUSED):
        world.market.deposit(people.licensee, 1, sender=people.licensee)
    with reverts(PAUSED):
        world.market.deposit_with_permit(
            people.licensee, 1, 0, 27, bytes(32), bytes(32), sender=people.licensee
        )
    with reverts(PAUSED):
        world.buy(other)

    world.use(ref, 10)
    world.settle(ref)
    message = world.withdrawal(people.patient, world.earned(people.patient))
    world.withdraw(message, people.patient)
    world.market.reclaim(DUT, sender=people.licensee)
    world.granted()
    world.revoke(consent)
    world.settle(ref)
    assert world.dut.balanceOf(people.patient) == 500 * DUT * 7 * 3 // 40
    assert world.evm.event("LicenceClosed")["refund"] == 0


def test_pausing_twice_or_unpausing_twice_changes_nothing_more(world: World) -> None:
    word = world.market.rates_word()
    for _ in range(2):
        world.market.pause(sender=world.people.guardian)
        assert world.market.rates_word() == word | 1 << 80
    for _ in range(2):
        world.as_timelock(world.market, "unpause")
        assert world.evm.event("PauseChanged") == {"paused": False}
        assert world.market.rates_word() == word


def test_a_stranger_cannot_pause(world: World) -> None:
    people = world.people
    for who in (people.stranger, people.operator, people.licensee, people.supervisor):
        with reverts("access: caller may not do this"):
            world.market.pause(sender=who)


def test_the_guardian_cannot_unpause_and_neither_can_a_stranger(world: World) -> None:
    people = world.people
    world.market.pause(sender=people.guardian)
    for who in (people.guardian, people.stranger, people.operator):
        with reverts("access: caller may not do this"):
            world.market.unpause(sender=who)


def test_the_guardian_has_no_other_power(world: World) -> None:
    guardian = world.people.guardian
    market = world.market
    for call in (
        lambda: market.set_platform(guardian, sender=guardian),
        lambda: market.set_agreement(bytes(32), sender=guardian),
        lambda: world.tariff.set_reference(1, 0, sender=guardian),
        lambda: market.set_licensee(guardian, 1, 1, 0, sender=guardian),
    ):
        with reverts("access: caller may not do this"):
            call()

"""R12: the timelock puts the data-use commitment in force that every buyer signs."""

from __future__ import annotations

from support.world import NONE, World, reverts

from medtoken.deploy.plan import agreement_hash


def test_the_change_is_stored_and_told(world: World) -> None:
    world.as_timelock(world.market, "set_agreement", b"\3" * 32)
    assert world.market.agreement() == b"\3" * 32
    assert world.evm.event("AgreementChanged") == {
        "previous": agreement_hash(),
        "current": b"\3" * 32,
    }


def test_a_stranger_is_refused(world: World) -> None:
    for who in (world.people.stranger, world.people.operator, world.people.licensee):
        with reverts("access: caller may not do this"):
            world.market.set_agreement(NONE, sender=who)


def test_the_deployment_puts_the_shipped_text_in_force(world: World) -> None:
    assert world.market.agreement() == agreement_hash() != NONE

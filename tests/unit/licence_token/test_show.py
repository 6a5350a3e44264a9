"""R12: anybody shows a licence that was really bought as a token of its licensee, once."""

from __future__ import annotations

import pytest
from support.world import DAY, DUT, FIXED, METERED, NONE, RENTAL, ZERO, World, reverts

UNKNOWN = "licence token: unknown licence"


@pytest.mark.parametrize("form", [FIXED, METERED, RENTAL])
def test_a_licence_appears_at_its_licensees(world: World, form: int) -> None:
    people = world.people
    ref = world.buy(world.granted(), form=form, salt=world.keyed(3))
    bought = world.now
    world.evm.warp(10)
    shown = world.token.show(ref, sender=people.stranger)
    assert shown == int.from_bytes(world.licence_id(ref))
    assert world.evm.events() == ["Transfer", "Locked", "TokenExpiryUpdated"]
    assert world.evm.event("Transfer") == {"from": ZERO, "to": people.licensee, "tokenId": shown}
    assert world.evm.event("Locked") == {"tokenId": shown}
    start = 0 if form == METERED else bought
    assert world.evm.event("TokenExpiryUpdated") == {
        "tokenId": shown,
        "startTime": start,
        "endTime": bought + 90 * DAY,
    }
    assert world.token.ownerOf(shown) == people.licensee
    assert world.token.balanceOf(people.licensee) == 1


def test_it_is_shown_once(world: World) -> None:
    ref = world.buy(world.granted())
    world.token.show(ref)
    with reverts("licence token: shown already"):
        world.token.show(ref)


def test_what_nobody_bought_is_not_shown(world: World) -> None:
    ref = world.buy(world.granted())
    forged = (
        {"licensee": str(world.people.stranger)},
        {"salt": 1},
        {"record": NONE},
        {"consent": NONE},
        {"licensee": ZERO},
    )
    for changed in forged:
        with reverts(UNKNOWN):
            world.token.show(ref | changed)
    assert world.token.balanceOf(world.people.stranger) == 0


def test_one_that_has_ended_is_shown_as_ended(world: World) -> None:
    ref = world.buy(world.granted())
    world.evm.warp(90 * DAY)
    world.settle(ref)
    assert world.token.isTokenExpired(world.token.show(ref))


def test_a_licensee_without_a_receiver_hook_is_shown_its_licence_too(world: World) -> None:
    """A contract that buys is not asked whether it takes tokens: it cannot refuse to be seen."""
    buyer = world.new_actor()
    world.evm.insert_code(buyer, bytes.fromhex("5f5ffd"))  # reverts whatever it is asked
    world.license(buyer)
    consent = world.granted()
    order, desk = world.order(consent), world.desk(1_000 * DUT)
    market = world.market
    market.issue_licence(str(buyer), order, consent.values(), [], 50 * DUT, sender=desk)
    ref = {"consent": consent.struct_hash(), "record": consent.records}
    shown = world.token.show(ref | {"licensee": str(buyer), "salt": 0})
    assert world.token.ownerOf(shown) == buyer


def test_a_token_of_no_market_is_refused(bare: World) -> None:
    with reverts("licence token: no market is named"):
        bare.evm.deploy("LicenceToken", ZERO, sender=bare.people.deployer)

"""What anybody can read of the market itself: its domain, its authority, and words of nobody."""

from __future__ import annotations

from support.evm import CHAIN_ID
from support.world import NONE, World


def test_the_eip712_domain_is_the_proxys(world: World) -> None:
    fields, name, version, chain, contract, salt, extensions = world.market.eip712Domain()
    assert (fields, name, version, chain) == (b"\x0f", "medtoken", "1", CHAIN_ID)
    assert contract == world.market.address
    assert (salt, list(extensions)) == (NONE, [])


def test_what_nobody_wrote_reads_as_zero(world: World) -> None:
    assert world.market.consent_word(world.fresh()) == 0
    assert world.market.licence_word(world.fresh()) == 0
    assert world.market.licensee_word(world.people.stranger) == 0
    assert world.market.earnings_word(world.people.stranger) == 0
    assert world.market.demand(1, world.now // 604_800) == 0


def test_demand_is_what_was_settled_by_kind_and_week(world: World) -> None:
    week = world.now // 604_800
    world.earn(uses=3)
    assert world.evm.event("LicenceSettled")["gross"] == world.market.demand(1, week)
    first = world.market.demand(1, week)
    world.earn(uses=2)
    assert world.market.demand(1, week) == first * 5 // 3
    world.evm.warp(604_800)
    world.earn(uses=1)
    assert world.market.demand(1, week) == first * 5 // 3
    assert world.market.demand(1, week + 1) == first // 3
    assert world.market.demand(2, week) == 0


def test_the_market_names_its_authority(world: World) -> None:
    assert world.market.authority() == world.manager.address
    assert world.registry.authority() == world.manager.address
    assert world.treasury.authority() == world.manager.address
    assert world.tariff.authority() == world.manager.address

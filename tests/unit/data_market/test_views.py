"""What anybody can read of the market: ids, words, quotes, and whether a licence can be used."""

from __future__ import annotations

import pytest
from eth_utils import keccak
from support.evm import CHAIN_ID
from support.world import DAY, DUT, FIXED, METERED, NONE, World, reverts


def test_consent_id_is_the_struct_hash_that_the_patient_signs(world: World) -> None:
    consent = world.consent(world.fresh())
    assert world.market.consent_id(consent.values()) == consent.struct_hash()


def test_the_eip712_domain_is_the_proxys(world: World) -> None:
    fields, name, version, chain, contract, salt, extensions = world.market.eip712Domain()
    assert (fields, name, version, chain) == (b"\x0f", "medtoken", "1", CHAIN_ID)
    assert contract == world.market.address
    assert (salt, list(extensions)) == (NONE, [])


def test_what_nobody_wrote_reads_as_zero(world: World) -> None:
    ref = {"consent": NONE, "record": NONE, "licensee": world.people.stranger, "salt": 0}
    assert world.market.consent_word(world.fresh()) == 0
    assert world.market.licence_word(world.fresh()) == 0
    assert world.market.licensee_word(world.people.stranger) == 0
    assert world.market.earnings_word(world.people.stranger) == 0
    assert world.market.is_usable(ref) is False
    assert world.licence_id(ref) == keccak(
        NONE + NONE + bytes(12) + bytes.fromhex(world.people.stranger[2:]) + NONE
    )


@pytest.mark.parametrize("floor", [0, 50 * DUT, 51 * DUT])
def test_a_quote_is_what_a_purchase_then_costs(world: World, floor: int) -> None:
    consent = world.granted(floorPrice=floor)
    quoted = world.market.quote(consent.records, floor)
    ref = world.buy(consent, maxPrice=quoted)
    assert world.meter(ref)["price"] * 10**9 == quoted == max(floor, 50 * DUT)


def test_a_record_that_is_not_for_sale_has_no_quote(world: World) -> None:
    for record in (world.fresh(), world.record(kind=5)):
        with reverts("pricing: kind is not for sale"):
            world.market.quote(record, DUT)


@pytest.mark.parametrize("form", [FIXED, METERED])
def test_usable_says_what_use_would_do(world: World, form: int) -> None:
    consent = world.granted()
    ref = world.buy(consent, form=form, units=0 if form == FIXED else 10)
    assert world.market.is_usable(ref)
    assert not world.market.is_usable(ref | {"salt": 1})
    with world.evm.anchor():
        world.evm.warp(90 * DAY - 1)
        assert world.market.is_usable(ref)
        world.evm.warp(1)
        assert not world.market.is_usable(ref)
    with world.evm.anchor():
        licence = world.licence_id(ref)
        world.market.set_suspended(licence, True, sender=world.people.supervisor)
        assert not world.market.is_usable(ref)
    world.revoke(consent)
    assert not world.market.is_usable(ref)
    world.settle(ref)
    assert not world.market.is_usable(ref)


def test_the_market_names_its_authority(world: World) -> None:
    assert world.market.authority() == world.manager.address
    assert world.registry.authority() == world.manager.address
    assert world.treasury.authority() == world.manager.address

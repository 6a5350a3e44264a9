"""R3: the holder offers the asset; its licences are the market's, like any other."""

from __future__ import annotations

from support.assets import Maker, opened
from support.world import DAY, DUT, TAIWAN, World, reverts


def test_the_holder_offers_the_asset_and_takes_the_offer_back(world: World) -> None:
    maker = opened(world)
    consent = maker.offer()
    assert world.evm.event("AssetOffered") == {
        "asset": maker.asset,
        "consent": consent.struct_hash(),
        "holder": maker.institution,
    }
    ref = maker.sell(consent, 3)
    assert world.meter(ref)["settled"] == 3
    with reverts("asset: the caller does not hold it"):
        world.assets.withdraw_offer(
            maker.asset, consent.struct_hash(), sender=world.people.licensee
        )
    world.assets.withdraw_offer(maker.asset, consent.struct_hash(), sender=maker.institution)
    assert world.evm.event("OfferWithdrawn") == {
        "asset": maker.asset,
        "consent": consent.struct_hash(),
        "holder": maker.institution,
    }
    with reverts("consent: it was revoked"):
        world.buy(consent)
    with reverts("consent: it was revoked"):
        world.assets.withdraw_offer(maker.asset, consent.struct_hash(), sender=maker.institution)


def test_nothing_is_offered_before_its_lineage_is_open(world: World) -> None:
    maker = Maker(world, world.people.custodian)
    maker.buy(1)
    maker.derive()
    maker.create()
    world.evm.warp(7 * DAY - 1)
    with reverts("asset: its lineage is not open yet"):
        maker.offer()
    world.evm.warp(1)
    maker.offer()


def test_nobody_but_the_holder_offers_it(world: World) -> None:
    maker = opened(world)
    people = world.people
    for who in (people.stranger, people.other_custodian, people.operator, people.guardian):
        with reverts("asset: the caller does not hold it"):
            maker.offer(sender=who)


def test_an_offer_is_of_the_asset_at_the_share_that_its_lineage_is_counted_by(world: World) -> None:
    maker, other = opened(world), opened(world)
    with reverts("asset: not its account"):
        maker.offer(patient=other.account)
    with reverts("asset: not its record"):
        maker.offer(records=other.asset)
    with reverts("asset: not its record"):
        maker.offer(records=world.record())
    for share in (7_000, 7_999):
        with reverts("asset: the owner's share is not 8,000 bps"):
            maker.offer(patientShare=share)
    with reverts("consent: part of it is empty"):
        maker.offer(licensees=0)


def test_a_later_version_is_offered_by_the_same_asset(world: World) -> None:
    maker = opened(world)
    newer = world.record(
        sender=maker.institution, owner=maker.account, kind=7, annotator=0, previous=maker.asset
    )
    consent = maker.offer(records=newer)
    ref = maker.sell(consent, 1)
    assert ref["record"] == newer
    maker.collect()
    assert world.evm.event("AssetEarned")["sold"] == 72 * DUT


def test_the_price_is_the_holders_floor(world: World) -> None:
    maker = opened(world)
    quote = world.quote(maker.asset, floorPrice=100 * DUT, region=TAIWAN)
    assert (quote["price"], quote["live"]) == (100 * DUT, True)

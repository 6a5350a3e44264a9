"""R3, R15: of the provider part 20 % goes to the sources, the rest to the holder, to the base unit."""

from __future__ import annotations

import pytest
from support.assets import Maker, Source, opened
from support.world import DUT, World, reverts

from medtoken.chain.words import AssetBooks, LineWord
from medtoken.messages import Domain, Withdrawal


def books(maker: Maker) -> AssetBooks:
    return AssetBooks.unpack(int(maker.world.assets.books_word(maker.asset)))


def test_the_worked_example(world: World) -> None:
    """1,000 DUT: 100 platform, 900 provider = 720 account + 180 custodian; lineage 180 of the 900."""
    people = world.people
    maker = opened(world, weights=(1, 3))
    levies = world.treasury.books()[0]
    spent = world.deposit_of(people.licensee)
    platform, custodian = world.earned(people.platform), world.earned(people.custodian)
    maker.sell(maker.offer(), 10)
    assert spent - world.deposit_of(people.licensee) == 1_050 * DUT
    assert world.treasury.books()[0] - levies == 50 * DUT
    assert world.earned(people.platform) - platform == 100 * DUT
    assert world.earned(people.custodian) - custodian == 180 * DUT
    assert world.earned(maker.account) == 720 * DUT

    maker.collect()
    assert world.evm.event("AssetEarned") == {
        "asset": maker.asset,
        "holder": people.custodian,
        "sold": 720 * DUT,
        "inherited": 0,
        "lineage": 180 * DUT,
        "kept": 540 * DUT,
    }
    assert maker.credited(people.custodian) == 540 * DUT
    assert world.dut.balanceOf(world.assets.address) == 720 * DUT

    maker.join()
    maker.claim()
    # 45 of the first source and 135 of the second, each 75 : 25 (R8).
    assert maker.credited(people.patient) == 135 * DUT
    assert maker.credited(people.other_custodian) == 45 * DUT
    assert books(maker) == AssetBooks(720 * DUT, 180 * DUT)
    total = maker.credited(people.custodian) + 180 * DUT
    assert total == world.dut.balanceOf(world.assets.address)


def test_each_source_is_told_apart(world: World) -> None:
    maker = opened(world, weights=(1, 3))
    first, second = maker.sources
    maker.sell(maker.offer(), 10)
    maker.collect()
    maker.join()
    assert [
        world.assets.claimable(maker.asset, world.licence_id(s.ref)) for s in (first, second)
    ] == [45 * DUT, 135 * DUT]
    maker.claim(first)
    assert world.evm.event("LineageClaimed") == {
        "asset": maker.asset,
        "licence": world.licence_id(first.ref),
        "patient": world.people.patient,
        "patientAmount": 33_750_000_000_000_000_000,
        "custodian": world.people.other_custodian,
        "custodianAmount": 11_250_000_000_000_000_000,
    }
    assert world.assets.claimable(maker.asset, world.licence_id(first.ref)) == 0
    maker.claim(first)
    assert world.evm.events() == []
    word = LineWord.unpack(int(world.assets.line_word(maker.asset, world.licence_id(first.ref))))
    assert word == LineWord(1, 180 * DUT, 7_500)


def test_a_source_is_paid_for_what_was_earned_before_it_joined(world: World) -> None:
    maker = opened(world, weights=(1, 3))
    consent = maker.offer()
    maker.sell(consent, 10)
    maker.collect()
    maker.join(maker.place(maker.sources[0]))
    maker.claim(maker.sources[0])
    maker.sell(consent, 10)
    maker.collect()
    maker.join()
    maker.claim()
    assert maker.credited(world.people.patient) == 2 * 135 * DUT
    assert books(maker) == AssetBooks(1_440 * DUT, 360 * DUT)


@pytest.mark.parametrize("weights", [(1, 1, 1), (7, 11, 13), (1, 10**20, 3)])
def test_rounding_never_adds_up_nor_pays_more_than_the_pot(
    world: World, weights: tuple[int, ...]
) -> None:
    maker = opened(world, weights=weights)
    consent = maker.offer(floorPrice=10**18 + 10**9)
    maker.join()
    for units in (1, 3, 7):
        maker.sell(consent, units)
        maker.collect()
        maker.claim()
    word = books(maker)
    pot = word.earned * 2_000 // 8_000
    assert 0 <= pot - word.claimed < len(weights)
    expected = sum(pot * w // sum(weights) for w in weights)
    assert word.claimed == expected


def test_who_buys_the_token_earns_from_then_on(world: World) -> None:
    """What was credited before belongs to the seller, collected or not; the offers run on."""
    people = world.people
    maker = opened(world)
    token = int.from_bytes(maker.asset)
    consent = maker.offer()
    maker.sell(consent, 10)
    seller, buyer = maker.institution, people.other_licensee
    world.it.transferFrom(seller, buyer, token, sender=seller)
    assert world.it.ownerOf(token) == buyer
    assert maker.credited(seller) == 540 * DUT
    maker.sell(consent, 5)
    maker.collect()
    assert maker.credited(seller) == 540 * DUT
    assert maker.credited(buyer) == 270 * DUT
    with reverts("asset: the caller does not hold it"):
        maker.offer()
    world.assets.withdraw_offer(maker.asset, consent.struct_hash(), sender=buyer)


def test_an_asset_of_an_asset_passes_on_what_it_inherits(world: World) -> None:
    people = world.people
    first = opened(world, weights=(1,))
    maker = Maker(world, people.other_custodian)
    consent = first.offer()
    ref = world.buy(consent, sender=maker.institution)
    maker.add(Source(ref, consent), 1)
    maker.derive()
    maker.create()
    world.evm.warp(7 * 86_400)
    maker.sell(maker.offer(), 10)
    maker.collect()
    maker.join()
    maker.claim()
    # 180 for the first asset's record: 8,000 bps its account's, the rest its custodian's.
    assert first.credited(first.account) == 144 * DUT
    assert first.credited(people.custodian) == 36 * DUT
    first.collect()
    assert world.evm.event("AssetEarned") == {
        "asset": first.asset,
        "holder": people.custodian,
        "sold": 0,
        "inherited": 144 * DUT,
        "lineage": 36 * DUT,
        "kept": 108 * DUT,
    }
    first.join()
    first.claim()
    assert first.credited(first.account) == 0
    assert first.credited(people.patient) == 27 * DUT


def test_nothing_earned_is_nothing_told(world: World) -> None:
    maker = opened(world)
    maker.collect()
    assert world.evm.events() == []
    maker.join()
    maker.claim()
    assert world.evm.events() == []


def test_weights_beyond_their_total_exhaust_their_own_pot_alone(world: World) -> None:
    maker = Maker(world, world.people.custodian)
    maker.buy(3)
    maker.buy(3)
    maker.derive()
    maker.create(total=4)
    world.evm.warp(7 * 86_400)
    maker.sell(maker.offer(), 1)
    maker.collect()
    maker.join()
    maker.claim(maker.sources[0])
    with reverts("asset: more than the pot holds"):
        maker.claim(maker.sources[1])


def test_credits_are_paid_out_by_signature(world: World) -> None:
    people = world.people
    maker = opened(world)
    maker.sell(maker.offer(), 10)
    maker.collect()
    maker.join()
    maker.claim()
    amount = maker.credited(people.patient)
    message = Withdrawal(str(people.patient), str(people.patient), amount, 0, world.now + 60)
    domain = Domain(world.domain.chain_id, world.assets.address)
    signature = message.sign(people.patient.key, domain)
    args = (message.account, message.to, amount, message.deadline)
    with reverts("signature: not by its owner"):
        world.assets.withdraw(*args, b"", sender=people.stranger)
    before = world.dut.balanceOf(people.patient)
    world.assets.withdraw(*args, signature, sender=people.relay)
    assert world.dut.balanceOf(people.patient) - before == amount == 135 * DUT
    assert maker.credited(people.patient) == 0


def test_a_frozen_holder_is_paid_when_it_is_free_again(world: World) -> None:
    people = world.people
    maker = opened(world)
    maker.sell(maker.offer(), 10)
    world.dut.setFrozen(people.custodian, True, sender=people.sanctions)
    maker.collect()
    args = (people.custodian, people.custodian, 540 * DUT, world.now, b"")
    with reverts("payout: it is frozen"):
        world.assets.withdraw(*args, sender=people.custodian)
    world.dut.setFrozen(people.custodian, False, sender=people.sanctions)
    world.assets.withdraw(*args, sender=people.custodian)

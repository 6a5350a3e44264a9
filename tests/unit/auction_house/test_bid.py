"""R12: licensees bid from their deposits, certified ones first; the outbid have theirs back at once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.desks import CERTIFIED, DAY, DUT, FROZEN, NONE, PURPOSES, YEAR, Desks
from support.world import TAIWAN, reverts

from medtoken import vocabulary


def test_a_bid_holds_the_price_and_the_highest_levy(desks: Desks) -> None:
    offer, consent = desks.opened()
    before = desks.deposit_of(desks.people.licensee)
    desks.bid(offer, consent, 100 * DUT)
    assert desks.evm.event("AuctionBid") == {
        "auction": offer.struct_hash(),
        "bidder": desks.people.licensee,
        "price": 100 * DUT,
        "held": 110 * DUT,
        "ends": offer.ends,
        **desks.undertaking(),
    }
    assert before - desks.deposit_of(desks.people.licensee) == 110 * DUT
    assert desks.deposit_of(desks.house.address) == 110 * DUT
    assert desks.auction(offer)["bidder"] == desks.people.licensee
    assert desks.auction(offer)["price"] == 100 * DUT


def test_the_outbid_have_their_money_back_at_once(desks: Desks) -> None:
    offer, consent = desks.opened()
    first, second = desks.people.licensee, desks.people.other_licensee
    before = desks.deposit_of(first), desks.deposit_of(second)
    desks.bid(offer, consent, 100 * DUT)
    desks.bid(offer, consent, 200 * DUT, sender=second)
    assert desks.deposit_of(first) == before[0]
    assert desks.deposit_of(second) == before[1] - 220 * DUT
    assert desks.deposit_of(desks.house.address) == 220 * DUT
    desks.market.reclaim(before[0], sender=first)


def test_a_bidder_may_raise_its_own_bid_with_what_is_held(desks: Desks) -> None:
    offer, consent = desks.opened()
    who = desks.people.licensee
    everything = desks.deposit_of(who)
    desks.bid(offer, consent, everything // 2)
    desks.bid(offer, consent, everything // 11 * 10 // 10**9 * 10**9)
    assert desks.deposit_of(who) + desks.deposit_of(desks.house.address) == everything


def test_auctions_do_not_touch_each_others_money(desks: Desks) -> None:
    (one, its), (two, others) = desks.opened(), desks.opened()
    desks.bid(one, its, 100 * DUT)
    desks.bid(two, others, 300 * DUT, sender=desks.people.other_licensee)
    assert desks.deposit_of(desks.house.address) == 440 * DUT
    desks.revoke(others)
    desks.give_back(two)
    assert desks.deposit_of(desks.house.address) == 110 * DUT


def test_the_increment_is_kept(desks: Desks) -> None:
    offer, consent = desks.opened()
    with reverts("auction: the bid is too low"):
        desks.bid(offer, consent, 100 * DUT - 10**9)
    desks.bid(offer, consent, 100 * DUT)
    assert desks.house.least_bid(offer.values()) == 105 * DUT
    with reverts("auction: the bid is too low"):
        desks.bid(offer, consent, 105 * DUT - 10**9, sender=desks.people.other_licensee)
    desks.bid(offer, consent, 105 * DUT, sender=desks.people.other_licensee)


def test_a_bid_always_rises_by_a_grain(desks: Desks) -> None:
    consent = desks.granted(floorPrice=0)
    offer = desks.offer(consent, reserve=10**9)
    desks.open(offer, consent)
    desks.evm.warp(60)
    desks.bid(offer, consent, 10**9)
    assert desks.house.least_bid(offer.values()) == 2 * 10**9


@pytest.mark.parametrize("price", [100 * DUT + 1, 2**64 * 10**9, 2**256 - 1 - (2**256 - 1) % 10**9])
def test_prices_out_of_range_are_refused(desks: Desks, price: int) -> None:
    offer, consent = desks.opened()
    with reverts("auction: price out of range"):
        desks.bid(offer, consent, price)


def test_more_than_the_deposit_cannot_be_bid(desks: Desks) -> None:
    offer, consent = desks.opened()
    desks.bid(offer, consent, 100 * DUT, sender=desks.people.other_licensee)
    before = desks.auction(offer)
    with reverts("account: deposit is too small"):
        desks.bid(offer, consent, 500_000 * DUT)
    assert desks.auction(offer) == before


def test_the_change_of_an_increment_does_not_reach_running_auctions(desks: Desks) -> None:
    offer, consent = desks.opened()
    desks.as_timelock(desks.house, "set_terms", 5_000, 60, 1)
    desks.bid(offer, consent, 100 * DUT)
    assert desks.house.least_bid(offer.values()) == 105 * DUT


# ---------------------------------------------------------------- time


def test_bids_count_between_opening_and_end(desks: Desks) -> None:
    consent = desks.granted()
    offer = desks.offer(consent)
    desks.open(offer, consent)
    with reverts("auction: it is not open yet"):
        desks.bid(offer, consent, 100 * DUT)
    desks.evm.warp(offer.ends - desks.now - 1)
    desks.bid(offer, consent, 100 * DUT)
    moved = desks.auction(offer)["ends"]
    assert moved == offer.ends - 1 + 600
    desks.evm.warp(moved - desks.now)
    with reverts("auction: it has ended"):
        desks.bid(offer, consent, 200 * DUT, sender=desks.people.other_licensee)


def test_an_early_bid_does_not_move_the_end(desks: Desks) -> None:
    offer, consent = desks.opened()
    desks.evm.warp(offer.ends - desks.now - 600)
    desks.bid(offer, consent, 100 * DUT)
    assert desks.auction(offer)["ends"] == offer.ends
    desks.evm.warp(1)
    desks.bid(offer, consent, 200 * DUT, sender=desks.people.other_licensee)
    assert desks.auction(offer)["ends"] == offer.ends + 1


def test_no_late_bid_moves_the_licence_beyond_the_consent(desks: Desks) -> None:
    consent = desks.granted()
    ends = desks.now + 2 * DAY
    offer = desks.offer(consent, ends=ends, term=consent.expiry - ends - 10)
    desks.open(offer, consent)
    desks.evm.warp(ends - desks.now - 1)
    desks.bid(offer, consent, 100 * DUT)
    assert desks.auction(offer)["ends"] == ends + 10
    desks.evm.warp(11)
    licence = desks.award(offer, consent)
    assert (desks.market.licence_word(licence) >> 64) & (2**40 - 1) == consent.expiry


# ---------------------------------------------------------------- who


def test_certified_licensees_go_first(desks: Desks) -> None:
    offer, consent = desks.opened(certifiedFirst=DAY)
    with reverts("auction: certified bid first"):
        desks.bid(offer, consent, 100 * DUT)
    desks.license(desks.people.other_licensee, flags=CERTIFIED)
    desks.bid(offer, consent, 100 * DUT, sender=desks.people.other_licensee)
    desks.evm.warp(DAY - 1)
    with reverts("auction: certified bid first"):
        desks.bid(offer, consent, 200 * DUT)
    desks.evm.warp(1)
    desks.bid(offer, consent, 200 * DUT)


def test_whom_the_consent_does_not_cover_cannot_bid(desks: Desks) -> None:
    offer, consent = desks.opened()
    sentence = "auction: bidder not covered"
    with reverts(sentence):
        desks.bid(offer, consent, 100 * DUT, sender=desks.people.stranger)
    who = desks.people.licensee
    for groups, region, flags in (
        (("insurer",), TAIWAN, 0),
        (("pharma",), 0, 0),
        (("pharma",), 392, 0),
        (("pharma",), TAIWAN, FROZEN),
    ):
        desks.license(who, groups, region, flags)
        with reverts(sentence):
            desks.bid(offer, consent, 100 * DUT)
    desks.license(who)
    desks.dut.setFrozen(who, True, sender=desks.people.sanctions)
    with reverts(sentence):
        desks.bid(offer, consent, 100 * DUT)
    desks.dut.setFrozen(who, False, sender=desks.people.sanctions)
    desks.bid(offer, consent, 100 * DUT)


def test_a_consent_for_the_world_takes_bids_from_everywhere(desks: Desks) -> None:
    consent = desks.granted(region=1)
    offer = desks.offer(consent)
    desks.open(offer, consent)
    desks.evm.warp(60)
    desks.license(desks.people.licensee, region=392)
    desks.bid(offer, consent, 100 * DUT)


def test_the_sellers_cannot_bid_themselves(desks: Desks) -> None:
    people = desks.people
    offer, consent = desks.opened()
    for who in (people.patient, people.custodian, people.annotator):
        desks.license(who)
        with reverts("auction: sellers cannot bid"):
            desks.bid(offer, consent, 100 * DUT, sender=who)


def test_a_purpose_that_is_not_covered_cannot_win(desks: Desks) -> None:
    offer, consent = desks.opened()
    for purposes in (0, vocabulary.duo_mask(["HMB"]), vocabulary.duo_mask(["GRU", "NCU"])):
        with reverts("auction: purpose not covered"):
            desks.bid(offer, consent, 100 * DUT, purposes=purposes)
    with reverts("auction: purpose not covered"):
        desks.bid(offer, consent, 100 * DUT, purposes=PURPOSES | 1 << 7)


def test_who_does_not_sign_the_agreement_cannot_win(desks: Desks) -> None:
    offer, consent = desks.opened()
    for agreement in (NONE, b"\1" * 32):
        with reverts("auction: agreement not signed"):
            desks.bid(offer, consent, 100 * DUT, agreement=agreement)
    desks.as_timelock(desks.market, "set_agreement", NONE)
    with reverts("auction: agreement not signed"):
        desks.bid(offer, consent, 100 * DUT, agreement=NONE)


# ---------------------------------------------------------------- state


def test_there_is_no_bidding_on_what_does_not_run(desks: Desks) -> None:
    consent = desks.granted()
    offer = desks.offer(consent)
    with reverts("auction: unknown auction"):
        desks.bid(offer, consent, 100 * DUT)
    desks.open(offer, consent)
    desks.evm.warp(60)
    with reverts("auction: unknown auction"):
        desks.bid(replace(offer, reserve=10**9), consent, 100 * DUT)
    with reverts("auction: not that consent"):
        desks.bid(offer, replace(consent, floorPrice=0), 100 * DUT)
    desks.pause()
    with reverts("market: paused"):
        desks.bid(offer, consent, 100 * DUT)
    desks.unpause()
    desks.revoke(consent)
    with reverts("auction: consent is not live"):
        desks.bid(offer, consent, 100 * DUT)


def test_a_consent_by_auction_only_cannot_be_bought_under(desks: Desks) -> None:
    groups = vocabulary.group_mask(["pharma"]) | vocabulary.AUCTION_ONLY
    consent = desks.granted(licensees=groups, expiry=desks.now + YEAR)
    assert "Nobody can simply buy" in consent.render()
    with reverts("consent: sold by auction only"):
        desks.buy(consent)
    offer = desks.offer(consent)
    desks.open(offer, consent)
    desks.evm.warp(60)
    desks.bid(offer, consent, 100 * DUT)
    desks.evm.warp(2 * DAY)
    desks.award(offer, consent)

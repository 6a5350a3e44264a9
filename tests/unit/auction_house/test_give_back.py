"""No path where money is stuck: what cannot be awarded goes back, by anybody, and only then."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.desks import DAY, DUT, NONE, Desks
from support.world import reverts


def _back(desks: Desks, offer, before: int) -> None:  # type: ignore[no-untyped-def]
    desks.give_back(offer)
    assert desks.evm.event("AuctionGivenBack") == {
        "auction": offer.struct_hash(),
        "bidder": desks.people.licensee,
        "returned": 110 * DUT,
    }
    assert desks.deposit_of(desks.people.licensee) == before
    assert desks.deposit_of(desks.house.address) == 0
    assert desks.auction(offer)["done"]
    with reverts("auction: it is over"):
        desks.give_back(offer)


def test_a_revoked_consent_gives_back_at_once(desks: Desks) -> None:
    before = desks.deposit_of(desks.people.licensee)
    offer, consent = desks.opened()
    desks.bid(offer, consent, 100 * DUT)
    with reverts("auction: it can be awarded"):
        desks.give_back(offer)
    desks.revoke(consent)
    with reverts("consent: it was revoked"):
        desks.evm.warp(2 * DAY)
        desks.award(offer, consent)
    desks.pause()  # never paused
    _back(desks, offer, before)


def test_a_retired_record_gives_back_at_once(desks: Desks) -> None:
    before = desks.deposit_of(desks.people.licensee)
    offer, consent = desks.opened()
    desks.bid(offer, consent, 100 * DUT)
    desks.register(previous=consent.records)  # a corrected version takes its place
    _back(desks, offer, before)


@pytest.mark.parametrize(
    "trouble",
    [
        lambda d: d.pause(),
        lambda d: d.freeze(d.people.licensee),
        lambda d: d.dut.setFrozen(d.people.licensee, True, sender=d.people.sanctions),
        lambda d: d.license(d.people.licensee, groups=("insurer",)),
        lambda d: d.as_timelock(d.market, "set_agreement", NONE),
        lambda d: d.as_timelock(d.tariff, "set_reference", 1, 0),
        lambda d: None,  # nobody cared to award it
    ],
)
def test_any_other_trouble_gives_back_after_the_patience(
    desks: Desks, trouble: Callable[[Desks], None]
) -> None:
    before = desks.deposit_of(desks.people.licensee)
    offer, consent = desks.opened()
    desks.bid(offer, consent, 100 * DUT)
    trouble(desks)
    desks.evm.warp(offer.ends - desks.now + 7 * DAY - 1)
    with reverts("auction: it can be awarded"):
        desks.give_back(offer)
    desks.evm.warp(1)
    _back(desks, offer, before)


def test_until_somebody_gives_back_it_can_be_awarded(desks: Desks) -> None:
    offer, consent = desks.opened()
    desks.bid(offer, consent, 100 * DUT)
    desks.evm.warp(offer.ends - desks.now + 20 * DAY)
    desks.award(offer, consent)
    with reverts("auction: it is over"):
        desks.give_back(offer)


def test_a_term_shorter_than_the_patience_waits_no_longer_than_itself(desks: Desks) -> None:
    offer, consent = desks.opened(term=DAY)
    desks.bid(offer, consent, 100 * DUT)
    desks.evm.warp(offer.ends - desks.now + DAY)
    desks.give_back(offer)


def test_an_expired_consent_gives_back(desks: Desks) -> None:
    offer, consent = desks.opened()
    desks.bid(offer, consent, 100 * DUT)
    desks.evm.warp(consent.expiry - desks.now)
    desks.give_back(offer)


def test_there_is_nothing_to_give_back_without_a_bid(desks: Desks) -> None:
    offer, consent = desks.opened()
    with reverts("auction: there was no bid"):
        desks.give_back(offer)
    with reverts("auction: unknown auction"):
        desks.give_back(desks.offer(consent))

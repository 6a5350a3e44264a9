"""A patient takes an offer back as long as nobody relies on it."""

from __future__ import annotations

from support.desks import DUT, Desks
from support.world import reverts


def test_an_offer_that_was_not_opened_never_can_be(desks: Desks) -> None:
    consent = desks.granted()
    offer = desks.offer(consent)
    desks.withdraw_auction(offer)
    assert desks.evm.event("AuctionWithdrawn") == {"auction": offer.struct_hash()}
    with reverts("auction: it was opened before"):
        desks.open(offer, consent)
    with reverts("auction: unknown auction"):
        desks.bid(offer, consent, 100 * DUT)


def test_an_auction_without_bids_ends(desks: Desks) -> None:
    offer, consent = desks.opened()
    desks.house.withdraw_auction(offer.values(), b"", sender=desks.people.patient)
    with reverts("auction: it is over"):
        desks.bid(offer, consent, 100 * DUT)
    with reverts("auction: it is over"):
        desks.withdraw_auction(offer)
    assert desks.house.least_bid(offer.values()) == 0


def test_a_bid_binds(desks: Desks) -> None:
    offer, consent = desks.opened()
    desks.bid(offer, consent, 100 * DUT)
    with reverts("auction: somebody has bid"):
        desks.withdraw_auction(offer)


def test_only_the_patient_withdraws(desks: Desks) -> None:
    offer, _ = desks.opened()
    for signer in (desks.people.stranger, desks.people.other_patient):
        with reverts("signature: not by its owner"):
            desks.withdraw_auction(offer, signer)
    unknown = desks.offer(desks.consent(desks.record()))
    with reverts("signature: not by its owner"):
        desks.withdraw_auction(unknown)

"""R12: a patient's signature opens an auction, whoever brings it, and only what can be sold is offered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.desks import DAY, DUT, YEAR, Desks
from support.world import reverts

from medtoken import vocabulary
from medtoken.merkle import Tree


def test_anybody_brings_what_the_patient_signed(desks: Desks) -> None:
    consent = desks.granted()
    offer = desks.offer(consent, certifiedFirst=3600)
    auction = desks.open(offer, consent)
    assert auction == offer.struct_hash() == desks.house.auction_id(offer.values())
    assert desks.evm.event("AuctionOpened") == {
        "auction": auction,
        "record": consent.records,
        "patient": desks.people.patient,
        "offer": offer.values(),
        "increment": 500,
        "extension": 600,
        "patience": 7,
    }
    assert desks.auction(offer) == {
        "opened": True,
        "done": False,
        "bidder": "0x" + "00" * 20,
        "price": 0,
        "undertaking": 0,
        "ends": offer.ends,
        "increment": 500,
        "extension": 600,
        "patience": 7,
    }
    assert desks.house.least_bid(offer.values()) == offer.reserve


def test_the_patient_sends_it_without_a_signature(desks: Desks) -> None:
    consent = desks.granted()
    offer = desks.offer(consent)
    args = (offer.values(), consent.values(), [], b"")
    desks.house.open_auction(*args, sender=desks.people.patient)
    assert desks.auction(offer)["opened"]


def test_a_record_of_a_set_is_opened_with_its_proof(desks: Desks) -> None:
    records = [desks.record() for _ in range(3)]
    built = Tree(records)
    consent = desks.granted(built.root)
    offer = desks.offer(consent, record=records[1])
    with reverts("auction: record not in consent"):
        desks.open(offer, consent)
    desks.open(offer, consent, proof=built.proof(1))


def test_only_the_patient_offers(desks: Desks) -> None:
    consent = desks.granted()
    offer = desks.offer(consent)
    for signer in (desks.people.stranger, desks.people.custodian, desks.people.licensee):
        with reverts("signature: not by its owner"):
            desks.open(offer, consent, signer=signer)
    with reverts("signature: not by its owner"):
        desks.house.open_auction(
            offer.values(),
            consent.values(),
            [],
            offer.sign(desks.people.patient.key, desks.domain),  # the market's domain
            sender=desks.people.relay,
        )
    signature = offer.sign(desks.people.patient.key, desks.house_domain)
    with reverts("signature: not by its owner"):
        other = replace(offer, reserve=offer.reserve + 10**9)
        desks.house.open_auction(other.values(), consent.values(), [], signature)


def test_an_offer_opens_once(desks: Desks) -> None:
    consent = desks.granted()
    offer = desks.offer(consent)
    desks.open(offer, consent)
    with reverts("auction: it was opened before"):
        desks.open(offer, consent)


@pytest.mark.parametrize(
    "changes",
    [
        {"opens": -1},  # the relay waited too long
        {"ends": 60},  # no time at all
        {"ends": 60 + 90 * DAY + 1},
        {"certifiedFirst": 2 * DAY},  # all of it
        {"term": 0},
        {"term": 2**40},
    ],
)
def test_times_out_of_range_are_refused(desks: Desks, changes: dict[str, int]) -> None:
    consent = desks.granted()
    absolute = {k: desks.now + v if k in ("opens", "ends") else v for k, v in changes.items()}
    with reverts("auction: times out of range"):
        desks.open(desks.offer(consent, **absolute), consent)


def test_the_edges_of_the_times_are_inside(desks: Desks) -> None:
    consent = desks.granted()
    at = desks.now
    desks.open(
        desks.offer(
            consent,
            opens=at,
            ends=at + 90 * DAY,
            certifiedFirst=90 * DAY - 1,
            term=YEAR - 90 * DAY,
        ),
        consent,
    )


def test_a_licence_that_outlives_the_consent_is_refused(desks: Desks) -> None:
    consent = desks.granted()
    at = desks.now
    offer = desks.offer(consent, opens=at, ends=at + DAY, term=YEAR - DAY + 1)
    with reverts("auction: outlives the consent"):
        desks.open(offer, consent)


@pytest.mark.parametrize(
    ("term", "reserve"),
    [
        (90 * DAY, 50 * DUT - 10**9),  # a started year brings the floor
        (90 * DAY, 50 * DUT + 1),
        (90 * DAY, 2**64 * 10**9),
        (YEAR + DAY, 100 * DUT - 10**9),  # two started years
    ],
)
def test_a_reserve_out_of_range_is_refused(desks: Desks, term: int, reserve: int) -> None:
    consent = desks.granted(expiry=desks.now + 3 * YEAR)
    with reverts("auction: reserve out of range"):
        desks.open(desks.offer(consent, term=term, reserve=reserve), consent)


def test_without_a_floor_a_grain_a_year_is_the_least(desks: Desks) -> None:
    consent = desks.granted(floorPrice=0)
    with reverts("auction: reserve out of range"):
        desks.open(desks.offer(consent, reserve=0), consent)
    desks.open(desks.offer(consent, reserve=10**9), consent)


def test_the_consent_must_be_the_one_named_and_live(desks: Desks) -> None:
    consent, other = desks.granted(), desks.granted()
    offer = desks.offer(consent)
    with reverts("auction: not that consent"):
        desks.open(offer, other)
    desks.revoke(consent)
    with reverts("auction: consent is not live"):
        desks.open(offer, consent)
    never = desks.consent(desks.record())
    with reverts("auction: consent is not live"):
        desks.open(desks.offer(never), never)


@pytest.mark.parametrize("change", [{"tier": 3}])
def test_a_highly_sensitive_record_waits_for_the_passkey(
    desks: Desks, change: dict[str, Any]
) -> None:
    consent = desks.granted(desks.record(tier=3), **change)
    with reverts("auction: needs patient's passkey"):
        desks.open(desks.offer(consent), consent)


def test_the_record_must_be_live_and_the_patients(desks: Desks) -> None:
    sentence = "auction: record not for offer"
    unattested = desks.granted(desks.register())
    with reverts(sentence):
        desks.open(desks.offer(unattested), unattested)
    theirs = desks.granted(desks.record(owner=desks.people.other_patient))
    with reverts(sentence):
        desks.open(desks.offer(theirs), theirs)
    too_sensitive = desks.granted(tier=int(vocabulary.Tier.PUBLIC))
    with reverts(sentence):
        desks.open(desks.offer(too_sensitive), too_sensitive)

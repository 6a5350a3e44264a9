"""R12: after the end anybody has the licence issued to the winner, at its price, levy covered."""

from __future__ import annotations

import pytest
from support.desks import DAY, DUT, YEAR, Desks, exact
from support.world import TERM_FIELDS, reverts, unpack

from medtoken.chain.contracts import LicenceRef
from medtoken.merkle import Tree


def _ended(desks: Desks, price: int = 100 * DUT, **changes: int):  # type: ignore[no-untyped-def]
    offer, consent = desks.opened(**changes)
    desks.bid(offer, consent, price)
    desks.evm.warp(offer.ends - desks.now)
    return offer, consent


def test_the_winner_has_its_licence_at_its_price(desks: Desks) -> None:
    offer, consent = desks.opened()
    who = desks.people.licensee
    before = desks.deposit_of(who)
    desks.bid(offer, consent, 123 * DUT)
    desks.evm.warp(offer.ends - desks.now)
    licence = desks.award(offer, consent)
    bought = desks.evm.event("LicenceBought")
    assert bought["licensee"] == who
    assert bought["payer"] == desks.house.address
    assert bought["paid"] == 123 * DUT
    assert bought["levy"] == exact("6.15")
    assert bought["purposes"] == desks.undertaking()["purposes"]
    assert desks.evm.event("AuctionAwarded") == {
        "auction": offer.struct_hash(),
        "licence": licence,
        "licensee": who,
        "spent": exact("129.15"),
        "returned": exact("6.15"),
    }
    word = unpack(desks.market.licence_word(licence), TERM_FIELDS)
    assert word["price"] * 10**9 == 123 * DUT
    assert word["end"] == offer.ends + offer.term
    assert before - desks.deposit_of(who) == exact("129.15")
    assert desks.deposit_of(desks.house.address) == 0
    assert desks.auction(offer)["done"]
    assert desks.auction(offer)["price"] == 0
    ref = LicenceRef(bought["consent"], bought["record"], str(who), bought["salt"])
    assert ref.id() == licence
    assert bought["salt"] % 2**160 == 0


def test_the_licence_earns_and_settles_as_any(desks: Desks) -> None:
    offer, consent = _ended(desks)
    desks.award(offer, consent)
    bought = desks.evm.event("LicenceBought")
    ref = {
        "consent": bought["consent"],
        "record": bought["record"],
        "licensee": bought["licensee"],
        "salt": bought["salt"],
    }
    desks.evm.warp(offer.term)
    desks.settle(ref)
    settled = desks.evm.event("LicenceSettled")
    assert settled["gross"] == 100 * DUT
    assert settled["patientAmount"] == exact("52.5")


def test_a_term_of_two_years_is_two_units_as_the_market_counts(desks: Desks) -> None:
    consent = desks.granted(expiry=desks.now + 4 * YEAR)
    offer = desks.offer(consent, term=YEAR + 1)
    desks.open(offer, consent)
    desks.evm.warp(60)
    desks.bid(offer, consent, 100 * DUT + 10**9)
    desks.evm.warp(2 * DAY)
    desks.award(offer, consent)
    # An odd grain cannot be paid in two units: it goes back.
    assert desks.evm.event("LicenceBought")["paid"] == 100 * DUT
    assert desks.evm.event("AuctionAwarded")["returned"] == 5 * DUT + 11 * 10**8
    assert desks.deposit_of(desks.house.address) == 0


def test_a_late_award_shortens_the_licence_and_not_the_price(desks: Desks) -> None:
    offer, consent = _ended(desks)
    desks.evm.warp(30 * DAY)
    licence = desks.award(offer, consent)
    word = unpack(desks.market.licence_word(licence), TERM_FIELDS)
    assert (word["start"], word["end"]) == (desks.now, offer.ends + offer.term)
    assert word["price"] * 10**9 == 100 * DUT


@pytest.mark.parametrize("levy", [0, 1_000])
def test_a_change_of_the_levy_is_covered(desks: Desks, levy: int) -> None:
    offer, consent = _ended(desks)
    rates = {"provider": 7_000, "annotator": 2_000, "platform": 1_000, "levy": levy}
    desks.as_timelock(desks.market, "set_rates", rates)
    desks.award(offer, consent)
    assert desks.evm.event("AuctionAwarded")["spent"] == 100 * DUT * (10_000 + levy) // 10_000
    assert desks.deposit_of(desks.house.address) == 0


def test_a_record_of_a_set_is_awarded_with_its_proof(desks: Desks) -> None:
    records = [desks.record() for _ in range(3)]
    built = Tree(records)
    consent = desks.granted(built.root)
    offer = desks.offer(consent, record=records[1])
    desks.open(offer, consent, proof=built.proof(1))
    desks.evm.warp(60)
    desks.bid(offer, consent, 100 * DUT)
    desks.evm.warp(2 * DAY)
    with reverts("consent: record not covered"):
        desks.award(offer, consent)
    desks.award(offer, consent, proof=built.proof(1))


def test_nothing_is_awarded_before_the_end_or_without_a_bid_or_twice(desks: Desks) -> None:
    offer, consent = desks.opened()
    with reverts("auction: it has not ended"):
        desks.award(offer, consent)
    desks.bid(offer, consent, 100 * DUT)
    desks.evm.warp(offer.ends - desks.now - 1)
    with reverts("auction: it has not ended"):
        desks.award(offer, consent)
    desks.evm.warp(1)
    desks.award(offer, consent)
    with reverts("auction: it is over"):
        desks.award(offer, consent)
    lonely, its = desks.opened()
    desks.evm.warp(lonely.ends - desks.now)
    with reverts("auction: there was no bid"):
        desks.award(lonely, its)
    with reverts("auction: unknown auction"):
        desks.award(desks.offer(its), its)


def test_what_the_winner_undertook_cannot_be_exchanged(desks: Desks) -> None:
    offer, consent = _ended(desks)
    for change in ({"purposes": 1}, {"diseases": b"\1" * 32}, {"agreement": b"\1" * 32}):
        with reverts("auction: other undertaking"):
            desks.award(offer, consent, **change)


def test_the_market_says_why_it_refuses(desks: Desks) -> None:
    offer, consent = _ended(desks)
    desks.pause()
    with reverts("market: paused"):
        desks.award(offer, consent)
    desks.unpause()
    desks.freeze(desks.people.licensee)
    with reverts("licence: the licensee is frozen"):
        desks.award(offer, consent)
    desks.license(desks.people.licensee)
    desks.award(offer, consent)


def test_after_the_term_there_is_nothing_to_award(desks: Desks) -> None:
    offer, consent = _ended(desks, term=DAY)
    desks.evm.warp(DAY)
    with reverts("auction: awarded too late"):
        desks.award(offer, consent)
    desks.give_back(offer)


def test_nobody_occupies_the_licences_name(desks: Desks) -> None:
    """A winner that regrets cannot buy a licence of the same salt first: the salt is not known before."""
    offer, consent = _ended(desks)
    first = desks.evm.time
    with desks.evm.anchor():
        desks.award(offer, consent)
        salt = desks.evm.event("LicenceBought")["salt"]
    desks.buy(consent, salt=salt)  # it guessed the second of the award
    with reverts("licence: bought before"):
        desks.award(offer, consent)
    desks.evm.warp(1)
    assert desks.evm.time != first
    desks.award(offer, consent)

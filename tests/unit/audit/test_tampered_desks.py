"""Auctions and baskets that lie (R12): each is caught, under the right invariant and rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.histories import insert, named, of
from support.world import DAY, DUT, NONE

from medtoken.audit import Event
from medtoken.chain.words import GRAIN

OTHER = "0x" + "ab" * 20


def bid(honest, at: int = 0, which: str = "won") -> int:
    """The position of a bid in one of the story's auctions."""
    return of(honest, "AuctionBid", at, auction=getattr(honest.names, which).struct_hash())


def opened(honest, which: str = "won") -> int:
    return of(honest, "AuctionOpened", auction=getattr(honest.names, which).struct_hash())


def moves_after(honest, at: int) -> list[int]:
    """The positions of what the desks moved in the same transaction."""
    tx = honest.events[at].tx
    return [i for i, e in enumerate(honest.events) if e.tx == tx and e.event == "DeskMoved"]


def offer(honest, at: int, **changes: Any) -> list[Event]:
    return honest.changed(at, offer=honest.events[at].args["offer"] | changes)


def both(honest, at: int, other: int, args: dict[str, Any], others: dict[str, Any]) -> list[Event]:
    """A history with two events changed."""
    events = honest.changed(at, **args)
    events[other] = replace(events[other], args=events[other].args | others)
    return events


# ------------------------------------------------------------------ auctions: opening


@pytest.mark.parametrize(
    ("changes", "rule", "text"),
    [
        ({"nonce": 1}, "R12", "id of auction"),
        ({"opens": 1_800_000_001}, "R12", "opened too late, or its times are out of range"),
        ({"certifiedFirst": 90 * DAY}, "R12", "its times are out of range"),
        ({"term": 0}, "R12", "its times are out of range"),
        ({"term": 1_100 * DAY}, "R9", "outlives its consent"),
        ({"reserve": 80 * DUT - GRAIN}, "R12", "a reserve that is uneven or below the floor"),
        ({"reserve": 90 * DUT + 1}, "R12", "a reserve that is uneven or below the floor"),
        ({"consent": b"\1" * 32}, "R9", "is of an unknown consent or record"),
    ],
)
def test_an_offer_that_the_rules_forbid(
    honest, changes: dict[str, Any], rule: str, text: str
) -> None:
    named(honest, offer(honest, opened(honest), **changes), 4, rule, text)


def test_an_offer_by_somebody_who_does_not_own_the_record(honest) -> None:
    events = honest.changed(opened(honest), patient=OTHER)
    named(honest, events, 4, "R8", "is not by the record's owner")


def test_an_offer_of_a_record_that_was_destroyed(honest) -> None:
    at = opened(honest)
    destroyed = honest.events[of(honest, "RecordDestroyed")]
    record = honest.events[at].args["record"]
    events = insert(honest.events, at - 1, destroyed, record=record)
    named(honest, events, 4, "R7", "not attested, or was replaced or destroyed")


def test_an_auction_opened_twice_or_with_other_terms(honest) -> None:
    at = opened(honest)
    named(honest, insert(honest.events, at, honest.events[at]), 4, "R12", "was opened twice")
    named(honest, honest.changed(at, increment=1_001), 7, "R12", "terms of auction")


# ------------------------------------------------------------------ auctions: bids


def test_a_bid_that_exceeds_the_last_by_too_little(honest) -> None:
    """10 % more than 100 DUT are 110."""
    at = bid(honest, 1)
    assert honest.events[at].args["price"] == 110 * DUT
    named(honest, honest.changed(at, price=110 * DUT - GRAIN), 4, "R12", "had a bid too low")


def test_a_first_bid_below_the_reserve(honest) -> None:
    named(honest, honest.changed(bid(honest), price=90 * DUT - GRAIN), 4, "R12", "a bid too low")


def test_a_bid_that_is_held_with_too_much_or_too_little(honest) -> None:
    at = bid(honest)
    for by in (-1, 1):
        events = honest.changed(at, held=110 * DUT + by)
        named(honest, events, 6, "R12", "held for a bid in auction")
    (charge,) = moves_after(honest, at)
    named(honest, honest.changed(charge, amount=110 * DUT - 1), 6, "R12", "by its own word")


def test_an_outbid_deposit_that_does_not_come_back(honest) -> None:
    """Money is conserved: whoever is outbid has it back in the same transaction."""
    release, charge = moves_after(honest, bid(honest, 1))
    args = honest.events[release].args
    assert (args["source"], args["amount"]) == (honest.world.house.address, 110 * DUT)
    named(honest, honest.without(release), 6, "R12", "by its own word")
    named(honest, honest.without(release, charge), 6, "R12", "never moved from")
    named(honest, honest.without(release, charge), 6, "R12", "against what it holds for others")
    named(honest, honest.changed(release, target=OTHER), 6, "R12", "by its own word")


def test_a_house_that_moves_what_no_auction_told(honest) -> None:
    """A desk's role is not enough for the suite's own desks: their log must say why."""
    at = moves_after(honest, bid(honest))[0]
    release = moves_after(honest, bid(honest, 1))[0]
    for moved in (honest.events[at], honest.events[release]):
        events = insert(honest.events, release, moved, amount=1)
        named(honest, events, 6, "R12", "by its own word")


@pytest.mark.parametrize("what", ["frozen", "group", "region"])
def test_a_bid_of_somebody_whom_the_consent_does_not_cover(honest, what: str) -> None:
    at = bid(honest)
    bidder = honest.events[at].args["bidder"]
    change = honest.events[of(honest, "LicenseeChanged", account=bidder)]
    changes = {"frozen": {"flags": 3}, "group": {"groups": 8}, "region": {"region": 392}}[what]
    events = insert(honest.events, at - 1, change, **({"flags": 2} | changes))
    rule = "R2" if what == "frozen" else "R9"
    text = "frozen licensee" if what == "frozen" else "whom its consent does not cover"
    named(honest, events, 4, rule, text)


def test_a_bid_before_its_turn(honest) -> None:
    """R12: certified licensees go first."""
    at = bid(honest)
    events = honest.changed(at, bidder=str(honest.world.people.licensee))
    named(honest, events, 4, "R12", "while the certified came first")


def test_a_bid_of_a_seller(honest) -> None:
    for seller in ("patient", "custodian", "annotator"):
        who = str(getattr(honest.world.people, seller))
        named(honest, honest.changed(bid(honest), bidder=who), 4, "R12", "one of its sellers")


@pytest.mark.parametrize(
    ("changes", "rule", "text"),
    [
        ({"agreement": b"\1" * 32}, "R12", "without signing the agreement"),
        ({"purposes": 1 << 18}, "R9", "for a purpose that its consent does not permit"),
        ({"ends": 1}, "R12", "end of auction"),
    ],
)
def test_a_bid_that_the_rules_forbid(honest, changes: dict[str, Any], rule: str, text: str) -> None:
    named(honest, honest.changed(bid(honest), **changes), 4, rule, text)


def test_a_late_bid_moves_the_end_and_no_other_does(honest) -> None:
    first, late = bid(honest), bid(honest, 2)
    ends = honest.names.won.ends
    assert honest.events[first].args["ends"] == ends
    assert honest.events[late].args["ends"] == ends + 1200 - 60
    named(honest, honest.changed(late, ends=ends), 4, "R12", "end of auction")
    named(honest, honest.changed(first, ends=ends + 1), 4, "R12", "end of auction")


def test_a_bid_before_and_after_its_time(honest) -> None:
    for at in (opened(honest), of(honest, "AuctionAwarded") - 1):
        events = insert(honest.events, at, honest.events[bid(honest)], price=900 * DUT)
        named(honest, events, 4, "R12", "had a bid outside its time")
    given = of(honest, "AuctionGivenBack")
    again = honest.events[bid(honest, which="lot")]
    named(honest, insert(honest.events, given, again), 4, "R12", "had a bid after it was over")
    named(honest, insert(honest.events, given, again), 4, "R12", "consent that was not live")


# ------------------------------------------------------------------ auctions: ends


def test_a_winner_pays_its_bid(honest) -> None:
    """333 DUT and one grain for two started years: what divides by two is charged."""
    at = of(honest, "AuctionAwarded")
    bought = of(honest, "LicenceBought", licence=honest.names.auctioned)
    args = honest.events[bought].args
    assert args["price"] == 333 * DUT
    named(honest, honest.changed(bought, price=333 * DUT + 2 * GRAIN), 2, "R12", "was won")
    spent = args["paid"] + args["levy"]
    assert honest.events[at].args["spent"] == spent
    named(honest, honest.changed(at, spent=spent + 1), 2, "R12", "price and levy of auction")
    returned = honest.events[at].args["returned"]
    named(honest, honest.changed(at, returned=returned - 1), 6, "R12", "returned of auction")


@pytest.mark.parametrize("field", ["end", "purposes", "diseases"])
def test_a_winner_has_what_it_bid_for(honest, field: str) -> None:
    at = of(honest, "LicenceBought", licence=honest.names.auctioned)
    value = honest.events[at].args[field]
    other = b"\1" * 32 if field == "diseases" else value + 1
    named(honest, honest.changed(at, **{field: other}), 4, "R12", "was won for")


def test_a_licence_awarded_to_somebody_else(honest) -> None:
    at = of(honest, "AuctionAwarded")
    loser = str(honest.world.people.licensee)
    named(honest, honest.changed(at, licensee=loser), 4, "R12", "winner of auction")


def test_an_award_without_a_licence_and_a_licence_without_an_award(honest) -> None:
    at = of(honest, "AuctionAwarded")
    text = "names a licence that was not issued for it"
    named(honest, honest.changed(at, licence=b"\1" * 32), 4, "R12", text)
    named(honest, honest.without(at), 4, "R12", "was issued by the desk")


def test_an_auction_awarded_too_early_or_twice(honest) -> None:
    at = of(honest, "AuctionAwarded")
    early = insert(honest.events, bid(honest, 2) - 1, honest.events[at])
    named(honest, early, 4, "R12", "was awarded before its end")
    named(honest, insert(honest.events, at, honest.events[at]), 4, "R12", "ended twice")


def test_what_was_given_back_while_it_could_be_awarded(honest) -> None:
    """At once only after a revocation; else after the patience."""
    at = of(honest, "AuctionGivenBack")
    revoked = of(honest, "ConsentRevoked", consent=honest.names.lot.consent)
    named(honest, honest.without(revoked), 4, "R12", "gave back what could be awarded")
    events = insert(honest.events, bid(honest, -1, "running_auction"), honest.events[at])
    ends = insert(
        honest.events,
        bid(honest, -1, "running_auction"),
        honest.events[at],
        auction=honest.names.running_auction.struct_hash(),
    )
    named(honest, events, 4, "R12", "ended twice, or without a bid")
    named(honest, ends, 4, "R12", "gave back what could be awarded")


def test_a_deposit_that_is_given_back_to_somebody_else_or_in_part(honest) -> None:
    at = of(honest, "AuctionGivenBack")
    named(honest, honest.changed(at, bidder=OTHER), 4, "R12", "bidder of auction")
    returned = honest.events[at].args["returned"]
    named(honest, honest.changed(at, returned=returned - 1), 6, "R12", "returned of auction")
    (release,) = moves_after(honest, at)
    named(honest, honest.changed(release, amount=returned - 1), 6, "R12", "by its own word")
    named(honest, honest.without(release), 6, "R12", "never moved from")


def test_an_auction_withdrawn_after_a_bid(honest) -> None:
    withdrawn = honest.events[of(honest, "AuctionWithdrawn")]
    at = bid(honest)
    auction = honest.names.won.struct_hash()
    events = insert(honest.events, at, withdrawn, auction=auction)
    named(honest, events, 4, "R12", "was withdrawn after its end, or after a bid")


def test_terms_of_auctions_out_of_bounds_or_set_by_somebody_else(honest) -> None:
    at = of(honest, "TermsChanged")
    named(honest, honest.changed(at, increment=99), 7, "R12", "the increment of auctions")
    args = {"increment": 1_000, "extension": 1_200, "patience": 8}
    events = honest.with_event("AuctionHouse", "TermsChanged", **args)
    named(honest, events, 7, "R29", "TermsChanged of")


def test_a_record_for_auction_only_that_was_simply_bought(honest) -> None:
    """R12: bit 255 of the consent's licensees; a desk of another kind may not sell it either."""
    p = honest.world.people
    at = of(honest, "LicenceBought", licence=honest.names.auctioned)
    text = "was sold otherwise than by auction"
    for payer in (str(p.other_licensee), honest.world.baskets.address):
        named(honest, honest.changed(at, payer=payer), 4, "R12", text)


def test_a_gift_to_a_desk_owes_nothing(honest) -> None:
    """Anybody may deposit for any account; without the gift the house would hold too much."""
    house = honest.world.house.address
    gift = of(honest, "Deposited", account=house)
    assert honest.broken(honest.changed(gift, account=OTHER))
    ledger = honest.fold(honest.events)
    assert ledger.auctions.till.gifts == 5 * DUT
    assert ledger.auctions.held == 220 * DUT
    assert ledger.market.licensees[house].deposit == 225 * DUT


# ------------------------------------------------------------------ baskets


def reserved(honest, at: int = 0) -> int:
    return of(honest, "BasketReserved", at)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"salt": 1}, "id of basket"),
        ({"licensee": OTHER}, "licensee of basket"),
        ({"form": 3}, "a form that is not sold in baskets"),
        ({"units": 1}, "units for a term"),
        ({"count": 0}, "is of no records"),
        ({"root": NONE}, "is of no records"),
        ({"until": 1}, "was reserved for no time"),
        ({"end": 1_800_000_000}, "to be taken after its licences end"),
        ({"agreement": b"\1" * 32}, "without signing the agreement"),
    ],
)
def test_terms_that_no_basket_has(honest, changes: dict[str, Any], text: str) -> None:
    at = reserved(honest)
    terms = honest.events[at].args["terms"] | changes
    named(honest, honest.changed(at, terms=terms), 4, "R12", text)


def test_a_basket_reserved_twice_or_with_other_steps(honest) -> None:
    at = reserved(honest)
    named(honest, insert(honest.events, at, honest.events[at]), 4, "R12", "was reserved twice")
    named(honest, honest.changed(at, steps=1), 7, "R12", "version of the steps")


@pytest.mark.parametrize("event", ["BasketReserved", "BasketToppedUp"])
def test_what_was_reserved_must_be_charged(honest, event: str) -> None:
    at = of(honest, event)
    (charge,) = moves_after(honest, at)
    named(honest, honest.without(charge), 6, "R12", "never moved from")
    amount = honest.events[at].args["amount"]
    named(honest, honest.changed(at, amount=amount + 1), 6, "R12", "by its own word")


def taken(honest, at: int) -> tuple[int, int]:
    """A record taken out of the story's first basket, and its purchase."""
    found = of(honest, "BasketTaken", at, basket=honest.names.basket)
    licence = honest.events[found].args["licence"]
    return found, of(honest, "LicenceBought", licence=licence)


def test_the_discount_is_what_the_steps_say(honest) -> None:
    """5 % from the second record on, 15 % from the fourth, off 50 DUT; one has a floor of 48."""
    prices = [honest.events[taken(honest, n)[1]].args["price"] for n in range(4)]
    assert prices == [n * DUT // 1000 for n in (50_000, 48_000, 47_500, 42_500)]
    for n, bps in enumerate((0, 500, 500, 1500)):
        at, bought = taken(honest, n)
        assert honest.events[at].args["discount"] == bps
        named(honest, honest.changed(at, discount=bps + 1), 2, "R12", f"discount on record {n + 1}")
        price = honest.events[bought].args["price"]
        for other in (price - GRAIN, price + GRAIN):
            text = f"price of record {n + 1}"
            named(honest, honest.changed(bought, price=other), 2, "R12", text)


def test_steps_of_another_version(honest) -> None:
    """A change does not reach baskets that were reserved before."""
    at = of(honest, "StepsChanged", version=2)
    steps = [{"count": 2, "discount": 600}, {"count": 4, "discount": 1500}]
    named(honest, honest.changed(at, steps=steps), 2, "R12", "discount on record 2")
    falling = [{"count": 4, "discount": 500}, {"count": 2, "discount": 1500}]
    named(honest, honest.changed(at, steps=falling), 7, "R12", "steps of baskets are out of bounds")
    high = [{"count": 2, "discount": 5_001}]
    named(honest, honest.changed(at, steps=high), 7, "R12", "steps of baskets are out of bounds")
    named(honest, honest.changed(at, version=3), 7, "R12", "the version of new steps")
    events = honest.with_event("BasketDesk", "StepsChanged", version=3, steps=[])
    named(honest, events, 7, "R29", "StepsChanged of")


def test_each_record_is_taken_once(honest) -> None:
    at, _ = taken(honest, 0)
    drawn = of(honest, "BasketDrawn")
    again = insert(honest.events, drawn, honest.events[at], number=2, discount=500)
    named(honest, again, 4, "R12", "had a record taken twice")
    named(honest, again, 4, "R12", "names a licence that was not issued for it")
    named(honest, honest.changed(at, number=2), 4, "R12", "number of a record taken")


def test_a_licence_that_its_basket_does_not_name(honest) -> None:
    at, bought = taken(honest, 0)
    named(honest, honest.without(at), 4, "R12", "was issued by the desk")
    args = honest.events[bought].args
    for field in ("purposes", "end"):
        named(honest, honest.changed(bought, **{field: args[field] + 1}), 4, "R12", "units, end")
    for changes in ({"diseases": b"\1" * 32}, {"urgent": True}, {"agreement": b"\1" * 32}):
        named(honest, honest.changed(bought, **changes), 4, "R12", "units, end")


def test_more_taken_than_a_basket_has_or_its_licensee_accepts(honest) -> None:
    at = reserved(honest)
    terms = honest.events[at].args["terms"]
    events = honest.changed(at, terms=terms | {"count": 3})
    named(honest, events, 4, "R12", "had more records taken than it has")
    events = honest.changed(at, terms=terms | {"maxPrice": 49 * DUT})
    named(honest, events, 2, "R12", "cost more than its licensee accepts")


def test_a_basket_draws_what_its_licences_cost(honest) -> None:
    at = of(honest, "BasketDrawn", basket=honest.names.basket)
    left = honest.events[at].args["left"]
    assert left == 500 * DUT - 525 * DUT // 10
    named(honest, honest.changed(at, left=left + 1), 6, "R12", "left of basket")
    named(honest, honest.changed(at, taken=2), 4, "R12", "taken of basket")
    named(honest, honest.without(at), 6, "R12", "does not say what is left")


def test_a_basket_that_spends_more_than_it_has(honest) -> None:
    charge = moves_after(honest, reserved(honest))[0]
    events = both(honest, reserved(honest), charge, {"amount": DUT}, {"amount": DUT})
    top_up = of(honest, "BasketToppedUp")
    (more,) = moves_after(honest, top_up)
    kept = [e for i, e in enumerate(events) if i not in (top_up, more)]
    named(honest, kept, 6, "R12", "spent more than was reserved")


def test_the_rest_of_a_basket_goes_back_to_its_licensee(honest) -> None:
    at = of(honest, "BasketClosed", basket=honest.names.basket)
    (release,) = moves_after(honest, at)
    named(honest, honest.changed(release, target=OTHER), 6, "R12", "by its own word")
    returned = honest.events[at].args["returned"]
    named(honest, honest.changed(at, returned=returned - 1), 6, "R12", "returned of basket")
    named(honest, honest.without(at), 6, "R12", "by its own word")
    named(honest, insert(honest.events, at, honest.events[at]), 4, "R12", "none that is open")


def test_what_is_done_with_a_basket_after_its_time(honest) -> None:
    closed = of(honest, "BasketClosed", basket=honest.names.basket)
    (release,) = moves_after(honest, closed)
    unclosed = honest.without(closed, release)
    for event in ("BasketToppedUp", "BasketTaken", "BasketDrawn"):
        late = honest.events[of(honest, event)]
        named(honest, insert(unclosed, closed, late), 4, "R12", "after its time")
        named(honest, insert(honest.events, closed, late), 4, "R12", "none that is open")


def test_an_open_basket_is_held_against_the_chain(honest) -> None:
    ledger = honest.fold(honest.events)
    found = ledger.baskets.baskets[honest.names.open_basket]
    state = honest.world.baskets.basket(honest.names.open_basket)
    assert found.left == state["left"] == ledger.baskets.held > 0
    assert len(found.taken) == state["taken"] == 2
    assert state["left"] == honest.world.deposit_of(honest.world.baskets.address)

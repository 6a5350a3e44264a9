"""R12, R13: each licence is taken at the tariff's price less the discount, never below the floor."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.desks import CERTIFIED, DAY, DUT, METERED, YEAR, Actor, Desks, exact, item, items
from support.world import METER_FIELDS, TERM_FIELDS, reverts, unpack

from medtoken import vocabulary
from medtoken.merkle import Tree
from medtoken.messages import Consent

Leaves = list[tuple[bytes, Consent]]


def _leaves(desks: Desks, number: int = 3, **changes: Any) -> Leaves:
    changes = {"floorPrice": 20 * DUT} | changes
    found = [desks.granted(**changes) for _ in range(number)]
    return [(c.records, c) for c in found]


def _steps(desks: Desks, *steps: tuple[int, int]) -> None:
    named = [{"count": n, "discount": bps} for n, bps in steps]
    desks.as_timelock(desks.baskets, "set_steps", named)


def _price(desks: Desks, licence: bytes) -> int:
    return unpack(desks.market.licence_word(licence), TERM_FIELDS)["price"] * 10**9


def test_anybody_takes_a_licence_out_of_the_basket(desks: Desks) -> None:
    leaves = _leaves(desks)
    terms = desks.basket(leaves)
    desks.reserve(terms, 1000 * DUT)
    licence = desks.take(terms, item(leaves, 1), sender=desks.people.stranger)
    bought = desks.evm.event("LicenceBought")
    # 50 DUT for a health record at DVI 85, 1.3 for use where the data live.
    assert (bought["paid"], bought["levy"]) == (65 * DUT, exact("3.25"))
    assert bought["licence"] == licence
    assert bought["licensee"] == terms["licensee"]
    assert bought["payer"] == desks.baskets.address
    assert (bought["record"], bought["salt"]) == (leaves[1][0], terms["salt"])
    assert desks.evm.event("BasketTaken") == {
        "basket": desks.baskets.basket_id(terms),
        "licence": bought["licence"],
        "number": 1,
        "discount": 0,
    }
    assert desks.evm.event("BasketDrawn") == {
        "basket": desks.baskets.basket_id(terms),
        "taken": 1,
        "left": exact("931.75"),
    }
    assert desks.state(terms)["left"] == desks.deposit_of(desks.baskets.address) == exact("931.75")
    assert desks.state(terms)["taken"] == 1


def test_many_are_taken_at_once(desks: Desks) -> None:
    leaves = _leaves(desks, 7)
    terms = desks.basket(leaves)
    desks.reserve(terms, 1000 * DUT)
    assert desks.take_many(terms, items(leaves, [0, 1, 2])) == 3
    assert desks.take_many(terms, items(leaves, [6, 5, 4, 3])) == 4
    assert desks.state(terms)["left"] == 1000 * DUT - 7 * exact("68.25")
    assert desks.take_many(terms, []) == 0


def test_metered_licences_are_taken_with_their_voucher_key(desks: Desks) -> None:
    key = Actor("voucher key")
    leaves = _leaves(desks, 2)
    terms = desks.basket(leaves, form=METERED, units=7, salt=int(key, 16) | 5 << 160)
    desks.reserve(terms, 2000 * DUT)
    desks.take(terms, item(leaves, 0))
    bought = desks.evm.event("LicenceBought")
    word = unpack(desks.market.licence_word(bought["licence"]), METER_FIELDS)
    assert (word["units"], word["price"] * 10**9) == (7, 65 * DUT)
    assert bought["paid"] == 7 * 65 * DUT
    ref = {k: bought[k] for k in ("consent", "record", "licensee", "salt")}
    desks.redeem(desks.voucher(ref, 3, signer=key))
    desks.settle(ref)
    assert desks.evm.event("LicenceSettled")["gross"] == 3 * 65 * DUT


def test_a_term_of_two_started_years_is_two_units(desks: Desks) -> None:
    leaves = _leaves(desks, 1, expiry=desks.now + 4 * YEAR)
    terms = desks.basket(leaves, end=desks.now + YEAR + 1)
    desks.reserve(terms, 1000 * DUT)
    desks.take_many(terms, items(leaves))
    assert desks.evm.event("LicenceBought")["paid"] == 130 * DUT


def test_a_set_of_a_consent_brings_two_proofs(desks: Desks) -> None:
    records = [desks.record() for _ in range(3)]
    built = Tree(records)
    consent = desks.granted(built.root)
    leaves = [(record, consent) for record in records]
    terms = desks.basket(leaves)
    desks.reserve(terms, 1000 * DUT)
    with reverts("consent: record not covered"):
        desks.take(terms, item(leaves, 2))
    desks.take_many(terms, items(leaves, record_proofs={i: built.proof(i) for i in range(3)}))
    assert desks.state(terms)["taken"] == 3


# ---------------------------------------------------------------- discounts


def test_the_discount_is_earned_by_licences_really_taken(desks: Desks) -> None:
    _steps(desks, (2, 1_000), (4, 2_000))
    leaves = _leaves(desks, 5)
    terms = desks.basket(leaves, count=1_000_000)  # naming a number is free, so it earns nothing
    desks.reserve(terms, 1000 * DUT)
    found = []
    for i in range(5):
        desks.take(terms, item(leaves, i))
        found.append((desks.evm.event("BasketTaken"), desks.evm.event("LicenceBought")))
    assert [t["discount"] for t, _ in found] == [0, 1_000, 1_000, 2_000, 2_000]
    paid = [b["paid"] for _, b in found]
    assert paid == [65 * DUT, *[exact("58.5")] * 2, 52 * DUT, 52 * DUT]


def test_in_one_transaction_too(desks: Desks) -> None:
    _steps(desks, (2, 1_000))
    leaves = _leaves(desks, 3)
    terms = desks.basket(leaves)
    desks.reserve(terms, 1000 * DUT)
    desks.take_many(terms, items(leaves))
    taken = [log.args["discount"] for log in desks.evm.logs if log.event == "BasketTaken"]
    assert taken == [0, 1_000, 1_000]


def test_no_discount_goes_below_the_patients_floor(desks: Desks) -> None:
    _steps(desks, (1, 5_000))
    leaves = [*_leaves(desks, 1), *_leaves(desks, 1, floorPrice=60 * DUT)]
    terms = desks.basket(leaves)
    desks.reserve(terms, 1000 * DUT)
    desks.take_many(terms, items(leaves))
    paid = [log.args["paid"] for log in desks.evm.logs if log.event == "LicenceBought"]
    assert paid == [exact("32.5"), 60 * DUT]


def test_it_comes_on_top_of_the_compliance_discount(desks: Desks) -> None:
    _steps(desks, (1, 1_000))
    desks.license(desks.people.licensee, flags=CERTIFIED)
    leaves = _leaves(desks, 1)
    terms = desks.basket(leaves)
    desks.reserve(terms, 1000 * DUT)
    desks.take_many(terms, items(leaves))
    assert desks.evm.event("LicenceBought")["paid"] == 65 * DUT * 85 // 100 * 90 // 100


def test_a_change_of_the_steps_does_not_reach_reserved_baskets(desks: Desks) -> None:
    leaves = _leaves(desks, 2)
    old, new = desks.basket(leaves), desks.basket(leaves, until=desks.now + DAY)
    desks.reserve(old, 500 * DUT)
    _steps(desks, (1, 1_000))
    desks.reserve(new, 500 * DUT)
    for terms, discount in ((old, 0), (new, 1_000)):
        desks.take(terms, item(leaves, 0))
        assert desks.evm.event("BasketTaken")["discount"] == discount


def test_prices_are_the_tariffs_of_that_moment(desks: Desks) -> None:
    leaves = _leaves(desks, 2)
    terms = desks.basket(leaves)
    desks.reserve(terms, 1000 * DUT)
    desks.take(terms, item(leaves, 0))
    desks.as_timelock(desks.tariff, "set_reference", 1, 100 * DUT)
    desks.take(terms, item(leaves, 1))
    assert desks.evm.event("LicenceBought")["paid"] == 130 * DUT


# ---------------------------------------------------------------- refusals


def test_a_record_is_taken_once(desks: Desks) -> None:
    leaves = _leaves(desks, 2)
    terms = desks.basket(leaves, count=5)
    desks.reserve(terms, 1000 * DUT)
    desks.take(terms, item(leaves, 0))
    with reverts("licence: bought before"):
        desks.take(terms, item(leaves, 0))
    assert desks.take_many(terms, items(leaves, [0, 1, 1])) == 1


def test_only_what_is_in_it_is_taken(desks: Desks) -> None:
    leaves = _leaves(desks, 3)
    terms = desks.basket(leaves)
    desks.reserve(terms, 1000 * DUT)
    other = desks.granted()
    sentence = "basket: the record is not in it"
    good, its = item(leaves, 0), leaves[0][1]
    for change in (
        {"record": other.records},
        {"consent": other.values()},
        {"proof": []},
        {"proof": item(leaves, 1)["proof"]},
        {"consent": replace(its, floorPrice=0).values()},
    ):
        with reverts(sentence):
            desks.take(terms, good | change)
        with reverts(sentence):
            desks.take_many(terms, [good | change])


def test_no_more_than_its_count_is_taken(desks: Desks) -> None:
    leaves = _leaves(desks, 2)
    terms = desks.basket(leaves, count=1)
    desks.reserve(terms, 1000 * DUT)
    desks.take(terms, item(leaves, 0))
    with reverts("basket: all are taken"):
        desks.take(terms, item(leaves, 1))
    assert desks.take_many(terms, items(leaves, [1])) == 0


def test_a_full_basket_does_not_spoil_what_was_taken_before(desks: Desks) -> None:
    leaves = _leaves(desks, 3)
    terms = desks.basket(leaves, count=2)
    desks.reserve(terms, 1000 * DUT)
    desks.take(terms, item(leaves, 0))
    assert desks.take_many(terms, items(leaves, [1, 0, 2])) == 1


def test_a_basket_spends_only_what_it_reserved(desks: Desks) -> None:
    leaves = _leaves(desks, 3)
    rich, poor = desks.basket(leaves), desks.basket(leaves, until=desks.now + DAY)
    desks.reserve(rich, 1000 * DUT)
    desks.reserve(poor, exact("68.25") * 2 - 1)
    assert desks.take_many(poor, items(leaves)) == 1
    with reverts("basket: too little is left"):
        desks.take(poor, item(leaves, 1))
    assert desks.state(poor)["left"] == exact("68.25") - 1
    assert desks.state(rich)["left"] == 1000 * DUT
    desks.baskets.top_up(poor, 1, sender=poor["licensee"])
    desks.take(poor, item(leaves, 1))
    assert desks.state(poor)["left"] == 0


def test_only_while_it_is_open_and_in_its_time(desks: Desks) -> None:
    leaves = _leaves(desks, 2)
    terms = desks.basket(leaves)
    with reverts("basket: unknown basket"):
        desks.take(terms, item(leaves, 0))
    desks.reserve(terms, 1000 * DUT)
    with reverts("basket: unknown basket"):
        desks.take(terms | {"maxPrice": 1}, item(leaves, 0))
    with desks.evm.anchor():
        desks.evm.warp(terms["until"] - desks.now)
        with reverts("basket: its time is over"):
            desks.take(terms, item(leaves, 0))
    desks.close(terms)
    with reverts("basket: it is closed"):
        desks.take(terms, item(leaves, 0))


def test_what_the_patient_sells_by_auction_only_is_refused(desks: Desks) -> None:
    groups = vocabulary.group_mask(["pharma"]) | vocabulary.AUCTION_ONLY
    leaves = _leaves(desks, 1, licensees=groups)
    terms = desks.basket(leaves)
    desks.reserve(terms, 1000 * DUT)
    with reverts("basket: sold by auction only"):
        desks.take_many(terms, items(leaves))


@pytest.mark.parametrize(
    ("sentence", "changes"),
    [
        ("licence: price above the limit", {"maxPrice": 65 * DUT - 1}),
        ("consent: purpose not covered", {"purposes": 1 << 6}),
        ("tariff: no emergency there", {"urgent": True}),
    ],
)
def test_the_reason_of_a_refusal_is_told(
    desks: Desks, sentence: str, changes: dict[str, Any]
) -> None:
    leaves = _leaves(desks, 2)
    terms = desks.basket(leaves, **changes)
    desks.reserve(terms, 1000 * DUT)
    with reverts(sentence):
        desks.take(terms, item(leaves, 0))
    assert desks.take_many(terms, items(leaves)) == 0
    assert desks.state(terms)["left"] == 1000 * DUT


def test_what_cannot_be_licensed_now_is_passed_over(desks: Desks) -> None:
    leaves = _leaves(desks, 5)
    terms = desks.basket(leaves)
    desks.reserve(terms, 1000 * DUT)
    desks.revoke(leaves[1][1])
    desks.register(previous=leaves[3][0])
    with reverts("consent: it was revoked"):
        desks.take(terms, item(leaves, 1))
    with reverts("licence: record is not attested"):
        desks.take(terms, item(leaves, 3))
    assert desks.take_many(terms, items(leaves)) == 3
    assert desks.evm.event("BasketDrawn")["taken"] == 3
    assert desks.state(terms)["left"] == 1000 * DUT - 3 * exact("68.25")


def test_a_frozen_licensee_or_a_paused_market_takes_nothing(desks: Desks) -> None:
    leaves = _leaves(desks, 1)
    terms = desks.basket(leaves)
    desks.reserve(terms, 1000 * DUT)
    with desks.evm.anchor():
        desks.freeze(desks.people.licensee)
        with reverts("licence: the licensee is frozen"):
            desks.take(terms, item(leaves, 0))
    desks.pause()
    with reverts("market: paused"):
        desks.take(terms, item(leaves, 0))
    assert desks.take_many(terms, items(leaves)) == 0


def test_without_a_floor_what_is_not_for_sale_stays(desks: Desks) -> None:
    leaves = _leaves(desks, 1, floorPrice=0)
    terms = desks.basket(leaves)
    desks.reserve(terms, 1000 * DUT)
    desks.as_timelock(desks.tariff, "set_reference", 1, 0)
    with reverts("licence: price out of range"):
        desks.take(terms, item(leaves, 0))

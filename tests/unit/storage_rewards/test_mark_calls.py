"""R5: paid calls by unrelated licensees, read from the market, within the period."""

from __future__ import annotations

from typing import Any

import pytest
from support.holdings import MONTH, Shelf
from support.world import DAY, DUT, FIXED, LICENSEE_FIELDS, World, reverts, unpack

from medtoken.chain.words import MarkWord, TallyWord


@pytest.fixture
def held(shelf: Shelf) -> Shelf:
    shelf.commit()
    return shelf


def licence(shelf: Shelf, units: int = 12_000, price: int = DUT, **changes: Any) -> dict[str, Any]:
    """A metered licence on the first record, sold by a desk at this price."""
    w = shelf.world
    desk = w.desk(3 * price * units)
    consent = w.granted(shelf.lines[0].record, floorPrice=0)
    licensee = changes.pop("licensee", w.people.licensee)
    order = w.order(consent, units=units, salt=changes.pop("salt", 0))
    w.market.issue_licence(licensee, order, consent.values(), [], price, sender=desk)
    return {
        "consent": consent.struct_hash(),
        "record": order["record"],
        "licensee": str(licensee),
        "salt": order["salt"],
    }


def pay(shelf: Shelf, ref: dict[str, Any], units: int) -> None:
    """Use and settle."""
    shelf.world.use(ref, units)
    shelf.world.settle(ref)


def mark(shelf: Shelf, *refs: dict[str, Any]) -> int:
    """Mark licences; how many calls the last of them counted."""
    shelf.world.storage.mark_calls(list(refs), sender=shelf.world.people.stranger)
    return int(shelf.world.evm.logs[-1].args["counted"])


def calls(shelf: Shelf) -> int:
    return TallyWord.unpack(int(shelf.world.storage.tally_word(shelf.number))).calls


def test_calls_settled_between_two_marks_of_a_period_count(held: Shelf) -> None:
    world = held.world
    ref = licence(held)
    assert mark(held, ref) == 0
    pay(held, ref, 7_000)
    world.use(ref, 1_000)  # used and not yet paid
    assert mark(held, ref) == 7_000
    assert world.evm.event("CallsMarked") == {
        "licence": world.licence_id(ref),
        "custodian": held.number,
        "settled": 7_000,
        "counted": 7_000,
    }
    assert mark(held, ref) == 0
    world.settle(ref)
    assert mark(held, ref) == 1_000
    assert calls(held) == 8_000
    word = MarkWord.unpack(int(world.storage.mark_word(world.licence_id(ref))))
    assert word == MarkWord(settled=8_000, time=world.now)


@pytest.mark.parametrize(("paid", "share"), [(9_999, 0), (10_000, 2_000), (12_000, 2_000)])
def test_twenty_per_cent_more_from_ten_thousand_on(held: Shelf, paid: int, share: int) -> None:
    world = held.world
    ref = licence(held)
    mark(held, ref)
    pay(held, ref, paid)
    mark(held, ref)
    minted = held.prove(MONTH)
    proven = world.evm.event("StorageProven")
    assert (proven["calls"], proven["share"]) == (paid, share)
    assert minted == held.word.size * 10**8 * (10_000 + share) // 10_000


def test_the_next_period_counts_anew(held: Shelf) -> None:
    ref = licence(held)
    mark(held, ref)
    pay(held, ref, 10_000)
    mark(held, ref)
    held.prove(7 * DAY)
    pay(held, ref, 1_000)
    assert mark(held, ref) == 0  # the mark before is of the last period
    pay(held, ref, 500)
    assert mark(held, ref) == 500
    held.prove(7 * DAY)
    assert held.world.evm.event("StorageProven")["calls"] == 500


def test_what_was_settled_before_the_first_mark_counts_for_nobody(held: Shelf) -> None:
    ref = licence(held)
    pay(held, ref, 10_000)
    assert mark(held, ref) == 0
    assert calls(held) == 0


def test_an_open_challenge_freezes_the_marks(held: Shelf) -> None:
    ref = licence(held)
    mark(held, ref)
    pay(held, ref, 10)
    held.challenge(7 * DAY)
    held.world.storage.mark_calls([ref])
    assert held.world.evm.events() == []
    assert calls(held) == 0


def test_without_a_holding_nothing_counts(world: World, shelf: Shelf) -> None:
    ref = licence(shelf)
    mark(shelf, ref)
    pay(shelf, ref, 10)
    assert mark(shelf, ref) == 0


def test_cheap_calls_do_not_count(held: Shelf) -> None:
    ref = licence(held, price=DUT - 10**9)
    mark(held, ref)
    pay(held, ref, 10)
    assert mark(held, ref) == 0


def test_nobody_counts_for_themselves(held: Shelf) -> None:
    """The patient, the custodian and the annotator are no unrelated licensees."""
    world, people = held.world, held.world.people
    for number, who in enumerate((people.patient, people.custodian, people.annotator)):
        world.license(who)
        ref = licence(held, licensee=who, salt=number << 160)
        mark(held, ref)
        pay(held, ref, 10)
        assert mark(held, ref) == 0, who
    assert unpack(world.market.licensee_word(people.patient), LICENSEE_FIELDS)["groups"]


def test_another_institution_may_be_a_licensee(held: Shelf) -> None:
    world, people = held.world, held.world.people
    world.license(people.other_custodian)
    ref = licence(held, licensee=people.other_custodian)
    mark(held, ref)
    pay(held, ref, 10)
    assert mark(held, ref) == 10


def test_the_supervisor_knows_who_belongs_together(held: Shelf) -> None:
    world, people = held.world, held.world.people
    ref = licence(held)
    mark(held, ref)
    world.storage.set_related(held.number, people.licensee, True, sender=people.supervisor)
    pay(held, ref, 10)
    assert mark(held, ref) == 0
    world.storage.set_related(held.number, people.licensee, False, sender=people.supervisor)
    pay(held, ref, 5)
    assert mark(held, ref) == 5


def test_only_metered_licences_have_calls(held: Shelf) -> None:
    world = held.world
    term = world.buy(world.granted(held.lines[0].record), form=FIXED)
    for ref in (term, term | {"salt": 5}):
        with reverts("storage: no metered licence"):
            world.storage.mark_calls([ref])

"""R12: a desk sells in another form: its price, its deposit, and the same consent as everybody."""

from __future__ import annotations

from typing import Any

import pytest
from support.world import DAY, DUT, FIXED, METERED, RENTAL, Actor, World, reverts

from medtoken import vocabulary
from medtoken.messages import Consent

RANGE = "licence: price out of range"


@pytest.fixture
def desk(world: World) -> Actor:
    return world.desk(100_000 * DUT)


def _issue(
    world: World,
    desk: str,
    consent: Consent,
    price: int = 50 * DUT,
    *,
    licensee: str | None = None,
    **changes: Any,
) -> dict[str, Any]:
    who = str(licensee or world.people.licensee)
    order = world.order(consent, **changes)
    world.market.issue_licence(who, order, consent.values(), [], price, sender=desk)
    return {
        "consent": consent.struct_hash(),
        "record": order["record"],
        "licensee": who,
        "salt": order["salt"],
    }


@pytest.mark.parametrize(
    ("form", "paid"), [(METERED, 10 * 80 * DUT), (FIXED, 80 * DUT), (RENTAL, 80 * DUT)]
)
def test_the_desk_pays_and_the_licensee_has_the_licence(
    world: World, desk: Actor, form: int, paid: int
) -> None:
    licensee = world.people.licensee
    money = world.deposit_of(desk), world.deposit_of(licensee)
    ref = _issue(world, desk, world.granted(), 80 * DUT, form=form)
    assert world.evm.events() == ["LicenceBought"]
    bought = world.evm.event("LicenceBought")
    assert (bought["licensee"], bought["payer"]) == (licensee, desk)
    assert (bought["price"], bought["paid"], bought["levy"]) == (80 * DUT, paid, paid // 20)
    assert money[0] - world.deposit_of(desk) == paid * 21 // 20
    assert money[1] == world.deposit_of(licensee)
    world.use(ref, 10)
    with reverts("licence: unknown licence"):
        world.use(ref, sender=desk)


def test_what_is_not_earned_returns_to_the_licensee(world: World, desk: Actor) -> None:
    consent = world.granted()
    ref = _issue(world, desk, consent, 80 * DUT)
    world.use(ref, 4)
    before = world.deposit_of(desk), world.deposit_of(world.people.licensee)
    world.revoke(consent)
    world.settle(ref)
    assert world.deposit_of(desk) == before[0]
    assert world.deposit_of(world.people.licensee) - before[1] == 6 * 80 * DUT * 21 // 20


def test_its_price_is_bound_by_the_floor_and_not_by_r13(world: World, desk: Actor) -> None:
    consent = world.granted(floorPrice=30 * DUT)
    with reverts("licence: price below the floor"):
        _issue(world, desk, consent, 30 * DUT - 10**9)
    assert _issue(world, desk, consent, 30 * DUT)
    assert _issue(world, desk, consent, 3_000 * DUT, salt=1)


@pytest.mark.parametrize("price", [0, 1, 50 * DUT + 1, 2**256 - 1])
def test_a_price_of_nothing_or_off_the_grain_is_refused(
    world: World, desk: Actor, price: int
) -> None:
    with reverts(RANGE):
        _issue(world, desk, world.granted(), price)


@pytest.mark.parametrize("form", [METERED, FIXED])
def test_a_price_over_its_64_bits_is_refused(world: World, desk: Actor, form: int) -> None:
    consent = world.granted()
    for price in (2**64 * 10**9, 2**127 // 10**9 * 10**9):
        with reverts(RANGE):
            _issue(world, desk, consent, price, form=form)


def test_a_price_that_no_sum_holds_is_refused(world: World, desk: Actor) -> None:
    with reverts("the contract refused and gave no reason"):
        _issue(world, desk, world.granted(), 2**256 // 10**9 * 10**9 - 10**9)


def test_it_is_bound_by_the_limit_that_the_order_names(world: World, desk: Actor) -> None:
    with reverts("licence: price above the limit"):
        _issue(world, desk, world.granted(), 60 * DUT, maxPrice=59 * DUT)


def test_the_desks_deposit_bounds_it_and_nobody_elses(world: World) -> None:
    poor = world.desk(500 * DUT)
    with reverts("account: deposit is too small"):
        _issue(world, poor, world.granted())
    assert world.deposit_of(poor) == 500 * DUT


def test_only_desks_issue(world: World) -> None:
    people = world.people
    consent = world.granted()
    for who in (people.licensee, people.stranger, people.operator, people.credentials):
        with reverts("access: caller may not do this"):
            _issue(world, who, consent)


# ---------------------------------------------------------------- everything else is as for everybody


def test_the_consent_binds_a_desk_too(world: World, desk: Actor) -> None:
    consent = world.granted()
    cases: list[tuple[str, dict[str, Any]]] = [
        ("consent: record not covered", {"record": world.record()}),
        ("consent: purpose not covered", {"purposes": vocabulary.duo_mask(["POA", "NCU"])}),
        ("licence: outlives the consent", {"end": consent.expiry + 1}),
        ("licence: agreement not signed", {"agreement": b"\1" * 32}),
        ("licence: too long for a rental", {"form": RENTAL, "end": world.now + 91 * DAY}),
        ("tariff: no emergency there", {"urgent": True}),
    ]
    for sentence, changes in cases:
        with reverts(sentence):
            _issue(world, desk, consent, **changes)
    world.revoke(consent)
    with reverts("consent: it was revoked"):
        _issue(world, desk, consent)


def test_the_licensees_standing_counts_and_not_the_desks(world: World, desk: Actor) -> None:
    people = world.people
    consent = world.granted()
    with reverts("consent: licensee not covered"):
        _issue(world, desk, consent, licensee=people.stranger)
    world.license(people.licensee, region=392)
    with reverts("consent: region not covered"):
        _issue(world, desk, consent)
    world.license(people.licensee, flags=int(vocabulary.LicenseeFlag.FROZEN))
    with reverts("licence: the licensee is frozen"):
        _issue(world, desk, consent)
    world.license(people.licensee)
    world.dut.setFrozen(people.licensee, True, sender=people.sanctions)
    with reverts("licence: the licensee is frozen"):
        _issue(world, desk, consent)


def test_records_that_are_not_for_sale_are_not_for_desks_either(world: World, desk: Actor) -> None:
    with reverts("licence: record is not attested"):
        _issue(world, desk, world.granted(world.register()))
    with reverts("licence: kind is not for sale"):
        _issue(world, desk, world.granted(world.record(kind=5)))
    highly = world.granted(world.record(tier=3), tier=3)
    with reverts("licence: patient's passkey needed"):
        _issue(world, desk, highly)


def test_a_licence_is_issued_once(world: World, desk: Actor) -> None:
    consent = world.granted()
    _issue(world, desk, consent)
    with reverts("licence: bought before"):
        _issue(world, desk, consent)
    with reverts("licence: bought before"):
        world.buy(consent)


def test_a_pause_stops_it(world: World, desk: Actor) -> None:
    consent = world.granted()
    world.market.pause(sender=world.people.guardian)
    with reverts("market: paused"):
        _issue(world, desk, consent)

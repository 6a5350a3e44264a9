"""R13: what a unit costs and why, held to a model in fractions that knows nothing of the contract."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from eth_utils import keccak
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.pricing import R13, Factors, unit_price
from support.world import (
    DAY,
    DUT,
    FIXED,
    JAPAN,
    METERED,
    RENTAL,
    TAIWAN,
    YEAR,
    ZERO,
    World,
    reverts,
)

from medtoken import artifacts, vocabulary

RESEARCH = vocabulary.duo_mask(["HMB", "NCU"])
COMMERCIAL = vocabulary.duo_mask(["HMB"])
HEALTH_RECORD, SERIES, IMAGING, GENOMIC, DOCUMENT = 1, 2, 3, 4, 5
GRAIN = 10**9

# The bounds within which governance moves each factor, in bps, by its number.
BOUNDS = (
    (10_000, 100_000),
    (1_000, 10_000),
    (1_000, 10_000),
    (5_000, 20_000),
    (10_000, 50_000),
    (10_000, 30_000),
    (0, 5_000),
    (1_000, 10_000),
)


# ---------------------------------------------------------------- the numbers that R13 names


@pytest.mark.parametrize(
    ("kind", "asked", "price"),
    [
        (HEALTH_RECORD, {}, 50 * DUT),
        (GENOMIC, {}, 20 * DUT),
        (SERIES, {}, 10 * DUT),  # a call
        (IMAGING, {}, 5 * DUT),  # a MB
        (GENOMIC, {"purposes": COMMERCIAL}, 50 * DUT),
        (HEALTH_RECORD, {"purposes": COMMERCIAL}, 125 * DUT),
        (HEALTH_RECORD, {"urgent": True}, 25 * DUT),
        (HEALTH_RECORD, {"region": JAPAN}, 65 * DUT),
        (HEALTH_RECORD, {"certified": True}, 85 * DUT // 2),
        (HEALTH_RECORD, {"form": RENTAL}, 15 * DUT),
        (HEALTH_RECORD, {"form": FIXED}, 50 * DUT),
        (GENOMIC, {"purposes": COMMERCIAL, "urgent": True, "region": JAPAN}, 325 * DUT // 10),
        (GENOMIC, {"purposes": COMMERCIAL, "certified": True}, 425 * DUT // 10),
    ],
)
def test_the_worked_prices(world: World, kind: int, asked: dict[str, Any], price: int) -> None:
    world.declare()
    assert world.quote(world.record(kind=kind), **asked)["price"] == price


@pytest.mark.parametrize(("tier", "price"), [(1, 25 * DUT), (2, 50 * DUT), (3, 75 * DUT)])
def test_sensitive_data_cost_more_and_public_data_half(world: World, tier: int, price: int) -> None:
    assert world.quote(world.record(tier=tier))["price"] == price


@pytest.mark.parametrize("dvi", [1, 17, 84, 85, 86, 100])
def test_the_data_value_scales_it_down_to_the_grain(world: World, dvi: int) -> None:
    price = world.quote(world.record(dvi=dvi))["price"]
    assert price == unit_price(R13, reference=50 * DUT, dvi=dvi)
    assert price == 50 * DUT * dvi // 85 // GRAIN * GRAIN


@pytest.mark.parametrize(
    ("floor", "price"),
    [(0, 50), (49, 50), (50, 50), (51, 51), (10_000, 10_000)],
)
def test_the_floor_is_the_patients_word(world: World, floor: int, price: int) -> None:
    assert world.quote(world.record(), floorPrice=floor * DUT)["price"] == price * DUT


def test_no_discount_goes_below_the_floor(world: World) -> None:
    world.declare()
    record = world.record(tier=1, dvi=10)
    cheap = {"urgent": True, "certified": True, "floorPrice": 50 * DUT}
    assert world.quote(record, **cheap)["price"] == 50 * DUT


def test_a_rental_takes_its_share_of_the_floor_too(world: World) -> None:
    """The floor is of a whole unit; three months of a year cost 30 % of it."""
    quote = world.quote(world.record(), form=RENTAL, floorPrice=100 * DUT)
    assert quote["price"] == 30 * DUT
    assert quote["rental"] == 3_000


# ---------------------------------------------------------------- why


def test_every_factor_is_told(world: World) -> None:
    world.declare()
    world.as_timelock(world.tariff, "set_scarcity", GENOMIC, 12_000)
    record = world.record(kind=GENOMIC, tier=3, dvi=90)
    quote = world.quote(
        record, form=RENTAL, purposes=COMMERCIAL, urgent=True, region=JAPAN, certified=True
    )
    assert quote == {
        "price": unit_price(
            R13,
            reference=20 * DUT,
            dvi=90,
            scarcity=Fraction(12, 10),
            tier=3,
            commercial=True,
            urgent=True,
            in_region=True,
            certified=True,
            rental=True,
        ),
        "owner": world.people.patient,
        "tier": 3,
        "live": True,
        "reference": 20 * DUT,
        "dvi": 90,
        "scarcity": 12_000,
        "purpose": 25_000,
        "urgency": 5_000,
        "sensitivity": 15_000,
        "locality": 13_000,
        "discount": 1_500,
        "rental": 3_000,
    }


def test_what_does_not_apply_is_told_as_one(world: World) -> None:
    quote = world.quote(world.record())
    for factor in ("scarcity", "purpose", "urgency", "sensitivity", "locality", "rental"):
        assert quote[factor] == 10_000
    assert quote["discount"] == 0


@pytest.mark.parametrize(
    ("modifiers", "factor"),
    [
        ((), 25_000),
        (("NCU",), 10_000),
        (("NPUNCU",), 10_000),
        (("NPU",), 25_000),  # a not-for-profit may still sell what it makes
        (("NMDS", "GSO", "PUB", "COL", "IRB", "GS", "MOR", "TS", "US", "PS", "IS", "RTN"), 25_000),
        (("NCU", "NPUNCU", "IRB"), 10_000),
    ],
)
def test_research_is_what_undertakes_not_to_be_commercial(
    world: World, modifiers: tuple[str, ...], factor: int
) -> None:
    purposes = vocabulary.duo_mask(["GRU", *modifiers])
    assert world.quote(world.record(), purposes=purposes)["purpose"] == factor


@pytest.mark.parametrize("form", [0, FIXED, METERED, 4, 2**256 - 1])
def test_only_a_rental_is_a_rental(world: World, form: int) -> None:
    assert world.quote(world.record(), form=form)["rental"] == 10_000


# ---------------------------------------------------------------- urgency


def test_urgency_needs_an_emergency_where_the_record_lives(world: World) -> None:
    record = world.record()
    none = "tariff: no emergency there"
    with reverts(none):
        world.quote(record, urgent=True)
    world.declare(region=TAIWAN)  # where it is used, which does not count
    with reverts(none):
        world.quote(record, urgent=True)
    world.declare(seconds=DAY)
    assert world.quote(record, urgent=True)["urgency"] == 5_000
    assert world.quote(record)["urgency"] == 10_000
    world.evm.warp(DAY - 1)
    assert world.quote(record, urgent=True)["urgency"] == 5_000
    world.evm.warp(1)
    with reverts(none):
        world.quote(record, urgent=True)


def test_an_unknown_record_has_no_emergency(world: World) -> None:
    with reverts("tariff: no emergency there"):
        world.quote(world.fresh(), urgent=True)


# ---------------------------------------------------------------- what is not for sale


def test_what_is_not_for_sale_costs_zero_whatever_the_floor(world: World) -> None:
    nobody = world.quote(world.fresh(), floorPrice=DUT)
    assert (nobody["price"], nobody["owner"], nobody["live"]) == (0, ZERO, False)
    unattested = world.quote(world.register(), floorPrice=DUT)
    assert (unattested["price"], unattested["live"]) == (0, False)
    document = world.quote(world.record(kind=DOCUMENT), floorPrice=DUT)
    assert (document["price"], document["live"]) == (0, True)


def test_a_superseded_or_destroyed_record_is_told_as_not_live(world: World) -> None:
    old, gone = world.record(), world.record()
    world.register(previous=old)
    world.registry.destroy(gone, b"\1" * 32, sender=world.people.custodian)
    for record in (old, gone):
        assert not world.quote(record)["live"]


def test_a_price_that_rounds_to_nothing_is_no_price(world: World) -> None:
    """A rental of one grain would be free; it is not for sale instead."""
    world.as_timelock(world.tariff, "set_reference", 1, 85 * GRAIN)
    record = world.record(dvi=1)
    assert world.quote(record)["price"] == GRAIN
    assert world.quote(record, form=RENTAL)["price"] == 0
    consent = world.granted(record, floorPrice=0)
    with reverts("licence: kind is not for sale"):
        world.buy(consent, form=RENTAL)
    assert world.buy(consent)


# ---------------------------------------------------------------- bounds


@pytest.mark.parametrize(("tier", "top"), [(1, 10_000), (2, 20_000), (3, 50_000)])
def test_the_highest_factors_overflow_nothing(world: World, tier: int, top: int) -> None:
    tariff = world.tariff
    for factor, (_, most) in enumerate(BOUNDS):
        world.as_timelock(tariff, "set_factor", factor, 0 if factor == 6 else most)
    world.as_timelock(tariff, "set_reference", 1, 10**24)
    world.as_timelock(tariff, "set_scarcity", 1, 100_000)
    world.declare()
    record = world.record(tier=tier, dvi=100)
    quote = world.quote(record, purposes=COMMERCIAL, urgent=True, region=JAPAN)
    exact = Fraction(10**24 * 100, 85) * 10 * 10 * Fraction(top, 10_000) * 3
    assert quote["price"] == exact // GRAIN * GRAIN
    assert quote["price"] < 2**64 * GRAIN  # a licence can hold it


def test_the_highest_floor_that_a_consent_can_name_overflows_nothing(world: World) -> None:
    top = (2**64 - 1) * GRAIN
    record = world.record()
    assert world.quote(record, floorPrice=top)["price"] == top
    rental = world.quote(record, floorPrice=top, form=RENTAL)["price"]
    assert rental == top * 3 // 10 // GRAIN * GRAIN


def test_a_question_about_an_impossible_floor_is_refused_rather_than_wrapped(world: World) -> None:
    with reverts("the contract refused and gave no reason"):
        world.quote(world.record(), floorPrice=2**256 - 1)


def test_a_rental_is_rounded_once(world: World) -> None:
    """500 grains at DVI 100 are no whole number of base units; 17 % of them are exactly 100 grains."""
    world.as_timelock(world.tariff, "set_reference", 1, 500 * GRAIN)
    world.as_timelock(world.tariff, "set_factor", 7, 1_700)
    assert world.quote(world.record(dvi=100), form=RENTAL)["price"] == 100 * GRAIN


# ---------------------------------------------------------------- any factors at all


def _set(world: World, variable: str, key: int | None, word: int) -> Any:
    """Pretend that governance has set a word: ten timelock calls for each example would be slow."""
    slot = artifacts.load("Tariff")["storageLayout"][variable]["slot"]
    at = slot if key is None else int.from_bytes(keccak(slot.to_bytes(32) + key.to_bytes(32)))
    return world.evm.stored(world.tariff.address, at, word)


_references = st.one_of(
    st.just(0), st.integers(85, 10**15), st.integers(85, 10**5), st.just(10**15)
).map(lambda grains: grains * GRAIN)


def test_any_price_is_the_models_exactly(world: World) -> None:
    world.declare()
    records = {
        (tier, dvi): world.record(kind=1, tier=tier, dvi=dvi)
        for tier in (1, 2, 3)
        for dvi in (1, 3, 17, 34, 50, 66, 84, 85, 86, 99, 100)
    }

    @settings(max_examples=600)
    @given(
        reference=_references,
        scarcity=st.integers(5_000, 100_000),
        factors=st.tuples(*(st.integers(low, high) for low, high in BOUNDS)),
        record=st.sampled_from(sorted(records)),
        floor=st.one_of(st.just(0), st.integers(0, 2**64 - 1)),
        flags=st.tuples(*[st.booleans()] * 5),
    )
    @example(
        reference=500 * GRAIN,
        scarcity=10_000,
        factors=(10_000, 1_000, 1_000, 10_000, 10_000, 10_000, 0, 1_700),
        record=(2, 100),
        floor=0,
        flags=(False, False, False, False, True),
    )
    def agrees(
        reference: int,
        scarcity: int,
        factors: tuple[int, ...],
        record: tuple[int, int],
        floor: int,
        flags: tuple[bool, bool, bool, bool, bool],
    ) -> None:
        commercial, urgent, in_region, certified, rental = flags
        tier, dvi = record
        word = sum(amount << 32 * place for place, amount in enumerate(factors))
        with (
            _set(world, "_kinds", 1, reference | scarcity << 96),
            _set(world, "_factors", None, word),
        ):
            quote = world.quote(
                records[record],
                form=RENTAL if rental else METERED,
                purposes=COMMERCIAL if commercial else RESEARCH,
                urgent=urgent,
                floorPrice=floor * GRAIN,
                region=JAPAN if in_region else TAIWAN,
                certified=certified,
            )
        expected = unit_price(
            Factors.of_bps(*factors),
            reference=reference,
            dvi=dvi,
            floor=floor * GRAIN,
            scarcity=Fraction(scarcity, 10_000),
            tier=tier,
            commercial=commercial,
            urgent=urgent,
            in_region=in_region,
            certified=certified,
            rental=rental,
        )
        assert quote["price"] == (expected if reference else 0)

    agrees()


# ---------------------------------------------------------------- and it is what is paid


@pytest.mark.parametrize("certified", [False, True])
@pytest.mark.parametrize("urgent", [False, True])
@pytest.mark.parametrize("form", [FIXED, METERED, RENTAL])
def test_a_quote_is_what_a_purchase_then_costs(
    world: World, form: int, urgent: bool, certified: bool
) -> None:
    licensee = world.people.licensee
    world.declare()
    flags = int(vocabulary.LicenseeFlag.CERTIFIED) if certified else 0
    world.license(licensee, flags=flags)
    for purposes in (RESEARCH, COMMERCIAL):
        consent = world.granted(purposes=COMMERCIAL, floorPrice=0)
        asked = {"form": form, "purposes": purposes, "urgent": urgent}
        quoted = world.quote(consent.records, certified=certified, **asked)["price"]
        with reverts("licence: price above the limit"):
            world.buy(consent, maxPrice=quoted - 1, **asked)
        before = world.deposit_of(licensee)
        world.buy(consent, maxPrice=quoted, **asked)
        paid = quoted * (10 if form == METERED else 1)
        assert world.evm.event("LicenceBought")["urgent"] is urgent
        assert world.evm.event("LicenceBought")["paid"] == paid
        assert before - world.deposit_of(licensee) == paid * 21 // 20


def test_an_urgent_order_without_an_emergency_is_refused(world: World) -> None:
    consent = world.granted()
    with reverts("tariff: no emergency there"):
        world.buy(consent, urgent=True)
    world.declare(seconds=10)
    assert world.buy(consent, urgent=True)
    world.evm.warp(10)
    with reverts("tariff: no emergency there"):
        world.buy(consent, urgent=True, salt=1)


@pytest.mark.parametrize(("region", "price"), [(TAIWAN, 65 * DUT), (JAPAN, 50 * DUT)])
def test_use_where_the_data_live_costs_more(world: World, region: int, price: int) -> None:
    consent = world.granted(world.record(region=region))
    ref = world.buy(consent, units=1)
    assert world.meter(ref)["price"] * GRAIN == price


def test_a_rental_lasts_90_days_at_most_and_costs_30_per_cent_of_a_year(world: World) -> None:
    consent = world.granted()
    with reverts("licence: too long for a rental"):
        world.buy(consent, form=RENTAL, end=world.now + 90 * DAY + 1)
    for salt, seconds in enumerate((1, DAY, 90 * DAY)):
        ref = world.buy(consent, form=RENTAL, end=world.now + seconds, salt=salt)
        assert world.term(ref)["price"] * GRAIN == 15 * DUT
    year = world.buy(consent, form=FIXED, end=world.now + YEAR, salt=9)
    assert world.term(year)["price"] * GRAIN == 50 * DUT

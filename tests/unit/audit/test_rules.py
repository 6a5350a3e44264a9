"""The arithmetic of the rules, against the numbers in the rules themselves."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.world import DUT

from medtoken.audit import rules
from medtoken.chain.words import GRAIN, FactorsWord, KindWord, LicenceWord, RatesWord
from medtoken.vocabulary import Form, duo_mask

RATES = RatesWord(7000, 2000, 1000, 500, 1)


def test_the_worked_example_of_r15() -> None:
    """100,000 records at 50 DUT: 3,500,000 / 1,000,000 / 500,000, and 250,000 levy; 75/25 by R8."""
    split = rules.split(RATES, 100_000 * 50 * DUT, 7500, annotated=True)
    assert split.patient + split.custodian == 3_500_000 * DUT
    assert (split.patient, split.custodian) == (2_625_000 * DUT, 875_000 * DUT)
    assert (split.annotator, split.platform) == (1_000_000 * DUT, 500_000 * DUT)
    assert split.levy == 250_000 * DUT


def test_without_an_annotator_its_part_is_the_providers() -> None:
    split = rules.split(RATES, 100 * DUT, 8000, annotated=False)
    assert (split.patient, split.custodian) == (72 * DUT, 18 * DUT)
    assert (split.annotator, split.platform) == (0, 10 * DUT)


@given(
    st.integers(0, 2**64 - 1),
    st.integers(7000, 8000),
    st.booleans(),
    st.integers(5000, 10_000),
    st.integers(0, 2000),
    st.integers(0, 1000),
)
def test_the_parts_always_make_the_price(
    grains: int, share: int, annotated: bool, provider: int, platform: int, levy: int
) -> None:
    """R15: dust never vanishes. Prices in grains split without any."""
    platform = min(platform, 10_000 - provider)
    rates = RatesWord(provider, 10_000 - provider - platform, platform, levy, 1)
    split = rules.split(rates, grains * GRAIN, share, annotated)
    parts = (split.patient, split.custodian, split.annotator, split.platform)
    assert sum(parts) == grains * GRAIN
    assert min(parts) >= 0
    assert split.levy * 10_000 == grains * GRAIN * levy


@pytest.mark.parametrize(
    ("units", "coefficient", "points", "tokens"),
    [
        (1000, 1000, 0, 100),
        (1000, 1000, 200, 500),  # R1: one unit earns 100 to 500
        (1000, 3000, 100, 900),
        (3000, 1000, 50, 600),
        (1000, 10, 200, 5),  # a basic item
        (1000, 1000, 161, 422),  # half a point of Q counts
    ],
)
def test_what_a_record_mints(units: int, coefficient: int, points: int, tokens: int) -> None:
    assert rules.minted(units, coefficient, points, 0) == tokens * DUT


def test_nothing_is_minted_below_the_least_quality() -> None:
    assert rules.minted(1000, 1000, 39, 20) == 0
    assert rules.minted(1000, 1000, 40, 20) == 180 * DUT


# The numbers of R13.
RECORD = KindWord(50 * DUT, 10_000)
FACTORS = FactorsWord(25_000, 5_000, 5_000, 10_000, 15_000, 13_000, 1_500, 3_000)
NCU = duo_mask(["HMB", "NCU"])
RESEARCH = rules.Scene(NCU, False, 2, False, False, Form.METERED)


def price(dvi: int = 85, floor: int = 0, kind: KindWord = RECORD, **scene: object) -> int:
    return rules.unit_price(kind, FACTORS, dvi, replace(RESEARCH, **scene), floor)


def test_the_price_of_a_unit() -> None:
    """R13: reference by DVI/85, floored to a grain, never below the patient's floor."""
    assert price() == 50 * DUT
    assert price(17) == 10 * DUT
    assert price(84) == 49_411_764_705 * GRAIN
    assert price(17, 11 * DUT) == 11 * DUT


@pytest.mark.parametrize(
    ("scene", "cost"),
    [
        ({"purposes": duo_mask(["HMB"])}, 125),
        ({"purposes": duo_mask(["HMB", "NPUNCU"])}, 50),
        ({"purposes": duo_mask(["HMB", "NPU"])}, 125),
        ({"urgent": True}, 25),
        ({"tier": 1}, 25),
        ({"tier": 3}, 75),
        ({"in_region": True}, 65),
        ({"certified": True}, 42.5),
        ({"form": Form.RENTAL}, 15),
        ({"form": Form.FIXED_TERM}, 50),
        ({"in_region": True, "purposes": 1 << 6, "tier": 3, "certified": True}, 207.1875),
    ],
)
def test_every_factor_of_a_price(scene: dict[str, object], cost: float) -> None:
    assert price(**scene) == int(cost * 10_000) * (DUT // 10_000)


def test_genomes_cost_what_the_rules_say() -> None:
    """R13: genomic at DVI 85: 20, commercial 50."""
    genome = KindWord(20 * DUT, 10_000)
    assert price(kind=genome) == 20 * DUT
    assert price(kind=genome, purposes=duo_mask(["GRU"])) == 50 * DUT


def test_scarcity_multiplies_and_what_has_no_reference_is_not_for_sale() -> None:
    assert price(kind=KindWord(50 * DUT, 100_000)) == 500 * DUT
    assert price(kind=KindWord(50 * DUT, 5_000)) == 25 * DUT
    assert price(kind=KindWord(0, 10_000), floor=DUT) == 0
    assert price(0, floor=DUT) == 0


def test_a_rental_takes_its_share_of_the_floor_too() -> None:
    assert price(floor=100 * DUT, form=Form.RENTAL) == 30 * DUT
    # a third of a grain is rounded off once, after the share is taken
    odd = KindWord(85 * GRAIN, 10_000)
    assert price(4, kind=odd, floor=0, form=Form.RENTAL) == GRAIN
    assert price(3, kind=odd, floor=GRAIN, form=Form.RENTAL) == 0


@given(
    st.integers(85 * GRAIN, 10**24),
    st.integers(1, 100),
    st.integers(5_000, 100_000),
    st.booleans(),
    st.booleans(),
    st.integers(1, 3),
)
def test_factors_are_applied_exactly_and_floored_once(
    reference: int, dvi: int, scarcity: int, commercial: bool, certified: bool, tier: int
) -> None:
    exact = Fraction(reference * dvi, 85) * Fraction(scarcity, 10_000)
    exact *= Fraction(5, 2) if commercial else 1
    exact *= {1: Fraction(1, 2), 2: Fraction(1), 3: Fraction(3, 2)}[tier]
    exact *= Fraction(17, 20) if certified else 1
    purposes = duo_mask(["HMB"]) if commercial else NCU
    found = price(
        dvi, kind=KindWord(reference, scarcity), purposes=purposes, certified=certified, tier=tier
    )
    assert 0 <= exact - found < GRAIN
    assert found % GRAIN == 0


@pytest.mark.parametrize(
    ("demand", "level", "moved"),
    [
        (126, 100, (11_000, 125)),
        (125, 100, (10_000, 100)),  # not over 5/4
        (79, 100, (9_000, 80)),
        (80, 100, (10_000, 100)),  # not under 4/5
        (0, 0, (10_000, 0)),
        (5, 0, (10_000, 5)),  # what it stands for is not known before
    ],
)
def test_scarcity_follows_demand_from_its_level(
    demand: int, level: int, moved: tuple[int, int]
) -> None:
    assert rules.moved(10_000, level, demand) == moved


def test_less_than_ten_units_in_a_week_is_no_demand() -> None:
    """R13: at the reference price, so that dust moves no kind that nobody asks for."""
    assert rules.demanded(500 * DUT - 1, 50 * DUT, 1) == 0
    assert rules.demanded(500 * DUT, 50 * DUT, 1) == 500 * DUT
    assert rules.demanded(500 * DUT, 50 * DUT, 2) == 250 * DUT
    assert rules.demanded(500 * DUT, 50 * DUT, 0) == 500 * DUT
    assert rules.demanded(0, 50 * DUT, 1) == rules.demanded(0, 0, 0) == 0


def test_scarcity_stays_within_its_bounds_and_the_level_with_it() -> None:
    assert rules.moved(99_000, 4, 8) == (100_000, 5)
    assert rules.moved(100_000, 4, 8) == (100_000, 4)
    assert rules.moved(5_100, 5, 1) == (5_000, 4)
    assert rules.moved(5_000, 5, 1) == (5_000, 5)


@pytest.mark.parametrize(
    ("total", "units", "fine"),
    [(50, 1, True), (100, 2, True), (99, 2, False), (49, 1, False), (0, 1, False), (50, 0, False)],
)
def test_what_a_desk_may_ask(total: int, units: int, fine: bool) -> None:
    assert rules.desk_price(total * DUT, units, 50 * DUT) is fine


def test_a_desk_asks_for_whole_grains() -> None:
    assert rules.desk_price(2 * GRAIN, 2, 0)
    assert not rules.desk_price(GRAIN, 2, 0)


@pytest.mark.parametrize(
    ("seconds", "years"),
    [(1, 1), (365 * 86_400, 1), (365 * 86_400 + 1, 2)],
)
def test_started_years(seconds: int, years: int) -> None:
    assert rules.started_years(seconds) == years


def test_what_is_burned_of_a_levy() -> None:
    """R17: only while supply is above its ceiling."""
    assert rules.burn(100, 1000, 1000, 5000) == 0
    assert rules.burn(100, 1001, 1000, 5000) == 50
    assert rules.burn(3, 1001, 1000, 5000) == 1


def test_what_the_market_owes_for_a_licence() -> None:
    word = LicenceWord(form=2, price=DUT, end=9, epoch=1, units=10, used=4, settled=3)
    assert rules.owed(word, RATES) == 7 * DUT * 105 // 100
    closed = LicenceWord(form=2, price=DUT, end=9, epoch=1, units=10, closed=True)
    assert rules.owed(closed, RATES) == 0


D1, D2, NONE = b"\1" * 32, b"\2" * 32, bytes(32)


@pytest.mark.parametrize(
    ("allowed", "diseases", "asked", "asked_diseases", "inside"),
    [
        (["HMB"], NONE, ["HMB"], NONE, True),
        (["HMB"], NONE, ["GRU"], NONE, False),
        (["GRU"], NONE, ["HMB"], NONE, True),
        (["NRES"], NONE, ["POA"], NONE, True),
        (["NRES"], NONE, ["NRES"], NONE, False),
        (["HMB", "NCU"], NONE, ["HMB"], NONE, False),
        (["HMB", "NCU"], NONE, ["HMB", "NCU"], NONE, True),
        (["HMB"], NONE, ["HMB", "NCU"], NONE, True),
        (["HMB"], NONE, ["HMB", "GRU"], NONE, False),
        (["DS"], D1, ["DS"], D1, True),
        (["DS"], D1, ["DS"], D2, False),
        (["DS"], NONE, ["DS"], NONE, False),
        (["HMB"], NONE, ["DS"], D1, True),
        (["POA"], NONE, ["HMB"], NONE, False),
        (["HMB"], NONE, ["NCU"], NONE, False),
    ],
)
def test_purposes(
    allowed: list[str], diseases: bytes, asked: list[str], asked_diseases: bytes, inside: bool
) -> None:
    """R9, by DUO."""
    result = rules.permits(duo_mask(allowed), diseases, duo_mask(asked), asked_diseases)
    assert result is inside

"""The arithmetic of the rules, against the numbers in the rules themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.world import DUT

from medtoken.audit import rules
from medtoken.chain.words import GRAIN, LicenceWord, RatesWord
from medtoken.vocabulary import duo_mask

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
    ("units", "coefficient", "q", "tokens"),
    [
        (1000, 1000, 0, 100),
        (1000, 1000, 100, 500),  # R1: one unit earns 100 to 500
        (1000, 3000, 50, 900),
        (3000, 1000, 25, 600),
        (1000, 10, 100, 5),  # a basic item
    ],
)
def test_what_a_record_mints(units: int, coefficient: int, q: int, tokens: int) -> None:
    assert rules.minted(units, coefficient, q, 0) == tokens * DUT


def test_nothing_is_minted_below_the_least_quality() -> None:
    assert rules.minted(1000, 1000, 19, 20) == 0
    assert rules.minted(1000, 1000, 20, 20) == 180 * DUT


def test_the_price_of_a_unit() -> None:
    """R13: reference by DVI/85, floored to a grain, never below the patient's floor."""
    assert rules.unit_price(50 * DUT, 85, 0) == 50 * DUT
    assert rules.unit_price(50 * DUT, 17, 0) == 10 * DUT
    assert rules.unit_price(50 * DUT, 84, 0) == 49_411_764_705 * GRAIN
    assert rules.unit_price(50 * DUT, 17, 11 * DUT) == 11 * DUT


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

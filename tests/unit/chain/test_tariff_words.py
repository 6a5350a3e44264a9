"""The tariff's words, and licences that take vouchers: the layouts are the contract's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.world import DAY, DUT, JAPAN, KIND_FIELDS, RENTAL, World, pack

from medtoken.chain.words import FactorsWord, KindWord, LicenceWord
from medtoken.deploy.plan import FACTORS
from medtoken.errors import BadInput


@given(st.integers(0, 2**96 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_a_kind_lies_where_the_contract_puts_it(reference: int, scarcity: int, week: int) -> None:
    word = pack(KIND_FIELDS, reference=reference, scarcity=scarcity, week=week)
    assert KindWord.unpack(word) == KindWord(reference, scarcity, week)
    assert KindWord(reference, scarcity, week).pack() == word


@given(st.lists(st.integers(0, 2**32 - 1), min_size=8, max_size=8))
def test_factors_lie_one_after_the_other(values: list[int]) -> None:
    word = sum(value << 32 * i for i, value in enumerate(values))
    assert FactorsWord.unpack(word) == FactorsWord(*values)
    assert FactorsWord(*values).pack() == word


def test_the_factors_are_the_deployments() -> None:
    assert tuple(name for name, _ in FactorsWord.layout) == FACTORS


def test_bits_that_mean_nothing_are_refused() -> None:
    with pytest.raises(BadInput):
        KindWord.unpack(1 << 160)


def test_words_of_the_tariff(world: World) -> None:
    tariff, params = world.tariff, world.params
    kind = KindWord.unpack(tariff.kind_word(1))
    assert kind == KindWord(50 * DUT, 10_000, 0)
    assert FactorsWord.unpack(tariff.factors_word()) == FactorsWord(*params.factors)
    tariff.move_scarcity(1, sender=world.people.stranger)
    week = world.now // (7 * DAY)
    assert KindWord.unpack(tariff.kind_word(1)) == KindWord(50 * DUT, 10_000, week)


def test_a_rental_is_a_term(world: World) -> None:
    consent = world.granted(world.record(region=JAPAN), floorPrice=0)
    ref = world.buy(consent, form=RENTAL, end=world.now + 60 * DAY)
    word = LicenceWord.unpack(world.licence(ref))
    assert (word.form, word.metered, word.price) == (RENTAL, False, 15 * DUT)
    assert (word.start, word.settled, word.end) == (world.now, world.now, world.now + 60 * DAY)
    assert word.pack() == world.licence(ref)


def test_a_licence_with_vouchers_ends_after_the_window() -> None:
    word = LicenceWord(form=2, price=10**9, end=1000, epoch=1, units=3)
    assert word.ended(1000, 0)
    assert not word.ended(1050, 0, window=50)
    assert word.ended(1051, 0, window=50)
    assert not word.ended(350, 300, window=50)
    assert word.ended(351, 300, window=50)
    assert word.ended(1, 1)
    assert word.last(0) == 1000
    assert word.last(300) == 300
    term = LicenceWord(form=1, price=10**9, end=1000, epoch=1)
    assert term.ended(1000, 0, window=50)

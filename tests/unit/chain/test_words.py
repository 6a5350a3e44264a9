"""The packed words: what the contracts store is what ``pack`` gives, and ``unpack`` takes it apart."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.world import (
    CONSENT_FIELDS,
    DUT,
    EARNINGS_FIELDS,
    FIXED,
    LICENSEE_FIELDS,
    METER_FIELDS,
    METERED,
    RATES_FIELDS,
    RECORD_FIELDS,
    TERM_FIELDS,
    World,
    pack,
)

from medtoken.chain.words import (
    GRAIN,
    ConsentWord,
    EarningsWord,
    Facts,
    LicenceWord,
    LicenseeWord,
    RatesWord,
    Word,
)
from medtoken.errors import BadInput

# The layouts that the contracts' own tests use, written independently of the ones under test.
LAYOUTS: list[tuple[type[Word], dict[str, tuple[int, int]], dict[str, str]]] = [
    (ConsentWord, CONSENT_FIELDS, {"revoked": "revoked_at", "share": "patient_share"}),
    (LicenseeWord, LICENSEE_FIELDS, {}),
    (EarningsWord, EARNINGS_FIELDS, {}),
    (RatesWord, RATES_FIELDS, {}),
    (Facts, RECORD_FIELDS, {}),
]


def value(bits: int) -> st.SearchStrategy[int]:
    return st.integers(0, 2**bits - 1) | st.sampled_from([0, 1, 2**bits - 1])


@pytest.mark.parametrize(
    ("kind", "layout", "names"), LAYOUTS, ids=lambda v: getattr(v, "__name__", "")
)
@given(data=st.data())
def test_every_field_lies_where_the_contract_puts_it(
    kind: type[Word], layout: dict[str, tuple[int, int]], names: dict[str, str], data: st.DataObject
) -> None:
    fields = {n: data.draw(value(w), label=n) for n, (_, w) in layout.items() if n != "rest"}
    word = pack(layout, **fields)
    unpacked = kind.unpack(word)
    for name, expected in fields.items():
        actual = getattr(unpacked, names.get(name, name))
        assert (int(actual, 16) if isinstance(actual, str) else actual) == expected
    assert unpacked.pack() == word


@given(data=st.data(), form=st.sampled_from([FIXED, METERED]))
def test_a_licence_lies_where_the_contract_puts_it(data: st.DataObject, form: int) -> None:
    layout = METER_FIELDS if form == METERED else TERM_FIELDS
    skipped = ("rest", "flags")
    fields = {n: data.draw(value(w), label=n) for n, (_, w) in layout.items() if n not in skipped}
    suspended, closed, urgent = (data.draw(st.booleans()) for _ in range(3))
    word = pack(layout, **fields, flags=form | suspended << 2 | closed << 3 | urgent << 4)
    unpacked = LicenceWord.unpack(word)
    assert unpacked.form == form
    assert (unpacked.suspended, unpacked.closed, unpacked.urgent) == (suspended, closed, urgent)
    assert unpacked.price == fields["price"] * GRAIN
    for name in fields.keys() - {"price"}:
        assert getattr(unpacked, name) == fields[name]
    assert unpacked.pack() == word


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (EarningsWord, 1 << 192),
        (RatesWord, 1 << 81),
        (Facts, 1 << 254),
        (LicenceWord, METERED << 120 | 1 << 126),
        (LicenceWord, FIXED << 120 | 1 << 216),
        (LicenseeWord, 1 << 256),
    ],
)
def test_bits_that_mean_nothing_are_refused(kind: type[Word], word: int) -> None:
    with pytest.raises(BadInput):
        kind.unpack(word)


@pytest.mark.parametrize(
    "word",
    [
        EarningsWord(earned=2**128),
        EarningsWord(earned=-1),
        ConsentWord("0x" + "11" * 20, expiry=2**40),
        LicenceWord(form=METERED, price=GRAIN + 1, end=1, epoch=1, units=1),
        LicenceWord(form=METERED, price=GRAIN, end=1, epoch=1, units=1, start=1),
        LicenceWord(form=FIXED, price=GRAIN, end=1, epoch=1, units=1),
        LicenceWord(form=FIXED, price=GRAIN, end=1, epoch=1, used=1),
    ],
)
def test_what_does_not_fit_is_not_packed(word: Any) -> None:
    with pytest.raises(BadInput):
        word.pack()


def test_words_of_the_contracts(world: World) -> None:
    p, m = world.people, world.market
    consent = world.granted()
    record = Facts.unpack(world.registry.facts(consent.records))
    assert record.owner == p.patient
    assert (record.quality, record.dvi, record.live) == (85, 85, True)
    word = ConsentWord.unpack(m.consent_word(consent.struct_hash()))
    assert word == ConsentWord(str(p.patient), consent.expiry, 0, 7500)
    rates = RatesWord.unpack(m.rates_word())
    assert rates == RatesWord(7000, 2000, 1000, 500, 1, False)

    ref = world.buy(consent, units=10)
    world.use(ref, 4)
    world.settle(ref)
    metered = LicenceWord.unpack(world.licence(ref))
    assert metered == LicenceWord(
        form=METERED,
        price=50 * DUT,
        end=metered.end,
        epoch=1,
        units=10,
        used=4,
        settled=4,
    )
    assert (metered.paid, metered.unsettled) == (500 * DUT, 300 * DUT)
    licensee = LicenseeWord.unpack(m.licensee_word(p.licensee))
    assert licensee == LicenseeWord(500_000 * DUT - 525 * DUT, 2, 158, 0)
    assert EarningsWord.unpack(m.earnings_word(p.patient)) == EarningsWord(105 * DUT, 0)


def test_what_a_fixed_term_has_earned(world: World) -> None:
    """Linear, floored to a grain, counted from the start; never past its end or a revocation (R9)."""
    consent = world.granted()
    ref = world.buy(consent, form=FIXED, end=world.now + 1000)
    term = LicenceWord.unpack(world.licence(ref))
    start = world.now
    assert term.earned(start) == 0
    assert term.earned(start + 333) == 50 * DUT * 333 // 1000
    assert term.earned(start + 1000) == term.paid == 50 * DUT
    assert term.stop(start + 400, 0) == start + 400
    assert term.stop(start + 400, start + 300) == start + 300
    assert term.stop(start + 5000, 0) == start + 1000
    assert not term.ended(start + 999, 0)
    assert term.ended(start + 1000, 0)
    assert term.ended(start + 1, start + 1)
    world.evm.warp(333)
    world.settle(ref)
    settled = LicenceWord.unpack(world.licence(ref))
    assert settled.settled == start + 333
    assert settled.unsettled == 50 * DUT - world.earned(world.people.patient) * 10_000 // 5_250


def test_a_grain_of_a_term_is_never_split() -> None:
    term = LicenceWord(form=FIXED, price=GRAIN, end=100, epoch=1, start=0)
    assert term.earned(99) == 0
    assert term.earned(100) == GRAIN


def test_flags_of_a_licensee() -> None:
    assert LicenseeWord(flags=1).frozen
    assert not LicenseeWord(flags=2).frozen
    assert LicenseeWord(flags=2).certified
    assert not LicenseeWord(flags=1).certified

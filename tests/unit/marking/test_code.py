"""Who is named: a leaker, and an innocent no more often than was promised."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medtoken.errors import BadInput
from medtoken.marking import Code

from .conftest import SECRET

PEOPLE = [f"licensee {number}" for number in range(60)]
EVERYWHERE = np.ones(400, dtype=bool)


def code(seed: int, size: int = 400) -> Code:
    return Code(SECRET, seed.to_bytes(32), size)


def leak(kind: str, words: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What colluders make of their copies, within what their copies show."""
    match kind:
        case "average":
            return words.mean(0)
        case "mix":
            return np.take_along_axis(words, rng.integers(len(words), size=(1, words.shape[1])), 0)[
                0
            ]
        case "minority":
            return np.where(np.abs(words.sum(0)) == len(words), words[0], -np.sign(words.sum(0)))
        case "highest":
            return words.max(0)
        case _:
            return words.mean(0) + rng.normal(0, 3, words.shape[1])


@pytest.mark.parametrize("threshold", [0.2, 0.05])
def test_innocents_are_named_no_more_often_than_the_threshold_says(threshold: float) -> None:
    """Leaks of people who are no candidates, of every kind, by one to five of them."""
    kinds = ["average", "mix", "minority", "highest", "noise"]
    trials, wronged = 80, 0
    for seed in range(trials):
        rng = np.random.default_rng(seed)
        here = code(seed)
        words = np.array([here.word(f"stranger {n}") for n in range(1 + seed % 5)])
        residuals = leak(kinds[seed % len(kinds)], words, rng).astype(float)
        wronged += bool(here.trace(residuals, EVERYWHERE, PEOPLE, threshold).named)
    # Five standard deviations above what would be expected if the bound were attained.
    assert wronged <= trials * threshold + 5 * math.sqrt(trials * threshold)


def test_the_bound_holds_for_one_innocent_at_every_level() -> None:
    """The share of innocents below a level is at most the level: the bound is a p-value."""
    found = []
    for seed in range(15):
        here = code(seed, 300)
        residuals = here.word("stranger").astype(float)
        residuals[::3] = 0
        for name in PEOPLE[:20]:
            nearest = here.trace(residuals, np.ones(300, dtype=bool), [name]).nearest
            assert nearest is not None
            found.append(nearest.log10_bound)
    bounds = 10.0 ** np.array(found)
    for level in (0.5, 0.1, 0.01, 0.001):
        assert (bounds <= level).mean() <= level + 4 * math.sqrt(level / len(bounds))


@pytest.mark.parametrize("kind", ["average", "mix", "minority", "highest"])
@pytest.mark.parametrize("many", [1, 2, 3, 4])
def test_colluders_are_named_and_nobody_else(kind: str, many: int) -> None:
    for seed in range(3):
        here = code(seed, 3000)
        guilty = PEOPLE[seed : seed + many]
        words = np.array([here.word(name) for name in guilty])
        residuals = leak(kind, words, np.random.default_rng(seed)).astype(float)
        found = here.trace(residuals, np.ones(3000, dtype=bool), PEOPLE)
        named = {one.candidate for one in found.named}
        assert named
        assert named <= set(guilty)


def test_a_leak_that_says_little_names_nobody() -> None:
    here = code(1)
    word = here.word(PEOPLE[0]).astype(float)
    few = np.arange(400) < 12
    found = here.trace(word, few, PEOPLE)
    assert not found.named
    assert found.sentence().startswith("Not sure whose copy this is")
    assert not here.trace(np.zeros(400), EVERYWHERE, PEOPLE).named
    assert not here.trace(word, np.zeros(400, dtype=bool), PEOPLE).named


def test_one_secret_and_one_master_give_one_word() -> None:
    word = code(1).word("a")
    assert np.array_equal(word, code(1).word("a"))
    for other in (code(2).word("a"), code(1).word("b"), Code(bytes(32), bytes(32), 400).word("a")):
        assert 0.2 < (word != other).mean() < 0.8
    assert set(word.tolist()) == {-1, 1}


@settings(max_examples=40)
@given(st.lists(st.floats(-1e9, 1e9), min_size=50, max_size=50), st.integers(0, 2**20))
def test_whatever_leaks_an_innocent_is_not_named(values: list[float], seed: int) -> None:
    found = code(seed, 50).trace(np.array(values), np.ones(50, dtype=bool), PEOPLE)
    assert not found.named
    assert found.nearest is None or found.nearest.log10_bound <= 0


@pytest.mark.parametrize("threshold", [0.0, 1.0, -1.0, math.nan])
def test_a_threshold_that_is_no_probability_is_refused(threshold: float) -> None:
    with pytest.raises(BadInput, match="probability"):
        code(1).trace(np.ones(400), EVERYWHERE, PEOPLE, threshold)


def test_nobody_to_choose_among_is_refused() -> None:
    with pytest.raises(BadInput, match="candidates"):
        code(1).trace(np.ones(400), EVERYWHERE, [])


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(BadInput, match="32 bytes"):
        Code(b"short", bytes(32), 10)

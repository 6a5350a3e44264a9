"""A backend of Hypothesis that chooses evenly, and every run anew.

Left alone, Hypothesis prefers small numbers, and makes five of six runs by repeating parts of the one
before. That finds edge cases of a parser; in a market it brings the same refused call again and
again. Counterexamples are shrunk as always.
"""

from __future__ import annotations

from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider

NAME = "even"


class EvenProvider(HypothesisProvider):
    """Draws whole numbers from a range, each as likely as any other."""

    def draw_integer(
        self,
        min_value: int | None = None,
        max_value: int | None = None,
        *,
        weights: dict[int, float] | None = None,
        shrink_towards: int = 0,
    ) -> int:
        if min_value is None or max_value is None or weights is not None:
            return super().draw_integer(
                min_value, max_value, weights=weights, shrink_towards=shrink_towards
            )
        assert self._random is not None
        return self._random.randint(min_value, max_value)


AVAILABLE_PROVIDERS[NAME] = EvenProvider

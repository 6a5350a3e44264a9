"""What a score is made of: parts with points, and the share of each that a file earns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias


@dataclass(frozen=True)
class Part:
    """One thing that is looked at in a dimension."""

    name: str
    points: int
    """What it is worth; the parts of a dimension make 100 together."""
    share: Fraction
    """How much of that the file earns, 0 to 1."""


_TEN_YEARS = 3653  # days

Dimensions: TypeAlias = Mapping[str, Sequence[Part]]
"""The parts of each of the six dimensions of R7."""


def ratio(some: int, of: int) -> Fraction:
    """``some / of`` between 0 and 1; nothing out of nothing earns nothing."""
    return min(max(Fraction(some, of), Fraction(0)), Fraction(1)) if of else Fraction(0)


def ratio_of_at_least(some: int, of: int, least: int) -> Fraction:
    """``some / of`` where ``of`` counts as ``least`` when it is less: a scrap is no whole."""
    return ratio(some, max(of, least))


def without(bad: int, of: int) -> Fraction:
    """1 less the share of what is bad; 1 when there is nothing that could be."""
    return 1 - ratio(bad, of)


def yes(condition: object) -> Fraction:
    """1 when the condition holds, else 0."""
    return Fraction(1 if condition else 0)


def saturating(amount: int, half: int) -> Fraction:
    """``amount / (amount + half)``: half of the points at ``half``, never all of them."""
    return Fraction(amount, amount + half)


def recency(last: dt.date | None, as_of: dt.date) -> Fraction:
    """1 when the last day of the data is the day of reference, half at ten years, and so on.

    0 when the data name no day, or one after the day of reference.
    """
    if last is None or last > as_of:
        return Fraction(0)
    return Fraction(_TEN_YEARS, _TEN_YEARS + (as_of - last).days)


def score(parts: Sequence[Part]) -> int:
    """The sum of points times share, rounded down."""
    return int(sum((part.points * part.share for part in parts), Fraction(0)))

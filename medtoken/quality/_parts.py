"""What a score is made of: parts with points, and the share of each that a file earns."""

from __future__ import annotations

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


Dimensions: TypeAlias = Mapping[str, Sequence[Part]]
"""The parts of each of the six dimensions of R7."""


def ratio(some: int, of: int) -> Fraction:
    """``some / of`` between 0 and 1; nothing out of nothing earns nothing."""
    return min(max(Fraction(some, of), Fraction(0)), Fraction(1)) if of else Fraction(0)


def without(bad: int, of: int) -> Fraction:
    """1 less the share of what is bad; 1 when there is nothing that could be."""
    return 1 - ratio(bad, of)


def yes(condition: object) -> Fraction:
    """1 when the condition holds, else 0."""
    return Fraction(1 if condition else 0)


def saturating(amount: int, half: int) -> Fraction:
    """``amount / (amount + half)``: half of the points at ``half``, never all of them."""
    return Fraction(amount, amount + half)


def score(parts: Sequence[Part]) -> int:
    """The sum of points times share, rounded down."""
    return int(sum((part.points * part.share for part in parts), Fraction(0)))

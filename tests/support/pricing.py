"""R13 and its scarcity in fractions, written from MISSION.md alone: nothing is rounded before the end."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

GRAIN = 10**9


@dataclass(frozen=True)
class Factors:
    """What governance sets, as the numbers that R13 names."""

    commercial: Fraction
    emergency: Fraction
    public: Fraction
    sensitive: Fraction
    highly_sensitive: Fraction
    in_region: Fraction
    compliance_discount: Fraction
    rental: Fraction

    @classmethod
    def of_bps(cls, *amounts: int) -> Factors:
        return cls(*(Fraction(amount, 10_000) for amount in amounts))


R13 = Factors.of_bps(25_000, 5_000, 5_000, 10_000, 15_000, 13_000, 1_500, 3_000)


def unit_price(
    factors: Factors,
    *,
    reference: int,
    dvi: int,
    floor: int = 0,
    scarcity: Fraction = Fraction(1),
    tier: int = 2,
    commercial: bool = False,
    urgent: bool = False,
    in_region: bool = False,
    certified: bool = False,
    rental: bool = False,
) -> int:
    """Base units of one unit: R13's formula, its floor, the share of a rental, then down to the grain."""
    price = Fraction(reference) * Fraction(dvi, 85) * scarcity
    if commercial:
        price *= factors.commercial
    if urgent:
        price *= factors.emergency
    price *= {1: factors.public, 2: factors.sensitive, 3: factors.highly_sensitive}[tier]
    if in_region:
        price *= factors.in_region
    if certified:
        price *= 1 - factors.compliance_discount
    price = max(price, Fraction(floor))
    if rental:
        price *= factors.rental
    return price // GRAIN * GRAIN


def moved(
    scarcity: int, *, level: int, settled: int, supply: int, reference: int
) -> tuple[int, int]:
    """Scarcity in bps and its level after a week in which a kind's records settled so much in all.

    ``level`` is what a record settles in the week that the scarcity stands for; zero is not known yet.
    """
    demand = settled // max(supply, 1) if settled >= 10 * reference else 0
    if not level:
        return scarcity, demand
    if demand > level * Fraction(5, 4) and scarcity < 100_000:
        return min(int(scarcity * Fraction(11, 10)), 100_000), int(level * Fraction(5, 4))
    if demand < level * Fraction(4, 5) and scarcity > 5_000:
        return max(int(scarcity * Fraction(9, 10)), 5_000), int(level * Fraction(4, 5))
    return scarcity, level

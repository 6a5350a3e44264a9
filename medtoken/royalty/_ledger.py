"""A study's pot as the contract divides it, in exact integers: what tests and simulations hold it to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


def share(pot: int, weight: int, total: int) -> int:
    """Base units of a pot that a weight has earned since the beginning."""
    return pot * weight // total


@dataclass
class Pool:
    """Who may claim what of one study's pot; base units."""

    weights: Mapping[str, int]
    pot: int = 0
    claimed: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Sum of the weights."""
        return sum(self.weights.values())

    def bring(self, amount: int) -> None:
        """Money comes in for all."""
        self.pot += amount

    def claim(self, account: str) -> int:
        """Credit an account with what it has earned and not been credited with; returns that."""
        amount = self.claimable(account)
        self.claimed[account] = self.claimed.get(account, 0) + amount
        return amount

    def claimable(self, account: str) -> int:
        """What ``claim`` would give now."""
        earned = share(self.pot, self.weights.get(account, 0), self.total)
        return earned - self.claimed.get(account, 0)

    @property
    def left(self) -> int:
        """What is in the pot and has been credited to nobody."""
        return self.pot - sum(self.claimed.values())


def dust(pot: int, weights: Iterable[int], total: int) -> int:
    """What remains in a pot when everybody has claimed: less than one base unit a member."""
    return pot - sum(share(pot, weight, total) for weight in weights)

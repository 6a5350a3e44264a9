"""Rewards in a world, and short ways to say what its people do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from medtoken.messages import Domain, Donation, Redemption, Referral
from support.evm import CHAIN_ID, Contract
from support.world import DUT, KEY_BITS, Actor, World

MONTH = 30 * 86_400
WEEK = 7 * 86_400


@dataclass
class Stage:
    """The contract, its badges, and its people."""

    world: World

    def __post_init__(self) -> None:
        self.rewards: Contract = self.world.suite["Rewards"]
        self.badges: Contract = self.world.suite["BadgeToken"]
        self.people = self.world.people
        self.domain = Domain(CHAIN_ID, self.rewards.address)
        self._salt = 100

    @property
    def month(self) -> int:
        return self.world.now // MONTH

    def total(self, who: str) -> int:
        return int(self.rewards.account_word(who)) & (2**64 - 1)

    def record(self, **changes: Any) -> tuple[int, bytes]:
        """A record that was attested and minted for; custodian's number and tag."""
        tag = self.world.fresh("tag")
        custodian = changes.get("sender", self.people.custodian)
        self.world.record(tag=tag, **changes)
        return self.world.number(custodian), tag

    def count(self, **changes: Any) -> None:
        self.rewards.count_record(*self.record(**changes), sender=self.people.relay)

    def used(self, units: int = 1, record: bytes | None = None, **order: Any) -> dict[str, Any]:
        """A metered licence at 50 DUT a unit, of which ``units`` were used and settled."""
        consent = self.world.granted(record) if record else self.world.granted()
        self._salt += 1
        ref = self.world.buy(consent, units=units + 100, salt=self._salt << KEY_BITS, **order)
        self.world.use(ref, units)
        self.world.settle(ref)
        return ref

    def count_use(self, ref: dict[str, Any]) -> None:
        self.rewards.count_use(ref, sender=self.people.relay)

    def to_month(self, months: int = 1) -> None:
        """Go to the first second of a later month."""
        self.world.evm.warp((self.month + months) * MONTH - self.world.now)

    def end_of(self, board: int, period: int) -> int:
        return (period + 1) * MONTH * (12 if board % 2 else 1)

    def badge(self, board: int, period: int, rank: int = 1) -> int:
        return board << 128 | period << 64 | rank

    def ambassador(self) -> int:
        """The patient gets the badge of this month; returns it."""
        for _ in range(3):
            self.count()
        month = self.month
        self.to_month()
        self.rewards.nominate(0, month, self.people.patient, sender=self.people.stranger)
        self.world.evm.warp(WEEK)
        self.rewards.award(0, month, sender=self.people.stranger)
        return self.badge(0, month)

    def refer(
        self, referrer: Actor, referred: Actor, by: Actor | None = None, late: int = -60
    ) -> None:
        message = Referral(str(referrer), str(referred), self.world.now - late)
        self.rewards.refer(
            referrer,
            referred,
            message.deadline,
            message.sign((by or referrer).key, self.domain),
            message.sign(referred.key, self.domain),
            sender=self.people.relay,
        )

    def donate(self, badge: int, to: str, by: Actor, late: int = -60) -> None:
        message = Donation(badge, str(to), self.world.now - late)
        signature = message.sign(by.key, self.domain)
        self.rewards.direct_donation(
            badge, to, message.deadline, signature, sender=self.people.relay
        )

    def service(self, number: int = 1, **changes: Any) -> dict[str, Any]:
        offer: dict[str, Any] = {
            "provider": str(self.people.other_custodian),
            "token": 0,
            "price": 5 * DUT,
            "points": 0,
        }
        self.world.as_timelock(self.rewards, "set_service", number, offer | changes)
        return offer | changes

    def redeem(
        self, who: Actor, service: int = 1, price: int = 5 * DUT, late: int = -60, **changes: Any
    ) -> int:
        nonce = int(self.rewards.account_word(who)) >> 160
        values = {
            "account": str(who),
            "service": service,
            "price": price,
            "nonce": nonce,
            "deadline": self.world.now - late,
        }
        signer = changes.pop("by", who)
        message = Redemption(**(values | changes))
        return int(
            self.rewards.redeem(
                who,
                service,
                price,
                message.deadline,
                message.sign(signer.key, self.domain),
                sender=self.people.relay,
            )
        )

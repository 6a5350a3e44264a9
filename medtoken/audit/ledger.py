"""The ledger: everything that the suite's contracts hold, rebuilt from their logs alone.

A pure fold: it asks nobody anything but the time of a block where a rule depends on it. What the
rules determine it computes itself, and where an event says otherwise it records a violation and
goes on with what the rules give.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from medtoken.audit.books.assets import AssetBook, InstitutionTokenBook
from medtoken.audit.books.auctions import AuctionBook
from medtoken.audit.books.base import ZERO_ADDRESS, Book
from medtoken.audit.books.baskets import BasketBook
from medtoken.audit.books.contribution import ContributionBook
from medtoken.audit.books.desks import Till, Tills
from medtoken.audit.books.destruction import DestructionBook
from medtoken.audit.books.disputes import DisputesBook
from medtoken.audit.books.governance import AccessBook, Governance, ProxyBook, TimelockBook
from medtoken.audit.books.governor import GovernorBook
from medtoken.audit.books.licence_token import LicenceTokenBook
from medtoken.audit.books.market import MarketBook
from medtoken.audit.books.passkeys import PasskeyBook
from medtoken.audit.books.protection import CoverBook, FundBook
from medtoken.audit.books.registry import RegistryBook
from medtoken.audit.books.research import ChargingTill, ResearchBook, ResearchTokenBook
from medtoken.audit.books.rewards import BadgeBook, RewardsBook
from medtoken.audit.books.royalty import RoyaltyBook
from medtoken.audit.books.storage import GovernanceTokenBook, StorageBook
from medtoken.audit.books.tariff import TariffBook
from medtoken.audit.books.treasury import TreasuryBook
from medtoken.audit.books.trust import TrustBook
from medtoken.audit.books.usage import UsageBook
from medtoken.audit.journal import Clock, Event, Journal, Violation
from medtoken.audit.source import PROXY, PROXY_ADMIN, Suite


class Ledger:
    """The books of a deployed suite. Feed events in the chain's order, then ``close``."""

    def __init__(self, suite: Suite, clock: Clock) -> None:
        """Start before the first event; ``clock`` tells the time of blocks."""
        self.suite = suite
        self.journal = Journal(clock)
        addresses = suite.addresses
        market, treasury = addresses["DataMarket"], addresses["Treasury"]
        vault = addresses["RoyaltyVault"]
        rewards, disputes = addresses["Rewards"], addresses["QualityDisputes"]
        self.usage = UsageBook(
            self.journal,
            market,
            treasury,
            vault,
            rewards,
            disputes,
            addresses["AssetDesk"],
            addresses["BreachCover"],
            addresses["CompensationFund"],
        )
        self.contribution = ContributionBook(self.journal, addresses["RecordRegistry"])
        self.registry = RegistryBook(self.journal, self.contribution)
        self.tariff = TariffBook(self.journal, self.registry, market)
        self.access = AccessBook(self.journal)
        self.timelock = TimelockBook(self.journal)
        self.proxies = ProxyBook(self.journal, suite.proxies)
        self._governance = Governance(
            self.journal, addresses, self.access, self.timelock, self.proxies, self.tariff
        )
        house, baskets = (Till(self.journal, addresses[n]) for n in ("AuctionHouse", "BasketDesk"))
        research, trust = (
            ChargingTill(self.journal, addresses[n]) for n in ("ResearchDesk", "DataTrust")
        )
        self.passkeys = PasskeyBook(self.journal)
        self.market = MarketBook(
            self.journal,
            self.registry,
            self.usage,
            self.tariff,
            self._governance.is_desk,
            Tills(house, baskets, research, trust),
            house.desk,
            self.passkeys,
            trust.desk,
        )
        self.auctions = AuctionBook(self.journal, self.registry, self.market, house)
        self.baskets = BasketBook(self.journal, self.market, baskets)
        self.royalties = RoyaltyBook(self.journal, vault, self.usage, self.registry, self.market)
        self.treasury = TreasuryBook(
            self.journal, self.usage, self.market, self.royalties, research.desk
        )
        self.research_tokens = ResearchTokenBook(self.journal, research.desk)
        self.research = ResearchBook(
            self.journal, self.research_tokens, self.market, self.treasury, research
        )
        self.trust = TrustBook(self.journal, self.market, self.registry, trust)
        self.destructions = DestructionBook(self.journal, self.market)
        self.governance_tokens = GovernanceTokenBook(self.journal, addresses["StorageRewards"])
        self.governor = GovernorBook(
            self.journal,
            addresses.get("MedGovernor"),
            self.timelock,
            addresses["TimelockController"],
            (self.governance_tokens, self.contribution),
        )
        self.rewards = RewardsBook(
            self.journal,
            addresses["Rewards"],
            self.usage,
            self.registry,
            self.market,
            (self.contribution, self.governance_tokens),
        )
        self.badges = BadgeBook(self.journal, self.rewards)
        self.licence_tokens = LicenceTokenBook(self.journal, self.market)
        self.storage = StorageBook(self.journal, self.governance_tokens, self.registry, self.market)
        self.disputes = DisputesBook(self.journal, self.registry, self.usage)
        self.institution_tokens = InstitutionTokenBook(self.journal)
        self.assets = AssetBook(
            self.journal,
            addresses,
            self.usage,
            self.registry,
            self.market,
            self.institution_tokens,
        )
        self.cover = CoverBook(self.journal, addresses["BreachCover"], self.usage, self.registry)
        self.fund = FundBook(
            self.journal, addresses["CompensationFund"], self.usage, self.registry, self.market
        )
        self._books: dict[str, Book] = {
            "UsageToken": self.usage,
            "ContributionToken": self.contribution,
            "RecordRegistry": self.registry,
            "Passkeys": self.passkeys,
            "DataMarket": self.market,
            "Tariff": self.tariff,
            "AuctionHouse": self.auctions,
            "BasketDesk": self.baskets,
            "RoyaltyVault": self.royalties,
            "Rewards": self.rewards,
            "BadgeToken": self.badges,
            "Treasury": self.treasury,
            "LicenceToken": self.licence_tokens,
            "LicenceView": self.destructions,
            "GovernanceToken": self.governance_tokens,
            "ResearchToken": self.research_tokens,
            "ResearchDesk": self.research,
            "DataTrust": self.trust,
            "StorageRewards": self.storage,
            "QualityDisputes": self.disputes,
            "InstitutionToken": self.institution_tokens,
            "AssetDesk": self.assets,
            "BreachCover": self.cover,
            "CompensationFund": self.fund,
            "AccessManager": self.access,
            # Before the timelock's own book forgets what it called.
            "MedGovernor": self.governor,
            "TimelockController": self.timelock,
            PROXY: self.proxies,
            PROXY_ADMIN: self.proxies,
        }
        self.counts: Counter[str] = Counter()  # events by contract and name

    @property
    def violations(self) -> list[Violation]:
        """What the logs break, in their order."""
        return self.journal.violations

    @property
    def events(self) -> int:
        """How many events were booked."""
        return self.counts.total()

    def accounts(self) -> set[str]:
        """Every account that any book knows a person or an institution by."""
        records = (record.facts.owner for record in self.registry.records.values())
        return {
            *self.usage.standings,
            *self.usage.balances,
            *self.contribution.balances,
            *self.governance_tokens.balances,
            *self.research_tokens.balances,
            *self.registry.numbers,
            *self.market.licensees,
            *self.market.earnings,
            *self.royalties.balances,
            *self.rewards.accounts,
            *self.disputes.credits,
            *self.assets.accounts,
            *self.cover.balances,
            *self.fund.balances,
            *self.passkeys.states,
            *self.trust.trustees,
            *records,
        } - {ZERO_ADDRESS}

    def fold(self, events: Iterable[Event]) -> Ledger:
        """Book all events and close; returns itself."""
        for event in events:
            self.apply(event)
        self.close()
        return self

    def apply(self, event: Event) -> None:
        """Book one event."""
        last = self.journal.event
        if last is not None and last.tx != event.tx:
            self.close()
        self.journal.event = event
        self.journal.require(
            last is None or (last.block, last.index) < (event.block, event.index),
            7,
            "R29",
            "a log came twice, or out of the chain's order",
        )
        self.counts[f"{event.contract}.{event.event}"] += 1
        self._governance.watch(event)
        self._books[event.contract].apply(event)

    def close(self) -> None:
        """End the transaction at hand: nothing of it is to come any more."""
        if self.journal.event is not None:
            # Before the timelock's own book forgets what it called.
            self._governance.end_transaction()
            for book in self._books.values():
                book.end_transaction()

    def as_dict(self) -> dict[str, Any]:
        """The books as they stand, ready for JSON: amounts as text in base units, ids as 0x hex."""
        return {
            "dut": self.usage.as_dict(),
            "dct": self.contribution.as_dict(),
            "registry": self.registry.as_dict(),
            "market": self.market.as_dict(),
            "passkeys": self.passkeys.as_dict(),
            "tariff": self.tariff.as_dict(),
            "auctions": self.auctions.as_dict(),
            "baskets": self.baskets.as_dict(),
            "treasury": self.treasury.as_dict(),
            "royalties": self.royalties.as_dict(),
            "rewards": self.rewards.as_dict(),
            "licence_tokens": self.licence_tokens.as_dict(),
            "destructions": self.destructions.as_dict(),
            "rt": self.research_tokens.as_dict(),
            "research": self.research.as_dict(),
            "gt": self.governance_tokens.as_dict(),
            "storage": self.storage.as_dict(),
            "disputes": self.disputes.as_dict(),
            "assets": self.assets.as_dict(),
            "cover": self.cover.as_dict(),
            "fund": self.fund.as_dict(),
            "trust": self.trust.as_dict(),
            "it": self.institution_tokens.as_dict(),
            "roles": self.access.as_dict(),
            "timelock": self.timelock.as_dict(),
            "governor": self.governor.as_dict(),
            "proxies": self.proxies.as_dict(),
        }

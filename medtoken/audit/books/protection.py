"""What protects against harm: the breach cover's premiums and claims (R23), the compensation fund (R22).

Both credit accounts, which withdraw by signature. What came in is always in the pool or kept, credited,
or withdrawn; none of it is a levy, so the reserve (R16) never sees it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from eth_abi import encode

from medtoken._keccak import keccak
from medtoken.audit import rules
from medtoken.audit.books.base import ZERO_ADDRESS, Book, Handler, amounts, hexed
from medtoken.audit.books.market import MarketBook
from medtoken.audit.books.registry import RegistryBook
from medtoken.audit.books.usage import FROZEN, Announced, UsageBook
from medtoken.audit.journal import Event, Journal
from medtoken.chain.words import EarningsWord, PolicyWord
from medtoken.formats import RecordKind
from medtoken.vocabulary import Capability

_TERM = keccak(text="term")
_CLAIM = ("uint256", "uint256", "uint256", "bytes32")
OPEN, DECIDED = 1, 2


class CreditingBook(Book):
    """What a contract has credited to accounts, and whether it lets money in. Amounts in base units."""

    rule: str
    called: str

    def __init__(
        self, journal: Journal, address: str, usage: UsageBook, registry: RegistryBook
    ) -> None:
        """The contract is at ``address``; its money moves in ``usage``."""
        super().__init__(journal)
        self.address = address
        self.usage = usage
        self.registry = registry
        self.balances: dict[str, EarningsWord] = {}
        self.paused = False

    @property
    def credited(self) -> int:
        """All that accounts have not withdrawn."""
        return sum(word.earned for word in self.balances.values())

    def _credit(self, account: str, amount: int) -> None:
        if amount:
            word = self.balances.get(account, EarningsWord())
            self.balances[account] = replace(word, earned=word.earned + amount)

    def _came(self, payer: str, amount: int, what: str) -> None:
        self.journal.require(
            amount > 0 and not self.paused, 7, self.rule, f"{what} of nothing, or while paused"
        )
        self.usage.announce(Announced(payer, self.address, amount, 6, self.rule, what))

    def _withdrawn(self, event: Event) -> None:
        account, to, amount = (event.args[k] for k in ("account", "to", "amount"))
        word = self.balances.get(account, EarningsWord())
        self.journal.require(
            0 < amount <= word.earned,
            6,
            self.rule,
            f"{account} withdrew more than {self.called} had credited it with",
        )
        self.journal.require(
            not self.usage.standings.get(account, 0) & FROZEN,
            7,
            "R2",
            f"{account} withdrew from {self.called} while it was frozen",
        )
        self.balances[account] = EarningsWord(word.earned - amount, word.nonce + 1)
        self.usage.paid_out(Announced(self.address, to, amount, 6, self.rule, "a withdrawal"))

    def _pause(self, event: Event) -> None:
        self.paused = event.args["paused"]


class CoverBook(CreditingBook):
    """Policies, claims, and the pool (R23)."""

    rule = "R23"
    called = "the breach cover"

    def __init__(
        self, journal: Journal, address: str, usage: UsageBook, registry: RegistryBook
    ) -> None:
        """Custodians are in ``registry``."""
        super().__init__(journal, address, usage, registry)
        self.policies: dict[int, PolicyWord] = {}
        self.paid: dict[int, int] = defaultdict(int)  # by policy
        self.claims: dict[bytes, dict[str, Any]] = {}
        self.states: dict[bytes, int] = {}
        self.pool = 0
        self.term = 0

    @property
    def held(self) -> int:
        """All that the contract must hold."""
        return self.pool + self.credited

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        return {
            "policies": {
                str(number): {
                    "custodian": word.custodian,
                    "since": word.since,
                    "until": word.until,
                    "premium": str(word.premium),
                    "paid": str(self.paid[number]),
                }
                for number, word in self.policies.items()
            },
            "open": sorted(hexed(k) for k, v in self.states.items() if v == OPEN),
            "pool": str(self.pool),
            "credits": amounts({k: v.earned for k, v in self.balances.items()}),
            "term": self.term,
            "paused": self.paused,
        }

    def _premium(self, event: Event) -> None:
        args, journal = event.args, self.journal
        payer, premium, number = args["payer"], args["premium"], len(self.policies) + 1
        custodian = self.registry.numbers.get(payer, 0)
        found = self.registry.institutions.get(custodian)
        journal.require(
            found is not None and bool(found.capabilities & Capability.CUSTODIAN),
            7,
            "R23",
            f"{payer} paid a premium, but is no accredited custodian",
        )
        until = journal.now + self.term
        self.pool += premium
        journal.expect(
            6,
            "R23",
            f"number, custodian, cover, end and pool of policy {args['policy']}",
            (number, custodian, premium * rules.COVER, until, self.pool),
            tuple(args[k] for k in ("policy", "custodian", "cover", "until", "pool")),
        )
        self.policies[number] = PolicyWord(custodian, journal.now, until, premium)
        self._came(payer, premium, "a premium")

    def _claimed(self, event: Event) -> None:
        args, journal = event.args, self.journal
        given, policy = args["given"], args["policy"]
        claim = keccak(encode(_CLAIM, list(given.values())))
        word = self.policies.get(policy, PolicyWord())
        journal.expect(
            7,
            "R23",
            f"id and policy of the claim {hexed(args['claim'])}",
            (claim, given["policy"]),
            (args["claim"], policy),
        )
        journal.require(
            word.since <= given["occurred"] < word.until
            and not journal.before(given["occurred"])
            and given["amount"] > 0
            and any(given["evidence"])
            and claim not in self.states,
            7,
            "R23",
            f"the claim {hexed(claim)} is of nothing, outside its policy's term, or a second one",
        )
        self.claims[claim], self.states[claim] = given, OPEN

    def _decided(self, event: Event) -> None:
        args, journal = event.args, self.journal
        claim, granted = args["claim"], args["granted"]
        given = self.claims.get(claim)
        journal.require(
            given is not None and self.states[claim] == OPEN and any(args["reason"]),
            6,
            "R23",
            f"the claim {hexed(claim)} was decided, but not open, or without a reason",
        )
        if given is None:
            return
        journal.require(
            granted <= given["amount"], 6, "R23", f"{hexed(claim)} was granted more than it claims"
        )
        policy = given["policy"]
        word = self.policies.get(policy, PolicyWord())
        found = self.registry.institutions.get(word.custodian)
        account = found.account if found else ZERO_ADDRESS
        paid = rules.covered(granted, word.premium, self.paid[policy], self.pool)
        self.paid[policy] += paid
        self.pool -= paid
        journal.expect(
            6,
            "R23",
            f"policy, account, payment and pool of the claim {hexed(claim)}",
            (policy, account, paid, self.pool),
            tuple(args[k] for k in ("policy", "account", "paid", "pool")),
        )
        self.states[claim] = DECIDED
        self._credit(account, paid)

    def _parameter(self, event: Event) -> None:
        args, journal = event.args, self.journal
        journal.require(args["name"] == _TERM, 7, "R23", "the cover changed an unknown parameter")
        journal.expect(7, "R23", "the cover's term as it was", self.term, args["previous"])
        journal.require(
            rules.within(args["current"], rules.COVER_TERMS),
            7,
            "R23",
            "the cover's term is out of bounds",
        )
        self.term = args["current"]

    handlers: ClassVar[Mapping[str, Handler]] = {
        "PremiumPaid": _premium,
        "ClaimMade": _claimed,
        "ClaimDecided": _decided,
        "Withdrawn": CreditingBook._withdrawn,
        "PauseChanged": CreditingBook._pause,
        "ParameterChanged": _parameter,
    }


class FundBook(CreditingBook):
    """Contributions for licences that were used, and what is kept of them (R22)."""

    rule = "R22"
    called = "the compensation fund"

    def __init__(
        self,
        journal: Journal,
        address: str,
        usage: UsageBook,
        registry: RegistryBook,
        market: MarketBook,
    ) -> None:
        """Licences are in ``market``, records in ``registry``."""
        super().__init__(journal, address, usage, registry)
        self.market = market
        self.kept = 0

    @property
    def held(self) -> int:
        """All that the contract must hold."""
        return self.kept + self.credited

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        return {
            "kept": str(self.kept),
            "credits": amounts({k: v.earned for k, v in self.balances.items()}),
            "paused": self.paused,
        }

    def _paid(self, event: Event) -> None:
        args, journal = event.args, self.journal
        licence, record, amount = args["licence"], args["record"], args["amount"]
        name = f"the contribution for licence {hexed(licence)}"
        bought, found = self.market.licences.get(licence), self.registry.records.get(record)
        used = bought is not None and (
            bought.word.used > 0
            or (not bought.word.metered and bought.word.settled > bought.word.start)
        )
        journal.require(
            used and found is not None and found.facts.kind != RecordKind.DERIVED,
            7,
            "R22",
            f"{name} is of one that was not used, or of a derived record",
        )
        journal.expect(
            7,
            "R22",
            f"record and licensee of {name}",
            (bought.ref.record, bought.ref.licensee) if bought else None,
            (record, args["licensee"]),
        )
        parties = self.registry.parties(record)
        curation, patient, kept = rules.contribution(amount)
        owner, custodian = (parties.owner, parties.custodian) if parties else (None, None)
        names = ("patient", "patientAmount", "custodian", "custodianAmount", "kept")
        journal.expect(
            2,
            "R22",
            f"parts of {name}",
            (owner, patient, custodian, curation, kept),
            tuple(args[k] for k in names),
        )
        if parties is not None:
            self._credit(parties.owner, patient)
            self._credit(parties.custodian, curation)
        self.kept += kept
        self._came(args["licensee"], amount, "a contribution")

    def _compensated(self, event: Event) -> None:
        args, journal = event.args, self.journal
        amount = args["amount"]
        journal.require(
            0 < amount <= self.kept and any(args["reason"]) and args["account"] != ZERO_ADDRESS,
            6,
            "R22",
            f"{amount} compensate nobody, without a reason, or are more than is kept",
        )
        self.kept -= amount
        journal.expect(6, "R22", "what the fund keeps after it", self.kept, args["left"])
        self._credit(args["account"], amount)

    handlers: ClassVar[Mapping[str, Handler]] = {
        "ContributionPaid": _paid,
        "Compensated": _compensated,
        "Withdrawn": CreditingBook._withdrawn,
        "PauseChanged": CreditingBook._pause,
    }

"""Governance tokens (R5): minted for storage that was challenged and proven, and for nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any, ClassVar

from medtoken.audit import rules
from medtoken.audit.books.base import Book, Handler, hexed
from medtoken.audit.books.contribution import ContributionBook
from medtoken.audit.books.market import MarketBook
from medtoken.audit.books.registry import RegistryBook
from medtoken.audit.journal import Event, Journal
from medtoken.chain.words import Facts, HoldingWord, MarkWord, TallyWord
from medtoken.vocabulary import Capability, Form


class GovernanceTokenBook(ContributionBook):
    """Every GT: it appears by proven storage, never moves, and burns (R26, R41)."""

    symbol = "GT"
    rule = "R5"
    invariant = 7


class StorageBook(Book):
    """What custodians claim to store, the challenges to it, and the calls that were paid.

    Whether an answer's hashes lead to the root is not in the logs: the contract, whose code is
    public, has checked it. Everything else of an answer is held against the registry's book.
    """

    def __init__(
        self,
        journal: Journal,
        tokens: GovernanceTokenBook,
        registry: RegistryBook,
        market: MarketBook,
    ) -> None:
        """Rewards are minted in ``tokens``; records are in ``registry``, calls in ``market``."""
        super().__init__(journal)
        self.tokens = tokens
        self.registry = registry
        self.market = market
        self.holdings: dict[int, HoldingWord] = {}
        self.roots: dict[int, bytes] = {}
        self.tallies: dict[int, TallyWord] = {}
        self.marks: dict[bytes, MarkWord] = {}
        self.related: dict[tuple[int, str], bool] = {}
        self.rules: dict[str, int] = dict.fromkeys(rules.STORAGE, 0)
        self.bonuses: tuple[tuple[int, int], ...] = ()
        # A list that becomes shorter leaves its old end in the storage.
        self.bonuses_written: tuple[tuple[int, int], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        return {
            "holdings": {
                str(custodian): {
                    "root": hexed(self.roots[custodian]),
                    "bytes": word.size,
                    "begun": word.begun,
                    "challenged": word.challenged or None,
                    "answered": word.answered,
                    "calls": self._calls(custodian),
                }
                for custodian, word in sorted(self.holdings.items())
                if word.size
            },
            "related": sorted([c, who] for (c, who), is_so in self.related.items() if is_so),
            "rules": self.rules | {"price": str(self.rules["price"])},
            "bonuses": [list(step) for step in self.bonuses],
        }

    def _may(self, number: int, capability: Capability) -> bool:
        found = self.registry.institutions.get(number)
        return found is not None and bool(found.capabilities & capability)

    def _holding(self, custodian: int) -> HoldingWord:
        return self.holdings.get(custodian, HoldingWord())

    def _calls(self, custodian: int) -> int:
        tally = self.tallies.get(custodian, TallyWord())
        return tally.calls if tally.begun == self._holding(custodian).begun else 0

    def _committed(self, event: Event) -> None:
        custodian, root, size = (event.args[k] for k in ("custodian", "root", "size"))
        text = f"what institution {custodian} claims to store"
        self.journal.require(
            self._may(custodian, Capability.CUSTODIAN) and any(root) and 0 < size < 2**64,
            7,
            "R5",
            f"{text} is nothing, or it is no accredited custodian",
        )
        self.journal.require(
            not self._holding(custodian).challenged, 7, "R5", f"{text} escaped a challenge"
        )
        self.holdings[custodian] = HoldingWord(size=size, begun=self.journal.now)
        self.roots[custodian] = root

    def _challenged(self, event: Event) -> None:
        args, now = event.args, self.journal.now
        custodian = args["custodian"]
        word = self._holding(custodian)
        name = f"the challenge to institution {custodian}"
        self.journal.require(
            word.size > 0 and not word.challenged and now >= word.begun + self.rules["gap"],
            7,
            "R5",
            f"{name} came too early, upon another, or to nothing",
        )
        expected = (self.rules["samples"], now + self.rules["window"])
        actual = (args["samples"], args["deadline"])
        self.journal.expect(7, "R5", f"samples and deadline of {name}", expected, actual)
        self.holdings[custodian] = replace(
            word,
            challenged=now,
            seed_block=args["seedBlock"],
            window=self.rules["window"],
            samples=self.rules["samples"],
            threshold=self.rules["threshold"],
        )

    def _answered(self, event: Event) -> None:
        args, journal = event.args, self.journal
        custodian, attester = args["custodian"], args["attester"]
        word = self._holding(custodian)
        name = f"sample {args['number']} of institution {custodian}"
        journal.require(
            bool(word.challenged) and journal.now <= word.deadline and word.answered < word.samples,
            7,
            "R5",
            f"{name} was answered while no answer was due",
        )
        journal.expect(7, "R5", f"the number of {name}", word.answered, args["number"])
        found = self.registry.records.get(args["record"])
        counts = (
            found is not None
            and found.facts.live
            and found.facts.custodian == custodian
            and found.facts.dvi >= word.threshold
        )
        journal.require(
            counts, 7, "R5", f"{name} was answered with a record that does not count for it"
        )
        own = found is not None and attester in (found.facts.custodian, found.facts.annotator)
        journal.require(
            self._may(attester, Capability.ATTESTER) and not own,
            7,
            "R5",
            f"{name} rests on institution {attester}, which may not witness it",
        )
        self.holdings[custodian] = replace(word, answered=word.answered + 1)

    def _proven(self, event: Event) -> None:
        args, journal = event.args, self.journal
        custodian = args["custodian"]
        word = self._holding(custodian)
        name = f"the proof of institution {custodian}"
        journal.require(
            bool(word.challenged)
            and journal.now <= word.deadline
            and word.answered == word.samples
            and self._may(custodian, Capability.CUSTODIAN),
            7,
            "R5",
            f"{name} is not whole, or it is no accredited custodian",
        )
        found = self.registry.institutions.get(custodian)
        duration = min(word.challenged - word.begun, rules.MONTH)
        calls = self._calls(custodian)
        share = rules.storage_bonus(self.bonuses, calls)
        minted = rules.storage_reward(word.size, duration, share)
        account = found.account if found else None
        journal.expect(
            7,
            "R5",
            f"account, bytes, seconds, calls, share and reward of {name}",
            (account, word.size, duration, calls, share, minted),
            tuple(args[k] for k in ("account", "size", "duration", "calls", "share", "minted")),
        )
        self.tokens.announce(args["account"], minted)
        self.holdings[custodian] = HoldingWord(size=word.size, begun=word.challenged)

    def _failed(self, event: Event) -> None:
        custodian = event.args["custodian"]
        word = self._holding(custodian)
        self.journal.require(
            bool(word.challenged) and self.journal.now > word.deadline,
            7,
            "R5",
            f"institution {custodian} failed while it could still answer",
        )
        self.holdings[custodian] = HoldingWord()
        self.roots[custodian] = bytes(32)

    def _marked(self, event: Event) -> None:
        args, journal = event.args, self.journal
        licence, custodian = args["licence"], args["custodian"]
        name = f"the mark of licence {hexed(licence)}"
        bought = self.market.licences.get(licence)
        if bought is None or bought.word.form != Form.METERED:
            journal.require(False, 7, "R5", f"{name} is on no metered licence")
            return
        record = self.registry.records.get(bought.ref.record)
        holding = self._holding(custodian)
        before = self.marks.get(licence, MarkWord())
        counted = 0
        if (
            holding.size
            and before.time >= holding.begun
            and bought.word.price >= self.rules["price"]
            and record is not None
            and self._unrelated(record.facts, bought.ref.licensee)
        ):
            counted = bought.word.settled - before.settled
        journal.require(not holding.challenged, 7, "R5", f"{name} moved under a challenge")
        journal.expect(
            7,
            "R5",
            f"custodian, settled calls and counted calls of {name}",
            (record.facts.custodian if record else None, bought.word.settled, counted),
            (custodian, args["settled"], args["counted"]),
        )
        if counted:
            calls = self._calls(custodian) + counted
            self.tallies[custodian] = TallyWord(calls, holding.begun)
        self.marks[licence] = MarkWord(bought.word.settled, journal.now)

    def _unrelated(self, facts: Facts, licensee: str) -> bool:
        """Whether a licensee is neither a record's patient nor its custodian's or annotator's."""
        number = self.registry.numbers.get(licensee, 0)
        return not (
            licensee == facts.owner
            or number == facts.custodian
            or (number and number == facts.annotator)
            or self.related.get((facts.custodian, licensee), False)
        )

    def _relation(self, event: Event) -> None:
        key = (event.args["custodian"], event.args["licensee"])
        before = self.related.get(key, False)
        self.journal.expect(
            7, "R5", f"a change of relation {key}", not before, event.args["related"]
        )
        self.related[key] = event.args["related"]

    def _rules(self, event: Event) -> None:
        previous, current = event.args["previous"], event.args["current"]
        self.journal.expect(7, "R5", "the rules of storage that were", self.rules, previous)
        self.journal.require(
            all(rules.within(current[name], bounds) for name, bounds in rules.STORAGE.items()),
            7,
            "R5",
            "the rules of storage are out of bounds",
        )
        self.rules = dict(current)

    def _bonuses(self, event: Event) -> None:
        previous, steps = (
            tuple((step["calls"], step["share"]) for step in event.args[when])
            for when in ("previous", "current")
        )
        self.journal.expect(7, "R5", "the bonuses of storage that were", self.bonuses, previous)
        ascending = all(
            all(low < high for low, high in zip(a, b, strict=True)) for a, b in pairwise(steps)
        )
        within = all(
            rules.within(value, bounds)
            for step in steps
            for value, bounds in zip(step, rules.BONUSES, strict=True)
        )
        self.journal.require(
            ascending and within, 7, "R5", "the bonuses of storage are out of bounds"
        )
        self.bonuses = steps
        self.bonuses_written = steps + self.bonuses_written[len(steps) :]

    handlers: ClassVar[Mapping[str, Handler]] = {
        "HoldingCommitted": _committed,
        "ChallengeOpened": _challenged,
        "SampleAnswered": _answered,
        "StorageProven": _proven,
        "ChallengeFailed": _failed,
        "CallsMarked": _marked,
        "RelationChanged": _relation,
        "RulesChanged": _rules,
        "BonusesChanged": _bonuses,
    }

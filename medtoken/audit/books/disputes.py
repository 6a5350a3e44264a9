"""Challenges of attested quality, their bonds, and the stakes behind attestations (R7)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from eth_abi import encode

from medtoken._keccak import keccak
from medtoken.audit import rules
from medtoken.audit.books.base import Book, Handler, amounts, hexed
from medtoken.audit.books.registry import RegistryBook
from medtoken.audit.books.usage import Announced, UsageBook
from medtoken.audit.journal import Event, Journal

_PARAMETERS = {keccak(text=name): name for name in ("bond", "window")}
_BOUNDS = {"bond": rules.BONDS, "window": rules.DISPUTE_WINDOWS}


@dataclass(frozen=True)
class OpenChallenge:
    """A challenge that waits for its arbitrator; base units, unix seconds."""

    challenger: str
    attester: int
    scores: dict[str, Any]
    bond: int
    at_risk: int
    deadline: int

    @property
    def claim(self) -> bytes:
        """What the contract keeps of the claimed scores."""
        kinds = ["uint256"] * (len(self.scores) - 1) + ["bytes32"]
        return keccak(encode(kinds, list(self.scores.values())))


class DisputesBook(Book):
    """Who challenged what, who staked how much, and to whom it went. Amounts in base units.

    What came in is always staked, at risk, a bond, a credit, or withdrawn: nothing of it is a levy,
    so the reserve (R16) never sees it.
    """

    def __init__(self, journal: Journal, registry: RegistryBook, usage: UsageBook) -> None:
        """Challenges concern records of ``registry``; their money moves in ``usage``."""
        super().__init__(journal)
        self.registry = registry
        self.usage = usage
        self.open: dict[bytes, OpenChallenge] = {}
        self.closed: set[bytes] = set()  # records whose challenges are over
        self.stakes: dict[int, int] = defaultdict(int)
        self.credits: dict[str, int] = defaultdict(int)
        self.parameters = dict.fromkeys(_PARAMETERS.values(), 0)
        self.paused = False

    @property
    def held(self) -> int:
        """All that the contract must hold."""
        bonds = sum(found.bond + found.at_risk for found in self.open.values())
        return bonds + sum(self.stakes.values()) + sum(self.credits.values())

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        return {
            "open": {
                hexed(record): {
                    "challenger": found.challenger,
                    "attester": found.attester,
                    "dvi": found.scores["dvi"],
                    "bond": str(found.bond),
                    "at_risk": str(found.at_risk),
                    "deadline": found.deadline,
                }
                for record, found in sorted(self.open.items())
            },
            "stakes": {str(k): str(v) for k, v in sorted(self.stakes.items()) if v},
            "credits": amounts(self.credits),
            "bond": str(self.parameters["bond"]),
            "window": self.parameters["window"],
            "paused": self.paused,
        }

    def _opened(self, event: Event) -> None:
        args, journal = event.args, self.journal
        record, challenger, attester = args["record"], args["challenger"], args["attester"]
        name = f"the challenge of record {hexed(record)}"
        found = self.registry.records.get(record)
        expected = found.facts.attester if found else 0
        journal.expect(7, "R7", f"the attester in {name}", expected, attester)
        journal.require(
            attester != 0
            and attester != self.registry.numbers.get(challenger, 0)
            and record not in self.open
            and any(args["evidence"])
            and not self.paused,
            7,
            "R7",
            f"{name} is of nothing, by its attester, a second one, without evidence, or while paused",
        )
        bond = self.parameters["bond"]
        at_risk = min(self.stakes[attester], bond)
        deadline = journal.now + self.parameters["window"]
        journal.expect(
            6,
            "R7",
            f"bond, stake at risk and deadline of {name}",
            (bond, at_risk, deadline),
            (args["bond"], args["atRisk"], args["deadline"]),
        )
        claim = args["claim"]
        journal.require(
            not any(v if isinstance(v, int) else any(v) for v in claim.values())
            or self.registry.in_range(claim),
            7,
            "R7",
            f"a score claimed in {name} is out of range",
        )
        self.stakes[attester] -= at_risk
        self.open[record] = OpenChallenge(challenger, attester, claim, bond, at_risk, deadline)
        self._in(challenger, bond, "the bond of a challenge")

    def _resolved(self, event: Event) -> None:
        record, upheld = event.args["record"], event.args["upheld"]
        found = self._close(record, "decided")
        if found is None:
            return
        self.journal.require(
            self.journal.before(found.deadline + 1) and any(event.args["reason"]),
            7,
            "R7",
            f"the challenge of record {hexed(record)} was decided late, or without a reason",
        )
        if upheld:
            self.credits[found.challenger] += found.bond + found.at_risk
            self.registry.must_revise(record, found.scores)
            if found.at_risk < found.bond:
                self.registry.must_disqualify(found.attester)
        else:
            self.stakes[found.attester] += found.bond + found.at_risk

    def _lapsed(self, event: Event) -> None:
        record = event.args["record"]
        found = self._close(record, "closed")
        if found is None:
            return
        self.journal.require(
            not self.journal.before(found.deadline + 1),
            7,
            "R7",
            f"the challenge of record {hexed(record)} was closed before its deadline",
        )
        self.credits[found.challenger] += found.bond
        self.stakes[found.attester] += found.at_risk

    def _close(self, record: bytes, how: str) -> OpenChallenge | None:
        found = self.open.pop(record, None)
        self.journal.require(
            found is not None,
            6,
            "R7",
            f"no challenge of record {hexed(record)} was open to be {how}",
        )
        self.closed.add(record)
        return found

    def _staked(self, event: Event) -> None:
        args, journal = event.args, self.journal
        attester, account, current = args["attester"], args["account"], args["current"]
        before = self.stakes[attester]
        journal.expect(6, "R7", f"stake of {attester} as it was", before, args["previous"])
        journal.expect(
            7,
            "R7",
            f"whose stake {account} changed",
            self.registry.numbers.get(account, 0),
            attester,
        )
        journal.require(
            current != before and attester != 0 and not (current > before and self.paused),
            7,
            "R7",
            f"the stake of {attester} did not change, or grew while paused",
        )
        self.stakes[attester] = current
        if current > before:
            self._in(account, current - before, "a stake")
        elif current < before:
            self._out(account, before - current, "a stake taken back")

    def _withdrawn(self, event: Event) -> None:
        account, amount = event.args["account"], event.args["amount"]
        due = self.credits[account]
        self.journal.expect(6, "R7", f"what challenges returned to {account}", due, amount)
        self.credits[account] = 0
        self._out(account, due, "what challenges returned")

    def _in(self, account: str, amount: int, what: str) -> None:
        self.usage.announce(Announced(account, self.usage.disputes, amount, 6, "R7", what))

    def _out(self, account: str, amount: int, what: str) -> None:
        self.usage.announce(Announced(self.usage.disputes, account, amount, 6, "R7", what))

    def _pause(self, event: Event) -> None:
        self.paused = event.args["paused"]

    def _parameter(self, event: Event) -> None:
        name = _PARAMETERS.get(event.args["name"])
        if name is None:
            self.journal.require(False, 7, "R7", "the disputes changed an unknown parameter")
            return
        current = event.args["current"]
        self.journal.expect(
            7, "R7", f"{name} as it was", self.parameters[name], event.args["previous"]
        )
        self.journal.require(
            rules.within(current, _BOUNDS[name]), 7, "R7", f"{name} of challenges is out of bounds"
        )
        self.parameters[name] = current

    handlers: ClassVar[Mapping[str, Handler]] = {
        "ChallengeOpened": _opened,
        "ChallengeResolved": _resolved,
        "ChallengeLapsed": _lapsed,
        "StakeChanged": _staked,
        "CreditWithdrawn": _withdrawn,
        "PauseChanged": _pause,
        "ParameterChanged": _parameter,
    }

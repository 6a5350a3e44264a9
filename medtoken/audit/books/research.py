"""Research tokens (R4): minted for verified outcomes, burned for a share of a licence's price.

For every RT burned, as much DUT of the reserve's budget is set aside; it goes to the licensee as its
licence is earned, and back to the reserve, with the RT to the licensee, where it never is. So at any
time RT burned less RT returned is what the budget has spent, and the desk's deposit is what it still
holds for licences that run.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from eth_abi import encode

from medtoken._keccak import keccak
from medtoken.audit import rules
from medtoken.audit.books.base import ZERO_ADDRESS, Book, Handler, amounts, hexed
from medtoken.audit.books.desks import Move, Till
from medtoken.audit.books.market import Licence, MarketBook
from medtoken.audit.books.treasury import TreasuryBook
from medtoken.audit.journal import Event, Journal
from medtoken.chain.words import GRAIN, SupportWord

_OUTCOME = ("bytes32", "address", "uint256", "bytes32")
KINDS = (1, 2, 3)  # model accuracy, publication, approved product


@dataclass
class ChargingTill(Till):
    """The till of a desk that takes a price first and says what for in the same transaction.

    It also deposits money of its own, and takes it back out.
    """

    _charged: deque[Move] = field(default_factory=deque)
    _own: deque[int] = field(default_factory=deque)  # to put in, or where negative to take out

    def moved(self, source: str, target: str, amount: int) -> None:
        """What a licensee pays waits for its reason; everything else was announced."""
        if source == self.desk:
            super().moved(source, target, amount)
        else:
            self._charged.append((source, target, amount))

    def charged(self) -> Move | None:
        """The oldest payment that has no reason yet."""
        return self._charged.popleft() if self._charged else None

    def announce_own(self, amount: int) -> None:
        """Say that the desk puts this in next, or takes it out where it is negative."""
        self._own.append(amount)

    def deposited(self, payer: str, amount: int) -> None:
        """The desk's own deposits were announced; others' are gifts."""
        if payer == self.desk:
            self._matched(amount)
        else:
            super().deposited(payer, amount)

    def reclaimed(self, amount: int) -> None:
        """What the desk takes out was announced."""
        self._matched(-amount)

    def _matched(self, amount: int) -> None:
        due = self._own.popleft() if self._own else None
        text = f"what the desk {self.desk} deposits for itself, or takes out where negative"
        self.journal.expect(6, "R4", text, due, amount)

    def end_transaction(self) -> None:
        """Nobody was charged without a reason, and what was to be put in or taken out was."""
        for due in self._own:
            self.journal.require(
                False, 6, "R4", f"the desk {self.desk} never deposited {due}, as it said"
            )
        self._own.clear()
        for source, _, amount in self._charged:
            self.journal.require(
                False, 6, "R12", f"the desk {self.desk} took {amount} from {source}: no reason"
            )
        self._charged.clear()
        super().end_transaction()


class ResearchTokenBook(Book):
    """Every RT: it appears by a verified outcome, never moves, and burns when it is spent."""

    def __init__(self, journal: Journal, desk: str) -> None:
        """``desk`` is the only address that may be bound to mint and burn."""
        super().__init__(journal)
        self._expected = desk
        self.desk = ZERO_ADDRESS
        self.authority = ZERO_ADDRESS
        self.balances: dict[str, int] = defaultdict(int)
        self.minted = 0
        self.burned = 0
        self._announced: deque[tuple[str, str, int]] = deque()

    @property
    def supply(self) -> int:
        """Minted less burned."""
        return self.minted - self.burned

    def announce(self, sender: str, to: str, amount: int) -> None:
        """Say that this mint or burn must be the next."""
        self._announced.append((sender, to, amount))

    def end_transaction(self) -> None:
        """What was earned must have been minted, and what was spent burned."""
        for sender, to, amount in self._announced:
            self.journal.require(
                False, 7, "R4", f"{amount} RT never went from {sender} to {to}, as the desk said"
            )
        self._announced.clear()

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        return {
            "minted": str(self.minted),
            "burned": str(self.burned),
            "total": str(self.supply),
            "desk": self.desk,
            "balances": amounts(self.balances),
        }

    def _transfer(self, event: Event) -> None:
        sender, to, amount = (event.args[k] for k in ("from", "to", "value"))
        due = self._announced.popleft() if self._announced else None
        text = "sender, receiver and amount of a move of RT, by the desk's word"
        self.journal.expect(7, "R4", text, due, (sender, to, amount))
        if sender == ZERO_ADDRESS:
            self.minted += amount
        else:
            self.balances[sender] -= amount
            self.journal.require(
                self.balances[sender] >= 0, 7, "R4", f"{sender} spent more RT than it held"
            )
        if to == ZERO_ADDRESS:
            self.burned += amount
        else:
            self.balances[to] += amount

    def _bound(self, event: Event) -> None:
        self.journal.expect(7, "R4", "the desk of RT bound before", ZERO_ADDRESS, self.desk)
        self.desk = event.args["desk"]
        self.journal.expect(7, "R4", "the desk of RT", self._expected, self.desk)

    def _authority(self, event: Event) -> None:
        self.authority = event.args["authority"]

    handlers: ClassVar[Mapping[str, Handler]] = {
        "Transfer": _transfer,
        "DeskBound": _bound,
        "AuthorityUpdated": _authority,
    }
    silent = frozenset({"Approval"})


class ResearchBook(Book):
    """Outcomes and who verified them; what of licences the budget pays.

    That the seats held their role is the access book's to tell; this one counts them.
    """

    def __init__(
        self,
        journal: Journal,
        tokens: ResearchTokenBook,
        market: MarketBook,
        treasury: TreasuryBook,
        till: ChargingTill,
    ) -> None:
        """RT moves in ``tokens``, licences are in ``market``, the budget in ``treasury``."""
        super().__init__(journal)
        self.tokens = tokens
        self.market = market
        self.treasury = treasury
        self.till = till
        self.seats = 0
        self.share = 0
        self.rewards: dict[int, int] = dict.fromkeys(KINDS, 0)
        self.votes: dict[bytes, list[str]] = defaultdict(list)  # outcome → seats, in their order
        self.outcomes: dict[bytes, dict[str, Any]] = {}
        self.rewarded: dict[bytes, bytes] = {}  # evidence → outcome
        self.supports: dict[bytes, SupportWord] = {}
        self._due: deque[bytes] = deque()  # outcomes whose last vote was told, whose reward was not

    @property
    def held(self) -> int:
        """Base units that lie beside licences which run."""
        return GRAIN * sum(s.amount - s.released for s in self.supports.values() if not s.done)

    @property
    def released(self) -> int:
        """Base units that licences have earned of their support."""
        return GRAIN * sum(s.released for s in self.supports.values())

    def end_transaction(self) -> None:
        """What was verified by enough seats must have been rewarded, and what was charged explained."""
        for outcome in self._due:
            self.journal.require(
                False, 7, "R4", f"outcome {hexed(outcome)} was verified and never rewarded"
            )
        self._due.clear()
        self.till.end_transaction()

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        return {
            "seats": self.seats,
            "share": self.share,
            "rewards": {str(kind): str(amount) for kind, amount in self.rewards.items()},
            "held": str(self.held),
            "released": str(self.released),
            "outcomes": {
                hexed(outcome): {
                    "licence": hexed(given["licence"]),
                    "licensee": given["licensee"],
                    "kind": given["kind"],
                    "evidence": hexed(given["evidence"]),
                    "verified_by": self.votes[outcome],
                    "rewarded": self.rewarded.get(given["evidence"]) == outcome,
                }
                for outcome, given in sorted(self.outcomes.items())
            },
            "supports": {
                hexed(licence): {
                    "amount": str(word.amount * GRAIN),
                    "released": str(word.released * GRAIN),
                    "done": word.done,
                }
                for licence, word in sorted(self.supports.items())
            },
        }

    # -------------------------------------------------------------- outcomes

    def _verified(self, event: Event) -> None:
        args, given, journal = event.args, event.args["given"], self.journal
        outcome, seat = args["outcome"], args["seat"]
        name = f"outcome {hexed(outcome)}"
        journal.expect(7, "R4", f"id of {name}", outcome_id(given), outcome)
        found = self.market.licences.get(given["licence"])
        for holds, what in (
            (given["kind"] in KINDS, "is of an unknown kind"),
            (any(given["evidence"]), "names no evidence"),
            (
                found is not None and found.ref.licensee == given["licensee"],
                "rests on a licence that is not the licensee's",
            ),
            (seat != given["licensee"], "was verified by the licensee itself"),
            (seat not in self.votes[outcome], "was verified twice by one seat"),
            (
                given["evidence"] not in self.rewarded,
                "was verified after its evidence was rewarded",
            ),
        ):
            journal.require(holds, 7, "R4", f"{name} {what}")
        self.outcomes[outcome] = dict(given)
        self.votes[outcome].append(seat)
        journal.expect(7, "R4", f"votes for {name}", len(self.votes[outcome]), args["votes"])
        if len(self.votes[outcome]) >= self.seats:
            self._due.append(outcome)

    def _rewarded(self, event: Event) -> None:
        args, journal = event.args, self.journal
        outcome = self._due.popleft() if self._due else None
        name = f"the reward of outcome {hexed(args['outcome'])}"
        journal.expect(7, "R4", f"{name}, as it was verified", outcome, args["outcome"])
        given = self.outcomes.get(args["outcome"])
        if given is None:
            return
        amount = self.rewards.get(given["kind"], 0)
        expected = (given["licensee"], amount)
        journal.expect(7, "R4", name, expected, (args["licensee"], args["amount"]))
        self.rewarded[given["evidence"]] = args["outcome"]
        self.tokens.announce(ZERO_ADDRESS, args["licensee"], amount)

    # -------------------------------------------------------------- licences

    def _supported(self, event: Event) -> None:
        args, journal = event.args, self.journal
        licence, licensee, amount = (args[k] for k in ("licence", "licensee", "amount"))
        name = f"support of licence {hexed(licence)}"
        journal.require(
            self.till.claim(licence) and licence not in self.supports,
            4,
            "R4",
            f"the {name} is for one that was not bought with it",
        )
        sold = self.market.licences.get(licence)
        charged = self.till.charged()
        if sold is None:
            return  # its claim was told already
        journal.expect(
            2,
            "R4",
            f"who paid how much of the {name}",
            (sold.ref.licensee, self.till.desk, sold.paid + sold.levy),
            charged,
        )
        journal.expect(4, "R4", f"licensee of the {name}", sold.ref.licensee, licensee)
        self._priced(name, sold)
        journal.require(
            0 < amount <= sold.paid * self.share // rules.BPS and amount % GRAIN == 0,
            3,
            "R4",
            f"the {name} is of {amount}: more than RT's share of {sold.paid}, uneven or nothing",
        )
        units = sold.word.units if sold.word.metered else 0
        self.supports[licence] = SupportWord(amount=amount // GRAIN, units=units)
        self.tokens.announce(licensee, ZERO_ADDRESS, amount)
        self.treasury.expect(self.till.desk, amount)
        self.till.announce_own(amount)

    def _priced(self, name: str, sold: Licence) -> None:
        """Whether the licence cost the tariff's price, as one bought at the market does."""
        unit, _ = self.market.unit_price(sold)
        units = sold.word.units
        if not sold.word.metered:
            units = rules.started_years(sold.word.end - sold.word.start)
        self.journal.expect(2, "R13", f"price with the {name}", unit * units, sold.paid)

    def _released(self, event: Event) -> None:
        args, journal = event.args, self.journal
        licence, licensee = args["licence"], args["licensee"]
        name = f"release for licence {hexed(licence)}"
        support, sold = self.supports.get(licence), self.market.licences.get(licence)
        if support is None or support.done or sold is None:
            journal.require(False, 6, "R4", f"the {name} is of no support, or of one that is done")
            return
        earned = support.earned(sold.word)
        freed, rest = earned - support.released, 0
        if sold.word.closed:
            rest = support.amount - earned
        else:
            journal.require(freed > 0, 6, "R4", f"the {name} is of nothing")
        journal.expect(
            6,
            "R4",
            f"licensee, amount and rest of the {name}",
            (sold.ref.licensee, freed * GRAIN, rest * GRAIN),
            (licensee, args["amount"], args["returned"]),
        )
        self.supports[licence] = replace(support, released=earned, done=sold.word.closed)
        if freed:
            self.till.announce(self.till.desk, sold.ref.licensee, freed * GRAIN)
        if rest:
            self.till.announce_own(-rest * GRAIN)
            self.treasury.expect(self.till.desk, -rest * GRAIN)
            self.tokens.announce(ZERO_ADDRESS, sold.ref.licensee, rest * GRAIN)

    # -------------------------------------------------------------- rules

    def _seats(self, event: Event) -> None:
        self.seats = self._rule(event, "seats", self.seats)

    def _share(self, event: Event) -> None:
        self.share = self._rule(event, "share", self.share)

    def _reward(self, event: Event) -> None:
        kind = event.args["kind"]
        self.rewards[kind] = self._rule(event, "reward", self.rewards.get(kind, 0))
        self.journal.require(
            kind in KINDS and event.args["current"] % GRAIN == 0,
            7,
            "R4",
            f"the reward of kind {kind} is uneven, or of no outcome",
        )

    def _rule(self, event: Event, name: str, before: int) -> int:
        previous, current = event.args["previous"], event.args["current"]
        self.journal.expect(7, "R4", f"{name} of research as it was", before, previous)
        self.journal.require(
            rules.within(current, rules.RESEARCH[name]),
            7,
            "R4",
            f"the {name} of research is out of bounds",
        )
        return int(current)

    handlers: ClassVar[Mapping[str, Handler]] = {
        "OutcomeVerified": _verified,
        "OutcomeRewarded": _rewarded,
        "LicenceSupported": _supported,
        "SupportReleased": _released,
        "SeatsChanged": _seats,
        "ShareChanged": _share,
        "RewardChanged": _reward,
    }


def outcome_id(given: Mapping[str, Any]) -> bytes:
    """The id of the outcome with these fields."""
    return keccak(encode(_OUTCOME, list(given.values())))

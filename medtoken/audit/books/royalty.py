"""The royalty vault (R18–R20): studies, what came in for them, who was credited, escrowed options.

Who belongs to a study with which weight is a Merkle root here: that a roster follows from the chain's
events by R18 needs its manifest, and ``medtoken royalty check`` holds one against the other. What
the vault does with a roster once it is sealed is recomputed here, to the base unit.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from medtoken._keccak import keccak
from medtoken.audit import rules
from medtoken.audit.books.base import Book, Handler, hexed
from medtoken.audit.books.market import MarketBook
from medtoken.audit.books.registry import RegistryBook
from medtoken.audit.books.usage import FROZEN, Announced, UsageBook
from medtoken.audit.journal import Event, Journal
from medtoken.chain.contracts import option_id, study_id
from medtoken.chain.words import (
    GRAIN,
    BooksWord,
    EarningsWord,
    MemberWord,
    OptionWord,
    PeriodWord,
    RoyaltySettings,
    SharesWord,
    StudyWord,
)
from medtoken.vocabulary import Capability

GRANTED, VESTED, RETURNED = 1, 2, 3
_OPTION_STATES = {GRANTED: "granted", VESTED: "vested", RETURNED: "returned"}
_PARAMETERS = {keccak(text=name): name for name in ("rate", "window", "levy")}


@dataclass
class Study:
    """A study: its roster in numbers, its money, its members so far. Amounts in base units."""

    word: StudyWord
    root: bytes
    shares: SharesWord
    books: BooksWord = field(default_factory=BooksWord)
    members: dict[str, MemberWord] = field(default_factory=dict)
    periods: dict[int, PeriodWord] = field(default_factory=dict)
    joined: int = 0  # weight of those who joined


@dataclass
class Totals:
    """All that ever happened to the vault's money, base units."""

    paid: int = 0
    paid_levy: int = 0
    granted: int = 0  # escrowed for options, with the levy
    vested: int = 0
    vested_levy: int = 0
    returned: int = 0  # with the levy
    claimed: int = 0
    handed_over: int = 0
    withdrawn: int = 0


class RoyaltyBook(Book):
    """Every study, option and balance of the vault."""

    def __init__(
        self,
        journal: Journal,
        vault: str,
        usage: UsageBook,
        registry: RegistryBook,
        market: MarketBook,
    ) -> None:
        """``vault`` moves DUT; custodians seal its rosters, and its levy is the market's."""
        super().__init__(journal)
        self.vault = vault
        self.usage = usage
        self.registry = registry
        self.market = market
        self.settings = RoyaltySettings(0, 0, 0)
        self.studies: dict[bytes, Study] = {}
        self.cancelled: set[bytes] = set()
        self.options: dict[bytes, OptionWord] = {}
        self.balances: dict[str, EarningsWord] = defaultdict(EarningsWord)
        self.totals = Totals()
        self._levies = 0  # told as handed over in this transaction
        self._joined: deque[tuple[bytes, str, int]] = deque()  # study, account, amount to be told

    # what the vault holds for whom, base units

    @property
    def unclaimed(self) -> int:
        """In the pots, and not yet credited to a member."""
        return sum(s.books.pot - s.shares.claimed for s in self.studies.values())

    @property
    def levies(self) -> int:
        """Taken, and not yet handed to the treasury."""
        return sum(s.books.levy for s in self.studies.values())

    @property
    def escrow(self) -> int:
        """Of options that are neither vested nor returned, with the levy."""
        return sum(o.amount + o.levy for o in self.options.values() if o.state == GRANTED)

    @property
    def credited(self) -> int:
        """Credited to accounts, and not yet withdrawn."""
        return sum(word.earned for word in self.balances.values())

    def take_levy(self) -> int:
        """The levy that the vault said it hands over in the transaction at hand."""
        amount, self._levies = self._levies, 0
        return amount

    def end_transaction(self) -> None:
        """What was handed over must have arrived, and whoever joined must have been credited."""
        self.journal.require(
            self._levies == 0, 2, "R15", f"a levy of {self._levies} never reached the treasury"
        )
        for study, account, amount in self._joined:
            self.journal.require(
                False,
                2,
                "R19",
                f"{account} joined study {hexed(study)} and was not credited with {amount}",
            )
        self._levies = 0
        self._joined.clear()

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        return {
            "rate": self.settings.rate,
            "challenge_window": self.settings.window,
            "levy": self.settings.levy,
            "paused": self.settings.paused,
            "studies": {
                hexed(key): {
                    "payer": s.word.payer,
                    "root": hexed(s.root),
                    "rate": s.word.rate,
                    "opens": s.word.opens,
                    "undertaken": s.word.undertaken,
                    "lines": s.shares.count,
                    "joined": len(s.members),
                    "total_weight": str(s.shares.total),
                    "pot": str(s.books.pot),
                    "due": str(s.books.due),
                    "claimed": str(s.shares.claimed),
                    "levy_waiting": str(s.books.levy),
                }
                for key, s in sorted(self.studies.items())
            },
            "options": {
                hexed(key): {
                    "amount": str(o.amount),
                    "levy": str(o.levy),
                    "expiry": o.expiry,
                    "state": _OPTION_STATES.get(o.state, str(o.state)),
                }
                for key, o in sorted(self.options.items())
            },
            "balances": {
                account: str(word.earned) for account, word in sorted(self.balances.items())
            },
            "paid": str(self.totals.paid),
            "claimed": str(self.totals.claimed),
            "escrow": str(self.escrow),
        }

    # ------------------------------------------------------------------ rosters

    def _sealed(self, event: Event) -> None:
        args = event.args
        study, name = args["study"], f"study {hexed(args['study'])}"
        self._same(f"id of {name}", study_id(args["payer"], args["number"]), study)
        self._rule("R19", study not in self.studies, f"{name} was sealed twice")
        sealer = self.registry.institutions.get(args["sealer"])
        self._rule(
            "R19",
            sealer is not None and bool(sealer.capabilities & Capability.CUSTODIAN),
            f"{name} was sealed by institution {args['sealer']}, which is no custodian",
        )
        self._rule(
            "R19",
            any(args["root"]) and any(args["manifest"]) and 0 < args["count"] <= args["total"],
            f"{name} was sealed without roster, manifest or weights",
        )
        expected = (self.settings.rate, self.journal.now + self.settings.window)
        self._same(f"rate and opening of {name}", expected, (args["rate"], args["opens"]))
        self.studies[study] = Study(
            StudyWord(args["payer"], args["opens"], args["rate"]),
            args["root"],
            SharesWord(args["total"], 0, args["count"]),
        )
        self.cancelled.discard(study)

    def _cancelled(self, event: Event) -> None:
        study = event.args["study"]
        found = self._study(study)
        if found is not None:
            self._rule(
                "R19",
                self.journal.before(found.word.opens),
                f"study {hexed(study)} was cancelled after it opened",
            )
            del self.studies[study]
            self.cancelled.add(study)

    def _undertaken(self, event: Event) -> None:
        study = event.args["study"]
        found = self._study(study)
        if found is not None:
            expected = (found.word.payer, False)
            told = (event.args["payer"], found.word.undertaken)
            self._same(f"who undertakes study {hexed(study)}, and whether before", expected, told)
            found.word = replace(found.word, undertaken=True)

    # ------------------------------------------------------------------ royalties

    def _attested(self, event: Event) -> None:
        args = event.args
        name = f"study {hexed(args['study'])}"
        found = self._open(args["study"])
        if found is None:
            return
        self._rule(
            "R19",
            found.word.undertaken
            and args["attester"] != found.word.payer
            and any(args["evidence"]),
            f"sales of {name} were attested without undertaking or evidence, or by its payer",
        )
        last = found.books.period
        self._rule("R19", args["period"] > last, f"period {args['period']} of {name} out of order")
        royalty = rules.royalty(args["sales"], found.word.rate)
        self._money("R19", f"the royalty of {name}", royalty, args["royalty"])
        mark = found.periods.get(last, PeriodWord()).mark + royalty
        found.periods[args["period"]] = PeriodWord(mark, args["sales"], True)
        found.books = replace(found.books, due=found.books.due + royalty, period=args["period"])

    def _waived(self, event: Event) -> None:
        found = self._study(event.args["study"])
        if found is not None:
            self._owe_less(found, event.args["study"], event.args["amount"])

    def _paid(self, event: Event) -> None:
        study, amount = event.args["study"], event.args["amount"]
        found = self._open(study)
        if found is None:
            return
        self._running()
        self._owe_less(found, study, amount)
        levy = self._levy_on(f"royalty of study {hexed(study)}", amount, event.args["levy"])
        self._bring(found, amount, levy)
        self.totals.paid += amount
        self.totals.paid_levy += levy
        self._pulled(found.word.payer, amount + levy, "R19", "a royalty")

    def _handed_over(self, event: Event) -> None:
        study = event.args["study"]
        found = self._study(study)
        if found is not None:
            name = f"levy waiting in study {hexed(study)}"
            self._money("R15", name, found.books.levy, event.args["amount"])
            self._levies += found.books.levy
            self.totals.handed_over += found.books.levy
            found.books = replace(found.books, levy=0)

    # ------------------------------------------------------------------ claims

    def _member_joined(self, event: Event) -> None:
        args = event.args
        account, weight, name = args["account"], args["weight"], f"study {hexed(args['study'])}"
        found = self._open(args["study"])
        if found is None:
            return
        self._rule("R19", account not in found.members, f"{account} joined {name} twice")
        found.joined += weight
        self._rule(
            "R19",
            weight > 0 and found.joined <= found.shares.total,
            f"members of {name} weigh nothing, or more than its total",
        )
        self._rule("R19", args["index"] < found.shares.count, f"{account} is on no line of {name}")
        found.members[account] = MemberWord(weight, found.books.pot)
        amount = rules.royalty_share(found.books.pot, weight, found.shares.total)
        if amount:
            self._joined.append((args["study"], account, amount))

    def _claimed(self, event: Event) -> None:
        study, account, told = (event.args[k] for k in ("study", "account", "amount"))
        found = self._study(study)
        if found is None:
            return
        name = f"{account}'s part of study {hexed(study)}"
        if self._joined:
            due = self._joined.popleft()
            self._money("R19", name, due, (study, account, told))
            amount = due[2]
        else:
            word = found.members.get(account, MemberWord())
            pot, total = found.books.pot, found.shares.total
            amount = rules.royalty_share(pot, word.weight, total)
            amount -= rules.royalty_share(word.mark, word.weight, total)
            self._money("R19", name, amount, told)
            self._rule("R19", amount > 0, f"{account} was credited by study {hexed(study)} in vain")
            found.members[account] = replace(word, mark=pot)
        claimed = found.shares.claimed + amount
        self.journal.require(
            claimed <= found.books.pot,
            6,
            "R19",
            f"members of study {hexed(study)} took more than its pot",
        )
        found.shares = replace(found.shares, claimed=claimed)
        self.totals.claimed += amount
        self._credit(account, amount)

    def _withdrawn(self, event: Event) -> None:
        account, to, amount = (event.args[k] for k in ("account", "to", "amount"))
        word = self.balances[account]
        self.journal.require(
            0 < amount <= word.earned,
            6,
            "R19",
            f"{account} withdrew more than it was credited with",
        )
        self._rule(
            "R2",
            not self.usage.standings.get(account, 0) & FROZEN,
            f"{account} withdrew from the royalty vault while it was frozen",
        )
        self.balances[account] = EarningsWord(word.earned - amount, word.nonce + 1)
        self.totals.withdrawn += amount
        self.usage.paid_out(Announced(self.vault, to, amount, 6, "R19", "a withdrawal"))

    # ------------------------------------------------------------------ milestone options

    def _granted(self, event: Event) -> None:
        args = event.args
        key, amount = _option_of(args), args["amount"]
        self._running()
        if self._open(args["study"]) is None:
            return
        self._rule("R20", key not in self.options, f"option {hexed(key)} was granted twice")
        self._rule(
            "R20",
            amount > 0
            and amount % GRAIN == 0
            and any(args["milestone"])
            and self.journal.before(args["expiry"])
            and not self.journal.before(args["expiry"] - rules.OPTION_TERM),
            f"option {hexed(key)} was granted for nothing, or expires at once or never",
        )
        levy = self._levy_on(f"option {hexed(key)}", amount, args["levy"])
        self.options[key] = OptionWord(amount, levy, args["expiry"], GRANTED)
        self.totals.granted += amount + levy
        self._pulled(args["funder"], amount + levy, "R20", "the escrow of an option")

    def _vested(self, event: Event) -> None:
        args = event.args
        key = _option_of(args)
        found, word = self._study(args["study"]), self._settled(key)
        if found is None or word is None:
            return
        self._money("R20", f"option {hexed(key)}", word[:2], (args["amount"], args["levy"]))
        amount, levy, expiry = word
        self._rule(
            "R20",
            self.journal.before(expiry)
            and args["attester"] != args["funder"]
            and any(args["evidence"]),
            f"option {hexed(key)} vested too late, without evidence, or by its own funder",
        )
        self.options[key] = replace(self.options[key], state=VESTED)
        self._bring(found, amount, levy)
        self.totals.vested += amount
        self.totals.vested_levy += levy

    def _returned(self, event: Event) -> None:
        args = event.args
        key = _option_of(args)
        word = self._settled(key)
        if word is None:
            return
        amount, levy, expiry = word
        self._money("R20", f"what option {hexed(key)} returns", amount + levy, args["amount"])
        self._rule(
            "R20",
            not self.journal.before(expiry),
            f"option {hexed(key)} went back before it expired",
        )
        self.options[key] = replace(self.options[key], state=RETURNED)
        self.totals.returned += amount + levy
        self._credit(args["funder"], amount + levy)

    # ------------------------------------------------------------------ parameters

    def _parameter(self, event: Event) -> None:
        name, current = _PARAMETERS.get(event.args["name"]), event.args["current"]
        if name is None:
            self._rule("R19", False, "the royalty vault changed an unknown parameter")
            return
        text = f"the {name} of royalties that was"
        self._same(text, getattr(self.settings, name), event.args["previous"])
        if name == "levy":
            self._same("the levy of royalties", self.market.rates.levy, current)
        else:
            within = rules.within(current, rules.ROYALTY[name])
            self._rule("R19", within, f"the {name} of royalties is out of bounds")
        self.settings = replace(self.settings, **{name: current})

    def _pause(self, event: Event) -> None:
        self.settings = replace(self.settings, paused=event.args["paused"])

    # ------------------------------------------------------------------ shared

    def _study(self, study: bytes) -> Study | None:
        found = self.studies.get(study)
        self._rule("R19", found is not None, f"study {hexed(study)} is not sealed")
        return found

    def _open(self, study: bytes) -> Study | None:
        found = self._study(study)
        if found is not None:
            self._rule(
                "R19",
                not self.journal.before(found.word.opens),
                f"study {hexed(study)} was used before it opened",
            )
        return found

    def _settled(self, option: bytes) -> tuple[int, int, int] | None:
        """Amount, levy and expiry of an option that is being settled."""
        word = self.options.get(option, OptionWord())
        fresh = word.state == GRANTED
        self._rule("R20", fresh, f"option {hexed(option)} is unknown, or was settled before")
        return (word.amount, word.levy, word.expiry) if fresh else None

    def _running(self) -> None:
        text = "money came into the royalty vault while it was paused"
        self._rule("R29", not self.settings.paused, text)

    def _owe_less(self, found: Study, study: bytes, amount: int) -> None:
        name = f"study {hexed(study)}"
        due = found.books.due - amount
        self.journal.require(
            amount > 0 and amount % GRAIN == 0 and due >= 0,
            2,
            "R19",
            f"nothing, or more than is due, was paid or waived in {name}",
        )
        found.books = replace(found.books, due=max(due, 0))

    def _levy_on(self, what: str, amount: int, told: int) -> int:
        levy = amount * self.settings.levy // rules.BPS
        self._money("R15", f"the levy on the {what}", levy, told)
        return levy

    def _bring(self, found: Study, amount: int, levy: int) -> None:
        books = found.books
        found.books = replace(books, pot=books.pot + amount, levy=books.levy + levy)

    def _credit(self, account: str, amount: int) -> None:
        word = self.balances[account]
        self.balances[account] = replace(word, earned=word.earned + amount)

    def _pulled(self, payer: str, amount: int, rule: str, what: str) -> None:
        self.usage.announce(Announced(payer, self.vault, amount, 2, rule, what))

    def _rule(self, rule: str, condition: bool, text: str) -> None:
        self.journal.require(condition, 7, rule, text)

    def _same(self, text: str, expected: Any, actual: Any) -> None:
        self.journal.expect(7, "R19", text, expected, actual)

    def _money(self, rule: str, text: str, expected: Any, actual: Any) -> None:
        self.journal.expect(2, rule, text, expected, actual)

    handlers: ClassVar[Mapping[str, Handler]] = {
        "StudySealed": _sealed,
        "StudyCancelled": _cancelled,
        "StudyUndertaken": _undertaken,
        "SalesAttested": _attested,
        "RoyaltyWaived": _waived,
        "RoyaltyPaid": _paid,
        "MemberJoined": _member_joined,
        "RoyaltyClaimed": _claimed,
        "LevyHandedOver": _handed_over,
        "OptionGranted": _granted,
        "OptionVested": _vested,
        "OptionReturned": _returned,
        "Withdrawn": _withdrawn,
        "ParameterChanged": _parameter,
        "PauseChanged": _pause,
    }
    silent = frozenset({"EIP712DomainChanged"})


def _option_of(args: Mapping[str, Any]) -> bytes:
    return option_id(args["study"], args["funder"], args["milestone"])

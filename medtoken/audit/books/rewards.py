"""Rewards (R25–R27): whose points come from what, boards, badges, donations, vouchers, outcomes.

Every point is recomputed from the books of the contract that it is about: records and their quality,
licences and what they settled. Feedback and adopted ideas come from a role; signatures of both
sides of a referral are not in the logs.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from medtoken._keccak import keccak
from medtoken.audit import rules
from medtoken.audit.books.base import ZERO_ADDRESS, Book, Handler, hexed
from medtoken.audit.books.contribution import ContributionBook
from medtoken.audit.books.market import MarketBook
from medtoken.audit.books.registry import RegistryBook
from medtoken.audit.books.usage import Announced, UsageBook
from medtoken.audit.journal import Event, Journal
from medtoken.chain.words import CreditWord, LicenceWord, LicenseeWord

RECORD, USE, STREAK, FEEDBACK, REFERRAL, IDEA = range(1, 7)
_PARAMETERS = {keccak(text=name): name for name in ("donation", "least", "threshold")}
_NO_SERVICE = {"provider": ZERO_ADDRESS, "token": 0, "price": 0, "points": 0}
_PATIENTS = 2  # boards below are patients', from it on institutions'

Board = tuple[int, int]  # board and period


@dataclass(frozen=True)
class Redeemed:
    """A voucher: for whom, for which service, and whether it was served."""

    account: str
    service: int
    served: bool = False

    def pack(self) -> int:
        """The word that the contract keeps."""
        return int(self.account, 16) | self.service << 160 | self.served << 255


class RewardsBook(Book):
    """Everything that rewards keep."""

    def __init__(
        self,
        journal: Journal,
        rewards: str,
        usage: UsageBook,
        registry: RegistryBook,
        market: MarketBook,
        tokens: tuple[ContributionBook, ContributionBook],
    ) -> None:
        """``rewards`` moves DUT for donations and burns DCT or GT, in this order, for services."""
        super().__init__(journal)
        self.rewards = rewards
        self.usage = usage
        self.registry = registry
        self.market = market
        self.tokens = tokens
        self.accounts: dict[str, CreditWord] = defaultdict(CreditWord)
        self.points: dict[tuple[int, int, str], int] = defaultdict(int)
        self.tops: dict[Board, list[tuple[int, str]]] = defaultdict(list)  # points, account
        self.awarded: dict[Board, int] = {}  # how many badges were told
        self.badges: dict[int, str] = {}
        self.donated: set[int] = set()
        self.beneficiaries: dict[str, bool] = {}
        self.services: dict[int, dict[str, Any]] = {}
        self.vouchers: dict[int, Redeemed] = {}
        self.outcomes: dict[bytes, list[int]] = defaultdict(list)
        self.reported: dict[int, str] = {}  # outcome → licensee
        self.parameters = dict.fromkeys(_PARAMETERS.values(), 0)
        self.budget = 0
        self.counted: set[tuple[Any, ...]] = set()
        self.gross: dict[bytes, int] = defaultdict(int)  # of a licence, base units that counted
        self.referrals: dict[tuple[str, int], int] = defaultdict(int)
        self._owed: deque[tuple[str, int, bytes, bool]] = deque()  # points that must come next
        self._given: set[Board] = set()  # awarded in the transaction at hand

    def end_transaction(self) -> None:
        """Points that follow from others must have come, and a board's badges all at once."""
        for account, source, _, _ in self._owed:
            self._rule(False, f"{account} lacks its points of source {source}")
        for board in self._given:
            self._same(f"badges of board {board}", len(self.tops[board]), self.awarded[board])
        self._owed.clear()
        self._given.clear()

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        return {
            "points": {a: word.points for a, word in sorted(self.accounts.items()) if word.points},
            "badges": {str(badge): holder for badge, holder in sorted(self.badges.items())},
            "budget": str(self.budget),
            "vouchers": {
                str(n): {"account": v.account, "service": v.service, "served": v.served}
                for n, v in sorted(self.vouchers.items())
            },
            "outcomes": {hexed(k): v for k, v in sorted(self.outcomes.items())},
        }

    # ------------------------------------------------------------------ credit

    def _earned(self, event: Event) -> None:
        args = event.args
        account, source, subject = args["account"], args["source"], args["subject"]
        month = self.journal.period(rules.MONTH)
        self._same(f"month of points of {account}", month, args["month"])
        told = (account, source, subject, args["institution"])
        if self._owed:
            self._same("whose points come next, and for what", self._owed.popleft(), told)
        else:
            self._rule(
                not args["institution"] and source != STREAK,
                f"points of {account} from source {source} came by themselves",
            )
        amount = self._due(account, source, subject, month, institution=args["institution"])
        self._same(f"points of {account} from source {source}", amount, args["points"])
        word = self.accounts[account]
        self.accounts[account] = replace(word, points=word.points + amount)
        board = _PATIENTS if args["institution"] else 0
        self.points[board, month, account] += amount
        self.points[board + 1, month // rules.MONTHS, account] += amount
        if not args["institution"] and source != STREAK:
            self._active(account, month)

    def _due(
        self, account: str, source: int, subject: bytes, month: int, *, institution: bool
    ) -> int:
        """Points that an event must tell; what it rests on is checked with the patient's."""
        if source == RECORD:
            found = self.registry.records.get(subject)
            quality = found.facts.quality if found else 0
            if not institution:
                self._record(account, subject)
            return 10 + quality // 10
        if source == USE:
            if not institution:
                self._use(account, subject, month)
            return 20
        if source == STREAK:
            return 60
        if source == REFERRAL:
            self._referral(account, subject, month)
            return 20
        # What the council attested, or a proposal decided.
        self._rule(any(subject), f"points of {account} without evidence")
        if source == FEEDBACK:
            self._once(FEEDBACK, account, month)
            return 10
        self._rule(source == IDEA, f"points of {account} from an unknown source {source}")
        self._once(IDEA, subject)
        return 100

    def _record(self, account: str, record: bytes) -> None:
        name = f"record {hexed(record)}"
        found, parties = self.registry.records.get(record), self.registry.parties(record)
        if found is None or parties is None:
            self._rule(False, f"points for {name}, which is not registered")
            return
        self._rule(
            found.facts.minted and not any(found.draft["previous"]),
            f"points for {name}, for which nothing was minted",
        )
        self._same(f"patient of {name}", found.facts.owner, account)
        self._rule(parties.owner != parties.custodian, f"patient and custodian of {name} are one")
        self._once(RECORD, record)
        word = self.accounts[account]
        self.accounts[account] = replace(word, records=word.records + 1)
        self._owed.append((parties.custodian, RECORD, record, True))

    def _use(self, account: str, licence: bytes, month: int) -> None:
        name = f"licence {hexed(licence)}"
        found = self.market.licences.get(licence)
        parties = self.registry.parties(found.ref.record) if found else None
        if found is None or parties is None:
            self._rule(False, f"points for {name}, which was never bought")
            return
        licensee = found.ref.licensee
        self._same(f"patient of {name}", parties.owner, account)
        self._rule(
            licensee not in (parties.owner, parties.custodian, parties.annotator)
            and parties.owner != parties.custodian,
            f"the licensee of {name} is a party of its record",
        )
        groups = self.market.licensees.get(licensee, LicenseeWord()).groups
        self._rule(groups != 0, f"the licensee of {name} has no credential")
        gross = settled(found.word)
        self._rule(
            gross - self.gross[licence] >= self.parameters["least"],
            f"{name} counts for less than the least amount",
        )
        self.gross[licence] = gross
        self._once(USE, account, licensee, month)
        if (USE, parties.custodian, licensee, month) not in self.counted:
            self.counted.add((USE, parties.custodian, licensee, month))
            self._owed.append((parties.custodian, USE, licence, True))

    def _referral(self, account: str, subject: bytes, month: int) -> None:
        referred = "0x" + subject[12:].hex()
        known = next((a for a in self.accounts if a.lower() == referred), referred)
        self._rule(
            known != account
            and not any(subject[:12])
            and self.accounts[account].records != 0
            and self.accounts[known].records != 0
            and (REFERRAL, known, account) not in self.counted,
            f"{account} referred {referred} without records of both, or back",
        )
        self._once(REFERRAL, known)
        self.counted.add((REFERRAL, account, known))
        self.referrals[account, month] += 1
        self._rule(
            self.referrals[account, month] <= rules.REFERRALS, f"{account} referred too many"
        )

    def _active(self, account: str, month: int) -> None:
        word = self.accounts[account]
        if word.month == month:
            return
        run = word.run + 1 if word.month + 1 == month else 1
        self.accounts[account] = replace(word, month=month, run=run)
        if run % rules.STREAK == 0:
            # Before what its custodian is owed: the contract completes the patient first.
            self._owed.appendleft((account, STREAK, bytes(32), False))

    def _once(self, *key: Any) -> None:
        self._rule(key not in self.counted, f"source {key[0]} counted twice for {key[1:]}")
        self.counted.add(key)

    # ------------------------------------------------------------------ boards and badges

    def _nominated(self, event: Event) -> None:
        board, period, account, points = (
            event.args[k] for k in ("board", "period", "account", "points")
        )
        end = rules.board_end(board, period)
        self._rule(
            board < 2 * _PATIENTS
            and not self.journal.before(end)
            and self.journal.before(end + rules.NOMINATIONS)
            and (board, period) not in self.awarded,
            f"{account} was nominated for board {board} outside its time",
        )
        mine = self.points[board, period, account]
        self._same(f"points of {account} on board {board} of {period}", mine, points)
        top = self.tops[board, period]
        self._rule(
            mine >= max(self.parameters["threshold"], 1) and account not in {a for _, a in top},
            f"{account} was nominated twice, or with too few points",
        )
        place = sum(1 for other, _ in top if other >= mine)
        self._rule(place < rules.TEN, f"{account} is not among the ten of board {board}")
        top.insert(place, (mine, account))
        del top[rules.TEN :]

    def _awarded(self, event: Event) -> None:
        board, period, badge = (event.args[k] for k in ("board", "period", "badge"))
        key = (board, period)
        rank = self.awarded.get(key, 0)
        self._rule(
            (rank == 0 or key in self._given)
            and not self.journal.before(rules.board_end(board, period) + rules.NOMINATIONS),
            f"badges of board {board} of {period} were given too early, or twice",
        )
        top = self.tops[key]
        expected = (*top[rank], board << 128 | period << 64 | rank + 1) if rank < len(top) else None
        told = (event.args["points"], event.args["account"], badge)
        self._same(f"who is number {rank + 1} of board {board} of {period}", expected, told)
        self.awarded[key] = rank + 1
        self._given.add(key)
        self.badges[badge] = event.args["account"]

    def _funded(self, event: Event) -> None:
        amount = event.args["amount"]
        self.budget += amount
        funder = event.args["funder"]
        self.usage.announce(Announced(funder, self.rewards, amount, 3, "R25", "a budget"))

    def _donation(self, event: Event) -> None:
        badge, recipient, amount = (event.args[k] for k in ("badge", "recipient", "amount"))
        self._same(f"holder of badge {badge}", self.badges.get(badge), event.args["account"])
        self._rule(
            badge >> 128 < _PATIENTS
            and badge not in self.donated
            and self.beneficiaries.get(recipient, False),
            f"the donation of badge {badge} went out twice, or to nobody who is listed",
        )
        self.journal.expect(
            3, "R25", f"the donation of badge {badge}", self.parameters["donation"], amount
        )
        self.journal.require(amount <= self.budget, 3, "R25", "a donation exceeds the budget")
        self.donated.add(badge)
        self.budget -= amount
        self.usage.announce(Announced(self.rewards, recipient, amount, 3, "R25", "a donation"))

    def _beneficiary(self, event: Event) -> None:
        self.beneficiaries[event.args["recipient"]] = event.args["listed"]

    # ------------------------------------------------------------------ services and outcomes

    def _service(self, event: Event) -> None:
        number = event.args["service"]
        known = self.services.get(number, _NO_SERVICE)
        self._same(f"service {number} that was", known, event.args["previous"], "R26")
        self.services[number] = event.args["current"]

    def _redeemed(self, event: Event) -> None:
        voucher, account, service, token, price = (
            event.args[k] for k in ("voucher", "account", "service", "token", "price")
        )
        offer = self.services.get(service, _NO_SERVICE)
        word = self.accounts[account]
        expected = (len(self.vouchers) + 1, offer["token"], offer["price"])
        self._same(
            f"voucher, token and price of {service}", expected, (voucher, token, price), "R26"
        )
        self._rule(
            offer["provider"] != ZERO_ADDRESS and word.points >= offer["points"],
            f"service {service} is not offered to {account}",
            "R26",
        )
        self.accounts[account] = replace(word, redemptions=word.redemptions + 1)
        self.vouchers[voucher] = Redeemed(account, service)
        if price and token < len(self.tokens):
            self.tokens[token].announce_burn(account, price)

    def _served(self, event: Event) -> None:
        voucher = event.args["voucher"]
        found = self.vouchers.get(voucher)
        offer = self.services.get(found.service, _NO_SERVICE) if found else _NO_SERVICE
        self._rule(
            found is not None and not found.served and event.args["provider"] == offer["provider"],
            f"voucher {voucher} was served twice, or not by its provider",
            "R26",
        )
        if found is not None:
            self.vouchers[voucher] = replace(found, served=True)

    def _reported(self, event: Event) -> None:
        outcome = event.args["outcome"]
        self._same("number of an outcome", len(self.reported) + 1, outcome, "R27")
        self.reported[outcome] = event.args["licensee"]

    def _led(self, event: Event) -> None:
        record, outcome, licence = (event.args[k] for k in ("record", "outcome", "licence"))
        found = self.market.licences.get(licence)
        expected = (found.ref.record, found.ref.licensee, len(self.reported)) if found else None
        told = (record, self.reported.get(outcome), outcome)
        self._same(f"what licence {hexed(licence)} led to", expected, told, "R27")
        self.outcomes[record].append(outcome)

    def _parameter(self, event: Event) -> None:
        name = _PARAMETERS.get(event.args["name"])
        self._rule(name is not None, "rewards changed an unknown parameter")
        if name is not None:
            self._same(f"{name} that was", self.parameters[name], event.args["previous"])
            self.parameters[name] = event.args["current"]

    def _rule(self, condition: bool, text: str, rule: str = "R25") -> None:
        self.journal.require(condition, 7, rule, text)

    def _same(self, text: str, expected: Any, actual: Any, rule: str = "R25") -> None:
        self.journal.expect(7, rule, text, expected, actual)

    handlers: ClassVar[Mapping[str, Handler]] = {
        "PointsEarned": _earned,
        "Nominated": _nominated,
        "BadgeAwarded": _awarded,
        "DonationDirected": _donation,
        "BudgetFunded": _funded,
        "BeneficiaryChanged": _beneficiary,
        "ServiceChanged": _service,
        "Redeemed": _redeemed,
        "VoucherServed": _served,
        "OutcomeReported": _reported,
        "RecordLed": _led,
        "ParameterChanged": _parameter,
    }
    silent = frozenset({"EIP712DomainChanged"})


class BadgeBook(Book):
    """Badges as tokens: each appears once, as rewards awarded it, and never moves."""

    def __init__(self, journal: Journal, rewards: RewardsBook) -> None:
        """Holders are those whom ``rewards`` awarded."""
        super().__init__(journal)
        self.rewards = rewards
        self.owners: dict[int, str] = {}
        self.minter = ZERO_ADDRESS
        self.authority = ZERO_ADDRESS
        self._unlocked: set[int] = set()

    def end_transaction(self) -> None:
        """Every badge that was awarded is there, and said that it is bound."""
        for badge in self._unlocked:
            self._rule(False, f"badge {badge} does not say that it is bound")
        self._unlocked.clear()
        missing = self.rewards.badges.keys() - self.owners.keys()
        for badge in missing:
            self._rule(False, f"badge {badge} was awarded and never given")
            self.owners[badge] = self.rewards.badges[badge]

    def as_dict(self) -> dict[str, Any]:
        """The book as it stands."""
        return {str(badge): owner for badge, owner in sorted(self.owners.items())}

    def _transfer(self, event: Event) -> None:
        badge, to = event.args["tokenId"], event.args["to"]
        self._rule(
            event.args["from"] == ZERO_ADDRESS and badge not in self.owners,
            f"badge {badge} moved, or appeared twice",
        )
        awarded = self.rewards.badges.get(badge)
        self.journal.expect(7, "R25", f"holder of badge {badge}", awarded, to)
        self.owners[badge] = to
        self._unlocked.add(badge)

    def _locked(self, event: Event) -> None:
        badge = event.args["tokenId"]
        self._rule(badge in self._unlocked, f"badge {badge} was bound without being given")
        self._unlocked.discard(badge)

    def _bound(self, event: Event) -> None:
        self.journal.expect(7, "R25", "the minter that was", ZERO_ADDRESS, self.minter)
        self.minter = event.args["minter"]
        self.journal.expect(7, "R25", "who gives badges", self.rewards.rewards, self.minter)

    def _authority(self, event: Event) -> None:
        self.authority = event.args["authority"]

    def _rule(self, condition: bool, text: str) -> None:
        self.journal.require(condition, 7, "R25", text)

    handlers: ClassVar[Mapping[str, Handler]] = {
        "Transfer": _transfer,
        "Locked": _locked,
        "MinterBound": _bound,
        "AuthorityUpdated": _authority,
    }


def settled(word: LicenceWord) -> int:
    """Base units of a licence that were settled, of a term in proportion to its time."""
    if word.metered:
        return word.price * word.settled
    length = word.end - word.start
    return word.price * (word.settled - word.start) // length if length else 0

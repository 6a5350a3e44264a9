"""The state of the chain, and what the ledger says that it must be.

A claim names one view of one contract and the value that the ledger gives it. Reading all claims at
one block and comparing is invariant 7; each claim also counts for the invariant that it is about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from eth_utils import to_checksum_address

from medtoken import artifacts
from medtoken._keccak import keccak
from medtoken.audit.books.auctions import undertaken
from medtoken.audit.books.base import ZERO_ADDRESS
from medtoken.audit.books.baskets import packed_steps
from medtoken.audit.books.governance import TIMELOCK_ROLES, Delay, Member
from medtoken.audit.books.passkeys import NO_PASSKEY
from medtoken.audit.books.registry import KINDS, copy_commitment, rendition_id
from medtoken.audit.books.royalty import GRANTED
from medtoken.audit.journal import Violation, show
from medtoken.audit.ledger import Ledger
from medtoken.audit.rules import TEN, owed
from medtoken.audit.source import PROXY_ADMIN, Chain
from medtoken.chain.abi import abi, selector
from medtoken.chain.words import (
    BooksWord,
    BudgetWord,
    CreditWord,
    DrawnWord,
    EarningsWord,
    HoldingWord,
    LicenceWord,
    LicenseeWord,
    MarkWord,
    OptionWord,
    PasskeyState,
    PolicyWord,
    RatesWord,
    SaleWord,
    SharesWord,
    SupportWord,
    TallyWord,
)
from medtoken.deploy.roles import Role
from medtoken.errors import BadInput, ContractRefused

# OperationState of the timelock: its timestamp of an operation that was carried out.
_DONE = 1
_WEEK = 7 * 86_400
_IMPLEMENTATION = int.from_bytes(keccak(text="eip1967.proxy.implementation")) - 1
_ADMIN = int.from_bytes(keccak(text="eip1967.proxy.admin")) - 1

# Contracts that do not ask the manager who may call them.
_UNMANAGED = (
    "AccessManager",
    "TimelockController",
    "MedGovernor",
    "LicenceView",
    "LicenceToken",
    "AssetAccount",
)

Word = LicenceWord | LicenseeWord | EarningsWord
VaultWord = BooksWord | SharesWord | OptionWord | EarningsWord
Key = tuple[str, str, tuple[Any, ...]]


@dataclass(frozen=True)
class Claim:
    """What a view must answer at the end of the ledger."""

    invariant: int
    rule: str
    contract: str
    function: str
    args: tuple[Any, ...]
    expected: Any
    address: str | None = None  # where it is not the contract of that name

    @property
    def key(self) -> Key:
        """What is asked."""
        return self.contract, self.function, self.args

    def __str__(self) -> str:
        """For example ``UsageToken.balanceOf(0x…)``."""
        return f"{self.contract}.{self.function}({', '.join(show(a) for a in self.args)})"


@dataclass
class State:
    """What the chain answered at one block, and where that is not what the ledger says."""

    block: int
    values: dict[Key, Any] = field(default_factory=dict)
    differences: list[Violation] = field(default_factory=list)
    reads: int = 0

    def all(self, contract: str, function: str) -> Mapping[tuple[Any, ...], Any]:
        """Every answer of one view, by its arguments."""
        return {k[2]: v for k, v in self.values.items() if k[:2] == (contract, function)}

    def one(self, contract: str, function: str, *args: Any) -> Any:
        """One answer."""
        return self.values[contract, function, args]


def read(ledger: Ledger, chain: Chain, block: int) -> State:
    """Read every claim at a block and compare."""
    state = State(block)
    said = list(claims(ledger, chain.block(block).timestamp))
    asked = [
        (
            claim.address or ledger.suite.addresses[claim.contract],
            abi(claim.contract).call(claim.function, *claim.args),
        )
        for claim in said
    ]
    for claim, answer in zip(said, chain.calls(asked, block), strict=True):
        try:
            if isinstance(answer, ContractRefused):
                raise answer
            actual = abi(claim.contract).result(claim.function, answer)
        except (BadInput, ContractRefused) as error:
            actual = f"no answer ({error})"
        state.values[claim.key] = actual
        state.reads += 1
        if actual != claim.expected:
            state.differences.append(
                Violation(
                    claim.invariant,
                    claim.rule,
                    block,
                    None,
                    f"{claim} on the chain",
                    show(claim.expected),
                    show(actual),
                )
            )
    state.differences += _slots(ledger, chain, block)
    return state


def claims(ledger: Ledger, now: int) -> Iterator[Claim]:
    """Everything that the ledger says about the chain at ``now``, unix seconds."""
    yield from _usage(ledger)
    yield from _contribution(ledger)
    yield from _storage(ledger)
    yield from _research(ledger)
    yield from _trust(ledger)
    yield from _registry(ledger)
    yield from _tariff(ledger)
    yield from _market(ledger)
    yield from _auctions(ledger)
    yield from _baskets(ledger)
    yield from _licences(ledger, now)
    yield from _royalties(ledger)
    yield from _rewards(ledger)
    yield from _treasury(ledger)
    yield from _disputes(ledger)
    yield from _assets(ledger)
    yield from _protection(ledger)
    yield from _passkeys(ledger)
    yield from _access(ledger, now)
    yield from _timelock(ledger)
    yield from _governor(ledger, now)


def packed(word: Any) -> Any:
    """The bits of a word, or why there can be none."""
    try:
        return word.pack()
    except BadInput as error:
        return str(error)


def _usage(ledger: Ledger) -> Iterator[Claim]:
    name, book = "UsageToken", ledger.usage
    yield Claim(1, "R2", name, "totalSupply", (), book.supply)
    purses = {
        "DataMarket": 6,
        "Treasury": 3,
        "RoyaltyVault": 6,
        "Rewards": 3,
        "QualityDisputes": 6,
        "AssetDesk": 6,
        "BreachCover": 6,
        "CompensationFund": 6,
    }
    own = {ledger.suite.addresses[purse]: invariant for purse, invariant in purses.items()}
    for account in sorted(ledger.accounts() | set(own)):
        held = book.balances.get(account, 0)
        yield Claim(own.get(account, 1), "R2", name, "balanceOf", (account,), held)
        bits = book.standings.get(account, 0)
        yield Claim(7, "R2", name, "standing", (account,), bits)
    for epoch, amount in book.issued_in.items():
        yield Claim(7, "R2", name, "issuedIn", (epoch,), amount)
    yield Claim(7, "R2", name, "cap", (), book.cap)
    yield Claim(7, "R29", name, "authority", (), book.authority)


def _contribution(ledger: Ledger) -> Iterator[Claim]:
    name, book = "ContributionToken", ledger.contribution
    yield Claim(5, "R1", name, "totalSupply", (), book.supply)
    for account in sorted(ledger.accounts()):
        amount = book.balances.get(account, 0)
        yield Claim(5, "R1", name, "balanceOf", (account,), amount)
        yield Claim(7, "R28", name, "getVotes", (account,), amount)
    yield Claim(5, "R1", name, "minter", (), book.minter)
    yield Claim(7, "R29", name, "authority", (), book.authority)


def _storage(ledger: Ledger) -> Iterator[Claim]:
    name, tokens = "GovernanceToken", ledger.governance_tokens
    yield Claim(7, "R5", name, "totalSupply", (), tokens.supply)
    for account in sorted(ledger.accounts()):
        amount = tokens.balances.get(account, 0)
        yield Claim(7, "R5", name, "balanceOf", (account,), amount)
        yield Claim(7, "R28", name, "getVotes", (account,), amount)
    yield Claim(7, "R5", name, "minter", (), tokens.minter)
    yield Claim(7, "R29", name, "authority", (), tokens.authority)
    name, book = "StorageRewards", ledger.storage
    for custodian in ledger.registry.institutions:
        holding = book.holdings.get(custodian, HoldingWord())
        yield Claim(7, "R5", name, "holding_word", (custodian,), packed(holding))
        yield Claim(7, "R5", name, "root", (custodian,), book.roots.get(custodian, bytes(32)))
        tally = book.tallies.get(custodian, TallyWord())
        yield Claim(7, "R5", name, "tally_word", (custodian,), packed(tally))
    for licence in ledger.market.licences:
        mark = book.marks.get(licence, MarkWord())
        yield Claim(7, "R5", name, "mark_word", (licence,), packed(mark))
    for (custodian, licensee), related in book.related.items():
        yield Claim(7, "R5", name, "related", (custodian, licensee), related)
    yield Claim(7, "R5", name, "rules", (), book.rules)
    bonuses = [{"calls": calls, "share": share} for calls, share in book.bonuses]
    yield Claim(7, "R5", name, "bonuses", (), bonuses)
    yield Claim(7, "R29", name, "authority", (), ledger.suite.addresses["AccessManager"])


def _research(ledger: Ledger) -> Iterator[Claim]:
    name, tokens = "ResearchToken", ledger.research_tokens
    yield Claim(7, "R4", name, "totalSupply", (), tokens.supply)
    for account in sorted(ledger.accounts()):
        yield Claim(7, "R4", name, "balanceOf", (account,), tokens.balances.get(account, 0))
    yield Claim(7, "R4", name, "desk", (), tokens.desk)
    yield Claim(7, "R29", name, "authority", (), tokens.authority)
    name, book = "ResearchDesk", ledger.research
    for outcome, given in book.outcomes.items():
        seats = book.votes[outcome]
        yield Claim(7, "R4", name, "votes", (outcome,), len(seats))
        for seat in seats:
            yield Claim(7, "R4", name, "verified", (outcome, seat), True)
        paid = book.rewarded.get(given["evidence"], bytes(32))
        yield Claim(7, "R4", name, "rewarded", (given["evidence"],), paid)
    for licence in ledger.market.licences:
        support = book.supports.get(licence)
        invariant = 6 if support else 7
        word = packed(support or SupportWord())
        yield Claim(invariant, "R4", name, "support_word", (licence,), word)
    yield Claim(7, "R4", name, "seats", (), book.seats)
    yield Claim(7, "R4", name, "share", (), book.share)
    for kind, amount in book.rewards.items():
        yield Claim(7, "R4", name, "reward", (kind,), amount)
    yield Claim(7, "R29", name, "authority", (), ledger.suite.addresses["AccessManager"])


def _trust(ledger: Ledger) -> Iterator[Claim]:
    name, book = "DataTrust", ledger.trust
    for account in sorted(ledger.accounts()):
        named = book.trustees.get(account, False)
        yield Claim(7, "R21", name, "is_trustee", (account,), named)
    for of, offer in book.offers.items():
        yield Claim(7, "R21", name, "offer_word", of, packed(offer))
    for licence in ledger.market.licences:
        sale = packed(book.sales.get(licence, SaleWord()))
        yield Claim(6, "R21", name, "sale_word", (licence,), sale)
    yield Claim(7, "R29", name, "authority", (), ledger.suite.addresses["AccessManager"])


def _registry(ledger: Ledger) -> Iterator[Claim]:
    name, book = "RecordRegistry", ledger.registry
    for record, found in book.records.items():
        yield Claim(7, "R6", name, "facts", (record,), packed(found.facts))
        yield Claim(7, "R6", name, "commitment", (record,), found.commitment)
        for (fields, licence), copy in found.renditions.items():
            at = rendition_id(record, fields, licence)
            yield Claim(7, "R35", name, "rendition", (at,), copy_commitment(copy))
    for key, batch in book.batches.items():
        yield Claim(7, "R6", name, "batch", key, batch.count)
    for number, institution in book.institutions.items():
        expected = (institution.account, institution.capabilities)
        yield Claim(7, "R8", name, "institution", (number,), expected)
    # One more than is known: nobody was accredited in silence.
    beyond = len(book.institutions) + 1
    yield Claim(7, "R8", name, "institution", (beyond,), (ZERO_ADDRESS, 0))
    for account in sorted(ledger.accounts()):
        yield Claim(7, "R8", name, "number_of", (account,), book.numbers.get(account, 0))
    for kind in KINDS:
        coefficient = book.parameters[f"coefficient {kind}"]
        yield Claim(7, "R1", name, "coefficient", (kind,), coefficient)
        yield Claim(7, "R13", name, "supply", (kind,), book.supply[kind])
    yield Claim(7, "R1", name, "min_quality", (), book.parameters["min_quality"])
    yield Claim(7, "R29", name, "authority", (), ledger.suite.addresses["AccessManager"])


def _tariff(ledger: Ledger) -> Iterator[Claim]:
    name, book = "Tariff", ledger.tariff
    for kind in KINDS:
        yield Claim(7, "R13", name, "kind_word", (kind,), packed(book.kinds[kind]))
    yield Claim(7, "R13", name, "factors_word", (), packed(book.factors))
    for region, until in book.emergencies.items():
        yield Claim(7, "R13", name, "emergency", (region,), until)
    for (kind, week), amount in book.demand.items():
        yield Claim(2, "R13", "DataMarket", "demand", (kind, week), amount)
    yield Claim(7, "R29", name, "authority", (), ledger.suite.addresses["AccessManager"])


def _licences(ledger: Ledger, now: int) -> Iterator[Claim]:
    """What other contracts and wallets are told of licences."""
    name, book = "LicenceToken", ledger.licence_tokens
    yield Claim(7, "R12", name, "market", (), ledger.suite.addresses["DataMarket"])
    for licence, owner in book.owners.items():
        token = int.from_bytes(licence)
        yield Claim(7, "R12", name, "ownerOf", (token,), owner)
        yield Claim(7, "R12", name, "isTokenExpired", (token,), ledger.market.over(licence, now))
    for account in sorted(ledger.accounts() | set(book.balances)):
        yield Claim(7, "R12", name, "balanceOf", (account,), book.balances.get(account, 0))
    for licence, bought in ledger.market.licences.items():
        shown = asdict(bought.word)
        del shown["approved"]  # how it was bought: the view tells what it is good for
        yield Claim(7, "R12", "LicenceView", "licence", (licence,), shown)
        stated = ledger.destructions.statements.get(licence, bytes(32))
        yield Claim(7, "R35", "LicenceView", "destruction", (licence,), stated)


def _market(ledger: Ledger) -> Iterator[Claim]:
    name, book = "DataMarket", ledger.market
    for consent, granted in book.consents.items():
        yield Claim(4, "R9", name, "consent_word", (consent,), packed(granted.word))
    for licence, bought in book.licences.items():
        yield Claim(4, "R12", name, "licence_word", (licence,), packed(bought.word))
    for account in sorted(ledger.accounts()):
        licensee = book.licensees.get(account, LicenseeWord())
        yield Claim(2, "R15", name, "licensee_word", (account,), packed(licensee))
        earnings = book.earnings.get(account, EarningsWord())
        yield Claim(2, "R15", name, "earnings_word", (account,), packed(earnings))
    yield Claim(7, "R15", name, "rates_word", (), packed(book.rates))
    for epoch, rates in book.epochs.items():
        parts = {part: getattr(rates, part) for part in ("provider", "annotator", "platform")}
        expected = {**parts, "levy": rates.levy}
        yield Claim(7, "R15", name, "rates_of", (epoch,), expected)
    yield Claim(7, "R14", name, "window", (), book.window)
    yield Claim(7, "R15", name, "platform", (), book.platform)
    yield Claim(7, "R12", name, "agreement", (), book.agreement)
    yield Claim(7, "R29", name, "authority", (), ledger.suite.addresses["AccessManager"])


def _auctions(ledger: Ledger) -> Iterator[Claim]:
    name, book = "AuctionHouse", ledger.auctions
    for auction, found in book.auctions.items():
        bid = found.undertaking if found.held else None
        expected = {
            "opened": found.offer is not None,
            "done": found.outcome is not None,
            "bidder": found.bidder,
            "price": found.price if bid else 0,
            "undertaking": undertaken(bid) if bid else 0,
            "ends": found.ends,
            **vars(found.terms),
        }
        yield Claim(6, "R12", name, "auction", (auction,), expected)
    terms = book.terms
    expected_terms = (terms.increment, terms.extension, terms.patience)
    yield Claim(7, "R12", name, "terms", (), expected_terms)
    yield Claim(7, "R29", name, "authority", (), ledger.suite.addresses["AccessManager"])


def _baskets(ledger: Ledger) -> Iterator[Claim]:
    name, book = "BasketDesk", ledger.baskets
    for basket, found in book.baskets.items():
        expected = {
            "reserved": True,
            "closed": found.closed,
            "left": found.left,
            "taken": len(found.taken),
            "steps": found.steps,
        }
        yield Claim(6, "R12", name, "basket", (basket,), expected)
    yield Claim(7, "R12", name, "version", (), book.version)
    yield Claim(7, "R29", name, "authority", (), ledger.suite.addresses["AccessManager"])


def _royalties(ledger: Ledger) -> Iterator[Claim]:
    name, book = "RoyaltyVault", ledger.royalties
    yield Claim(7, "R19", name, "settings_word", (), packed(book.settings))
    for study in sorted(book.cancelled):
        yield Claim(7, "R19", name, "study_word", (study,), 0)
    for study, found in book.studies.items():
        yield Claim(7, "R19", name, "study_word", (study,), packed(found.word))
        yield Claim(7, "R19", name, "root", (study,), found.root)
        yield Claim(2, "R19", name, "books_word", (study,), packed(found.books))
        yield Claim(2, "R19", name, "shares_word", (study,), packed(found.shares))
        for period, attested in found.periods.items():
            yield Claim(2, "R19", name, "period_word", (study, period), packed(attested))
        for account, member in sorted(found.members.items()):
            yield Claim(2, "R19", name, "member_word", (study, account), packed(member))
    for option, word in book.options.items():
        yield Claim(2, "R20", name, "option_word", (option,), packed(word))
    for account in sorted(ledger.accounts()):
        balance = book.balances.get(account, EarningsWord())
        yield Claim(2, "R19", name, "balance_word", (account,), packed(balance))
    yield Claim(7, "R29", name, "authority", (), ledger.suite.addresses["AccessManager"])


def _rewards(ledger: Ledger) -> Iterator[Claim]:
    name, book = "Rewards", ledger.rewards
    for account in sorted(ledger.accounts()):
        word = book.accounts.get(account, CreditWord())
        yield Claim(7, "R25", name, "account_word", (account,), packed(word))
    for (board, period, account), points in sorted(book.points.items()):
        yield Claim(7, "R25", name, "points", (board, period, account), points)
    for (board, period), top in sorted(book.tops.items()):
        entries = [int(account, 16) | points << 160 for points, account in top]
        entries += [0] * (TEN - len(entries))
        yield Claim(7, "R25", name, "top", (board, period), entries)
        given = (board, period) in book.awarded
        yield Claim(7, "R25", name, "awarded", (board, period), given)
    for number, offer in sorted(book.services.items()):
        yield Claim(7, "R26", name, "service", (number,), offer)
    # One more than is known: nobody redeemed in silence.
    for voucher in range(1, len(book.vouchers) + 2):
        found = book.vouchers.get(voucher)
        yield Claim(7, "R26", name, "voucher_word", (voucher,), found.pack() if found else 0)
    for recipient, listed in sorted(book.beneficiaries.items()):
        yield Claim(7, "R25", name, "beneficiary", (recipient,), listed)
    for badge, holder in sorted(book.badges.items()):
        yield Claim(7, "R25", name, "donated", (badge,), badge in book.donated)
        yield Claim(7, "R25", "BadgeToken", "ownerOf", (badge,), holder)
    for record in ledger.registry.records:
        told = book.outcomes.get(record, [])
        yield Claim(7, "R27", name, "outcomes", (record,), len(told))
        for place, outcome in enumerate(told):
            yield Claim(7, "R27", name, "outcome_at", (record, place), outcome)
    yield Claim(3, "R25", name, "budget", (), book.budget)
    parameters = tuple(book.parameters[key] for key in ("donation", "least", "threshold"))
    yield Claim(7, "R25", name, "parameters", (), parameters)
    yield Claim(7, "R25", "BadgeToken", "minter", (), ledger.badges.minter)
    yield Claim(7, "R29", "BadgeToken", "authority", (), ledger.badges.authority)
    yield Claim(7, "R29", name, "authority", (), ledger.suite.addresses["AccessManager"])


def _treasury(ledger: Ledger) -> Iterator[Claim]:
    name, book = "Treasury", ledger.treasury
    yield Claim(3, "R16", name, "books", (), (book.levies, book.burned, book.reserve))
    yield Claim(3, "R16", name, "spent", (), book.spent)
    for account in sorted({*ledger.accounts(), *book.drawn}):
        # Of everybody else: that they have no budget.
        invariant = 3 if account in book.drawn else 7
        budget = book.budgets.get(account, BudgetWord())
        yield Claim(invariant, "R16", name, "budget_word", (account,), packed(budget))
        drawn = book.drawn.get(account, DrawnWord())
        yield Claim(invariant, "R16", name, "drawn_word", (account,), packed(drawn))
    rule = (book.parameters["ceiling"], book.parameters["burn_share"])
    yield Claim(3, "R17", name, "burn_rule", (), rule)
    yield Claim(7, "R29", name, "authority", (), ledger.suite.addresses["AccessManager"])


def _disputes(ledger: Ledger) -> Iterator[Claim]:
    name, book = "QualityDisputes", ledger.disputes
    for record, found in book.open.items():
        expected = {
            "challenger": found.challenger,
            "attester": found.attester,
            "claim": found.claim,
            "bond": found.bond,
            "atRisk": found.at_risk,
            "deadline": found.deadline,
        }
        yield Claim(6, "R7", name, "dispute", (record,), expected)
    nothing = dict.fromkeys(("attester", "bond", "atRisk", "deadline"), 0)
    for record in sorted(book.closed - set(book.open)):
        expected = {"challenger": ZERO_ADDRESS, "claim": bytes(32), **nothing}
        yield Claim(6, "R7", name, "dispute", (record,), expected)
    for number in ledger.registry.institutions:
        yield Claim(6, "R7", name, "stake_of", (number,), book.stakes.get(number, 0))
    for account in sorted(ledger.accounts()):
        yield Claim(6, "R7", name, "credit_of", (account,), book.credits.get(account, 0))
    terms = (book.parameters["bond"], book.parameters["window"], book.paused)
    yield Claim(7, "R7", name, "terms", (), terms)
    yield Claim(7, "R29", name, "authority", (), ledger.suite.addresses["AccessManager"])


def _assets(ledger: Ledger) -> Iterator[Claim]:
    name, book = "AssetDesk", ledger.assets
    for asset, found in book.assets.items():
        yield Claim(7, "R3", name, "account_of", (asset,), found.account)
        yield Claim(7, "R3", name, "asset_word", (asset,), packed(found.word))
        yield Claim(7, "R3", name, "lineage", (asset,), (found.root, found.total))
        yield Claim(2, "R3", name, "books_word", (asset,), packed(found.books))
        for licence, line in found.lines.items():
            yield Claim(2, "R3", name, "line_word", (asset, licence), packed(line))
    for account in sorted(ledger.accounts()):
        balance = book.balances.get(account, EarningsWord())
        yield Claim(2, "R3", name, "balance_word", (account,), packed(balance))
    terms = (book.parameters["share"], book.parameters["window"])
    yield Claim(7, "R3", name, "terms", (), terms)
    yield Claim(7, "R29", name, "authority", (), ledger.suite.addresses["AccessManager"])
    name, tokens = "InstitutionToken", ledger.institution_tokens
    for asset, owner in tokens.owners.items():
        yield Claim(7, "R3", name, "ownerOf", (int.from_bytes(asset),), owner)
    for account in sorted(ledger.accounts()):
        yield Claim(7, "R3", name, "balanceOf", (account,), tokens.balances.get(account, 0))
    yield Claim(7, "R3", name, "minter", (), tokens.minter)
    yield Claim(7, "R29", name, "authority", (), tokens.authority)


def _protection(ledger: Ledger) -> Iterator[Claim]:
    name, cover = "BreachCover", ledger.cover
    # One more than is known: nobody was covered in silence.
    for policy in range(1, len(cover.policies) + 2):
        word = cover.policies.get(policy, PolicyWord())
        yield Claim(6, "R23", name, "policy_word", (policy,), packed(word))
        yield Claim(6, "R23", name, "paid_of", (policy,), cover.paid.get(policy, 0))
    for claim, state in cover.states.items():
        yield Claim(6, "R23", name, "claim_state", (claim,), state)
    yield Claim(6, "R23", name, "books", (), (len(cover.policies), cover.pool))
    yield Claim(7, "R23", name, "terms", (), (cover.term, cover.paused))
    yield Claim(7, "R29", name, "authority", (), ledger.suite.addresses["AccessManager"])
    fund = ledger.fund
    yield Claim(6, "R22", "CompensationFund", "kept", (), fund.kept)
    yield Claim(7, "R29", "CompensationFund", "paused", (), fund.paused)
    manager = ledger.suite.addresses["AccessManager"]
    yield Claim(7, "R29", "CompensationFund", "authority", (), manager)
    for account in sorted(ledger.accounts()):
        for contract, rule, book in ((name, "R23", cover), ("CompensationFund", "R22", fund)):
            balance = book.balances.get(account, EarningsWord())
            yield Claim(6, rule, contract, "balance_word", (account,), packed(balance))


def _passkeys(ledger: Ledger) -> Iterator[Claim]:
    name, book = "Passkeys", ledger.passkeys
    for patient in sorted(ledger.accounts()):
        state = book.states.get(patient, PasskeyState())
        yield Claim(4, "R10", name, "state_word", (patient,), packed(state))
        # While a change waits the answer is the second's at which it is asked; the slots tell both.
        if not state.since:
            x, y, party = book.passkeys.get(patient, NO_PASSKEY)
            passkey = {"x": x, "y": y, "relyingParty": party}
            yield Claim(4, "R10", name, "passkey_of", (patient,), passkey)
    for approved in book.approvals.values():
        order = tuple(approved.order.values())
        args = (approved.patient, approved.consent, approved.licensee, order)
        yield Claim(4, "R10", name, "approved_until", args, approved.deadline)
    yield Claim(7, "R10", name, "delay", (), book.delay)
    yield Claim(7, "R29", name, "authority", (), ledger.suite.addresses["AccessManager"])


def _access(ledger: Ledger, now: int) -> Iterator[Claim]:
    name, book = "AccessManager", ledger.access
    # Of the suite's own contracts, every role that none of them may have got in silence.
    own = {(int(r), account) for r in Role for account in ledger.suite.addresses.values()}
    for role, account in sorted({*book.members, *own}):
        member = book.members.get((role, account), Member())
        expected = (member.since, *member.delay.full(now))
        yield Claim(7, "R29", name, "getAccess", (role, account), expected)
    for role in sorted({*(int(r) for r in Role), *(role for role, _ in book.members)}):
        yield Claim(7, "R29", name, "getRoleAdmin", (role,), book.admins.get(role, 0))
        yield Claim(7, "R29", name, "getRoleGuardian", (role,), book.guardians.get(role, 0))
        delay = book.grant_delays.get(role, Delay()).at(now)
        yield Claim(7, "R29", name, "getRoleGrantDelay", (role,), delay)
    for target, chosen in sorted({*_functions(ledger), *book.functions}):
        role = book.functions.get((target, chosen), 0)
        yield Claim(7, "R29", name, "getTargetFunctionRole", (target, chosen), role)
    for target in sorted({*ledger.suite.addresses.values(), *book.closed, *book.target_delays}):
        closed = book.closed.get(target, False)
        yield Claim(7, "R29", name, "isTargetClosed", (target,), closed)
        delay = book.target_delays.get(target, Delay()).at(now)
        yield Claim(7, "R29", name, "getTargetAdminDelay", (target,), delay)
    for operation, nonce in book.nonces.items():
        due = book.schedules[operation]
        yield Claim(7, "R29", name, "getNonce", (operation,), nonce)
        shown = due if due + _WEEK > now else 0
        yield Claim(7, "R29", name, "getSchedule", (operation,), shown)


def _functions(ledger: Ledger) -> Iterator[tuple[str, bytes]]:
    """Every function that changes something, of every contract that asks the manager."""
    for name, address in ledger.suite.addresses.items():
        if name not in _UNMANAGED:
            for entry in artifacts.load(name)["abi"]:
                if entry["type"] == "function" and entry["stateMutability"] == "nonpayable":
                    yield address, selector(entry)


def _timelock(ledger: Ledger) -> Iterator[Claim]:
    name, book = "TimelockController", ledger.timelock
    yield Claim(7, "R29", name, "getMinDelay", (), book.min_delay)
    for key, op in book.operations.items():
        expected = 0 if op.cancelled else _DONE if op.done else op.ready_at
        yield Claim(7, "R29", name, "getTimestamp", (key,), expected)
    ruling = {name, "MedGovernor"} & ledger.suite.addresses.keys()
    own = {ZERO_ADDRESS, *(ledger.suite.addresses[contract] for contract in ruling)}
    for account in sorted({account for _, account in book.members} | own):
        for role in TIMELOCK_ROLES:
            held = book.members.get((role, account), False)
            yield Claim(7, "R29", name, "hasRole", (role, account), held)
    for role, admin in book.admins.items():
        yield Claim(7, "R29", name, "getRoleAdmin", (role,), admin)
    for proxy in ledger.proxies.proxies.values():
        if proxy.admin != ZERO_ADDRESS:
            yield Claim(7, "R29", PROXY_ADMIN, "owner", (), proxy.owner, proxy.admin)


def _governor(ledger: Ledger, now: int) -> Iterator[Claim]:
    name, book = "MedGovernor", ledger.governor
    if name not in ledger.suite.addresses:
        return

    def claim(function: str, expected: Any, *args: Any) -> Claim:
        return Claim(7, "R28", name, function, args, expected)

    for number, found in book.proposals.items():
        yield claim("state", book.state(found, now), number)
        yield claim("proposalProposer", found.proposer, number)
        yield claim("proposalSnapshot", found.snapshot, number)
        yield claim("gateEnd", found.gate_end, number)
        yield claim("proposalDeadline", found.vote_end, number)
        yield claim("proposalEta", found.eta, number)
        yield claim("isAboutSeats", found.about_seats, number)
        yield claim("objections", book.objections(found), number)
        yield claim("proposalVotes", tuple(found.tally), number)
        yield claim("quorum", book.quorum(found.snapshot), found.snapshot)
        for seat in sorted({*book.seats, *found.objected}):
            yield claim("objected", seat in found.objected, number, seat)
        for account in sorted(ledger.accounts() | found.voters):
            yield claim("hasVoted", account in found.voters, number, account)
    for account in sorted({*ledger.accounts(), *book.nonces}):
        yield claim("nonces", book.nonces.get(account, 0), account)
    yield claim("seats", [{"account": a, "chamber": book.chambers[a]} for a in book.seats])
    yield claim("votingDelay", book.delay)
    yield claim("votingPeriod", book.period)
    yield claim("proposalThreshold", book.threshold)
    yield claim("contributionDivisor", book.divisor)
    yield claim("quorumShare", book.quorum_share)
    yield claim("timelock", book.obeyed)
    yield claim("governanceToken", ledger.suite.addresses["GovernanceToken"])
    yield claim("contributionToken", ledger.suite.addresses["ContributionToken"])


def _slots(ledger: Ledger, chain: Chain, block: int) -> Iterator[Violation]:
    """Where storage that no view shows is not what the events give."""
    for slot in (*_proxy_slots(ledger), *_hidden_slots(ledger)):
        number = chain.storage(slot.address, slot.at, block)
        actual = number if isinstance(slot.expected, int) else slot.shown(number)
        if actual != slot.expected:
            expected = show(slot.expected)
            yield Violation(
                7, slot.rule, block, None, f"{slot.text} on the chain", expected, show(actual)
            )


@dataclass(frozen=True)
class _Slot:
    """A storage slot and what it must hold: a number, an address, or an id."""

    rule: str
    address: str
    at: int
    expected: int | str | bytes
    text: str

    def shown(self, number: int) -> str | bytes:
        """A slot's number as the kind of thing that is expected there."""
        if isinstance(self.expected, bytes):
            return number.to_bytes(32)
        return to_checksum_address((number & (2**160 - 1)).to_bytes(20))


def _proxy_slots(ledger: Ledger) -> Iterator[_Slot]:
    """Where a proxy points (ERC-1967)."""
    for address, proxy in ledger.proxies.proxies.items():
        name = ledger.proxies.names[address]
        for what, at, expected in (
            ("logic", _IMPLEMENTATION, proxy.implementation),
            ("administrator", _ADMIN, proxy.admin),
        ):
            yield _Slot("R29", address, at, expected, f"{what} of the proxy of {name}")


def _hidden_slots(ledger: Ledger) -> Iterator[_Slot]:
    """What our contracts keep and show to nobody but each other."""
    tariff, registry = (ledger.suite.addresses[n] for n in ("Tariff", "RecordRegistry"))
    at = _slot_of("Tariff", "_market")
    yield _Slot("R13", tariff, at, ledger.tariff.market, "the market bound to the tariff")
    for kind in KINDS:
        at = _slot_of("Tariff", "_levels", kind.to_bytes(32))
        expected = ledger.tariff.levels.get(kind, 0)
        yield _Slot("R13", tariff, at, expected, f"demand that scarcity of kind {kind} stands for")
    desk = ledger.suite.addresses["BasketDesk"]
    for version, steps in ledger.baskets.steps.items():
        at = _slot_of("BasketDesk", "_steps", version.to_bytes(32))
        text = f"discount steps of version {version}"
        yield _Slot("R12", desk, at, packed_steps(steps), text)
    for first, last in ledger.registry.latest.items():
        at = _slot_of("RecordRegistry", "_latest", first)
        text = f"last version of the file of record 0x{first.hex()}"
        yield _Slot("R6", registry, at, last, text)


def _slot_of(contract: str, variable: str, key: bytes | None = None) -> int:
    """Where Vyper keeps a variable, or a mapping's entry."""
    slot = int(artifacts.load(contract)["storageLayout"][variable]["slot"])
    return slot if key is None else int.from_bytes(keccak(slot.to_bytes(32) + key))


def market_owes(state: State) -> int:
    """Base units that the market's own words on the chain promise: deposits, earnings, licences.

    A word that cannot be read promises nothing here; it shows as a difference.
    """
    rates = state.all("DataMarket", "rates_of")
    epochs = {key[0]: RatesWord(**v) for key, v in rates.items() if isinstance(v, dict)}
    total = 0
    for function, kind in (
        ("licensee_word", LicenseeWord),
        ("earnings_word", EarningsWord),
        ("licence_word", LicenceWord),
    ):
        for value in state.all("DataMarket", function).values():
            if isinstance(value, int):
                total += _promised(kind, value, epochs)
    return total


def vault_owes(state: State) -> int:
    """Base units that the royalty vault's own words on the chain promise: pots, levies, options, balances.

    A word that cannot be read promises nothing here; it shows as a difference.
    """
    total = 0
    for function, kind in (
        ("books_word", BooksWord),
        ("shares_word", SharesWord),
        ("option_word", OptionWord),
        ("balance_word", EarningsWord),
    ):
        for value in state.all("RoyaltyVault", function).values():
            if isinstance(value, int):
                total += _pledged(kind, value)
    return total


def _pledged(kind: type[VaultWord], value: int) -> int:
    try:
        word = kind.unpack(value)
    except BadInput:
        return 0
    match word:
        case BooksWord():
            return word.pot + word.levy
        case SharesWord():
            return -word.claimed
        case OptionWord():
            return word.amount + word.levy if word.state == GRANTED else 0
    return word.earned


def _promised(kind: type[Word], value: int, epochs: Mapping[int, RatesWord]) -> int:
    try:
        word = kind.unpack(value)
    except BadInput:
        return 0
    if isinstance(word, LicenceWord):
        return owed(word, epochs.get(word.epoch, RatesWord()))
    return word.deposit if isinstance(word, LicenseeWord) else word.earned

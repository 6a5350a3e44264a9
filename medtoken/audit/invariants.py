"""The seven invariants, each held against the ledger and against the state of the chain.

A finding fails when an event broke a rule that belongs to it, when the books do not add up, or when
the chain holds something else than the ledger says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from medtoken.audit import rules
from medtoken.audit.journal import Violation
from medtoken.audit.ledger import Ledger
from medtoken.audit.state import State, market_owes, vault_owes
from medtoken.chain.words import LicenseeWord, RatesWord

# How many violations a detail spells out.
_SHOWN = 10


@dataclass(frozen=True)
class Finding:
    """Whether one invariant holds, and in one sentence why, or what broke it."""

    id: int
    holds: bool
    detail: str
    violations: tuple[Violation, ...] = ()


def judge(ledger: Ledger, state: State) -> tuple[Finding, ...]:
    """All seven findings, for a ledger that is closed and a state read at its end."""
    sums = [*_book_sums(ledger, state.block), *_chain_sums(ledger, state)]
    details = _details(ledger, state)
    findings = []
    for number in range(1, 8):
        broken = [v for v in (*ledger.violations, *sums) if v.invariant == number]
        broken += [v for v in state.differences if number in (7, v.invariant)]
        detail = _list(broken) if broken else details[number]
        findings.append(Finding(number, not broken, detail, tuple(broken)))
    return tuple(findings)


@dataclass(frozen=True)
class _Sum:
    """Two amounts that must be equal, or the second at least the first."""

    invariant: int
    rule: str
    text: str
    expected: int
    actual: int
    at_least: bool = False

    def holds(self) -> bool:
        return self.actual >= self.expected if self.at_least else self.actual == self.expected


def _book_sums(ledger: Ledger, block: int) -> Iterator[Violation]:
    usage, market, treasury = ledger.usage, ledger.market, ledger.treasury
    totals, contribution = market.totals, ledger.contribution
    held = usage.balances.get(usage.market, 0) - usage.gifts.get(usage.market, 0)
    reserve = usage.balances.get(usage.treasury, 0) - usage.gifts.get(usage.treasury, 0)
    by_words = sum(
        rules.owed(found.word, market.epochs.get(found.word.epoch, RatesWord()))
        for found in market.licences.values()
    )
    vault, flows = ledger.royalties, ledger.royalties.totals
    pots = sum(study.books.pot for study in vault.studies.values())
    kept = usage.balances.get(vault.vault, 0) - usage.gifts.get(vault.vault, 0)
    fund = ledger.rewards.rewards
    budget = usage.balances.get(fund, 0) - usage.gifts.get(fund, 0)
    assets = ledger.assets
    granted, revoked = assets.granted
    parts = totals.patients + totals.custodians + totals.annotators + totals.platform
    yield from _broken(
        block,
        _Sum(
            1, "R2", "sum of all balances in the books", usage.supply, sum(usage.balances.values())
        ),
        _Sum(2, "R15", "sum of all parts that were settled", totals.settled, parts),
        _Sum(
            2,
            "R15",
            "what payers paid for licences, against what was settled, returned and is held",
            totals.paid + totals.paid_levy,
            totals.settled
            + totals.levy
            + totals.refunded
            + totals.refunded_levy
            + market.unsettled,
        ),
        _Sum(2, "R15", "licence money held, by payments and by words", market.unsettled, by_words),
        _Sum(
            2,
            "R19",
            "royalties paid and options vested, against the pots",
            flows.paid + flows.vested,
            pots,
        ),
        _Sum(
            2,
            "R15",
            "levies on royalties, handed over and not",
            flows.paid_levy + flows.vested_levy,
            vault.levies + flows.handed_over,
        ),
        _Sum(
            2,
            "R20",
            "options' escrow, against what vested, went back and is held",
            flows.granted,
            flows.vested + flows.vested_levy + flows.returned + vault.escrow,
        ),
        _Sum(3, "R16", "DUT of the treasury in the books", treasury.reserve, reserve),
        _Sum(
            5,
            "R1",
            "sum of all DCT in the books",
            contribution.supply,
            sum(contribution.balances.values()),
        ),
        _Sum(
            7,
            "R5",
            "sum of all GT in the books",
            ledger.governance_tokens.supply,
            sum(ledger.governance_tokens.balances.values()),
        ),
        _Sum(
            7,
            "R4",
            "sum of all RT in the books",
            ledger.research_tokens.supply,
            sum(ledger.research_tokens.balances.values()),
        ),
        _Sum(
            3,
            "R4",
            "what the reserve spent on research, against what licences earned of it and what is held",
            treasury.drawn[ledger.research.till.desk].drawn,
            ledger.research.released + ledger.research.held,
        ),
        _Sum(
            6,
            "R21",
            "trustees' parts that are held, by payments and by the licences' words",
            ledger.trust.held,
            ledger.trust.outstanding,
        ),
        _Sum(
            6,
            "R15",
            "DUT of the market in the books",
            market.deposits + market.earned + market.unsettled,
            held,
        ),
        *(
            _Sum(
                6,
                "R12",
                f"deposit of the desk {till.desk}, against what it holds for others",
                held + till.gifts,
                market.licensees.get(till.desk, LicenseeWord()).deposit,
            )
            for held, till in (
                (ledger.auctions.held, ledger.auctions.till),
                (ledger.baskets.held, ledger.baskets.till),
                (ledger.research.held, ledger.research.till),
                (ledger.trust.held, ledger.trust.till),
            )
        ),
        _Sum(
            6,
            "R19",
            "DUT of the royalty vault in the books",
            vault.unclaimed + vault.levies + vault.escrow + vault.credited,
            kept,
        ),
        _Sum(
            6,
            "R19",
            "credits of the royalty vault, withdrawn and not",
            flows.claimed + flows.returned,
            vault.credited + flows.withdrawn,
        ),
        _Sum(
            3, "R25", "DUT of the budget of donations in the books", ledger.rewards.budget, budget
        ),
        _Sum(
            6,
            "R15",
            "earnings, withdrawn and not",
            parts,
            market.earned + totals.withdrawn,
        ),
        _Sum(
            6,
            "R7",
            "DUT of the disputes in the books: stakes, bonds and credits",
            ledger.disputes.held,
            usage.balances.get(usage.disputes, 0) - usage.gifts.get(usage.disputes, 0),
        ),
        _Sum(
            6,
            "R3",
            "DUT of the asset desk in the books: pots and credits",
            assets.held,
            usage.balances.get(assets.desk, 0) - usage.gifts.get(assets.desk, 0),
        ),
        *(
            _Sum(6, rule, text, book.held, balance - usage.gifts.get(book.address, 0))
            for rule, text, book in (
                ("R23", "DUT of the breach cover in the books: pool and credits", ledger.cover),
                ("R22", "DUT of the compensation fund: what is kept, and credits", ledger.fund),
            )
            for balance in (usage.balances.get(book.address, 0),)
        ),
        _Sum(6, "R3", "what assets withdrew from the market, and booked", *assets.sold),
        _Sum(
            7,
            "R3",
            "consents of the assets' accounts that nobody offered",
            0,
            len(granted ^ {c for a in assets.assets.values() for c in a.offers}),
        ),
        _Sum(
            7,
            "R3",
            "revoked consents of the assets' accounts that nobody took back",
            0,
            len(revoked ^ {c for a in assets.assets.values() for c in a.withdrawn}),
        ),
    )


def _chain_sums(ledger: Ledger, state: State) -> Iterator[Violation]:
    usage = ledger.usage

    def total(contract: str) -> int:
        return sum(v for v in state.all(contract, "balanceOf").values() if isinstance(v, int))

    def one(contract: str, function: str, *args: Any) -> int:
        value = state.one(contract, function, *args)
        return value if isinstance(value, int) else -1

    books = state.one("Treasury", "books")
    levies, burned, reserve = books if isinstance(books, tuple) else (0, 0, -1)
    spent = one("Treasury", "spent")
    supply, contributed = one("UsageToken", "totalSupply"), one("ContributionToken", "totalSupply")
    market = one("UsageToken", "balanceOf", usage.market)
    treasury = one("UsageToken", "balanceOf", usage.treasury)
    vault = one("UsageToken", "balanceOf", ledger.royalties.vault)
    yield from _broken(
        state.block,
        _Sum(1, "R2", "sum of all balances on the chain", supply, total("UsageToken")),
        _Sum(3, "R16", "the reserve on the chain", levies - burned - spent, reserve),
        _Sum(3, "R16", "DUT of the treasury on the chain", reserve, treasury, at_least=True),
        _Sum(5, "R1", "sum of all DCT on the chain", contributed, total("ContributionToken")),
        _Sum(6, "R15", "DUT of the market on the chain", market_owes(state), market, at_least=True),
        _Sum(
            3,
            "R25",
            "DUT of the budget of donations on the chain",
            one("Rewards", "budget"),
            one("UsageToken", "balanceOf", ledger.rewards.rewards),
            at_least=True,
        ),
        _Sum(6, "R19", "DUT of the vault on the chain", vault_owes(state), vault, at_least=True),
    )


def _broken(block: int, *sums: _Sum) -> Iterator[Violation]:
    for found in sums:
        if not found.holds():
            least = "at least " if found.at_least else ""
            yield Violation(
                found.invariant,
                found.rule,
                block,
                None,
                found.text,
                f"{least}{found.expected}",
                str(found.actual),
            )


def _list(broken: list[Violation]) -> str:
    lines = [str(v) for v in broken[:_SHOWN]]
    if len(broken) > _SHOWN:
        lines.append(f"and {len(broken) - _SHOWN} more")
    return "; ".join(lines)


def _details(ledger: Ledger, state: State) -> dict[int, str]:
    """What each invariant's finding says when it holds. Amounts are base units."""
    usage, market, treasury, counts = ledger.usage, ledger.market, ledger.treasury, ledger.counts
    totals, flows, vault = market.totals, ledger.royalties.totals, ledger.royalties
    holders = sum(1 for amount in usage.balances.values() if amount)
    bought, topped_up, used, redeemed, settled, closed, recovered = (
        counts[name]
        for name in (
            "DataMarket.LicenceBought",
            "DataMarket.LicenceToppedUp",
            "DataMarket.LicenceUsed",
            "DataMarket.VoucherRedeemed",
            "DataMarket.LicenceSettled",
            "DataMarket.LicenceClosed",
            "ContributionToken.Recovered",
        )
    )
    desks = ledger.auctions.held + ledger.baskets.held + ledger.research.held + ledger.trust.held
    return {
        1: f"{holders} balances add up to the supply of {usage.supply} = "
        f"{usage.minted} minted - {usage.burned} burned",
        2: f"{settled} settlements: {totals.paid + totals.paid_levy} paid = {totals.settled} split + "
        f"{totals.levy} levy + {totals.refunded + totals.refunded_levy} returned + "
        f"{market.unsettled} held; royalties: {flows.paid} paid + {flows.vested} vested = "
        f"{flows.claimed} claimed + {vault.unclaimed} in the pots",
        3: f"reserve of {treasury.reserve} = {treasury.levies} levies - {treasury.burned} burned - "
        f"{treasury.spent} spent within budgets",
        4: f"{bought} purchases, {topped_up} top-ups, {used} uses, {redeemed} vouchers, {settled} "
        f"settlements and {closed} closings, each inside a live consent and licence, a voucher "
        "inside its window, or paying what was earned while they lived",
        5: f"{ledger.contribution.supply} DCT, all minted by attestation; {recovered} recoveries, "
        "no other move",
        6: f"the market holds {usage.balances.get(usage.market, 0)} and owes {market.deposits} of "
        f"deposits ({desks} of them in desks), "
        f"{market.earned} of earnings and {market.unsettled} of licence money; the royalty "
        f"vault holds {usage.balances.get(vault.vault, 0)} and owes {vault.unclaimed} to members of "
        f"studies, {vault.credited} credited, {vault.escrow} of options, {vault.levies} of levies; "
        f"the disputes hold {ledger.disputes.held} of stakes, bonds and credits; the asset desk holds "
        f"{ledger.assets.held} of lineages and credits; the breach cover holds {ledger.cover.held}, "
        f"{ledger.cover.pool} of them in its pool, and the compensation fund {ledger.fund.held}, "
        f"{ledger.fund.kept} of them kept",
        7: f"{state.reads} values on the chain at block {state.block} are what {ledger.events} events "
        "give",
    }

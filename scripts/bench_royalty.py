#!/usr/bin/env python3
"""Royalties of studies with ten, a thousand and a million contributors, on a private Anvil.

What is paid in and claimed costs the same whatever the size, and sums to the base unit: everybody's share
is computed; payments, and the proofs and claims of a sample, are real transactions that must credit
exactly that. Ends with an error when one base unit is missing, else writes costs and sums.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from _bench import report

from medtoken.chain.contracts import RoyaltyVault, Suite, study_id
from medtoken.chain.devnet import anvil
from medtoken.chain.node import Receipt
from medtoken.demo.people import Cast, deploy_devnet
from medtoken.errors import InvariantViolated
from medtoken.home import Home
from medtoken.merkle import verify
from medtoken.messages import DUT
from medtoken.royalty import Roster, Rule, claim_batches, join_batches, leaf
from medtoken.royalty._batches import MAX_CLAIMS
from medtoken.royalty._ledger import dust, share

# What the product sells in each period: odd amounts, so that nothing divides evenly.
SALES = (1_234_567 * DUT + 1, 89_012_345 * DUT // 7, 3_333_333 * DUT + 10**17)
# R1: thousandths per unit by kind, and how many thousandths of a unit a record may hold.
_KINDS = ((1000, 1000), (1000, 3000), (3000, 1000), (5000, 1000), (10, 1000))
_ALONE = 5


@dataclass
class Figures:
    """What one size came to."""

    contributors: int
    depth: int = 0  # of the proof
    seconds: dict[str, float] = field(default_factory=dict)
    gas: dict[str, int] = field(default_factory=dict)
    conservation: dict[str, Any] = field(default_factory=dict)


def cohort(count: int, seed: int) -> Iterator[tuple[bytes, int]]:
    """Accounts and weights of a made-up study: records of every kind and quality, by R1 and R18."""
    draw, rule = random.Random(seed), Rule()  # noqa: S311  no secret
    for i in range(count):
        coefficient, most = draw.choice(_KINDS)
        points = draw.randrange(40, 201)
        minted = draw.randrange(1, most + 1) * coefficient * (100 + 2 * points) * 10**12
        uses = draw.randrange(1, 40)
        weight = rule.weigh(minted, points // 2, uses, cross=draw.random() < 0.25)
        yield hashlib.sha256(b"%d contributor %d" % (seed, i)).digest()[:20], weight


def simulate(
    suite: Suite,
    people: Cast,
    sizes: tuple[int, ...],
    *,
    seed: int = 1,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Run a study of each size; raises InvariantViolated when a unit is missing anywhere."""
    suite.usage.send(people["pharma"], "approve", suite.royalties.address, 2**256 - 1)
    figures, owed, credited = [], 0, 0
    for number, size in enumerate(sizes, 1):
        study = _Study(suite, people, number, size, seed, progress)
        study.run()
        figures.append(study.figures)
        owed += study.left
        credited += study.credited
    held = suite.usage.balance(suite.royalties.address)
    _must(held == owed + credited, f"The vault holds {held}, and owes {owed + credited}.")
    return {
        "sizes": [vars(f) for f in figures],
        "flat": {
            name: [f.gas[name] for f in figures] for name in ("pay_in", "claim", "claim_batch_each")
        },
        "vault": {"holds": str(held), "pots_and_levies": str(owed), "balances": str(credited)},
        "peak_memory_mb": _peak(),
    }


class _Study:
    def __init__(
        self,
        suite: Suite,
        people: Cast,
        number: int,
        size: int,
        seed: int,
        progress: Callable[[str], None],
    ) -> None:
        self.suite = suite
        self.vault: RoyaltyVault = suite.royalties
        self.people = people
        self.number = number
        self.payer = people["pharma"].address
        self.study = study_id(self.payer, number)
        self.figures = Figures(size)
        self.seed = seed
        self.progress = progress
        self.draw = random.Random(seed + size)  # noqa: S311  no secret
        self.left = 0  # of pot and levy when all is done
        self.credited = 0

    def run(self) -> None:
        size = self.figures.contributors
        roster = self._timed("roster", lambda: Roster(self.study, cohort(size, self.seed)))
        self._timed("tree", lambda: roster.root)
        self.progress(f"{size:,} contributors: root 0x{roster.root.hex()[:16]}…, {_peak()} MB")
        self._proofs(roster)
        started = time.perf_counter()
        self._chain(roster)
        self.figures.seconds["chain"] = round(time.perf_counter() - started, 2)

    def _proofs(self, roster: Roster) -> None:
        """Prove a thousand lines, off the chain."""
        size = len(roster)
        lines = [self.draw.randrange(size) for _ in range(1000)]
        members = self._timed("proofs_1000", lambda: [roster.member(i) for i in lines])
        self.figures.depth = max(len(m.proof) for m in members)
        for m in members:
            raw = bytes.fromhex(m.account[2:])
            found = verify(m.proof, roster.root, leaf(self.study, m.index, raw, m.weight))
            _must(found, f"The proof of line {m.index} leads elsewhere.")

    def _chain(self, roster: Roster) -> None:
        vault, relay, size = self.vault, self.people["relay"], len(roster)
        gas = self.figures.gas
        self._seal(roster)
        # The first and the last line, and others at random.
        lines = {0, size - 1, *(self.draw.randrange(size) for _ in range(MAX_CLAIMS + 20))}
        sample = [roster.account(i) for i in sorted(lines)]
        weight = {roster.account(i): roster.weights[i] for i in lines}
        pots, got = [], dict.fromkeys(sample, 0)

        def credit(receipt: Receipt) -> Receipt:
            for log in vault.events(receipt.logs, "RoyaltyClaimed"):
                got[log.args["account"]] += log.args["amount"]
            return receipt

        pots.append(self._bring(1))
        # Half of the sample joins after the first payment, one by one or together, the rest late.
        early = sample[: max(len(sample) // 2, 1)]
        first = roster.index(early[0])
        assert first is not None  # noqa: S101  it was drawn from the roster
        gas["first_claim"] = credit(vault.join(relay, self.study, roster.member(first))).gas
        for joins in join_batches(roster, early[1:]):
            gas["first_claim_batch_each"] = credit(
                vault.join_many(relay, self.study, joins)
            ).gas // len(joins)
        pots.append(self._bring(2))
        for account in early[:_ALONE]:
            gas["claim"] = credit(vault.claim(relay, self.study, account)).gas
        for joins in join_batches(roster, sample[len(early) :]):
            credit(vault.join_many(relay, self.study, joins))
        pots.append(self._bring(3))
        for accounts in claim_batches(sample):
            each = credit(vault.claim_many(relay, self.study, accounts)).gas // len(accounts)
            gas.setdefault("claim_batch_each", each)
        for account in sample:
            mine = share(pots[-1], weight[account], roster.total)
            found = got[account]
            _must(found == mine, f"{account} was credited with {found}, and earned {mine}.")
            _must(vault.earnings(account).earned >= mine, f"{account} lacks its balance.")
        self._conserve(roster, pots, sum(got.values()))

    def _seal(self, roster: Roster) -> None:
        vault = self.vault
        vault.seal(
            self.people["hospital"],
            self.payer,
            self.number,
            roster.root,
            roster.total,
            len(roster),
            hashlib.sha256(roster.root).digest(),
        )
        self.suite.node.rpc("evm_increaseTime", vault.settings().window)
        self.suite.node.rpc("evm_mine")
        vault.undertake(self.people["pharma"], self.number, roster.root)

    def _bring(self, period: int) -> int:
        """Attest a period's sales and pay; returns the pot."""
        vault = self.vault
        evidence = hashlib.sha256(b"report %d" % period).digest()
        operator, relay = self.people["operator"], self.people["relay"]
        vault.attest_sales(operator, self.study, period, SALES[period - 1], evidence)
        due = vault.books(self.study).due
        self.figures.gas["pay_in"] = vault.pay(relay, self.payer, self.number, due).gas
        return vault.books(self.study).pot

    def _conserve(self, roster: Roster, pots: list[int], credited: int) -> None:
        """Everybody's shares after each payment, of all contributors, against the pots."""
        started = time.perf_counter()
        dusts = [dust(pot, roster.weights, roster.total) for pot in pots]
        for pot, rest in zip(pots, dusts, strict=True):
            _must(0 <= rest < len(roster), f"{rest} base units of {pot} are nobody's.")
        books, shares = self.vault.books(self.study), self.vault.shares(self.study)
        _must(shares.claimed == credited, "What was claimed is not what was credited.")
        _must(books.pot == pots[-1], "The pot is not what was paid in.")
        self.left = books.pot - shares.claimed + books.levy
        self.credited = credited
        self.figures.seconds["conservation"] = round(time.perf_counter() - started, 2)
        self.figures.conservation = {
            "pots": [str(p) for p in pots],
            "everybodys_shares": [str(p - d) for p, d in zip(pots, dusts, strict=True)],
            "dust_carried": [str(d) for d in dusts],
            "credited_to_the_sample": str(credited),
        }

    def _timed(self, name: str, act: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        made = act()
        self.figures.seconds[name] = round(time.perf_counter() - started, 2)
        return made


def _must(holds: bool, sentence: str) -> None:
    if not holds:
        raise InvariantViolated(sentence)


def _peak() -> int:
    """The process's largest memory so far, MB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most // (2**20 if sys.platform == "darwin" else 2**10)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="build/bench/royalty.json")
    parser.add_argument("--contributors", type=int, default=1_000_000, metavar="N")
    args = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, anvil() as node:
        suite, people = deploy_devnet(node, Home(folder), lambda line: None)
        sizes = (10, 1_000, args.contributors)
        result = simulate(suite, people, sizes, progress=print)
    result["seconds"] = round(time.perf_counter() - started, 1)
    print(
        f"{'contributors':>12} {'pay in':>8} {'claim':>8} {'of 100':>8} {'first':>8} {'of 50':>8}"
    )
    for f in result["sizes"]:
        gas = f["gas"]
        names = ("pay_in", "claim", "claim_batch_each", "first_claim", "first_claim_batch_each")
        shown = " ".join(f"{gas[n]:>8,}" for n in names)
        print(f"{f['contributors']:>12,} {shown}")
    last = result["sizes"][-1]["conservation"]
    print(
        f"dust of the last pot: {last['dust_carried'][-1]} base units of {last['pots'][-1]}; "
        f"{result['seconds']} s, {result['peak_memory_mb']} MB"
    )
    report.write(args.out, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())

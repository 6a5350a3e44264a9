"""Every contract of the suite in one history: no money appears, and the auditor finds nothing.

The game of ``test_economy`` with everybody in it: all forms of licence, vouchers, baskets, auctions,
royalties, options, storage, credit and redemption, while officers pause, suspend, freeze, recover,
change rates, the window, the agreement, references and the ceiling, and records are corrected and
destroyed; amounts are also none and more than there is. Then:

W1. All DUT is where balances say, and the supply is what was issued less what was burned and redeemed.
W2. The ledger that the auditor makes of the logs alone is what every contract answers, slots that no view
    shows included, and no rule was broken (its seven invariants).
W3. When all is over everybody is paid: the market, the vault and the budget of donations then hold what
    their ledger says that they owe, and DUT, DCT and GT can go down to nothing and come back.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from stateful import even
from stateful.chain import audit
from stateful.test_economy import ACTIONS, Coalition, stage, tag
from support.desks import DUT, YEAR
from support.holdings import Shelf
from support.recording import RecordingEvm
from support.world import DAY, KEY_BITS, MILLION, Actor

from medtoken.audit import Report
from medtoken.deploy.roles import Role

HUGE = 2**255
MILESTONE = b"\x0b" * 32
EXTRA = (
    *("store", "prove", "prove", "pause", "suspend", "freeze", "rates", "rates", "ceiling"),
    *("ceiling", "window", "agreement", "reference", "destroy", "correct", "recover", "extreme"),
    *("burn", "fund", "issue", "pause", "voucher", "voucher", "pay"),
)


class Everybody(Coalition):
    """What officers and custodians do while the others deal."""

    def __init__(self, world: Any) -> None:
        super().__init__(world)
        self.shelf = Shelf(world, world.people.other_custodian, world.people.attester)

    def store(self, a: int, b: int) -> None:
        with self.perhaps():
            self.shelf.add(5_000 + a, owner=str(self.patients[b % 2]))
            self.shelf.commit()

    def prove(self, a: int, b: int) -> None:
        """A challenge that is answered, or one that is missed."""
        metered = [ref for ref in self.refs if a % 2]
        for ref in metered[:3]:
            with self.perhaps():
                self.w.storage.mark_calls([ref])
        with self.perhaps():
            self.shelf.challenge(7 * DAY)
        with self.perhaps():
            if b % 4:
                self.shelf.answer()
            else:
                self.w.evm.warp(2 * DAY)
                self.w.storage.fail(self.shelf.number)

    def pause(self, a: int, b: int) -> None:
        with self.perhaps():
            if b % 4:
                self.w.unpause()
            else:
                self.w.pause()

    def suspend(self, a: int, b: int) -> None:
        ref = self._pick(self.refs, a)
        if ref is not None:
            with self.perhaps():
                args = (self.w.licence_id(ref), b % 2 == 0)
                self.w.market.set_suspended(*args, sender=self.w.people.supervisor)

    def freeze(self, a: int, b: int) -> None:
        who = self._pick((*self.members, *self.honest), a)
        with self.perhaps():
            self.w.dut.setFrozen(who, b % 3 == 0, sender=self.w.people.sanctions)

    def rates(self, a: int, b: int) -> None:
        levy = (0, 1, 500, 1_000)[b % 4]
        rates = {"provider": 7_000 - a, "annotator": 2_000, "platform": 1_000 + a, "levy": levy}
        with self.perhaps():
            self.w.as_timelock(self.w.market, "set_rates", rates)
        with self.perhaps():
            self.vault.follow_levy()

    def voucher(self, a: int, b: int) -> None:
        """A metered licence whose calls are acknowledged off the chain, then topped up and settled."""
        consent = self._pick(self.consents, a)
        if consent is None:
            return
        salt = int(self.licensee, 16) | (len(self.refs) + 1) << KEY_BITS
        with self.perhaps():
            ref = self.w.buy(consent, units=b % 30 + 1, salt=salt)
            self._book()
            self.w.redeem(self.w.voucher(ref, b % 20, signer=self.licensee))
            self.w.market.top_up(ref, a + 1, sender=self.licensee)
            self.w.settle(ref)

    def pay(self, a: int, b: int) -> None:
        """A royalty is paid, an option vests, and the levies of both are handed over."""
        study = self._pick(self.studies, a)
        if study is None:
            return
        for pays in (lambda: study.bring((b + 1) * DUT), lambda: study.grant(DUT, DAY, MILESTONE)):
            with self.perhaps():
                pays()
        for ends in (lambda: study.vest(MILESTONE), lambda: self.vault.hand_over([study.id])):
            with self.perhaps():
                ends()

    def ceiling(self, a: int, b: int) -> None:
        """Mostly below the supply, so that levies burn."""
        with self.perhaps():
            self.w.as_timelock(self.w.treasury, "set_ceiling", (0, 0, HUGE)[a % 3])
        with self.perhaps():
            self.w.as_timelock(self.w.treasury, "set_burn_share", (0, 1, 5_000, 10_000)[b % 4])

    def window(self, a: int, b: int) -> None:
        with self.perhaps():
            self.w.as_timelock(self.w.market, "set_window", a % 31 * DAY)

    def agreement(self, a: int, b: int) -> None:
        """Nobody buys under another text than that in force: for a while, nobody at all."""
        with self.perhaps():
            self.w.as_timelock(self.w.market, "set_agreement", self.w.fresh("agreement"))
        self.buy(a, b)
        with self.perhaps():
            self.w.as_timelock(self.w.market, "set_agreement", self.w.undertaking()["agreement"])

    def reference(self, a: int, b: int) -> None:
        amount = (0, 85 * 10**9, 50 * DUT, MILLION * DUT)[a % 4]
        with self.perhaps():
            self.w.as_timelock(self.w.tariff, "set_reference", 1, amount)

    def destroy(self, a: int, b: int) -> None:
        record = self._pick(self.records, a)
        if record is not None and b % 2:
            for custodian in self.custodians:
                with self.perhaps():
                    self.w.registry.destroy(record, b"\1" * 32, sender=custodian)

    def correct(self, a: int, b: int) -> None:
        if self.files:
            (custodian, file), record = self._pick(list(self.files.items()), a)
            owner = str(self._owner(record))
            with self.perhaps():
                draft = {"tag": tag(file), "owner": owner, "annotator": 0, "previous": record}
                version = self.w.register(sender=custodian, **draft)
                self.records.append(version)
                self.w.attest(version)

    def recover(self, a: int, b: int) -> None:
        """R41: all of one account's DCT goes to the other."""
        manager, office = self.w.manager, self.w.people.relay
        with self.perhaps():
            self.w.as_timelock(manager, "grantRole", int(Role.RECOVERY), office, 0)
        one, two = self.patients if a % 2 else self.patients[::-1]
        for token in (self.w.dct, self.w.gt):
            with self.perhaps():
                token.recover(one, two, sender=office)

    def extreme(self, a: int, b: int) -> None:
        """Nothing, one base unit, and more than there can be, wherever an amount is given."""
        w, me = self.w, self.licensee
        amount = (0, 1, HUGE, 2**256 - 1)[a % 4]
        calls = (
            lambda: w.market.deposit(me, amount, sender=me),
            lambda: w.market.reclaim(amount, sender=me),
            lambda: w.dut.transfer(w.market.address, amount, sender=me),
            lambda: w.dut.transfer(w.treasury.address, amount, sender=me),
            lambda: w.dut.transfer(self.vault.address, amount, sender=me),
            lambda: w.dut.transfer(self.rewards.rewards.address, amount, sender=me),
            lambda: self.rewards.rewards.fund(amount, sender=w.people.other_licensee),
            lambda: w.fund(me, amount),
        )
        with self.perhaps():
            calls[b % len(calls)]()

    def burn(self, a: int, b: int) -> None:
        """R26: everything that an account has, down to nothing."""
        token, who = b % 2, self._pick(self.members, a)
        held = int((self.w.dct, self.w.gt)[token].balanceOf(who))
        if held:
            with self.perhaps():
                self.rewards.service(9, token=token, price=held)
                self.rewards.redeem(who, service=9, price=held)

    def fund(self, a: int, b: int) -> None:
        with self.perhaps():
            self.rewards.rewards.fund((a + 1) * DUT, sender=self.w.people.other_licensee)

    def issue(self, a: int, b: int) -> None:
        with self.perhaps():
            self.w.fund(self.licensee, (a + 1) * 1_000 * DUT)
            self.w.market.deposit(self.licensee, (a + 1) * 900 * DUT, sender=self.licensee)

    # ------------------------------------------------------------- what must hold

    def audited(self) -> Report:
        """W2, and that what the auditor asked of the contracts was much."""
        evm = self.w.evm
        assert isinstance(evm, RecordingEvm)
        addresses = {name: contract.address for name, contract in self.w.suite.items()}
        report = audit(evm, addresses)
        broken = [f"{f.id}: {f.detail}" for f in report.invariants if not f.holds]
        assert not broken, f"W2: the auditor finds {broken}"
        return report

    def all_of_it(self, report: Report) -> None:
        """W1."""
        balances = report.ledger.usage.balances
        held = sum(int(self.w.dut.balanceOf(who)) for who in balances)
        supply = int(self.w.dut.totalSupply())
        assert held == supply, "W1: DUT is where nobody knows"
        assert supply == report.ledger.usage.minted - report.ledger.usage.burned, "W1"

    def end(self) -> Counter[str]:
        """W3: everything stops, and everybody takes what is theirs. How often which event came."""
        w, p = self.w, self.w.people
        everybody = (*self.members, *self.honest, p.platform, p.exchange)
        for who in everybody:
            w.dut.setFrozen(who, False, sender=p.sanctions)
            w.admit(who)
        w.evm.warp(4 * YEAR)
        for offer in self.offers:
            with self.perhaps():
                w.give_back(offer)
        for terms in self.baskets:
            with self.perhaps():
                w.close(terms)
        ledger = self.audited().ledger
        for bought in ledger.market.licences.values():
            w.settle(vars(bought.ref))
        for study in self.studies:
            self.claim(self.studies.index(study), 0)
        for who in everybody:
            for place, domain in ((w.market, w.domain), (self.vault, self.royalties.domain)):
                self.take_out(who, place, domain)
            if w.deposit_of(who):
                w.license(who)
                w.market.reclaim(w.deposit_of(who), sender=who)
            held = int(w.dut.balanceOf(who))
            if held and who != p.exchange:
                w.dut.transfer(p.exchange, held, sender=who)
        held = int(w.dut.balanceOf(p.exchange))
        w.dut.redeem(held, w.fresh("payment"), sender=p.exchange)
        report = self.audited()
        self.all_of_it(report)
        assert all(w.deposit_of(who) == w.earned(who) == 0 for who in everybody), "W3"
        w.fund(p.exchange, DUT)
        assert int(w.dut.balanceOf(p.exchange)) == DUT
        return report.ledger.counts

    def take_out(self, who: Actor, place: Any, domain: Any) -> None:
        if place is self.vault:
            amount = self.royalties.credited(who)
            if amount:
                self.royalties.withdraw(self.royalties.withdrawal(who, amount), who)
        elif self.w.earned(who):
            self.w.withdraw(self.w.withdrawal(who, self.w.earned(who)), who)


def _play(examples: int, steps: int, first: int | None = None) -> Counter[str]:
    """So many histories; with a first number, always the same ones. What happened how often."""
    number, happened = st.integers(0, 255), Counter[str]()
    move = st.tuples(st.sampled_from(ACTIONS + EXTRA), number, number)

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        backend=even.NAME,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(move, min_size=steps, max_size=steps))
    def play(chosen: list[tuple[str, int, int]]) -> None:
        world = stage()
        if not BEGUN:
            BEGUN.update(Everybody(world).audited().ledger.counts)
        with world.evm.anchor():
            everybody = Everybody(world)
            for action, a, b in chosen:
                getattr(everybody, action)(a, b)
            everybody.all_of_it(everybody.audited())
            happened.update(everybody.end() - BEGUN)

    (play if first is None else seed(first)(play))()
    return happened


BEGUN: Counter[str] = Counter()  # events of the deployment, and of how everybody settled in
# What a campaign must have come to, or it has shown nothing.
OFTEN = {
    f"{contract}.{event}"
    for contract, events in {
        "DataMarket": "LicenceBought LicenceUsed VoucherRedeemed LicenceSettled LicenceClosed "
        "LicenceToppedUp LicenceSuspended ConsentRevoked PauseChanged RatesChanged Withdrawn",
        "AuctionHouse": "AuctionOpened AuctionBid AuctionAwarded",
        "BasketDesk": "BasketReserved BasketTaken BasketClosed",
        "RoyaltyVault": "RoyaltyPaid RoyaltyClaimed LevyHandedOver OptionGranted OptionVested",
        "StorageRewards": "HoldingCommitted ChallengeOpened StorageProven ChallengeFailed",
        "Rewards": "PointsEarned BadgeAwarded BudgetFunded DonationDirected Redeemed",
        "ContributionToken": "Recovered",
        "RecordRegistry": "RecordDestroyed",
        "Tariff": "ScarcityChanged ReferenceChanged",
        "Treasury": "LevyReceived",
        "UsageToken": "Issued Redeemed StandingChanged",
    }.items()
    for event in events.split()
}


def test_the_whole_suite_in_one_history() -> None:
    happened = _play(examples=2, steps=100, first=1)
    assert len(OFTEN & happened.keys()) > 28


@pytest.mark.slow
def test_the_whole_suite_in_a_long_campaign() -> None:
    happened = _play(examples=60, steps=150)
    assert happened.keys() >= OFTEN, f"never: {OFTEN - happened.keys()}"

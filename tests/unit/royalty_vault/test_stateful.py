"""Conservation, whatever happens in whatever order: the vault against a plain model of its books.

The invariants: (1) what the vault holds is, to the base unit, what it owes: pots not yet claimed, levies
not yet handed over, options in escrow, balances; (2) nobody is ever credited with more than
floor(pot × weight / total), and a member who just claimed with exactly that; (3) claimed never exceeds
the pot, of a wrong roster either; (4) every word of studies, members and balances follows
from the events alone.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.evm import Reverted
from support.royalties import EVIDENCE, REASON, WINDOW, Stage, Study
from support.sweep import times
from support.world import DAY, Actor, World

from medtoken.chain.contracts import option_id, study_id
from medtoken.chain.words import (
    BooksWord,
    EarningsWord,
    MemberWord,
    OptionWord,
    PeriodWord,
    SharesWord,
    StudyWord,
)

GRAIN = 10**9
ACTORS = [Actor(f"member {i}") for i in range(6)]
# From one unit to the most that a record can earn, times many records; sums stay below 2^96.
WEIGHTS = st.sampled_from([1, 2, 3, 7, 10**7, 5 * 10**10, 2**64, 2**92])
AMOUNTS = st.sampled_from([1, 2, 3, 1000, 10**9, 10**12, 7 * 10**13]).map(lambda n: n * GRAIN)


# ---------------------------------------------------------------- the ledger from the events alone


@dataclass
class Replay:
    """Every word of the vault, from nothing but its events."""

    studies: dict[bytes, StudyWord] = field(default_factory=dict)
    roots: dict[bytes, bytes] = field(default_factory=dict)
    books: dict[bytes, dict[str, int]] = field(default_factory=dict)
    shares: dict[bytes, dict[str, int]] = field(default_factory=dict)
    members: dict[tuple[bytes, str], MemberWord] = field(default_factory=dict)
    periods: dict[tuple[bytes, int], PeriodWord] = field(default_factory=dict)
    options: dict[bytes, OptionWord] = field(default_factory=dict)
    balances: dict[str, list[int]] = field(default_factory=dict)

    def take(self, event: str, a: dict[str, Any]) -> None:
        getattr(self, f"_{event}", lambda a: None)(a)

    def _credit(self, who: str, amount: int) -> None:
        self.balances.setdefault(who, [0, 0])[0] += amount

    def _StudySealed(self, a: dict[str, Any]) -> None:  # noqa: N802  the event's name
        study = a["study"]
        assert study == study_id(a["payer"], a["number"])
        self.studies[study] = StudyWord(a["payer"], a["opens"], a["rate"])
        self.roots[study] = a["root"]
        self.shares[study] = {"total": a["total"], "claimed": 0, "count": a["count"]}
        self.books.setdefault(study, {"pot": 0, "due": 0, "levy": 0, "period": 0})

    def _StudyCancelled(self, a: dict[str, Any]) -> None:  # noqa: N802
        del self.studies[a["study"]], self.roots[a["study"]], self.shares[a["study"]]

    def _StudyUndertaken(self, a: dict[str, Any]) -> None:  # noqa: N802
        old = self.studies[a["study"]]
        self.studies[a["study"]] = StudyWord(old.payer, old.opens, old.rate, True)

    def _SalesAttested(self, a: dict[str, Any]) -> None:  # noqa: N802
        book = self.books[a["study"]]
        last = self.periods.get((a["study"], book["period"]), PeriodWord()).mark
        word = PeriodWord(last + a["royalty"], a["sales"], True)
        self.periods[a["study"], a["period"]] = word
        book["due"] += a["royalty"]
        book["period"] = a["period"]

    def _RoyaltyWaived(self, a: dict[str, Any]) -> None:  # noqa: N802
        self.books[a["study"]]["due"] -= a["amount"]

    def _RoyaltyPaid(self, a: dict[str, Any]) -> None:  # noqa: N802
        book = self.books[a["study"]]
        book["due"] -= a["amount"]
        book["pot"] += a["amount"]
        book["levy"] += a["levy"]

    def _LevyHandedOver(self, a: dict[str, Any]) -> None:  # noqa: N802
        self.books[a["study"]]["levy"] -= a["amount"]

    def _MemberJoined(self, a: dict[str, Any]) -> None:  # noqa: N802
        mark = self.books[a["study"]]["pot"]
        self.members[a["study"], a["account"]] = MemberWord(a["weight"], mark)

    def _RoyaltyClaimed(self, a: dict[str, Any]) -> None:  # noqa: N802
        old = self.members[a["study"], a["account"]]
        mark = self.books[a["study"]]["pot"]
        self.members[a["study"], a["account"]] = MemberWord(old.weight, mark)
        self.shares[a["study"]]["claimed"] += a["amount"]
        self._credit(a["account"], a["amount"])

    def _OptionGranted(self, a: dict[str, Any]) -> None:  # noqa: N802
        option = option_id(a["study"], a["funder"], a["milestone"])
        self.options[option] = OptionWord(a["amount"], a["levy"], a["expiry"], 1)

    def _OptionVested(self, a: dict[str, Any]) -> None:  # noqa: N802
        self._settle(a, 2)
        self.books[a["study"]]["pot"] += a["amount"]
        self.books[a["study"]]["levy"] += a["levy"]

    def _OptionReturned(self, a: dict[str, Any]) -> None:  # noqa: N802
        self._settle(a, 3)
        self._credit(a["funder"], a["amount"])

    def _settle(self, a: dict[str, Any], state: int) -> None:
        option = option_id(a["study"], a["funder"], a["milestone"])
        old = self.options[option]
        self.options[option] = OptionWord(old.amount, old.levy, old.expiry, state)

    def _Withdrawn(self, a: dict[str, Any]) -> None:  # noqa: N802
        self.balances[a["account"]][0] -= a["amount"]
        self.balances[a["account"]][1] += 1


# ---------------------------------------------------------------- the machine


@dataclass
class Modelled:
    study: Study
    weights: dict[Actor, int]
    honest: bool
    brought: int = 0
    due: int = 0
    got: dict[Actor, int] = field(default_factory=dict)


class Machine(RuleBasedStateMachine):
    """Everything that can be done to the vault, and nothing else."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.exits = ExitStack()
        self.exits.enter_context(self.world.evm.anchor())
        self.stage = Stage(self.world)
        self.vault = self.stage.vault
        self.studies: list[Modelled] = []
        self.options: list[tuple[Modelled, bytes, int]] = []
        self.withdrawn: dict[str, int] = {}
        self.replay = Replay()
        self.paused = False
        self.reserve = self.world.treasury.books()[0]

    def teardown(self) -> None:
        self.exits.close()

    def note(self) -> None:
        """Take the last transaction's events, once."""
        for log in self.world.evm.logs:
            if log.contract == "RoyaltyVault":
                self.replay.take(log.event, log.args)
        self.world.evm.logs = []

    def pick(self, data: st.DataObject) -> Modelled:
        return data.draw(st.sampled_from(self.studies), label="study")

    @initialize(weights=st.lists(WEIGHTS, min_size=1, max_size=6))
    def first(self, weights: list[int]) -> None:
        self._new(weights, off=0)

    @precondition(lambda self: len(self.studies) < 4)
    @rule(weights=st.lists(WEIGHTS, min_size=1, max_size=6), off=st.sampled_from([0, 0, 0, 1, -1]))
    def another(self, weights: list[int], off: int) -> None:
        self._new(weights, off)

    def _new(self, weights: list[int], off: int) -> None:
        named = dict(zip(ACTORS, weights, strict=False))
        # A wrong roster's total is half of what its lines weigh, or twice.
        total = sum(weights)
        total = max(total // 2, *weights, len(weights)) if off < 0 else total << max(off, 0)
        study = self.stage.seal(named, total=total)
        self.note()
        self.world.evm.warp(WINDOW)
        self.vault.undertake(study.number, study.roster.root, sender=study.payer)
        self.note()
        self.studies.append(Modelled(study, named, total == sum(weights)))

    @rule(data=st.data(), royalty=AMOUNTS | st.just(0), rest=st.integers(0, 99))
    def sell(self, data: st.DataObject, royalty: int, rest: int) -> None:
        m = self.pick(data)
        sales = max(royalty * 100 - rest, 0)
        got = m.study.attest(sales)
        assert got % GRAIN == 0
        assert 0 <= got * 100 - sales < 100 * GRAIN
        m.due += got
        self.note()

    @rule(data=st.data())
    def waive(self, data: st.DataObject) -> None:
        m = self.pick(data)
        if m.due:
            amount = data.draw(st.integers(1, m.due // GRAIN)) * GRAIN
            self.vault.waive(m.study.id, amount, REASON, sender=self.stage.people.council)
            m.due -= amount
            self.note()

    @rule(data=st.data(), part=st.sampled_from([1, 2, 3, 10]))
    def pay(self, data: st.DataObject, part: int) -> None:
        m = self.pick(data)
        amount = m.due // GRAIN // part * GRAIN
        if not amount:
            return
        payer = m.study.payer
        before = self.stage.dut.balanceOf(payer)
        if self.paused or before < amount * 105 // 100:
            with pytest.raises(Reverted):
                m.study.pay(amount)
            return
        m.study.pay(amount)
        self.note()
        assert before - self.stage.dut.balanceOf(payer) == amount + amount // 20
        m.due -= amount
        m.brought += amount

    @rule(data=st.data(), amount=AMOUNTS)
    def bring(self, data: st.DataObject, amount: int) -> None:
        """Sell and pay at once: most of what happens follows a payment."""
        m = self.pick(data)
        held = self.stage.dut.balanceOf(m.study.payer)
        if not self.paused and held >= (m.due + amount) * 105 // 100:
            m.study.attest(amount * 100)
            self.note()
            m.study.pay()
            self.note()
            m.brought += m.due + amount
            m.due = 0

    def _deserved(self, m: Modelled, who: Actor) -> int:
        return m.brought * m.weights[who] // m.study.shares.total

    @rule(data=st.data(), who=st.sampled_from(ACTORS))
    def claim(self, data: st.DataObject, who: Actor) -> None:
        """By proof the first time, without later."""
        m = self.pick(data)
        if who not in m.weights:
            with pytest.raises(Reverted, match="royalty: not a member yet"):
                m.study.claim(who)
            return
        try:
            got = m.study.claim(who) if who in m.got else m.study.join(who)
        except Reverted as refusal:
            assert str(refusal) == "royalty: more than the pot holds"
            assert not m.honest
            return
        self.note()
        m.got[who] = m.got.get(who, 0) + got
        assert m.got[who] == self._deserved(m, who)

    @rule(data=st.data())
    def claim_together(self, data: st.DataObject) -> None:
        m = self.pick(data)
        who = data.draw(st.lists(st.sampled_from(ACTORS), max_size=12), label="members")
        who = [w for w in who if w in m.got]
        if not m.honest:
            return
        got = self.vault.claim_many(m.study.id, who, sender=self.stage.people.stranger)
        self.note()
        missing = sum(self._deserved(m, w) - m.got[w] for w in set(who))
        assert got == missing
        for w in set(who):
            m.got[w] = self._deserved(m, w)

    @rule(data=st.data())
    def join_together(self, data: st.DataObject) -> None:
        """With lines that joined before among them, and lines twice."""
        m = self.pick(data)
        if not m.honest:
            return
        names = st.sampled_from(list(m.weights))
        who = data.draw(st.lists(names, min_size=1, max_size=8), label="members")
        lines = [vars(m.study.roster.member(m.study.roster.index(w) or 0)) for w in who]
        got = self.vault.join_many(m.study.id, lines, sender=self.stage.people.stranger)
        self.note()
        late = set(who) - set(m.got)
        assert got == sum(self._deserved(m, w) for w in late)
        for w in late:
            m.got[w] = self._deserved(m, w)

    @rule(data=st.data(), amount=AMOUNTS, term=st.integers(1, 3))
    def grant(self, data: st.DataObject, amount: int, term: int) -> None:
        m = self.pick(data)
        held = self.stage.dut.balanceOf(m.study.payer)
        milestone = self.world.fresh("milestone")
        if self.paused or held < amount * 105 // 100:
            with pytest.raises(Reverted):
                m.study.grant(amount, milestone=milestone)
            return
        m.study.grant(amount, term * DAY, milestone)
        self.note()
        self.options.append((m, milestone, amount))

    @precondition(lambda self: self.options)
    @rule(data=st.data())
    def end_option(self, data: st.DataObject) -> None:
        """Vested before the expiry, returned after it: always one of them, and once."""
        m, milestone, amount = data.draw(st.sampled_from(self.options), label="option")
        self.options.remove((m, milestone, amount))
        word = self.replay.options[option_id(m.study.id, m.study.payer, milestone)]
        if self.world.now < word.expiry:
            m.study.vest(milestone)
            m.brought += amount
        else:
            with pytest.raises(Reverted, match="option: it has expired"):
                m.study.vest(milestone)
            m.study.give_back(milestone)
        self.note()
        with pytest.raises(Reverted, match="option: it is settled"):
            m.study.give_back(milestone)

    @rule(data=st.data())
    def hand_over(self, data: st.DataObject) -> None:
        ids = [m.study.id for m in self.studies]
        some = data.draw(st.lists(st.sampled_from(ids), min_size=1, max_size=5), label="studies")
        waiting = sum(self.replay.books[s]["levy"] for s in set(some))
        if not waiting:
            with pytest.raises(Reverted, match="royalty: no levy is waiting"):
                self.vault.hand_over(some, sender=self.stage.people.relay)
            return
        self.vault.hand_over(some, sender=self.stage.people.relay)
        self.note()
        self.reserve += waiting
        assert self.world.treasury.books()[0] == self.reserve

    @rule(data=st.data(), who=st.sampled_from(ACTORS))
    def withdraw(self, data: st.DataObject, who: Actor) -> None:
        held = self.stage.credited(who)
        if held:
            amount = data.draw(st.integers(1, held), label="amount")
            self.stage.withdraw(self.stage.withdrawal(who, amount), who)
            self.note()
            self.withdrawn[who] = self.withdrawn.get(who, 0) + amount
            assert self.stage.dut.balanceOf(who) == self.withdrawn[who]

    @rule()
    def wait(self) -> None:
        self.world.evm.warp(DAY)

    @rule()
    def pause(self) -> None:
        if self.paused:
            self.world.as_timelock(self.vault, "unpause")
        else:
            self.vault.pause(sender=self.stage.people.guardian)
        self.world.evm.logs = []
        self.paused = not self.paused

    # ------------------------------------------------------------ what always holds

    @invariant()
    def the_vault_holds_what_it_owes(self) -> None:
        owed = sum(
            m.study.books.pot - m.study.shares.claimed + m.study.books.levy for m in self.studies
        )
        owed += sum(o.amount + o.levy for o in self.replay.options.values() if o.state == 1)
        people = {*ACTORS, *(m.study.payer for m in self.studies)}
        owed += sum(self.stage.credited(who) for who in people)
        assert self.stage.held() == owed

    @invariant()
    def nobody_gets_more_than_their_share_and_dust_is_less_than_a_unit_each(self) -> None:
        for m in self.studies:
            shares = m.study.shares
            assert m.study.books.pot == m.brought
            assert m.study.books.due == m.due
            assert shares.claimed == sum(m.got.values()) <= m.brought
            if m.honest and set(m.got) == set(m.weights):
                left = m.brought - sum(self._deserved(m, w) for w in m.weights)
                assert 0 <= left < len(m.weights)

    @invariant()
    def every_word_follows_from_the_events(self) -> None:
        r = self.replay
        for study, word in r.studies.items():
            assert self.vault.study_word(study) == word.pack()
            assert self.vault.root(study) == r.roots[study]
            assert self.vault.books_word(study) == BooksWord(**r.books[study]).pack()
            assert self.vault.shares_word(study) == SharesWord(**r.shares[study]).pack()
        for (study, who), member in r.members.items():
            assert self.vault.member_word(study, who) == member.pack()
        for (study, number), period in r.periods.items():
            assert self.vault.period_word(study, number) == period.pack()
        for option, found in r.options.items():
            assert self.vault.option_word(option) == found.pack()
        for who, (earned, nonce) in r.balances.items():
            assert self.vault.balance_word(who) == EarningsWord(earned, nonce).pack()


def run(world: World, examples: int, steps: int) -> None:
    machine = type("OfThisWorld", (Machine,), {"world": world})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_nothing_is_lost_and_nothing_made(world: World) -> None:
    run(world, examples=40, steps=30)


@pytest.mark.slow
def test_nothing_is_lost_and_nothing_made_in_long_runs(world: World) -> None:
    run(world, examples=times(60, 200), steps=60)


def test_the_largest_amounts_are_conserved(stage: Stage) -> None:
    """A pot of 4.7 × 10^30 base units, 6 members with nearly 2^96 of weight, to the last unit."""
    heavy = {who: 2**93 + i * 7919 for i, who in enumerate(ACTORS)}
    study = stage.open(heavy)
    pot = (2**72 - 1) * GRAIN
    levy = 10**30  # more than the payer could have: issued below, a day's cap at a time
    exchange, payer = stage.people.exchange, study.payer
    stage.world.as_timelock(stage.dut, "setCap", 10**30)
    need = pot * 105 // 100 + levy
    while stage.dut.balanceOf(payer) < need:
        stage.world.evm.warp(DAY)
        stage.dut.issue(payer, 10**30, EVIDENCE, sender=exchange)
    study.attest(pot * 100)
    study.pay(GRAIN)
    for who in ACTORS[:3]:
        study.join(who)
    study.pay()
    assert study.books.pot == pot
    for who in ACTORS:
        study.claim(who) if who in ACTORS[:3] else study.join(who)
        assert stage.credited(who) == pot * heavy[who] // sum(heavy.values())
    assert 0 <= pot - study.shares.claimed < len(ACTORS)
    stage.vault.hand_over([study.id], sender=stage.people.relay)
    assert stage.world.treasury.books()[0] == pot // 20

"""Desks and the market as one: whatever happens, money in is money out, and nothing is ever stuck.

A plain model of the ledger runs beside the contracts. The invariants:

1. The auction house holds, to the base unit, what its running auctions hold; the basket desk what its open
   baskets have left.
2. A licensee's deposit is what it had, less what its licences cost and what desks hold, plus refunds.
3. The market's DUT is all deposits, all earnings, and what its open licences have not settled.
4. A call that is refused changes none of this.
5. The auditor, who has the logs alone, finds nothing to object to, and rebuilds what is stored.
6. In the end, without anybody's help but a stranger's and with the market paused, the desks hold nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from unittest.mock import patch

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
from stateful.chain import RecordingEvm, audit
from support.desks import DAY, DUT, FIXED, METERED, YEAR, Actor, Desks, items
from support.evm import Reverted
from support.sweep import times

from medtoken.messages import AuctionOffer, Consent

VOUCHERS = Actor("voucher key of the model")
_GRAIN = 10**9


@cache
def _world() -> Desks:
    with patch("support.world.Evm", RecordingEvm):
        return Desks().settle_in()


@dataclass
class Auction:
    offer: AuctionOffer
    consent: Consent
    bidder: str = ""
    price: int = 0
    over: bool = False

    @property
    def held(self) -> int:
        return 0 if self.over or not self.bidder else self.price * 11 // 10


@dataclass
class Basket:
    terms: dict[str, Any]
    leaves: list[tuple[bytes, Consent]]
    left: int
    closed: bool = False
    taken: set[int] = field(default_factory=set)


@dataclass
class Licence:
    ref: dict[str, Any]
    form: int
    held: int  # price and levy that are neither settled nor refunded
    units: int
    open: bool = True


class DesksMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.desks = _world()
        self.anchor = self.desks.evm.anchor()
        self.anchor.__enter__()
        people = self.desks.people
        self.bidders = [people.licensee, people.other_licensee]
        self.start = {who: self.desks.deposit_of(who) for who in self.bidders}
        self.spent = dict.fromkeys(self.bidders, 0)
        self.auctions: list[Auction] = []
        self.baskets: list[Basket] = []
        self.licences: dict[bytes, Licence] = {}
        self.consents: list[Consent] = []
        self.earned = 0
        self.paused = False

    def teardown(self) -> None:
        try:
            self._audited()
            self._nothing_is_stuck()
            self._audited()
        finally:
            self.anchor.__exit__(None, None, None)

    # ------------------------------------------------------------- helpers

    @contextmanager
    def perhaps(self) -> Iterator[None]:
        """Refusals are fine here: what they may not do is checked by the invariants."""
        try:
            yield
        except Reverted as refusal:
            assert ": " in str(refusal), f"no sentence: {refusal}"

    def _book(self) -> None:
        """Take in the licences, settlements and refunds of the last transaction."""
        for log in self.desks.evm.logs:
            args = log.args
            if log.event == "LicenceBought":
                ref = {k: args[k] for k in ("consent", "record", "licensee", "salt")}
                cost = args["paid"] + args["levy"]
                units = args["units"]
                self.licences[args["licence"]] = Licence(ref, args["form"], cost, units)
                self.spent[self._who(args["licensee"])] += cost
            elif log.event == "LicenceSettled":
                self.licences[args["licence"]].held -= args["gross"] + args["levy"]
                self.earned += args["gross"]
            elif log.event == "LicenceClosed":
                one = self.licences[args["licence"]]
                back = args["refund"] + args["levy"]
                one.held -= back
                one.open = False
                self.spent[self._who(args["licensee"])] -= back
                assert one.held == 0

    def _who(self, address: str) -> Actor:
        return next(who for who in self.bidders if who == address)

    def _pick(self, many: list[Any], number: int) -> Any:
        return many[number % len(many)]

    def _auction(self, number: int) -> Auction:
        """Mostly one that runs."""
        running = [a for a in self.auctions if not a.over]
        return self._pick(running if running and number % 5 else self.auctions, number)

    # ------------------------------------------------------------- what happens

    @initialize()
    def begin(self) -> None:
        self._consents(4)

    def _consents(self, number: int) -> None:
        for _ in range(number):
            self.consents.append(
                self.desks.granted(floorPrice=20 * DUT, expiry=self.desks.now + 2 * YEAR)
            )

    @rule(number=st.integers(0, 99), term=st.integers(1, 500), certified=st.booleans())
    def open_auction(self, number: int, term: int, certified: bool) -> None:
        self._consents(1)
        consent = self.consents[-1] if number % 5 else self._pick(self.consents, number)
        first = DAY if certified else 0
        offer = self.desks.offer(consent, term=term * DAY, certifiedFirst=first)
        with self.perhaps():
            self.desks.open(offer, consent)
            self.auctions.append(Auction(offer, consent))
            self.desks.evm.warp(60 + (first if number % 2 else 0))
        if number % 3 and self.auctions:
            self._bid(self.auctions[-1], number * DUT, self.bidders[number % 2])

    @precondition(lambda self: self.auctions)
    @rule(number=st.integers(0, 99), more=st.integers(0, 10**13), second=st.booleans())
    def bid(self, number: int, more: int, second: bool) -> None:
        auction = self._auction(number)
        self._bid(auction, more * _GRAIN // (1 + number) // _GRAIN * _GRAIN, self.bidders[second])

    def _bid(self, auction: Auction, more: int, who: Actor) -> None:
        price = int(self.desks.house.least_bid(auction.offer.values())) + more
        with self.perhaps():
            self.desks.bid(auction.offer, auction.consent, price, sender=who)
            auction.bidder, auction.price = who, price

    @precondition(lambda self: self.auctions)
    @rule(number=st.integers(0, 99))
    def award(self, number: int) -> None:
        auction = self._auction(number)
        if number % 3:
            ends = int(self.desks.auction(auction.offer)["ends"])
            self.desks.evm.warp(max(0, ends - self.desks.now))
        with self.perhaps():
            self.desks.award(auction.offer, auction.consent)
            self._book()
            given = self.desks.evm.event("AuctionAwarded")
            assert given["spent"] + given["returned"] == auction.held
            assert given["spent"] >= auction.price - _GRAIN * 2
            auction.over = True

    @precondition(lambda self: self.auctions)
    @rule(number=st.integers(0, 99))
    def give_back(self, number: int) -> None:
        auction = self._auction(number)
        with self.perhaps():
            self.desks.give_back(auction.offer)
            auction.over = True

    @precondition(lambda self: self.auctions)
    @rule(number=st.integers(0, 99))
    def withdraw_auction(self, number: int) -> None:
        if number % 4:
            return
        auction = self._auction(number)
        with self.perhaps():
            self.desks.withdraw_auction(auction.offer)
            assert not auction.bidder
            auction.over = True

    @rule(
        first=st.integers(0, 99),
        amount=st.integers(1, 5000),
        metered=st.booleans(),
        second=st.booleans(),
    )
    def reserve(self, first: int, amount: int, metered: bool, second: bool) -> None:
        self._consents(2)
        start = first % len(self.consents) if first % 2 else -6
        leaves = [(c.records, c) for c in self.consents[start:][:6]]
        salt = int(VOUCHERS, 16) | int.from_bytes(self.desks.fresh()[:12]) << 160
        terms = self.desks.basket(
            leaves,
            licensee=str(self.bidders[second]),
            form=METERED if metered else FIXED,
            units=3 if metered else 0,
            salt=salt,
        )
        with self.perhaps():
            self.desks.reserve(terms, amount * DUT, sender=self.bidders[second])
            self.baskets.append(Basket(terms, leaves, amount * DUT))

    @precondition(lambda self: self.baskets)
    @rule(number=st.integers(0, 99), amount=st.integers(0, 500 * DUT))
    def top_up(self, number: int, amount: int) -> None:
        basket = self._pick(self.baskets, number)
        who = self._who(basket.terms["licensee"])
        with self.perhaps():
            self.desks.baskets.top_up(basket.terms, amount, sender=who)
            basket.left += amount

    @precondition(lambda self: self.baskets)
    @rule(number=st.integers(0, 99), many=st.booleans())
    def take(self, number: int, many: bool) -> None:
        basket = self._pick(self.baskets, number)
        chosen = items(basket.leaves)
        with self.perhaps():
            if many:
                self.desks.take_many(basket.terms, chosen)
            else:
                self.desks.take(basket.terms, self._pick(chosen, number))
            bought = [log.args for log in self.desks.evm.logs if log.event == "LicenceBought"]
            self._book()
            basket.left -= sum(b["paid"] + b["levy"] for b in bought)
            left = [log.args["left"] for log in self.desks.evm.logs if log.event == "BasketDrawn"]
            assert left == [basket.left]
            for one in bought:
                assert one["price"] >= 20 * DUT

    @precondition(lambda self: self.baskets)
    @rule(number=st.integers(0, 99), stranger=st.booleans())
    def close(self, number: int, stranger: bool) -> None:
        basket = self._pick(self.baskets, number)
        who = self.desks.people.stranger if stranger else self._who(basket.terms["licensee"])
        with self.perhaps():
            self.desks.close(basket.terms, sender=who)
            basket.left, basket.closed = 0, True

    @precondition(lambda self: self.licences)
    @rule(number=st.integers(0, 99))
    def settle(self, number: int) -> None:
        one = self._pick(list(self.licences.values()), number)
        with self.perhaps():
            self.desks.settle(one.ref)
            self._book()

    @precondition(lambda self: any(one.form == METERED for one in self.licences.values()))
    @rule(number=st.integers(0, 99), units=st.integers(0, 4), back=st.integers(0, 5) | st.just(-1))
    def redeem(self, number: int, units: int, back: int) -> None:
        one = self._pick([x for x in self.licences.values() if x.form == METERED], number)
        when = self.desks.now - back * DAY
        with self.perhaps():
            voucher = self.desks.voucher(one.ref, units, signer=VOUCHERS, time=when)
            self.desks.redeem(voucher)

    @precondition(lambda self: self.consents)
    @rule(number=st.integers(0, 99))
    def revoke(self, number: int) -> None:
        if number % 3:
            return
        consent = self._pick(self.consents, number)
        with self.perhaps():
            self.desks.revoke(consent)

    @precondition(lambda self: self.consents)
    @rule(number=st.integers(0, 99))
    def correct_record(self, number: int) -> None:
        if number % 3:
            return
        with self.perhaps():
            self.desks.register(previous=self._pick(self.consents, number).records)

    @rule(
        frozen=st.integers(0, 5).map(lambda n: n == 0),
        certified=st.booleans(),
        second=st.booleans(),
    )
    def change_standing(self, frozen: bool, certified: bool, second: bool) -> None:
        flags = (1 if frozen else 0) | (2 if certified else 0)
        self.desks.license(self.bidders[second], flags=flags)

    @rule(paused=st.integers(0, 3).map(lambda n: n == 0))
    def pause(self, paused: bool) -> None:
        if paused:
            self.desks.pause()
        else:
            self.desks.unpause()
        self.paused = paused

    @rule(levy=st.sampled_from([0, 1, 500, 1_000]))
    def change_levy(self, levy: int) -> None:
        rates = {"provider": 7_000, "annotator": 2_000, "platform": 1_000, "levy": levy}
        self.desks.as_timelock(self.desks.market, "set_rates", rates)

    @rule(increment=st.integers(100, 5_000), step=st.integers(1, 3))
    def change_terms(self, increment: int, step: int) -> None:
        self.desks.as_timelock(self.desks.house, "set_terms", increment, 60, step)
        steps = [{"count": step, "discount": increment}]
        self.desks.as_timelock(self.desks.baskets, "set_steps", steps)

    @rule(seconds=st.sampled_from([1, 600, 3600, DAY, 2 * DAY, 8 * DAY, 40 * DAY]))
    def wait(self, seconds: int) -> None:
        self.desks.evm.warp(seconds)

    # ------------------------------------------------------------- what always holds

    @invariant()
    def desks_hold_what_they_owe(self) -> None:
        held = sum(auction.held for auction in self.auctions)
        left = sum(basket.left for basket in self.baskets)
        assert self.desks.deposit_of(self.desks.house.address) == held
        assert self.desks.deposit_of(self.desks.baskets.address) == left

    @invariant()
    def licensees_lose_nothing_but_what_they_bought(self) -> None:
        for who in self.bidders:
            assert self.desks.deposit_of(who) == self._owed(who)

    @invariant()
    def the_market_is_solvent_to_the_base_unit(self) -> None:
        deposits = sum(self._owed(who) for who in self.bidders)
        desks = sum(a.held for a in self.auctions) + sum(b.left for b in self.baskets)
        open_money = sum(one.held for one in self.licences.values())
        balance = self.desks.dut.balanceOf(self.desks.market.address)
        assert balance == deposits + desks + open_money + self.earned

    def _owed(self, who: Actor) -> int:
        held = sum(a.held for a in self.auctions if a.bidder == who)
        left = sum(b.left for b in self.baskets if b.terms["licensee"] == who)
        return self.start[who] - self.spent[who] - held - left

    def _audited(self) -> None:
        evm = self.desks.evm
        assert isinstance(evm, RecordingEvm)
        addresses = {name: contract.address for name, contract in self.desks.suite.items()}
        report = audit(evm, addresses)
        assert report.violations == ()
        held = sum(auction.held for auction in self.auctions)
        assert report.ledger.auctions.held == held
        assert report.ledger.baskets.held == sum(basket.left for basket in self.baskets)

    def _nothing_is_stuck(self) -> None:
        desks = self.desks
        desks.pause()
        desks.evm.warp(3 * YEAR)
        for auction in self.auctions:
            if auction.held:
                desks.give_back(auction.offer)
                auction.over = True
        for basket in self.baskets:
            if not basket.closed:
                desks.close(basket.terms, sender=desks.people.stranger)
                basket.left, basket.closed = 0, True
        for one in self.licences.values():
            if one.open:
                desks.settle(one.ref)
                self._book()
                assert not one.open
        self.desks_hold_what_they_owe()
        self.licensees_lose_nothing_but_what_they_bought()
        self.the_market_is_solvent_to_the_base_unit()
        assert desks.deposit_of(desks.house.address) == 0
        assert desks.deposit_of(desks.baskets.address) == 0
        for who in self.bidders:
            desks.license(who)
            if desks.deposit_of(who):
                desks.market.reclaim(desks.deposit_of(who), sender=who)


def _run(examples: int, steps: int) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        DesksMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_money_in_is_money_out() -> None:
    _run(examples=15, steps=40)


@pytest.mark.slow
def test_money_in_is_money_out_in_a_long_campaign() -> None:
    _run(times(50, 150), steps=120)

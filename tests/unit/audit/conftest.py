"""A whole honest history on the in-process chain, and ways to lie about it.

One transaction is one block. ``story`` uses every function that changes something, so that tests
over "every log" and "every field" mean what they say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from eth_abi import encode
from eth_utils import keccak, to_checksum_address
from support import recording
from support.assets import Maker, Source
from support.authenticator import Authenticator
from support.desks import Desks, items
from support.evm import Contract, Evm
from support.holdings import Shelf
from support.recording import EvmChain, RecordingEvm
from support.research import Research
from support.rewards import Stage as Rewards
from support.royalties import REASON, Stage
from support.trust import buy as trusted
from support.trust import mandate, offer
from support.world import (
    DAY,
    DUT,
    FIXED,
    KEY_BITS,
    METERED,
    MILLION,
    NONE,
    RENTAL,
    TAIWAN,
    YEAR,
    Actor,
    World,
)

from medtoken import vocabulary
from medtoken.audit import Clock, Event, Ledger, Report, Suite, decoded, replay
from medtoken.audit.invariants import Finding, judge
from medtoken.audit.source import CONTRACTS, OPTIONAL
from medtoken.audit.state import read
from medtoken.chain.abi import abi
from medtoken.chain.words import GRAIN
from medtoken.deploy.handover import handover_calls
from medtoken.deploy.plan import FACTORS, governor_step, resolve
from medtoken.deploy.record import Deployment
from medtoken.deploy.roles import Role
from medtoken.messages import (
    Ballot,
    Consent,
    GovernorDomain,
    Objection,
    PasskeyCancellation,
    Revocation,
)
from medtoken.vocabulary import duo_mask

WEEK = 7 * DAY

Call = tuple[str, bytes]


class KeptChain(EvmChain):
    """Remembers its answers: for many audits of a state that does not change."""

    def call(self, to: str, data: bytes, block: int | None = None) -> bytes:
        if (to, data) not in self.kept:
            self.kept[to, data] = super().call(to, data, block)
        return self.kept[to, data]


def deployment_of(world: World) -> Deployment:
    """The record that the deployment of this world would have written."""
    names = (*CONTRACTS, *(name for name in OPTIONAL if name in world.suite))
    addresses = {name: world.suite[name].address for name in names}
    return recording.deployment_of(addresses, world.people.deployer)


@dataclass
class History:
    """Events as they happened, with the chain that they led to; ``judge`` audits altered ones."""

    world: World
    chain: EvmChain
    suite: Suite
    events: list[Event]
    names: SimpleNamespace = field(default_factory=SimpleNamespace)

    @property
    def record(self) -> Deployment:
        return deployment_of(self.world)

    def fold(self, events: Sequence[Event]) -> Ledger:
        clock = Clock(lambda number: self.world.evm.times[number])
        return Ledger(self.suite, clock).fold(events)

    def judge(self, events: Sequence[Event]) -> tuple[Finding, ...]:
        ledger = self.fold(events)
        return judge(ledger, read(ledger, self.chain, self.chain.head().number))

    def broken(self, events: Sequence[Event]) -> dict[int, Finding]:
        """The invariants that do not hold, by number."""
        return {f.id: f for f in self.judge(events) if not f.holds}

    def caught(self, events: Sequence[Event]) -> bool:
        """Whether anything at all is found; the state is only read when the logs say nothing."""
        return bool(self.fold(events).violations) or bool(self.broken(events))

    def find(self, name: str, at: int = 0) -> int:
        """The position of the event of this name, counted from 0; negative from the end.

        Where several contracts have an event of a name, it is said as ``Contract.Event``.
        """
        of, _, event = name.rpartition(".")
        return [
            i for i, e in enumerate(self.events) if e.event == event and of in ("", e.contract)
        ][at]

    def without(self, *positions: int) -> list[Event]:
        return [e for i, e in enumerate(self.events) if i not in positions]

    def changed(self, position: int, **args: object) -> list[Event]:
        """The same history with other arguments in one event."""
        event = self.events[position]
        other = replace(event, args=event.args | args)
        return [*self.events[:position], other, *self.events[position + 1 :]]

    def with_event(self, contract: str, event: str, **args: object) -> list[Event]:
        """The same history with an invented event at its end, in a transaction of its own."""
        address = self.suite.addresses[contract]
        block = self.chain.head().number
        return [*self.events, Event(contract, event, args, address, block, b"invented", 10_000)]


def recorded_world() -> Research:
    with patch("support.world.Evm", RecordingEvm):
        made = Research()
        super(Research, made).settle_in()
        return made


def history_of(world: World, chain_type: type[EvmChain] = KeptChain) -> History:
    chain = chain_type(world.evm)
    suite = Suite.of(deployment_of(world))
    return History(world, chain, suite, list(decoded(world.evm.raw, suite)))


def audit(world: World) -> Report:
    """The auditor's own way in, on the chain as it stands."""
    return replay(EvmChain(world.evm), deployment_of(world))


# ------------------------------------------------------------------ the story


def story(w: Research) -> SimpleNamespace:
    """Everything that can happen does; returns names for a few things that did."""
    e, p = w.evm, w.people
    records, marks = _records(w)
    _market(w, records, marks)
    _tariff(w, marks)
    _vouchers(w, marks)
    _desks(w, marks)
    _auctions(w, marks)
    _baskets(w, marks)
    _versions(w, marks)
    _royalties(w, marks)
    _parameters(w, marks)
    _second_market(w, records, marks)
    _later_royalties(w, marks)
    _disputes(w, marks)
    _storage(w)
    _rewards(w, marks)
    _assets(w, marks)
    _protection(w, marks)
    _passkeys(w, marks)
    _trust(w, marks)
    _research(w, marks)
    _governance(w, marks)
    _proposals(w, marks)
    e.warp(6 * DAY)  # what was to change later has changed
    w.dut.transfer(p.exchange, 1, sender=p.licensee)
    return SimpleNamespace(**marks, people=p)


def _records(w: World) -> tuple[dict[str, bytes], dict[str, object]]:
    p, reg = w.people, w.registry
    records = {
        "plain": w.record(),
        "imaging": w.record(kind=3, dvi=70, annotator=0),
        "genomic": w.record(kind=4, owner=p.other_patient, sender=p.other_custodian),
        "unattested": w.register(),
        "document": w.record(kind=5),  # a kind whose coefficient is zero: nothing minted
    }
    poor = w.register()
    w.attest(poor, completeness=10, annotation=10)  # below the least quality
    old = w.record()
    new = w.register(previous=old)
    w.attest(new, dvi=90)  # a correction never mints twice
    records |= {"poor": poor, "old": old, "new": new}
    batch = [w.draft() for _ in range(2)]
    leaves = [keccak(keccak(encode([DRAFT], [tuple(d.values())]))) for d in batch]
    root = keccak(b"".join(sorted(leaves)))
    reg.register_batch(root, 2, w.fresh("manifest"), sender=p.custodian)
    number = w.number(p.custodian)
    proven = reg.register_from_batch(number, root, batch[0], [leaves[1]], sender=p.relay)
    w.attest(bytes(proven))
    records["proven"] = bytes(proven)
    return records, {"records": records}


DRAFT = "(address,bytes32,bytes32,bytes32,uint256,uint256,uint256,uint256,uint256,bytes32,uint256,bytes32)"


def _market(w: World, records: dict[str, bytes], marks: dict[str, object]) -> None:
    e, p, m = w.evm, w.people, w.market
    # A metered licence that is used, settled twice, and revoked with units left.
    consent = w.granted(records["plain"])
    metered = w.buy(consent, units=100, salt=1 << KEY_BITS)
    w.use(metered, 7)
    w.settle(metered)
    w.use(metered, 3)
    w.use(metered, 2)
    e.warp(60)
    w.settle(metered)
    # A fixed term under the same consent, part earned at revocation, settled after it.
    fixed = w.buy(consent, form=FIXED, salt=2 << KEY_BITS)
    e.warp(10 * DAY + 7)
    w.use(fixed)
    w.settle(fixed)
    e.warp(3 * DAY)
    w.use(metered, 5)
    w.revoke(consent)
    e.warp(DAY)
    w.settle(metered, fixed)
    # Set of two records, by proof; without an annotator; two started years; runs to its end.
    other = records["proven"]
    root = keccak(b"".join(sorted([records["imaging"], other])))
    consent = w.granted(root, expiry=w.now + 3 * YEAR, patientShare=8000, region=1, floorPrice=0)
    term = w.buy(
        consent,
        record=records["imaging"],
        proof=[other],
        form=FIXED,
        end=w.now + YEAR + DAY,
        salt=3 << KEY_BITS,
    )
    small = w.buy(consent, record=other, proof=[records["imaging"]], units=1, salt=4 << KEY_BITS)
    w.use(small)
    w.settle(small)  # all earned, not ended
    e.warp(YEAR + 2 * DAY)
    w.settle(term, small)
    # Several consents at once; one cancelled before it came; suspension.
    consents = [w.consent(records["new"]), w.consent(records["new"])]
    m.grant_consents(
        [c.values() for c in consents],
        [c.sign(p.patient.key, w.domain) for c in consents],
        sender=p.relay,
    )
    never = w.consent(records["new"])
    signature = Revocation(never.struct_hash()).sign(p.patient.key, w.domain)
    m.cancel_consent(never.values(), signature, sender=p.relay)
    held = w.buy(consents[0], units=20, salt=5 << KEY_BITS, end=w.now + 120 * DAY)
    w.use(held, 1)
    m.set_suspended(w.licence_id(held), True, sender=p.supervisor)
    m.set_suspended(w.licence_id(held), False, sender=p.supervisor)
    w.use(held, 1)
    # Money: supply crosses the ceiling, so levies burn; reclaim, withdraw, gifts, redeem.
    w.fund(p.licensee, 12 * MILLION * DUT)
    m.deposit(p.other_licensee, 1000 * DUT, sender=p.licensee)
    w.settle(held)
    m.reclaim(5 * DUT, sender=p.licensee)
    w.withdraw(w.withdrawal(p.patient, 3 * DUT), p.patient)
    w.withdraw(w.withdrawal(p.patient, 2 * DUT, to=str(p.custodian)), p.patient)
    m.withdraw(p.custodian, p.custodian, DUT, w.now, b"", sender=p.custodian)
    w.dut.transfer(m.address, 11, sender=p.licensee)
    w.dut.transfer(w.treasury.address, 13, sender=p.licensee)
    w.dut.transfer(p.exchange, 40 * DUT, sender=p.licensee)
    w.dut.redeem(30 * DUT, w.fresh("payment"), sender=p.exchange)
    w.dut.setFrozen(p.other_licensee, True, sender=p.sanctions)
    w.dut.setFrozen(p.other_licensee, False, sender=p.sanctions)
    w.license(p.other_licensee, flags=2)
    marks.update(metered=metered, fixed=fixed, held=held, consent=consent, open=consents[1])


def _tariff(w: World, marks: dict[str, object]) -> None:
    """Every factor of a price at work, and scarcity that governance and demand change (R13)."""
    p, t = w.people, w.tariff
    record = w.record(region=TAIWAN)
    consent = w.granted(record, purposes=duo_mask(["HMB"]), tier=2, floorPrice=0)
    local = w.buy(consent, units=4, salt=20 << KEY_BITS)  # in region
    w.buy(consent, units=2, salt=21 << KEY_BITS, purposes=duo_mask(["HMB"]))  # commercial
    w.buy(consent, sender=p.other_licensee, units=2, salt=22 << KEY_BITS)  # certified
    w.declare(TAIWAN, 2 * DAY)
    w.buy(consent, units=2, salt=23 << KEY_BITS, urgent=True)
    w.tariff.declare_emergency(TAIWAN, 0, sender=p.regulator)
    public = w.granted(w.record(kind=2, tier=1), tier=1, floorPrice=0)
    series = w.buy(public, units=1000, salt=24 << KEY_BITS)
    rental = w.buy(consent, form=RENTAL, end=w.now + 60 * DAY, salt=25 << KEY_BITS)
    floor = w.granted(floorPrice=77 * DUT)
    w.buy(floor, form=RENTAL, end=w.now + 90 * DAY, salt=26 << KEY_BITS)
    # Three weeks of demand for series: some, much, none.
    w.evm.warp(WEEK - w.now % WEEK + DAY)
    w.use(series, 200)
    w.use(local, 3)
    w.settle(series, local, rental)
    t.move_scarcity(1, sender=p.stranger)  # there was too little demand in the week before
    w.evm.warp(WEEK)
    t.move_scarcity(2, sender=p.stranger)  # where it was: the first week with demand sets the level
    t.move_scarcity(1, sender=p.stranger)
    w.use(series, 400)
    w.settle(series)
    w.evm.warp(WEEK)
    t.move_scarcity(2, sender=p.stranger)  # up
    w.buy(public, units=2, salt=27 << KEY_BITS)
    w.evm.warp(WEEK)
    w.record(kind=2, tier=1)
    t.move_scarcity(2, sender=p.relay)  # down
    t.move_scarcity(4, sender=p.relay)  # where it was
    w.as_timelock(t, "set_scarcity", 2, 20_000)
    w.as_timelock(t, "set_factor", FACTORS.index("commercial"), 30_000)
    w.as_timelock(t, "set_factor", FACTORS.index("rental"), 4_000)
    w.buy(
        public,
        units=2,
        salt=28 << KEY_BITS,
        purposes=duo_mask(["HMB"]) | duo_mask(["NPUNCU", "NCU"]),
    )
    again = w.buy(consent, form=RENTAL, end=w.now + 30 * DAY, salt=29 << KEY_BITS)
    w.evm.warp(3600)
    w.settle(rental, again)
    marks.update(local=local, series=series, rental=rental, floor=floor)


def _vouchers(w: World, marks: dict[str, object]) -> None:
    """Calls that are acknowledged off the chain (R14), and licences that are topped up."""
    e, p = w.evm, w.people
    consent = w.granted()
    kept = w.buy(consent, units=50, salt=w.keyed(30))
    w.redeem(w.voucher(kept, 10))
    w.market.top_up(kept, 20, sender=p.licensee)
    w.use(kept, 2)
    w.settle(kept)
    short = w.buy(consent, units=9, salt=w.keyed(31), end=w.now + 2 * DAY)
    e.warp(DAY)
    acknowledged = w.now
    w.redeem(w.voucher(kept, 60), w.voucher(short, 4))
    e.warp(DAY + 60)
    w.redeem(w.voucher(short, 6, time=acknowledged))  # after its end, within the window
    w.settle(short)  # not closed yet
    w.revoke(consent)
    revoked = w.now
    e.warp(DAY)
    w.redeem(w.voucher(kept, 65, time=revoked))
    w.settle(kept)
    w.as_timelock(w.market, "set_window", 4 * DAY)
    e.warp(2 * DAY + 3600)
    w.redeem(w.voucher(kept, 66, time=revoked))  # the wider window counts
    e.warp(2 * DAY)
    w.settle(kept, short)
    w.settle(kept)  # a closed one is passed over
    w.as_timelock(w.market, "set_window", 2 * DAY)
    open_ = w.granted()
    paper = w.buy(open_, units=30, salt=w.keyed(32))
    w.market.top_up(paper, 5, sender=p.licensee)
    marks.update(kept=kept, short=short, paper=paper)
    for ref in (kept, paper, marks["rental"]):
        w.token.show(ref, sender=p.stranger)


def _desks(w: World, marks: dict[str, object]) -> None:
    """A desk takes deposits, gives some back, and sells at prices of its own (R12)."""
    p, m = w.people, w.market
    desk = w.desk(1000 * DUT)
    consent = w.granted()
    m.charge(p.other_licensee, 700 * DUT, sender=desk)
    m.release(p.other_licensee, 100 * DUT, sender=desk)
    orders = [
        w.order(consent, units=5, salt=40 << KEY_BITS),
        w.order(consent, form=FIXED, end=w.now + 300 * DAY, salt=41 << KEY_BITS),
        w.order(consent, form=RENTAL, salt=42 << KEY_BITS),
    ]
    for order, price in zip(orders, (61 * DUT, 52 * DUT, 50 * DUT), strict=True):
        terms = consent.values()
        m.issue_licence(p.other_licensee, order, terms, [], price, sender=desk)
    sold = {
        "consent": consent.struct_hash(),
        "record": consent.records,
        "licensee": str(p.other_licensee),
        "salt": 40 << KEY_BITS,
    }
    w.use(sold, 3)
    w.settle(sold)
    w.as_timelock(w.manager, "revokeRole", int(Role.DESK), desk)
    marks.update(sold=sold, desk=desk)


def _auctions(w: Desks, marks: dict[str, object]) -> None:
    """Every way in which an auction goes and ends (R12)."""
    e, p, m = w.evm, w.people, w.market
    m.deposit(w.house.address, 5 * DUT, sender=p.licensee)  # a gift to nobody
    w.as_timelock(w.house, "set_terms", 1000, 1200, 7)
    # Certified first, outbid twice, moved by a late bid, awarded some days after the end.
    only = vocabulary.group_mask(["pharma"]) | vocabulary.AUCTION_ONLY
    consent = w.granted(licensees=only, expiry=w.now + 3 * YEAR, floorPrice=40 * DUT)
    won = w.offer(consent, term=400 * DAY, certifiedFirst=DAY, reserve=90 * DUT)
    w.open(won, consent)
    e.warp(60)
    w.bid(won, consent, 100 * DUT, sender=p.other_licensee)
    e.warp(DAY)
    w.bid(won, consent, 110 * DUT)
    e.warp(won.ends - w.now - 60)
    w.bid(won, consent, 333 * DUT + GRAIN, sender=p.other_licensee, diseases=b"\3" * 32)
    e.warp(3 * DAY)
    licence = w.award(won, consent, diseases=b"\3" * 32)
    # Given back: at once as the consent was revoked, and after the patience.
    revoked, its = w.opened()
    w.bid(revoked, its, 150 * DUT)
    w.revoke(its)
    w.give_back(revoked)
    late, its = w.opened(term=30 * DAY)
    w.bid(late, its, 150 * DUT)
    e.warp(2 * DAY + 7 * DAY)
    w.give_back(late)
    # Withdrawn, before and after it was opened.
    empty, _ = w.opened()
    w.withdraw_auction(empty)
    unopened = w.offer(w.granted())
    w.withdraw_auction(unopened)
    # One that holds a bid at the end.
    running, its = w.opened(reserve=101 * DUT)
    w.bid(running, its, 120 * DUT)
    w.bid(running, its, 200 * DUT, sender=p.other_licensee, diseases=b"\5" * 32)
    marks.update(won=won, auctioned=licence, running_auction=running, only=consent, lot=revoked)


def _baskets(w: Desks, marks: dict[str, object]) -> None:
    """Licences in bulk, with discounts, floors, and what is passed over (R12)."""
    e, p = w.evm, w.people
    steps = [{"count": 2, "discount": 500}, {"count": 4, "discount": 1500}]
    w.as_timelock(w.baskets, "set_steps", steps)
    consents = [w.granted(floorPrice=n * DUT) for n in (0, 0, 48, 0, 0)]
    leaves = [(c.records, c) for c in consents]
    terms = w.basket(leaves)
    w.reserve(terms, 100 * DUT)
    w.baskets.top_up(terms, 400 * DUT, sender=p.licensee)
    w.take(terms, items(leaves)[0])
    w.revoke(consents[1])
    w.take_many(terms, items(leaves, [1, 2, 3]))
    e.warp(DAY)
    w.take_many(terms, items(leaves, [4]))
    e.warp(30 * DAY)
    w.close(terms, sender=p.stranger)
    # A metered one with a voucher key, in part taken, that stays open.
    consents = [w.granted(floorPrice=0) for _ in range(3)]
    leaves = [(c.records, c) for c in consents]
    open_ = w.basket(leaves, form=METERED, salt=w.keyed(70), until=w.now + YEAR, end=w.now + YEAR)
    open_["licensee"] = str(p.other_licensee)
    w.reserve(open_, 1500 * DUT)
    w.take(open_, items(leaves)[2])
    w.take_many(open_, items(leaves, [0, 2]))
    metered = {
        "consent": consents[2].struct_hash(),
        "record": consents[2].records,
        "licensee": str(p.other_licensee),
        "salt": open_["salt"],
    }
    w.redeem(w.voucher(metered, 4))
    w.settle(metered)
    # One of which nothing was taken, closed by its licensee.
    none = w.basket(leaves)
    w.reserve(none, DUT)
    w.close(none)
    marks.update(basket=w.baskets.basket_id(terms), open_basket=w.baskets.basket_id(open_))


def _versions(w: World, marks: dict[str, object]) -> None:
    """Statements about one file are corrected, and a record is destroyed (R6, R35)."""
    p, tag = w.people, w.fresh("tag")
    first = w.record(tag=tag)
    second = w.register(tag=tag, previous=first, codes=w.fresh("codes"))
    w.attest(second, completeness=81)
    third = w.record(tag=tag, previous=second)
    consent = w.granted(third)
    ruined = w.buy(consent, units=6, salt=50 << KEY_BITS)
    w.use(ruined, 2)
    copy = {
        "fields": consent.fields,
        "licence": bytes(32),
        "fingerprint": w.fresh("fingerprint"),
        "content": w.fresh("content"),
        "codec": 0x55,
        "size": 700,
    }
    w.registry.add_rendition(third, copy, sender=p.custodian)
    own = copy | {"licence": w.licence_id(ruined), "codec": 0x70, "size": 800}
    w.registry.add_rendition(third, own, sender=p.custodian)
    w.registry.destroy(third, w.fresh("certificate"), sender=p.custodian)
    w.settle(ruined)  # what was earned stays owed
    w.revoke(consent)
    w.view.attest_destruction(ruined, w.fresh("statement"), b"", sender=p.licensee)
    never = w.register()
    w.registry.destroy(never, w.fresh("certificate"), sender=p.custodian)
    marks.update(versions=(first, second, third), destroyed=third, ruined=ruined, lost=consent)


def _parameters(w: World, marks: dict[str, object]) -> None:
    p = w.people
    rates = {"provider": 6500, "annotator": 2500, "platform": 1000, "levy": 400}
    w.as_timelock(w.market, "set_rates", rates)
    w.as_timelock(w.market, "set_platform", p.annotator)
    w.as_timelock(w.tariff, "set_reference", 1, 60 * DUT)
    w.as_timelock(w.market, "set_agreement", b"\7" * 32)
    w.as_timelock(w.treasury, "set_ceiling", 11 * MILLION * DUT)
    w.as_timelock(w.treasury, "set_burn_share", 2500)
    w.as_timelock(w.registry, "set_coefficient", 1, 1500)
    w.as_timelock(w.registry, "set_min_quality", 30)
    w.as_timelock(w.dut, "setCap", 50 * MILLION * DUT)
    w.market.pause(sender=p.guardian)
    w.as_timelock(w.market, "unpause")
    number = w.number(p.custodian)
    w.registry.move(number, p.stranger, sender=p.accreditation)
    w.accredit(p.other_custodian, 5)
    marks["number"] = number


def _second_market(w: World, records: dict[str, bytes], marks: dict[str, object]) -> None:
    """After every parameter changed: old money at old rates, new money at new ones."""
    p = w.people
    held, consent = marks["held"], marks["open"]
    w.use(held, 4)
    w.settle(held)  # epoch 1 still
    fresh = w.record(sender=p.stranger)
    again = w.buy(consent, units=3, salt=6 << KEY_BITS, agreement=b"\7" * 32)
    w.use(again, 2)
    w.settle(again, held)
    genomic = w.consent(
        records["genomic"], patient=str(p.other_patient), patientShare=7000, floorPrice=21 * DUT
    )
    w.grant(genomic, p.other_patient)
    other = w.buy(
        genomic, sender=p.other_licensee, units=5, salt=7 << KEY_BITS, agreement=b"\7" * 32
    )
    w.use(other, 5)
    w.settle(other)
    running = w.buy(consent, form=FIXED, salt=8 << KEY_BITS, agreement=b"\7" * 32)
    w.evm.warp(12_345)
    w.settle(running)
    marks.update(fresh=fresh, running=running, again=again)


def _royalties(w: World, marks: dict[str, object]) -> None:
    """Studies sealed, cancelled, paid, claimed; options that vest and go back (R19, R20)."""
    p, stage = w.people, Stage(w)
    vault = stage.vault
    stage.seal({p.patient: 3})  # nobody ever undertakes or cancels it
    wrong = stage.seal({p.patient: 1})
    vault.cancel(wrong.id, REASON, sender=p.council)
    w.fund(p.licensee, 10_000 * DUT)
    weights = {p.patient: 700, p.other_patient: 1100, p.stranger: 1301}
    study = stage.open(weights)
    study.attest(100_001 * DUT + 1)
    study.pay(333 * DUT)
    study.join(p.patient)
    study.pay()
    study.claim(p.patient)
    study.claim(p.patient)  # nothing came in since: nothing is told
    study.join(p.other_patient)
    study.attest(77 * DUT)
    vault.waive(study.id, 10**9, REASON, sender=p.council)
    study.pay()
    lines = [study.roster.member(study.roster.index(who)) for who in (p.patient, p.stranger)]
    members = [(m.index, m.account, m.weight, m.proof) for m in lines]
    vault.join_many(study.id, members, sender=p.relay)  # one joined before and is passed over
    vault.claim_many(study.id, [p.patient, p.other_patient], sender=p.relay)
    other = stage.open({p.relay: 1, p.patient: 2})
    milestones = [w.fresh("milestone") for _ in range(3)]
    for milestone in milestones:
        study.grant(1_000 * DUT + 10**9, milestone=milestone)
    other.grant(50 * DUT)
    study.vest(milestones[0])
    other.vest()
    w.evm.warp(86_400)
    study.give_back(milestones[1])  # the third waits
    study.claim(p.stranger)
    other.join(p.patient)
    vault.hand_over([study.id, wrong.id, other.id], sender=p.stranger)
    stage.withdraw(stage.withdrawal(p.patient, 100 * DUT), p.patient)
    w.admit(p.relay)
    amount = stage.credited(p.other_patient)
    message = stage.withdrawal(p.other_patient, amount, to=str(p.relay))
    stage.withdraw(message, p.other_patient)
    w.dut.transfer(vault.address, 17, sender=p.licensee)
    w.as_timelock(vault, "set_rate", 150)
    w.as_timelock(vault, "set_window", 2 * DAY)
    stage.seal({p.patient: 5, p.stranger: 6})
    vault.pause(sender=p.guardian)
    w.as_timelock(vault, "unpause")
    marks.update(
        stage=stage, study=study, other_study=other, wrong_study=wrong, milestones=milestones
    )


def _rewards(w: World, marks: dict[str, object]) -> None:
    """Points of every source, boards, badges, a donation, vouchers, outcomes (R25–R27)."""
    p, stage = w.people, Rewards(w)
    rewards, house = stage.rewards, p.stranger  # the custodian moved there
    stage.to_month()
    first = stage.month
    for month in range(6):
        stage.count(sender=house)
        if month < 5:
            stage.to_month()
    stage.count(owner=str(p.other_patient), sender=house)
    fresh = [w.record(sender=house) for _ in range(2)]
    one = stage.used(record=fresh[0], agreement=b"\7" * 32)
    two = stage.used(record=fresh[1], agreement=b"\7" * 32, sender=p.other_licensee)
    stage.count_use(one)
    stage.count_use(two)
    rewards.attest_feedback(p.patient, b"\5" * 32, sender=p.council)
    w.as_timelock(rewards, "adopt_idea", p.other_patient, b"\6" * 32)
    stage.refer(p.patient, p.other_patient)
    outcome = rewards.report_outcome(2, b"\7" * 32, [one], sender=p.licensee)
    rewards.report_outcome(3, b"\x08" * 32, [one], sender=p.licensee)
    month = stage.month
    stage.to_month()
    for who in (p.other_patient, p.patient):
        rewards.nominate(0, month, who, sender=p.stranger)
    rewards.nominate(2, month, house, sender=p.stranger)
    stage.world.evm.warp(WEEK)
    for board in (0, 2):
        rewards.award(board, month, sender=p.stranger)
    badge = stage.badge(0, month)
    w.dut.approve(rewards.address, 1000 * DUT, sender=p.licensee)
    rewards.fund(300 * DUT, sender=p.licensee)
    for listed in (True, False, True):
        w.as_timelock(rewards, "set_beneficiary", p.exchange, listed)
    holder = stage.badges.ownerOf(badge)
    stage.donate(badge, p.exchange, next(a for a in (p.patient, p.other_patient) if a == holder))
    stage.service()
    stage.service(price=4 * DUT)
    stage.service(2, price=0, points=30)
    stage.redeem(p.patient, price=4 * DUT)
    voucher = stage.redeem(p.patient, service=2, price=0)
    stage.service(3, token=1, price=1000, provider=str(house))
    stage.redeem(p.other_custodian, service=3, price=1000)
    rewards.serve(voucher, b"\x09" * 32, sender=p.other_custodian)
    w.as_timelock(rewards, "set_parameter", "least", 11 * DUT)
    w.dut.transfer(rewards.address, 19, sender=p.licensee)
    marks.update(rewards=stage, badge=badge, outcome=outcome, led=one, first_month=first)


def _later_royalties(w: World, marks: dict[str, object]) -> None:
    """After the market's levy was changed to 4 %."""
    other = marks["other_study"]
    marks["stage"].vault.follow_levy(sender=w.people.relay)
    other.attest(5_000 * DUT)
    other.pay()  # its levy waits


def _storage(w: World) -> None:
    """Storage that is proven and whose calls count, storage that is not, and a challenge that is open."""
    e, p, storage = w.evm, w.people, w.storage
    w.as_timelock(storage, "set_rules", storage.rules() | {"samples": 30, "gap": DAY})
    w.as_timelock(storage, "set_bonuses", [{"calls": 40, "share": 1_000}])
    shelf = Shelf(w, p.other_custodian, p.attester)
    shelf.add()
    shelf.add(9_000)
    shelf.commit()
    consent = w.granted(shelf.lines[0].record)
    ref = w.buy(consent, units=100, agreement=b"\7" * 32)
    storage.mark_calls([ref])
    e.warp(60)
    w.use(ref, 50)
    w.settle(ref)
    storage.mark_calls([ref])
    storage.set_related(shelf.number, p.licensee, True, sender=p.supervisor)
    w.use(ref, 5)
    w.settle(ref)
    storage.mark_calls([ref])
    shelf.prove(3 * DAY)
    # The next period's challenge is missed, and so is one that a new holding was to escape.
    shelf.challenge(3 * DAY)
    e.warp(DAY)
    storage.fail(shelf.number)
    shelf.commit()
    shelf.challenge(2 * DAY)
    e.warp(DAY)
    shelf.commit()
    shelf.challenge(2 * DAY)
    shelf.answer(3)
    w.record(sender=p.stranger)


def _disputes(w: World, marks: dict[str, object]) -> None:
    """Attestations are challenged: upheld, rejected, taken back, and left undecided (R7)."""
    p, d = w.people, w.disputes
    records = [w.record(sender=p.stranger) for _ in range(5)]
    upheld, rejected, struck, silent, pending = records
    w.stake(150 * DUT)
    d.unstake(20 * DUT, sender=p.attester)
    w.resolve(upheld, w.challenge(upheld, completeness=61, dvi=44), True)
    w.resolve(rejected, w.challenge(rejected), False)
    d.unstake(80 * DUT, sender=p.attester)
    d.withdraw(sender=p.licensee)
    nothing = {k: NONE if k == "method" else 0 for k in w.scores()}
    w.resolve(struck, w.challenge(struck, **nothing), True)
    w.accredit(p.attester, 4)
    w.attest(struck, dvi=60)
    w.as_timelock(d, "set_bond", 30 * DUT)
    w.challenge(silent, sender=p.other_licensee)
    w.evm.warp(15 * DAY)
    d.lapse(silent, sender=p.relay)
    w.as_timelock(d, "set_window", 40 * DAY)
    d.pause(sender=p.guardian)
    w.as_timelock(d, "unpause")
    w.stake(5 * DUT)
    w.challenge(pending)
    marks.update(upheld=upheld, rejected=rejected, struck=struck, silent=silent, pending=pending)


def _protection(w: World, marks: dict[str, object]) -> None:
    """Premiums, claims granted, refused, cut and open (R23); contributions, compensation (R22)."""
    p, cover, fund = w.people, w.cover, w.compensation
    for who in (p.stranger, p.other_custodian):
        w.admit(who)
    for who in (p.stranger, p.other_custodian, p.other_licensee):
        w.fund(who, 100 * DUT)
        for contract in (cover, fund):
            w.dut.approve(contract.address, 2**255, sender=who)
    first = cover.pay_premium(DUT, sender=p.stranger)
    second = cover.pay_premium(50 * DUT, sender=p.other_custodian)
    for policy, who, amount, granted in (
        (first, p.stranger, 30 * DUT, 30 * DUT),
        (first, p.stranger, 30 * DUT, 29 * DUT),  # more than is left of the cover
        (second, p.other_custodian, DUT, 0),
        (second, p.other_custodian, 100 * DUT, 100 * DUT),  # more than is left of the pool
    ):
        claim = w.breach(policy, amount)
        cover.make_claim(claim, sender=who)
        cover.decide_claim(claim, granted, w.fresh("finding"), sender=p.council)
    args = (p.stranger, p.stranger, 5 * DUT, w.now, b"")
    cover.withdraw(*args, sender=p.stranger)
    w.as_timelock(cover, "set_term", 40 * DAY)
    cover.pause(sender=p.guardian)
    w.as_timelock(cover, "unpause")
    third = cover.pay_premium(2 * DUT, sender=p.stranger)
    cover.make_claim(w.breach(third, 3 * DUT), sender=p.stranger)
    consent = w.granted(w.record(sender=p.stranger))
    ref = w.buy(consent, sender=p.other_licensee, units=9, agreement=b"\7" * 32)
    w.use(ref, 2)
    fund.pay(ref, 10 * DUT + 7, sender=p.other_licensee)
    term = w.buy(
        consent, sender=p.other_licensee, form=FIXED, salt=77 << KEY_BITS, agreement=b"\7" * 32
    )
    w.evm.warp(60)
    w.settle(term)
    fund.pause(sender=p.guardian)
    w.as_timelock(fund, "unpause")
    fund.pay(term, 3, sender=p.other_licensee)
    w.as_timelock(fund, "compensate", p.other_patient, 2 * DUT, w.fresh("finding"))
    args = (p.stranger, p.stranger, DUT, w.now, b"")
    fund.withdraw(*args, sender=p.stranger)


def _passkeys(w: World, marks: dict[str, object]) -> None:
    """A passkey that is enrolled, replaced, kept and removed; licences that it approved (R10)."""
    p, keys = w.people, w.passkeys
    phone, other = Authenticator(21), Authenticator(22, counts=True)
    w.change_passkey(phone.values())
    consent = w.granted(w.record(sender=p.stranger, tier=3), tier=3)

    def approved(number: int, authenticator: Authenticator, **changes: Any) -> dict[str, Any]:
        salt = (900 + number) << KEY_BITS
        agreement = b"\7" * 32
        changes = {"maxPrice": 500 * DUT, "salt": salt, "agreement": agreement} | changes
        order = w.order(consent, **changes)
        keys.request(consent.struct_hash(), order, sender=p.licensee)
        w.approve(w.approval(consent, order), authenticator)
        return order

    def bought(order: dict[str, Any]) -> None:
        w.market.buy_licence(order, consent.values(), [], sender=p.licensee)

    bought(approved(1, phone))
    bought(approved(2, phone, form=FIXED, units=0))
    approved(3, phone)  # of which nothing came
    w.change_passkey(other.values())
    nonce = int(keys.state_word(p.patient)) >> 72
    cancelled = PasskeyCancellation(str(p.patient), nonce)
    answer = phone.answer(cancelled.digest(w.passkey_domain))
    keys.cancel_change_by_passkey(p.patient, answer, sender=p.relay)
    w.as_timelock(keys, "set_delay", 2 * DAY)
    w.change_passkey(other.values())
    bought(approved(4, phone))
    w.evm.warp(2 * DAY)
    bought(approved(5, other))
    bought(approved(6, other))
    w.change_passkey(phone.values())
    marks["highly"] = consent.struct_hash()


def _trust(w: World, marks: dict[str, object]) -> None:
    """A trustee sells by the tariff and above it; one sale ends early, another trustee is barred (R21)."""
    e, p, desk = w.evm, w.people, w.trust
    office = p.accreditation
    w.market.deposit(desk.address, 3 * DUT, sender=p.licensee)  # a gift to nobody
    for who in (p.trustee, p.relay):
        desk.set_trustee(who, True, sender=office)
    desk.set_trustee(p.relay, False, sender=office)
    sold, held = (
        mandate(w, w.record(sender=p.stranger), floorPrice=floor) for floor in (50 * DUT, 0)
    )
    for consent in (sold, held):
        offer(w, consent, 60 * DUT)
    offer(w, held, 0, record=held.records)
    who = p.other_licensee
    term = trusted(w, sold, sender=who, agreement=b"\7" * 32)
    calls = trusted(w, held, sender=who, agreement=b"\7" * 32, form=METERED, units=7)
    e.warp(40 * DAY)
    w.use(calls, 3)
    desk.settle([term, calls], sender=p.stranger)
    offer(w, sold, 61 * DUT, open_=False)
    e.warp(DAY)
    w.settle(term)
    w.revoke(sold)
    e.warp(DAY)
    desk.settle([term, calls], sender=p.stranger)
    w.admit(p.trustee)
    w.market.reclaim(DUT, sender=p.trustee)
    marks.update(trusted_term=term, trusted_calls=calls, mandate=held)


def _assets(w: World, marks: dict[str, object]) -> None:
    """An asset that is refuted, cancelled, opened, sold, and a source of another one (R3)."""
    p, desk = w.people, w.assets
    terms = {"agreement": b"\7" * 32}
    w.as_timelock(desk, "set_share", 2_500)
    w.as_timelock(desk, "set_window", 2 * DAY)
    first = Maker(w, p.other_custodian, order=terms)
    for weight in (1, 3):
        first.buy(weight, w.record(sender=p.stranger))
    consent = w.granted(w.record(sender=p.stranger))
    bad = first.add(Source(w.buy(consent, sender=p.licensee, **terms), consent), 2)
    first.derive()
    first.create()
    line = first.line(first.place(bad))
    desk.refute(first.asset, line, bad.values(), sender=p.stranger)
    first.sources.pop()
    first.weights.pop()
    first.state_again()
    desk.cancel(first.asset, b"\5" * 32, sender=p.council)
    first.state_again()
    w.evm.warp(2 * DAY)
    offer = first.offer()
    first.sell(offer, 10)
    first.join(first.place(first.sources[0]))
    first.collect()
    first.claim(first.sources[0])
    first.sell(offer, 3)
    w.it.approve(p.exchange, int.from_bytes(first.asset), sender=first.institution)
    w.it.transferFrom(first.institution, p.licensee, int.from_bytes(first.asset), sender=p.exchange)
    second = Maker(w, p.stranger, order=terms)
    second.add(Source(w.buy(offer, sender=second.institution, **terms), offer), 1)
    second.derive()
    second.create()
    w.evm.warp(2 * DAY)
    second.sell(second.offer(), 4)
    second.collect()
    second.join()
    second.claim()
    first.collect()
    first.join()
    first.claim()
    desk.withdraw_offer(first.asset, offer.struct_hash(), sender=p.licensee)
    amount = first.credited(p.patient)
    desk.withdraw(p.patient, p.patient, amount, w.now, b"", sender=p.patient)
    second.sell(second.offer(nonce=7), 1)  # earned, and not collected
    # Somebody has its earnings paid to the desk: a gift, and nobody's.
    w.market.withdraw(p.platform, desk.address, 5, w.now, b"", sender=p.platform)
    marks.update(first=first, second=second)


def _research(w: Research, marks: dict[str, object]) -> None:
    """Outcomes verified, RT spent, its help earned and not, budgets that begin and end (R4, R16)."""
    e, p, desk = w.evm, w.people, w.research

    def granted() -> Consent:
        return w.granted(w.record(sender=p.stranger))

    seat = w.seat()
    w.as_timelock(desk, "set_seats", 2)
    made = w.buy(granted(), units=4, agreement=b"\7" * 32)
    outcome = w.outcome(made, kind=2)
    for who in (p.technical, seat):
        w.verify(outcome, made, who)
    w.verify(w.outcome(made), made, seat)  # one of two seats
    w.as_timelock(desk, "set_share", 4_000)
    w.as_timelock(desk, "set_reward", 3, 5_000 * DUT)
    w.budget(250 * DUT, period=30 * DAY)
    lost = granted()
    helped = w.buy_with(granted(), 70 * DUT + 10**9, agreement=b"\7" * 32, salt=80 << KEY_BITS)
    revoked = w.buy_with(lost, 50 * DUT, agreement=b"\7" * 32, salt=81 << KEY_BITS)
    term = w.buy_with(granted(), 9 * DUT, form=FIXED, agreement=b"\7" * 32, salt=82 << KEY_BITS)
    w.use(helped, 3)
    w.use(revoked, 4)
    w.revoke(lost)
    e.warp(5 * DAY)
    w.settle(helped, revoked, term)
    for ref in (helped, revoked, term):
        w.release(ref)
    e.warp(30 * DAY)
    w.use(helped, 2)
    w.settle(helped, term)
    w.release(term)
    w.release(helped)
    again = granted()
    unused = w.buy_with(again, 20 * DUT, agreement=b"\7" * 32, salt=83 << KEY_BITS)
    w.revoke(again)
    w.as_timelock(w.treasury, "approve_budget", desk.address, 0, 0, 0)
    e.warp(5 * DAY)
    w.settle(unused)
    w.release(unused)  # into a budget that is over
    # Somebody else's budget, which is not a contract's of this suite.
    w.as_timelock(w.treasury, "approve_budget", p.annotator, 9 * DUT, DAY, 40 * DAY)
    w.as_timelock(w.treasury, "burn_reserve", DUT + 1)
    w.treasury.spend(4 * DUT, sender=p.annotator)
    w.dut.approve(w.treasury.address, DUT, sender=p.annotator)
    w.treasury.give_back(DUT, sender=p.annotator)
    w.budget(90 * DUT, period=30 * DAY)
    held = w.buy_with(granted(), 30 * DUT, agreement=b"\7" * 32, salt=84 << KEY_BITS)
    w.use(held, 1)
    w.settle(held)
    w.release(held)
    w.market.deposit(desk.address, 3 * DUT, sender=p.licensee)  # a gift to nobody
    marks.update(helped=helped, unhelped=revoked, help_held=held, outcome=outcome, seat=seat)


def _governance(w: World, marks: dict[str, object]) -> None:
    e, p, manager, timelock = w.evm, w.people, w.manager, w.timelock
    # Recovery and redemption of DCT by roles that are given first.
    w.as_timelock(manager, "grantRole", int(Role.RECOVERY), p.stranger, 0)
    w.as_timelock(manager, "grantRole", int(Role.REDEMPTION), p.relay, 0)
    w.dct.recover(p.other_patient, w.new_actor(), sender=p.stranger)
    w.dct.burn(p.patient, 7 * DUT, sender=p.relay)
    w.gt.burn(p.other_custodian, 7, sender=p.relay)
    heir = w.new_actor()
    w.gt.recover(p.other_custodian, heir, sender=p.stranger)
    manager.renounceRole(int(Role.RECOVERY), p.stranger, sender=p.stranger)
    # A supervisor with a delay, whose operations wait in the manager.
    w.as_timelock(manager, "grantRole", int(Role.SUPERVISOR), p.stranger, 3600)
    for licence, end in ((marks["held"], "execute"), (marks["again"], "cancel")):
        data = w.market.abi.call("set_suspended", w.licence_id(licence), True)
        manager.schedule(w.market.address, data, 0, sender=p.stranger)
        e.warp(3600)
        if end == "execute":
            manager.execute(w.market.address, data, sender=p.stranger)
        else:
            manager.cancel(p.stranger, w.market.address, data, sender=p.stranger)
    data = w.market.abi.call("set_suspended", w.licence_id(marks["again"]), False)
    manager.schedule(w.market.address, data, w.now + 5000, sender=p.stranger)
    w.as_timelock(manager, "grantRole", int(Role.SUPERVISOR), p.stranger, 60)
    w.as_timelock(manager, "setRoleAdmin", int(Role.GUARDIAN), int(Role.COMPLIANCE))
    w.as_timelock(manager, "setRoleGuardian", int(Role.GUARDIAN), int(Role.SANCTIONS))
    w.as_timelock(manager, "setGrantDelay", int(Role.GUARDIAN), 60)
    w.as_timelock(manager, "setTargetAdminDelay", w.treasury.address, 60)
    w.as_timelock(manager, "setTargetClosed", w.dct.address, True)
    selector = abi("Treasury").selector("set_ceiling")
    to = (w.treasury.address, [selector], int(Role.GUARDIAN))
    w.as_timelock(manager, "setTargetFunctionRole", *to)
    w.treasury.set_ceiling(9 * MILLION * DUT, sender=p.guardian)
    w.as_timelock(w.dut, "setProtocol", p.platform, True)
    # An upgrade to the same logic at another address, with the proxy's own administrator.
    args = (p.deployer, manager.address, w.dut.address)
    logic = e.deploy("Treasury", *args, sender=p.deployer)
    proxy_admin = e.contract("ProxyAdmin", _admin_of(e, w.treasury.address))
    data = proxy_admin.abi.call("upgradeAndCall", w.treasury.address, logic.address, b"")
    w.timelock_call(proxy_admin.address, data)
    # The timelock's own affairs: two calls at once, one cancelled, one that waits, a longer delay.
    salt = w.fresh("salt")
    calls = [w.treasury.abi.call("set_burn_share", share) for share in (2600, 2700)]
    batch = ([w.treasury.address] * 2, [0, 0], calls, NONE, salt)
    timelock.scheduleBatch(*batch, 0, sender=p.operator)
    timelock.executeBatch(*batch, sender=p.stranger)
    data = w.treasury.abi.call("set_burn_share", 1)
    for salt in (w.fresh("salt"), w.fresh("salt")):
        timelock.schedule(w.treasury.address, 0, data, NONE, salt, 500, sender=p.operator)
    last = timelock.hashOperation(w.treasury.address, 0, data, NONE, salt)
    timelock.cancel(last, sender=p.operator)
    w.timelock_call(timelock.address, timelock.abi.call("updateDelay", 100))
    proposer = keccak(text="PROPOSER_ROLE")
    data = timelock.abi.call("grantRole", proposer, p.stranger)
    salt = w.fresh("salt")
    timelock.schedule(timelock.address, 0, data, NONE, salt, 100, sender=p.operator)
    e.warp(100)
    timelock.execute(timelock.address, 0, data, NONE, salt, sender=p.relay)
    timelock.renounceRole(proposer, p.stranger, sender=p.stranger)
    marks.update(heir=heir)


def _proposals(w: World, marks: dict[str, Any]) -> None:
    """The governor takes over; proposals of every kind and end; the operator comes back by a vote (R28)."""
    e, p, timelock = w.evm, w.people, w.timelock
    seats = [w.new_actor() for _ in range(5)]
    g = _handed_over(w, seats)
    domain = GovernorDomain(w.domain.chain_id, g.address)

    def own(function: str, *args: Any) -> Call:
        return g.address, g.abi.call(function, *args)

    def terms(calls: Sequence[Call], text: str) -> tuple[Any, ...]:
        targets, data = [to for to, _ in calls], [data for _, data in calls]
        return targets, [0] * len(calls), data, keccak(text=text)

    def propose(calls: Sequence[Call], text: str) -> int:
        *named, _ = terms(calls, text)
        return int(g.propose(*named, text, sender=p.patient))

    burn = [(w.treasury.address, w.treasury.abi.call("set_burn_share", 2_800))]
    powers = [
        (timelock.address, timelock.abi.call("grantRole", keccak(text=f"{role}_ROLE"), p.operator))
        for role in ("PROPOSER", "CANCELLER")
    ]
    back = int(g.hashProposal(*terms(powers, "back")))
    # Everything that it may do with itself, and one call that it takes from anybody.
    rules = [
        own("setContributionDivisor", 50),
        own("setQuorumShare", 300),
        own("setVotingPeriod", 2 * WEEK),
        own("setProposalThreshold", 2),
        own("setSeat", w.new_actor(), 2),
        own("setSeat", seats[4], 1),
        own("setSeat", seats[0], 0),
        own("updateTimelock", timelock.address),
        own("relay", w.tariff.address, 0, w.tariff.abi.call("move_scarcity", 4)),
        own("castVote", back, 2),
    ]
    seat = [own("setSeat", w.new_actor(), 3), own("setSeat", seats[4], 0)]
    e.warp(1)
    unwanted, _, unloved, straight = (propose(burn, text) for text in ("1", "2", "3", "4"))
    for objector in seats[:2]:
        g.object(unwanted, sender=objector)
    objection = Objection(unwanted, str(seats[2])).sign(seats[2].key, domain)
    g.objectBySig(unwanted, seats[2], objection, sender=p.relay)  # three fifths: rejected
    g.object(straight, sender=seats[3])
    g.cancel(*terms(burn, "2"), sender=p.patient)
    e.warp(WEEK + 1)
    changing, seating = propose(rules, "rules"), propose(seat, "seat")
    signed = Ballot(straight, 1, str(p.patient), 0).sign(p.patient.key, domain)
    g.castVoteBySig(straight, 1, p.patient, signed, sender=p.relay)
    g.castVote(unloved, 0, sender=p.patient)
    g.castVoteWithReasonAndParams(unloved, 1, "why", b"\1", sender=marks["heir"])
    e.warp(WEEK + 1)
    propose(powers, "back")
    g.castVoteWithReason(changing, 1, "so", sender=p.patient)
    g.castVote(seating, 1, sender=p.patient)
    g.queue(*terms(burn, "4"), sender=p.stranger)
    e.warp(WEEK + 1)
    # What waits in the timelock is run by anybody, also past the governor.
    *batch, text = terms(burn, "4")
    salt = int.from_bytes(text) ^ int(g.address, 16) << 96
    timelock.executeBatch(*batch, NONE, salt.to_bytes(32), sender=p.relay)
    g.castVote(back, 1, sender=p.patient)
    g.queue(*terms(rules, "rules"), sender=p.stranger)
    g.queue(*terms(seat, "seat"), sender=p.relay)
    outweighed = propose(burn, "6")
    for objector in seats[1:3]:
        g.object(outweighed, sender=objector)  # a half of two chambers: two fifths
    e.warp(100)
    g.execute(*terms(rules, "rules"), sender=p.stranger)
    g.execute(*terms(seat, "seat"), sender=p.stranger)
    # Others lost their seats: the same objections reject it, once they are counted anew.
    g.object(outweighed, sender=seats[1])
    e.warp(WEEK + 1)
    g.queue(*terms(powers, "back"), sender=p.stranger)
    e.warp(100)
    g.execute(*terms(powers, "back"), sender=p.stranger)
    propose(burn, "5")


def _handed_over(w: World, seats: Sequence[Actor]) -> Contract:
    """The governor, with a week for the gate and one for the vote, after the operator's last proposal."""
    listed = list(zip(map(str, seats), (1, 1, 2, 2, 3), strict=True))
    step = governor_step(w.params, listed)
    args = resolve(step.args, {name: contract.address for name, contract in w.suite.items()})
    governor = w.evm.deploy(step.name, *args, sender=w.people.stranger)
    w.suite[step.name] = governor
    calls = handover_calls(w.timelock.address, governor.address, w.people.operator)
    batch = ([to for to, _ in calls], [0] * len(calls), [data for _, data in calls], NONE, NONE)
    w.timelock.scheduleBatch(*batch, 100, sender=w.people.operator)
    w.evm.warp(100)
    w.timelock.executeBatch(*batch, sender=w.people.relay)
    return governor


def _admin_of(evm: Evm, proxy: str) -> str:
    slot = int.from_bytes(keccak(text="eip1967.proxy.admin")) - 1
    return to_checksum_address(evm.storage(proxy, slot).to_bytes(20))


@pytest.fixture(scope="session")
def honest() -> History:
    """The story as it happened. Do not send transactions: ``recorded`` is for that."""
    world = recorded_world()
    names = story(world)
    made = history_of(world)
    made.names = names
    return made


@pytest.fixture(scope="session")
def _recorded() -> World:
    return recorded_world()


@pytest.fixture
def recorded(_recorded: World) -> Iterator[World]:
    """A world that has settled in and keeps its raw logs; what a test does in it is undone."""
    with _recorded.evm.anchor():
        yield _recorded


@pytest.fixture(scope="session")
def auditing() -> Callable[[World], Report]:
    return audit


@pytest.fixture(scope="session")
def history() -> Callable[[World], History]:
    """Turns a recorded world into a history that can be tampered with."""
    return history_of

"""R28, R29: a fix of the market passes proposal, council, vote, timelock and proxy; all of it survives.

The first version is the market's real source with one bug planted: patient and custodian have each
other's part of what is settled. The second one is the release. Between them lie the council's week and
the vote's, in which the market goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import pytest
from support.evm import Contract
from support.governance import AGAINST, EXECUTED, FOR, TECHNICAL, USERS, Call, Governed, refuses
from support.planted import planted
from support.recording import EvmChain, RecordingEvm, deployment_of
from support.world import DAY, DUT, FIXED, METER_FIELDS, RENTAL, reverts, unpack

from medtoken import artifacts
from medtoken._keccak import first_created
from medtoken.audit import Suite, decoded, replay
from medtoken.audit.source import CONTRACTS
from medtoken.deploy.plan import GOVERNOR
from medtoken.messages import Ballot, Consent, GovernorDomain, Withdrawal

IMPLEMENTATION = 0x360894A13BA1A3210667C828492DB98DCA3E2076CC3735A920A3CA505D382BBC
RIGHT = "    custodian: uint256 = provider * (_BPS - share) // _BPS\n"
WRONG = "    custodian: uint256 = provider * share // _BPS\n"


class Rehearsal(Governed):
    """The suite whose market has the bug, under its governor."""

    def __init__(self) -> None:
        buggy = planted("DataMarket", "modules/settlement.vy", RIGHT, WRONG)
        with (
            patch("support.world.Evm", RecordingEvm),
            patch.dict(artifacts.load("DataMarket"), {"bytecode": buggy}),
        ):
            super().__init__()
        self.settle_in()

    @property
    def logic(self) -> str:
        return f"0x{self.evm.storage(self.market.address, IMPLEMENTATION):040x}"

    def fixed_logic(self) -> Contract:
        """The release's market, with the links that the first one has."""
        names = ("UsageToken", "RecordRegistry", "Treasury", "Tariff", "Passkeys")
        links = [self.suite[name].address for name in names]
        who = self.people.deployer
        return self.evm.deploy("DataMarket", who, self.manager.address, *links, sender=who)

    def upgrading(self, logic: str, data: bytes = b"") -> list[Call]:
        admin = self.evm.contract("ProxyAdmin", first_created(self.market.address))
        return [(admin.address, admin.abi.call("upgradeAndCall", self.market.address, logic, data))]

    def earned_by(self, ref: dict[str, Any], units: int) -> tuple[int, int]:
        """What patient and custodian get more when so many units are used and settled."""
        p = self.people
        before = self.earned(p.patient), self.earned(p.custodian)
        self.use(ref, units)
        self.settle(ref)
        return self.earned(p.patient) - before[0], self.earned(p.custodian) - before[1]


@dataclass
class Live:
    """What lives on the market when the fix comes."""

    consent: Consent
    other: Consent
    metered: dict[str, Any]
    fixed: dict[str, Any]
    rental: dict[str, Any]
    suspended: dict[str, Any]
    voucher: dict[str, Any]  # signed, not redeemed
    withdrawal: Withdrawal  # signed, not relayed


def live(w: Rehearsal) -> Live:
    p = w.people
    consent, other = w.granted(), w.granted()
    terms = {"end": w.now + 120 * DAY}
    metered = w.buy(consent, units=100, salt=w.keyed(1), **terms)
    fixed = w.buy(consent, form=FIXED, salt=w.keyed(2), **terms)
    rental = w.buy(other, form=RENTAL, end=w.now + 80 * DAY, salt=w.keyed(3))
    suspended = w.buy(other, units=5, salt=w.keyed(4), **terms)
    w.market.set_suspended(w.licence_id(suspended), True, sender=p.supervisor)
    w.evm.warp(DAY)
    patient, custodian = w.earned_by(metered, 8)
    assert 0 < 3 * patient == custodian  # the bug
    voucher = w.voucher(metered, 30)
    withdrawal = w.withdrawal(p.patient, 2 * DUT, deadline=w.now + 60 * DAY)
    return Live(consent, other, metered, fixed, rental, suspended, voucher, withdrawal)


@pytest.fixture(scope="module")
def _rehearsal() -> Rehearsal:
    return Rehearsal()


@pytest.fixture
def w(_rehearsal: Rehearsal) -> Iterator[Rehearsal]:
    with _rehearsal.evm.anchor():
        yield _rehearsal


def voted(w: Rehearsal, calls: list[Call], text: str) -> int:
    """The council's gate, in which one chamber objects, and a vote, part of it by signature."""
    p = w.people
    proposal = w.propose(calls, text)
    assert w.object(proposal, *w.seats[USERS], *w.seats[TECHNICAL][:2]) == 4_800
    w.pass_gate()
    domain = GovernorDomain(w.domain.chain_id, w.governor.address)
    ballot = Ballot(proposal, FOR, str(p.patient), 0).sign(p.patient.key, domain)
    w.governor.castVoteBySig(proposal, FOR, p.patient, ballot, sender=p.relay)
    w.vote(proposal, {p.custodian: FOR, p.annotator: AGAINST})
    w.end_vote()
    w.queue(calls, text)
    return proposal


def test_the_fix_arrives_and_everything_survives(w: Rehearsal) -> None:
    p, market = w.people, w.market
    now = live(w)
    first, second = w.logic, w.fixed_logic()
    calls = w.upgrading(second.address)
    proposal = voted(w, calls, "the split")
    # The market has gone on meanwhile, with its bug.
    patient, custodian = w.earned_by(now.metered, 16)
    assert 0 < 3 * patient == custodian
    before = w.evm.storage_of(market.address)
    held = {account: w.dut.balanceOf(account) for account in (market.address, *vars(p).values())}
    w.execute(calls, "the split")
    assert w.state(proposal) == EXECUTED
    upgraded_at = len(w.evm.times) - 1
    # Not a word of the storage is another, but where the logic is; nobody's money moved.
    assert (w.logic, first) == (second.address.lower(), before_logic(before))
    assert w.evm.storage_of(market.address) == {**before, IMPLEMENTATION: int(second.address, 16)}
    assert held == {account: w.dut.balanceOf(account) for account in held}
    # The bug is gone, for licences that were bought before it went.
    patient, custodian = w.earned_by(now.metered, 4)
    assert patient == 3 * custodian > 0
    # Signed before, good after: a voucher and a withdrawal.
    used = unpack(w.licence(now.metered), METER_FIELDS)["used"]
    w.redeem(now.voucher)
    assert unpack(w.licence(now.metered), METER_FIELDS)["used"] == used + 2 == 30
    w.withdraw(now.withdrawal, p.patient)
    assert w.dut.balanceOf(p.patient) == held[p.patient] + 2 * DUT
    # What was suspended still is, until its supervisor says otherwise.
    with reverts("licence: it is suspended"):
        w.use(now.suspended)
    market.set_suspended(w.licence_id(now.suspended), False, sender=p.supervisor)
    w.use(now.suspended)
    # Terms go on to earn, consents take new licences and can be revoked, deposits go back.
    w.settle(now.fixed, now.rental)
    w.use(w.buy(now.consent, units=1, salt=w.keyed(5)))
    refund = w.deposit_of(p.licensee)
    w.revoke(now.consent)
    with reverts("consent: it was revoked"):
        w.use(now.metered)
    w.evm.warp(4 * DAY)
    w.settle(now.metered, now.fixed)
    assert w.deposit_of(p.licensee) > refund
    market.reclaim(w.deposit_of(p.licensee), sender=p.licensee)
    assert_audited(w, upgraded_at)


def before_logic(words: dict[int, int]) -> str:
    return f"0x{words[IMPLEMENTATION]:040x}"


def assert_audited(w: Rehearsal, upgraded_at: int) -> None:
    """The auditor names every settlement of the first version, and none of the second."""
    addresses = {name: w.suite[name].address for name in CONTRACTS}
    addresses[GOVERNOR] = w.governor.address
    record = deployment_of(addresses, w.people.deployer)
    report = replay(EvmChain(w.evm), record)
    wrong = {v.block for v in report.violations if "part of" in v.text and v.tx is not None}
    settled = {
        event.block
        for event in decoded(w.evm.raw, Suite.of(record))
        if event.event == "LicenceSettled" and event.block < upgraded_at
    }
    assert wrong == settled
    assert len(settled) == 2


def test_an_upgrade_initialises_nothing_again(w: Rehearsal) -> None:
    again = w.market.abi.call(
        "initialize",
        {"provider": 7_000, "annotator": 2_000, "platform": 1_000, "levy": 500},
        w.people.stranger,
        DAY,
        b"\1" * 32,
    )
    calls = w.upgrading(w.fixed_logic().address, again)
    voted(w, calls, "take it")
    before = w.logic
    with reverts("initializer: done before"):
        w.execute(calls, "take it")
    assert w.logic == before


def test_without_its_vote_no_upgrade_comes(w: Rehearsal) -> None:
    p, second = w.people, w.fixed_logic()
    ((admin, data),) = w.upgrading(second.address)
    for who in (p.deployer, p.operator, p.guardian, p.custodian):
        with refuses("OwnableUnauthorizedAccount", who):
            w.evm.transact(who, admin, data)
    proposal = w.propose([(admin, data)])
    w.pass_gate()
    w.vote(proposal, {p.patient: FOR, p.annotator: AGAINST})
    w.end_vote()
    with refuses("GovernorUnexpectedProposalState", proposal):
        w.queue([(admin, data)])

"""R4 through the public Python API on a real chain: outcome, RT, a licence paid in part, both its ends."""

from __future__ import annotations

from typing import Any

import pytest
from support.stage import PURPOSES, Stage

from medtoken.audit import replay
from medtoken.chain.contracts import LicenceRef
from medtoken.chain.research import Outcome, ResearchDesk, ResearchToken
from medtoken.errors import ContractRefused, InsufficientFunds, NotPermitted
from medtoken.messages import DUT, Revocation
from medtoken.parties import Licensee
from medtoken.vocabulary import Form, OutcomeKind

UNITS = 100
TERMS: dict[str, Any] = {
    "form": Form.METERED,
    "purposes": PURPOSES,
    "days": 30,
    "units": UNITS,
}


class Lab:
    """The licensee, the seat and the desk of a stage."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.suite = stage, stage.suite
        self.pharma, self.seat = stage.chain.cast["pharma"], stage.chain.cast["operator"]
        self.relay = stage.chain.cast["relay"]
        self.licensee = Licensee(self.suite, self.pharma)
        self.desk = ResearchDesk(self.suite.node, self.suite.deployment)
        self.tokens = ResearchToken(self.suite.node, self.suite.deployment)
        if self.deposit < 500_000 * DUT:
            self.licensee.deposit(500_000 * DUT)

    @property
    def deposit(self) -> int:
        return self.suite.market.licensee(self.pharma.address).deposit

    def consent(self) -> bytes:
        """A consent of the patient's that is on the chain."""
        return self.stage.consent(self.stage.record())

    def earned(self, kind: OutcomeKind = OutcomeKind.MODEL_ACCURACY) -> LicenceRef:
        """A licence that was used up: its levies are in the reserve, and its outcome earns RT."""
        consent = self.consent()
        terms = TERMS | {"units": 2_000}
        bought = self.licensee.buy(self.stage.record(), consent, **terms)
        self.licensee.use(bought.licence, 2_000)
        self.suite.market.settle(self.relay, [bought.ref])
        outcome = Outcome(bought.licence, self.pharma.address, kind, b"\7" * 32)
        with pytest.raises(NotPermitted):
            self.desk.verify(self.pharma, outcome, bought.ref)
        self.desk.verify(self.seat, outcome, bought.ref)
        assert self.tokens.balance(self.pharma.address) == self.desk.reward(kind)
        return bought.ref

    def audited(self) -> dict[str, Any]:
        report = replay(self.suite.node, self.suite.deployment)
        assert report.holds, [f.detail for f in report.invariants if not f.holds]
        return report.ledger.as_dict()


@pytest.fixture
def lab(stage: Stage) -> Lab:
    return Lab(stage)


def test_an_outcome_helps_to_pay_the_next_licence(lab: Lab) -> None:
    lab.earned()
    before, reserve = lab.deposit, lab.suite.treasury.available(lab.desk.address)
    consent = lab.consent()
    bought = lab.licensee.buy(lab.stage.record(), consent, research=100 * DUT, **TERMS)
    assert lab.tokens.balance(lab.pharma.address) == 900 * DUT
    assert lab.suite.treasury.available(lab.desk.address) == reserve - 100 * DUT
    assert lab.deposit == before - bought.paid - bought.levy
    lab.licensee.use(bought.licence, UNITS // 4)
    lab.suite.market.settle(lab.relay, [bought.ref])
    lab.desk.release(lab.relay, bought.ref)
    assert lab.deposit == before - bought.paid - bought.levy + 25 * DUT
    lab.licensee.use(bought.licence, UNITS - UNITS // 4)
    lab.suite.market.settle(lab.relay, [bought.ref])
    lab.desk.release(lab.relay, bought.ref)
    assert lab.deposit == before - bought.paid - bought.levy + 100 * DUT
    ledger = lab.audited()
    assert ledger["treasury"]["spent"] == ledger["research"]["released"] == str(100 * DUT)
    assert ledger["rt"]["total"] == str(900 * DUT)
    with pytest.raises(ContractRefused, match="nothing was settled"):
        lab.desk.release(lab.relay, bought.ref)


def test_the_help_for_a_revoked_licence_goes_back(lab: Lab) -> None:
    lab.earned()
    before, reserve = lab.deposit, lab.suite.treasury.available(lab.desk.address)
    consent = lab.consent()
    bought = lab.licensee.buy(lab.stage.record(), consent, research=100 * DUT, **TERMS)
    revocation = Revocation(consent)
    lab.stage.relay.revoke(revocation, lab.stage.patient.sign(revocation))
    lab.stage.later(5)
    lab.suite.market.settle(lab.relay, [bought.ref])
    assert lab.deposit == before
    lab.desk.release(lab.relay, bought.ref)
    assert lab.deposit == before
    assert lab.suite.treasury.available(lab.desk.address) == reserve
    assert lab.tokens.balance(lab.pharma.address) == 1_000 * DUT
    ledger = lab.audited()
    assert ledger["treasury"]["spent"] == ledger["research"]["held"] == "0"


def test_nothing_is_bought_when_the_budget_cannot_help(lab: Lab) -> None:
    """Half of a levy of 2,000 calls is left in the reserve; a larger licence asks for more."""
    lab.earned(OutcomeKind.APPROVED_PRODUCT)
    before, available = lab.deposit, lab.suite.treasury.available(lab.desk.address)
    consent = lab.consent()
    terms = TERMS | {"units": 5_000}
    with pytest.raises(InsufficientFunds, match="treasury: the reserve is too small"):
        lab.licensee.buy(lab.stage.record(), consent, research=available + DUT, **terms)
    assert lab.deposit == before
    lab.audited()

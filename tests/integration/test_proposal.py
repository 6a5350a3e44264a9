"""R28 on a real chain, by the command line: handover, council, proposal, relayed vote, execution."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.live import DAY, Ran, medtoken_here
from support.stage import Stage

from medtoken.audit import replay
from medtoken.chain.node import Wallet
from medtoken.deploy.powers import read_powers
from medtoken.deploy.record import Deployment
from medtoken.deploy.verify import verify

CALL = "Treasury.set_burn_share 4000"


class Verbs:
    """The verbs of proposals in one home."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.seats = [Wallet.create() for _ in range(2)]
        for name, wallet in (
            ("voter", stage.patient_wallet),
            ("seat", self.seats[0]),
            ("other-seat", self.seats[1]),
        ):
            stage.home.keep_wallet(name, wallet)
            stage.chain.node.rpc("anvil_setBalance", wallet.address, hex(10**18))

    def ran(self, *words: str) -> Ran:
        where = ("--rpc", self.stage.chain.node.url, "--home", str(self.stage.home.folder))
        return medtoken_here("proposal", *words, *where, "--json")

    def __call__(self, *words: str) -> Any:
        return self.ran(*words).ok()

    def refused(self, *words: str) -> str:
        ran = self.ran(*words)
        assert ran.code != 0
        assert ran.out == ""
        return ran.err

    def hand_over(self) -> Any:
        return self("hand-over", "--seat", "users=seat", "--seat", "institutions=other-seat")

    def make(self, text: str = "burn less") -> str:
        made = self("make", "--call", CALL, "--text", text, "--as", "voter")
        assert made["calls"] == ["1. Treasury.set_burn_share(burnShare = 4000)"]
        return str(made["proposal"])


@pytest.fixture
def verbs(stage: Stage) -> Verbs:
    stage.record()  # whose DCT is the patient's vote
    return Verbs(stage)


def test_a_proposal_from_the_handover_to_its_execution(verbs: Verbs) -> None:
    chain = verbs.stage.chain
    assert "has no governor yet" in verbs.refused("list")
    words = ("hand-over", "--seat", "users=seat", "--seat", "institutions=other-seat")
    said = verbs.ran(*words)
    first = said.ok()
    # The rules are those of the network that the record names, and are said before anything is sent.
    assert "The governor's gate: 604800" in said.err
    assert "The governor's quorumShare: 400" in said.err
    assert first["now"] == "The governor alone proposes to the timelock."
    assert verbs.hand_over() == first  # run again, it changes nothing
    assert "other rules or other seats" in verbs.refused(*words[:3])
    assert [s["chamber"] for s in verbs("council")["seats"]] == ["users", "institutions"]
    chain.warp(1)
    number = verbs.make()
    assert verbs("show", number)["state"] == "pending"
    assert verbs("object", number, "--as", "seat")["objections"] == 4_000
    assert "GovernorUnexpectedProposalState" in verbs.refused(
        "vote", number, "for", "--as", "voter"
    )
    chain.warp(7 * DAY + 1)
    signed = verbs("ballot", number, "for", "--as", "voter")
    relayed = ("vote", number, "for", "--for", "voter", "--signature", signed["signature"])
    assert int(verbs(*relayed)["votes"]) > 0
    assert "GovernorInvalidSignature" in verbs.refused(*relayed, "--as", "pharma")
    chain.warp(7 * DAY + 1)
    assert verbs("show", number)["state"] == "succeeded"
    verbs("queue", number)
    chain.warp(1)
    verbs("execute", number)
    assert verbs("list")["proposals"][0]["state"] == "executed"
    assert verbs.stage.suite.treasury.read("burn_rule")[1] == 4_000
    # Nobody has a power that was not declared, and the code of the governor is what was built.
    record = Deployment.load(verbs.stage.home.deployment(chain.node.chain_id))
    assert [d.text for d in verify(chain.node, record).deviations] == []
    powers = read_powers(chain.node, record)
    assert [h.name for h in powers.of("TimelockController", "schedule").holders] == ["MedGovernor"]
    assert powers.of("TimelockController", "cancel").holders == ()
    assert [h.name for h in powers.of("MedGovernor", "setSeat").holders] == ["TimelockController"]
    # The auditor counts the votes again.
    node = verbs.stage.chain.node
    record = Deployment.load(verbs.stage.home.deployment(node.chain_id))
    report = replay(node, record)
    assert report.violations == ()
    assert report.ledger.governor.proposals[int(number)].tally[1] > 0


def test_an_appeal_ends_a_sanction_and_leaves_no_power_behind(verbs: Verbs) -> None:
    chain, usage = verbs.stage.chain, verbs.stage.suite.usage
    pharma = chain.cast["pharma"].address
    verbs.hand_over()
    chain.warp(1)
    words = ("appeal", "pharma", "--text", "a namesake", "--as", "voter")
    assert f"{pharma} is not frozen." in verbs.refused(*words)
    usage.send(chain.cast["operator"], "setFrozen", pharma, True)
    assert not usage.may_hold(pharma)
    shown = verbs(*words, "--dry-run")["calls"]
    assert [line.split("(")[0] for line in shown if line[0].isdigit()] == [
        "1. AccessManager.grantRole",
        "2. UsageToken.setFrozen",
        "3. AccessManager.revokeRole",
    ]
    number = verbs(*words)["proposal"]
    chain.warp(7 * DAY + 1)
    verbs("vote", number, "for", "--as", "voter")
    chain.warp(7 * DAY + 1)
    verbs("queue", number)
    chain.warp(1)
    verbs("execute", number)
    assert usage.may_hold(pharma)
    record = Deployment.load(verbs.stage.home.deployment(chain.node.chain_id))
    holders = read_powers(chain.node, record).of("UsageToken", "setFrozen").holders
    assert [h.name for h in holders] == ["sanctions"]
    assert verify(chain.node, record).deviations == ()
    assert replay(chain.node, record).violations == ()


def test_the_council_rejects_and_the_proposer_cancels(verbs: Verbs) -> None:
    verbs.hand_over()
    verbs.stage.chain.warp(1)
    number = verbs.make()
    verbs("object", number, "--as", "seat")
    # Once more has them counted anew, and says what they weigh.
    again = verbs("object", number, "--as", "seat")
    assert (again["objections"], again["rejected"]) == (4_000, False)
    signed = verbs("ballot", number, "object", "--as", "other-seat")
    relayed = ("--for", "other-seat", "--signature", signed["signature"])
    assert verbs("object", number, *relayed) == {
        "proposal": number,
        "objections": 8_000,
        "rejected": True,
    }
    assert verbs("show", number)["state"] == "canceled"
    other = verbs.make("burn less, please")
    verbs("cancel", other, "--as", "voter")
    assert verbs("show", other)["state"] == "canceled"


def test_what_cannot_be_is_said_in_a_sentence(verbs: Verbs) -> None:
    for call, sentence in (
        ("Treasury.set_burn_share", "Treasury.set_burn_share takes uint256 burnShare."),
        ("Treasury.set_burn_share much", "much is no uint256, which burnShare is."),
        ("Treasury.print 1", "Treasury has no function print."),
        ("Mint.print 1", "The deployment has no contract Mint."),
        ("nonsense", "nonsense is not of the form CONTRACT.FUNCTION ARGUMENT ..."),
    ):
        assert sentence in verbs.refused("make", "--call", call, "--text", "x", "--dry-run")
    verbs.hand_over()
    assert "There is no proposal 7." in verbs.refused("show", "7")
    assert "x is not the number of a proposal." in verbs.refused("show", "x")
    assert "is not of the form CHAMBER=ADDRESS" in verbs.refused("hand-over", "--seat", "nobody")


def test_the_rules_are_those_of_the_deployments_network(verbs: Verbs) -> None:
    record = verbs.stage.home.deployment(verbs.stage.chain.node.chain_id)
    made = Deployment.load(record)
    replace(made, network="elsewhere").save(record)
    assert "the parameters elsewhere cannot be read" in verbs.refused("hand-over")
    assert verbs("hand-over", "--params", "devnet")["now"].startswith("The governor alone")


def test_only_the_operator_hands_over(verbs: Verbs) -> None:
    assert "does not propose to the timelock" in verbs.refused("hand-over", "--as", "pharma")
    record = verbs.stage.home.deployment(verbs.stage.chain.node.chain_id)
    assert "MedGovernor" not in Deployment.load(record).contracts

"""Every sentence with which a contract refuses occurs in a test, and every event too.

The tests compare sentences whole, so one that occurs here is one that was met.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from medtoken import artifacts

ROOT = Path(__file__).resolve().parents[3]
OURS = [
    "DataMarket",
    "RecordRegistry",
    "Rewards",
    "BadgeToken",
    "RoyaltyVault",
    "Tariff",
    "Treasury",
    "UsageToken",
    "ContributionToken",
    "GovernanceToken",
    "StorageRewards",
    "ResearchToken",
    "ResearchDesk",
    "LicenceToken",
    "QualityDisputes",
    "LicenceView",
    "AssetDesk",
    "BreachCover",
    "CompensationFund",
    "Passkeys",
    "DataTrust",
    "AssetAccount",
    "InstitutionToken",
    "PayoutRelay",
    "MedGovernor",
]
REFUSAL = re.compile(r'(?:,|raise|revert\()\s*"([A-Za-z ]+: [^"]+)"')


@cache
def _tests() -> str:
    here = ROOT / "tests" / "unit"
    this = Path(__file__).resolve()
    files = [p for p in here.rglob("test_*.py") if p.resolve() != this]
    return "\n".join(p.read_text(encoding="utf-8") for p in files)


def _sentences() -> list[str]:
    sources = [*(ROOT / "contracts").rglob("*.vy"), *(ROOT / "contracts").rglob("*.sol")]
    found = {s for path in sources for s in REFUSAL.findall(path.read_text(encoding="utf-8"))}
    return sorted(found)


def test_the_sentences_are_found() -> None:
    assert len(_sentences()) > 110


@pytest.mark.parametrize("sentence", _sentences())
def test_a_refusal_is_met_in_a_test(sentence: str) -> None:
    assert f'"{sentence}"' in _tests()


@pytest.mark.parametrize("contract", OURS)
def test_an_event_is_met_in_a_test(contract: str) -> None:
    # Events of OpenZeppelin's own that this project neither emits itself nor changes.
    theirs = {"AuthorityUpdated", "EIP712DomainChanged", "DelegateChanged"}
    if contract in (
        "LicenceToken",
        "BadgeToken",
    ):  # and of its standards, what a token that never moves cannot emit
        theirs |= {"Approval", "ApprovalForAll", "Unlocked"}
    if contract == "ResearchToken":
        theirs |= {"Approval"}
    if contract == "MedGovernor":  # told once, when it is made: the council's time is fixed
        theirs |= {"VotingDelaySet"}
    events = {e["name"] for e in artifacts.load(contract)["abi"] if e["type"] == "event"}
    text = _tests()
    missing = {e for e in events - theirs if f'"{e}"' not in text}
    assert missing == set()

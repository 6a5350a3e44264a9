"""No log can be dropped, repeated or changed unseen, but for what is named here.

What is named can be told from logs and state alone by nobody: it needs a proof that the block holds
this very receipt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from medtoken.audit import Event

# Events that change nothing which any view of the suite tells.
SILENT = {
    "UsageToken.Approval",
    "ContributionToken.DelegateVotesChanged",
    "GovernanceToken.DelegateVotesChanged",
    "InstitutionToken.Approval",
    "AccessManager.RoleLabel",
    "Passkeys.LicenceRequested",
    "TimelockController.CallSalt",
}

# Fields that are kept nowhere and follow from nothing else.
UNTOLD = {
    # who pays in beyond the chain, and under which reference
    "UsageToken.Issued.exchange",
    "UsageToken.Issued.payment",
    "UsageToken.Redeemed.payment",
    # how it was scored
    "RecordRegistry.RecordAttested.scores.method",
    # scores of which only the DVI counts, unless the method is one that the auditor knows
    "RecordRegistry.RecordAttested.scores.volume",
    "RecordRegistry.RecordAttested.scores.timeliness",
    "RecordRegistry.RecordAttested.scores.traceability",
    # what was brought before the arbitrator, and said by it
    "QualityDisputes.ChallengeOpened.evidence",
    "QualityDisputes.ChallengeResolved.reason",
    # what the council and the timelock found
    "BreachCover.ClaimDecided.reason",
    "CompensationFund.Compensated.reason",
    # what an asset's list and a finding about it say, on which line, and a roster that was taken back
    "AssetDesk.LineageStated.lineage.manifest",
    "AssetDesk.LineageStated.lineage.count",
    "AssetDesk.LineageStated.lineage.root",
    "AssetDesk.LineageStated.lineage.total",
    "AssetDesk.LineageRefuted.licence",
    "AssetDesk.LineageRefuted.index",
    "AssetDesk.LineageCancelled.reason",
    "AssetDesk.SourceJoined.index",
    # what a destruction's certificate says
    "RecordRegistry.RecordDestroyed.certificate",
    # where a batch's list of drafts lies
    "RecordRegistry.BatchRegistered.manifest",
    # diseases matter only where the purpose is research on them; more may be undertaken than needed
    "DataMarket.LicenceBought.diseases",
    "DataMarket.LicenceBought.purposes",
    # the same of a bid, as long as another exceeds it
    "AuctionHouse.AuctionBid.diseases",
    "AuctionHouse.AuctionBid.purposes",
    # who challenged, as anybody may; which block drew, once that is answered
    "StorageRewards.ChallengeOpened.challenger",
    "StorageRewards.ChallengeOpened.seedBlock",
    # the root of a holding that another took the place of
    "StorageRewards.HoldingCommitted.root",
    # what a later event changed again
    "AuctionHouse.TermsChanged.extension",
    "AuctionHouse.TermsChanged.increment",
    "AuctionHouse.TermsChanged.patience",
    "DataMarket.LicenceSuspended.suspended",
    "AccessManager.RoleGranted.delay",
    # when an operation was due: a week later no view tells done, withdrawn and lapsed apart (storage does)
    "AccessManager.OperationScheduled.schedule",
    "Tariff.EmergencyDeclared.until",
    # a passkey that another took the place of, or that never counted
    "Passkeys.PasskeyChanged.passkey.x",
    "Passkeys.PasskeyChanged.passkey.y",
    "Passkeys.PasskeyChanged.passkey.relyingParty",
    # what voters say beside their vote
    "MedGovernor.VoteCast.reason",
    "MedGovernor.VoteCastWithParams.params",
    "MedGovernor.VoteCastWithParams.reason",
    # what a roster, a finding or a report says, and on which line of the roster somebody stands
    "RoyaltyVault.MemberJoined.index",
    "RoyaltyVault.OptionVested.evidence",
    "RoyaltyVault.RoyaltyWaived.reason",
    "RoyaltyVault.SalesAttested.evidence",
    "RoyaltyVault.StudyCancelled.reason",
    "RoyaltyVault.StudySealed.manifest",
    # what licensees state and providers note, and a list that was changed again
    "Rewards.BeneficiaryChanged.listed",
    "Rewards.OutcomeReported.kind",
    "Rewards.OutcomeReported.statement",
    "Rewards.VoucherServed.note",
    # who sent what the timelock, or somebody with a role, may send
    "TimelockController.RoleGranted.sender",
    "TimelockController.RoleRevoked.sender",
}

# What the story does once, that nothing refers to later, and that no view shows to those who do not
# know what to ask for.
UNSEEN = {
    # a use of a fixed term counts nothing
    "DataMarket.LicenceUsed": 1,
    # changed again before anything depended on it
    "DataMarket.LicenseeChanged": 1,
    "DataMarket.LicenceSuspended": 1,
    "DataMarket.PauseChanged": 1,
    "RoyaltyVault.PauseChanged": 1,
    "QualityDisputes.PauseChanged": 1,
    "BreachCover.PauseChanged": 1,
    "CompensationFund.PauseChanged": 1,
    # an approval of which nothing came: whoever does not know of it does not know what to ask for
    "Passkeys.LicenceApproved": 1,
    # a claim that nobody has decided: whoever does not know of it does not know what to ask for
    "BreachCover.ClaimMade": 1,
    # a trustee that was barred before it did anything; an offer for records that have their own
    "DataTrust.TrusteeChanged": 1,
    "DataTrust.OfferChanged": 1,
    # never used: a record that nobody attested, a batch (its use does not tell that it is one), a
    # consent that was cancelled before it came, studies that nobody undertook, an option that
    # neither vested nor went back, what still waits to be carried out, roles that nobody has used,
    # or that another member has too
    "RecordRegistry.RecordRegistered": 1,
    "RecordRegistry.BatchRegistered": 1,
    "DataMarket.ConsentRevoked": 1,
    # copies of a record: whoever does not know of one does not know what to ask for
    "RecordRegistry.RenditionAdded": 2,
    # nobody ever bought under them: one for an auction that was taken back, one revoked in a basket
    "DataMarket.ConsentGranted": 2,
    # of an auction that was never opened: nobody knows what to ask for
    "AuctionHouse.AuctionWithdrawn": 1,
    # of the deployment: the first auction was opened after others
    "AuctionHouse.TermsChanged": 1,
    "Rewards.BeneficiaryChanged": 2,
    # of an outcome that too few seats verified: nobody knows what to ask for
    "ResearchDesk.OutcomeVerified": 1,
    "RoyaltyVault.OptionGranted": 1,
    "RoyaltyVault.StudySealed": 2,
    # one that is still at its gate; one that weighed nothing; the same timelock as before; and what the
    # timelock ran tells that a proposal was executed
    "MedGovernor.ProposalCreated": 1,
    "MedGovernor.ProposalExecuted": 3,
    # Counted anew: the same seats have objected, and only the governor's storage tells a rejection
    # from its proposer's own cancelling.
    "MedGovernor.ProposalObjected": 1,
    "MedGovernor.TimelockChange": 2,
    "MedGovernor.VoteCast": 1,
    # the operator's powers, which a later vote gave back
    "TimelockController.RoleRevoked": 2,
    "AccessManager.OperationScheduled": 1,
    # a week later; see above
    "AccessManager.OperationCanceled": 1,
    "AccessManager.OperationExecuted": 1,
    "TimelockController.CallScheduled": 1,
    "AccessManager.RoleGranted": 3,
}


def changes_nothing(args: dict[str, Any]) -> bool:
    """Whether an event sets what was set already."""
    values = [args.get(k) for k in ("previous", "current", "oldDuration", "newDuration")]
    found = [v for v in values if v is not None]
    return len(found) == 2 and found[0] == found[1]


@pytest.mark.slow
def test_no_log_can_be_dropped(honest) -> None:
    unseen = Counter(
        name(e)
        for i, e in enumerate(honest.events)
        if name(e) not in SILENT
        and not changes_nothing(e.args)
        and not honest.caught(honest.without(i))
    )
    assert unseen == UNSEEN


def test_silent_events_really_change_nothing(honest) -> None:
    """Else they would not belong into the list."""
    kept = [e for e in honest.events if name(e) not in SILENT]
    assert len(kept) < len(honest.events)
    assert honest.broken(kept) == {}


@pytest.mark.slow
def test_no_log_can_be_told_twice(honest) -> None:
    for i, event in enumerate(honest.events):
        again = [*honest.events[: i + 1], event, *honest.events[i + 1 :]]
        assert honest.fold(again).violations, name(event)


@pytest.mark.slow
def test_no_field_can_be_changed(honest) -> None:
    seen: dict[str, bool] = {}
    for at, where, args in tampered(honest):
        event = replace(honest.events[at], args=args)
        events = [*honest.events[:at], event, *honest.events[at + 1 :]]
        seen[where] = seen.get(where, True) and honest.caught(events)
    untold = {where for where, caught in seen.items() if not caught}
    assert untold == UNTOLD
    assert len(seen) > 150


def tampered(honest) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Every field of the first and the last event of each kind, changed a little."""
    places: dict[str, set[int]] = {}
    for i, event in enumerate(honest.events):
        if name(event) not in SILENT:
            found = places.setdefault(name(event), {i})
            places[name(event)] = {min(found), i}
    for kind, positions in places.items():
        for at in sorted(positions):
            args = honest.events[at].args
            for field, value in args.items():
                if isinstance(value, dict):
                    for inner, old in value.items():
                        changed = args | {field: value | {inner: other(old)}}
                        yield at, f"{kind}.{field}.{inner}", changed
                else:
                    yield at, f"{kind}.{field}", args | {field: other(value)}


def name(event: Event) -> str:
    return f"{event.contract}.{event.event}"


def other(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1 if value < 2**256 - 1 else value - 1
    if isinstance(value, bytes):
        return value[:-1] + bytes([value[-1] ^ 1]) if value else b"\1"
    if isinstance(value, list):
        return value[:-1] if value else [{"calls": 1, "share": 1}]
    if value.startswith("0x"):
        return value[:-1] + ("0" if value[-1] != "0" else "1")
    return value + "x"

"""What each number in an event counts. An ABI says how wide a number is, never what it means.

A name means the same in every event, but for those that are told apart below by contract and event.
A table with a number that stands nowhere here cannot be made: a new event needs its units first.
"""

from __future__ import annotations

BASE = "base units"  # of the token that the event is about: 10**-18
WEI = "wei"
TIME = "unix seconds"
SECONDS = "seconds"
DAYS = "days"
DAY = "days since 1970-01-01"
MONTH = "months of 30 days since 1970-01-01"
BPS = "bps"
BYTES = "bytes"
COUNT = "count"
POINTS = "points"
THOUSANDTHS = "thousandths of R1's unit for the kind"
WEIGHT = "weight"  # parts of a total that stands beside them
BITS = "bits"  # each has a meaning of its own
NUMBER = (
    "number"  # tells one thing from others: an institution, an epoch, a kind, a place in a list
)
WORD = "word"  # 32 bytes that name something; kept as bytes
MARK = "unix seconds or count"  # of a term or of metered units, by the licence's form
OTHER = "as the parameter's name says"

# These are small; every other number is kept as an exact decimal of 38 digits.
SMALL = frozenset(
    (TIME, SECONDS, DAYS, DAY, MONTH, BPS, BYTES, COUNT, POINTS, THOUSANDTHS, NUMBER, MARK)
)

_EVERYWHERE: dict[str, str] = {
    name: unit
    for unit, names in {
        BASE: "amount annotator_amount asked at_risk bond burned cover custodian_amount drawn fee "
        "floor_price granted gross held inherited kept left limit max_price minted new_votes paid "
        "patient_amount platform_amount pool premium previous_votes price refund reserve returned "
        "royalty sales sold spent levy",
        WEI: "value",
        TIME: "deadline end end_time ends eta_seconds expiry occurred opens schedule since start_time "
        "time until vote_end vote_start",
        SECONDS: "certified_first delay duration extension gap new_duration new_voting_delay "
        "new_voting_period old_duration old_voting_delay old_voting_period term window",
        DAYS: "patience",
        DAY: "as_of",
        MONTH: "month",
        BPS: "discount increment patient_share rate share",
        BYTES: "size",
        COUNT: "calls count counted counter samples units used votes",
        POINTS: "accuracy annotation completeness dvi points quality threshold timeliness "
        "traceability volume",
        WEIGHT: "total weight",
        BITS: "capabilities flags groups licensees previous_capabilities purposes",
        NUMBER: "admin annotator attester board codec custodian epoch factor form guardian index "
        "kind number outcome period policy region role_id sealer seed_block service source steps "
        "support tier version voucher",
        WORD: "badge nonce proposal_id salt token_id",
        MARK: "settled",
    }.items()
    for name in names.split()
}

# By contract and event, or by the event alone; an argument, or a part of one.
_HERE: dict[str, dict[str, str]] = {
    "AccessManager.OperationCanceled": {"nonce": NUMBER},
    "AccessManager.OperationExecuted": {"nonce": NUMBER},
    "AccessManager.OperationScheduled": {"nonce": NUMBER},
    "Approval": {"value": BASE},
    "ContributionDivisorSet": {"previous": COUNT, "current": COUNT},
    "AssetEarned": {"lineage": BASE},
    "AttestationRevised": {"units": THOUSANDTHS},
    "BudgetApproved": {"period": SECONDS},
    "BudgetReturned": {"used": BASE},
    "BudgetSpent": {"used": BASE},
    "CapChanged": {"previous": BASE, "current": BASE},
    "BasketDrawn": {"taken": COUNT},
    "ChallengeOpened": {"units": THOUSANDTHS},
    "FactorChanged": {"previous": BPS, "current": BPS},
    "NonceUsed": {"nonce": NUMBER},
    "ParameterChanged": {"previous": OTHER, "current": OTHER},
    "ProposalCreated": {"values": WORD},  # wei, but a list takes no number that is too large
    "ProposalObjected": {"weight": BPS},
    "ProposalThresholdSet": dict.fromkeys(
        ("old_proposal_threshold", "new_proposal_threshold"), BASE
    ),
    "QuorumShareSet": {"previous": BPS, "current": BPS},
    "RatesChanged": dict.fromkeys(("provider", "annotator", "platform", "levy"), BPS),
    "RecordAttested": {"units": THOUSANDTHS},
    "Redeemed": {"token": NUMBER},
    "ReferenceChanged": {"previous": BASE, "current": BASE},
    "RewardChanged": {"previous": BASE, "current": BASE},
    "ScarcityChanged": {"previous": BPS, "current": BPS},
    "SeatSet": {"previous": NUMBER, "current": NUMBER},
    "SeatsChanged": {"previous": COUNT, "current": COUNT},
    "ServiceChanged": {"token": NUMBER},
    "ShareChanged": {"previous": BPS, "current": BPS},
    "StakeChanged": {"previous": BASE, "current": BASE},
    "StandingChanged": {"previous": NUMBER, "current": NUMBER},
    "Transfer": {"value": BASE},
    "VoteCast": {"weight": BASE},
    "VoteCastWithParams": {"weight": BASE},
    "WindowChanged": {"previous": SECONDS, "current": SECONDS},
}


def unit_of(contract: str, event: str, name: str) -> str | None:
    """What a number of an event counts; ``name`` in snake case. None where nobody has said it."""
    for place in (f"{contract}.{event}", event):
        if name in _HERE.get(place, {}):
            return _HERE[place][name]
    return _EVERYWHERE.get(name)

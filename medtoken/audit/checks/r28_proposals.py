"""R28: votes weigh what their voters held before the proposal, and only what they carried is queued.

Events: ProposalCreated, ProposalObjected, ProposalCanceled, VoteCast, VoteCastWithParams, ProposalQueued,
SeatSet, ContributionDivisorSet, QuorumShareSet of the governor; CallScheduled, RoleGranted, RoleRevoked
of the timelock; DelegateVotesChanged and Transfer of DCT and GT. As of the second before a proposal: a
vote is 1.5 x GT + 0.5 x DCT / divisor, once, between gate and end; more than 60 % of those who took a
side and the quorum of all votes carry. Objections weigh their chambers' 40, 40 and 20 %, come before the
gate closes, and over one half reject at once. What is queued schedules the proposal's own calls, to run
when it says; once the governor alone proposes to the timelock, nothing else is scheduled. A violation
shows base units, bps, unix seconds, or calls.
"""

from typing import Any

import ibis
import ibis.expr.types as ir

from medtoken.audit import rules
from medtoken.audit.checks import _base as b
from medtoken.deploy.roles import PROPOSER

RULE = "R28"
INVARIANT = None
TITLE = "Proposals pass the council and the vote"
_GOVERNOR = "med_governor"
_TOKENS = ("governance_token", "contribution_token")


def violations(history: b.History) -> ir.Table:
    """Votes and objections of another weight, and proposals that went on without being carried."""
    return b.stack(*_votes(history), *_queued(history), *_objections(history), *_scheduled(history))


def _known(history: b.History, rows: ir.Table) -> ir.Table:
    """``rows`` with what ProposalCreated and ProposalCanceled say of their proposal."""
    made, gone = (history(_GOVERNOR, f"proposal_{event}") for event in ("created", "canceled"))
    keys = {"proposal_id": "proposal_id"}
    rows = b.matched(rows, made, keys, made="block_time", gate="vote_start", ends="vote_end")
    return b.matched(rows, gone, keys, gone="at")


def _cast(history: b.History) -> ir.Table:
    plain, extended = (
        history(_GOVERNOR, event).select(
            "block_number",
            "block_time",
            "tx_hash",
            "log_index",
            "at",
            "voter",
            "proposal_id",
            "support",
            "weight",
        )
        for event in ("vote_cast", "vote_cast_with_params")
    )
    return plain.union(extended)


def _votes(history: b.History) -> list[ir.Table]:
    rows = _cast(history)
    rows = rows.mutate(number=b.number(rows, [rows.proposal_id, rows.voter]))
    rows = _before(_known(history, rows))
    for name, token in zip(("gt", "dct"), _TOKENS, strict=True):
        told = history(token, "delegate_votes_changed")
        told = _last(told, told.delegate)
        rows = b.as_of(rows, told, {"voter": "delegate"}, **{name: "new_votes"})
    rows = _ruled(history, rows, "contribution_divisor_set", "divisor")
    shown = {"subject": rows.proposal_id, "parties": [rows.voter]}
    weight = _weight(rows.gt.fill_null(b.dec(0)), rows.dct.fill_null(b.dec(0)), rows.divisor)
    return [
        b.unequal(rows, "the weight of a vote", weight, rows.weight, **shown),
        b.broken(
            rows,
            (rows.number == 1)
            & rows.gone.isnull()
            & (rows.block_time > rows.gate)
            & (rows.block_time <= rows.ends),
            "a vote twice, or at another time than that of its vote",
            expected=rows.ends,
            found=rows.block_time,
            **shown,
        ),
    ]


def _queued(history: b.History) -> list[ir.Table]:
    rows = _known(history, history(_GOVERNOR, "proposal_queued"))
    cast = _cast(history)
    for support, name in enumerate(("against", "pro", "abstain")):
        one = cast.filter(cast.support == support)
        sums = one.group_by("proposal_id").aggregate(total=b.dec(one.weight.sum()))
        rows = b.matched(rows, sums, {"proposal_id": "proposal_id"}, **{name: "total"})
        rows = rows.mutate(**{name: b.dec(rows[name].fill_null(b.dec(0)))})
    rows = _before(rows)
    for name, token in zip(("gt", "dct"), _TOKENS, strict=True):
        steps = _supply(history, token)
        rows = b.standing_sum(rows, steps, steps.step, name)
    rows = _ruled(history, rows, "contribution_divisor_set", "divisor")
    rows = _ruled(history, rows, "quorum_share_set", "share")
    quorum = b.share(_weight(rows.gt, rows.dct, rows.divisor), rows.share)
    shown = {"subject": rows.proposal_id}
    return [
        b.broken(
            rows,
            rows.pro + rows.abstain >= quorum,
            "a proposal was queued without a quorum",
            expected=quorum,
            found=b.dec(rows.pro + rows.abstain),
            **shown,
        ),
        b.broken(
            rows,
            rows.pro * 10 > (rows.pro + rows.against) * 6,
            "a proposal was queued without more than 60 % for it",
            expected=b.dec(b.quotient((rows.pro + rows.against) * 6, 10) + 1),
            found=rows.pro,
            **shown,
        ),
        b.broken(
            rows,
            rows.gone.isnull() & (rows.block_time > rows.ends),
            "a proposal was queued before its vote was over, or after it was cancelled",
            expected=rows.ends,
            found=rows.block_time,
            **shown,
        ),
    ]


def _objections(history: b.History) -> list[ir.Table]:
    rows = history(_GOVERNOR, "proposal_objected")
    seated = history(_GOVERNOR, "seat_set")
    # Every objection with everybody who ever had a seat: who has one then, and who has objected.
    everybody = seated.select(account="account").distinct()
    pairs = rows.select("at", "proposal_id", _join=ibis.literal(1)).join(
        everybody.mutate(_join=ibis.literal(1)), "_join"
    )
    pairs = b.as_of(pairs, seated, {"account": "account"}, chamber="current")
    said = b.first_of(rows.select("at", "proposal_id", "seat"), ["proposal_id", "seat"])
    keys = {"proposal_id": "proposal_id", "account": "seat"}
    pairs = b.matched(pairs, said, keys, said="at")
    against = (pairs.said <= pairs.at).fill_null(False)
    sums: dict[str, Any] = {}
    for chamber in rules.CHAMBERS:
        here = (pairs.chamber == chamber).fill_null(False)
        sums[f"_all{chamber}"] = here.cast("int64").sum()
        sums[f"_no{chamber}"] = (here & against).cast("int64").sum()
    counted = pairs.group_by("at").aggregate(**sums)
    weight: Any = b.dec(0)
    for chamber, share in rules.CHAMBERS.items():
        part = b.quotient(counted[f"_no{chamber}"] * share, counted[f"_all{chamber}"])
        weight = weight + part.fill_null(b.dec(0))
    rows = b.matched(rows, counted, {"at": "at"}, counted=b.dec(weight))
    rows = b.as_of(rows, seated, {"seat": "account"}, chamber="current")
    rows = rows.mutate(number=b.number(rows, [rows.proposal_id, rows.seat]))
    rows = _known(history, rows)
    gone = history(_GOVERNOR, "proposal_canceled")
    keys = {"proposal_id": "proposal_id", "tx_hash": "tx_hash"}
    rows = b.matched(rows, gone, keys, rejected="at")
    shown = {"subject": rows.proposal_id, "parties": [rows.seat]}
    return [
        b.unequal(rows, "the weight of objections, bps", rows.counted, b.dec(rows.weight), **shown),
        b.broken(
            rows,
            (rows.chamber > 0)
            # Who objects again is heard when seats have changed and it rejects.
            & ((rows.number == 1) | (rows.counted * 2 > b.BPS))
            & (rows.block_time <= rows.gate)
            & (rows.gone.isnull() | (rows.gone > rows["at"])),
            "an objection twice, too late, or of nobody who has a seat",
            expected=rows.gate,
            found=rows.block_time,
            **shown,
        ),
        b.broken(
            rows,
            (rows.counted * 2 <= b.BPS) | rows.rejected.notnull(),
            "a proposal that the council objected to was not rejected",
            expected="rejected",
            found=rows.counted,
            **shown,
        ),
    ]


def _scheduled(history: b.History) -> list[ir.Table]:
    """A queued proposal's calls against those that the timelock was given in its transaction."""
    queued = history(_GOVERNOR, "proposal_queued")
    made = history(_GOVERNOR, "proposal_created")
    calls = queued.select(*b.PLACE, "proposal_id", "eta_seconds")
    for name, column in (("target", "targets"), ("value", "values"), ("data", "calldatas")):
        one = made.select("proposal_id", _one=column).unnest("_one", offset="place")
        if name == "target":
            rows = one.select("proposal_id", "place", target="_one")
            calls = calls.join(rows, "proposal_id")
        else:
            keys = {"proposal_id": "proposal_id", "place": "place"}
            calls = b.matched(calls, one, keys, **{name: "_one"})
    scheduled = history("timelock_controller", "call_scheduled")
    # Wei by their lowest 60 bits: the one event tells words, the other a number.
    calls = calls.mutate(wei=b.low_bits(calls["value"]))
    scheduled = scheduled.mutate(
        runs=scheduled.block_time + scheduled.delay.cast("int64"), wei=b.bits(scheduled["value"])
    )
    same = {name: name for name in ("tx_hash", "target", "wei", "data")}
    found = b.matched(calls, scheduled, same | {"place": "index"}, runs="runs")
    none = ibis.literal("such a call")
    parts = [
        b.broken(
            found,
            found.runs == found.eta_seconds,
            "a call of a queued proposal was not scheduled, or for another time",
            subject=found.proposal_id,
            parties=[found.target],
            expected=found.eta_seconds,
            found=found.runs,
        )
    ]
    if not history.has("MedGovernor"):
        return parts
    rows = scheduled
    proposer = b.raw("0x" + PROPOSER.hex())
    steps = b.stack(
        *(
            changes.filter(changes.role == proposer).select("at", "account", step=b.dec(step))
            for changes, step in (
                (history("timelock_controller", "role_granted"), 1),
                (history("timelock_controller", "role_revoked"), -1),
            )
        )
    )
    own = steps.filter(steps.account == b.raw(history.address("MedGovernor")))
    rows = b.standing_sum(rows, steps, steps.step, "proposers")
    rows = b.standing_sum(rows, own, own.step, "governors")
    rows = rows.filter(((rows.proposers == 1) & (rows.governors == 1)).fill_null(False))
    told = calls.select(*same, "place", voted=ibis.literal(True)).distinct()
    rows = b.matched(rows, told, same | {"index": "place"}, voted="voted")
    parts.append(
        b.broken(
            rows,
            rows.voted,
            "a call was scheduled that no queued proposal has",
            subject=rows.id,
            parties=[rows.target],
            expected=none,
            found="none",
        )
    )
    return parts


# Weights are as of a time and not of a place: a proposal's is odd, a change's even.


def _before(rows: ir.Table) -> ir.Table:
    """``rows`` with ``at`` between the seconds before their proposal's and its own."""
    return rows.mutate(at=(rows.made * 2 - 1).fill_null(0))


def _last(changes: ir.Table, by: Any) -> ir.Table:
    """The last change of each second, with that as ``at``."""
    window = ibis.window(group_by=[by, changes.block_time], order_by=ibis.desc(changes["at"]))
    changes = changes.mutate(_rank=ibis.row_number().over(window))
    return changes.filter(changes._rank == 0).mutate(at=changes.block_time * 2)


def _ruled(history: b.History, rows: ir.Table, event: str, name: str) -> ir.Table:
    """``rows`` with a rule of the governor's as it was then; the first one held from the first on."""
    changes = history(_GOVERNOR, event)
    first = b.number(changes) == 1
    changes = changes.mutate(block_time=first.ifelse(0, changes.block_time))
    return b.as_of(rows, _last(changes, changes.address), **{name: "current"})


def _supply(history: b.History, token: str) -> ir.Table:
    moves = history(token, "transfer")
    amount = b.dec(moves.value)
    step = b.empty(moves.from_).ifelse(amount, b.dec(0)) - b.empty(moves.to_).ifelse(
        amount, b.dec(0)
    )
    return moves.select(at=moves.block_time * 2, step=b.dec(step))


def _weight(gt: Any, dct: Any, divisor: Any) -> Any:
    """1.5 x GT + 0.5 x contribution, base units."""
    return b.quotient(b.dec(gt) * 3 + b.quotient(dct, divisor), 2)

"""R4: RT comes of outcomes that enough seats verified, and pays its share of a licence from the
budget.

Events: OutcomeVerified, OutcomeRewarded, LicenceSupported, SupportReleased, SeatsChanged,
ShareChanged, RewardChanged of the research desk, Transfer of RT, BudgetSpent and BudgetReturned,
LicenceBought. Votes count one by one, a reward is the kind's; support is at most RT's share of the
price; RT minted and burned is what the desk says, and what it spent of the reserve is the RT burned
less the RT returned. A violation shows votes, or base units.
"""

from typing import Any

import ibis.expr.types as ir

from medtoken.audit.checks import _base as b
from medtoken.audit.checks import _market as m

RULE = "R4"
INVARIANT = 3
TITLE = "Research tokens follow verified outcomes"


def violations(history: b.History) -> ir.Table:
    """Votes, rewards and support that are not what the rules give."""
    desk = "research_desk"
    votes, rewards, support, release = (
        history(desk, event)
        for event in (
            "outcome_verified",
            "outcome_rewarded",
            "licence_supported",
            "support_released",
        )
    )
    votes = votes.mutate(
        place=b.number(votes, votes.outcome), again=b.number(votes, [votes.outcome, votes.seat])
    )
    keys = {"outcome": "outcome"}
    rewards = b.as_of(
        rewards, votes, keys, kind="given_kind", for_whom="given_licensee", came="votes"
    )
    rewards = b.as_of(rewards, history(desk, "seats_changed"), seats="current")
    rewards = b.as_of(rewards, history(desk, "reward_changed"), {"kind": "kind"}, due="current")
    support = b.matched(support, m.licences(history), {"licence": "licence"}, paid="paid")
    support = b.as_of(support, history(desk, "share_changed"), share="current")
    support = support.mutate(most=b.share(support.paid, support.share))
    release = b.matched(release, support, {"licence": "licence"}, amount_of="amount")
    release = release.mutate(out=b.dec(b.dec(release.amount) + b.dec(release.returned)))
    release = release.mutate(sum=b.running(release, release.out, release.licence))
    return b.stack(
        b.unequal(
            votes, "votes for an outcome", votes.place, votes.votes, **_of(votes, "outcome", "seat")
        ),
        b.broken(
            votes,
            (votes.again == 1) & (votes.seat != votes.given_licensee),
            "a seat that voted twice, or for itself",
            expected=1,
            found=votes.again,
            **_of(votes, "outcome", "seat"),
        ),
        b.broken(
            rewards,
            (rewards.came >= rewards.seats) & (rewards.for_whom == rewards.licensee),
            "votes behind a reward, or its receiver",
            expected=rewards.seats,
            found=rewards.came,
            **_of(rewards, "outcome", "licensee"),
        ),
        b.unequal(
            rewards,
            "the reward of an outcome",
            b.dec(rewards.due),
            b.dec(rewards.amount),
            **_of(rewards, "outcome", "licensee"),
        ),
        b.broken(
            support,
            (support.amount <= support.most) & (support.amount > 0),
            "RT in a licence's price, against its share",
            expected=support.most,
            found=support.amount,
            **_of(support, "licence", "licensee"),
        ),
        b.broken(
            release,
            release.sum <= release.amount_of,
            "released of a licence's support, against what was set aside",
            expected=release.amount_of,
            found=release.sum,
            **_of(release, "licence", "licensee"),
        ),
        *_tokens(history),
    )


def _of(rows: ir.Table, subject: str, party: str) -> dict[str, Any]:
    return {"subject": rows[subject], "parties": [rows[party]]}


def _tokens(history: b.History) -> list[ir.Table]:
    desk = "research_desk"
    rewards, support, release = (
        history(desk, event)
        for event in ("outcome_rewarded", "licence_supported", "support_released")
    )
    keep = ["block_number", "tx_hash", "log_index", "at"]
    told = b.stack(
        rewards.select(*keep, account="licensee", amount=b.dec(rewards.amount)),
        support.select(*keep, account="licensee", amount=b.dec(0) - b.dec(support.amount)),
        release.select(*keep, account="licensee", amount=b.dec(release.returned)),
    )
    moves = history("research_token", "transfer")
    legs = moves.select(*keep, account="to_", amount=b.dec(moves.value)).union(
        moves.select(*keep, account="from_", amount=b.dec(0) - b.dec(moves.value))
    )
    legs = legs.filter(~b.empty(legs.account))
    spent, back = (history("treasury", f"budget_{event}") for event in ("spent", "returned"))
    own = history.address("ResearchDesk")
    used = spent.select(*keep, account="spender", amount=b.dec(spent.amount)).union(
        back.select(*keep, account="spender", amount=b.dec(0) - b.dec(back.amount))
    )
    used = used.filter(used.account == b.raw(own))
    need = support.select(*keep, account="address", amount=b.dec(support.amount)).union(
        release.select(*keep, account="address", amount=b.dec(0) - b.dec(release.returned))
    )
    return [
        b.both(
            b.per_transaction(told, told.amount, "told", "account"),
            b.per_transaction(legs, legs.amount, "came", "account"),
            "account",
            "RT that came or went (negative), against the desk's word",
        ),
        b.both(
            b.per_transaction(need, need.amount, "told", "account"),
            b.per_transaction(used, used.amount, "came", "account"),
            "account",
            "spent of the reserve for research, against the RT burned",
        ),
    ]

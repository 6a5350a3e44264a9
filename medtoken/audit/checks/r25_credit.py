"""R25: points count once, badges go to those who were nominated with them, and donations come of
their budget.

Events: PointsEarned, Nominated, BadgeAwarded, BudgetFunded, DonationDirected, ParameterChanged,
BeneficiaryChanged of the rewards, Transfer of badges. The points of a nomination are those earned
in the board's period; a board has ten badges at most, each for somebody nominated with these
points, and a badge never moves; a donation is the amount in force, once for a badge, to somebody
listed, within the budget. A violation shows points, or base units.
"""

import ibis
import ibis.expr.types as ir
from eth_utils import keccak

from medtoken.audit import rules
from medtoken.audit.checks import _base as b

RULE = "R25"
INVARIANT = 3
TITLE = "Points, badges and donations follow the boards"
_BOARD = {name: name for name in ("board", "period", "account")}


def violations(history: b.History) -> ir.Table:
    """Points, badges and donations that are not what the rules give."""
    return b.stack(*_boards(history), *_donations(history), _bound(history))


def _boards(history: b.History) -> list[ir.Table]:
    points, nominated, awarded = (
        history("rewards", event) for event in ("points_earned", "nominated", "badge_awarded")
    )
    keep = ["account", "points"]
    board = ibis.ifelse(points.institution, 2, 0).cast("int64")
    year = b.quotient(points.month, rules.MONTHS).cast("int64")
    every = points.select(*keep, board=board, period=points.month).union(
        points.select(*keep, board=board + 1, period=year)
    )
    sums = every.group_by(list(_BOARD)).aggregate(sum=every.points.sum().cast("int64"))
    nominated = b.matched(nominated, sums, _BOARD, due="sum")
    awarded = b.matched(awarded, nominated, _BOARD, due="points")
    awarded = awarded.mutate(place=b.number(awarded, [awarded.board, awarded.period]))
    return [
        b.unequal(
            nominated,
            "points of a nomination",
            nominated.due,
            nominated.points,
            subject=nominated.board,
            parties=[nominated.account],
        ),
        b.unequal(
            awarded,
            "points behind a badge",
            awarded.due,
            awarded.points,
            subject=awarded.board,
            parties=[awarded.account],
        ),
        b.broken(
            awarded,
            awarded.place <= rules.TEN,
            "badges of a board",
            subject=awarded.board,
            parties=[awarded.account],
            expected=rules.TEN,
            found=awarded.place,
        ),
    ]


def _donations(history: b.History) -> list[ir.Table]:
    rewards = "rewards"
    rows, funded = (history(rewards, event) for event in ("donation_directed", "budget_funded"))
    changes = history(rewards, "parameter_changed")
    own = changes.filter(changes.name_hash == b.raw("0x" + keccak(text="donation").hex()))
    rows = b.as_of(rows, own, due="current")
    listed = history(rewards, "beneficiary_changed")
    rows = b.as_of(rows, listed, {"recipient": "recipient"}, listed="listed")
    badges = history(rewards, "badge_awarded")
    rows = b.matched(rows, badges, {"badge": "badge"}, holder="account")
    rows = rows.mutate(number=b.number(rows, rows.badge))
    keep = ["block_number", "tx_hash", "log_index", "at"]
    flows = funded.select(*keep, amount=b.dec(funded.amount)).union(
        rows.select(*keep, amount=b.dec(0) - b.dec(rows.amount))
    )
    flows = flows.mutate(budget=b.running(flows, flows.amount))
    shown = {"subject": rows.badge, "parties": [rows.account, rows.recipient]}
    return [
        b.unequal(rows, "a donation", b.dec(rows.due), b.dec(rows.amount), **shown),
        b.broken(
            rows,
            (rows.number == 1) & rows.listed & (rows.holder == rows.account),
            "a donation twice for a badge, by another than its holder, or to somebody not listed",
            expected=1,
            found=rows.number,
            **shown,
        ),
        b.broken(
            flows,
            flows.budget >= 0,
            "the budget of donations",
            expected="at least 0",
            found=flows.budget,
        ),
    ]


def _bound(history: b.History) -> ir.Table:
    moves = history("badge_token", "transfer")
    badges = history("rewards", "badge_awarded")
    moves = b.matched(moves, badges, {"token_id": "badge"}, holder="account")
    return b.broken(
        moves,
        b.empty(moves.from_) & (moves.to_ == moves.holder),
        "a badge that moved, or went to another than it was awarded to",
        subject=moves.token_id,
        parties=[moves.from_, moves.to_],
        expected=b.hexed(moves.holder),
        found=b.hexed(moves.to_),
    )

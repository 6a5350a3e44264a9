"""R16: the reserve is levies less what was burned and spent, and is spent only within an approved
budget.

Events: LevyReceived, ReserveBurned, BudgetApproved, BudgetSpent, BudgetReturned of the treasury,
Transfer of DUT.
The reserve that each event tells is the sum of all before it, never negative; what is spent stays,
in each period, within the limit of a budget that runs; and DUT leaves the treasury for nothing
else. A violation shows base units.
"""

from typing import Any

import ibis
import ibis.expr.types as ir

from medtoken.audit.checks import _base as b

RULE = "R16"
INVARIANT = 3
TITLE = "The reserve is spent within budgets only"


def violations(history: b.History) -> ir.Table:
    """Reserves that do not add up, spending without a budget, DUT that left without a reason."""
    levies, spent, back, burnt = (
        history("treasury", event)
        for event in ("levy_received", "budget_spent", "budget_returned", "reserve_burned")
    )
    keep = ["block_number", "block_time", "tx_hash", "log_index", "at", "reserve"]
    none = ibis.null("int64")
    rows = b.stack(
        levies.select(*keep, account="payer", change=b.dec(levies.amount) - b.dec(levies.burned)),
        spent.select(*keep, account="spender", change=-b.dec(spent.amount)),
        back.select(*keep, account="spender", change=b.dec(back.amount)),
        burnt.select(*keep, account="address", change=-b.dec(burnt.amount)),
    )
    rows = rows.mutate(due=b.running(rows, rows.change))
    place = [
        "block_number",
        "block_time",
        "tx_hash",
        "log_index",
        "at",
        "spender",
        "period",
        "used",
    ]
    moves = b.stack(
        spent.select(*place, amount=b.dec(spent.amount)),
        back.select(*place, amount=-b.dec(back.amount)),
    )
    moves = b.as_of(
        moves,
        history("treasury", "budget_approved"),
        {"spender": "spender"},
        most="current_limit",
        length="current_period",
        since="current_since",
        until="current_until",
        approved="at",
    )
    moves = moves.mutate(approved=moves.approved.fill_null(none.fill_null(0)))
    last = b.previous(moves, moves.used, [moves.spender, moves.approved, moves.period]).fill_null(
        b.dec(0)
    )
    taken = b.dec(last + moves.amount)
    moves = moves.mutate(due=ibis.ifelse(taken < 0, b.dec(0), taken))
    shown = {"parties": [moves.spender]}
    runs = moves.filter(moves.length > 0)
    spends = moves.filter(moves.amount > 0)
    return b.stack(
        b.unequal(rows, "the reserve", rows.due, rows.reserve, parties=[rows.account]),
        b.broken(
            rows, rows.due >= 0, "the reserve below zero", expected="at least 0", found=rows.due
        ),
        b.unequal(runs, "used of a budget in its period", runs.due, runs.used, **_who(runs)),
        b.unequal(
            runs,
            "the period of a budget",
            b.quotient(runs.block_time - runs.since, runs.length),
            b.dec(runs.period),
            **_who(runs),
        ),
        b.broken(
            spends,
            (spends.used <= spends.most) & (spends.block_time < spends.until),
            "spent of the reserve, beyond the limit or the time of its budget",
            expected=spends.most,
            found=spends.used,
            **_who(spends),
        ),
        b.broken(
            moves,
            moves.approved > 0,
            "the reserve moved without a budget",
            expected="a budget",
            found=moves.amount,
            **shown,
        ),
        _left(history, spent, levies, burnt),
    )


def _who(rows: ir.Table) -> dict[str, Any]:
    return {"parties": [rows.spender]}


def _left(history: b.History, spent: ir.Table, levies: ir.Table, burnt: ir.Table) -> ir.Table:
    treasury, moves = history.address("Treasury"), history("usage_token", "transfer")
    nobody = moves.filter(b.empty(moves.to_)).select(account="to_").distinct()
    keep = ["block_number", "tx_hash", "log_index", "at"]
    burned = b.stack(
        levies.filter(levies.burned > 0).select(*keep, burned=b.dec(levies.burned)),
        burnt.select(*keep, burned=b.dec(burnt.amount)),
    )
    burns = burned.cross_join(nobody).select(*keep, "account", amount=b.dec(burned.burned))
    reasons = spent.select(*keep, account="spender", amount=b.dec(spent.amount)).union(burns)
    left = moves.filter(moves.from_ == b.raw(treasury))
    return b.both(
        b.per_transaction(reasons, reasons.amount, "told", "account"),
        b.per_transaction(left.mutate(account=left.to_), left.value, "came", "account"),
        "account",
        "DUT that left the treasury, against what budgets spent and was burned",
    )

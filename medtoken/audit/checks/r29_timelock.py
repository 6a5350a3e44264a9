"""R29: the timelock runs what was scheduled, once, unchanged, and not before its delay is over.

Events: CallScheduled, CallExecuted, Cancelled, MinDelayChange of the timelock. Target, value and
data are those that were scheduled under the same id and index; the delay was at least the least one
in force; what was cancelled after it was scheduled never runs. A violation shows unix seconds, or
the calls.
"""

import ibis
import ibis.expr.types as ir

from medtoken.audit.checks import _base as b

RULE = "R29"
INVARIANT = None
TITLE = "The timelock waits"


def violations(history: b.History) -> ir.Table:
    """Calls that ran too early, twice, changed, or without being scheduled."""
    timelock = "timelock_controller"
    scheduled, rows, cancelled = (
        history(timelock, event) for event in ("call_scheduled", "call_executed", "cancelled")
    )
    scheduled = b.as_of(scheduled, history(timelock, "min_delay_change"), least="new_duration")
    rows = b.as_of(
        rows,
        scheduled,
        {"id": "id", "index": "index"},
        told_target="target",
        told_value="value",
        told_data="data",
        ready=scheduled.block_time + scheduled.delay,
        scheduled_at="at",
    )
    rows = b.as_of(rows, cancelled, {"id": "id"}, cancelled_at="at")
    rows = rows.mutate(number=b.number(rows, [rows.id, rows["index"]]))
    shown = {"subject": rows.id, "parties": [rows.target]}
    return b.stack(
        b.broken(
            scheduled,
            scheduled.delay >= scheduled.least,
            "the delay of an operation",
            subject=scheduled.id,
            parties=[scheduled.target],
            expected=scheduled.least,
            found=scheduled.delay,
        ),
        b.broken(
            rows,
            rows.block_time >= rows.ready,
            "an operation ran before its delay was over",
            expected=rows.ready,
            found=rows.block_time,
            **shown,
        ),
        b.broken(
            rows,
            (rows.told_target == rows.target)
            & (rows.told_value == rows.value)
            & (rows.told_data == rows.data),
            "an operation ran with another call than was scheduled",
            expected=b.text(rows.told_target) + " " + b.text(rows.told_data),
            found=b.text(rows.target) + " " + b.text(rows.data),
            **shown,
        ),
        b.broken(
            rows,
            (rows.number == 1)
            & (rows.cancelled_at.isnull() | (rows.cancelled_at < rows.scheduled_at)),
            "an operation ran twice, or after it was cancelled",
            expected=ibis.literal("once"),
            found=rows.number,
            **shown,
        ),
    )

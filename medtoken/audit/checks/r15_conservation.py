"""R15: nothing of a licence's money vanishes: what was paid is settled, returned, or still held.

Events: LicenceBought, LicenceToppedUp, LicenceSettled, LicenceClosed. For each licence, paid and
levy less what was settled and returned with their levies is never negative, and zero once it is
closed. A violation shows the sum of what went out against what came in, base units, at the last
event.
"""

import ibis
import ibis.expr.types as ir

from medtoken.audit.checks import _base as b

RULE = "R15"
INVARIANT = 2
TITLE = "A licence's money is settled, returned or held"


def violations(history: b.History) -> ir.Table:
    """Licences that paid out more than they took, or kept something when they closed."""
    parts = []
    for event, amount, closed in (
        ("licence_bought", "paid", False),
        ("licence_topped_up", "paid", False),
        ("licence_settled", "gross", False),
        ("licence_closed", "refund", True),
    ):
        rows = history("data_market", event)
        paid = b.dec(rows[amount]) + b.dec(rows.levy)
        into = amount == "paid"
        parts.append(
            rows.select(
                "block_number",
                "tx_hash",
                "log_index",
                "at",
                "licence",
                came=b.dec(paid if into else 0),
                went=b.dec(0 if into else paid),
                closed=ibis.literal(closed),
            )
        )
    rows = b.stack(*parts)
    rows = rows.mutate(
        came=b.running(rows, rows.came, rows.licence), went=b.running(rows, rows.went, rows.licence)
    )
    return b.broken(
        rows,
        ibis.ifelse(rows.closed, rows.went == rows.came, rows.went <= rows.came),
        "what went out of a licence, against what came in",
        subject=rows.licence,
        expected=rows.came,
        found=rows.went,
    )

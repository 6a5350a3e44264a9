"""R41: a recovery moves all that the old wallet held, and nothing is left behind.

Events: Recovered and Transfer of DCT and GT. The amount that a recovery tells is what moved in its
transaction between the same wallets, and the old wallet's balance is zero after it. A violation
shows base units.
"""

import ibis
import ibis.expr.types as ir

from medtoken.audit.checks import _base as b

RULE = "R41"
INVARIANT = 5
TITLE = "A recovery moves everything"


def violations(history: b.History) -> ir.Table:
    """Recoveries that moved another amount, or left something."""
    found = []
    for token in ("contribution_token", "governance_token"):
        moves, rows = (history(token, event) for event in ("transfer", "recovered"))
        keep = ["at", "tx_hash"]
        legs = moves.select(*keep, account=moves.from_, amount=b.dec(0) - b.dec(moves.value)).union(
            moves.select(*keep, account=moves.to_, amount=b.dec(moves.value))
        )
        legs = legs.mutate(balance=b.running(legs, legs.amount, legs.account))
        keys = {"tx_hash": "tx_hash", "previous": "from_", "current": "to_"}
        rows = b.matched(rows, moves, keys, moved="value", moved_at="at")
        left = legs.mutate(place=legs["at"])
        rows = b.matched(
            rows, left, {"moved_at": "place", "previous": "account"}, left_behind="balance"
        )
        shown = {"subject": token.replace("_", " "), "parties": [rows.previous, rows.current]}
        found += [
            b.unequal(rows, "moved by a recovery", b.dec(rows.moved), b.dec(rows.amount), **shown),
            b.broken(
                rows,
                rows.left_behind == ibis.literal(0),
                "left behind by a recovery",
                expected=0,
                found=rows.left_behind,
                **shown,
            ),
        ]
    return b.stack(*found)

"""R1: DCT never moves but by recovery (R41); R4, R5: neither do GT and RT.

Events: Transfer and Recovered of DCT and GT, Transfer of RT. A transfer between two accounts must
be told by a Recovered of the same two accounts and amount in its transaction. A violation shows the
amount that moved, base units.
"""

import ibis
import ibis.expr.types as ir

from medtoken.audit.checks import _base as b

RULE = "R1"
INVARIANT = 5
TITLE = "Contribution, governance and research tokens do not move"


def violations(history: b.History) -> ir.Table:
    """Moves without a recovery."""
    found = [_moved(history, token) for token in ("contribution_token", "governance_token")]
    rows = _between(history("research_token", "transfer"))
    found.append(
        b.broken(
            rows,
            ibis.literal(False),
            "RT moved between two accounts",
            parties=[rows.from_, rows.to_],
            expected="no transfer",
            found=rows.value,
        )
    )
    return b.stack(*found)


def _between(moves: ir.Table) -> ir.Table:
    return moves.filter(~b.empty(moves.from_) & ~b.empty(moves.to_))


def _moved(history: b.History, token: str) -> ir.Table:
    rows = _between(history(token, "transfer"))
    told = history(token, "recovered")
    told = told.distinct(on=["tx_hash", "previous", "current"], keep="first")
    keys = {"tx_hash": "tx_hash", "from_": "previous", "to_": "current"}
    rows = b.matched(rows, told, keys, recovered="amount")
    return b.unequal(
        rows,
        "moved between two accounts, by recovery only",
        rows.recovered,
        rows.value,
        parties=[rows.from_, rows.to_],
        subject=token.replace("_", " "),
    )

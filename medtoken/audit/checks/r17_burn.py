"""R17: of each levy that reaches the treasury while supply is above its ceiling, the set part is
burned.

Events: LevyReceived and ParameterChanged of the treasury, Transfer of DUT. The supply is all that
was minted less all that was burned before; above the ceiling floor(levy x share) is burned,
otherwise nothing. A violation shows base units.
"""

import ibis
import ibis.expr.types as ir
from eth_utils import keccak

from medtoken.audit.checks import _base as b

RULE = "R17"
INVARIANT = 3
TITLE = "Levies burn above the ceiling"


def violations(history: b.History) -> ir.Table:
    """Levies of which another part was burned."""
    rows = history("treasury", "levy_received")
    moves, changes = history("usage_token", "transfer"), history("treasury", "parameter_changed")
    ends = moves.filter(b.empty(moves.from_) | b.empty(moves.to_))
    ends = ends.mutate(
        amount=ibis.ifelse(b.empty(ends.from_), b.dec(ends.value), b.dec(0) - b.dec(ends.value))
    )
    rows = b.standing_sum(rows, ends, ends.amount, "supply")
    for name in ("ceiling", "burn_share"):
        own = changes.filter(changes.name_hash == b.raw("0x" + keccak(text=name).hex()))
        rows = b.as_of(rows, own, None, **{name: "current"})
    above = (rows.supply > rows.ceiling).fill_null(False)
    rows = rows.mutate(
        due=ibis.ifelse(above, b.share(rows.amount, rows.burn_share, rows.burned), b.dec(0))
    )
    return b.unequal(rows, "burned of a levy", rows.due, rows.burned, parties=[rows.payer])

"""R2: DUT moves only between the admitted who are not frozen, and a day issues no more than its
cap.

Events: StandingChanged, Transfer, Issued, CapChanged of DUT. A standing has the bits admitted (1),
protocol (2) and frozen (4); whoever sends or receives has one of the first two and not the third,
then. A violation shows the standing, or what was issued in the day against the cap, base units.
"""

import ibis.expr.types as ir

from medtoken.audit.checks import _base as b

RULE = "R2"
INVARIANT = None
TITLE = "DUT moves between admitted accounts, under the cap of the day"
DAY = 86_400


def violations(history: b.History) -> ir.Table:
    """Moves of the not admitted or frozen, and issues above the cap."""
    moves, changes = history("usage_token", "transfer"), history("usage_token", "standing_changed")
    keep = ["block_number", "tx_hash", "log_index", "at", "value"]
    legs = moves.select(*keep, account=moves.from_).union(moves.select(*keep, account=moves.to_))
    legs = legs.filter(~b.empty(legs.account))
    legs = b.as_of(legs, changes, {"account": "account"}, standing="current")
    standing = legs.standing.fill_null(0).cast("int64")
    issued = history("usage_token", "issued")
    issued = issued.mutate(day=b.dec(issued.block_time - issued.block_time % DAY))
    issued = issued.mutate(sum=b.running(issued, issued.amount, issued.day))
    issued = b.as_of(issued, history("usage_token", "cap_changed"), cap="current")
    return b.stack(
        b.broken(
            legs,
            ((standing & 3) != 0) & ((standing & 4) == 0),
            "the standing of an account that DUT moved from or to",
            parties=[legs.account],
            subject=legs.value,
            expected="admitted and not frozen",
            found=standing,
        ),
        b.broken(
            issued,
            issued.sum <= issued.cap,
            "issued in a day, against its cap",
            parties=[issued.exchange],
            expected=issued.cap,
            found=issued.sum,
        ),
    )

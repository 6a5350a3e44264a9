"""R2: the supply of DUT is what was issued less what was redeemed and burned, and nobody spends
more than it has.

Events: Transfer, Issued and Redeemed of DUT, LevyReceived of the treasury. Every balance, rebuilt
from all transfers, is never negative, so all balances add up to the supply; what is minted in a
transaction is what exchanges issued in it, and what is burned is what they redeemed or what the
treasury burned of a levy or of its reserve. A violation shows base units.
"""

import ibis
import ibis.expr.types as ir

from medtoken.audit.checks import _base as b

RULE = "R2"
INVARIANT = 1
TITLE = "All balances add up to the supply"


def violations(history: b.History) -> ir.Table:
    """Balances below zero, and mints and burns without a reason."""
    moves = history("usage_token", "transfer")
    legs = moves.select(*b.PLACE, account=moves.from_, amount=-b.dec(moves.value)).union(
        moves.select(*b.PLACE, account=moves.to_, amount=b.dec(moves.value))
    )
    legs = legs.filter(~b.empty(legs.account))
    mints = moves.filter(b.empty(moves.from_))
    issued = history("usage_token", "issued")
    burns = moves.filter(b.empty(moves.to_))
    redeemed = history("usage_token", "redeemed").mutate(
        account=ibis._.exchange, burnt=b.dec(ibis._.amount)
    )
    levies = history("treasury", "levy_received").mutate(
        account=ibis._.address, burnt=b.dec(ibis._.burned)
    )
    reserve = history("treasury", "reserve_burned").mutate(
        account=ibis._.address, burnt=b.dec(ibis._.amount)
    )
    place = [*b.PLACE, "account", "burnt"]
    reasons = b.stack(*(rows.select(*place) for rows in (redeemed, levies, reserve)))
    return b.stack(
        b.overdrawn(legs, "the balance of an account"),
        b.both(
            b.per_transaction(issued.mutate(account=issued.to_), issued.amount, "told", "account"),
            b.per_transaction(mints.mutate(account=mints.to_), mints.value, "came", "account"),
            "account",
            "DUT minted in a transaction, against what exchanges issued",
        ),
        b.both(
            b.per_transaction(reasons, reasons.burnt, "told", "account"),
            b.per_transaction(burns.mutate(account=burns.from_), burns.value, "came", "account"),
            "account",
            "DUT burned in a transaction, against what was redeemed or burned of levies",
        ),
    )

"""R28: a holder's votes are its own balance of DCT or GT, and nobody delegates to others.

Events: Transfer, DelegateVotesChanged and DelegateChanged of DCT and GT. Where votes are told, they
are the balance rebuilt from all transfers. A violation shows the balance and the votes, base units.
"""

import ibis
import ibis.expr.types as ir

from medtoken.audit.checks import _base as b

RULE = "R28"
INVARIANT = None
TITLE = "Votes are the holder's own balance"


def violations(history: b.History) -> ir.Table:
    """Votes that are not the balance, and delegations."""
    found = []
    for token in ("contribution_token", "governance_token"):
        votes, given = (history(token, f"delegate_{what}") for what in ("votes_changed", "changed"))
        moves = history(token, "transfer")
        legs = moves.select("at", "tx_hash", account=moves.from_, amount=-b.dec(moves.value)).union(
            moves.select("at", "tx_hash", account=moves.to_, amount=b.dec(moves.value))
        )
        legs = legs.mutate(balance=b.running(legs, legs.amount, legs.account))
        # Votes and transfer come in one transaction, in either order.
        ends = legs.mutate(
            _rank=ibis.row_number().over(
                ibis.window(group_by=["tx_hash", "account"], order_by=ibis.desc(legs.at))
            )
        )
        ends = ends.filter(ends._rank == 0)
        last = votes.mutate(
            _rank=ibis.row_number().over(
                ibis.window(group_by=["tx_hash", "delegate"], order_by=ibis.desc(votes.at))
            )
        )
        last = last.filter(last._rank == 0)
        keys = {"tx_hash": "tx_hash", "delegate": "account"}
        rows = b.matched(last, ends, keys, balance="balance")
        found += [
            b.unequal(
                rows,
                "votes after a transfer, against the balance",
                rows.balance,
                rows.new_votes,
                parties=[rows.delegate],
                subject=token.replace("_", " "),
            ),
            b.broken(
                given,
                (given.to_delegate == given.delegator),
                "votes were delegated to somebody else",
                parties=[given.delegator, given.to_delegate],
                expected=b.hexed(given.delegator),
                found=b.hexed(given.to_delegate),
            ),
        ]
    return b.stack(*found)

"""R29: while a contract is paused no money comes in; what is owed still goes out.

Events: PauseChanged of the market, the royalty vault, the disputes, the breach cover and the
compensation fund; Deposited, LicenceBought, LicenceToppedUp, RoyaltyPaid, OptionGranted,
ChallengeOpened, StakeChanged, PremiumPaid, ContributionPaid. A stake comes in where it grows. A
violation shows what came in, base units.
"""

import ibis
import ibis.expr.types as ir

from medtoken.audit.checks import _base as b

RULE = "R29"
INVARIANT = None
TITLE = "Nothing comes in while paused"
_IN = {
    "data_market": {"deposited": "amount", "licence_bought": "paid", "licence_topped_up": "paid"},
    "royalty_vault": {"royalty_paid": "amount", "option_granted": "amount"},
    "quality_disputes": {"challenge_opened": "bond", "stake_changed": "more"},
    "breach_cover": {"premium_paid": "premium"},
    "compensation_fund": {"contribution_paid": "amount"},
}


def violations(history: b.History) -> ir.Table:
    """Money that came in while its contract was paused."""
    found = []
    keep = ["block_number", "tx_hash", "log_index", "at"]
    for contract, events in _IN.items():
        parts = []
        for event, amount in events.items():
            rows = history(contract, event)
            if event == "stake_changed":
                rows = rows.mutate(more=b.dec(rows.current) - b.dec(rows.previous))
                rows = rows.filter(rows.more > 0)
            what = ibis.literal(event.replace("_", " "))
            parts.append(rows.select(*keep, amount=b.dec(rows[amount]), what=what))
        rows = b.as_of(b.stack(*parts), history(contract, "pause_changed"), paused="paused")
        found.append(
            b.broken(
                rows,
                ~rows.paused.fill_null(False),
                f"money came into the paused {contract.replace('_', ' ')}",
                subject=rows.what,
                expected=0,
                found=rows.amount,
            )
        )
    return b.stack(*found)

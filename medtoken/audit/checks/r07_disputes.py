"""R7: a challenge of quality is bonded, decided in time, and its money goes to who was right.

Events: ChallengeOpened, ChallengeResolved, ChallengeLapsed, StakeChanged, CreditWithdrawn,
ParameterChanged of the disputes, Transfer of DUT. The bond is the one in force; a decision comes by
the deadline, a lapse after it; bonds, stakes and credits are all that the contract holds and it
pays no more than came in. A violation shows base units, or unix seconds.
"""

import ibis
import ibis.expr.types as ir
from eth_utils import keccak

from medtoken.audit.checks import _base as b

RULE = "R7"
INVARIANT = 6
TITLE = "Challenges are bonded and decided in time"


def violations(history: b.History) -> ir.Table:
    """Challenges with another bond, out of time, or whose money does not add up."""
    disputes, by = "quality_disputes", {"record": "record"}
    opened, decided, lapsed = (
        history(disputes, f"challenge_{event}") for event in ("opened", "resolved", "lapsed")
    )
    changes = history(disputes, "parameter_changed")
    for name in ("bond", "window"):
        own = changes.filter(changes.name_hash == b.raw("0x" + keccak(text=name).hex()))
        opened = b.as_of(opened, own, None, **{f"{name}_set": "current"})
    opened = opened.mutate(due=opened.block_time + opened.window_set.cast("int64"))
    decided, lapsed = (b.as_of(rows, opened, by, until="deadline") for rows in (decided, lapsed))
    shown = {"subject": opened.record, "parties": [opened.challenger]}
    return b.stack(
        b.unequal(
            opened, "the bond of a challenge", b.dec(opened.bond_set), b.dec(opened.bond), **shown
        ),
        b.unequal(opened, "the deadline of a challenge", opened.due, opened.deadline, **shown),
        b.broken(
            opened,
            b.dec(opened.at_risk) <= b.dec(opened.bond),
            "the stake at risk in a challenge",
            expected=opened.bond,
            found=opened.at_risk,
            **shown,
        ),
        b.broken(
            decided,
            decided.block_time <= decided.until,
            "a challenge was decided after its deadline",
            subject=decided.record,
            expected=decided.until,
            found=decided.block_time,
        ),
        b.broken(
            lapsed,
            lapsed.block_time > lapsed.until,
            "a challenge lapsed before its deadline",
            subject=lapsed.record,
            expected=lapsed.until,
            found=lapsed.block_time,
        ),
        _money(history, opened),
    )


def _money(history: b.History, opened: ir.Table) -> ir.Table:
    disputes, moves = "quality_disputes", history("usage_token", "transfer")
    home = history.address("QualityDisputes")
    staked, out = (history(disputes, event) for event in ("stake_changed", "credit_withdrawn"))
    keep = ["block_number", "tx_hash", "log_index", "at"]
    told = b.stack(
        opened.select(*keep, account="challenger", amount=b.dec(opened.bond)),
        staked.select(
            *keep, account="account", amount=b.dec(staked.current) - b.dec(staked.previous)
        ),
        out.select(*keep, account="account", amount=b.dec(0) - b.dec(out.amount)),
    )
    come = moves.filter(moves.to_ == b.raw(home))
    gone = moves.filter(moves.from_ == b.raw(home))
    legs = come.select(*keep, account="from_", amount=b.dec(come.value)).union(
        gone.select(*keep, account="to_", amount=b.dec(0) - b.dec(gone.value))
    )
    both = b.matched(
        b.per_transaction(told, told.amount, "told", "account"),
        b.per_transaction(legs, legs.amount, "came", "account"),
        {"tx_hash": "tx_hash", "account": "account"},
        came="came",
    )
    # What nobody was told of is a gift; what goes out is exact.
    came = ibis.coalesce(both.came, b.dec(0))
    return b.broken(
        both,
        ibis.ifelse(both.told > 0, came >= both.told, came == both.told),
        "DUT that came to the disputes (or went, negative), against bonds, stakes and credits",
        parties=[both.account],
        expected=both.told,
        found=came,
    )

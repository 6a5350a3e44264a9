"""R31: a suspended licence is not used, and who is frozen neither buys nor takes anything out.

Events: LicenceSuspended, LicenceUsed, LicenceToppedUp, LicenceBought, LicenseeChanged,
StandingChanged, Withdrawn of the market, the royalty vault, the asset desk, the breach cover and
the compensation fund. A violation shows the standing.
"""

import ibis
import ibis.expr.types as ir

from medtoken.audit.checks import _base as b
from medtoken.audit.checks import _market as m
from medtoken.vocabulary import LicenseeFlag

RULE = "R31"
INVARIANT = 4
TITLE = "The suspended and the frozen stand still"
_FROZEN = 4


def violations(history: b.History) -> ir.Table:
    """Uses while suspended; purchases and withdrawals while frozen."""
    market, keep = "data_market", ["block_number", "tx_hash", "log_index", "at"]
    used, more, bought = (
        history(market, event) for event in ("licence_used", "licence_topped_up", "licence_bought")
    )
    rows = used.select(*keep, "licence").union(more.select(*keep, "licence"))
    changes = history(market, "licence_suspended")
    rows = rows.semi_join(changes, "licence")
    rows = b.as_of(rows, changes, {"licence": "licence"}, suspended="suspended")
    more = m.of_licence(history, more)
    buys = bought.select(*keep, "licensee").union(more.select(*keep, "licensee"))
    standings = history("usage_token", "standing_changed")
    buys = b.as_of(
        m.with_licensee(history, buys), standings, {"licensee": "account"}, standing="current"
    )
    flags = b.bits(buys.flags.fill_null(b.dec(0))) & int(LicenseeFlag.FROZEN)
    frozen = (flags != 0) | ((buys.standing.fill_null(0).cast("int64") & _FROZEN) != 0)
    outs = b.stack(
        *(
            history(contract, "withdrawn").select(*keep, "account", "amount")
            for contract in (
                market,
                "royalty_vault",
                "asset_desk",
                "breach_cover",
                "compensation_fund",
            )
        )
    )
    outs = b.as_of(outs, standings, {"account": "account"}, standing="current")
    barred = (outs.standing.fill_null(0).cast("int64") & _FROZEN) != 0
    return b.stack(
        b.broken(
            rows,
            ~rows.suspended.fill_null(False),
            "a suspended licence was used or topped up",
            subject=rows.licence,
            expected="not suspended",
            found="suspended",
        ),
        b.broken(
            buys,
            ~frozen,
            "a frozen licensee bought or topped up",
            parties=[buys.licensee],
            expected="not frozen",
            found="frozen",
        ),
        b.broken(
            outs,
            ~barred,
            "a frozen account withdrew",
            parties=[outs.account],
            expected=ibis.literal("0"),
            found=outs.amount,
        ),
    )

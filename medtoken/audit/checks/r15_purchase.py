"""R15: what is paid for a licence is its price, and the levy on top, at the rates in force then.

Events: LicenceBought, LicenceToppedUp, RatesChanged. A metered licence pays its price for each
unit; the levy is floor(paid x rate). The epoch is the newest one. A violation shows base units, or
epochs.
"""

import ibis
import ibis.expr.types as ir

from medtoken.audit.checks import _base as b
from medtoken.audit.checks import _market as m

RULE = "R15"
INVARIANT = 2
TITLE = "A purchase pays price and levy"


def violations(history: b.History) -> ir.Table:
    """Payments, levies and epochs that are not what the rules give."""
    found = []
    for event, what in (("licence_bought", "a purchase"), ("licence_topped_up", "a top-up")):
        rows = history("data_market", event)
        if event == "licence_topped_up":
            rows = m.of_licence(history, rows)
        rows = m.with_rates(history, rows)
        rows = b.as_of(rows, history("data_market", "rates_changed"), newest="epoch")
        units = ibis.ifelse(rows.form == m.METERED, rows.units, 1)
        rows = rows.mutate(
            due=b.dec(rows.price) * b.dec(units),
            on_top=b.share(rows.paid, rows.levy_rate, rows.levy),
        )
        shown = {"subject": rows.licence, "parties": [rows.payer, rows.licensee]}
        found += [
            b.unequal(rows, f"paid for {what}", b.dec(rows.due), rows.paid, **shown),
            b.unequal(rows, f"the levy on {what}", rows.on_top, rows.levy, **shown),
            b.unequal(rows, f"the epoch of rates of {what}", rows.newest, rows.epoch, **shown),
        ]
    return b.stack(*found)

"""R9: what was prepaid and not earned goes back to the licensee when its licence is over.

Events: LicenceClosed, LicenceBought, LicenceToppedUp, LicenceUsed, VoucherRedeemed, ConsentRevoked,
RatesChanged, WindowChanged. A licence closes only after its end or the revocation (with vouchers,
after their window), once; the licensee gets price less what was earned until then, and the levy on
that. A violation shows base units, or the moment from which it may close.
"""

import ibis
import ibis.expr.types as ir

from medtoken.audit.checks import _base as b
from medtoken.audit.checks import _market as m

RULE = "R9"
INVARIANT = 2
TITLE = "What was not earned is returned"


def violations(history: b.History) -> ir.Table:
    """Refunds that are not what the rules give, and closings that came too early or twice."""
    rows = history("data_market", "licence_closed").rename(told="licensee")
    rows = m.units_used(history, m.of_licence(history, rows))
    rows = m.with_signer(m.with_rates(history, rows))
    rows = b.as_of(rows, history("data_market", "window_changed"), window="current")
    bought = history("data_market", "licence_bought").select("licence", "paid")
    more = history("data_market", "licence_topped_up").select("licence", "paid")
    payments = bought.union(more)
    paid = payments.group_by("licence").aggregate(paid=b.dec(payments.paid.sum()))
    rows = b.matched(rows, paid, {"licence": "licence"}, taken="paid")
    rows = rows.mutate(number=b.number(rows, rows.licence))
    # Vouchers that were acknowledged before the end may come until their window is over.
    late = rows.signed & (rows.form == m.METERED)
    last = m.last_moment(rows)
    rows = rows.mutate(
        due=b.dec(rows.taken - m.earned(rows, m.mark_at(rows))),
        opens=ibis.ifelse(late, last + rows.window.fill_null(0) + 1, last),
    )
    rows = rows.mutate(on_top=b.share(rows.refund, rows.levy_rate))
    shown = {"subject": rows.licence, "parties": [rows.told]}
    return b.stack(
        b.unequal(rows, "the refund of a licence", rows.due, rows.refund, **shown),
        b.unequal(rows, "the levy returned with a refund", rows.on_top, rows.levy, **shown),
        b.unequal(rows, "who gets a refund", b.hexed(rows.licensee), b.hexed(rows.told), **shown),
        b.unequal(rows, "how often a licence was closed", ibis.literal(1), rows.number, **shown),
        b.broken(
            rows,
            rows.block_time >= rows.opens,
            "a licence was closed before it was over",
            expected=rows.opens,
            found=rows.block_time,
            **shown,
        ),
    )

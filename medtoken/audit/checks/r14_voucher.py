"""R14: vouchers only rise, are dated before the licence's end, come within their window, and are
prepaid.

Events: VoucherRedeemed, LicenceBought, LicenceUsed, ConsentRevoked, WindowChanged. Each redemption
brings more units than all before it, of a metered licence whose salt names a key; its date is at
most the end or the revocation, and not in the future; it comes before the window after that has
closed. A violation shows units, or unix seconds.
"""

import ibis
import ibis.expr.types as ir

from medtoken.audit.checks import _base as b
from medtoken.audit.checks import _market as m

RULE = "R14"
INVARIANT = 4
TITLE = "Vouchers rise, in time"


def violations(history: b.History) -> ir.Table:
    """Vouchers that bring nothing, or came with a wrong date or too late."""
    rows = m.of_licence(history, history("data_market", "voucher_redeemed"))
    rows = m.with_signer(m.units_used(history, rows))
    rows = b.as_of(rows, history("data_market", "window_changed"), window="current")
    last = m.last_moment(rows)
    rows = rows.mutate(last=last, until=last + rows.window.fill_null(0))
    rows = rows.mutate(before=rows.units_used - rows.units)
    shown = {"subject": rows.licence, "parties": [rows.licensee]}
    return b.stack(
        b.broken(
            rows,
            rows.used > rows.before,
            "units of a voucher, against those before it",
            expected=rows.before,
            found=rows.used,
            **shown,
        ),
        b.broken(
            rows,
            (rows.form == m.METERED) & rows.signed,
            "a voucher of a licence that takes none",
            expected="metered, with a key",
            found=rows.form,
            **shown,
        ),
        b.broken(
            rows,
            (rows.time_ <= rows.last) & (rows.time_ <= rows.block_time),
            "the date of a voucher, against the end of its licence or now",
            expected=ibis.least(rows.last, rows.block_time),
            found=rows.time_,
            **shown,
        ),
        b.broken(
            rows,
            rows.block_time <= rows.until,
            "a voucher after its window",
            expected=rows.until,
            found=rows.block_time,
            **shown,
        ),
    )

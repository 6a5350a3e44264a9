"""R26: a service is redeemed at its price, in the token that it names, by burning exactly that.

Events: Redeemed, ServiceChanged, VoucherServed of the rewards, Transfer of DCT and GT. Vouchers are
numbered one after the other; at least the price burns of the holder's DCT or GT; a voucher is
served once, by the provider of its service. A violation shows base units, or numbers.
"""

import ibis
import ibis.expr.types as ir

from medtoken.audit.checks import _base as b

RULE = "R26"
INVARIANT = 5
TITLE = "Redemptions burn their price"


def violations(history: b.History) -> ir.Table:
    """Redemptions at another price, burns without one, vouchers served otherwise."""
    rows, served, services = (
        history("rewards", event) for event in ("redeemed", "voucher_served", "service_changed")
    )
    by = {"service": "service"}
    rows = b.as_of(rows, services, by, due="current_price", in_token="current_token")  # noqa: S106
    rows = rows.mutate(place=b.number(rows))
    found = [
        b.unequal(
            rows,
            "the price of a service",
            b.dec(rows.due),
            b.dec(rows.price),
            subject=rows.service,
            parties=[rows.account],
        ),
        b.unequal(rows, "the token of a service", rows.in_token, rows.token, subject=rows.service),
        b.unequal(rows, "the number of a voucher", rows.place, rows.voucher, subject=rows.service),
    ]
    served = b.matched(served, rows, {"voucher": "voucher"}, service="service")
    served = b.as_of(served, services, by, due="current_provider")
    served = served.mutate(number=b.number(served, served.voucher))
    found += [
        b.unequal(
            served,
            "who serves a voucher",
            b.hexed(served.due),
            b.hexed(served.provider),
            subject=served.voucher,
        ),
        b.unequal(
            served,
            "how often a voucher was served",
            ibis.literal(1),
            served.number,
            subject=served.voucher,
        ),
    ]
    for number, token in enumerate(("contribution_token", "governance_token")):
        moves = history(token, "transfer")
        burns = moves.filter(b.empty(moves.to_))
        own = rows.filter((rows.token == number) & (rows.price > 0))
        told = b.per_transaction(own, own.price, "told", "account")
        came = b.per_transaction(burns.mutate(account=burns.from_), burns.value, "came", "account")
        sums = b.matched(told, came, {"tx_hash": "tx_hash", "account": "account"}, came="came")
        # Its role may burn for other reasons that the rules give, so more is no violation.
        found.append(
            b.broken(
                sums,
                sums.came >= sums.told,
                f"{'GT' if number else 'DCT'} burned in a transaction, against what was redeemed",
                parties=[sums.account],
                expected=sums.told,
                found=sums.came,
            )
        )
    return b.stack(*found)

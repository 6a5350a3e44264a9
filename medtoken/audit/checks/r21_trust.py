"""R21: a trustee sells what a patient's consent mandates it with, and is paid 15 % on top, as it is
earned.

Events: TrusteeChanged, OfferChanged, LicenceTrusted, TrusteePaid of the trust, ConsentGranted,
LicenceBought, LicenceSettled, LicenceClosed, DeskMoved. The consent's nonce ends with the trustee's
address; the trustee was accredited, and offered the record at what is asked; the fee is 15 % of the
price, and the trustee has of it what the settlements have earned; the rest went back when the
licence was closed. What such a consent covers is sold by nobody else. A violation shows base units,
or accounts.
"""

import ibis
import ibis.expr.types as ir

from medtoken.audit import rules
from medtoken.audit.checks import _base as b
from medtoken.audit.checks import _market as m

RULE = "R21"
INVARIANT = 6
TITLE = "Trustees sell by mandate, and are paid as it is earned"
_EVERY_RECORD = "0x" + "00" * 32


def violations(history: b.History) -> ir.Table:
    """Sales without a mandate or an offer, fees that are not what the rule gives."""
    return b.stack(*_sold(history), _elsewhere(history), *_paid(history), _moved(history))


def _sold(history: b.History) -> list[ir.Table]:
    rows = history("data_trust", "licence_trusted")
    taken = {name: name for name in ("consent", "record", "paid")}
    rows = b.matched(rows, m.licences(history), {"licence": "licence"}, **taken, buyer="licensee")
    rows = m.with_terms(history, rows, nonce="terms_nonce", bps="terms_patient_share")
    named = history("data_trust", "trustee_changed")
    rows = b.as_of(rows, named, {"trustee": "trustee"}, accredited="accredited")
    offers = history("data_trust", "offer_changed")
    own = {"consent": "consent", "record": "record"}
    rows = b.as_of(rows, offers, own, own_price="price", own_open="open")
    every = offers.filter(b.hexed(offers.record) == _EVERY_RECORD)
    rows = b.as_of(rows, every, {"consent": "consent"}, all_price="price", all_open="open")
    rows = rows.mutate(
        fee_due=b.share(rows.paid, rules.TRUST_FEE),
        mandated=ibis.literal("0x") + b.hexed(rows.nonce).substr(26, 40),
        price=ibis.coalesce(b.dec(rows.own_price), b.dec(rows.all_price)),
        open=ibis.coalesce(rows.own_open, rows.all_open),
    )
    shown = {"subject": rows.licence, "parties": [rows.trustee, rows.licensee]}
    return [
        b.broken(
            rows,
            (rows.mandated == b.hexed(rows.trustee)) & (rows.bps == rules.TRUST_SHARE),
            "the trustee that sold a licence, against its consent's",
            expected=rows.mandated,
            found=b.hexed(rows.trustee),
            **shown,
        ),
        b.broken(
            rows,
            (rows.accredited & rows.open).fill_null(False),
            "what was sold, by a trustee that was accredited and offered it",
            expected="accredited true, open true",
            found=ibis.literal("accredited ")
            + b.text(rows.accredited.fill_null(False))
            + ", open "
            + b.text(rows.open.fill_null(False)),
            **shown,
        ),
        b.unequal(rows, "what a trustee asked for a licence", rows.price, rows.asked, **shown),
        b.broken(
            rows,
            (rows.licensee == rows.buyer) & (b.dec(rows.fee) == rows.fee_due),
            "the trustee's part of a licence, on top of the price",
            expected=rows.fee_due,
            found=b.dec(rows.fee),
            **shown,
        ),
    ]


def _elsewhere(history: b.History) -> ir.Table:
    """Licences under a mandate that the trust did not sell."""
    rows = m.with_terms(
        history, history("data_market", "licence_bought"), bps="terms_patient_share"
    )
    rows = rows.filter(rows.bps == rules.TRUST_SHARE)
    sold = history("data_trust", "licence_trusted")
    rows = b.matched(rows, sold, {"licence": "licence"}, trustee="trustee")
    return b.broken(
        rows,
        rows.trustee.notnull() & (b.hexed(rows.payer) == history.address("DataTrust")),
        "a licence under a trustee's mandate, sold by somebody else",
        subject=rows.licence,
        parties=[rows.licensee],
        expected=history.address("DataTrust"),
        found=b.hexed(rows.payer),
    )


def _paid(history: b.History) -> list[ir.Table]:
    rows = history("data_trust", "trustee_paid")
    key = {"licence": "licence"}
    sold = history("data_trust", "licence_trusted")
    rows = b.matched(rows, sold, key, seller="trustee", buyer="licensee", fee="fee")
    settled = history("data_market", "licence_settled")
    settled = settled.mutate(total=b.running(settled, b.dec(settled.gross), settled.licence))
    rows = b.as_of(rows, settled, key, total="total")
    rows = b.as_of(rows, history("data_market", "licence_closed"), key, closed="at")
    rows = rows.mutate(
        sum=b.running(rows, b.dec(rows.amount), rows.licence),
        due=b.share(ibis.coalesce(rows.total, b.dec(0)), rules.TRUST_FEE),
    )
    rest = ibis.ifelse(rows.closed.notnull(), b.dec(b.dec(rows.fee) - rows.due), b.dec(0))
    rows = rows.mutate(rest=b.dec(rest))
    shown = {"subject": rows.licence, "parties": [rows.trustee, rows.licensee]}
    return [
        b.unequal(rows, "paid to a trustee in all", rows.due, rows.sum, **shown),
        b.unequal(rows, "returned of a trustee's part", rows.rest, b.dec(rows.returned), **shown),
        b.broken(
            rows,
            (rows.trustee == rows.seller) & (rows.licensee == rows.buyer),
            "whom the trust pays and returns to",
            expected=b.hexed(rows.seller),
            found=b.hexed(rows.trustee),
            **shown,
        ),
    ]


def _moved(history: b.History) -> ir.Table:
    desk = history.address("DataTrust")
    keep = ["block_number", "tx_hash", "log_index", "at"]
    sold, paid = (history("data_trust", event) for event in ("licence_trusted", "trustee_paid"))
    sold = b.matched(sold, m.licences(history), {"licence": "licence"}, paid="paid", levy="levy")
    taken = b.dec(b.dec(sold.paid) + b.dec(sold.levy) + b.dec(sold.fee))
    told = b.stack(
        sold.select(*keep, account="licensee", amount=b.dec(-taken)),
        paid.select(*keep, account="trustee", amount=b.dec(paid.amount)),
        paid.select(*keep, account="licensee", amount=b.dec(paid.returned)),
    )
    moved = history("data_market", "desk_moved")
    own = moved.filter(b.hexed(moved.desk) == desk)
    came = own.filter(own.target == own.desk).select(
        *keep, account="source", amount=-b.dec(own.amount)
    )
    went = own.filter(own.source == own.desk).select(
        *keep, account="target", amount=b.dec(own.amount)
    )
    legs = came.union(went)
    return b.both(
        b.per_transaction(told, told.amount, "told", "account"),
        b.per_transaction(legs, legs.amount, "came", "account"),
        "account",
        "what the trust moved to an account (from it, where negative), against its own word",
    )

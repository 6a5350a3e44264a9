"""What several checks need of the market: licences with their consents, rates and units used."""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.types as ir

from medtoken.audit.checks import _base as b
from medtoken.vocabulary import Form

METERED, FIXED, RENTAL = int(Form.METERED), int(Form.FIXED_TERM), int(Form.RENTAL)

BOUGHT = {
    name: name
    for name in ("consent", "licensee", "payer", "record", "form", "price", "end_", "epoch", "salt")
}


def licences(history: b.History) -> ir.Table:
    """Every licence once, as it was bought first."""
    return b.first_of(history("data_market", "licence_bought"), "licence")


def of_licence(history: b.History, rows: ir.Table) -> ir.Table:
    """``rows`` about licences, with what was bought, the start, and the revocation of its consent.

    ``bought_at`` is the place and ``start`` the time of the purchase; ``revoked_at`` the place and
    ``revoked`` the time of the revocation. All are missing where there is none.
    """
    found = b.matched(
        rows,
        licences(history),
        {"licence": "licence"},
        **{name: name for name in BOUGHT if name not in rows.columns},
        bought_at="at",
        start="block_time",
    )
    return with_revocation(history, found)


def with_revocation(history: b.History, rows: ir.Table) -> ir.Table:
    """``rows`` with place and time of the revocation of their consent."""
    revoked = b.first_of(history("data_market", "consent_revoked"), "consent")
    return b.matched(rows, revoked, {"consent": "consent"}, revoked_at="at", revoked="block_time")


def with_terms(history: b.History, rows: ir.Table, **taken: str) -> ir.Table:
    """``rows`` with columns of their consent as it was granted."""
    granted = b.first_of(history("data_market", "consent_granted"), "consent")
    return b.matched(rows, granted, {"consent": "consent"}, **taken)


def with_licensee(history: b.History, rows: ir.Table) -> ir.Table:
    """``rows`` with groups, region and flags that their licensee had then."""
    return b.as_of(
        rows,
        history("data_market", "licensee_changed"),
        {"licensee": "account"},
        groups="groups",
        licensee_region="region",
        flags="flags",
    )


def with_rates(history: b.History, rows: ir.Table) -> ir.Table:
    """``rows`` with the rates of their epoch, bps."""
    return b.matched(
        rows,
        b.first_of(history("data_market", "rates_changed"), "epoch"),
        {"epoch": "epoch"},
        annotator_rate="current_annotator",
        platform_rate="current_platform",
        levy_rate="current_levy",
    )


def marks(history: b.History) -> ir.Table:
    """Units used of metered licences after each use and voucher."""
    used, redeemed = (
        history("data_market", "licence_used"),
        history("data_market", "voucher_redeemed"),
    )
    keep = ["block_number", "block_time", "tx_hash", "log_index", "at", "licence", "units", "used"]
    return used.select(*keep, voucher=ibis.literal(False)).union(
        redeemed.select(*keep, voucher=ibis.literal(True))
    )


def units_used(history: b.History, rows: ir.Table) -> ir.Table:
    """``rows`` of ``of_licence`` with ``units_used``: what all uses and vouchers before each say."""
    # Of these licences only, and each known by the place of its purchase: a number sorts sooner.
    ids = rows.filter(rows.bought_at.notnull()).select("licence", of="bought_at").distinct()
    steps = marks(history).join(ids, "licence")
    steps = steps.select("at", "of", _own=ibis.literal(False), _units="units")
    own = rows.select(
        "at", of="bought_at", _own=ibis.literal(True), _units=ibis.literal(0, type="int64")
    )
    every = steps.union(own)
    total = every._units.sum().over(b.up_to(every, every.of))
    every = every.mutate(_total=total.cast("int64"))
    every = every.filter(every._own)
    return b.matched(rows, every, {"at": "at"}, units_used="_total")


def earned(rows: ir.Table, mark: Any) -> Any:
    """Base units that a licence has earned up to a mark: units used, or seconds of its term."""
    length = rows.end_ - rows.start
    grains = b.quotient(rows.price, b.GRAIN)
    term = b.quotient(grains * b.dec(mark - rows.start), length) * b.dec(b.GRAIN)
    metered = b.dec(rows.price) * b.dec(mark)
    return b.dec(ibis.ifelse(rows.form == METERED, metered, term))


def last_moment(rows: ir.Table) -> Any:
    """When a licence ends, unix seconds: its end, or the revocation before this row if earlier."""
    revoked = (rows.revoked_at < rows.at).fill_null(False)
    return ibis.ifelse(revoked & (rows.revoked < rows.end_), rows.revoked, rows.end_)


def mark_at(rows: ir.Table) -> Any:
    """Up to where a licence has earned at a row, which has ``units_used``."""
    last = last_moment(rows)
    term = ibis.ifelse(rows.block_time < last, rows.block_time, last)
    return ibis.ifelse(rows.form == METERED, rows.units_used, term)


def with_signer(rows: ir.Table) -> ir.Table:
    """``rows`` with whether their licence takes vouchers: its salt names a key."""
    key = b.hexed(rows.salt).substr(26, 40).replace("0", "")
    return rows.mutate(signed=key != "")


def started_years(seconds: Any) -> Any:
    """Units of a fixed term: the years that it starts."""
    year = 365 * 86_400
    return b.quotient(seconds + (year - 1), year)

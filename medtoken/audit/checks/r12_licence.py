"""R12: every use lies inside a licence that lives then, and every licence is for data that may be
sold.

Events: LicenceBought, LicenceToppedUp, LicenceUsed, LicenceSettled, LicenceClosed,
AgreementChanged, RecordAttested, AttestationRevised, RecordSuperseded, RecordDestroyed, Transfer of
licence tokens. A licence is bought once, under the agreement in force, in a form that exists, of a
record that is attested, and neither superseded nor destroyed; it is used and settled until it is
closed, never for more units than were prepaid, and its units add up. A violation shows units, or
the words that differ.
"""

import ibis
import ibis.expr.types as ir

from medtoken.audit.checks import _base as b
from medtoken.audit.checks import _market as m

RULE = "R12"
INVARIANT = 4
TITLE = "Every use lies inside a live licence"
_RENTAL = 90 * 86_400


def violations(history: b.History) -> ir.Table:
    """Licences that could not be bought so, and uses outside of them."""
    return b.stack(*_bought(history), *_used(history), *_open(history), *_shown(history))


def _bought(history: b.History) -> list[ir.Table]:
    rows = history("data_market", "licence_bought")
    rows = rows.mutate(number=b.number(rows, rows.licence), length=rows.end_ - rows.block_time)
    agreements = history("data_market", "agreement_changed")
    rows = b.as_of(rows, agreements, in_force="current")
    registry = "record_registry"
    keys = {"record": "record"}
    attested, revised = (history(registry, e) for e in ("record_attested", "attestation_revised"))
    keep = ["at", "record", "scores_dvi"]
    rows = b.as_of(
        rows, attested.select(*keep).union(revised.select(*keep)), keys, dvi="scores_dvi"
    )
    for name, event in (("superseded", "record_superseded"), ("destroyed", "record_destroyed")):
        rows = b.as_of(rows, history(registry, event), keys, **{name: "at"})
    shown = {"subject": rows.licence, "parties": [rows.licensee]}
    metered = rows.form == m.METERED
    return [
        b.unequal(rows, "how often a licence was bought", ibis.literal(1), rows.number, **shown),
        b.broken(
            rows,
            b.same(rows.agreement, rows.in_force) & ~b.empty(rows.agreement),
            "the agreement that a licensee signed, against the one in force",
            expected=rows.in_force,
            found=rows.agreement,
            **shown,
        ),
        b.broken(
            rows,
            rows.form.isin([m.METERED, m.FIXED, m.RENTAL])
            & ((rows.units > 0) == metered)
            & (rows.length > 0)
            & ((rows.form != m.RENTAL) | (rows.length <= _RENTAL)),
            "a licence's form, with units or length that it cannot have",
            expected="metered 2 with units, fixed 1, rental 3 of 90 days at most",
            found=b.text(rows.form) + ", " + b.text(rows.units) + ", " + b.text(rows.length),
            **shown,
        ),
        b.broken(
            rows,
            (rows.dvi > 0) & rows.superseded.isnull() & rows.destroyed.isnull(),
            "a licence of a record that is not attested, superseded or destroyed",
            expected="a DVI, and neither",
            found=b.text(rows.dvi.fill_null(0)),
            **shown,
        ),
    ]


def _used(history: b.History) -> list[ir.Table]:
    marks, licences, keys = m.marks(history), m.licences(history), {"licence": "licence"}
    # Numbers alone are added up; whose they are is looked up where they are wrong.
    sums = b.matched(
        marks.select("at", "licence", "units", "used"),
        licences,
        keys,
        metered=ibis._.form == m.METERED,
        bought_at="at",
        first="units",
    )
    sums = sums.drop("licence")
    sums = sums.mutate(sum=sums.units.sum().over(b.up_to(sums, sums.bought_at)).cast("int64"))
    sums = sums.mutate(due=ibis.ifelse(sums.metered, sums.sum, 0))
    # Top-ups only add to what the purchase paid for.
    within = ~sums.metered | (sums.used <= sums["first"])
    fine = (sums.units > 0) & b.same(sums.due, sums.used) & within
    wrong = sums.filter(~fine.fill_null(False)).select("at", "due", "metered")
    rows = b.matched(
        marks.semi_join(wrong, "at"), wrong, {"at": "at"}, due="due", metered="metered"
    )
    rows = b.matched(rows, licences, keys, licensee="licensee")
    bought = history("data_market", "licence_bought").select("at", "licence", "units")
    more = history("data_market", "licence_topped_up").select("at", "licence", "units")
    steps = bought.union(more)
    steps = steps.mutate(
        prepaid=steps.units.sum().over(b.up_to(steps, steps.licence)).cast("int64")
    )
    rows = b.as_of(rows, steps, keys, prepaid="prepaid")
    shown = {"subject": rows.licence, "parties": [rows.licensee]}
    return [
        b.broken(
            rows,
            rows.units > 0,
            "units of a use",
            expected="more than 0",
            found=rows.units,
            **shown,
        ),
        b.unequal(rows, "units used in all", rows.due, rows.used, **shown),
        b.broken(
            rows,
            ~rows.metered | (rows.used <= rows.prepaid),
            "units used, against those prepaid",
            expected=rows.prepaid,
            found=rows.used,
            **shown,
        ),
    ]


def _open(history: b.History) -> list[ir.Table]:
    """What happened to a licence after it was closed."""
    closed = b.first_of(history("data_market", "licence_closed"), "licence")
    keep = ["block_number", "tx_hash", "log_index", "at", "licence"]
    events = ("licence_used", "voucher_redeemed", "licence_topped_up", "licence_settled")
    rows = b.stack(*(history("data_market", event).select(*keep) for event in events))
    rows = rows.semi_join(closed, "licence")
    rows = b.matched(rows, closed, {"licence": "licence"}, closed="at", closed_in="block_number")
    return [
        b.broken(
            rows,
            rows.closed.isnull() | (rows.at < rows.closed),
            "a licence was used, topped up or settled after it was closed",
            subject=rows.licence,
            expected=rows.closed_in,
            found=rows.block_number,
        )
    ]


def _shown(history: b.History) -> list[ir.Table]:
    """A licence as a token is its licensee's, and stays."""
    rows = history("licence_token", "transfer")
    rows = b.matched(
        rows, m.licences(history), {"token_id": "licence"}, licensee="licensee", bought_at="at"
    )
    return [
        b.broken(
            rows,
            b.empty(rows.from_) & (rows.to_ == rows.licensee) & (rows.bought_at < rows.at),
            "a licence's token, of somebody else or moved",
            subject=rows.token_id,
            parties=[rows.from_, rows.to_],
            expected=b.hexed(rows.licensee),
            found=b.hexed(rows.to_),
        )
    ]

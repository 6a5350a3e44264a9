"""R10: no licence is sold above the tier that the patient consented to, and none without what its
tier asks.

Events: LicenceBought, LicenceToppedUp, ConsentGranted, RecordRegistered, LicenceApproved. The record's tier
is at most
the consent's; under a consent to highly sensitive data the consent's patient had approved before, and
until then or later, this very order of this licensee, at this price or a higher one, and no unit more is
bought for it. A violation shows the tiers.
"""

import ibis
import ibis.expr.types as ir

from medtoken.audit.checks import _base as b
from medtoken.audit.checks import _market as m
from medtoken.vocabulary import Form, Tier

RULE = "R10"
INVARIANT = 4
TITLE = "Licences keep to the tier of their consent"

# What an approval says of the licence that is bought by it: columns of both events.
_TOLD = ("record", "form", "units", "purposes", "diseases", "urgent", "agreement", "salt")


def violations(history: b.History) -> ir.Table:
    """Licences above the tier of their consent, or without its patient's passkey."""
    rows = history("data_market", "licence_bought")
    rows = m.with_terms(history, rows, allowed="terms_tier", patient="terms_patient")
    drafts = history("record_registry", "record_registered")
    rows = b.matched(rows, drafts, {"record": "record"}, tier="draft_tier")
    rows = b.matched(rows, _approved(history, rows), {"at": "bought_at"}, approved="approved")
    shown = {"subject": rows.licence, "parties": [rows.licensee]}
    more = history("data_market", "licence_topped_up")
    bought = rows.select("licence", "licensee", "allowed")
    more = b.matched(more, bought, {"licence": "licence"}, licensee="licensee", allowed="allowed")
    return b.stack(
        b.broken(
            more,
            more.allowed < int(Tier.HIGHLY_SENSITIVE),
            "units that the patient's passkey did not approve",
            expected=int(Tier.HIGHLY_SENSITIVE) - 1,
            found=more.allowed,
            subject=more.licence,
            parties=[more.licensee],
        ),
        b.broken(
            rows,
            rows.tier <= rows.allowed,
            "a record's tier, against its consent's",
            expected=rows.allowed,
            found=rows.tier,
            **shown,
        ),
        b.broken(
            rows,
            (rows.allowed < int(Tier.HIGHLY_SENSITIVE)) | rows.approved.fill_null(False),
            "a licence that the patient's passkey did not approve",
            expected=int(Tier.HIGHLY_SENSITIVE) - 1,
            found=rows.allowed,
            **shown,
        ),
    )


def _approved(history: b.History, rows: ir.Table) -> ir.Table:
    """The places of licences that an approval before them allowed."""
    told = history("passkeys", "licence_approved")
    told = told.select(
        _at=told.at,
        _patient=told.patient,
        _consent=told.consent,
        _licensee=told.licensee,
        _end=told.order_end,
        _most=told.order_max_price,
        _deadline=told.deadline,
        **{f"_{name}": told[f"order_{name}"] for name in _TOLD},
    )
    # A term's price is that of all its started years.
    years = m.started_years(rows.end_ - rows.block_time)
    units = (rows.form == int(Form.METERED)).ifelse(b.dec(1), years)
    rows = rows.mutate(_units=b.dec(units))
    joined = rows.join(
        told,
        [
            rows.consent == told._consent,
            rows.licensee == told._licensee,
            rows.patient == told._patient,
            rows.end_ == told._end,
            *(rows[name] == told[f"_{name}"] for name in _TOLD),
        ],
    )
    allowed = joined.filter(
        (joined._at < joined.at)
        & (joined._deadline >= joined.block_time)
        & (b.dec(joined.price) <= b.dec(b.dec(joined._most) * b.dec(joined._units)))
    )
    return allowed.select(bought_at=allowed.at, approved=ibis.literal(True)).distinct()

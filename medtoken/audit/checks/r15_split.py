"""R15, R8: each settlement is split to the base unit, at the rates in force when the money was
taken.

Events: LicenceSettled, LicenceBought, RatesChanged, ConsentGranted, ConsentRevoked, LicenceUsed,
VoucherRedeemed. A settlement pays what the licence has earned since the one before: by units used,
or by time up to its end or the revocation. Of that gross the annotator and the platform get their
rates; the rest is the provider's, of which the patient gets the share that was signed, rounding
included; without an annotator its part is the provider's. Under a trustee the whole gross is the
provider's, 60 % of it the patient's (R21). The levy is on top. A violation shows the part by the rules
and the one that was booked, base units.
"""

import ibis
import ibis.expr.types as ir

from medtoken.audit import rules
from medtoken.audit.checks import _base as b
from medtoken.audit.checks import _market as m

RULE = "R15"
INVARIANT = 2
TITLE = "Each settlement is split to the base unit"


def violations(history: b.History) -> ir.Table:
    """Marks, gross amounts and parts that are not what the rules give."""
    rows = m.of_licence(history, history("data_market", "licence_settled"))
    marks = rows.select("at", "settled", "bought_at")
    marks = marks.mutate(last=b.previous(marks, marks.settled, marks.bought_at))
    rows = b.matched(rows, marks, {"at": "at"}, last_settled="last")
    rows = m.units_used(history, rows)
    rows = m.with_rates(history, rows)
    rows = m.with_terms(history, rows, patient_bps="terms_patient_share")
    begin = ibis.ifelse(rows.form == m.METERED, 0, rows.start)
    rows = rows.mutate(mark=m.mark_at(rows), since=ibis.coalesce(rows.last_settled, begin))
    rows = rows.mutate(due=b.dec(m.earned(rows, rows.settled) - m.earned(rows, rows.since)))
    trusted = (rows.patient_bps == rules.TRUST_SHARE).fill_null(False)
    alone = b.empty(rows.annotator) | trusted
    annotator = ibis.ifelse(
        alone, b.dec(0), b.share(rows.gross, rows.annotator_rate, rows.annotator_amount)
    )
    platform = ibis.ifelse(
        trusted, b.dec(0), b.share(rows.gross, rows.platform_rate, rows.platform_amount)
    )
    rows = rows.mutate(
        to_annotator=annotator,
        to_platform=platform,
        to_levy=b.share(rows.gross, rows.levy_rate, rows.levy),
    )
    rows = rows.mutate(provider=b.dec(rows.gross) - rows.to_annotator - rows.to_platform)
    rows = rows.mutate(
        to_custodian=b.share(rows.provider, b.BPS - rows.patient_bps, rows.custodian_amount)
    )
    rows = rows.mutate(to_patient=b.dec(rows.provider - rows.to_custodian))
    shown = {"subject": rows.licence, "parties": [rows.patient, rows.custodian]}
    parts = {
        "the patient's part": ("to_patient", "patient_amount"),
        "the custodian's part": ("to_custodian", "custodian_amount"),
        "the annotator's part": ("to_annotator", "annotator_amount"),
        "the platform's part": ("to_platform", "platform_amount"),
        "the levy": ("to_levy", "levy"),
    }
    return b.stack(
        b.unequal(rows, "up to where it is settled", rows.mark, rows.settled, **shown),
        b.unequal(rows, "the gross amount", rows.due, rows.gross, **shown),
        *(
            b.unequal(rows, what, rows[due], rows[found], **shown)
            for what, (due, found) in parts.items()
        ),
    )

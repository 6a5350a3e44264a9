"""R8: a settlement pays the record's own patient, custodian and annotator, and the platform in
force.

Events: LicenceSettled, LicenceBought, RecordRegistered, InstitutionChanged, PlatformChanged,
ConsentGranted. The patient is the record's owner; custodian and annotator are the accounts that
their institutions had then, and no annotator means none. A patient's share lies between 70 and 80
%, or is 60 % of the whole price where the consent mandates a trustee (R21). A violation shows the
account by the rules and the one that was paid, or the share in bps.
"""

import ibis.expr.types as ir

from medtoken.audit import rules
from medtoken.audit.checks import _base as b
from medtoken.audit.checks import _market as m

RULE = "R8"
INVARIANT = 2
TITLE = "Settlements pay the record's own parties"


def violations(history: b.History) -> ir.Table:
    """Payments to others, and shares out of bounds."""
    rows = history("data_market", "licence_settled").rename(told_record="record")
    rows = m.of_licence(history, rows)
    rows = b.matched(
        rows,
        history("record_registry", "record_registered"),
        {"record": "record"},
        owner="owner",
        custodian_number="custodian",
        annotator_number="draft_annotator",
        kind_of="draft_kind",
    )
    institutions = history("record_registry", "institution_changed")
    for part in ("custodian", "annotator"):
        rows = b.as_of(
            rows, institutions, {f"{part}_number": "number"}, **{f"{part}_account": "account"}
        )
    rows = b.as_of(rows, history("data_market", "platform_changed"), platform_account="current")
    rows = rows.mutate(
        due_annotator=(rows.annotator_number == 0).ifelse(b.raw(b.ZERO), rows.annotator_account)
    )
    terms = history("data_market", "consent_granted")
    shown = {"subject": rows.licence}
    due = {
        "patient": rows.owner,
        "custodian": rows.custodian_account,
        "annotator": rows.due_annotator,
        "platform": rows.platform_account,
    }
    return b.stack(
        *(
            b.unequal(rows, f"whom a settlement pays as {part}", account, rows[part], **shown)
            for part, account in due.items()
        ),
        b.unequal(rows, "the record of a settlement", rows.record, rows.told_record, **shown),
        b.unequal(rows, "the kind of a settlement's record", rows.kind_of, rows.kind, **shown),
        b.broken(
            terms,
            terms.terms_patient_share.between(7_000, 8_000)
            | (terms.terms_patient_share == rules.TRUST_SHARE),
            "the patient's share of the provider part, bps",
            subject=terms.consent,
            parties=[terms.patient],
            expected="7000 to 8000, or 6000 with a trustee",
            found=terms.terms_patient_share,
        ),
    )

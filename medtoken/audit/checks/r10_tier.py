"""R10: no licence is sold above the tier that the patient consented to, and none without what its
tier asks.

Events: LicenceBought, ConsentGranted, RecordRegistered. The record's tier is at most the consent's;
a consent to highly sensitive data asks for a passkey at each licence, which this version of the
market cannot check and so refuses: any such licence is a violation. A violation shows the tiers.
"""

import ibis.expr.types as ir

from medtoken.audit.checks import _base as b
from medtoken.audit.checks import _market as m
from medtoken.vocabulary import Tier

RULE = "R10"
INVARIANT = 4
TITLE = "Licences keep to the tier of their consent"


def violations(history: b.History) -> ir.Table:
    """Licences above the tier of their consent."""
    rows = history("data_market", "licence_bought")
    rows = m.with_terms(history, rows, allowed="terms_tier")
    drafts = history("record_registry", "record_registered")
    rows = b.matched(rows, drafts, {"record": "record"}, tier="draft_tier")
    shown = {"subject": rows.licence, "parties": [rows.licensee]}
    return b.stack(
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
            rows.allowed < int(Tier.HIGHLY_SENSITIVE),
            "a licence under a consent that asks for a passkey",
            expected=int(Tier.HIGHLY_SENSITIVE) - 1,
            found=rows.allowed,
            **shown,
        ),
    )

"""R27: an outcome is told of a record only by the licensee of a licence for it.

Events: OutcomeReported, RecordLed of the rewards, LicenceBought. Outcomes are numbered one after
the other; the licence that is named is of that record, and its licensee reported. A violation shows
them.
"""

import ibis.expr.types as ir

from medtoken.audit.checks import _base as b
from medtoken.audit.checks import _market as m

RULE = "R27"
INVARIANT = None
TITLE = "Outcomes come from licensees"


def violations(history: b.History) -> ir.Table:
    """Outcomes of records that the reporter had no licence for."""
    told, rows = (history("rewards", event) for event in ("outcome_reported", "record_led"))
    told = told.mutate(place=b.number(told))
    rows = b.matched(rows, told, {"outcome": "outcome"}, reporter="licensee")
    rows = b.matched(
        rows, m.licences(history), {"licence": "licence"}, licensee="licensee", of_record="record"
    )
    shown = {"subject": rows.record, "parties": [rows.reporter]}
    return b.stack(
        b.unequal(
            told, "the number of an outcome", told.place, told.outcome, parties=[told.licensee]
        ),
        b.unequal(
            rows,
            "the record of the licence that led to an outcome",
            rows.of_record,
            rows.record,
            **shown,
        ),
        b.unequal(
            rows,
            "the licensee that reports an outcome",
            b.hexed(rows.licensee),
            b.hexed(rows.reporter),
            **shown,
        ),
    )

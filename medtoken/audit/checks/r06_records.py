"""R6: a record is registered once, by an accredited custodian, and corrected one version after the
other.

Events: RecordRegistered, RecordSuperseded, InstitutionChanged, BatchRegistered. The custodian has
that capability then; a version names the one before it, of the same owner and custodian, which is
superseded by it in the same transaction and once. A violation shows the words that differ, or how
often.
"""

import ibis
import ibis.expr.types as ir

from medtoken.audit.checks import _base as b
from medtoken.vocabulary import Capability

RULE = "R6"
INVARIANT = None
TITLE = "Records are registered once, by custodians"


def violations(history: b.History) -> ir.Table:
    """Records and versions that could not be registered so."""
    registry = "record_registry"
    rows, passed, batches = (
        history(registry, e) for e in ("record_registered", "record_superseded", "batch_registered")
    )
    institutions = history(registry, "institution_changed")
    may = {"may": "capabilities"}
    rows = b.as_of(rows, institutions, {"custodian": "number"}, **may)
    rows = rows.mutate(number=b.number(rows, rows.record))
    before = history(registry, "record_registered").mutate(was=ibis._.record)
    rows = b.matched(
        rows, before, {"draft_previous": "was"}, owner_before="owner", custodian_before="custodian"
    )
    rows = b.matched(rows, passed, {"record": "by", "tx_hash": "tx_hash"}, superseded="record")
    first = b.empty(rows.draft_previous)
    batches = b.as_of(batches, institutions, {"custodian": "number"}, **may)
    passed = passed.mutate(number=b.number(passed, passed.record))
    shown = {"subject": rows.record, "parties": [rows.owner]}
    accredited = int(Capability.CUSTODIAN)
    return b.stack(
        b.unequal(rows, "how often a record was registered", ibis.literal(1), rows.number, **shown),
        b.broken(
            rows,
            (b.bits(rows.may) & accredited) != 0,
            "capabilities of a record's custodian (bits)",
            expected=accredited,
            found=rows.may,
            **shown,
        ),
        b.broken(
            rows,
            first | ((rows.owner_before == rows.owner) & (rows.custodian_before == rows.custodian)),
            "owner or custodian of the version that a record corrects",
            expected=b.hexed(rows.owner_before),
            found=b.hexed(rows.owner),
            **shown,
        ),
        b.broken(
            rows,
            ibis.ifelse(first, rows.superseded.isnull(), rows.superseded == rows.draft_previous),
            "the version that a record takes over from",
            expected=b.hexed(rows.draft_previous),
            found=b.hexed(rows.superseded),
            **shown,
        ),
        b.unequal(
            passed,
            "how often a record was superseded",
            ibis.literal(1),
            passed.number,
            subject=passed.record,
        ),
        b.broken(
            batches,
            (b.bits(batches.may) & accredited) != 0,
            "capabilities of a batch's custodian (bits)",
            subject=batches.root,
            expected=accredited,
            found=batches.may,
        ),
    )

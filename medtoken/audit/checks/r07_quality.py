"""R7: quality is attested by somebody accredited, not by the record's custodian or annotator, and
within range.

Events: RecordAttested, AttestationRevised, RecordRegistered, InstitutionChanged. Q is the mean of
the scores for completeness and annotation, rounded down; no score exceeds 100; a record is attested
once, unless a challenge left nothing of it. A violation shows points, or institutions by their
numbers.
"""

import ibis
import ibis.expr.types as ir

from medtoken.audit.checks import _base as b
from medtoken.vocabulary import Capability

RULE = "R7"
INVARIANT = None
TITLE = "Quality is attested independently"
_SCORES = ("volume", "completeness", "timeliness", "accuracy", "annotation", "traceability", "dvi")


def violations(history: b.History) -> ir.Table:
    """Attestations by somebody who may not, or out of range."""
    registry = "record_registry"
    rows, revised = (history(registry, e) for e in ("record_attested", "attestation_revised"))
    rows = b.as_of(
        rows, history(registry, "institution_changed"), {"attester": "number"}, may="capabilities"
    )
    rows = b.matched(
        rows,
        history(registry, "record_registered"),
        {"record": "record"},
        custodian="custodian",
        annotator="draft_annotator",
    )
    # What a challenge has left without any worth may be attested once more.
    voided = revised.filter(revised.scores_dvi == 0)
    rows = b.as_of(rows, voided, {"record": "record"}, voided="at")
    rows = rows.mutate(last=b.previous(rows, rows["at"], rows.record))
    accredited = int(Capability.ATTESTER)
    shown = {"subject": rows.record, "parties": [rows.owner]}
    return b.stack(
        _mean(rows),
        _mean(revised),
        _range(rows, rows.scores_dvi > 0),
        _range(revised, ibis.literal(True)),
        b.broken(
            rows,
            rows["last"].isnull() | (rows.voided > rows["last"]),
            "a record was attested again",
            expected="once",
            found="twice",
            **shown,
        ),
        b.broken(
            rows,
            (b.bits(rows.may) & accredited) != 0,
            "capabilities of an attester (bits)",
            expected=accredited,
            found=rows.may,
            **shown,
        ),
        b.broken(
            rows,
            (rows.attester != rows.custodian) & (rows.attester != rows.annotator),
            "a record was attested by its own custodian or annotator",
            expected="somebody else",
            found=rows.attester,
            **shown,
        ),
    )


def _mean(rows: ir.Table) -> ir.Table:
    points = rows.scores_completeness + rows.scores_annotation
    mean = b.quotient(points, 2, rows.quality)
    return b.unequal(rows, "quality", mean, b.dec(rows.quality), subject=rows.record)


def _range(rows: ir.Table, more: ir.Value) -> ir.Table:
    highest = ibis.greatest(*(rows[f"scores_{name}"] for name in _SCORES))
    return b.broken(
        rows,
        (highest <= 100) & more,
        "scores out of range",
        subject=rows.record,
        expected="0 to 100, a DVI above 0",
        found=b.text(highest) + ", " + b.text(rows.scores_dvi),
    )

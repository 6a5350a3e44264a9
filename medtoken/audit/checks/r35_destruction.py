"""R35: data are destroyed once, with a certificate, and licensees attest it once their licence is
over.

Events: RecordDestroyed, RecordRegistered, InstitutionChanged of the registry, DestructionAttested,
LicenceBought, ConsentRevoked, LicenceClosed. The custodian that destroys a record is its own; a
licensee attests of its own licence and record, once, when the licence has ended, was revoked or
closed. A violation shows the words or moments that differ.
"""

import ibis
import ibis.expr.types as ir

from medtoken.audit.checks import _base as b
from medtoken.audit.checks import _market as m

RULE = "R35"
INVARIANT = None
TITLE = "Destruction is attested once, by its own"


def violations(history: b.History) -> ir.Table:
    """Destructions by others, twice, or too early."""
    registry = "record_registry"
    gone = history(registry, "record_destroyed")
    drafts = history(registry, "record_registered")
    gone = b.matched(gone, drafts, {"record": "record"}, own="custodian")
    gone = gone.mutate(number=b.number(gone, gone.record))
    rows = history("licence_view", "destruction_attested").rename(
        told_licensee="licensee", told_record="record"
    )
    rows = m.of_licence(history, rows)
    closed = b.first_of(history("data_market", "licence_closed"), "licence")
    rows = b.matched(rows, closed, {"licence": "licence"}, closed_at="at")
    rows = rows.mutate(number=b.number(rows, rows.licence))
    over = (rows.closed_at < rows.at) | (rows.block_time >= m.last_moment(rows))
    shown = {"subject": rows.licence, "parties": [rows.told_licensee]}
    return b.stack(
        b.unequal(
            gone,
            "the custodian that destroys a record",
            gone.own,
            gone.custodian,
            subject=gone.record,
        ),
        b.broken(
            gone,
            (gone.number == 1) & ~b.empty(gone.certificate),
            "a record was destroyed twice, or without a certificate",
            subject=gone.record,
            expected=1,
            found=gone.number,
        ),
        b.unequal(
            rows,
            "who attests a destruction",
            b.hexed(rows.licensee),
            b.hexed(rows.told_licensee),
            **shown,
        ),
        b.unequal(
            rows, "the record of an attested destruction", rows.record, rows.told_record, **shown
        ),
        b.broken(
            rows,
            over,
            "a destruction was attested while the licence was not over",
            expected=rows.end_,
            found=rows.block_time,
            **shown,
        ),
        b.unequal(
            rows, "how often a destruction was attested", ibis.literal(1), rows.number, **shown
        ),
    )

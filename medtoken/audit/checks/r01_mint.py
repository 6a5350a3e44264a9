"""R1: DCT is minted to the patient for attested quality, as much as the rules give.

Events: RecordAttested, RecordRegistered, ParameterChanged (coefficients and least quality) of the
registry, Transfer of DCT. For each attestation: units x coefficient x 100 x (1 + 4Q/100), nothing
below the least Q, nothing for a version of what has minted before; and exactly one mint of that
amount to the record's owner. A violation shows the DCT that the rules give and what the events say,
base units.
"""

import ibis
import ibis.expr.types as ir
from eth_utils import keccak

from medtoken.audit.checks import _base as b

RULE = "R1"
INVARIANT = 5
TITLE = "DCT is minted for attested quality"
KINDS = range(1, 9)


def violations(history: b.History) -> ir.Table:
    """Attestations that minted otherwise, and mints without one."""
    attested, drafts = history("record_registry", "record_attested"), _files(history)
    changes = history("record_registry", "parameter_changed")
    changes = changes.mutate(name=b.hexed(changes.name_hash))
    names = {kind: "0x" + keccak(text=f"coefficient {kind}").hex() for kind in KINDS}
    rows = b.matched(
        attested, drafts, {"record": "record"}, kind="draft_kind", owner_of="owner", file="file"
    )
    name = ibis.cases(*((rows.kind == kind, named) for kind, named in names.items()), else_="")
    rows = rows.mutate(named=name)
    rows = b.as_of(rows, changes, {"named": "name"}, coefficient="current")
    least = changes.filter(changes.name == "0x" + keccak(text="min_quality").hex())
    rows = b.as_of(rows, least, least="current")
    points = rows.scores_completeness + rows.scores_annotation
    full = (
        b.dec(rows.scores_units) * b.dec(rows.coefficient) * b.dec(points * 2 + 100) * b.dec(10**12)
    )
    rows = rows.mutate(full=ibis.ifelse(points >= 2 * rows.least.cast("int64"), full, b.dec(0)))
    # What a file has minted once it never mints again, whichever version it was.
    earlier = rows.minted.sum().over(b.before(rows, rows.file)).fill_null(b.dec(0))
    rows = rows.mutate(due=ibis.ifelse(earlier > 0, b.dec(0), rows.full))
    return b.stack(
        b.unequal(
            rows,
            "minted for an attestation",
            rows.due,
            rows.minted,
            subject=rows.record,
            parties=[rows.owner],
        ),
        b.unequal(
            rows,
            "whom an attestation mints to",
            rows.owner_of,
            rows.owner,
            subject=rows.record,
            parties=[rows.owner],
        ),
        _moved(history),
    )


def _files(history: b.History) -> ir.Table:
    """Every record with the file that it is a version of, as far as eight corrections back."""
    drafts = history("record_registry", "record_registered")
    versions = drafts.filter(~b.empty(drafts.draft_previous))
    before = versions.select(_record="record", _previous="draft_previous")
    found = versions.select("record", file="draft_previous")
    for _ in range(8):
        found = b.matched(found, before, {"file": "_record"}, up="_previous")
        found = found.select("record", file=ibis.coalesce(found.up, found.file))
    drafts = b.matched(drafts, found, {"record": "record"}, first="file")
    return drafts.mutate(file=ibis.coalesce(drafts.first, drafts.record))


def _moved(history: b.History) -> ir.Table:
    """Mints of DCT against what was attested, in each transaction and to each owner."""
    attested = history("record_registry", "record_attested")
    moves = history("contribution_token", "transfer")
    mints = moves.filter(b.empty(moves.from_))
    told = b.per_transaction(
        attested.mutate(account=attested.owner), attested.minted, "told", "account"
    )
    came = b.per_transaction(mints.mutate(account=mints.to_), mints.value, "came", "account")
    return b.both(told, came, "account", "DCT minted in a transaction, against its attestations")

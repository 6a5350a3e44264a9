"""R9: every purchase, top-up and use happens inside a consent that is live at that block, and
covers it.

Events: ConsentGranted, ConsentRevoked, LicenceBought, LicenceToppedUp, LicenceUsed,
LicenseeChanged, RecordRegistered. At its block the consent has been granted, not revoked, and not
expired; a licence ends within it, is for a purpose that it permits, of a licensee whose group and
region it names, and of a record that belongs to the patient who signed. A violation shows the
moment or the terms, and what was done.
"""

from typing import Any

import ibis
import ibis.expr.types as ir

from medtoken.audit.checks import _base as b
from medtoken.audit.checks import _market as m
from medtoken.vocabulary import DUO_PERMISSIONS, REGIONS

RULE = "R9"
INVARIANT = 4
TITLE = "Every use lies inside a live consent"

_BIT = {name: 1 << number for name, (number, _) in DUO_PERMISSIONS.items()}
_PERMISSIONS = sum(_BIT.values())
_REST = (1 << 60) - 1 - _PERMISSIONS
_WORLD = REGIONS["WORLD"][0]
_TERMS = ("purposes", "diseases", "licensees", "region", "expiry")


def violations(history: b.History) -> ir.Table:
    """Purchases, top-ups and uses outside a live consent."""
    found = []
    for event, what in (
        ("licence_bought", "bought"),
        ("licence_topped_up", "topped up"),
        ("licence_used", "used"),
    ):
        rows = history("data_market", event)
        if event == "licence_used":
            rows = _doubtful(history, rows)
        rows = m.of_licence(history, rows)
        rows = m.with_terms(history, rows, granted_at="at", expiry="terms_expiry")
        shown = {"subject": rows.licence, "parties": [rows.licensee], "found": rows.block_time}
        found += [
            b.broken(
                rows,
                (rows.granted_at < rows.at) & (rows.bought_at <= rows.at),
                f"a licence was {what} without a consent or before it was bought",
                expected=rows.consent,
                **shown,
            ),
            b.broken(
                rows,
                (rows.revoked_at > rows.at) | rows.revoked_at.isnull(),
                f"a licence was {what} after its consent was revoked",
                expected=rows.revoked,
                **shown,
            ),
            b.broken(
                rows,
                rows.block_time < (rows.end_ if event == "licence_used" else rows.expiry),
                f"a licence was {what} after its end or its consent's",
                expected=rows.end_ if event == "licence_used" else rows.expiry,
                **shown,
            ),
        ]
    return b.stack(*found, *_covered(history))


def _doubtful(history: b.History, uses: ir.Table) -> ir.Table:
    """The uses of licences whose first and last use are not both inside licence and consent."""
    spans = uses.group_by("licence").aggregate(
        at=uses["at"].min(), until=uses["at"].max(), block_time=uses.block_time.max()
    )
    spans = m.with_terms(history, m.of_licence(history, spans), granted_at="at")
    inside = (
        (spans.granted_at < spans["at"])
        & (spans.bought_at <= spans["at"])
        & ((spans.revoked_at > spans.until) | spans.revoked_at.isnull())
        & (spans.block_time < spans.end_)
    )
    return uses.semi_join(spans.filter(~inside.fill_null(False)), "licence")


def _covered(history: b.History) -> list[ir.Table]:
    rows = history("data_market", "licence_bought")
    taken = {f"allowed_{name}": f"terms_{name}" for name in _TERMS}
    rows = m.with_terms(history, rows, **taken, patient="terms_patient", _wide="oversize")
    rows = m.with_licensee(history, rows)
    rows = b.matched(
        rows, history("record_registry", "record_registered"), {"record": "record"}, owner="owner"
    )
    # The highest bit stands for "by auction only", and does not fit a decimal.
    groups = ibis.ifelse(
        rows.allowed_licensees.isnull(),
        b.low_bits(rows._wide[0].word),
        b.bits(rows.allowed_licensees),
    )
    rows = rows.mutate(allowed_groups=groups).drop("_wide")
    shown = {"subject": rows.licence, "parties": [rows.licensee, rows.patient]}
    return [
        b.broken(
            rows,
            rows.end_ <= rows.allowed_expiry,
            "a licence outlives its consent",
            expected=rows.allowed_expiry,
            found=rows.end_,
            **shown,
        ),
        b.broken(
            rows,
            _permits(rows),
            "a licence's purpose, against its consent's (DUO bits)",
            expected=rows.allowed_purposes,
            found=rows.purposes,
            **shown,
        ),
        b.broken(
            rows,
            (b.bits(rows.groups) & rows.allowed_groups) != 0,
            "the groups of a licensee, against its consent's (bits)",
            expected=rows.allowed_groups,
            found=rows.groups,
            **shown,
        ),
        b.broken(
            rows,
            (rows.licensee_region != 0)
            & ((rows.allowed_region == _WORLD) | (rows.allowed_region == rows.licensee_region)),
            "the region of a licensee, against its consent's (UN M49)",
            expected=rows.allowed_region,
            found=rows.licensee_region,
            **shown,
        ),
        b.unequal(
            rows,
            "whose consent a licence rests on, against the record's owner",
            b.hexed(rows.owner),
            b.hexed(rows.patient),
            **shown,
        ),
    ]


def _permits(rows: ir.Table) -> Any:
    """Whether the asked purpose lies inside the allowed ones, by GA4GH DUO."""
    allowed, asked = b.bits(rows.allowed_purposes), b.bits(rows.purposes)
    undertaken = (allowed & ibis.literal(_REST) & ~asked) == 0
    purpose = asked & ibis.literal(_PERMISSIONS)
    general = _BIT["NRES"] | _BIT["GRU"]
    named = ~b.empty(rows.diseases)
    same = named & (rows.diseases == rows.allowed_diseases)
    enough = ibis.cases(
        (purpose == _BIT["GRU"], general),
        (purpose == _BIT["HMB"], general | _BIT["HMB"]),
        (purpose == _BIT["POA"], general | _BIT["POA"]),
        ((purpose == _BIT["DS"]) & same, general | _BIT["HMB"] | _BIT["DS"]),
        ((purpose == _BIT["DS"]) & named, general | _BIT["HMB"]),
        else_=0,
    )
    return undertaken & ((allowed & enough.cast("int64")) != 0)

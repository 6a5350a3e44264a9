"""R3: of what an asset earns, its lineage gets the share that was set, and its sources no more than
that.

Events: AssetCreated, AssetEarned, SourceJoined, LineageStated, LineageClaimed, Withdrawn of the
asset desk. Of all that an asset's account has earned, the lineage's part is floor(earned x share /
80 %); the rest is the holder's; a source has claimed its weight's part of the pot, split by the
patient's share; and nobody withdraws more than was credited. A violation shows base units.
"""

from typing import Any

import ibis.expr.types as ir

from medtoken.audit import rules
from medtoken.audit.checks import _base as b

RULE = "R3"
INVARIANT = 2
TITLE = "Lineages get their share"


def violations(history: b.History) -> ir.Table:
    """Earnings and claims that are split otherwise."""
    desk, asset = "asset_desk", {"asset": "asset"}
    created = history(desk, "asset_created")
    rows = b.matched(history(desk, "asset_earned"), created, asset, share="share")
    rows = rows.mutate(income=b.dec(b.dec(rows.sold) + b.dec(rows.inherited)))
    rows = rows.mutate(earned=b.running(rows, rows.income, rows.asset))
    rows = rows.mutate(
        pot=_pot(rows.earned, rows.share), before=_pot(b.dec(rows.earned - rows.income), rows.share)
    )
    rows = rows.mutate(due=b.dec(rows.pot - rows.before))
    rows = rows.mutate(rest=b.dec(rows.income - rows.due))
    joined, claimed = history(desk, "source_joined"), history(desk, "lineage_claimed")
    keys = {"asset": "asset", "licence": "licence"}
    claims = b.matched(claimed, joined, keys, weight="weight", bps="patient_share")
    stated = history(desk, "lineage_stated")
    claims = b.as_of(claims, stated, asset, total="lineage_total")
    claims = b.as_of(claims, rows, asset, pot="pot")
    claims = claims.mutate(
        amount=b.dec(b.dec(claims.patient_amount) + b.dec(claims.custodian_amount))
    )
    claims = claims.mutate(
        sum=b.running(claims, claims.amount, [claims.asset, claims.licence]),
        due=b.product_quotient(claims.pot, claims.weight, claims.total),
        to_custodian=b.share(claims.amount, b.BPS - claims.bps),
    )
    shown = {"subject": claims.asset, "parties": [claims.patient, claims.custodian]}
    return b.stack(
        b.unequal(rows, "the lineage's part of earnings", rows.due, rows.lineage, **_of(rows)),
        b.unequal(rows, "the holder's part of earnings", rows.rest, rows.kept, **_of(rows)),
        b.unequal(claims, "claimed by a source in all", claims.due, claims.sum, **shown),
        b.unequal(
            claims,
            "the custodian's part of a claim",
            claims.to_custodian,
            claims.custodian_amount,
            **shown,
        ),
        _credits(history),
    )


def _pot(earned: ir.Value, share: ir.Value) -> ir.Value:
    found: ir.Value = b.quotient(b.dec(earned) * b.dec(share), rules.OWNER_SHARE)
    return found


def _of(rows: ir.Table) -> dict[str, Any]:
    return {"subject": rows.asset, "parties": [rows.holder]}


def _credits(history: b.History) -> ir.Table:
    desk = "asset_desk"
    earned, claimed, out = (
        history(desk, event) for event in ("asset_earned", "lineage_claimed", "withdrawn")
    )
    created = history(desk, "asset_created")
    earned = b.matched(earned, created, {"asset": "asset"}, account="account")
    keep = b.PLACE
    legs = b.stack(
        earned.select(*keep, account="holder", amount=b.dec(earned.kept)),
        earned.select(*keep, account="account", amount=b.dec(0) - b.dec(earned.inherited)),
        claimed.select(*keep, account="patient", amount=b.dec(claimed.patient_amount)),
        claimed.select(*keep, account="custodian", amount=b.dec(claimed.custodian_amount)),
        out.select(*keep, account="account", amount=b.dec(0) - b.dec(out.amount)),
    )
    return b.overdrawn(legs, "credit of an account at the asset desk")

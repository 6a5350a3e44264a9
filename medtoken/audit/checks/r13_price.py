"""R13: every licence costs what the tariff gave at that block, or what a desk sold it for above the
floor.

Events: LicenceBought, LicenceTrusted, ConsentGranted, RecordRegistered, RecordAttested, AttestationRevised,
LicenseeChanged, ReferenceChanged, ScarcityChanged, FactorChanged, EmergencyDeclared, RoleGranted.
The unit price is the consent's floor or reference x DVI/85 x purpose x urgency x sensitivity x
region x scarcity x (1 - discount), whichever is higher, rounded down once to 10^9 base units; a
trustee's price is the floor where it asks more (R21). Another desk (auction, basket, an account with
that role) sells at a price of its own, even and never below the floor. A violation shows base units.
"""

from typing import Any

import ibis
import ibis.expr.types as ir

from medtoken.audit.checks import _base as b
from medtoken.audit.checks import _market as m
from medtoken.chain.words import FactorsWord
from medtoken.deploy.roles import Role
from medtoken.vocabulary import DUO_MODIFIERS, LicenseeFlag, Tier

RULE = "R13"
INVARIANT = 2
TITLE = "Every licence costs what the tariff gave"
FACTORS = tuple(name for name, _ in FactorsWord.layout)
_NON_COMMERCIAL = sum(1 << DUO_MODIFIERS[name][0] for name in ("NPUNCU", "NCU"))
_LIMB = 10**12


def violations(history: b.History) -> ir.Table:
    """Licences that cost something else, and urgent ones without an emergency."""
    rows = _priced(_scene(history))
    rows = rows.mutate(floor_unit=b.dec(rows.floor))
    metered = rows.form == m.METERED
    years = m.started_years(rows.end_ - rows.block_time)
    rows = rows.mutate(units=b.dec(ibis.ifelse(metered, b.dec(1), years)))
    rows = rows.mutate(due=b.dec(rows.unit * rows.units))
    desk = rows.asked.isnull() & (
        (rows.payer != rows.licensee) | (~b.same(rows.due, rows.price) & rows.desk_since.notnull())
    )
    shown = {"subject": rows.licence, "parties": [rows.payer, rows.licensee]}
    own, sold = rows.filter(~desk), rows.filter(desk)
    each = b.quotient(sold.price, sold.units)
    return b.stack(
        b.unequal(own, "the price of a licence", own.due, own.price, **_of(own)),
        b.broken(
            sold,
            (b.dec(each * sold.units) == sold.price)
            & (b.remainder(each, b.GRAIN) == 0)
            & (each > 0)
            & (each >= sold.floor_unit),
            "the price at which a desk sold a licence, uneven or below the floor",
            expected=b.dec(sold.floor_unit * sold.units),
            found=sold.price,
            **_of(sold),
        ),
        b.broken(
            rows,
            ~rows.urgent | (rows.block_time < rows.declared),
            "a licence at an emergency's price while none was declared",
            expected=rows.declared,
            found=rows.block_time,
            **shown,
        ),
    )


def _of(rows: ir.Table) -> dict[str, Any]:
    return {"subject": rows.licence, "parties": [rows.payer, rows.licensee]}


def _scene(history: b.History) -> ir.Table:
    """Every purchase with all that its price depends on, as it was then."""
    rows = history("data_market", "licence_bought")
    rows = m.with_licensee(history, m.with_terms(history, rows, floor="terms_floor_price"))
    trusted = b.first_of(history("data_trust", "licence_trusted"), "licence")
    rows = b.matched(rows, trusted, {"licence": "licence"}, asked="asked")
    higher = (b.dec(rows.asked) > b.dec(rows.floor)).fill_null(False)
    rows = rows.mutate(floor=ibis.ifelse(higher, b.dec(rows.asked), b.dec(rows.floor)))
    registry, tariff, record = "record_registry", "tariff", {"record": "record"}
    drafts = history(registry, "record_registered")
    taken = {name: f"draft_{name}" for name in ("kind", "tier", "region")}
    rows = b.matched(rows, drafts, record, **taken)
    attested, revised = (history(registry, e) for e in ("record_attested", "attestation_revised"))
    keep = ["at", "record", "scores_dvi"]
    rows = b.as_of(
        rows, attested.select(*keep).union(revised.select(*keep)), record, dvi="scores_dvi"
    )
    for name in ("reference", "scarcity"):
        rows = b.as_of(
            rows, history(tariff, f"{name}_changed"), {"kind": "kind"}, **{name: "current"}
        )
    factors = history(tariff, "factor_changed")
    for place, name in enumerate(FACTORS):
        rows = b.as_of(rows, factors.filter(factors.factor == place), None, **{name: "current"})
    rows = b.as_of(
        rows, history(tariff, "emergency_declared"), {"region": "region"}, declared="until"
    )
    granted = history("access_manager", "role_granted")
    granted = granted.filter(granted.role_id == b.dec(int(Role.DESK)))
    return b.as_of(rows, granted, {"payer": "account"}, desk_since="since")


def _priced(rows: ir.Table) -> ir.Table:
    """``rows`` with their ``unit`` price, exactly: the product of all factors in limbs of 12 digits.

    Each step is a column of its own, so that an engine computes it once wherever it is used.
    """
    flags = b.bits(rows.flags)
    rows = rows.mutate(rent=b.dec(ibis.ifelse(rows.form == m.RENTAL, rows.rental, b.BPS)))
    factors = (
        ibis.ifelse(
            (b.bits(rows.purposes) & ibis.literal(_NON_COMMERCIAL)) != 0, b.BPS, rows.commercial
        ),
        ibis.ifelse(rows.urgent, rows.emergency, b.BPS),
        ibis.cases(
            (rows.tier == int(Tier.PUBLIC), rows.public),
            (rows.tier == int(Tier.SENSITIVE), rows.sensitive),
            (rows.tier == int(Tier.HIGHLY_SENSITIVE), rows.highly_sensitive),
            else_=b.BPS,
        ),
        ibis.ifelse(rows.licensee_region == rows.region, rows.in_region, b.BPS),
        rows.scarcity,
        b.BPS
        - ibis.ifelse((flags & int(LicenseeFlag.CERTIFIED)) != 0, rows.compliance_discount, 0),
        rows.rent,
        rows.dvi,
    )
    product: Any = b.dec(1)
    for factor in factors:
        product = b.dec(product * b.dec(factor))
    rows = rows.mutate(product=product, own=b.dec(rows.reference))
    # reference x product // (85 x 10^28), in limbs: what is below 10^24 cannot change the floor.
    rows = rows.mutate(low=b.remainder(rows.product, _LIMB), rest=b.quotient(rows.product, _LIMB))
    rows = rows.mutate(middle=b.remainder(rows.rest, _LIMB), high=b.quotient(rows.rest, _LIMB))
    carry = b.dec(b.dec(rows.own * rows.middle) + b.quotient(rows.own * rows.low, _LIMB))
    top = b.dec(b.dec(rows.own * rows.high) + b.quotient(carry, _LIMB))
    rows = rows.mutate(
        tariff=b.quotient(top, 850_000),
        least=b.quotient(b.dec(rows.floor) * rows.rent, b.BPS),
    )
    higher = ibis.ifelse(rows.tariff >= rows.least, rows.tariff, rows.least)
    rows = rows.mutate(higher=b.dec(higher))
    return rows.mutate(unit=b.dec(rows.higher - b.remainder(rows.higher, b.GRAIN)))

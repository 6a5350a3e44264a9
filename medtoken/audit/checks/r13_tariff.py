"""R13: references, scarcity and factors stay within the bounds that the rules set.

Events: ReferenceChanged, ScarcityChanged, FactorChanged. Scarcity lies between 0.5 and 10, every
factor within its own bounds, a reference price is even. A violation shows bps, or base units.
"""

import ibis.expr.types as ir

from medtoken.audit import rules
from medtoken.audit.checks import _base as b
from medtoken.audit.checks.r13_price import FACTORS

RULE = "R13"
INVARIANT = None
TITLE = "The tariff stays within its bounds"


def violations(history: b.History) -> ir.Table:
    """Values out of bounds."""
    reference, scarcity, factor = (
        history("tariff", f"{name}_changed") for name in ("reference", "scarcity", "factor")
    )
    least, most = (b.dec(value) for value in rules.REFERENCES)
    found = [
        b.broken(
            reference,
            (reference.current == 0)
            | (
                reference.current.between(least, most)
                & (b.remainder(reference.current, b.GRAIN) == 0)
            ),
            "a reference price",
            subject=reference.kind,
            expected="0, or {} to {}, even".format(*rules.REFERENCES),
            found=reference.current,
        ),
        b.broken(
            scarcity,
            scarcity.current.between(*rules.SCARCITY),
            "the scarcity of a kind, bps",
            subject=scarcity.kind,
            expected="{} to {}".format(*rules.SCARCITY),
            found=scarcity.current,
        ),
    ]
    for place, name in enumerate(FACTORS):
        own = factor.filter(factor.factor == place)
        bounds = rules.FACTORS[name]
        found.append(
            b.broken(
                own,
                own.current.between(*bounds),
                f"the factor {name}, bps",
                expected="{} to {}".format(*bounds),
                found=own.current,
            )
        )
    unknown = factor.filter(factor.factor >= len(FACTORS))
    found.append(
        b.broken(unknown, unknown.factor < len(FACTORS), "an unknown factor", found=unknown.factor)
    )
    return b.stack(*found)

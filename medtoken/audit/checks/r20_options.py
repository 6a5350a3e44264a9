"""R20: an option's escrow vests once before its expiry, or goes back once after it, whole.

Events: OptionGranted, OptionVested, OptionReturned, ParameterChanged of the royalty vault. An
option is its study, funder and milestone; amount and levy that vest are those that were granted;
what goes back is both. A violation shows base units, or unix seconds.
"""

from typing import Any

import ibis
import ibis.expr.types as ir
from eth_utils import keccak

from medtoken.audit.checks import _base as b

RULE = "R20"
INVARIANT = 2
TITLE = "Options vest or return, whole"
_KEYS = {name: name for name in ("study", "funder", "milestone")}


def violations(history: b.History) -> ir.Table:
    """Options that vested or went back otherwise."""
    vault = "royalty_vault"
    granted, vested, back = (
        history(vault, f"option_{e}") for e in ("granted", "vested", "returned")
    )
    changes = history(vault, "parameter_changed")
    levies = changes.filter(changes.name_hash == b.raw("0x" + keccak(text="levy").hex()))
    granted = b.as_of(granted, levies, levy_rate="current")
    granted = granted.mutate(on_top=b.share(granted.amount, granted.levy_rate))
    first = b.first_of(granted, list(_KEYS))
    taken = {"escrow": "amount", "escrowed_levy": "levy", "until": "expiry"}
    vested, back = (b.matched(rows, first, _KEYS, **taken) for rows in (vested, back))
    back = back.mutate(due=b.dec(b.dec(back.escrow) + b.dec(back.escrowed_levy)))
    keep = ["block_number", "tx_hash", "log_index", "at", *_KEYS]
    ends = vested.select(*keep).union(back.select(*keep))
    ends = ends.mutate(number=b.number(ends, [ends.study, ends.funder, ends.milestone]))
    return b.stack(
        b.unequal(granted, "the levy on an option", granted.on_top, granted.levy, **_of(granted)),
        b.unequal(
            vested, "vested of an option", b.dec(vested.escrow), b.dec(vested.amount), **_of(vested)
        ),
        b.unequal(
            vested,
            "the levy of a vested option",
            b.dec(vested.escrowed_levy),
            b.dec(vested.levy),
            **_of(vested),
        ),
        b.broken(
            vested,
            (vested.block_time < vested.until) & (vested.attester != vested.funder),
            "an option vested after its expiry, or by its funder",
            expected=vested.until,
            found=vested.block_time,
            **_of(vested),
        ),
        b.unequal(back, "returned of an option", back.due, back.amount, **_of(back)),
        b.broken(
            back,
            back.block_time >= back.until,
            "an option went back before its expiry",
            expected=back.until,
            found=back.block_time,
            **_of(back),
        ),
        b.unequal(ends, "how often an option ended", ibis.literal(1), ends.number, **_of(ends)),
    )


def _of(rows: ir.Table) -> dict[str, Any]:
    return {"subject": rows.study, "parties": [rows.funder]}

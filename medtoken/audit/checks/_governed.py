"""What the checks of governance need: from when on the timelock rules alone, and what it called."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from medtoken.audit.checks import _base as b
from medtoken.deploy.roles import Role


def handed_over(history: b.History, rows: ir.Table) -> ir.Table:
    """``rows`` with ``ruled``: whether the timelock was then the only admin of the manager."""
    timelock = history.address("TimelockController")
    admin = b.dec(int(Role.ADMIN))
    came, went = (history("access_manager", f"role_{event}") for event in ("granted", "revoked"))
    came, went = (found.filter(b.dec(found.role_id) == admin) for found in (came, went))
    steps = (
        came.filter(came.new_member)
        .select("at", "account", step=b.dec(1))
        .union(went.select("at", "account", step=b.dec(0) - b.dec(1)))
    )
    own = steps.filter(steps.account == b.raw(timelock))
    rows = b.standing_sum(rows, steps, steps.step, "admins")
    rows = b.standing_sum(rows, own, own.step, "timelocks")
    ruled = (rows.admins == 1) & (rows.timelocks == 1)
    return rows.mutate(ruled=ruled.fill_null(False)).drop("admins", "timelocks")


def called(history: b.History, rows: ir.Table, *targets: str) -> ir.Table:
    """``rows`` with ``ordered``: whether the timelock called one of these in their transaction.

    ``targets`` are columns of ``rows`` that hold addresses as 0x and lower case.
    """
    calls = history("timelock_controller", "call_executed")
    calls = calls.select("tx_hash", called=b.hexed(calls.target)).distinct()
    calls = calls.mutate(yes=ibis.literal(1))
    found = []
    for place, target in enumerate(targets):
        rows = b.matched(
            rows, calls, {"tx_hash": "tx_hash", target: "called"}, **{f"_called{place}": "yes"}
        )
        found.append(f"_called{place}")
    ordered = ibis.coalesce(*(rows[name] for name in found), 0) == 1
    return rows.mutate(ordered=ordered).drop(*found)


def admins(history: b.History) -> ir.Table:
    """The ProxyAdmin of each proxy, which its first AdminChanged names."""
    changed = history("transparent_upgradeable_proxy", "admin_changed")
    first = b.first_of(changed, "address")
    return first.select(proxy="address", born="tx_hash", proxy_admin=b.hexed(first.new_admin))

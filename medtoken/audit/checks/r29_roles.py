"""R29: once the timelock alone administers the roles, nobody else changes who may do what.

Events: RoleGranted, RoleRevoked, RoleAdminChanged, RoleGuardianChanged, RoleGrantDelayChanged,
RoleLabel, TargetFunctionRoleUpdated, TargetClosed, TargetAdminDelayUpdated of the AccessManager;
CallExecuted, MinDelayChange and the role events of the timelock. Every such change comes in a
transaction in which the timelock called the manager (or itself), but for roles that have an admin
of their own, for whoever gives up a role, and for the timelock's roles until its deployer has given up
its own. A violation shows the change.
"""

import ibis
import ibis.expr.types as ir

from medtoken.audit.checks import _base as b
from medtoken.audit.checks import _governed as g

RULE = "R29"
INVARIANT = None
TITLE = "Roles change by the timelock"
_MANAGED = {
    "role_admin_changed": "role_id",
    "role_guardian_changed": "role_id",
    "role_grant_delay_changed": "role_id",
    "role_label": "role_id",
    "target_function_role_updated": "target",
    "target_closed": "target",
    "target_admin_delay_updated": "target",
}


def violations(history: b.History) -> ir.Table:
    """Changes that did not come from the timelock."""
    keep = ["block_number", "tx_hash", "log_index", "at", "address"]
    parts = []
    for event, about in _MANAGED.items():
        rows = history("access_manager", event)
        parts.append(
            rows.select(
                *keep, about=b.text(rows[about]), what=ibis.literal(event.replace("_", " "))
            )
        )
    granted = history("access_manager", "role_granted")
    admins = history("access_manager", "role_admin_changed")
    granted = b.as_of(granted, admins, {"role_id": "role_id"}, admin="admin")
    granted = granted.filter(b.dec(granted.admin.fill_null(b.dec(0))) == 0)
    who = b.text(granted.role_id) + " to " + b.hexed(granted.account)
    parts.append(granted.select(*keep, about=who, what=ibis.literal("role granted")))
    rows = g.handed_over(history, b.stack(*parts))
    rows = rows.filter(rows.ruled).mutate(manager=b.hexed(rows.address))
    rows = g.called(history, rows, "manager")
    return b.stack(
        b.broken(
            rows,
            rows.ordered,
            "a change of roles that did not come from the timelock",
            subject=rows.about,
            expected="a call by the timelock",
            found=rows.what,
        ),
        *_own(history, keep),
        _given_up(history),
    )


def _own(history: b.History, keep: list[str]) -> list[ir.Table]:
    """The timelock's own roles and delay change by itself, but where it was made."""
    timelock = "timelock_controller"
    changed, granted, delay = (
        history(timelock, event)
        for event in ("role_admin_changed", "role_granted", "min_delay_change")
    )
    rows = b.stack(
        changed.select(*keep, about=b.text(changed.role), what=ibis.literal("role admin changed")),
        granted.select(*keep, about=b.text(granted.account), what=ibis.literal("role granted")),
        delay.select(*keep, about=b.text(delay.new_duration), what=ibis.literal("least delay")),
    )
    born = granted.aggregate(first=granted["at"].min())
    birth = granted.join(born, granted["at"] == born["first"]).select("tx_hash", made="at")
    rows = b.matched(rows, birth, {"tx_hash": "tx_hash"}, made="made")
    # Until it alone administers its roles, its deployer may too.
    came, went = (
        changes.filter(b.empty(changes.role)).select("at", step=b.dec(step))
        for changes, step in ((granted, 1), (history(timelock, "role_revoked"), -1))
    )
    steps = came.union(went)
    rows = b.standing_sum(rows, steps, steps.step, "admins")
    rows = rows.mutate(itself=b.hexed(rows.address))
    rows = g.called(history, rows, "itself")
    return [
        b.broken(
            rows,
            rows.ordered | rows.made.notnull() | (rows.admins > 1),
            "a change of the timelock that did not come from itself",
            subject=rows.about,
            expected="a call by the timelock",
            found=rows.what,
        )
    ]


def _given_up(history: b.History) -> ir.Table:
    """Nobody loses a role that it did not have."""
    came, went = (history("access_manager", f"role_{event}") for event in ("granted", "revoked"))
    keys = {"role_id": "role_id", "account": "account"}
    rows = b.as_of(went, came, keys, granted_at="at")
    rows = b.as_of(rows, went, keys, revoked_at="at")
    return b.broken(
        rows,
        rows.granted_at > rows.revoked_at.fill_null(-1),
        "a role was taken from somebody who did not have it",
        subject=rows.role_id,
        parties=[rows.account],
        expected="a member",
        found="none",
    )

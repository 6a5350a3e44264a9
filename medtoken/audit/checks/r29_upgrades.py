"""R29: a contract's logic changes by the timelock alone.

Events: Upgraded and AdminChanged of each proxy, OwnershipTransferred of its administrator,
CallExecuted of the timelock. After the transaction that made a proxy, every other logic,
administrator or owner comes in a transaction in which the timelock called the proxy's
administrator. A violation shows the new address.
"""

import ibis
import ibis.expr.types as ir

from medtoken.audit.checks import _base as b
from medtoken.audit.checks import _governed as g

RULE = "R29"
INVARIANT = None
TITLE = "Contracts are upgraded by the timelock"


def violations(history: b.History) -> ir.Table:
    """Upgrades and changes of hands that did not come from the timelock."""
    proxy = "transparent_upgradeable_proxy"
    admins = g.admins(history)
    keep = ["block_number", "tx_hash", "log_index", "at", "address"]
    upgraded, changed = (history(proxy, event) for event in ("upgraded", "admin_changed"))
    moved = history("proxy_admin", "ownership_transferred")
    rows = b.stack(
        upgraded.select(*keep, to="implementation", what=ibis.literal("logic")),
        changed.select(*keep, to="new_admin", what=ibis.literal("administrator")),
    )
    rows = b.matched(rows, admins, {"address": "proxy"}, born="born", proxy_admin="proxy_admin")
    own = admins.mutate(place=admins.proxy_admin)
    moved = moved.select(*keep, to="new_owner", what=ibis.literal("owner"))
    moved = moved.mutate(proxy_admin=b.hexed(moved.address))
    moved = b.matched(moved, own, {"proxy_admin": "place"}, born="born")
    rows = rows.union(moved.select(*rows.columns))
    rows = g.called(history, rows, "proxy_admin")
    return b.broken(
        rows,
        rows.ordered | (rows.born == rows.tx_hash),
        "a proxy changed without the timelock",
        subject=rows.address,
        parties=[rows.to],
        expected="a call by the timelock",
        found=rows.what,
    )

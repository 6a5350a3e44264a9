"""What the checks of contracts that credit accounts share: credits cover withdrawals, DUT moves as told."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from medtoken.audit.checks import _base as b


def covered(legs: ir.Table, out: ir.Table, where: str) -> ir.Table:
    """Accounts that withdrew more than the ``legs`` (``account``, ``amount``) credited them with."""
    taken = out.select(*b.PLACE, account="account", amount=b.dec(0) - b.dec(out.amount))
    return b.overdrawn(legs.union(taken), f"credit of an account at {where}")


def moved(history: b.History, contract: str, came: ir.Table, out: ir.Table) -> ir.Table:
    """Where DUT did not come from whom ``came`` (``account``, ``amount``) says, or go as ``out`` says."""
    home, moves = history.address(contract), history("usage_token", "transfer")
    told = came.union(out.select(*b.PLACE, account="to_", amount=b.dec(0) - b.dec(out.amount)))
    into = moves.filter(moves.to_ == b.raw(home))
    left = moves.filter(moves.from_ == b.raw(home))
    legs = into.select(*b.PLACE, account="from_", amount=b.dec(into.value)).union(
        left.select(*b.PLACE, account="to_", amount=b.dec(0) - b.dec(left.value))
    )
    sums = b.matched(
        b.per_transaction(told, told.amount, "told", "account"),
        b.per_transaction(legs, legs.amount, "came", "account"),
        {"tx_hash": "tx_hash", "account": "account"},
        came="came",
    )
    # What nobody was told of is a gift; what goes out is exact.
    found = ibis.coalesce(sums.came, b.dec(0))
    return b.broken(
        sums,
        ibis.ifelse(sums.told > 0, found >= sums.told, found == sums.told),
        f"DUT that came to the {contract} (or went, negative), against its books",
        parties=[sums.account],
        expected=sums.told,
        found=found,
    )

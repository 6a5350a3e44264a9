"""R15: nobody takes more out of the market than came in for it, and its DUT moves as its books say.

Events: Deposited, DepositReclaimed, DeskMoved, LicenceBought, LicenceToppedUp, LicenceSettled,
LicenceClosed, Withdrawn of the market, LevyReceived, Transfer of DUT. Every deposit and every
account's earnings, rebuilt event by event, are never negative; in each transaction DUT leaves the
market only for withdrawals, deposits taken back and levies, and what was deposited came in. A
violation shows base units.
"""

from typing import Any

import ibis.expr.types as ir

from medtoken.audit.checks import _base as b
from medtoken.audit.checks import _market as m

RULE = "R15"
INVARIANT = 6
TITLE = "Nobody withdraws more than came in for them"
_PARTS = ("patient", "custodian", "annotator", "platform")


def violations(history: b.History) -> ir.Table:
    """Balances below zero, and DUT that moved without or against the books."""
    return b.stack(
        b.overdrawn(_earnings(history), "earnings of an account not withdrawn"),
        b.overdrawn(_deposits(history), "the deposit of an account"),
        _left(history),
        _came(history),
    )


def _leg(rows: ir.Table, account: str, amount: Any) -> ir.Table:
    return rows.select(*b.PLACE, account=rows[account], amount=b.dec(amount))


def _earnings(history: b.History) -> ir.Table:
    settled, out = (history("data_market", e) for e in ("licence_settled", "withdrawn"))
    legs = [_leg(settled, part, settled[f"{part}_amount"]) for part in _PARTS]
    return b.stack(*legs, _leg(out, "account", -b.dec(out.amount)))


def _deposits(history: b.History) -> ir.Table:
    came, back, moved, bought, closed = (
        history("data_market", event)
        for event in (
            "deposited",
            "deposit_reclaimed",
            "desk_moved",
            "licence_bought",
            "licence_closed",
        )
    )
    more = m.of_licence(history, history("data_market", "licence_topped_up"))
    return b.stack(
        _leg(came, "account", came.amount),
        _leg(back, "account", -b.dec(back.amount)),
        _leg(moved, "source", -b.dec(moved.amount)),
        _leg(moved, "target", moved.amount),
        _leg(bought, "payer", -b.dec(bought.paid) - b.dec(bought.levy)),
        _leg(more, "licensee", -b.dec(more.paid) - b.dec(more.levy)),
        _leg(closed, "licensee", b.dec(closed.refund) + b.dec(closed.levy)),
    )


def _left(history: b.History) -> ir.Table:
    """What left the market, by receiver, against what it says."""
    market, moves = history.address("DataMarket"), history("usage_token", "transfer")
    out, back = (history("data_market", e) for e in ("withdrawn", "deposit_reclaimed"))
    levies = history("treasury", "levy_received")
    levies = levies.filter(levies.payer == b.raw(market))
    reasons = b.stack(
        _leg(out, "to_", out.amount),
        _leg(back, "account", back.amount),
        _leg(levies, "address", levies.amount),
    )
    left = moves.filter(moves.from_ == b.raw(market))
    return b.both(
        b.per_transaction(reasons, reasons.amount, "told", "account"),
        b.per_transaction(left.mutate(account=left.to_), left.value, "came", "account"),
        "account",
        "DUT that left the market, against its withdrawals, deposits taken back and levies",
    )


def _came(history: b.History) -> ir.Table:
    """What was deposited, by payer, against what moved to the market; more is a gift."""
    market, moves = history.address("DataMarket"), history("usage_token", "transfer")
    rows = history("data_market", "deposited")
    into = moves.filter(moves.to_ == b.raw(market))
    told = b.per_transaction(rows.mutate(account=rows.payer), rows.amount, "told", "account")
    came = b.per_transaction(into.mutate(account=into.from_), into.value, "came", "account")
    sums = b.matched(told, came, {"tx_hash": "tx_hash", "account": "account"}, came="came")
    return b.broken(
        sums,
        sums.came >= sums.told,
        "DUT that moved to the market, against what was deposited",
        parties=[sums.account],
        expected=sums.told,
        found=sums.came,
    )

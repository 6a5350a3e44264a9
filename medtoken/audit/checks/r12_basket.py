"""R12: a basket spends what was reserved for it, at the discount of its steps, and returns the
rest.

Events: BasketReserved, BasketToppedUp, BasketTaken, BasketDrawn, BasketClosed of the basket desk,
LicenceBought, DeskMoved. Records are numbered one after the other up to the count that was agreed;
what is left is what was reserved less the licences that were taken. A violation shows base units,
or numbers.
"""

import ibis.expr.types as ir

from medtoken.audit.checks import _base as b
from medtoken.audit.checks import _market as m

RULE = "R12"
INVARIANT = 6
TITLE = "Baskets spend what was reserved"


def violations(history: b.History) -> ir.Table:
    """Baskets whose money or numbers do not add up."""
    desk = "basket_desk"
    reserved, more, taken, drawn, closed = (
        history(desk, f"basket_{event}")
        for event in ("reserved", "topped_up", "taken", "drawn", "closed")
    )
    sold = m.licences(history)
    taken = b.matched(taken, sold, {"licence": "licence"}, paid="paid", levy="levy", payer="payer")
    taken = b.matched(taken, reserved, {"basket": "basket"}, most="terms_count")
    taken = taken.mutate(
        place=b.number(taken, taken.basket), spent=b.dec(taken.paid) + b.dec(taken.levy)
    )
    keep = ["at", "basket"]
    flows = b.stack(
        reserved.select(*keep, amount=b.dec(reserved.amount)),
        more.select(*keep, amount=b.dec(more.amount)),
        taken.select(*keep, amount=b.dec(-taken.spent)),
    )
    flows = flows.mutate(rest=b.running(flows, flows.amount, flows.basket))
    drawn = b.as_of(drawn, flows, {"basket": "basket"}, rest="rest")
    closed = b.as_of(closed, flows, {"basket": "basket"}, rest="rest")
    return b.stack(
        b.unequal(
            taken,
            "the number of a record taken out of a basket",
            taken.place,
            taken.number,
            subject=taken.basket,
            parties=[taken.payer],
        ),
        b.broken(
            taken,
            (taken.number <= taken.most) & (taken.payer == b.raw(history.address("BasketDesk"))),
            "a record taken out of a basket, beyond its count or paid by somebody else",
            subject=taken.basket,
            parties=[taken.payer],
            expected=taken.most,
            found=taken.number,
        ),
        b.unequal(drawn, "left of a basket", drawn.rest, drawn.left_, subject=drawn.basket),
        b.broken(
            drawn,
            drawn.rest >= 0,
            "a basket spent more than was reserved",
            subject=drawn.basket,
            expected="at least 0",
            found=drawn.rest,
        ),
        b.unequal(
            closed, "returned of a basket", closed.rest, closed.returned, subject=closed.basket
        ),
        _moved(history, reserved, more, closed),
    )


def _moved(history: b.History, reserved: ir.Table, more: ir.Table, closed: ir.Table) -> ir.Table:
    desk = history.address("BasketDesk")
    keep = ["block_number", "tx_hash", "log_index", "at"]
    who = {"licensee": "licensee"}
    more, closed = (
        b.matched(rows, reserved, {"basket": "basket"}, **who) for rows in (more, closed)
    )
    told = b.stack(
        reserved.select(*keep, account="licensee", amount=-b.dec(reserved.amount)),
        more.select(*keep, account="licensee", amount=-b.dec(more.amount)),
        closed.select(*keep, account="licensee", amount=b.dec(closed.returned)),
    )
    moved = history("data_market", "desk_moved")
    own = moved.filter(moved.desk == b.raw(desk))
    came = own.filter(own.target == own.desk).select(
        *keep, account="source", amount=-b.dec(own.amount)
    )
    went = own.filter(own.source == own.desk).select(
        *keep, account="target", amount=b.dec(own.amount)
    )
    legs = came.union(went)
    return b.both(
        b.per_transaction(told, told.amount, "told", "account"),
        b.per_transaction(legs, legs.amount, "came", "account"),
        "account",
        "what the basket desk moved to a licensee (from it, where negative), against its own word",
    )

"""R15: every levy reaches the treasury in the transaction that took it out.

Events: LicenceSettled of the market, LevyHandedOver of the royalty vault, LevyReceived of the
treasury, Transfer of DUT. In each transaction the levies settled by the market, and those handed
over by the vault, are what the treasury received from each, and as much DUT moved to it. A
violation shows base units.
"""

import ibis.expr.types as ir

from medtoken.audit.checks import _base as b

RULE = "R15"
INVARIANT = 3
TITLE = "Every levy reaches the treasury"


def violations(history: b.History) -> ir.Table:
    """Levies that did not arrive, or that nobody settled."""
    received = history("treasury", "levy_received")
    moves = history("usage_token", "transfer")
    treasury = history.address("Treasury")
    found = []
    for contract, event, amount, name in (
        ("data_market", "licence_settled", "levy", "DataMarket"),
        ("royalty_vault", "levy_handed_over", "amount", "RoyaltyVault"),
    ):
        rows = history(contract, event)
        own = received.filter(received.payer == b.raw(history.address(name)))
        told = b.per_transaction(rows.mutate(account=rows.address), rows[amount], "told", "account")
        came = b.per_transaction(own.mutate(account=own.payer), own.amount, "came", "account")
        found.append(
            b.both(told, came, "account", "levies taken, against what the treasury received")
        )
    told = b.per_transaction(
        received.mutate(account=received.payer), received.amount, "told", "account"
    )
    into = moves.filter(moves.to_ == b.raw(treasury))
    came = b.per_transaction(into.mutate(account=into.from_), into.value, "came", "account")
    sums = b.matched(told, came, {"tx_hash": "tx_hash", "account": "account"}, came="came")
    found.append(
        b.broken(
            sums,
            sums.came >= sums.told,
            "DUT that moved to the treasury, against the levy received",
            parties=[sums.account],
            expected=sums.told,
            found=sums.came,
        )
    )
    return b.stack(*found)

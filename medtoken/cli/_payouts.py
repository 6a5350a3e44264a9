"""Paying out what a contract has credited to somebody, by signature through the relay."""

from __future__ import annotations

from medtoken.chain.contracts import PayingContract
from medtoken.cli._context import Context, dut
from medtoken.parties import Patient, Relay


def pay_out(
    context: Context, purse: PayingContract, earner: str, amount: int | None, to: str | None
) -> None:
    """Have ``amount`` base units (None: everything) of ``earner``'s wallet paid to it, or ``to``."""
    signer = Patient(context.suite, context.wallet(earner))
    wallet, key = context.home.wallet("relay"), context.intent()
    # What a killed run had paid is no longer among the credits that one could draw on.
    receipt = context.node.take_up(wallet, key)
    if receipt is None:
        withdrawal = signer.withdrawal(amount, context.address(to) if to else None, purse)
        context.say(withdrawal.render())
        signature = signer.sign(withdrawal, purse)
        paid = Relay(context.suite, wallet).withdraw(withdrawal, signature, purse=purse, key=key)
    else:
        paid = purse.events(receipt.logs, "Withdrawn")[0].args
    context.done(
        {"account": paid["account"], "to": paid["to"], "amount": str(paid["amount"])},
        f"Paid {dut(paid['amount'])} to {paid['to']}.",
    )

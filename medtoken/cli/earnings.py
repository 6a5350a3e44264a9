"""``medtoken earnings``: settle, show, withdraw."""

from __future__ import annotations

from collections.abc import Sequence

import click

from medtoken.cli._context import AMOUNT, WORD, Context, common, dut, hexed
from medtoken.parties import Patient, Relay


@click.group()
def earnings() -> None:
    """Earnings: settle licences, see what was earned, have it paid out."""


@earnings.command()
@click.argument("licences", metavar="LICENCE...", nargs=-1, required=True, type=WORD)
@common
def settle(context: Context, licences: Sequence[bytes]) -> None:
    """Credit what LICENCES have earned to whom it belongs. Anybody may do this."""
    market = context.suite.market
    refs = [market.licence_ref(licence) for licence in licences]
    receipt = market.settle(context.wallet("relay"), refs, key=context.intent())
    splits = [log.args for log in market.events(receipt.logs, "LicenceSettled")]
    total = sum(split["gross"] for split in splits)
    context.done(
        {
            "gross": str(total),
            "settled": [
                {
                    k: hexed(v) if isinstance(v, bytes) else str(v) if isinstance(v, int) else v
                    for k, v in split.items()
                }
                for split in splits
            ],
        },
        f"Settled {dut(total)}.",
    )


@earnings.command()
@click.argument("account", default="patient")
@common
def show(context: Context, account: str) -> None:
    """Show what ACCOUNT (address or wallet name) has earned and not withdrawn."""
    address = context.address(account)
    word = context.suite.market.earnings(address)
    held = context.suite.usage.balance(address)
    dct = context.suite.contributions.balance(address)
    context.done(
        {"account": address, "earned": str(word.earned), "dut": str(held), "dct": str(dct)},
        f"{address} has earned {dut(word.earned)} and not withdrawn them, and holds {dut(held)} "
        f"and {dut(dct).replace('DUT', 'DCT')}.",
    )


@earnings.command()
@click.argument("amount", type=AMOUNT, required=False)
@click.option("--to", "to", help="Another admitted account; default: the earner's own.")
@common
def withdraw(context: Context, amount: int | None, to: str | None) -> None:
    """Have AMOUNT DUT (default: everything) paid out, by signature (as the patient)."""
    patient = Patient(context.suite, context.wallet("patient"))
    wallet, key = context.home.wallet("relay"), context.intent()
    # What a killed run had paid is no longer among the earnings that one could draw on.
    receipt = context.node.take_up(wallet, key)
    if receipt is None:
        withdrawal = patient.withdrawal(amount, context.address(to) if to else None)
        context.say(withdrawal.render())
        relay = Relay(context.suite, wallet)
        paid = relay.withdraw(withdrawal, patient.sign(withdrawal), key=key)
    else:
        paid = context.suite.market.events(receipt.logs, "Withdrawn")[0].args
    context.done(
        {"account": paid["account"], "to": paid["to"], "amount": str(paid["amount"])},
        f"Paid {dut(paid['amount'])} to {paid['to']}.",
    )

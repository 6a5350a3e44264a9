"""``medtoken compensation``: pay, show, withdraw (R22)."""

from __future__ import annotations

import click

from medtoken.chain.protection import CompensationFund
from medtoken.cli._context import AMOUNT, WORD, Context, common, dut, hexed
from medtoken.cli._payouts import pay_out
from medtoken.parties.protection import contribute


@click.group()
def compensation() -> None:
    """Compensation fund: licensees pay in for what they use; a part is kept for who is harmed."""


def _contract(context: Context) -> CompensationFund:
    return CompensationFund(context.suite.node, context.suite.deployment)


@compensation.command()
@click.argument("licence_id", metavar="LICENCE", type=WORD)
@click.argument("amount", type=AMOUNT)
@common
def pay(context: Context, licence_id: bytes, amount: int) -> None:
    """Pay AMOUNT DUT for the use of LICENCE: 40 % custodian, 30 % patient, 30 % kept (as its licensee)."""
    wallet = context.wallet("pharma")
    told = contribute(context.suite, wallet, licence_id, amount, key=context.intent())
    context.done(
        {
            "licence": hexed(licence_id),
            "custodian": str(told["custodianAmount"]),
            "patient": str(told["patientAmount"]),
            "kept": str(told["kept"]),
        },
        f"{dut(told['custodianAmount'])} to the custodian, {dut(told['patientAmount'])} to the "
        f"patient, {dut(told['kept'])} kept.",
    )


@compensation.command()
@click.argument("account", default="patient")
@common
def show(context: Context, account: str) -> None:
    """Show what the fund keeps, and what it has credited to ACCOUNT (address or wallet name)."""
    fund, address = _contract(context), context.address(account)
    kept, credited = fund.kept(), fund.earnings(address).earned
    context.done(
        {"kept": str(kept), "account": address, "credited": str(credited)},
        f"The fund keeps {dut(kept)}; {address} can withdraw {dut(credited)}.",
    )


@compensation.command()
@click.argument("amount", type=AMOUNT, required=False)
@click.option("--to", "to", help="Another admitted account; default: the earner's own.")
@common
def withdraw(context: Context, amount: int | None, to: str | None) -> None:
    """Have AMOUNT DUT (default: everything) of the fund paid out, by signature (as the patient)."""
    pay_out(context, _contract(context), "patient", amount, to)

"""``medtoken trust``: accredit, offer, settle, show (R21)."""

from __future__ import annotations

from collections.abc import Sequence

import click

from medtoken.chain.trust import EVERY_RECORD, DataTrust
from medtoken.chain.words import GRAIN
from medtoken.cli._context import AMOUNT, WORD, Context, common, dut, hexed
from medtoken.errors import BadInput


@click.group()
def trust() -> None:
    """Trustees: they manage records for patients who mandate them by ``consent grant --trustee``.

    ``licence buy`` buys of them; they take what they are paid out with ``licence reclaim``.
    """


def _desk(context: Context) -> DataTrust:
    return DataTrust(context.suite.node, context.suite.deployment)


@trust.command()
@click.argument("account")
@click.option("--bar", is_flag=True, help="Bar it from every further sale.")
@common
def accredit(context: Context, account: str, bar: bool) -> None:
    """Let ACCOUNT (address or wallet name) act as a trustee (as the accreditation role)."""
    address = context.address(account)
    _desk(context).set_trustee(context.wallet("operator"), address, not bar, key=context.intent())
    context.done(
        {"account": address, "accredited": not bar},
        f"{address} may {'no longer sell' if bar else 'act as a trustee'}.",
    )


@trust.command()
@click.argument("consent_id", metavar="CONSENT", type=WORD)
@click.option("--record", "record_id", type=WORD, help="This record alone; default: every one.")
@click.option("--price", type=AMOUNT, default="0", show_default=True, help="Least DUT a unit.")
@click.option("--hold-back", is_flag=True, help="Sell nothing of it for now.")
@common
def offer(
    context: Context, consent_id: bytes, record_id: bytes | None, price: int, hold_back: bool
) -> None:
    """Offer what CONSENT mandates one with, never below the tariff (as the trustee)."""
    terms = context.suite.market.consent_terms(consent_id)
    record = record_id or EVERY_RECORD
    _desk(context).set_offer(
        context.wallet("trustee"), terms, record, price, not hold_back, key=context.intent()
    )
    what = "The record is" if record_id else "All records of the consent are"
    context.done(
        {
            "consent": hexed(consent_id),
            "record": hexed(record_id) if record_id else None,
            "price": str(price),
            "open": not hold_back,
        },
        f"{what} held back." if hold_back else f"{what} offered from {dut(price)} a unit on.",
    )


@trust.command()
@click.argument("licences", metavar="LICENCE...", nargs=-1, required=True, type=WORD)
@common
def settle(context: Context, licences: Sequence[bytes]) -> None:
    """Settle LICENCES that trustees sold, and pay the trustees into their deposits. Anybody may."""
    desk, market = _desk(context), context.suite.market
    refs = [market.licence_ref(licence) for licence in licences]
    receipt = desk.settle(context.wallet("relay"), refs, key=context.intent())
    paid = [log.args for log in desk.events(receipt.logs, "TrusteePaid")]
    gross = sum(log.args["gross"] for log in market.events(receipt.logs, "LicenceSettled"))
    total, returned = (sum(one[name] for one in paid) for name in ("amount", "returned"))
    context.done(
        {"gross": str(gross), "trustees": str(total), "returned": str(returned)},
        f"Settled {dut(gross)}; {dut(total)} to trustees, {dut(returned)} back to licensees.",
    )


@trust.command()
@click.argument("consent_id", metavar="CONSENT", type=WORD)
@click.option("--record", "record_id", type=WORD, help="This record; default: every one.")
@common
def show(context: Context, consent_id: bytes, record_id: bytes | None) -> None:
    """Show who manages what CONSENT covers, and what is asked for it."""
    terms, desk = context.suite.market.consent_terms(consent_id), _desk(context)
    if terms.trustee is None:
        raise BadInput("This consent mandates nobody.")
    found = desk.offer(consent_id, record_id or EVERY_RECORD)
    accredited = desk.is_trustee(terms.trustee)
    context.done(
        {
            "consent": hexed(consent_id),
            "trustee": terms.trustee,
            "accredited": accredited,
            "open": found.open,
            "price": str(found.price * GRAIN),
        },
        f"The trustee {terms.trustee}{'' if accredited else ', which is not accredited,'} "
        + (f"asks {dut(found.price * GRAIN)} a unit at least." if found.open else "sells nothing."),
    )

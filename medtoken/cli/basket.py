"""``medtoken licence basket``: bulk licences (R12)."""

from __future__ import annotations

from collections.abc import Sequence

import click

from medtoken.cli._context import AMOUNT, WORD, Context, common, dut, hexed
from medtoken.parties.baskets import Baskets, Listing
from medtoken.vocabulary import Form

_FORMS = {"fixed-term": Form.FIXED_TERM, "metered": Form.METERED}
_LIST = click.Path(exists=True, dir_okay=False)


@click.group()
def basket() -> None:
    """Many records in one transaction: reserve, take, close."""


@basket.command()
@click.argument("listing", metavar="LIST", type=_LIST)
@click.option("--amount", type=AMOUNT, required=True, help="To reserve, levies included.")
@click.option("--max-price", type=AMOUNT, required=True, help="Most for a unit of any record.")
@click.option("--form", default="fixed-term", show_default=True, type=click.Choice(list(_FORMS)))
@click.option("--units", default=0, help="Metered: calls or MB to prepay for each record.")
@click.option("--days", default=90, show_default=True, help="How long the licences last from now.")
@click.option("--take-days", default=30, show_default=True, help="How long records are taken.")
@click.option("--purpose", "purposes", multiple=True, required=True, help="DUO; repeat for each.")
@click.option("--disease", "diseases", multiple=True, help="Disease code for DS; repeat for each.")
@click.option("--voucher-key", help="Metered: address or wallet whose vouchers count.")
@common
def reserve(
    context: Context,
    listing: str,
    amount: int,
    max_price: int,
    form: str,
    units: int,
    days: int,
    take_days: int,
    purposes: Sequence[str],
    diseases: Sequence[str],
    voucher_key: str | None,
) -> None:  # fmt: skip
    """Reserve money and terms for the records of LIST (as the licensee).

    LIST is a JSON file: [{"record": "0x…", "consent": "0x…"}, …].
    """
    records = Listing.load(listing)
    terms = Baskets(context.suite).reserve(
        context.wallet("pharma"),
        records,
        amount,
        form=_FORMS[form],
        purposes=purposes,
        max_price=max_price,
        days=days,
        take_days=take_days,
        units=units,
        diseases=diseases,
        signer=context.address(voucher_key) if voucher_key else None,
        key=context.intent(),
    )
    made = terms.id()
    context.done(
        {
            "basket": hexed(made),
            "root": hexed(terms.root),
            "count": terms.count,
            "amount": str(amount),
            "until": terms.until,
            "end": terms.end,
        },
        f"Basket {hexed(made)}: {dut(amount)} for {terms.count:,} records.",
    )


@basket.command()
@click.argument("basket_id", metavar="BASKET", type=WORD)
@click.argument("listing", metavar="LIST", type=_LIST)
@click.option(
    "--entry", "entries", multiple=True, type=int, help="Which of LIST, from 0; all else."
)
@common
def take(context: Context, basket_id: bytes, listing: str, entries: Sequence[int]) -> None:
    """Have licences issued out of BASKET (anybody may), up to 32 in each transaction."""
    taken = Baskets(context.suite).take(
        context.wallet("relay"),
        basket_id,
        Listing.load(listing),
        list(entries) or None,
        key=context.intent(),
    )
    context.done(
        {
            "basket": hexed(basket_id),
            "licences": [hexed(licence) for licence in taken.licences],
            "passed_over": taken.passed_over,
            "left": str(taken.left),
        },
        f"{len(taken.licences)} licences taken, {taken.passed_over} passed over, "
        f"{dut(taken.left)} left.",
    )


@basket.command(name="top-up")
@click.argument("basket_id", metavar="BASKET", type=WORD)
@click.argument("amount", type=AMOUNT)
@common
def top_up(context: Context, basket_id: bytes, amount: int) -> None:
    """Reserve AMOUNT more for BASKET (as the licensee)."""
    wallet = context.wallet("pharma")
    left = Baskets(context.suite).top_up(wallet, basket_id, amount, key=context.intent())
    context.done({"basket": hexed(basket_id), "left": str(left)}, f"{dut(left)} reserved.")


@basket.command()
@click.argument("basket_id", metavar="BASKET", type=WORD)
@common
def close(context: Context, basket_id: bytes) -> None:
    """Return what is left of BASKET (the licensee; after its time anybody)."""
    wallet = context.wallet("pharma")
    returned = Baskets(context.suite).close(wallet, basket_id, key=context.intent())
    context.done(
        {"basket": hexed(basket_id), "returned": str(returned)}, f"{dut(returned)} returned."
    )


@basket.command()
@click.argument("basket_id", metavar="BASKET", type=WORD)
@common
def show(context: Context, basket_id: bytes) -> None:
    """Show BASKET: what is left, what was taken, the discount on the next record."""
    desk = Baskets(context.suite)
    terms, state = desk.show(basket_id)
    discount = desk.desk.discount(state.steps, state.taken + 1)
    data = {
        "basket": hexed(basket_id),
        "licensee": terms.licensee,
        "closed": state.closed,
        "left": str(state.left),
        "taken": state.taken,
        "count": terms.count,
        "until": terms.until,
        "next_discount_bps": discount,
    }
    context.done(
        data,
        f"{state.taken:,} of {terms.count:,} taken, {dut(state.left)} left, "
        f"{discount / 100:g} % off the next.",
    )

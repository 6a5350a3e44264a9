"""``medtoken licence auction``, ``bid``, ``award``: English auctions (R12)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from medtoken.cli._context import AMOUNT, WORD, Context, common, dut, hexed
from medtoken.messages import AuctionOffer
from medtoken.parties.auctions import Auctions


@click.command()
@click.argument("record_id", metavar="RECORD", type=WORD)
@click.option(
    "--consent", "consent_id", type=WORD, required=True, help="The consent to sell under."
)
@click.option("--reserve", type=AMOUNT, required=True, help="Least price for the whole term.")
@click.option("--days", default=7.0, show_default=True, help="How long bids are taken.")
@click.option("--term-days", default=90, show_default=True, help="How long the licence lasts.")
@click.option("--certified-hours", default=0.0, help="Hours in which only certified ones bid.")
@click.option("--opens-in", default=600, show_default=True, help="Seconds until bids count.")
@click.option("--relay", default="relay", show_default=True, help="The wallet that brings it.")
@click.option("--yes", is_flag=True, help="Sign without asking.")
@common
def auction(
    context: Context,
    record_id: bytes,
    consent_id: bytes,
    reserve: int,
    days: float,
    term_days: int,
    certified_hours: float,
    opens_in: int,
    relay: str,
    yes: bool,
) -> None:  # fmt: skip
    """Sign an auction of a licence to RECORD (as the patient) and bring it through a relay."""
    desk = Auctions(context.suite)
    offer = desk.offer(
        record_id,
        consent_id,
        reserve=reserve,
        days=days,
        term_days=term_days,
        certified_hours=certified_hours,
        opens_in=opens_in,
    )
    if not yes:
        context.say(offer.render())
        click.confirm("Sign this?", abort=True, err=True)
    signature = desk.sign(context.wallet("patient"), offer)
    made = desk.open(context.home.wallet(relay), offer, signature, key=context.intent())
    offer = desk.house.offer(made)
    context.done(_offered(made, offer), f"Auction {hexed(made)}\n{offer.render()}")


@click.command()
@click.argument("auction_id", metavar="AUCTION", type=WORD)
@click.option("--price", type=AMOUNT, help="For the whole term; default: the least that counts.")
@click.option("--purpose", "purposes", multiple=True, required=True, help="DUO; repeat for each.")
@click.option("--disease", "diseases", multiple=True, help="Disease code for DS; repeat for each.")
@common
def bid(
    context: Context,
    auction_id: bytes,
    price: int | None,
    purposes: Sequence[str],
    diseases: Sequence[str],
) -> None:  # fmt: skip
    """Bid in AUCTION from the deposit (as the licensee). It signs the data-use commitment."""
    desk = Auctions(context.suite)
    paid = desk.bid(
        context.wallet("pharma"),
        auction_id,
        price,
        purposes=purposes,
        diseases=diseases,
        key=context.intent(),
    )
    ends = desk.house.auction(auction_id).ends
    context.done(
        {"auction": hexed(auction_id), "price": str(paid), "ends": ends},
        f"{dut(paid)} bid; a tenth more is held for the levy.",
    )


@click.command()
@click.argument("auction_id", metavar="AUCTION", type=WORD)
@click.option("--give-back", is_flag=True, help="It cannot be awarded: return what is held.")
@common
def award(context: Context, auction_id: bytes, give_back: bool) -> None:
    """Have the winner's licence of AUCTION issued (anybody may), or give back what is held."""
    desk = Auctions(context.suite)
    wallet = context.wallet("relay")
    if give_back:
        returned = desk.give_back(wallet, auction_id, key=context.intent())
        context.done(
            {"auction": hexed(auction_id), "returned": str(returned)}, f"{dut(returned)} returned."
        )
        return
    won = desk.award(wallet, auction_id, key=context.intent())
    context.done(
        {
            "auction": hexed(auction_id),
            "licence": hexed(won.licence),
            "licensee": won.licensee,
            "spent": str(won.spent),
            "returned": str(won.returned),
        },
        f"Licence {hexed(won.licence)} of {won.licensee}: {dut(won.spent)} with the levy.",
    )


@click.command(name="auction-show")
@click.argument("auction_id", metavar="AUCTION", type=WORD)
@common
def show(context: Context, auction_id: bytes) -> None:
    """Show AUCTION: its offer, the highest bid, and the least that the next one must name."""
    desk = Auctions(context.suite)
    offer, state = desk.show(auction_id)
    least = desk.house.least_bid(offer)
    data = _offered(auction_id, offer) | {
        "ends": state.ends,
        "over": state.done,
        "bidder": state.bidder if int(state.bidder, 16) else None,
        "price": str(state.price),
        "least_bid": str(least),
    }
    bidden = f"{dut(state.price)} by {state.bidder}" if state.price else "none"
    context.done(data, f"{offer.render()}\nHighest bid: {bidden}. Next: {dut(least)} or more.")


def _offered(auction_id: bytes, offer: AuctionOffer) -> dict[str, Any]:
    return {
        "auction": hexed(auction_id),
        "record": hexed(offer.record),
        "consent": hexed(offer.consent),
        "reserve": str(offer.reserve),
        "opens": offer.opens,
        "ends": offer.ends,
        "term": offer.term,
        "certified_first": offer.certifiedFirst,
    }

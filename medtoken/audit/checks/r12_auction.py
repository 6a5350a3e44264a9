"""R12: an auction takes rising bids in its time, holds exactly their money, and sells to the
highest.

Events: AuctionOpened, AuctionBid, AuctionAwarded, AuctionGivenBack of the auction house, DeskMoved
and LicenceBought of the market. A bid is at least the reserve, or the one before and its increment;
the house holds price and highest levy; the one that is exceeded gets its money back at once; the
winner pays what it bid, and gets the rest back. A violation shows base units.
"""

import ibis
import ibis.expr.types as ir

from medtoken.audit.checks import _base as b
from medtoken.audit.checks import _market as m

RULE = "R12"
INVARIANT = 6
TITLE = "Auctions hold and return what was bid"
_MAX_LEVY = 1_000


def violations(history: b.History) -> ir.Table:
    """Bids too low, money held or returned otherwise, and awards to others."""
    return b.stack(*_bids(history), *_ends(history), _moved(history))


def _bids(history: b.History) -> list[ir.Table]:
    rows = history("auction_house", "auction_bid")
    opened = b.first_of(history("auction_house", "auction_opened"), "auction")
    rows = b.matched(
        rows,
        opened,
        {"auction": "auction"},
        reserve="offer_reserve",
        opens="offer_opens",
        closes="offer_ends",
        step="increment",
    )
    rows = rows.mutate(
        last=b.previous(rows, rows.price, rows.auction),
        ended=b.previous(rows, rows.ends, rows.auction),
    )
    grains = b.quotient(rows.last, b.GRAIN)
    more = b.quotient(b.dec(grains) * b.dec(rows.step) + b.dec(b.BPS - 1), b.BPS)
    least = ibis.coalesce(b.dec(b.dec(grains + more) * b.dec(b.GRAIN)), b.dec(rows.reserve))
    rows = rows.mutate(
        least=least,
        due=b.share(rows.price, b.BPS + _MAX_LEVY),
        until=ibis.coalesce(rows.ended, rows.closes),
    )
    shown = {"subject": rows.auction, "parties": [rows.bidder]}
    return [
        b.broken(
            rows, rows.price >= rows.least, "a bid", expected=rows.least, found=rows.price, **shown
        ),
        b.unequal(rows, "held for a bid", rows.due, rows.held, **shown),
        b.broken(
            rows,
            (rows.block_time >= rows.opens)
            & (rows.block_time < rows.until)
            & (rows.ends >= rows.until),
            "a bid outside the time of its auction",
            expected=rows.until,
            found=rows.block_time,
            **shown,
        ),
    ]


def _ends(history: b.History) -> list[ir.Table]:
    bids = history("auction_house", "auction_bid")
    rows = history("auction_house", "auction_awarded")
    taken = {"bidder": "bidder", "price": "price", "held": "held", "ends": "ends"}
    rows = b.as_of(rows, bids, {"auction": "auction"}, **taken)
    sold = m.licences(history)
    rows = b.matched(rows, sold, {"licence": "licence"}, paid="paid", levy="levy", end_="end_")
    years = m.started_years(rows.end_ - rows.block_time)
    grains = b.quotient(b.quotient(rows.price, b.GRAIN), years)
    rows = rows.mutate(
        cost=b.dec(b.dec(grains * b.dec(b.GRAIN)) * b.dec(years)),
        out=b.dec(rows.paid) + b.dec(rows.levy),
    )
    rows = rows.mutate(rest=b.dec(b.dec(rows.held) - rows.out))
    shown = {"subject": rows.auction, "parties": [rows.licensee]}
    back = b.as_of(
        history("auction_house", "auction_given_back").rename(told="bidder"),
        bids,
        {"auction": "auction"},
        bidder="bidder",
        held="held",
    )
    return [
        b.unequal(
            rows, "who won an auction", b.hexed(rows.bidder), b.hexed(rows.licensee), **shown
        ),
        b.unequal(rows, "the price of what an auction sold", rows.cost, rows.paid, **shown),
        b.unequal(rows, "spent of a winning bid", b.dec(rows.out), rows.spent, **shown),
        b.unequal(rows, "returned of a winning bid", rows.rest, rows.returned, **shown),
        b.broken(
            rows,
            rows.block_time >= rows.ends,
            "an auction was awarded before its end",
            expected=rows.ends,
            found=rows.block_time,
            **shown,
        ),
        b.unequal(
            back,
            "given back of an auction",
            back.held,
            back.returned,
            subject=back.auction,
            parties=[back.told],
        ),
        b.unequal(
            back,
            "to whom an auction gives back",
            b.hexed(back.bidder),
            b.hexed(back.told),
            subject=back.auction,
        ),
    ]


def _moved(history: b.History) -> ir.Table:
    """What the house moved to bidders, against what it says it returned."""
    house = history.address("AuctionHouse")
    bids, won, back = (
        history("auction_house", f"auction_{event}") for event in ("bid", "awarded", "given_back")
    )
    keep = ["block_number", "tx_hash", "log_index", "at"]
    exceeded = bids.mutate(
        account=b.previous(bids, bids.bidder, bids.auction),
        amount=b.previous(bids, bids.held, bids.auction),
    )
    exceeded = exceeded.filter(exceeded.amount.notnull())
    reasons = b.stack(
        exceeded.select(*keep, account="account", amount=b.dec(exceeded.amount)),
        won.select(*keep, account="licensee", amount=b.dec(won.returned)),
        back.select(*keep, account="bidder", amount=b.dec(back.returned)),
    )
    moved = history("data_market", "desk_moved")
    out = moved.filter((moved.desk == b.raw(house)) & (moved.source == moved.desk))
    return b.both(
        b.per_transaction(reasons, reasons.amount, "told", "account"),
        b.per_transaction(out.mutate(account=out.target), out.amount, "came", "account"),
        "account",
        "what the auction house moved to bidders, against what it returned",
    )

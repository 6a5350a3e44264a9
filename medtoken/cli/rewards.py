"""``medtoken rewards``, and outcomes of records and licences (R25, R26, R27)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import click

from medtoken.cli._context import WORD, Context, common, dut, hexed
from medtoken.messages import Redemption

BOARDS = ("patients-month", "patients-year", "institutions-month", "institutions-year")
KINDS = ("model", "publication", "product", "other")
_DEADLINE = 3600
_MONTH = 30 * 86_400
_BOARD = click.Choice(BOARDS)
_FILE = click.Path(dir_okay=False, exists=True, path_type=Path)


@click.group()
def rewards() -> None:
    """Rewards: credit for contributions, badges, services for contribution tokens."""


@rewards.command()
@click.argument("account", default="patient")
@common
def score(context: Context, account: str) -> None:
    """Show the points of ACCOUNT (address or wallet name) and its badges' board of this month."""
    address = context.address(account)
    word, now = context.suite.rewards.credit(address), context.node.head().timestamp
    month = now // _MONTH
    points = {
        name: int(context.suite.rewards.read("points", board, period, address))
        for board, (name, period) in enumerate(zip(BOARDS, (month, month // 12) * 2, strict=True))
    }
    context.done(
        {
            "account": address,
            "points": word.points,
            "records": word.records,
            "months_in_a_row": word.run,
            "month": month,
            "boards": points,
        },
        f"{address} has {word.points:,} points from {word.records:,} records, {word.run} months in a row.",
    )


@rewards.command(name="count-record")
@click.argument("record", type=WORD)
@common
def count_record(context: Context, record: bytes) -> None:
    """Count RECORD for its patient and custodian. Anybody may, once."""
    suite = context.suite
    draft, facts = suite.registry.draft(record), suite.registry.facts(record)
    receipt = suite.rewards.count_record(
        context.wallet("relay"), facts.custodian, draft.tag, key=context.intent()
    )
    told = [log.args for log in suite.rewards.events(receipt.logs, "PointsEarned")]
    _counted(context, told)


@rewards.command(name="count-use")
@click.argument("licence", type=WORD)
@common
def count_use(context: Context, licence: bytes) -> None:
    """Count what LICENCE has settled for its record's patient and custodian. Anybody may, monthly."""
    suite = context.suite
    ref = suite.market.licence_ref(licence)
    receipt = suite.rewards.count_use(context.wallet("relay"), ref, key=context.intent())
    told = [log.args for log in suite.rewards.events(receipt.logs, "PointsEarned")]
    _counted(context, told)


def _counted(context: Context, told: Sequence[dict[str, object]]) -> None:
    context.done(
        {"points": [{"account": t["account"], "points": t["points"]} for t in told]},
        "\n".join(f"{t['account']} earned {t['points']} points." for t in told),
    )


@rewards.command()
@click.argument("board", type=_BOARD)
@click.argument("period", type=int)
@click.argument("accounts", metavar="ACCOUNT...", nargs=-1, required=True)
@common
def nominate(context: Context, board: str, period: int, accounts: Sequence[str]) -> None:
    """Put ACCOUNTS on BOARD of PERIOD, in the week after it ended. Anybody may."""
    contract, number = context.suite.rewards, BOARDS.index(board)
    for place, account in enumerate(accounts):
        contract.nominate(
            context.wallet("relay"),
            number,
            period,
            context.address(account),
            key=f"{context.intent()}:{place}",
        )
    _board(context, board, period)


@rewards.command()
@click.argument("board", type=_BOARD)
@click.argument("period", type=int)
@common
def award(context: Context, board: str, period: int) -> None:
    """Give everybody on BOARD of PERIOD the badge, once nominations have ended. Anybody may."""
    context.suite.rewards.award(
        context.wallet("relay"), BOARDS.index(board), period, key=context.intent()
    )
    _board(context, board, period)


@rewards.command(name="board")
@click.argument("board", type=_BOARD)
@click.argument("period", type=int)
@common
def show_board(context: Context, board: str, period: int) -> None:
    """Show the ten of BOARD of PERIOD: the 30-day month since 1970, or the year of twelve."""
    _board(context, board, period)


def _board(context: Context, board: str, period: int) -> None:
    contract, number = context.suite.rewards, BOARDS.index(board)
    top = contract.board(number, period)
    context.done(
        {
            "board": board,
            "period": period,
            "awarded": bool(contract.read("awarded", number, period)),
            "top": [{"account": account, "points": points} for account, points in top],
        },
        "\n".join(f"{points:>8,}  {account}" for account, points in top) or "Nobody is on it.",
    )


@rewards.command()
@click.argument("service", type=click.IntRange(1))
@common
def redeem(context: Context, service: int) -> None:
    """Burn contribution tokens for listed SERVICE, by signature (as the patient)."""
    contract, patient = context.suite.rewards, context.wallet("patient")
    wallet, key = context.home.wallet("relay"), context.intent()
    receipt = context.node.take_up(wallet, key)
    if receipt is None:
        message = Redemption(
            account=patient.address,
            service=service,
            price=int(contract.service(service)["price"]),
            nonce=contract.credit(patient.address).redemptions,
            deadline=context.node.head().timestamp + _DEADLINE,
        )
        context.say(message.render())
        signature = message.sign(patient.key, contract.domain)
        receipt = contract.redeem(wallet, message, signature, key=key)
    told = contract.events(receipt.logs, "Redeemed")[0].args
    context.done(
        {"voucher": told["voucher"], "service": service, "burned": str(told["price"])},
        f"Voucher {told['voucher']}: {dut(told['price']).replace('DUT', 'tokens')} burned.",
    )


@rewards.command()
@click.argument("voucher", type=click.IntRange(1))
@click.option("--note", default="", help="What it refers to; its SHA-256 is recorded.")
@common
def serve(context: Context, voucher: int, note: str) -> None:
    """Mark VOUCHER as served (as the provider of its service)."""
    digest = hashlib.sha256(note.encode()).digest()
    context.suite.rewards.serve(context.wallet("hospital"), voucher, digest, key=context.intent())
    context.done({"voucher": voucher, "served": True}, f"Voucher {voucher} was served.")


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("statement", type=_FILE)
@click.argument("licences", metavar="LICENCE...", nargs=-1, required=True, type=WORD)
@common
def outcome(context: Context, kind: str, statement: Path, licences: Sequence[bytes]) -> None:
    """State what the records of LICENCES led to; the file's SHA-256 is recorded (as the licensee)."""
    suite = context.suite
    refs = [suite.market.licence_ref(licence) for licence in licences]
    digest = hashlib.sha256(statement.read_bytes()).digest()
    receipt = suite.rewards.report_outcome(
        context.wallet("pharma"), KINDS.index(kind) + 1, digest, refs, key=context.intent()
    )
    told = suite.rewards.events(receipt.logs, "OutcomeReported")[0].args
    context.done(
        {"outcome": told["outcome"], "kind": kind, "records": [hexed(r.record) for r in refs]},
        f"Outcome {told['outcome']} was stated for {len(refs)} records.",
    )


@click.command()
@click.argument("record", type=WORD)
@common
def outcomes(context: Context, record: bytes) -> None:
    """Show what RECORD led to, as its licensees stated it."""
    found = context.suite.rewards.outcomes(record)
    context.done(
        {
            "record": hexed(record),
            "outcomes": [
                {
                    "outcome": told["outcome"],
                    "kind": KINDS[told["kind"] - 1],
                    "licensee": told["licensee"],
                    "statement": hexed(told["statement"]),
                }
                for told in found
            ],
        },
        "\n".join(f"{KINDS[t['kind'] - 1]}, stated by {t['licensee']}" for t in found)
        or "Nothing was stated yet.",
    )

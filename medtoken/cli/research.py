"""``medtoken research``: verify, release, outcomes, show (R4)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import click

from medtoken.chain.contracts import Suite
from medtoken.chain.research import Outcome, ResearchDesk, ResearchToken
from medtoken.chain.words import GRAIN
from medtoken.cli._context import WORD, Context, common, dut, hexed
from medtoken.vocabulary import OutcomeKind

_KINDS = {kind.name.lower().replace("_", "-"): kind for kind in OutcomeKind}
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def research() -> None:
    """Research tokens: earned by verified outcomes, spent with ``licence buy --research``."""


def _desk(suite: Suite) -> ResearchDesk:
    return ResearchDesk(suite.node, suite.deployment)


def _rt(amount: int) -> str:
    return dut(amount).replace("DUT", "RT")


@research.command()
@click.argument("licence_id", metavar="LICENCE", type=WORD)
@click.option("--kind", required=True, type=click.Choice(list(_KINDS)))
@click.option(
    "--evidence", type=_FILE, required=True, help="Its SHA-256 is recorded; it pays once."
)
@common
def verify(context: Context, licence_id: bytes, kind: str, evidence: Path) -> None:
    """Verify what the licensee of LICENCE made of it (as a technical seat of the council).

    The last seat that is needed mints the outcome's RT to the licensee.
    """
    desk, ref = _desk(context.suite), context.suite.market.licence_ref(licence_id)
    with evidence.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    outcome = Outcome(licence_id, ref.licensee, int(_KINDS[kind]), digest)
    receipt = desk.verify(context.wallet("operator"), outcome, ref, key=context.intent())
    told = desk.events(receipt.logs, "OutcomeVerified")[0].args
    minted = sum(log.args["amount"] for log in desk.events(receipt.logs, "OutcomeRewarded"))
    seats = desk.seats()
    context.done(
        {
            "outcome": hexed(told["outcome"]),
            "evidence": hexed(digest),
            "licensee": ref.licensee,
            "votes": told["votes"],
            "seats": seats,
            "rt": str(minted),
        },
        f"Verified by {told['votes']} of {seats} seats; {_rt(minted)} minted.",
    )


@research.command()
@click.argument("licence_id", metavar="LICENCE", type=WORD)
@common
def release(context: Context, licence_id: bytes) -> None:
    """Settle LICENCE and release to its licensee what it has earned of its help. Anybody may."""
    desk, market = _desk(context.suite), context.suite.market
    ref, wallet, intent = market.licence_ref(licence_id), context.wallet("relay"), context.intent()
    market.settle(wallet, [ref], key=f"{intent}:settle")
    receipt = desk.release(wallet, ref, key=intent)
    told = desk.events(receipt.logs, "SupportReleased")[0].args
    context.done(
        {
            "licence": hexed(licence_id),
            "released": str(told["amount"]),
            "returned": str(told["returned"]),
        },
        f"{dut(told['amount'])} released to the licensee, {dut(told['returned'])} back to the "
        "reserve.",
    )


@research.command()
@click.argument("licence_id", metavar="LICENCE", type=WORD)
@common
def outcomes(context: Context, licence_id: bytes) -> None:
    """List what was made of LICENCE and verified, and the help that paid a part of it."""
    desk = _desk(context.suite)
    context.suite.market.licence_ref(licence_id)
    found: dict[bytes, list[str]] = {}
    given = {}
    for args in desk.outcomes(licence_id):
        found.setdefault(args["outcome"], []).append(args["seat"])
        given[args["outcome"]] = args["given"]
    listed = [
        {
            "outcome": hexed(outcome),
            "kind": OutcomeKind(given[outcome]["kind"]).name.lower(),
            "evidence": hexed(given[outcome]["evidence"]),
            "verified_by": seats,
            "rewarded": desk.rewarded(given[outcome]["evidence"]) == outcome,
        }
        for outcome, seats in found.items()
    ]
    support = desk.support(licence_id)
    context.done(
        {
            "licence": hexed(licence_id),
            "outcomes": listed,
            "help": str(support.amount * GRAIN),
            "released": str(support.released * GRAIN),
            "done": support.done,
        },
        "\n".join(
            [
                f"{len(listed)} outcomes; {dut(support.amount * GRAIN)} of help, "
                f"{dut(support.released * GRAIN)} of it released.",
                *(f"{one['kind']} {one['evidence']}" for one in listed),
            ]
        ),
    )


@research.command()
@click.argument("account", default="pharma")
@common
def show(context: Context, account: str) -> None:
    """Show the RT that ACCOUNT (address or wallet) holds, and what the reserve's budget has left."""
    suite, desk = context.suite, _desk(context.suite)
    held = ResearchToken(suite.node, suite.deployment).balance(context.address(account))
    available, budget = suite.treasury.available(desk.address), suite.treasury.budget(desk.address)
    context.done(
        {
            "rt": str(held),
            "share_bps": desk.share(),
            "available": str(available),
            "limit": str(budget.limit),
            "period": budget.period,
            "until": budget.until or None,
            "seats": desk.seats(),
            "rewards": {name: str(desk.reward(int(kind))) for name, kind in _KINDS.items()},
        },
        f"{_rt(held)}, which pay {desk.share() / 100:g} % of a licence at most; the budget has "
        f"{dut(available)} left in this period.",
    )

"""``medtoken cover``: pay, claim, decide, show, withdraw (R23)."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path

import click

from medtoken.audit.rules import COVER
from medtoken.chain.protection import BreachClaim, BreachCover
from medtoken.cli._context import AMOUNT, WORD, Context, common, dut, hexed
from medtoken.cli._payouts import pay_out
from medtoken.parties.protection import pay_premium

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def cover() -> None:
    """Breach cover: custodians pay premiums, the council decides about claims."""


def _contract(context: Context) -> BreachCover:
    return BreachCover(context.suite.node, context.suite.deployment)


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


@cover.command()
@click.argument("amount", type=AMOUNT)
@common
def pay(context: Context, amount: int) -> None:
    """Pay a premium of AMOUNT DUT; it covers 40 times as much for a term (as the hospital)."""
    told = pay_premium(context.suite, context.wallet("hospital"), amount, key=context.intent())
    until = dt.datetime.fromtimestamp(told["until"], dt.UTC)
    context.done(
        {
            "policy": told["policy"],
            "custodian": told["custodian"],
            "premium": str(told["premium"]),
            "cover": str(told["cover"]),
            "until": told["until"],
        },
        f"Policy {told['policy']}: {dut(told['cover'])} of cover for breaches before "
        f"{until:%Y-%m-%d %H:%M} UTC.",
    )


@cover.command()
@click.argument("policy", type=click.IntRange(min=1))
@click.argument("amount", type=AMOUNT)
@click.option(
    "--occurred", type=click.IntRange(min=0), required=True, help="When it happened, unix seconds."
)
@click.option("--evidence", type=_FILE, required=True, help="Its SHA-256 is recorded.")
@common
def claim(context: Context, policy: int, amount: int, occurred: int, evidence: Path) -> None:
    """Claim AMOUNT DUT of damage by a breach under POLICY (as the hospital)."""
    given = BreachClaim(policy, amount, occurred, _digest(evidence))
    _contract(context).make_claim(context.wallet("hospital"), given, key=context.intent())
    context.done(
        {"claim": hexed(given.id), "policy": policy, "evidence": hexed(given.evidence)},
        f"Claimed {dut(amount)}: {hexed(given.id)} waits for the council.",
    )


@cover.command()
@click.argument("claim_id", metavar="CLAIM", type=WORD)
@click.argument("granted", type=AMOUNT)
@click.option("--reason", type=_FILE, required=True, help="The finding; its SHA-256 is recorded.")
@common
def decide(context: Context, claim_id: bytes, granted: int, reason: Path) -> None:
    """Grant GRANTED DUT of CLAIM; 0 where duties of care were not met (as the council)."""
    contract = _contract(context)
    given = contract.claim(claim_id)
    receipt = contract.decide_claim(
        context.wallet("operator"), given, granted, _digest(reason), key=context.intent()
    )
    told = contract.events(receipt.logs, "ClaimDecided")[0].args
    context.done(
        {
            "claim": hexed(claim_id),
            "account": told["account"],
            "granted": str(told["granted"]),
            "paid": str(told["paid"]),
            "pool": str(told["pool"]),
        },
        f"Granted {dut(told['granted'])}, of which cover and pool pay {dut(told['paid'])}.",
    )


@cover.command()
@click.argument("policy", type=click.IntRange(min=1), required=False)
@common
def show(context: Context, policy: int | None) -> None:
    """Show the pool, or what POLICY covers and was paid."""
    contract = _contract(context)
    if policy is None:
        term, paused = contract.terms()
        pool, count = contract.pool(), contract.policies()
        context.done(
            {"pool": str(pool), "policies": count, "term": term, "paused": paused},
            f"{count} policies; {dut(pool)} in the pool; a premium covers {term // 86_400} days.",
        )
        return
    word, paid = contract.policy(policy), contract.paid_of(policy)
    context.done(
        {
            "policy": policy,
            "custodian": word.custodian,
            "since": word.since,
            "until": word.until,
            "premium": str(word.premium),
            "cover": str(word.premium * COVER),
            "paid": str(paid),
        },
        f"Policy {policy}: {dut(word.premium * COVER)} of cover, {dut(paid)} of it paid.",
    )


@cover.command()
@click.argument("amount", type=AMOUNT, required=False)
@click.option("--to", "to", help="Another admitted account; default: the custodian's own.")
@common
def withdraw(context: Context, amount: int | None, to: str | None) -> None:
    """Have AMOUNT DUT (default: everything) of decided claims paid out (as the hospital)."""
    pay_out(context, _contract(context), "hospital", amount, to)

"""``medtoken holding``: witness, commit, challenge, answer, mark, fail, show (R5)."""

from __future__ import annotations

from collections.abc import Sequence

import click

from medtoken.cli._context import WORD, Context, common, dut, hexed, storing
from medtoken.errors import BadInput
from medtoken.parties import Storer, witness_storage


@click.group()
def holding() -> None:
    """Holdings: prove what a custodian stores, and earn governance tokens for it."""


def _custodian(context: Context, account: str) -> int:
    """The number of the institution at an address or a wallet of this name."""
    number = context.suite.registry.number_of(context.address(account))
    if number == 0:
        raise BadInput(f"{account} is not an accredited institution.")
    return number


@holding.command()
@click.argument("record_id", metavar="RECORD", type=WORD)
@common
@storing
def witness(context: Context, record_id: bytes) -> None:
    """Read the sealed bytes of RECORD and sign the root over their chunks (as the laboratory).

    The signature is kept for the custodian in the home folder.
    """
    found = witness_storage(
        context.suite, context.wallet("laboratory"), record_id, context.home.store
    )
    Storer(context.suite, context.wallet("laboratory"), context.home).keep(found)
    context.done(
        {
            "record": hexed(record_id),
            "root": hexed(found.line.root),
            "sealed_bytes": found.line.size,
            "plaintext_bytes": found.line.plain,
            "attester": found.attester,
            "signature": hexed(found.signature),
        },
        f"Witnessed {found.line.size:,} sealed bytes, root {hexed(found.line.root)}.",
    )


@holding.command()
@common
@storing
def commit(context: Context) -> None:
    """State on the chain all that is stored, witnessed and counts; a period begins (as the hospital)."""
    storer = Storer(context.suite, context.wallet("hospital"), context.home)
    made = storer.commit(key=context.intent())
    context.done(
        {"root": hexed(made.root), "records": len(made.lines), "plaintext_bytes": made.size},
        f"Committed to {len(made.lines)} records with {made.size:,} bytes: {hexed(made.root)}.",
    )


@holding.command()
@click.argument("custodian", default="hospital")
@common
def challenge(context: Context, custodian: str) -> None:
    """Have the next block draw samples of what CUSTODIAN (address or wallet) stores. Anybody may."""
    number = _custodian(context, custodian)
    storage = context.suite.storage
    receipt = storage.challenge(context.wallet("relay"), number, key=context.intent())
    opened = storage.events(receipt.logs, "ChallengeOpened")[0].args
    context.done(
        {
            "custodian": number,
            "seed_block": opened["seedBlock"],
            "samples": opened["samples"],
            "deadline": opened["deadline"],
        },
        f"Block {opened['seedBlock']} draws {opened['samples']} samples, to be answered until "
        f"{opened['deadline']}.",
    )


@holding.command()
@common
@storing
def answer(context: Context) -> None:
    """Answer the samples that are left of the open challenge (as the hospital); the last one mints."""
    storer = Storer(context.suite, context.wallet("hospital"), context.home)
    proof = storer.answer(key=context.intent())
    context.done(
        {"answered": proof.answered, "samples": proof.samples, "gt": str(proof.minted)},
        f"Answered {proof.answered} of {proof.samples} samples; "
        f"{dut(proof.minted).replace('DUT', 'GT')} minted.",
    )


@holding.command()
@click.argument("licences", metavar="LICENCE...", nargs=-1, required=True, type=WORD)
@common
def mark(context: Context, licences: Sequence[bytes]) -> None:
    """Count the paid calls of metered LICENCES since they were last marked. Anybody may."""
    market, storage = context.suite.market, context.suite.storage
    refs = [market.licence_ref(licence) for licence in licences]
    receipt = storage.mark_calls(context.wallet("relay"), refs, key=context.intent())
    marks = [log.args for log in storage.events(receipt.logs, "CallsMarked")]
    counted = sum(int(args["counted"]) for args in marks)
    context.done({"marked": len(marks), "counted": counted}, f"Counted {counted:,} paid calls.")


@holding.command()
@click.argument("custodian", default="hospital")
@common
def fail(context: Context, custodian: str) -> None:
    """Put on record that CUSTODIAN did not answer a challenge in time. Anybody may."""
    number = _custodian(context, custodian)
    context.suite.storage.fail(context.wallet("relay"), number, key=context.intent())
    context.done({"custodian": number}, f"Institution {number} has failed its challenge.")


@holding.command()
@click.argument("custodian", default="hospital")
@common
def show(context: Context, custodian: str) -> None:
    """Show what CUSTODIAN (address or wallet) says it stores, and what it has earned."""
    number = _custodian(context, custodian)
    word = context.suite.storage.holding(number)
    held = context.suite.governance.balance(context.address(custodian))
    calls = context.suite.storage.calls(number)
    state = (
        "no challenge is open"
        if not word.challenged
        else f"{word.answered} of {word.samples} samples are answered"
    )
    context.done(
        {
            "custodian": number,
            "root": hexed(context.suite.storage.root(number)) if word.size else None,
            "plaintext_bytes": word.size,
            "begun": word.begun or None,
            "challenged": word.challenged or None,
            "deadline": word.deadline if word.challenged else None,
            "answered": word.answered,
            "samples": word.samples,
            "calls": calls,
            "gt": str(held),
        },
        f"Institution {number} stores {word.size:,} bytes; {state}; {calls:,} paid calls in this "
        f"period. It holds {dut(held).replace('DUT', 'GT')}.",
    )

"""``medtoken royalty``: rosters, royalties, claims, milestone options (R18–R20)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import click

from medtoken.chain.contracts import RoyaltyVault, study_id
from medtoken.cli._context import AMOUNT, WORD, Context, common, dut, hexed
from medtoken.errors import BadInput, InvariantViolated
from medtoken.parties import Patient, Relay
from medtoken.royalty import (
    Manifest,
    Roster,
    Rule,
    Scope,
    claim_batches,
    contributions,
    join_batches,
    read_logs,
    weights,
)
from medtoken.royalty import check as compare

FILE = click.Path(dir_okay=False, exists=True, path_type=Path)
_OPTION_STATES = ("none", "granted", "vested", "returned")


@click.group()
def royalty() -> None:
    """Royalties: seal who contributed to a study, pay them a part of its product's sales."""


@royalty.command()
@click.argument("number", type=click.IntRange(0, 2**256 - 1))
@click.argument("manifest", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--payer", default="pharma", show_default=True, help="The licensee who ran the study."
)
@click.option("--from-block", default=0, show_default=True, help="First block of its licences.")
@click.option("--to-block", type=int, help="Last block that counts; default: the newest.")
@click.option(
    "--licence", "licences", type=WORD, multiple=True, help="Only these. Repeat for each."
)
@common
def roster(
    context: Context,
    number: int,
    manifest: Path,
    payer: str,
    from_block: int,
    to_block: int | None,
    licences: Sequence[bytes],
) -> None:  # fmt: skip
    """Compute who contributed to study NUMBER of a payer, from the chain; write its MANIFEST.

    Sends nothing. Contributions both of high quality and often used weigh 20 % more.
    """
    address = context.address(payer)
    last = context.node.head().number if to_block is None else to_block
    scope = Scope(address, from_block, last, frozenset(licences) or None)
    made = Manifest(study_id(address, number), scope, Rule())
    lines = _lines(context, made)
    manifest.write_bytes(made.encode())
    context.done(
        {
            "study": hexed(made.study),
            "manifest": str(manifest),
            "root": hexed(lines.root),
            "lines": len(lines),
            "total_weight": str(lines.total),
        },
        f"Study {hexed(made.study)}: {len(lines):,} contributors, root {hexed(lines.root)}.",
    )


@royalty.command()
@click.argument("number", type=click.IntRange(0, 2**256 - 1))
@click.argument("manifest", type=FILE)
@common
def seal(context: Context, number: int, manifest: Path) -> None:
    """Seal the roster of MANIFEST for study NUMBER (as the hospital). The council can still cancel it."""
    made = _manifest(manifest)
    if study_id(made.scope.licensee, number) != made.study:
        raise BadInput(f"{manifest} is not the manifest of the payer's study {number}.")
    lines, vault = _lines(context, made), context.suite.royalties
    vault.seal(
        context.wallet("hospital"),
        made.scope.licensee,
        number,
        lines.root,
        lines.total,
        len(lines),
        made.cid().digest,
        key=context.intent(),
    )
    opens = vault.study(made.study).opens
    context.done(
        {"study": hexed(made.study), "root": hexed(lines.root), "opens": opens},
        f"Sealed study {hexed(made.study)} with {len(lines):,} contributors; it opens at {opens}.",
    )


@royalty.command()
@click.argument("study", type=WORD)
@click.argument("manifest", type=FILE)
@common
def check(context: Context, study: bytes, manifest: Path) -> None:
    """Compute the roster of STUDY again from the chain and hold it against what was sealed.

    Exits with 1 when it is another.
    """
    made, sealed = _manifest(manifest), context.suite.royalties.sealed(study)
    logs = read_logs(context.suite, made.scope.last_block)
    faults = compare(sealed, made, weights(contributions(logs, made.scope), made.rule))
    context.done(
        {"study": hexed(study), "right": not faults, "faults": faults},
        "\n".join(faults) or f"Study {hexed(study)} was sealed as the chain's events give it.",
    )
    if faults:
        raise InvariantViolated(f"The roster of study {hexed(study)} is wrong.")


@royalty.command()
@click.argument("study", type=WORD)
@click.option("--reason", type=FILE, required=True, help="The finding; its SHA-256 is recorded.")
@common
def cancel(context: Context, study: bytes, reason: Path) -> None:
    """Cancel a wrong roster before it opens (as the council)."""
    vault = context.suite.royalties
    vault.cancel(context.wallet("operator"), study, _digest(reason), key=context.intent())
    context.done({"study": hexed(study), "cancelled": True}, f"Cancelled {hexed(study)}.")


@royalty.command()
@click.argument("study", type=WORD)
@click.option("--allow", type=AMOUNT, help="Also let the vault take this much of your DUT, DUT.")
@common
def undertake(context: Context, study: bytes, allow: int | None) -> None:
    """Undertake to pay the royalty of STUDY (as the payer). Final."""
    vault, wallet = context.suite.royalties, context.wallet("pharma")
    sealed = vault.sealed(study)
    if allow is not None:
        # Setting the same allowance again changes nothing.
        context.suite.usage.send(wallet, "approve", vault.address, allow)
    if not vault.study(study).undertaken:
        vault.undertake(wallet, sealed["number"], sealed["root"], key=context.intent())
    context.done(
        {"study": hexed(study), "payer": sealed["payer"], "rate": sealed["rate"]},
        f"{sealed['payer']} pays {sealed['rate'] / 100:g} % of attested sales to {sealed['count']:,} "
        "contributors.",
    )


@royalty.command()
@click.argument("study", type=WORD)
@click.argument("period", type=click.IntRange(1, 2**24 - 1))
@click.argument("sales", type=AMOUNT)
@click.option("--evidence", type=FILE, required=True, help="The report; its SHA-256 is recorded.")
@common
def attest(context: Context, study: bytes, period: int, sales: int, evidence: Path) -> None:
    """Attest SALES (DUT) of the product of STUDY in PERIOD, say 202503 (as the product attester)."""
    vault, wallet = context.suite.royalties, context.wallet("operator")
    receipt = vault.attest_sales(
        wallet, study, period, sales, _digest(evidence), key=context.intent()
    )
    told = vault.events(receipt.logs, "SalesAttested")[0].args
    context.done(
        {"study": hexed(study), "period": period, "royalty": str(told["royalty"])},
        f"{dut(told['royalty'])} of royalty are due for {period}.",
    )


@royalty.command()
@click.argument("study", type=WORD)
@click.argument("amount", type=AMOUNT, required=False)
@common
def pay(context: Context, study: bytes, amount: int | None) -> None:
    """Pull AMOUNT DUT (default: all that is due) from the payer's allowance, for all contributors.

    Anybody may do this. The reserve levy comes on top.
    """
    vault, wallet, key = context.suite.royalties, context.wallet("relay"), context.intent()
    receipt = context.node.take_up(wallet, key)
    if receipt is None:
        sealed = vault.sealed(study)
        due = vault.books(study).due if amount is None else amount
        receipt = vault.pay(wallet, sealed["payer"], sealed["number"], due, key=key)
    paid = vault.events(receipt.logs, "RoyaltyPaid")[0].args
    context.done(
        {"study": hexed(study), "paid": str(paid["amount"]), "levy": str(paid["levy"])},
        f"Paid {dut(paid['amount'])} and {dut(paid['levy'])} levy.",
    )


@royalty.command()
@click.argument("study", type=WORD)
@click.argument("accounts", metavar="[ACCOUNT]...", nargs=-1)
@click.option("--manifest", type=FILE, help="Needed for the first claim of an account: the proof.")
@common
def claim(
    context: Context, study: bytes, accounts: Sequence[str], manifest: Path | None
) -> None:  # fmt: skip
    """Credit ACCOUNTS (default: the patient, or everybody in MANIFEST) with their part of STUDY.

    Anybody may do this, and doing it again changes nothing: it credits what came in since.
    """
    vault, wallet = context.suite.royalties, context.wallet("relay")
    lines = _lines(context, _manifest(manifest)) if manifest else None
    if accounts or lines is None:
        who = [context.address(a) for a in accounts or ("patient",)]
    else:
        who = [account for account, _ in lines]
    new = [account for account in who if vault.member(study, account).weight == 0]
    if new and lines is None:
        raise BadInput(f"{new[0]} claims for the first time: name the study's manifest.")
    credited = dict.fromkeys(who, 0)
    # Without a key: sent again after a crash these credit nothing twice.
    receipts = []
    if new and lines is not None:
        receipts = [vault.join_many(wallet, study, batch) for batch in join_batches(lines, new)]
    old = [account for account in who if account not in set(new)]
    receipts += [vault.claim_many(wallet, study, batch) for batch in claim_batches(old)]
    for receipt in receipts:
        for told in vault.events(receipt.logs, "RoyaltyClaimed"):
            credited[told.args["account"]] += told.args["amount"]
    total = sum(credited.values())
    context.done(
        {
            "study": hexed(study),
            "credited": {account: str(amount) for account, amount in credited.items()},
            "total": str(total),
        },
        f"Credited {dut(total)} to {len(who):,} contributors.",
    )


@royalty.command()
@click.argument("amount", type=AMOUNT, required=False)
@click.option("--to", "to", help="Another admitted account; default: the contributor's own.")
@common
def withdraw(context: Context, amount: int | None, to: str | None) -> None:
    """Have AMOUNT DUT (default: everything) of royalties paid out, by signature (as the patient)."""
    vault = context.suite.royalties
    patient = Patient(context.suite, context.wallet("patient"))
    wallet, key = context.home.wallet("relay"), context.intent()
    receipt = context.node.take_up(wallet, key)
    if receipt is None:
        withdrawal = patient.withdrawal(amount, context.address(to) if to else None, vault)
        context.say(withdrawal.render())
        relay = Relay(context.suite, wallet)
        signature = patient.sign(withdrawal, vault)
        paid = relay.withdraw(withdrawal, signature, purse=vault, key=key)
    else:
        paid = vault.events(receipt.logs, "Withdrawn")[0].args
    context.done(
        {"account": paid["account"], "to": paid["to"], "amount": str(paid["amount"])},
        f"Paid {dut(paid['amount'])} to {paid['to']}.",
    )


@royalty.command()
@click.argument("study", type=WORD)
@click.argument("account", required=False)
@common
def show(context: Context, study: bytes, account: str | None) -> None:
    """Show STUDY: what came in, what is due, and what ACCOUNT has earned in it."""
    vault = context.suite.royalties
    sealed, word = vault.sealed(study), vault.study(study)
    books, shares = vault.books(study), vault.shares(study)
    data: dict[str, object] = {
        "study": hexed(study),
        "payer": sealed["payer"],
        "number": str(sealed["number"]),
        "cancelled": not int(word.payer, 16),
        "opens": word.opens,
        "undertaken": word.undertaken,
        "rate": word.rate,
        "contributors": shares.count,
        "pot": str(books.pot),
        "claimed": str(shares.claimed),
        "due": str(books.due),
        "levy_waiting": str(books.levy),
        "last_period": books.period,
    }
    text = f"{shares.count:,} contributors; {dut(books.pot)} came in, {dut(books.due)} are due."
    if account is not None:
        address = context.address(account)
        member, held = vault.member(study, address), vault.earnings(address).earned
        claimable = int(vault.read("claimable", study, address))
        data |= {
            "account": address,
            "weight": str(member.weight),
            "claimable": str(claimable),
            "credited": str(held),
        }
        text += f" {address} can claim {dut(claimable)} and was credited with {dut(held)}."
    context.done(data, text)


@royalty.command(name="hand-over")
@click.argument("studies", metavar="STUDY...", nargs=-1, required=True, type=WORD)
@common
def hand_over(context: Context, studies: Sequence[bytes]) -> None:
    """Hand the levies taken with royalties of STUDIES to the treasury. Anybody may do this."""
    vault = context.suite.royalties
    receipt = vault.hand_over(context.wallet("relay"), list(studies), key=context.intent())
    total = sum(told.args["amount"] for told in vault.events(receipt.logs, "LevyHandedOver"))
    context.done({"levy": str(total)}, f"Handed {dut(total)} of levy to the treasury.")


# ------------------------------------------------------------------ milestone options


@royalty.group()
def option() -> None:
    """Milestone options: DUT escrowed for a study's contributors until its product is approved."""


@option.command()
@click.argument("study", type=WORD)
@click.argument("milestone")
@click.argument("amount", type=AMOUNT)
@click.option("--days", default=365, show_default=True, help="Until the escrow goes back.")
@common
def grant(context: Context, study: bytes, milestone: str, amount: int, days: int) -> None:
    """Escrow AMOUNT DUT and the levy on it until MILESTONE, in words (as the funder).

    The vault takes it from the funder's allowance, which this sets to what is needed.
    """
    vault, wallet, key = context.suite.royalties, context.wallet("pharma"), context.intent()
    receipt = context.node.take_up(wallet, key)
    if receipt is None:
        expiry = context.node.head().timestamp + days * 86_400
        levy = amount * vault.settings().levy // 10_000
        owed = int(context.suite.usage.read("allowance", wallet.address, vault.address))
        if owed < amount + levy:
            context.suite.usage.send(wallet, "approve", vault.address, amount + levy)
        receipt = vault.grant_option(wallet, study, _words(milestone), amount, expiry, key=key)
    told = vault.events(receipt.logs, "OptionGranted")[0].args
    context.done(
        {
            "study": hexed(study),
            "funder": told["funder"],
            "amount": str(told["amount"]),
            "levy": str(told["levy"]),
            "expiry": told["expiry"],
        },
        f"Escrowed {dut(told['amount'])} and {dut(told['levy'])} levy until {told['expiry']}.",
    )


@option.command()
@click.argument("study", type=WORD)
@click.argument("milestone")
@click.option("--funder", default="pharma", show_default=True)
@click.option("--evidence", type=FILE, required=True, help="The approval; its SHA-256 is recorded.")
@common
def vest(context: Context, study: bytes, milestone: str, funder: str, evidence: Path) -> None:
    """Attest that MILESTONE was reached (as the product attester); contributors then claim their part."""
    vault, wallet = context.suite.royalties, context.wallet("operator")
    address, digest = context.address(funder), _digest(evidence)
    vault.vest_option(wallet, study, address, _words(milestone), digest, key=context.intent())
    _option_done(context, vault, study, address, milestone)


@option.command(name="return")
@click.argument("study", type=WORD)
@click.argument("milestone")
@click.option("--funder", default="pharma", show_default=True)
@common
def give_back(context: Context, study: bytes, milestone: str, funder: str) -> None:
    """Credit the funder of an option that expired with its escrow. Anybody may do this."""
    vault, wallet = context.suite.royalties, context.wallet("relay")
    address = context.address(funder)
    vault.return_option(wallet, study, address, _words(milestone), key=context.intent())
    _option_done(context, vault, study, address, milestone)


def _option_done(
    context: Context, vault: RoyaltyVault, study: bytes, funder: str, milestone: str
) -> None:
    word = vault.option(study, funder, _words(milestone))
    state = _OPTION_STATES[word.state]
    context.done(
        {"study": hexed(study), "funder": funder, "amount": str(word.amount), "state": state},
        f"The option of {dut(word.amount)} is {state}.",
    )


def _manifest(path: Path) -> Manifest:
    return Manifest.decode(path.read_bytes())


def _lines(context: Context, manifest: Manifest) -> Roster:
    """The roster that follows from the chain's events by a manifest."""
    logs = read_logs(context.suite, manifest.scope.last_block)
    found = weights(contributions(logs, manifest.scope), manifest.rule)
    return Roster(manifest.study, found)


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def _words(text: str) -> bytes:
    """A milestone's id: SHA-256 of its words."""
    return hashlib.sha256(text.encode()).digest()

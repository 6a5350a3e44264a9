"""``medtoken asset``: derived datasets and models, their lineage, what they earn (R3)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from medtoken import vocabulary
from medtoken.cli._context import AMOUNT, WORD, Context, common, dut, hexed, storing
from medtoken.cli.record import TIERS, added_data, added_text
from medtoken.errors import BadInput
from medtoken.lineage import Manifest
from medtoken.parties import Custodian, Patient, Relay
from medtoken.parties.assets import Assets

_LIST = click.Path(dir_okay=False, path_type=Path)


@click.group()
def asset() -> None:
    """Institution assets: derive, state where it came from, offer, collect, claim, sell."""


@asset.command()
@click.argument("file", type=click.Path())
@click.option("--region", required=True, help="Where it lives, such as TW, or a UN M49 number.")
@click.option("--tier", default="sensitive", show_default=True, type=click.Choice(list(TIERS)))
@click.option(
    "--profile",
    default="de-identified",
    show_default=True,
    help="The masking profile that FILE keeps to.",
)
@click.option("--corrects", type=WORD, help="The asset, or version of it, that this one replaces.")
@common
@storing
def add(
    context: Context, file: str, region: str, tier: str, profile: str, corrects: bytes | None
) -> None:
    """Seal the derived FILE and register it, owned by its own account (as the hospital)."""
    custodian = Custodian(context.suite, context.wallet("hospital"), context.home)
    added = custodian.add_derived(
        file,
        region=region,
        tier=TIERS[tier],
        previous=corrects or bytes(32),
        profile=profile,
        key=context.intent(),
    )
    context.done(added_data(added), added_text(added))


@asset.command()
@click.argument("asset_id", metavar="ASSET", type=WORD)
@click.argument("out", type=_LIST)
@click.argument("licences", metavar="LICENCE...", type=WORD, nargs=-1, required=True)
@common
def lineage(context: Context, asset_id: bytes, out: Path, licences: Sequence[bytes]) -> None:
    """List the LICENCES that ASSET came from in the file OUT, each weighing its record's DVI.

    Sends nothing. The list is the creator's statement: other weights may be written into it.
    """
    made = Assets(context.suite).manifest(asset_id, licences)
    out.write_bytes(made.encode())
    roster = made.roster()
    context.done(
        {
            "asset": hexed(asset_id),
            "manifest": str(out),
            "root": hexed(roster.root),
            "lines": len(roster),
            "total_weight": str(roster.total),
        },
        f"{len(roster):,} licences, root {hexed(roster.root)}.",
    )


@asset.command()
@click.argument("manifest", type=_LIST)
@common
def create(context: Context, manifest: Path) -> None:
    """Make the asset that MANIFEST is about, or state a lineage anew (as the hospital)."""
    parties, listed = Assets(context.suite), _listed(manifest)
    wallet = context.wallet("hospital")
    parties.create(wallet, listed, key=context.intent())
    word = parties.desk.asset(listed.asset)
    context.done(
        {
            "asset": hexed(listed.asset),
            "account": parties.desk.account_of(listed.asset),
            "holder": context.suite.institution_assets.holder(listed.asset),
            "share": word.share,
            "opens": word.opens,
        },
        f"Asset {hexed(listed.asset)}: {word.share / 100:g} % of what it earns goes to where it came from.",
    )


@asset.command()
@click.argument("manifest", type=_LIST)
@common
def check(context: Context, manifest: Path) -> None:
    """Say what is wrong with a lineage that was stated with MANIFEST. Sends nothing."""
    listed = _listed(manifest)
    wrong = Assets(context.suite).check(listed)
    context.done(
        {"asset": hexed(listed.asset), "right": not wrong, "faults": wrong},
        "\n".join(wrong) or "The lineage is right.",
    )


@asset.command()
@click.argument("manifest", type=_LIST)
@click.argument("licence", type=WORD)
@common
def refute(context: Context, manifest: Path, licence: bytes) -> None:
    """Take a lineage back by the line of LICENCE, which does not count. Anybody may, for 7 days."""
    listed = _listed(manifest)
    wallet = context.wallet("relay")
    Assets(context.suite).refute(wallet, listed, licence, key=context.intent())
    context.done(
        {"asset": hexed(listed.asset), "licence": hexed(licence)},
        f"The lineage of {hexed(listed.asset)} was taken back.",
    )


@asset.command()
@click.argument("asset_id", metavar="ASSET", type=WORD)
@click.option("--reason", required=True, type=_LIST, help="The finding; its SHA-256 is recorded.")
@common
def cancel(context: Context, asset_id: bytes, reason: Path) -> None:
    """Take a lineage back for what no contract sees, before it opens (as the council)."""
    digest = hashlib.sha256(reason.read_bytes()).digest()
    wallet = context.wallet("operator")
    context.suite.assets.cancel(wallet, asset_id, digest, key=context.intent())
    context.done(
        {"asset": hexed(asset_id), "reason": hexed(digest)},
        f"The lineage of {hexed(asset_id)} was taken back.",
    )


@asset.command()
@click.argument("manifest", type=_LIST)
@click.argument("licences", metavar="[LICENCE]...", type=WORD, nargs=-1)
@common
def join(context: Context, manifest: Path, licences: Sequence[bytes]) -> None:
    """Prove lines of an open lineage (default: all that count), so that they are paid. Anybody may."""
    listed = _listed(manifest)
    wallet = context.wallet("relay")
    joined = Assets(context.suite).join(wallet, listed, licences, key=context.intent())
    context.done({"asset": hexed(listed.asset), "joined": joined}, f"{joined:,} lines have joined.")


@asset.command()
@click.argument("asset_id", metavar="ASSET", type=WORD)
@click.option(
    "--purpose", "purposes", multiple=True, required=True, help="DUO code. Repeat for each."
)
@click.option(
    "--licensee",
    "licensees",
    multiple=True,
    required=True,
    help=f"Who: {', '.join(vocabulary.GROUPS)}. Repeat for each.",
)
@click.option("--floor", type=AMOUNT, required=True, help="Least price, DUT a unit.")
@click.option("--region", default="WORLD", show_default=True, help="Where it may be used.")
@click.option("--fields", default="de-identified", show_default=True, help="A masking profile.")
@click.option(
    "--days", default=365, show_default=True, type=click.IntRange(1), help="How long it holds."
)
@click.option("--record", "record_id", type=WORD, help="A later version of the asset.")
@common
def offer(
    context: Context,
    asset_id: bytes,
    purposes: Sequence[str],
    licensees: Sequence[str],
    floor: int,
    region: str,
    fields: str,
    days: int,
    record_id: bytes | None,
) -> None:  # fmt: skip
    """Offer ASSET: licences are then bought under the consent that this grants (as its holder)."""
    parties = Assets(context.suite)
    wallet, key = context.wallet("hospital"), context.intent()
    receipt = context.node.take_up(wallet, key)
    if receipt is None:
        consent = parties.consent(
            asset_id,
            purposes=purposes,
            licensees=licensees,
            floor_price=floor,
            days=days,
            region=region,
            fields=fields,
            record=record_id,
        )
        receipt = parties.desk.offer(wallet, asset_id, consent, key=key)
    made = parties.desk.events(receipt.logs, "AssetOffered")[0].args["consent"]
    context.done(
        {"asset": hexed(asset_id), "consent": hexed(made)}, f"Offered under {hexed(made)}."
    )


@asset.command(name="withdraw-offer")
@click.argument("asset_id", metavar="ASSET", type=WORD)
@click.argument("consent_id", metavar="CONSENT", type=WORD)
@common
def withdraw_offer(context: Context, asset_id: bytes, consent_id: bytes) -> None:
    """Revoke a consent of ASSET: its licences end at once (as its holder)."""
    wallet, key = context.wallet("hospital"), context.intent()
    context.suite.assets.withdraw_offer(wallet, asset_id, consent_id, key=key)
    context.done(
        {"asset": hexed(asset_id), "consent": hexed(consent_id)}, f"{hexed(consent_id)} is revoked."
    )


@asset.command()
@click.argument("asset_id", metavar="ASSET", type=WORD)
@common
def collect(context: Context, asset_id: bytes) -> None:
    """Book what ASSET has earned: to its lineage, and to its holder. Anybody may."""
    desk = context.suite.assets
    receipt = desk.collect(context.wallet("relay"), asset_id, key=context.intent())
    told = desk.events(receipt.logs, "AssetEarned")
    lineage = int(told[0].args["lineage"]) if told else 0
    kept = int(told[0].args["kept"]) if told else 0
    context.done(
        {"asset": hexed(asset_id), "lineage": str(lineage), "kept": str(kept)},
        f"{dut(lineage)} to the lineage, {dut(kept)} to the holder.",
    )


@asset.command()
@click.argument("asset_id", metavar="ASSET", type=WORD)
@click.argument("licences", metavar="[LICENCE]...", type=WORD, nargs=-1)
@common
def claim(context: Context, asset_id: bytes, licences: Sequence[bytes]) -> None:
    """Credit the patients and custodians that ASSET came from with their part. Anybody may."""
    total = Assets(context.suite).claim(
        context.wallet("relay"), asset_id, licences, key=context.intent()
    )
    context.done({"asset": hexed(asset_id), "credited": str(total)}, f"Credited {dut(total)}.")


@asset.command()
@click.argument("amount", type=AMOUNT, required=False)
@click.option("--to", "to", help="Another admitted account; default: the earner's own.")
@common
def withdraw(context: Context, amount: int | None, to: str | None) -> None:
    """Have AMOUNT DUT (default: everything) from assets paid out, by signature (as the patient)."""
    desk = context.suite.assets
    earner = Patient(context.suite, context.wallet("patient"))
    wallet, key = context.home.wallet("relay"), context.intent()
    receipt = context.node.take_up(wallet, key)
    if receipt is None:
        withdrawal = earner.withdrawal(amount, context.address(to) if to else None, desk)
        context.say(withdrawal.render())
        signature = earner.sign(withdrawal, desk)
        paid = Relay(context.suite, wallet).withdraw(withdrawal, signature, purse=desk, key=key)
    else:
        paid = desk.events(receipt.logs, "Withdrawn")[0].args
    context.done(
        {"account": paid["account"], "to": paid["to"], "amount": str(paid["amount"])},
        f"Paid {dut(paid['amount'])} to {paid['to']}.",
    )


@asset.command()
@click.argument("asset_id", metavar="ASSET", type=WORD)
@click.argument("to")
@common
def transfer(context: Context, asset_id: bytes, to: str) -> None:
    """Hand ASSET to another account; what it earned until now stays its holder's (as its holder)."""
    receiver = context.address(to)
    wallet, key = context.wallet("hospital"), context.intent()
    context.suite.institution_assets.transfer(wallet, asset_id, receiver, key=key)
    context.done(
        {"asset": hexed(asset_id), "holder": receiver}, f"{hexed(asset_id)} is {receiver}'s."
    )


@asset.command()
@click.argument("asset_id", metavar="ASSET", type=WORD)
@common
def show(context: Context, asset_id: bytes) -> None:
    """Show ASSET: who holds it, when its lineage opens, what it has earned."""
    desk = context.suite.assets
    word, books = desk.asset(asset_id), desk.books(asset_id)
    if not int(word.creator, 16):
        raise BadInput(f"{hexed(asset_id)} is no asset.")
    (root, total), joined = desk.lineage(asset_id), desk.joined(asset_id)
    holder = context.suite.institution_assets.holder(asset_id)
    data: dict[str, Any] = {
        "asset": hexed(asset_id),
        "account": desk.account_of(asset_id),
        "creator": word.creator,
        "holder": holder,
        "share": word.share,
        "opens": word.opens,
        "root": hexed(root),
        "total_weight": str(total),
        "joined": len(joined),
        "earned": str(books.earned),
        "claimed": str(books.claimed),
    }
    context.done(data, f"Held by {holder}; {dut(books.earned)} earned, {len(joined)} sources paid.")


def _listed(path: Path) -> Manifest:
    return Manifest.decode(path.read_bytes())

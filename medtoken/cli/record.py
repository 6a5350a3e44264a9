"""``medtoken record``: add, import, score, attest, show, challenge, resolve, open, export."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import click

from medtoken import vocabulary
from medtoken.chain.contracts import Scores
from medtoken.cli._context import AMOUNT, WORD, Context, common, dut, hexed, storing
from medtoken.cli._group import LazyGroup
from medtoken.errors import BadInput
from medtoken.interop import crypt4gh
from medtoken.ipfs import FirstOf, open_source
from medtoken.parties import (
    Custodian,
    Licensee,
    RegisteredRecord,
    attest_record,
    challenge_record,
)
from medtoken.parties.challenger import stake as stake_attester
from medtoken.vocabulary import Tier

_PASSPHRASE = "MEDTOKEN_CRYPT4GH_PASSPHRASE"  # noqa: S105  # the name of a variable
TIERS = {tier.name.lower().replace("_", "-"): tier for tier in Tier}
looking_elsewhere = click.option(
    "--from",
    "sources",
    multiple=True,
    metavar="SOURCE",
    help="Where else to look for blocks: a daemon's multiaddress, a gateway's URL, a CAR file.",
)


@click.group(
    cls=LazyGroup,
    lazy={
        "certificate": "keeper:certificate",
        "copy": "copies:copy",
        "destroy": "keeper:destroy",
        "mark": "copies:mark",
        "mask": "copies:mask",
        "outcomes": "rewards:outcomes",
        "query": "copies:query",
        "rotate-key": "keeper:rotate_key",
        "trace": "copies:trace",
    },
)
def record() -> None:
    """Records: seal and register, score, attest, show, challenge, open, exchange."""


def registering(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say what a record is registered as, as one dictionary."""

    @click.option("--owner", required=True, help="The patient's pseudonym: address or wallet name.")
    @click.option(
        "--region", required=True, help="Where the data live, such as TW, or a UN M49 number."
    )
    @click.option("--tier", default="sensitive", show_default=True, type=click.Choice(list(TIERS)))
    @click.option("--annotator", help="Accredited annotator: address or wallet name.")
    @functools.wraps(command)
    def wrapped(
        context: Context, owner: str, region: str, tier: str, annotator: str | None, **rest: Any
    ) -> Any:
        return command(
            context,
            register={
                "owner": context.address(owner),
                "region": region,
                "tier": TIERS[tier],
                "annotator": context.address(annotator) if annotator else None,
            },
            **rest,
        )

    return wrapped  # fmt: skip


def added_data(added: RegisteredRecord) -> dict[str, Any]:
    """A record that was added, as JSON."""
    from medtoken.formats import RecordKind

    return {
        "record": hexed(added.record),
        "cid": str(added.cid),
        "fingerprint": hexed(added.draft.fingerprint),
        "kind": RecordKind(added.draft.kind).name.lower(),
        "bytes": added.bytes,
        "sealed_bytes": added.draft.size,
        "owner": added.draft.owner,
        "new": added.new,
    }


def added_text(added: RegisteredRecord) -> str:
    """A record that was added, in words."""
    return (
        f"{added.description}\n"
        f"{'Registered' if added.new else 'Was registered before'} as {hexed(added.record)}\n"
        f"Sealed bytes: {added.cid}"
    )


@record.command()
@click.argument("file", type=click.Path())
@click.option("--corrects", type=WORD, help="The record that this one is a new version of.")
@common
@storing
@registering
def add(context: Context, file: str, corrects: bytes | None, register: dict[str, Any]) -> None:
    """Seal FILE, store it, deposit its key with the keepers and register it (as the hospital)."""
    custodian = Custodian(context.suite, context.wallet("hospital"), context.home)
    added = custodian.add_record(
        file, **register, previous=corrects or bytes(32), key=context.intent()
    )
    context.done(added_data(added), added_text(added))


def _secret_key(path: str) -> crypt4gh.SecretKey:
    return crypt4gh.read_secret_key(path, os.environ.get(_PASSPHRASE))


@record.command("import")
@click.argument("file", type=click.Path())
@click.option(
    "--crypt4gh",
    "secret",
    required=True,
    type=click.Path(),
    metavar="SECRET-KEY",
    help=f"The key file that opens it; its passphrase is taken from ${_PASSPHRASE}.",
)
@click.option("--sender", type=click.Path(), help="Public key file that must have written it.")
@click.option("--sha256", type=WORD, help="SHA-256 that the decrypted file must have.")
@click.option("--corrects", type=WORD, help="The record that this one is a new version of.")
@common
@storing
@registering
def import_(
    context: Context,
    file: str,
    secret: str,
    sender: str | None,
    sha256: bytes | None,
    corrects: bytes | None,
    register: dict[str, Any],
) -> None:
    """Decrypt the Crypt4GH FILE, check it, and register what is in it (as the hospital)."""
    key = _secret_key(secret)
    custodian = Custodian(context.suite, context.wallet("hospital"), context.home)
    added = custodian.import_record(
        file,
        key,
        **register,
        sender=crypt4gh.read_public_key(sender) if sender else None,
        sha256=sha256,
        previous=corrects or bytes(32),
        key=context.intent(),
    )
    context.done(added_data(added), added_text(added))


@record.command()
@click.argument("file", type=click.Path())
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="Day of reference, by which the data's age counts; default: today (UTC).",
)
@common
def score(context: Context, file: str, as_of: dt.datetime | None) -> None:
    """Compute the data value index of FILE, and show why; needs no chain and changes nothing."""
    from medtoken.quality import DIMENSIONS, assess

    found = assess(file, (as_of or dt.datetime.now(dt.UTC)).date())
    context.done(
        {
            "method": found.method,
            "method_hash": hexed(found.method_hash),
            "as_of": found.as_of.isoformat(),
            "dvi": found.dvi,
            "quality": found.q,
            "dimensions": {
                name: {
                    "score": getattr(found, name),
                    "weight": DIMENSIONS[name],
                    "parts": [
                        {"part": part.name, "points": part.points, "share": str(part.share)}
                        for part in parts
                    ],
                }
                for name, parts in found.parts
            },
        },
        "\n".join(
            [
                *found.explanation,
                f"Quality {found.q}, data value index {found.dvi}, "
                f"by {found.method} as of {found.as_of}.",
            ]
        ),
    )


@record.command()
@click.argument("record_id", metavar="RECORD", type=WORD)
@click.argument("file", type=click.Path())
@common
def attest(context: Context, record_id: bytes, file: str) -> None:
    """Assess FILE and attest the quality of RECORD (as the laboratory); mints the patient's DCT."""
    found = attest_record(
        context.suite, context.wallet("laboratory"), record_id, file, key=context.intent()
    )
    context.done(
        {
            "record": hexed(record_id),
            "quality": found.quality.q,
            "dvi": found.quality.dvi,
            "dct": str(found.minted),
            "explanation": list(found.quality.explanation),
        },
        "\n".join(
            [
                *found.quality.explanation,
                f"Quality {found.quality.q}, data value index {found.quality.dvi}; "
                f"the patient got {dut(found.minted).replace('DUT', 'DCT')}.",
            ]
        ),
    )


@record.command()
@click.argument("record_id", metavar="RECORD", type=WORD)
@common
def show(context: Context, record_id: bytes) -> None:
    """Show what the chain says of RECORD."""
    from medtoken.formats import RecordKind

    draft = context.suite.registry.draft(record_id)
    facts = context.suite.registry.facts(record_id)
    data = {
        "record": hexed(record_id),
        "owner": facts.owner,
        "kind": RecordKind(facts.kind).name.lower(),
        "tier": Tier(facts.tier).name.lower(),
        "region": facts.region,
        "fingerprint": hexed(draft.fingerprint),
        "content": hexed(draft.content),
        "sealed_bytes": draft.size,
        "custodian": facts.custodian,
        "annotator": facts.annotator or None,
        "attested": facts.attested,
        "attester": facts.attester or None,
        "scores": _scores(context.suite.registry.scores(record_id)),
        "challenged": context.suite.disputes.challenge_of(record_id) is not None,
        "quality": facts.quality if facts.attested else None,
        "dvi": facts.dvi if facts.attested else None,
        "superseded": facts.superseded,
    }
    state = "superseded" if facts.superseded else "attested" if facts.attested else "not attested"
    context.done(
        data,
        f"A {data['kind']} of {facts.owner}, {data['tier']}, in "
        f"{vocabulary.region_name(facts.region)}; {state}"
        + (f", quality {facts.quality}, index {facts.dvi}." if facts.attested else "."),
    )


@record.command()
@click.argument("record_id", metavar="RECORD", type=WORD)
@click.argument("file", type=click.Path())
@click.option("--evidence", type=WORD, help="Hash of what goes to the arbitrator.")
@common
def challenge(context: Context, record_id: bytes, file: str, evidence: bytes | None) -> None:
    """Compute the quality of RECORD again from FILE and challenge what was attested, with a bond."""
    found = challenge_record(
        context.suite,
        context.wallet("pharma"),
        record_id,
        file,
        evidence=evidence,
        key=context.intent(),
    )
    until = dt.datetime.fromtimestamp(found.deadline, dt.UTC)
    context.done(
        {
            "record": hexed(record_id),
            "attested": _scores(found.attested),
            "claim": _scores(found.claim),
            "bond": str(found.bond),
            "deadline": found.deadline,
        },
        f"Challenged: index {found.attested.dvi} was attested, the file gives {found.claim.dvi}.\n"
        f"The bond is {dut(found.bond)}; an arbitrator decides by {until:%Y-%m-%d %H:%M} UTC.",
    )


@record.command()
@click.argument("record_id", metavar="RECORD", type=WORD)
@click.option("--upheld/--rejected", required=True, help="Whether the claim takes its place.")
@click.option("--reason", required=True, help="The reasons; their SHA-256 goes on the chain.")
@common
def resolve(context: Context, record_id: bytes, upheld: bool, reason: str) -> None:
    """Decide the open challenge of RECORD (as the arbitrator)."""
    digest = hashlib.sha256(reason.encode()).digest()
    context.suite.disputes.resolve(
        context.wallet("operator"), record_id, upheld, digest, key=context.intent()
    )
    facts = context.suite.registry.facts(record_id)
    context.done(
        {"record": hexed(record_id), "upheld": upheld, "reason": hexed(digest), "dvi": facts.dvi},
        f"{'Upheld' if upheld else 'Rejected'}; the index of the record is {facts.dvi}.",
    )


@record.command()
@click.argument("record_id", metavar="RECORD", type=WORD)
@common
def lapse(context: Context, record_id: bytes) -> None:
    """Close a challenge of RECORD that nobody decided in time: the attestation stands."""
    context.suite.disputes.lapse(context.wallet("relay"), record_id, key=context.intent())
    context.done({"record": hexed(record_id)}, "Lapsed: the attestation stands.")


@record.command()
@click.argument("amount", type=AMOUNT)
@common
def stake(context: Context, amount: int) -> None:
    """Back one's attestations with AMOUNT DUT (as the laboratory)."""
    wallet = context.wallet("laboratory")
    total = stake_attester(context.suite, wallet, amount, key=context.intent())
    context.done({"account": wallet.address, "stake": str(total)}, f"Stake: {dut(total)}")


@record.command()
@click.argument("amount", type=AMOUNT)
@common
def unstake(context: Context, amount: int) -> None:
    """Take back AMOUNT DUT of the stake that is not at risk (as the laboratory)."""
    wallet, suite = context.wallet("laboratory"), context.suite
    suite.disputes.unstake(wallet, amount, key=context.intent())
    left = suite.disputes.stake_of(suite.registry.number_of(wallet.address))
    context.done({"account": wallet.address, "stake": str(left)}, f"Stake: {dut(left)}")


@record.command("collect")
@common
def collect(context: Context) -> None:
    """Take what one's challenges returned (as the challenger)."""
    wallet = context.wallet("pharma")
    amount = context.suite.disputes.credit_of(wallet.address)
    if not amount:
        raise BadInput(f"No challenge has returned anything to {wallet.address}.")
    context.suite.disputes.withdraw(wallet, key=context.intent())
    context.done({"account": wallet.address, "amount": str(amount)}, f"Got {dut(amount)}.")


def _scores(scores: Scores | None) -> dict[str, object] | None:
    if scores is None:
        return None
    found: dict[str, object] = asdict(scores)
    return found | {"asOf": scores.day.isoformat(), "method": hexed(scores.method)}


@record.command("open")
@click.argument("licence_id", metavar="LICENCE", type=WORD)
@click.argument("destination", type=click.Path(dir_okay=False))
@looking_elsewhere
@common
@storing
def open_(context: Context, licence_id: bytes, destination: str, sources: tuple[str, ...]) -> None:
    """Open the record of a live LICENCE into the file DESTINATION (as the licensee)."""
    licensee = Licensee(context.suite, context.wallet("pharma"))
    keepers = context.home.keepers(context.suite)
    store = FirstOf([context.home.store, *map(open_source, sources)])
    manifest = licensee.open_record(licence_id, destination, store=store, keepers=keepers)
    context.done(
        {
            "licence": hexed(licence_id),
            "file": destination,
            "bytes": manifest.plaintext_size,
            "fingerprint": hexed(manifest.fingerprint),
        },
        f"Verified and wrote {manifest.plaintext_size:,} bytes to {destination}.",
    )


@record.command()
@click.argument("licence_id", metavar="LICENCE", type=WORD)
@click.argument("destination", type=click.Path(dir_okay=False))
@click.option(
    "--crypt4gh",
    "recipients",
    multiple=True,
    required=True,
    type=click.Path(),
    metavar="PUBLIC-KEY",
    help="Key file of who shall open it. Repeat for each.",
)
@click.option(
    "--sender",
    type=click.Path(),
    help="Secret key file to write it with, so that recipients can tell whose it is; "
    f"its passphrase is taken from ${_PASSPHRASE}.",
)
@looking_elsewhere
@common
@storing
def export(
    context: Context,
    licence_id: bytes,
    destination: str,
    recipients: Sequence[str],
    sender: str | None,
    sources: Sequence[str],
) -> None:
    """Open the record of a live LICENCE into the Crypt4GH file DESTINATION (as the licensee)."""
    keys = [crypt4gh.read_public_key(path) for path in recipients]
    writer = _secret_key(sender) if sender else None
    licensee = Licensee(context.suite, context.wallet("pharma"))
    keepers = context.home.keepers(context.suite)
    store = FirstOf([context.home.store, *map(open_source, sources)])
    manifest = licensee.export_record(
        licence_id, destination, keys, store=store, keepers=keepers, sender=writer
    )
    context.done(
        {
            "licence": hexed(licence_id),
            "file": destination,
            "bytes": manifest.plaintext_size,
            "fingerprint": hexed(manifest.fingerprint),
            "recipients": len(keys),
        },
        f"Verified {manifest.plaintext_size:,} bytes and wrote them as Crypt4GH to {destination}.",
    )

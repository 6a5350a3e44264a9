"""``medtoken keeper``: serve, pin, info, log, revoke; and what of ``medtoken record`` needs keepers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from medtoken import bodies
from medtoken.chain.rpc import Rpc
from medtoken.cli._context import WORD, Context, common, hexed
from medtoken.errors import BadInput, IntegrityError, InvariantViolated, NotPermitted
from medtoken.keeper import wire
from medtoken.keeper.audit import releases_without_licence
from medtoken.keeper.certificate import Certificate
from medtoken.keeper.client import HttpKeeper, configure_keepers, configured_keepers, look_up
from medtoken.keeper.serve import serve
from medtoken.keys import LogEntry, revoke, verify_log
from medtoken.messages import Revocation
from medtoken.parties import Custodian, Patient


@click.group()
def keeper() -> None:
    """Key keepers: run one, pin three, read and check their logs, revoke directly."""


keeper.add_command(serve)


@keeper.command()
@click.argument("url")
def info(url: str) -> None:
    """Show who answers at URL. Compare the id with what its operator published before pinning it."""
    click.echo(bodies.encoded(look_up(url)).decode())


@keeper.command()
@click.argument("keepers", metavar="NAME=URL=ID...", nargs=-1, required=True)
@common
def pin(context: Context, keepers: Sequence[str]) -> None:
    """Use these three KEEPERS from now on: records are deposited with them, keys come from them.

    ID is what the keeper's operator published: the hash of its keys.
    """
    if len(keepers) != 3:
        raise BadInput("A record's key is shared among exactly three keepers.")
    found = []
    for text in keepers:
        name, _, rest = text.partition("=")
        url, _, identity = rest.rpartition("=")
        if not (name and url and identity):
            raise BadInput(f"{text} is not of the form NAME=URL=ID.")
        one = HttpKeeper(url, bodies.word(identity), name=name)
        if one.info.market != context.suite.market.address:
            raise BadInput(f"{name} keeps keys for another market, {one.info.market}.")
        found.append(one)
    if len({one.keeper_id for one in found}) != 3:
        raise BadInput("The three keepers are not three different ones.")
    configure_keepers(context.home.keepers_file, found)
    context.done(
        {"keepers": {one.name: hexed(one.keeper_id) for one in found}},
        "\n".join(f"{one.name}: {hexed(one.keeper_id)} at {one.url}" for one in found),
    )


@keeper.command()
@click.argument("name", required=False)
@click.option("--file", type=click.Path(dir_okay=False, exists=True), help="A log saved before.")
@click.option("--verify", is_flag=True, help="Check the hash chain, the signed head and the chain.")
@common
def log(context: Context, name: str | None, file: str | None, verify: bool) -> None:
    """Print the log of the pinned keeper NAME as JSON lines, or with --verify check it.

    --verify checks that nothing was altered or left out, and names every release that the chain
    does not justify.
    """
    if (name is None) == (file is None):
        raise BadInput("Name one of the pinned keepers, or give the file of a log.")
    head: tuple[int, bytes] | None = None
    if name is not None:
        pinned = {one.name: one for one in configured_keepers(context.home.keepers_file)}
        if name not in pinned:
            raise BadInput(f"No keeper {name} is pinned; there are: {', '.join(pinned)}.")
        signed = pinned[name].log_head()
        head = (signed.entries, signed.hash)
        entries = list(pinned[name].log())
    else:
        lines = Path(str(file)).read_bytes().splitlines()
        entries = [bodies.decoded(line, wire.Entry).entry() for line in lines]
    if not verify:
        for entry in entries:
            click.echo(bodies.encoded(wire.Entry.of(entry)).decode())
        return
    _verify(context, entries, head)


def _verify(context: Context, entries: list[LogEntry], head: tuple[int, bytes] | None) -> None:
    verify_log(entries)
    if head is not None:
        count, last = head
        if len(entries) < count or (count and entries[count - 1].hash != last):
            raise IntegrityError("The log is not the one that the keeper signed for.")
    findings = releases_without_licence(entries, Rpc(context.rpc), context.deployment)
    releases = sum(1 for entry in entries if entry.event["kind"] == "release")
    context.done(
        {
            "entries": len(entries),
            "hash": hexed(entries[-1].hash) if entries else None,
            "releases": releases,
            "unjustified": [
                {
                    "entry": f.entry,
                    "record": f.record,
                    "licence": f.licence,
                    "requester": f.requester,
                    "reason": f.reason,
                }
                for f in findings
            ],
        },
        "\n".join(
            [
                f"{len(entries)} entries, unaltered; {releases} releases, "
                f"{len(findings)} without a live licence.",
                *(f"  entry {f.entry}: {f.reason} ({f.requester}, {f.licence})" for f in findings),
            ]
        ),
    )
    if findings:
        raise InvariantViolated(f"{len(findings)} releases had no live licence behind them.")


@keeper.command("revoke")
@click.argument("consent_id", metavar="CONSENT", type=WORD)
@common
def revoke_(context: Context, consent_id: bytes) -> None:
    """Tell the key keepers themselves that CONSENT is taken back (as the patient).

    For when no relay brings it to the chain: every key release under it ends at once. Bring it to
    the chain as well, with `medtoken consent revoke`, so that use and purchase end, too.
    """
    patient = Patient(context.suite, context.wallet("patient"))
    if context.suite.market.consent(consent_id).patient != patient.address:
        raise NotPermitted(f"The consent is not by {patient.address}.")
    revocation = Revocation(consent_id)
    context.say(revocation.render())
    keepers = context.home.keepers(context.suite)
    revoke(consent_id, patient.sign(revocation), keepers)
    context.done(
        {"consent": hexed(consent_id), "keepers": [one.name for one in keepers]},
        f"{len(keepers)} key keepers release nothing under it any more.",
    )


@click.command()
@click.argument("record_id", metavar="RECORD", type=WORD)
@click.confirmation_option(prompt="Nobody will be able to open the record again. Destroy it?")
@common
def destroy(context: Context, record_id: bytes) -> None:
    """Shred every share of RECORD's key and certify it on the chain (as the hospital)."""
    custodian = Custodian(context.suite, context.wallet("hospital"), context.home)
    certificate = custodian.destroy_record(record_id, key=context.intent())
    context.done(
        {
            "record": hexed(record_id),
            "certificate": hexed(certificate.hash),
            "receipts": len(certificate.check(record_id)),
        },
        f"Destroyed. Certificate {hexed(certificate.hash)} is on the chain.",
    )


@click.command()
@click.argument("record_id", metavar="RECORD", type=WORD)
@click.option("--file", type=click.Path(dir_okay=False, exists=True), help="The document.")
@common
def certificate(context: Context, record_id: bytes, file: str | None) -> None:
    """Show RECORD's destruction certificate, once its receipts and its hash on the chain hold."""
    document = Path(file).read_bytes() if file else context.home.read_certificate(record_id)
    found = Certificate(document)
    receipts = found.check(record_id)
    event = context.suite.registry.destruction(record_id)
    if event is None or bytes(event["certificate"]) != found.hash:
        raise IntegrityError("The chain knows no such certificate of this record.")
    context.done(
        {
            "record": hexed(record_id),
            "certificate": hexed(found.hash),
            "receipts": [
                {
                    "keeper": hexed(one.card.keeper_id),
                    "version": one.version,
                    "time": one.time,
                    "log_entry": one.entry,
                }
                for one in receipts
            ],
        },
        "\n".join(
            [
                f"Certificate {hexed(found.hash)} is on the chain, and its receipts are genuine:",
                *(
                    f"  keeper {hexed(one.card.keeper_id)} destroyed version {one.version} "
                    f"(log entry {one.entry})"
                    for one in receipts
                ),
            ]
        ),
    )


@click.command("rotate-key")
@click.argument("record_id", metavar="RECORD", type=WORD)
@common
def rotate_key(context: Context, record_id: bytes) -> None:
    """Give the keepers fresh shares of RECORD's key (as the hospital); the key stays the same."""
    custodian = Custodian(context.suite, context.wallet("hospital"), context.home)
    version = custodian.rotate_shares(record_id)
    context.done(
        {"record": hexed(record_id), "version": version},
        f"The keepers now hold version {version}; older shares are worth nothing.",
    )

"""``medtoken audit``: replay the chain and check every rule; tell a record's history."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from medtoken.chain.node import Node
from medtoken.cli._context import WORD, Context, common
from medtoken.errors import BadInput, InvariantViolated


@click.group()
def audit() -> None:
    """The audit: from the chain alone, without trusting anybody's books."""


@audit.command()
@click.option(
    "--anchor",
    type=WORD,
    help="The hash of the last block to audit, from where you trust it; then nothing that the node "
    "says is believed: headers, logs and state are proven from this hash.",
)
@common
def replay(context: Context, anchor: bytes | None) -> None:
    """Rebuild the ledger from logs alone and check the seven invariants against the chain's state.

    Exits with 1 when one does not hold, with 22 when a proof shows that the node lies.
    """
    from medtoken.audit import replay as replay_chain
    from medtoken.audit.proven import ProvenChain
    from medtoken.chain.stream import Client

    # An auditor sends nothing, so no outbox and no home folder are needed.
    context.__dict__["node"] = Node.connect(context.rpc)
    if anchor is None:
        report = replay_chain(context.node, context.suite.deployment).as_dict()
    else:
        with Client(context.rpc) as client:
            chain = ProvenChain(client, anchor)
            report = replay_chain(chain, context.suite.deployment).as_dict()
    lines = [
        f"{'holds' if i['holds'] else 'BROKEN'}  {i['id']}: {i['detail']}"
        for i in report["invariants"]
    ]
    lines += [
        f"overdue  R35: {one['licensee']} has not attested the destruction of its copies under "
        f"licence {one['licence']}"
        for one in report["overdue_destructions"]
    ]
    where = f"blocks {report['from_block']} to {report['to_block']}"
    proof = report["proof"]
    if proof:
        lines.append(
            f"proven from {proof['anchor']}: {proof['blocks']} headers, receipts of "
            f"{proof['receipts']} blocks, the whole storage of {len(proof['roots'])} contracts, "
            f"{proof['words']} words of others"
        )
    context.done(report, "\n".join([f"{report['events']} events, {where}", *lines]))
    broken = [str(i["id"]) for i in report["invariants"] if not i["holds"]]
    if broken:
        raise InvariantViolated(f"Broken: invariant {', '.join(broken)}.")


@audit.command()
@click.argument("record_id", metavar="RECORD", type=WORD)
@click.option(
    "--fhir", "version", default="R4B", show_default=True, type=click.Choice(["R4B", "R5"])
)
@click.option("--block", type=click.IntRange(0), help="Up to this block; default: the newest.")
@click.option(
    "--keeper-log",
    "logs",
    multiple=True,
    type=click.Path(),
    help="A key keeper's log as `medtoken keeper log` prints it. Repeat for each.",
)
@common
def history(
    context: Context, record_id: bytes, version: str, block: int | None, logs: Sequence[str]
) -> None:
    """Print RECORD's history as FHIR Provenance and AuditEvent resources in one Bundle.

    Key releases are in the keepers' logs only; without those the Bundle does not tell of them.
    """
    from medtoken.interop.history import record_history, to_bundle
    from medtoken.keeper import wire

    releases = []
    for path in logs:
        try:
            lines = Path(path).read_bytes().splitlines()
        except OSError as error:
            raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
        releases.append([wire.decoded(line, wire.Entry).entry() for line in lines])
    context.__dict__["node"] = Node.connect(context.rpc)
    found = record_history(
        context.node, context.suite.deployment, record_id, last=block, releases=releases
    )
    bundle = to_bundle(found, version=version)
    context.done(bundle, json.dumps(bundle, indent=2))


_TABLES = click.option(
    "--tables",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder that `medtoken audit extract` wrote.",
)
_ENGINE = click.option(
    "--engine",
    default="duckdb",
    show_default=True,
    type=click.Choice(["duckdb", "spark"]),
    help="What evaluates the queries; Spark is for what one machine cannot hold.",
)


@audit.command()
@_TABLES
@_ENGINE
@click.option("--rule", "rules", multiple=True, metavar="R13", help="Only this rule. Repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(tables: Path, engine: str, rules: Sequence[str], as_json: bool) -> None:
    """Check every rule that history alone can tell, over the tables of all events.

    docs/checks.md says what each one reads and shows. Exits with 1 when a rule does not hold.
    """
    from medtoken.audit import checks

    found, outcomes = checks.run(tables, engine, rules)
    broken = [outcome for outcome in outcomes if outcome.violations]
    if as_json:
        last = found.manifest.last
        body = {
            "tables": str(tables),
            "engine": engine,
            "events": found.manifest.rows,
            "last_block": None if last is None else last.number,
            "holds": not broken,
            "checks": [outcome.as_dict() for outcome in outcomes],
        }
        click.echo(json.dumps(body, indent=2))
    else:
        click.echo(f"{found.manifest.rows} events, {len(outcomes)} checks on {engine}")
        for outcome in outcomes:
            word = "BROKEN" if outcome.violations else "holds "
            click.echo(
                f"{word}  {outcome.check.rule:4} {outcome.check.name}: {outcome.check.title}"
            )
            for violation in outcome.violations:
                click.echo(f"        {violation}")
    if broken:
        names = ", ".join(outcome.check.name for outcome in broken)
        raise InvariantViolated(f"Broken: {names}.")

"""``medtoken audit``: replay the chain and check every rule; tell a record's history."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from medtoken import bodies
from medtoken.cli._context import WORD, Context, common
from medtoken.errors import BadInput, InvariantViolated, ToolMissing


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

    node = context.reading()
    if anchor is None:
        report = replay_chain(node, context.suite.deployment).as_dict()
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
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The tables' folder.",
)
@click.option("--follow", is_flag=True, help="Go on with each new block, until Ctrl-C.")
@click.option(
    "--depth",
    type=click.IntRange(0),
    help="Read a block once it is this many below the head. [default: 64]",
)
@click.option(
    "--anchor",
    type=WORD,
    help="The hash of the last block to read, from where you trust it; then headers and receipts are "
    "proven from it.",
)
@click.option(
    "--timeout",
    default=30.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Seconds of silence after which a node counts as gone.",
)
@common
def extract(
    context: Context,
    out: Path,
    follow: bool,
    depth: int | None,
    anchor: bytes | None,
    timeout: float,
) -> None:
    """Write every event of the suite into typed Parquet tables, going on where an earlier run stopped.

    The node's address may be http(s), ws(s) or the path of an IPC socket. See docs/tables.md.
    """
    if context.deployment_file is None:
        raise BadInput("Name the deployment record with --deployment.")
    if anchor is not None and (follow or depth is not None):
        raise BadInput("--anchor names the last block; it goes with neither --follow nor --depth.")
    try:
        from medtoken.audit import tables
    except ImportError as error:
        raise ToolMissing(
            f"{error.name} is not installed: pip install 'medtoken[audit]'."
        ) from None
    found = tables.extract(
        context.rpc,
        context.deployment,
        out,
        depth=tables.DEPTH if depth is None else depth,
        anchor=anchor,
        follow=follow,
        timeout=timeout,
        say=_now_and_then(context.say),
    )
    last = found.manifest.last
    where = "no block is final yet" if last is None else f"up to block {last.number} ({last.hash})"
    told = {
        "out": str(out),
        "events": found.manifest.rows,
        "added": found.events,
        "last_block": last and last.number,
        "last_hash": last and last.hash,
        "anchor": found.manifest.anchor,
        "mended": found.mended,
        "rolled_back_to": found.rolled_back,
        "undecoded": found.manifest.tables[tables.UNDECODED].rows,
    }
    lines = [f"{told['events']} events, {found.events} of them new, {where}, in {out}"]
    lines += [f"damaged, and fetched again: {name}" for name in found.mended]
    if told["undecoded"]:
        lines.append(f"{told['undecoded']} logs are of no event that is known: {tables.UNDECODED}")
    context.done(told, "\n".join(lines))


def _now_and_then(say: Callable[[str], None]) -> Callable[[str], None]:
    """At most a line a second, but every line that is no mere progress."""
    said = [time.monotonic()]

    def saying(line: str) -> None:
        now = time.monotonic()
        if not line.startswith("block ") or now - said[0] >= 1:
            said[0] = now
            say(line)

    return saying


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
        releases.append([bodies.decoded(line, wire.Entry).entry() for line in lines])
    node = context.reading()
    found = record_history(node, context.suite.deployment, record_id, last=block, releases=releases)
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


@audit.command()
@_TABLES
@_ENGINE
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--sign", "wallet", metavar="WALLET", help="Sign it with this wallet of the home folder."
)
@common
def report(context: Context, tables: Path, engine: str, out: Path, wallet: str | None) -> None:
    """Check everything and write a page for people, with JSON for machines beside it.

    OUT is one HTML file without any outside request; the JSON has its name, ending in .json, and with
    --sign an EIP-712 statement of what was checked, up to which block hash. The same tables give the
    same bytes. Exits with 0 whatever was found: the page says it.
    """
    from medtoken.audit import checks
    from medtoken.audit import report as reports

    found, outcomes = checks.run(tables, engine)
    body = reports.figures(found, outcomes)
    _write_report(context, out, reports.report_page(body), body, wallet)


@audit.command()
@_TABLES
@_ENGINE
@click.option("--party", required=True, metavar="ADDRESS", help="A licensee or an institution.")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--sign", "wallet", metavar="WALLET", help="Sign it with this wallet of the home folder."
)
@common
def credibility(
    context: Context, tables: Path, engine: str, party: str, out: Path, wallet: str | None
) -> None:
    """Write what the chain tells of one hospital or licensee: a page, and JSON beside it.

    As a licensee: licences, uses, suspensions, destructions attested and overdue. As an institution:
    records and their value, attestations, challenges upheld, storage. And every exception that names it.
    """
    from medtoken.audit import checks
    from medtoken.audit import report as reports

    account = context.address(party)
    found, outcomes = checks.run(tables, engine)
    body = reports.party_figures(found, outcomes, account)
    _write_report(context, out, reports.credibility_page(body), body, wallet)


@audit.command()
@click.argument("statement", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify(statement: Path, as_json: bool) -> None:
    """Verify who signed the JSON of a report, and print what that says."""
    from medtoken.audit import report as reports

    try:
        signed = json.loads(statement.read_bytes())
    except ValueError:
        raise BadInput(f"{statement} is not JSON.") from None
    signer, said = reports.verify(signed)
    text = f"Signed by {signer}: {said.render()}"
    click.echo(json.dumps({"signer": signer, "text": said.render()}) if as_json else text)


def _write_report(
    context: Context, out: Path, page: str, body: dict[str, Any], wallet: str | None
) -> None:
    from medtoken.audit import report as reports

    if wallet is not None:
        signer = context.home.wallet(wallet)
        body = reports.sign(body, signer.key, signer.address)
    other = out.with_suffix(".json")
    if other == out:
        raise BadInput(f"{out} is the page; name it otherwise than the JSON beside it.")
    try:
        out.write_text(page, encoding="utf-8")
        other.write_text(json.dumps(body, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{out} cannot be written: {error.strerror}.") from None
    context.done({"page": str(out), "json": str(other), "holds": body["holds"]}, f"{out}, {other}")

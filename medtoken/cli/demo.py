"""``medtoken demo``: the main job, end to end, on real files."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import click

from medtoken.chain.devnet import anvil
from medtoken.chain.node import Node
from medtoken.chain.outbox import write_durably
from medtoken.cli._context import folder
from medtoken.errors import InvariantViolated
from medtoken.home import Home

# What of the folder belongs to one chain, and is void on a fresh one.
_OF_ONE_RUN = ("home", "files", "opened")


@click.command()
@click.option(
    "--out",
    default="build/demo",
    show_default=True,
    type=click.Path(file_okay=False),
    help="Folder for summary.json, report.html and the files.",
)
@click.option("--rpc", help="A development chain that is running; default: a private Anvil.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def demo(out: str, rpc: str | None, as_json: bool) -> None:  # fmt: skip
    """Tell the whole story and write summary.json and report.html.

    A hospital registers real files, patients consent by signature, a company licenses, uses and
    pays, a patient revokes, an auditor checks everything. With --rpc, a run that was killed goes on
    where it stopped; without, the chain is gone with its run and the story starts anew.
    """
    from medtoken.demo.report import broken_rules, write_report
    from medtoken.demo.story import Story

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    target = folder(out)
    home, own = Home(target / "home"), Home(target)
    held = own.locked("demo", wait=False) if rpc else own.afresh("demo", _OF_ONE_RUN)
    with _node(rpc, home) as node, held:
        summary = Story(node, home, target, lambda line: click.echo(line, err=True)).run()
        write_durably(
            target / "summary.json", (json.dumps(summary, indent=2) + "\n").encode(), mode=0o644
        )
        write_report(summary, target / "report.html")
    broken = broken_rules(summary)
    if as_json:
        click.echo(json.dumps(summary, indent=2))
    else:
        click.echo(
            f"{'A rule did NOT hold' if broken else 'Every rule held'}. "
            f"Read {Path(out) / 'report.html'}; figures in {Path(out) / 'summary.json'} "
            f"({summary['seconds']} s)."
        )
    if broken:
        raise InvariantViolated(f"Not held: {'; '.join(broken)}.")


@contextlib.contextmanager
def _node(rpc: str | None, home: Home) -> Iterator[Node]:
    if rpc is not None:
        yield Node.connect(rpc, outbox=home.outbox)
        return
    with anvil(outbox=home.outbox) as node:
        yield node

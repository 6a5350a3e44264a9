"""``medtoken audit``: replay the chain and check every rule."""

from __future__ import annotations

import click

from medtoken.chain.node import Node
from medtoken.cli._context import Context, common
from medtoken.errors import InvariantViolated


@click.group()
def audit() -> None:
    """The audit: from the chain alone, without trusting anybody's books."""


@audit.command()
@common
def replay(context: Context) -> None:
    """Rebuild the ledger from logs alone and check the seven invariants against the chain's state.

    Exits with 1 when one does not hold.
    """
    from medtoken.audit import replay as replay_chain

    # An auditor sends nothing, so no outbox and no home folder are needed.
    context.__dict__["node"] = Node.connect(context.rpc)
    report = replay_chain(context.node, context.suite.deployment).as_dict()
    lines = [
        f"{'holds' if i['holds'] else 'BROKEN'}  {i['id']}: {i['detail']}"
        for i in report["invariants"]
    ]
    where = f"blocks {report['from_block']} to {report['to_block']}"
    context.done(report, "\n".join([f"{report['events']} events, {where}", *lines]))
    broken = [str(i["id"]) for i in report["invariants"] if not i["holds"]]
    if broken:
        raise InvariantViolated(f"Broken: invariant {', '.join(broken)}.")

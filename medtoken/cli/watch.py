"""``medtoken watch``: follow a market and say what somebody should look at (R31)."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import click

from medtoken.audit.follow import FINALITY, Follower
from medtoken.chain.node import Node
from medtoken.chain.rpc import Rpc
from medtoken.deploy.record import Deployment
from medtoken.errors import MedtokenError, StateError
from medtoken.keeper.client import configured_keepers
from medtoken.serving import node_options
from medtoken.watch import VolumeRule, WatchBooks
from medtoken.watch.books import with_rule
from medtoken.watch.keepers import KeeperLog
from medtoken.watch.told import Teller, Webhook

_DEFAULT = VolumeRule()


@click.command()
@node_options("the Ethereum node that is read")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Append to this file, and tell nothing again that it holds; without it, print.",
)
@click.option("--webhook", help="POST each alert to this address too, until it takes it.")
@click.option(
    "--keepers",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Pinned key keepers (keepers.json of a home) whose logs are joined with the chain.",
)
@click.option(
    "--keeper-log",
    "logs",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="A keeper's log as a file (`medtoken keeper log`); may be given several times.",
)
@click.option("--once", is_flag=True, help="Look once, up to the newest block, and end.")
@click.option(
    "--every",
    default=2.0,
    show_default=True,
    type=click.FloatRange(0.05, 3600),
    help="Seconds between two looks.",
)
@click.option(
    "--finality",
    default=FINALITY,
    show_default=True,
    type=click.IntRange(1),
    help="Blocks after which one is taken not to change any more.",
)
@click.option(
    "--times",
    default=_DEFAULT.times,
    show_default=True,
    type=click.IntRange(2),
    help="A day is unusual from this many times the licence's level on.",
)
@click.option(
    "--least",
    default=_DEFAULT.least,
    show_default=True,
    type=click.IntRange(1),
    help="Units a day below which nothing is unusual.",
)
def watch(
    rpc: str,
    deployment: str,
    out: Path | None,
    webhook: str | None,
    keepers: Path | None,
    logs: Sequence[Path],
    once: bool,
    every: float,
    finality: int,
    times: int,
    least: int,
) -> None:
    """Follow the chain and tell of uses outside a consent, unusual volume, sanctioned parties.

    And of every rule that does not hold, and, with --keepers or --keeper-log, of keys that were
    released without a live licence. One JSON object a line; an alert whose block the chain has left
    is told of again, as withdrawn. While the node, a keeper or the webhook is gone, it says so and
    goes on trying; with --once it ends with their exit code.
    """
    record = Deployment.load(deployment)
    node = Node.connect(rpc, chain_id=record.chain_id)
    follower = Follower(
        node, record, with_rule(VolumeRule(times=times, least=least)), finality=finality
    )
    pinned = configured_keepers(keepers) if keepers else ()
    sources = [KeeperLog(source) for source in (*pinned, *logs)]
    teller = Teller([Webhook(webhook)] if webhook else [], out or sys.stdout)
    line = Rpc(rpc)
    looks: list[Callable[[], None]] = [partial(_chain, follower, teller)]
    looks += [partial(_keeper, source, line, record, follower, teller) for source in sources]
    last: list[str] = []
    while True:
        troubles: list[str] = []
        for look in looks:
            try:
                look()
            except StateError:  # what was told can be kept no longer
                raise
            except MedtokenError as error:
                if once:
                    raise
                troubles.append(str(error))
        for trouble in troubles:
            if trouble not in last:
                click.echo(f"{trouble} Trying again.", err=True)
        last = troubles
        if once:
            return
        time.sleep(every)


def _chain(follower: Follower[WatchBooks], teller: Teller) -> None:
    follower.step()
    with follower.reading() as (books, _):
        found = list(books.alerts)
    teller.tell(found)


def _keeper(
    source: KeeperLog,
    line: Rpc,
    record: Deployment,
    follower: Follower[WatchBooks],
    teller: Teller,
) -> None:
    """After the chain's alerts, and each keeper by itself: none of them can silence another."""
    released = source.look(line, record)
    with follower.reading() as (books, _):
        found = list(books.alerts)
    teller.tell([*found, *released])

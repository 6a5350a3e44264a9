"""``medtoken devnet``: a private chain with the suite and its people, until Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from medtoken.chain.devnet import HOST, anvil
from medtoken.chain.node import Node
from medtoken.cli._context import DEFAULT_HOME, Context
from medtoken.demo.people import deploy_devnet
from medtoken.deploy.record import Deployment
from medtoken.home import Home

# What of a home folder belongs to one chain, and is void on a fresh one.
_OF_ONE_CHAIN = ("outbox", "journal", "deployments", "keepers", "blocks", "wallets", "demo")


@click.command()
@click.option(
    "--port", default=8545, show_default=True, help="Port on loopback; 0 takes a free one."
)
@click.option(
    "--home",
    default=DEFAULT_HOME,
    show_default=True,
    envvar="MEDTOKEN_HOME",
    type=click.Path(file_okay=False),
    help="Folder for keys, blocks and journals.",
)
@click.option("--page", is_flag=True, help="Tell the demo's story on it, and serve the pages.")
@click.option(
    "--page-port", default=8700, show_default=True, help="The pages' port; 0 takes a free one."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object when ready.")
def devnet(port: int, home: str, page: bool, page_port: int, as_json: bool) -> None:  # fmt: skip
    """Run a private Anvil with everything deployed, until Ctrl-C. Its folder starts afresh.

    With --page also the demo's records, consents and payments, three key keepers, and the pages.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    fresh = Home(home)
    # The folder starts afresh only once the chain runs: a taken port changes nothing.
    with anvil(port, outbox=fresh.outbox) as node, fresh.afresh("devnet", _OF_ONE_CHAIN):
        context = Context(node.url, home, None, None, as_json)
        suite, people = deploy_devnet(node, fresh, context.say)
        addresses = {name: wallet.address for name, wallet in people.wallets.items()}
        record = fresh.deployment(node.chain_id)
        lines = [f"{name:12} {address}" for name, address in addresses.items()]
        told: dict[str, Any] = {
            "rpc": node.url,
            "chain_id": node.chain_id,
            "deployment": str(record),
            "market": suite.market.address,
            "accounts": addresses,
        }
        with contextlib.ExitStack() as stack:
            wait: Callable[[], Any] = signal.pause
            where = node.url
            if page:
                more, wait = _pages(context, node, fresh, record, page_port, stack)
                told |= more
                lines += [f"{name:12} {address}" for name, address in more["patients"].items()]
                lines.append(f"Wallets' keys for a browser: {fresh.folder / 'wallets'}")
                where = f"{more['page']}, its chain at {node.url}"
            ready = f"Ready at {where}; deployment record {record}. Ctrl-C stops it."
            context.done(told, "\n".join([*lines, ready]))
            with contextlib.suppress(KeyboardInterrupt):
                wait()
            context.say("Stopped.")


def _pages(
    context: Context, node: Node, home: Home, record: Path, port: int, stack: contextlib.ExitStack
) -> tuple[dict[str, Any], Callable[[], Any]]:
    """The demo told on this chain, its key keepers, and what serves the pages until Ctrl-C."""
    from medtoken.demo.story import Story
    from medtoken.keeper.process import running_keepers
    from medtoken.service.serve import service_of
    from medtoken.serving import listen, server_of, url_of

    listening = listen(HOST, port)
    stack.callback(listening.close)
    Story(node, home, home.folder / "demo", context.say).run()
    stack.enter_context(
        running_keepers(home.folder / "keepers", home.keepers_file, rpc=node.url, deployment=record)
    )
    deployment = Deployment.load(record)
    server = server_of(service_of(node, deployment, home.wallet("relay"), hourly=1_000).app)
    patients = {
        name: home.wallet(name).address for name in home.wallets() if name.startswith("patient")
    }
    return (
        {"page": url_of(listening, HOST), "patients": patients},
        lambda: server.run(sockets=[listening]),
    )

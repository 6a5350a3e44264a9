"""``medtoken devnet``: a private chain with the suite and its people, until Ctrl-C."""

from __future__ import annotations

import signal

import click

from medtoken.chain.devnet import anvil
from medtoken.cli._context import DEFAULT_HOME, Context
from medtoken.demo.people import deploy_devnet
from medtoken.home import Home

# What of a home folder belongs to one chain, and is void on a fresh one.
_OF_ONE_CHAIN = ("outbox", "journal", "deployments", "keepers", "blocks", "wallets")


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
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object when ready.")
def devnet(port: int, home: str, as_json: bool) -> None:  # fmt: skip
    """Run a private Anvil with everything deployed, until Ctrl-C. Its folder starts afresh."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    fresh = Home(home)
    # The folder starts afresh only once the chain runs: a taken port changes nothing.
    with anvil(port, outbox=fresh.outbox) as node, fresh.afresh("devnet", _OF_ONE_CHAIN):
        context = Context(node.url, home, None, None, as_json)
        suite, people = deploy_devnet(node, fresh, context.say)
        addresses = {name: wallet.address for name, wallet in people.wallets.items()}
        record = fresh.deployment(node.chain_id)
        lines = [f"{name:12} {address}" for name, address in addresses.items()]
        context.done(
            {
                "rpc": node.url,
                "chain_id": node.chain_id,
                "deployment": str(record),
                "market": suite.market.address,
                "accounts": addresses,
            },
            "\n".join(
                [*lines, f"Ready at {node.url}; deployment record {record}. Ctrl-C stops it."]
            ),
        )
        try:
            signal.pause()
        except KeyboardInterrupt:
            context.say("Stopped.")

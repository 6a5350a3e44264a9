"""``medtoken serve``: the pages and what they read, as one process."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from pathlib import Path

import click

from medtoken.audit.follow import FINALITY, Follower
from medtoken.chain.contracts import Suite
from medtoken.chain.node import Node, Wallet
from medtoken.chain.outbox import Outbox
from medtoken.deploy.record import Deployment
from medtoken.errors import InsufficientFunds, StateError
from medtoken.messages import Domain
from medtoken.parties import Relay
from medtoken.service.app import Limits, Service
from medtoken.service.books import MarketBooks
from medtoken.service.relay import Relaying
from medtoken.serving import listen, listening_options, node_options, server_of, url_of

# A consent uses 65,000, a withdrawal less; a smart wallet's check of its signature comes on top.
_MOST_GAS = 500_000


@click.command()
@node_options("the Ethereum node that is read")
@listening_options(8700)
@click.option(
    "--relay-key-file",
    type=click.Path(dir_okay=False, exists=True),
    help="First line: the private key, in hexadecimal, of the account that pays the gas for what "
    "patients sign (or $MEDTOKEN_RELAY_KEY). Without one, nothing is brought to the chain.",
)
@click.option(
    "--relay-hourly",
    default=20,
    show_default=True,
    type=click.IntRange(1),
    help="Messages brought for one account in an hour.",
)
@click.option(
    "--relay-outbox",
    "outbox",
    type=click.Path(file_okay=False),
    help="Folder in which transactions are kept that were signed, so that none is sent twice, also "
    "after a kill. Without one they are kept until the service ends.",
)
@click.option(
    "--finality",
    default=FINALITY,
    show_default=True,
    type=click.IntRange(1),
    help="Blocks after which one is taken not to change any more.",
)
@click.option(
    "--every",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.05, 60),
    help="Seconds between two looks at the chain.",
)
@click.option(
    "--rate",
    default=Limits.rate,
    show_default=True,
    help="Requests a second for each address.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object when ready.")
def serve(
    rpc: str,
    deployment: str,
    host: str,
    port: int,
    tls_certificate: str | None,
    tls_key: str | None,
    relay_key_file: str | None,
    relay_hourly: int,
    outbox: str | None,
    finality: int,
    every: float,
    rate: float,
    as_json: bool,
) -> None:  # fmt: skip
    """Serve the pages of patients, licensees and hospitals, and bring what patients sign (R9).

    Everything shown is rebuilt from the chain by the auditor's own ledger. The first reading of a
    long chain takes a while; until then questions are told to come again.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    record = Deployment.load(deployment)
    node = Node.connect(rpc, chain_id=record.chain_id)
    wallet = _relay_wallet(relay_key_file)
    listening = listen(host, port)
    url = url_of(listening, host, "https" if tls_certificate else "http")
    with tempfile.TemporaryDirectory(prefix="medtoken-relay-") as scratch:
        service = service_of(
            node,
            record,
            wallet,
            outbox=Outbox(Path(outbox or scratch)),
            hourly=relay_hourly,
            finality=finality,
            every=every,
            limits=Limits(rate=rate, burst=4 * rate),
        )
        server = server_of(service.app, ssl_certfile=tls_certificate, ssl_keyfile=tls_key)
        ready = {"url": url, "relay": wallet.address if wallet else None}
        click.echo(json.dumps(ready) if as_json else f"The pages are at {url}")
        server.run(sockets=[listening])


def service_of(
    node: Node,
    record: Deployment,
    wallet: Wallet | None,
    *,
    outbox: Outbox | None = None,
    hourly: int = 20,
    finality: int = FINALITY,
    every: float = 1.0,
    limits: Limits | None = None,
) -> Service:
    """The service of a deployment; ``wallet`` pays the gas for what is brought, None brings nothing.

    Raises InsufficientFunds when the wallet has no ether.
    """
    domain = Domain(record.chain_id, record.address("DataMarket"))
    relay = None
    if wallet is not None:
        if node.balance(wallet.address) == 0:
            raise InsufficientFunds(f"The relay's account {wallet.address} has no ether for gas.")
        # A connection of its own: the other one follows the chain in another thread.
        sending = Node.connect(node.url, chain_id=record.chain_id, outbox=outbox)
        sending.most_gas = _MOST_GAS
        relay = Relaying(
            Relay(Suite(sending, record), wallet),
            domain,
            passkeys=Domain(record.chain_id, record.address("Passkeys")),
            is_contract=lambda account: bool(sending.code(account)),
            an_hour=hourly,
        )
    follower = Follower(node, record, MarketBooks, finality=finality)
    return Service(follower, domain, relay=relay, limits=limits, every=every)


def _relay_wallet(file: str | None) -> Wallet | None:
    text = os.environ.get("MEDTOKEN_RELAY_KEY")
    if file is not None:
        lines = Path(file).read_text(encoding="utf-8").split()
        if not lines:
            raise StateError(f"{file} holds no key.")
        text = lines[0]
    return Wallet.from_key(text) if text else None

"""``medtoken keeper serve``: one key keeper as a process of its own."""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path

import click

from medtoken.chain.licence_view import MarketView
from medtoken.chain.rpc import Rpc
from medtoken.deploy.record import Deployment
from medtoken.errors import BadInput
from medtoken.keeper.service import Limits, Service
from medtoken.keys import (
    KeeperIdentity,
    KeyKeeper,
    Passphrase,
    load_or_create_key,
    open_vault,
)
from medtoken.serving import listen, listening_options, node_options, server_of, url_of

HEAD_AGE = 180.0
_MARK = "final block"
_KEEP_ALIVE = 75


@click.command()
@node_options("this keeper's own Ethereum node, which it trusts")
@click.option(
    "--data",
    default="build/keeper",
    show_default=True,
    envvar="MEDTOKEN_KEEPER_DATA",
    type=click.Path(file_okay=False),
    help="Folder for the SQLite vault and its key file.",
)
@click.option(
    "--database",
    envvar="MEDTOKEN_KEEPER_DATABASE",
    help="postgresql:// URL of the vault, instead of SQLite. Better in the environment: it may "
    "hold a password.",
)
@click.option(
    "--key-file",
    type=click.Path(dir_okay=False),
    help="32 bytes that the vault is encrypted under; made when missing. Default: in --data.",
)
@click.option(
    "--passphrase-file",
    type=click.Path(dir_okay=False, exists=True),
    help="First line: the passphrase instead of a key file (or $MEDTOKEN_KEEPER_PASSPHRASE).",
)
@click.option("--name", default="key keeper", show_default=True, help="For people to tell it by.")
@listening_options(8600)
@click.option(
    "--head-age",
    default=HEAD_AGE,
    show_default=True,
    help="Refuse while the node's newest block is older, seconds.",
)
@click.option(
    "--chain-clock",
    is_flag=True,
    help="Take the time from the newest block and never call it too old: for a development chain "
    "whose time is moved.",
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
    data: str,
    database: str | None,
    key_file: str | None,
    passphrase_file: str | None,
    name: str,
    host: str,
    port: int,
    tls_certificate: str | None,
    tls_key: str | None,
    head_age: float,
    chain_clock: bool,
    rate: float,
    as_json: bool,
) -> None:  # fmt: skip
    """Keep one share of each record's key, and release it to whom the chain allows (R34).

    Pin the id that this prints with those who deposit: it is the hash of the keeper's keys.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    record = Deployment.load(deployment)
    folder = Path(data)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    passphrase = _passphrase(passphrase_file)
    if passphrase and key_file:
        raise BadInput("A vault opens with a key file or with a passphrase, not with both.")
    vault = open_vault(
        database or folder / "vault.sqlite",
        passphrase or load_or_create_key(key_file or folder / "vault.key"),
    )
    identity = KeeperIdentity.of(vault)
    chain = MarketView(
        Rpc(rpc, timeout=3.0),
        record,
        max_head_age=None if chain_clock else head_age,
        mark=vault.kept(_MARK),
        on_mark=lambda mark: vault.keep(_MARK, mark),
    )
    keeper = KeyKeeper(
        identity,
        name=name,
        chain_id=record.chain_id,
        market=record.address("DataMarket"),
        chain=chain,
        vault=vault,
        clock=None if chain_clock else time.time,
    )
    listening = listen(host, port)
    scheme = "https" if tls_certificate else "http"
    url = url_of(listening, host, scheme)
    server = server_of(
        Service(keeper, Limits(rate=rate, burst=2 * rate)).app,
        timeout_keep_alive=_KEEP_ALIVE,
        ssl_certfile=tls_certificate,
        ssl_keyfile=tls_key,
    )
    ready = {"url": url, "keeper": "0x" + keeper.keeper_id.hex(), "name": name}
    click.echo(json.dumps(ready) if as_json else f"Key keeper {ready['keeper']} at {url}")
    server.run(sockets=[listening])


def _passphrase(file: str | None) -> Passphrase | None:
    if file is not None:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
        return Passphrase(lines[0] if lines else "")
    text = os.environ.get("MEDTOKEN_KEEPER_PASSPHRASE")
    return Passphrase(text) if text else None

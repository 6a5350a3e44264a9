"""What commands share: where the chain, the deployment, the folder and the wallet are."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Context as DecimalContext
from decimal import Decimal, DecimalException, Inexact, InvalidOperation
from pathlib import Path
from typing import Any

import click
from eth_utils import is_address, to_checksum_address

from medtoken.chain.contracts import Suite
from medtoken.chain.node import Node, Wallet
from medtoken.deploy.plan import Chamber
from medtoken.deploy.record import Deployment
from medtoken.errors import BadInput
from medtoken.home import Home
from medtoken.ipfs import DEFAULT_API, STORES
from medtoken.messages import DUT

# No amount is rounded.
_EXACT = DecimalContext(prec=100, traps=[Inexact, InvalidOperation])
DEFAULT_RPC = "http://127.0.0.1:8545"
DEFAULT_HOME = "build/devnet"
_CHAMBERS = {c.name.lower(): c for c in Chamber if c}


@dataclass
class Context:
    """The options of one call, and what follows from them, opened when first asked for."""

    rpc: str
    home_folder: str
    deployment_file: str | None
    as_name: str | None
    as_json: bool
    store: str = STORES[0]
    ipfs_api: str = DEFAULT_API

    @functools.cached_property
    def home(self) -> Home:
        """The folder of this installation."""
        return Home(self.home_folder, store=self.store, ipfs_api=self.ipfs_api)

    @functools.cached_property
    def node(self) -> Node:
        """The node."""
        return Node.connect(self.rpc, outbox=self.home.outbox)

    def reading(self) -> Node:
        """The node, for a command that sends nothing: it needs no outbox, and so no home folder."""
        self.node = Node.connect(self.rpc)
        return self.node

    @functools.cached_property
    def deployment(self) -> Deployment:
        """The deployment: the file given, else the one of the node's chain in the folder."""
        return Deployment.load(self.deployment_file or self.home.deployment(self.node.chain_id))

    @functools.cached_property
    def suite(self) -> Suite:
        """The contracts."""
        return Suite(self.node, self.deployment)

    def wallet(self, default: str) -> Wallet:
        """Who acts: ``--as``, else $MEDTOKEN_KEY, else the folder's wallet of this name."""
        key = os.environ.get("MEDTOKEN_KEY")
        if self.as_name is None and key:
            return Wallet.from_key(key)
        return self.home.wallet(self.as_name or default)

    def address(self, text: str) -> str:
        """An address, or the name of a wallet in the folder."""
        if is_address(text):
            return str(to_checksum_address(text))
        if text in self.home.wallets():
            return self.home.wallet(text).address
        raise BadInput(f"{text} is neither an address nor a wallet of {self.home_folder}.")

    def seats(self, named: Sequence[str]) -> list[tuple[str, int]]:
        """Account and chamber of seats of the council, each given as ``CHAMBER=ADDRESS``."""
        found = []
        for seat in named:
            chamber, _, holder = seat.partition("=")
            if chamber not in _CHAMBERS or not holder:
                raise BadInput(f"{seat} is not of the form CHAMBER=ADDRESS.")
            found.append((self.address(holder), int(_CHAMBERS[chamber])))
        return found

    def intent(self) -> str:
        """Names this very call: run again after a crash, it is carried out once."""
        words = [self.rpc, self.home_folder, *sys.argv[1:]]
        return "auto:" + hashlib.sha256("\0".join(words).encode()).hexdigest()

    def done(self, data: dict[str, Any], text: str) -> None:
        """Show the result: ``data`` as JSON with --json, else ``text``."""
        node: Node | None = self.__dict__.get("node")
        if node and node.took_up:
            self.say("An earlier run of this was interrupted: its transaction counts, once.")
        click.echo(json.dumps(data, indent=2) if self.as_json else text)
        sys.stdout.flush()
        if node and node.outbox:
            node.outbox.clear()

    def say(self, line: str) -> None:
        """Progress, on stderr."""
        click.echo(line, err=True)


def common(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that all share, and its ``Context`` as first argument."""

    @click.option(
        "--rpc",
        default=DEFAULT_RPC,
        envvar="MEDTOKEN_RPC",
        show_default=True,
        help="HTTP address of an Ethereum node.",
    )
    @click.option(
        "--home",
        default=DEFAULT_HOME,
        envvar="MEDTOKEN_HOME",
        show_default=True,
        type=click.Path(file_okay=False),
        help="Folder with keys, blocks and journals.",
    )
    @click.option(
        "--deployment",
        envvar="MEDTOKEN_DEPLOYMENT",
        type=click.Path(dir_okay=False),
        help="Deployment record; default: the home folder's, for the node's chain.",
    )
    @click.option("--as", "as_name", help="Act with this wallet of the home folder.")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    @functools.wraps(command)
    def wrapped(
        rpc: str,
        home: str,
        deployment: str | None,
        as_name: str | None,
        as_json: bool,
        **rest: Any,
    ) -> Any:
        return command(Context(rpc, home, deployment, as_name, as_json), **rest)

    return wrapped  # fmt: skip


seats_option = click.option(
    "--seat",
    "seats",
    multiple=True,
    metavar="CHAMBER=ADDRESS",
    help=f"A seat of the first council: {', '.join(_CHAMBERS)}. Repeat for each.",
)


def storing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command, below ``common``, the options that say where blocks are kept."""

    @click.option(
        "--store",
        default=STORES[0],
        envvar="MEDTOKEN_STORE",
        show_default=True,
        type=click.Choice(STORES),
        help="Keep blocks in the home folder or in an IPFS daemon (Kubo).",
    )
    @click.option(
        "--ipfs-api",
        default=DEFAULT_API,
        envvar="MEDTOKEN_IPFS_API",
        show_default=True,
        metavar="MULTIADDR",
        help="The daemon's RPC address.",
    )
    @functools.wraps(command)
    def wrapped(context: Context, *args: Any, store: str, ipfs_api: str, **rest: Any) -> Any:
        context.store, context.ipfs_api = store, ipfs_api
        return command(context, *args, **rest)

    return wrapped  # fmt: skip


class Word32(click.ParamType):
    """32 bytes in hexadecimal: the id of a record, a consent or a licence."""

    name = "0x…64 digits"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> bytes:
        """Text to 32 bytes."""
        if isinstance(value, bytes):
            return value
        try:
            word = bytes.fromhex(str(value).removeprefix("0x"))
        except ValueError:
            word = b""
        if len(word) != 32:
            self.fail(f"{value} is not an id: 32 bytes in hexadecimal are needed.", param, ctx)
        return word


class Amount(click.ParamType):
    """An amount in DUT, such as 12.5; kept as base units."""

    name = "DUT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Text to base units."""
        if isinstance(value, int):
            return value
        try:
            units = _EXACT.multiply(Decimal(str(value)), Decimal(DUT))
        except DecimalException:
            units = Decimal("NaN")
        whole = units.is_finite() and units == units.to_integral_value()
        if not whole or not 0 <= units < 2**256:
            self.fail(f"{value} is not an amount of DUT with at most 18 decimals.", param, ctx)
        return int(units)


class Percent(click.ParamType):
    """A share in per cent, such as 72.5; kept as basis points."""

    name = "%"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Text to basis points."""
        if isinstance(value, int):
            return value
        try:
            points = _EXACT.multiply(Decimal(str(value)), Decimal(100))
        except DecimalException:
            points = Decimal("NaN")
        whole = points.is_finite() and points == points.to_integral_value()
        if not whole or not 0 <= points <= 10_000:
            self.fail(f"{value} is not a share in per cent with at most 2 decimals.", param, ctx)
        return int(points)


WORD = Word32()
AMOUNT = Amount()
PERCENT = Percent()


def dut(amount: int) -> str:
    """Base units as text in DUT."""
    text = f"{Decimal(amount).scaleb(-18, _EXACT):,f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + " DUT"


def hexed(word: bytes) -> str:
    """0x hexadecimal."""
    return "0x" + word.hex()


def folder(path: str) -> Path:
    """A folder, made when it is not there."""
    made = Path(path)
    try:
        made.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"The folder {path} cannot be made: {error.strerror}.") from None
    return made

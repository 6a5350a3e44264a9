"""Deploy the suite through Ape: ``ape run deploy --network ethereum:local:foundry``.

The plan, its execution and the record are the package's (``medtoken.deploy``); Ape brings the
network and the account. On a local network every office goes to Ape's test accounts; elsewhere the
parameter file names them. Killed and run again with the same ``--home``, it continues.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from ape import accounts
from ape.api import AccountAPI, ProviderAPI
from ape.cli import ConnectedProviderCommand
from eth_pydantic_types import HexBytes

from medtoken.chain.node import Node
from medtoken.deploy.execute import deploy
from medtoken.deploy.plan import PEOPLE, load_params
from medtoken.errors import MedtokenError
from medtoken.home import Home


class ApeSigner:
    """An account of Ape's as a signer of the package's node client."""

    def __init__(self, account: AccountAPI, provider: ProviderAPI) -> None:
        self._account = account
        self._ecosystem = provider.network.ecosystem

    @property
    def address(self) -> str:
        return str(self._account.address)

    def sign_transaction(self, unsigned: dict[str, Any]) -> bytes:
        fields = {**unsigned, "data": HexBytes(unsigned["data"])}
        transaction = self._ecosystem.create_transaction(**fields)
        signed = self._account.sign_transaction(transaction)
        if signed is None:
            raise click.ClickException("The account refused to sign.")
        return bytes(signed.serialize_transaction())


@click.command(cls=ConnectedProviderCommand)
@click.option("--account", "alias", help="Alias of the deploying account; local: test account 0.")
@click.option("--auto-sign", is_flag=True, help="Unlock the account once, and sign every step.")
@click.option("--params", default="devnet", show_default=True, help="Parameter file or its name.")
@click.option("--operator", help="Proposes to the timelock; local: the deploying account.")
@click.option("--platform", help="Earns the platform's part; local: the operator.")
@click.option("--home", default="build/ape", show_default=True, help="Folder of the outbox.")
@click.option("--out", help="Deployment record; default: deployments/<chain id>.json.")
def cli(
    provider: ProviderAPI,
    alias: str | None,
    auto_sign: bool,
    params: str,
    operator: str | None,
    platform: str | None,
    home: str,
    out: str | None,
) -> None:
    """Deploy the suite on the network that --network names."""
    local = provider.network.is_local
    if alias is None and not local:
        raise click.UsageError("Name the deploying account with --account.")
    account = accounts.load(alias) if alias else accounts.test_accounts[0]
    if alias and auto_sign:
        # The passphrase comes from APE_ACCOUNTS_<alias>_PASSPHRASE, or is asked for.
        account.set_autosign(True)
    signer = ApeSigner(account, provider)
    chosen = operator or signer.address
    folder = Home(home)
    try:
        node = Node.connect(str(provider.http_uri), outbox=None if local else folder.outbox)
        loaded = load_params(
            params,
            operator=chosen if local else operator,
            platform=(platform or chosen) if local else platform,
            people=dict.fromkeys(PEOPLE, chosen) if local else {},
        )
        record = deploy(node, signer, loaded, network=params, progress=click.echo)
        target = Path(out) if out else _default_target(node.chain_id, local, folder)
        record.save(target)
    except MedtokenError as error:
        raise click.ClickException(str(error)) from None
    for contract in record.contracts.values():
        click.echo(f"{contract.name:20} {contract.address}")
    click.echo(f"Deployment record: {target}")


def _default_target(chain_id: int, local: bool, folder: Home) -> Path:
    """A public chain's record belongs into the repository, a local one's into the build folder."""
    return folder.deployment(chain_id) if local else Path("deployments") / f"{chain_id}.json"

"""``medtoken roles``: who may do what on a chain, now."""

from __future__ import annotations

import click

from medtoken.cli._context import Context, common
from medtoken.deploy.powers import read_powers, role_rows, rows


@click.command()
@common
def roles(context: Context) -> None:
    """Every function that changes anything: who may call it now, and after which delay.

    From the chain: members of roles, bound contracts, owners of proxies. Accounts that the deployment
    record knows are shown by name. Where no delay is given, a call takes effect at once.
    """
    node = context.reading()
    powers = read_powers(node, context.deployment)
    lines = [f"Chain {powers.chain_id}, block {powers.block}", "", "Roles"]
    for name, holders, admin, guardian in role_rows(powers, addresses=True):
        lines.append(f"  {name}: {holders}; named by {admin}, cancelled by {guardian}")
    contract = ""
    for row in rows(powers, addresses=False):
        if row.contract != contract:
            contract = row.contract
            lines += ["", contract]
        after = f" ({row.after})" if row.after else ""
        lines += [f"  {', '.join(row.functions)}", f"      {row.who}{after}"]
    if powers.strays:
        lines += ["", "Functions that this release does not know"]
        lines += [f"  {s.contract or s.address} {s.selector}: role {s.role}" for s in powers.strays]
    context.done(powers.as_dict(), "\n".join(lines))

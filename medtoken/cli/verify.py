"""``medtoken verify``: whether a deployment is what this release makes, and nobody has a power too many."""

from __future__ import annotations

import click

from medtoken.cli._context import Context, common
from medtoken.deploy.verify import verify as verify_deployment
from medtoken.errors import DeploymentDeviates


@click.command()
@common
def verify(context: Context) -> None:
    """Hold a deployment against this release: code to the byte, proxies, roles, timelock, deployer.

    Needs no compiler and no key. Prints a line for each deviation and exits with 23 when there is any;
    what governance has decided since the deployment shows as one, too. The node is believed.
    """
    node = context.reading()
    found = verify_deployment(node, context.deployment)
    where = f"chain {found.chain_id}, block {found.block}"
    lines = [f"DEVIATES  {d.kind}: {d.text}" for d in found.deviations]
    if not lines:
        held = ", ".join(found.deployer_roles)
        lines = [
            f"holds  code: {found.contracts} contracts and their proxies are what this release builds",
            f"holds  powers: {found.functions} functions are called by whom the tables declare",
            "holds  timelock: it is the one admin, and the owner of every proxy",
            f"holds  deployer: {found.deployer} "
            + (f"holds {held}, as the record declares" if held else "holds no role"),
        ]
    if found.timelock_delay is not None:
        lines.append(f"tells  timelock: it waits {found.timelock_delay:,} s")
    if found.rules:
        rules = ", ".join(f"{name} {value}" for name, value in found.rules.items())
        lines.append(f"tells  governor: {rules}")
    context.done(found.as_dict(), "\n".join([where, *lines]))
    if found.deviations:
        ways = "1 way" if len(found.deviations) == 1 else f"{len(found.deviations)} ways"
        raise DeploymentDeviates(f"The deployment deviates in {ways}.")

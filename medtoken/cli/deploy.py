"""``medtoken deploy``: the suite on a chain, from a parameter file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import click

from medtoken.cli._context import Context, common, seats_option
from medtoken.deploy.execute import deploy as execute
from medtoken.deploy.plan import PEOPLE, build_plan, load_params
from medtoken.errors import BadInput


@click.command()
@click.option(
    "--params",
    default="devnet",
    show_default=True,
    help="A parameter file (.toml), or the name of one that ships.",
)
@click.option("--operator", help="Proposes to the timelock: address or wallet name.")
@click.option(
    "--governed", is_flag=True, help="Instead of an operator, votes propose from the start."
)
@seats_option
@click.option(
    "--platform", required=True, help="Earns the platform's part: address or wallet name."
)
@click.option(
    "--office",
    "offices",
    multiple=True,
    metavar="NAME=ADDRESS",
    help=f"Who holds an office: {', '.join(PEOPLE)}. Repeat for each.",
)
@click.option("--plan", "plan_only", is_flag=True, help="Show the steps and send nothing.")
@click.option(
    "--out", type=click.Path(dir_okay=False), help="Where to write the deployment record."
)
@common
def deploy(
    context: Context,
    params: str,
    operator: str | None,
    governed: bool,
    seats: Sequence[str],
    platform: str,
    offices: Sequence[str],
    plan_only: bool,
    out: str | None,
) -> None:  # fmt: skip
    """Deploy the suite. Run again after an interruption, it continues and deploys nothing twice."""
    if governed is (operator is not None):
        raise BadInput("A deployment has an operator, or else it is governed from the start.")
    people = {}
    for office in offices:
        name, found, holder = office.partition("=")
        if not found:
            raise BadInput(f"{office} is not of the form NAME=ADDRESS.")
        people[name] = context.address(holder)
    wallet = context.wallet("deployer")
    loaded = load_params(
        params,
        operator=None if operator is None else context.address(operator),
        platform=context.address(platform),
        people=people,
        seats=context.seats(seats),
    )
    if plan_only:
        steps = [str(step) for step in build_plan(loaded, wallet.address)]
        context.done({"steps": steps}, "\n".join(steps))
        return
    deployment = execute(context.node, wallet, loaded, network=params, progress=context.say)
    target = out or str(context.home.deployment(context.node.chain_id))
    deployment.save(target)
    context.done(
        {"deployment": target, "contracts": [asdict(c) for c in deployment.contracts.values()]},
        "\n".join(
            [f"{c.name:18} {c.address}" for c in deployment.contracts.values()]
            + [f"Deployment record: {target}"]
        ),
    )

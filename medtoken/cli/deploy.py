"""``medtoken deploy``: the suite on a chain, from a parameter file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal

import click

from medtoken.cli._context import Context, common, seats_option
from medtoken.deploy.cost import gas_of
from medtoken.deploy.execute import deploy as execute
from medtoken.deploy.plan import PEOPLE, Params, build_plan, load_params
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
@click.option("--platform", help="Earns the platform's part: address or wallet name.")
@click.option(
    "--office",
    "offices",
    multiple=True,
    metavar="NAME=ADDRESS",
    help=f"Who holds an office: {', '.join(PEOPLE)}. Repeat for each.",
)
@click.option(
    "--plan", "plan_only", is_flag=True, help="Show steps, offices and cost; send nothing."
)
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
    platform: str | None,
    offices: Sequence[str],
    plan_only: bool,
    out: str | None,
) -> None:  # fmt: skip
    """Deploy the suite. Run again after an interruption, it continues and deploys nothing twice.

    Operator, platform and offices may stand in the parameter file.
    """
    if governed and operator is not None:
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
        platform=None if platform is None else context.address(platform),
        people=people,
        seats=context.seats(seats),
        governed=governed,
    )
    if plan_only:
        _show(context, loaded, wallet.address)
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


def _show(context: Context, params: Params, deployer: str) -> None:
    """What would be done, for whom, and what it would cost at the node's present price."""
    plan = build_plan(params, deployer)
    steps = [step.text() for step in plan]
    offices = {"platform": params.platform, **params.people}
    if params.operator is not None:
        offices["operator"] = params.operator
    nobody = sorted(set(PEOPLE) - set(offices))
    node = context.reading()
    gas, price, there = gas_of(plan), node.gas_price(), node.balance(deployer)
    ether = f"{Decimal(gas * price) / 10**18:f}"
    lines = [f"{number:3}  {step}" for number, step in enumerate(steps, 1)]
    lines += ["", *(f"{name:14} {who}" for name, who in offices.items())]
    lines += [f"{name:14} nobody: the operator's proposals name somebody" for name in nobody]
    lines += [
        "",
        f"timelock       waits {params.timelock_delay:,} s",
        f"cost           {gas:,} gas, {ether} ether at {price:,} wei a gas on chain {node.chain_id}; "
        "rollups charge for data on top",
        f"deployer       {deployer} has {Decimal(there) / 10**18:f} ether"
        + ("" if there >= gas * price else ": too little"),
    ]
    told = {
        "steps": steps,
        "offices": offices,
        "timelock_delay": params.timelock_delay,
        "chain_id": node.chain_id,
        "gas": gas,
        "wei_a_gas": str(price),
        "wei": str(gas * price),
        "deployer": deployer,
        "balance": str(there),
    }
    context.done(told, "\n".join(lines))

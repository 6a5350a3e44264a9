"""``medtoken proposal``: the life of a proposal, from the handover on (R28)."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

from medtoken.chain.abi import Entry, abi
from medtoken.chain.governance import (
    Governor,
    Proposal,
    ProposalState,
    ProposedCall,
    Renderer,
    Support,
    appeal,
)
from medtoken.cli._context import Context, common, hexed, seats_option
from medtoken.deploy.handover import hand_over as execute_handover
from medtoken.deploy.plan import GOVERNOR, load_params
from medtoken.errors import BadInput
from medtoken.messages import DUT, Ballot, Objection

_VOTES = {s.name.lower(): s for s in Support}


class _Number(click.ParamType):
    """A proposal's number: decimal, or hexadecimal with 0x."""

    name = "PROPOSAL"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Text to a number."""
        try:
            number = int(str(value), 16 if str(value).startswith("0x") else 10)
        except ValueError:
            number = -1
        if not 0 <= number < 2**256:
            self.fail(f"{value} is not the number of a proposal.", param, ctx)
        return number


class _Signature(click.ParamType):
    """Bytes of a signature in hexadecimal."""

    name = "0x…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> bytes:
        """Text to bytes."""
        try:
            return bytes.fromhex(str(value).removeprefix("0x"))
        except ValueError:
            self.fail("A signature is bytes in hexadecimal.", param, ctx)


_NUMBER = _Number()
_SIGNATURE = _Signature()
_number = click.argument("number", metavar="PROPOSAL", type=_NUMBER)
_account = click.option("--for", "account", help="Whose signature it is: address or wallet name.")
_signature = click.option("--signature", type=_SIGNATURE, help="Relay what was signed elsewhere.")


@click.group()
def proposal() -> None:
    """Proposals: made by holders, gated by the council, voted on, executed by anybody."""


def _governor(context: Context) -> Governor:
    if GOVERNOR not in context.deployment.contracts:
        raise BadInput(
            "This deployment has no governor yet: its operator runs `medtoken proposal hand-over`."
        )
    return Governor(context.suite.node, context.deployment)


@proposal.command("hand-over")
@click.option("--params", help="The rules: parameter file; the deployment's own unless said.")
@seats_option
@common
def hand_over(context: Context, params: str | None, seats: Sequence[str]) -> None:
    """Create the governor and let it propose to the timelock instead of the operator, for good.

    With a delay it takes two runs: the first schedules, the second, after the delay, executes.
    """
    council = context.seats(seats)
    wallet = context.wallet("operator")
    named = params or context.deployment.network
    loaded = load_params(named, operator=wallet.address, platform=wallet.address, people={})
    for name, value in loaded.governor.items():
        context.say(f"The governor's {name}: {value}")
    record = context.deployment_file or context.home.deployment(context.node.chain_id)
    deployment, said = execute_handover(
        context.node,
        wallet,
        context.deployment,
        loaded,
        council,
        save=lambda made: made.save(record),
    )
    context.done({"governor": deployment.address(GOVERNOR), "now": said}, said)


@proposal.command()
@common
def council(context: Context) -> None:
    """List the council's seats."""
    seats = _governor(context).seats()
    context.done(
        {"seats": [{"account": a, "chamber": c.name.lower()} for a, c in seats.items()]},
        "\n".join(f"{c.name.lower():12} {a}" for a, c in seats.items()) or "Nobody has a seat.",
    )


@proposal.command()
@click.option(
    "--call",
    "calls",
    multiple=True,
    required=True,
    metavar="'CONTRACT.FUNCTION ARGUMENT ...'",
    help="A call of the timelock; lists and structs as JSON. Repeat for each.",
)
@click.option("--text", required=True, help="What it is for.")
@click.option("--dry-run", is_flag=True, help="Show what it would call and send nothing.")
@common
def make(context: Context, calls: Sequence[str], text: str, dry_run: bool) -> None:
    """Propose calls, as a holder of GT or DCT."""
    renderer = Renderer(context.deployment)
    _propose(context, [_parsed(context, renderer, call) for call in calls], text, dry_run=dry_run)


@proposal.command("appeal")
@click.argument("account")
@click.option("--text", required=True, help="Why.")
@click.option("--dry-run", is_flag=True, help="Show what it would call and send nothing.")
@common
def appeal_(context: Context, account: str, text: str, dry_run: bool) -> None:
    """Propose that the sanctions office's freeze of ACCOUNT ends, as a holder of GT or DCT."""
    address = context.address(account)
    if not context.suite.usage.is_frozen(address):
        raise BadInput(f"{address} is not frozen.")
    _propose(context, appeal(context.deployment, address), text, dry_run=dry_run)


def _propose(context: Context, found: Sequence[ProposedCall], text: str, *, dry_run: bool) -> None:
    lines = Renderer(context.deployment).render(found)
    if dry_run:
        context.done({"calls": lines}, "\n".join(lines))
        return
    governor = _governor(context)
    wallet = context.wallet("patient")
    receipt = governor.propose(wallet, found, text, key=context.intent())
    args = governor.events(receipt.logs, "ProposalCreated")[0].args
    context.done(
        {"proposal": str(args["proposalId"]), "calls": lines, "vote_opens": args["voteStart"] + 1},
        "\n".join([*lines, f"Proposed as {args['proposalId']}."]),
    )


@proposal.command("list")
@common
def list_(context: Context) -> None:
    """List all proposals, oldest first."""
    governor = _governor(context)
    rows = [(p, governor.state(p.id)) for p in governor.proposals()]
    context.done(
        {
            "proposals": [
                {"proposal": str(p.id), "state": s.name.lower(), "text": p.description}
                for p, s in rows
            ]
        },
        "\n".join(f"{p.id} {s.name.lower():9} {p.description}" for p, s in rows)
        or "Nothing was proposed.",
    )


@proposal.command()
@_number
@common
def show(context: Context, number: int) -> None:
    """Show what PROPOSAL will call, in words, and where it stands."""
    governor = _governor(context)
    found = governor.proposal(number)
    state, quorum = governor.state(number), governor.quorum(number)
    against, pro, abstain = governor.tally(number)
    objections = governor.objections(number)
    lines = Renderer(context.deployment).render(found.calls)
    context.done(
        {
            "proposal": str(found.id),
            "state": state.name.lower(),
            "proposer": found.proposer,
            "text": found.description,
            "calls": lines,
            "gate_ends": found.gate_end,
            "vote_ends": found.vote_end,
            "objections": objections,
            "for": str(pro),
            "against": str(against),
            "abstain": str(abstain),
            "quorum": str(quorum),
        },
        "\n".join(
            [
                found.description,
                f"by {found.proposer}; {_where(found, state)}",
                "It calls:",
                *lines,
                f"Objections: {objections / 100:g} % of the council; over 50 % rejects.",
                f"Votes: {_votes(pro)} for, {_votes(against)} against, {_votes(abstain)} abstain; "
                f"the quorum is {_votes(quorum)}, for or abstaining, and over 60 % of both sides "
                "carries.",
            ]
        ),
    )


@proposal.command("object")
@_number
@_account
@_signature
@common
def object_(context: Context, number: int, account: str | None, signature: bytes | None) -> None:
    """Object to PROPOSAL as a seat of the council, or relay a seat's signed objection."""
    governor, intent = _governor(context), context.intent()
    governor.proposal(number)
    if signature is None:
        receipt = governor.object(context.wallet("seat"), number, key=intent)
    else:
        wallet, seat = context.wallet("relay"), _named(context, account)
        receipt = governor.object_signed(wallet, number, seat, signature, key=intent)
    # Who objects again is not told of in an event, unless that rejects.
    weight = governor.objections(number)
    rejected = bool(governor.events(receipt.logs, "ProposalCanceled"))
    context.done(
        {"proposal": str(number), "objections": weight, "rejected": rejected},
        f"Objections weigh {weight / 100:g} % of the council"
        + (": the proposal is rejected." if rejected else "."),
    )


@proposal.command()
@_number
@click.argument("side", type=click.Choice(list(_VOTES)))
@click.option("--reason", default="", help="Said with the vote, in public.")
@_account
@_signature
@common
def vote(
    context: Context,
    number: int,
    side: str,
    reason: str,
    account: str | None,
    signature: bytes | None,
) -> None:
    """Vote on PROPOSAL, or relay a signed ballot."""
    governor, intent = _governor(context), context.intent()
    governor.proposal(number)
    if signature is None:
        wallet = context.wallet("patient")
        receipt = governor.vote(wallet, number, _VOTES[side], reason, key=intent)
    elif reason:
        raise BadInput("A relayed ballot has no reason: its voter did not sign one.")
    else:
        wallet, voter = context.wallet("relay"), _named(context, account)
        receipt = governor.vote_signed(wallet, number, _VOTES[side], voter, signature, key=intent)
    args = governor.events(receipt.logs, "VoteCast")[0].args
    context.done(
        {"proposal": str(number), "voter": args["voter"], "votes": str(args["weight"])},
        f"{_votes(args['weight'])} votes {side} counted.",
    )


@proposal.command()
@_number
@click.argument("side", type=click.Choice([*_VOTES, "object"]))
@common
def ballot(context: Context, number: int, side: str) -> None:
    """Sign a vote on PROPOSAL, or an objection, for any relay to bring; sends nothing."""
    governor = _governor(context)
    governor.proposal(number)
    wallet = context.wallet("patient")
    message: Ballot | Objection
    if side == "object":
        message = Objection(number, wallet.address)
    else:
        nonce = governor.nonce(wallet.address)
        message = Ballot(number, int(_VOTES[side]), wallet.address, nonce)
    signature = message.sign(wallet.key, governor.domain)
    context.say(message.render())
    context.done(
        {"proposal": str(number), "signer": wallet.address, "signature": hexed(signature)},
        hexed(signature),
    )


@proposal.command()
@_number
@common
def queue(context: Context, number: int) -> None:
    """Hand a carried PROPOSAL to the timelock. Anybody may."""
    governor = _governor(context)
    receipt = governor.queue(
        context.wallet("relay"), governor.proposal(number), key=context.intent()
    )
    due = governor.events(receipt.logs, "ProposalQueued")[0].args["etaSeconds"]
    context.done(
        {"proposal": str(number), "executable_from": due}, f"It can be executed from {_time(due)}."
    )


@proposal.command()
@_number
@common
def execute(context: Context, number: int) -> None:
    """Execute a queued PROPOSAL whose delay is over. Anybody may."""
    governor = _governor(context)
    receipt = governor.execute(
        context.wallet("relay"), governor.proposal(number), key=context.intent()
    )
    context.done({"proposal": str(number), "tx": hexed(receipt.tx)}, "Executed.")


@proposal.command()
@_number
@common
def cancel(context: Context, number: int) -> None:
    """Cancel PROPOSAL while the council's gate is open, as its proposer."""
    governor = _governor(context)
    receipt = governor.cancel(
        context.wallet("patient"), governor.proposal(number), key=context.intent()
    )
    context.done({"proposal": str(number), "tx": hexed(receipt.tx)}, "Cancelled.")


# ------------------------------------------------------------------ words to calls, and back


def _parsed(context: Context, renderer: Renderer, call: str) -> ProposedCall:
    try:
        head, *words = shlex.split(call)
        contract, function = head.split(".")
    except ValueError:
        raise BadInput(f"{call} is not of the form CONTRACT.FUNCTION ARGUMENT ...") from None
    if contract not in context.deployment.contracts:
        raise BadInput(f"The deployment has no contract {contract}.")
    inputs = abi(contract).function(function)["inputs"]
    if len(inputs) != len(words):
        wanted = " ".join(f"{i['type']} {i['name']}" for i in inputs) or "nothing"
        raise BadInput(f"{contract}.{function} takes {wanted}.")
    args = [_argument(context, item, word) for item, word in zip(inputs, words, strict=True)]
    return renderer.encode(contract, function, args)


def _argument(context: Context, item: Entry, word: str) -> Any:
    kind = str(item["type"])
    try:
        if kind.endswith("]") or kind.startswith("tuple"):
            return json.loads(word)
        if kind == "address":
            contracts = context.deployment.contracts
            return contracts[word].address if word in contracts else context.address(word)
        if kind == "bool":
            return {"true": True, "false": False}[word]
        if kind.startswith(("uint", "int")):
            return int(word, 0)
        if kind.startswith("bytes"):
            return bytes.fromhex(word.removeprefix("0x"))
    except (ValueError, KeyError):
        raise BadInput(f"{word} is no {kind}, which {item['name']} is.") from None
    return word


def _named(context: Context, account: str | None) -> str:
    if account is None:
        raise BadInput("Say with --for whose signature it is.")
    return context.address(account)


def _where(found: Proposal, state: ProposalState) -> str:
    if state is ProposalState.PENDING:
        return f"the council may object until {_time(found.gate_end)}"
    if state is ProposalState.ACTIVE:
        return f"votes are taken until {_time(found.vote_end)}"
    return state.name.lower()


def _votes(units: int) -> str:
    whole, rest = divmod(units, DUT)
    return f"{whole}.{rest:018d}".rstrip("0").rstrip(".")


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

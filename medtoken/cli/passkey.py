"""``medtoken passkey``: enrol, remove, cancel, show, requests, challenge, approve (R10)."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import click

from medtoken.chain.passkeys import Passkeys
from medtoken.cli._context import WORD, Context, common, hexed
from medtoken.errors import BadInput
from medtoken.messages import PasskeyCancellation, PasskeyChange
from medtoken.passkeys import Assertion, Passkey, decoded, encoded

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_HOUR = 3600
_MOST = 1 << 16  # bytes of a browser's answer


@click.group()
def passkey() -> None:
    """A patient's passkey, and the licences of highly sensitive data that it approves."""


def _contract(context: Context) -> Passkeys:
    return Passkeys(context.suite.node, context.suite.deployment)


def _change(context: Context, passkey: Passkey) -> None:
    """Sign a change as the patient, and have the relay bring it."""
    contract, wallet = _contract(context), context.wallet("patient")
    message = PasskeyChange(
        patient=wallet.address,
        **vars(passkey),
        nonce=contract.state(wallet.address).nonce,
        deadline=context.node.head().timestamp + _HOUR,
    )
    context.say(message.render())
    signature = message.sign(wallet.key, contract.domain)
    receipt = contract.change(
        context.home.wallet("relay"), message, signature, key=context.intent()
    )
    since = contract.events(receipt.logs, "PasskeyChanged")[0].args["since"]
    context.done(
        {"patient": wallet.address, "x": hexed(passkey.x), "since": since},
        f"It counts since {_time(since)}.",
    )


@passkey.command()
@click.option("--public-key", required=True, help="Base64url of what getPublicKey() gave.")
@click.option("--site", required=True, help="Host of the page that made it: the relying party.")
@common
def enrol(context: Context, public_key: str, site: str) -> None:
    """Enrol a passkey that a browser made, or replace the one before (as the patient)."""
    _change(context, Passkey.of(decoded(public_key), site))


@passkey.command()
@common
def remove(context: Context) -> None:
    """Remove the passkey (as the patient): then nobody buys what would need it."""
    _change(context, Passkey())


@passkey.command()
@common
def cancel(context: Context) -> None:
    """Cancel a change of the passkey that does not count yet (as the patient)."""
    contract, wallet = _contract(context), context.wallet("patient")
    message = PasskeyCancellation(wallet.address, contract.state(wallet.address).nonce)
    context.say(message.render())
    signature = message.sign(wallet.key, contract.domain)
    contract.cancel(context.home.wallet("relay"), wallet.address, signature, key=context.intent())
    context.done({"patient": wallet.address}, "Cancelled: the passkey that counts now stays.")


@passkey.command()
@click.argument("patient", required=False)
@common
def show(context: Context, patient: str | None) -> None:
    """Show the passkey of PATIENT (address or wallet), and a change that waits."""
    contract = _contract(context)
    account = context.address(patient) if patient else context.wallet("patient").address
    found, change = contract.of(account), contract.change_of(account)
    lines = [f"The passkey {hexed(found.x)} approves." if found else "There is no passkey."]
    if change:
        what = f"the passkey {hexed(change[0].x)}" if change[0] else "none"
        lines.append(f"From {_time(change[1])} on it is {what}, unless that is cancelled.")
    context.done(
        {
            "patient": account,
            "passkey": _shown(found),
            "change": {**_shown(change[0]), "since": change[1]} if change else None,
            "counter": contract.state(account).counter,
            "delay": contract.delay(),
        },
        "\n".join(lines),
    )


@passkey.command()
@click.argument("consent_id", metavar="CONSENT", type=WORD)
@common
def requests(context: Context, consent_id: bytes) -> None:
    """Show what licensees asked the patient of CONSENT to approve, with its number.

    Anybody may ask: what is asked by those whom the consent does not cover is counted only.
    """
    from medtoken.audit.books.market import MarketBook

    contract, market = _contract(context), context.suite.market
    terms = market.consent_terms(consent_id)
    patient = terms.patient
    listed, lines, hidden = [], [], 0
    for number, asked in enumerate(contract.requests(consent_id), 1):
        if not MarketBook.covers(terms, market.licensee(asked.licensee)):
            hidden += 1
            continue
        until = contract.approved_until(patient, consent_id, asked.licensee, asked.order)
        text = asked.approval(patient, until or asked.order.end).render().splitlines()[0]
        listed.append(
            {
                "request": number,
                "licensee": asked.licensee,
                "record": hexed(asked.order.record),
                "approved_until": until or None,
                "text": text,
            }
        )
        state = f"approved until {_time(until)}" if until else "not approved"
        lines.append(f"{number}. {text} ({state})")
    if not lines:
        lines.append("Nobody asked whom the consent covers." if hidden else "Nobody asked.")
    if hidden:
        lines.append(f"{hidden} by those whom the consent does not cover: hidden.")
    context.done({"requests": listed, "hidden": hidden}, "\n".join(lines))


@passkey.command()
@click.argument("consent_id", metavar="CONSENT", type=WORD)
@click.argument("number", type=click.IntRange(min=1))
@click.option("--hours", default=24, show_default=True, type=click.IntRange(1, 7 * 24))
@common
def challenge(context: Context, consent_id: bytes, number: int, hours: int) -> None:
    """Say what request NUMBER under CONSENT means, and the challenge that approves it."""
    contract = _contract(context)
    asked = contract.request_of(consent_id, number)
    patient = context.suite.market.consent(consent_id).patient
    message = asked.approval(patient, context.node.head().timestamp + hours * _HOUR)
    context.say(message.render())
    code = encoded(message.digest(contract.domain))
    context.done({"deadline": message.deadline, "challenge": code}, code)


@passkey.command()
@click.argument("consent_id", metavar="CONSENT", type=WORD)
@click.argument("number", type=click.IntRange(min=1))
@click.argument("answer", type=_FILE)
@click.option("--deadline", required=True, type=click.IntRange(1), help="As `challenge` gave it.")
@common
def approve(context: Context, consent_id: bytes, number: int, answer: Path, deadline: int) -> None:
    """Bring ANSWER, a browser's credential as JSON, as the approval of request NUMBER."""
    contract = _contract(context)
    asked = contract.request_of(consent_id, number)
    patient = context.suite.market.consent(consent_id).patient
    message = asked.approval(patient, deadline)
    if contract.approved_until(patient, consent_id, asked.licensee, asked.order) < deadline:
        contract.approve(
            context.home.wallet("relay"), message, _answer(answer), key=context.intent()
        )
    context.done(
        {"consent": hexed(consent_id), "request": number, "until": deadline},
        f"Approved: the licensee may buy this one licence until {_time(deadline)}.",
    )


def _answer(path: Path) -> Assertion:
    if path.stat().st_size > _MOST:
        raise BadInput(f"{path} is longer than any answer of a passkey.")
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise BadInput(f"{path} is not JSON.") from None
    except RecursionError:
        raise BadInput(f"{path} is no answer of a passkey.") from None
    if not isinstance(told, dict):
        raise BadInput(f"{path} is no answer of a passkey.")
    return Assertion.of_json(told)


def _shown(passkey: Passkey) -> dict[str, Any]:
    return {
        name: hexed(value)
        for name, value in zip(("x", "y", "relying_party"), vars(passkey).values(), strict=True)
    }


def _time(seconds: int) -> str:
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%d %H:%M} UTC"

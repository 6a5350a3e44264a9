"""``medtoken licence``: deposit, buy, use, show; visas."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from medtoken.chain.passkeys import Passkeys
from medtoken.cli._context import AMOUNT, WORD, Context, common, dut, hexed
from medtoken.cli._group import LazyGroup
from medtoken.errors import BadInput, ContractRefused, MalformedFile
from medtoken.messages import CopyDestruction
from medtoken.parties import Licensee
from medtoken.parties.licensee import Bought, earned_now
from medtoken.vocabulary import Form

F = TypeVar("F", bound=Callable[..., Any])
_FILE_MOST = 1 << 20
_FORMS = {form.name.lower().replace("_", "-"): form for form in Form}


@click.group(
    cls=LazyGroup,
    lazy={
        "auction": "auction:auction",
        "auction-show": "auction:show",
        "award": "auction:award",
        "basket": "basket:basket",
        "bid": "auction:bid",
        "outcome": "rewards:outcome",
        "voucher": "voucher:voucher",
    },
)
def licence() -> None:
    """Licences: prepay, buy within a consent, use, show."""


@licence.command()
@click.argument("amount", type=AMOUNT)
@common
def deposit(context: Context, amount: int) -> None:
    """Prepay AMOUNT DUT into the market (as the licensee)."""
    licensee = Licensee(context.suite, context.wallet("pharma"))
    licensee.deposit(amount, key=context.intent())
    left = context.suite.market.licensee(licensee.address).deposit
    context.done({"account": licensee.address, "deposit": str(left)}, f"Deposit: {dut(left)}")


@licence.command()
@click.argument("amount", type=AMOUNT)
@common
def reclaim(context: Context, amount: int) -> None:
    """Take AMOUNT DUT of the unspent deposit back out of the market (as the licensee, or a trustee)."""
    wallet = context.wallet("pharma")
    context.suite.market.reclaim(wallet, amount, key=context.intent())
    left = context.suite.market.licensee(wallet.address).deposit
    context.done(
        {"account": wallet.address, "amount": str(amount), "deposit": str(left)},
        f"{dut(amount)} taken back. Deposit: {dut(left)}",
    )


def _order_options(command: F) -> F:
    """What is ordered: the record, the consent, the form, units, days, purposes, price, voucher key."""
    for option in reversed(
        [
            click.argument("record_id", metavar="RECORD", type=WORD),
            click.option(
                "--consent",
                "consent_id",
                type=WORD,
                required=True,
                help="The consent to buy under.",
            ),
            click.option(
                "--form", default="fixed-term", show_default=True, type=click.Choice(list(_FORMS))
            ),
            click.option(
                "--units", default=0, show_default=True, help="Metered: calls or MB to prepay."
            ),
            click.option(
                "--days", default=90, show_default=True, help="How long; never beyond the consent."
            ),
            click.option(
                "--purpose",
                "purposes",
                multiple=True,
                required=True,
                help="One DUO purpose, and each condition undertaken. Repeat for each.",
            ),
            click.option(
                "--disease", "diseases", multiple=True, help="Disease code for DS. Repeat for each."
            ),
            click.option(
                "--max-price", type=AMOUNT, help="Most to pay for a unit; default: today's quote."
            ),
            click.option(
                "--voucher-key", help="Metered: address or wallet whose vouchers count (R14)."
            ),
        ]
    ):
        command = option(command)
    return command


def _asked(context: Context, order: dict[str, Any]) -> dict[str, Any]:
    """The arguments of ``Licensee.buy`` and ``Licensee.request`` that the options give."""
    voucher_key = order["voucher_key"]
    kept = ("units", "days", "purposes", "diseases", "max_price")
    return {
        "record": order["record_id"],
        "consent": order["consent_id"],
        "form": _FORMS[order["form"]],
        **{name: order[name] for name in kept},
        "signer": context.address(voucher_key) if voucher_key else None,
        "key": context.intent(),
    }


@licence.command()
@_order_options
@click.option("--research", type=AMOUNT, default="0", help="RT that pay a part of the price (R4).")
@common
def buy(context: Context, research: int, **order: Any) -> None:
    """License RECORD from the deposit (as the licensee). Buying signs the data-use commitment.

    What a trustee manages is bought of the trustee, whose 15 % come on top.
    """
    licensee = Licensee(context.suite, context.wallet("pharma"))
    bought = licensee.buy(research=research, **_asked(context, order))
    _told(context, bought, research)


def _told(context: Context, bought: Bought, research: int = 0) -> None:
    context.done(
        {
            "licence": hexed(bought.licence),
            "paid": str(bought.paid),
            "levy": str(bought.levy),
            "research": str(research),
            "fee": str(bought.fee),
            "end": bought.end,
        },
        f"Licence {hexed(bought.licence)}: {dut(bought.paid)} and {dut(bought.levy)} levy"
        + (f", {dut(bought.fee)} for the trustee." if bought.fee else "."),
    )


@licence.command()
@_order_options
@common
def request(context: Context, **order: Any) -> None:
    """Ask the patient to approve a licence of RECORD by passkey: for highly sensitive data (R10)."""
    licensee = Licensee(context.suite, context.wallet("pharma"))
    asked = _asked(context, order)
    consent, sent = asked["consent"], licensee.request(**asked)
    passkeys = Passkeys(context.suite.node, context.suite.deployment)
    number = passkeys.number_of(consent, licensee.address, sent)
    context.done(
        {"consent": hexed(consent), "request": number, "end": sent.end},
        f"Request {number} under the consent {hexed(consent)} waits for the patient's passkey.",
    )


@licence.command("buy-requested")
@click.argument("consent_id", metavar="CONSENT", type=WORD)
@click.argument("number", type=click.IntRange(min=1))
@common
def buy_requested(context: Context, consent_id: bytes, number: int) -> None:
    """Buy what request NUMBER under CONSENT asked for, once approved (as the licensee)."""
    asked = Passkeys(context.suite.node, context.suite.deployment).request_of(consent_id, number)
    licensee = Licensee(context.suite, context.wallet("pharma"))
    _told(context, licensee.buy_requested(asked, key=context.intent()))


@licence.command()
@click.argument("licence_id", metavar="LICENCE", type=WORD)
@click.option("--units", default=1, show_default=True, help="Calls or MB used.")
@common
def use(context: Context, licence_id: bytes, units: int) -> None:
    """Record a use of LICENCE on the chain (as the licensee)."""
    licensee = Licensee(context.suite, context.wallet("pharma"))
    used = licensee.use(licence_id, units, key=context.intent())
    context.done(
        {"licence": hexed(licence_id), "units": used["units"], "used": used["used"]},
        f"{used['units']} used" + (f", {used['used']} in all." if used["used"] else "."),
    )


@licence.command()
@click.argument("licence_id", metavar="LICENCE", type=WORD)
@common
def show(context: Context, licence_id: bytes) -> None:
    """Show LICENCE: what it is for, how much of it is used, what it has earned and not settled."""
    market = context.suite.market
    word = market.licence(licence_id)
    if word.form == 0:
        raise ContractRefused("licence: unknown licence")
    ref = market.licence_ref(licence_id)
    usable = market.is_usable(ref)
    data = {
        "licence": hexed(licence_id),
        "usable": usable,
        "record": hexed(ref.record),
        "consent": hexed(ref.consent),
        "licensee": ref.licensee,
        "form": Form(word.form).name.lower(),
        "price": str(word.price),
        "end": word.end,
        "units": word.units,
        "used": word.used,
        "suspended": word.suspended,
        "closed": word.closed,
        "earned_unsettled": str(earned_now(context.suite, ref)),
    }
    of = f"{word.used:,} of {word.units:,} units used" if word.metered else "a fixed term"
    context.done(
        data,
        f"A {data['form']} licence of {ref.licensee}, {'usable' if usable else 'not usable'}: "
        f"{of}, {dut(word.price)} {'a unit' if word.metered else 'in all'}.",
    )


@licence.command()
@click.argument("licence_id", metavar="LICENCE", type=WORD)
@click.option("--issuer", required=True, metavar="URL", help="Who signs it: the visa's iss.")
@click.option("--key", required=True, type=click.Path(), help="Private key in PEM: P-256 or RSA.")
@click.option("--jku", required=True, metavar="URL", help="Where the issuer's keys are published.")
@click.option("--datasets", required=True, metavar="URL", help="What record ids are appended to.")
@click.option("--source", metavar="URL", help="Who stands behind the grant; default: the issuer.")
@click.option("--block", type=click.IntRange(0), help="As of this block; default: the final one.")
@click.option("--seconds", default=3600, show_default=True, type=click.IntRange(1, 86_400))
@common
def visa(
    context: Context,
    licence_id: bytes,
    issuer: str,
    key: str,
    jku: str,
    datasets: str,
    source: str | None,
    block: int | None,
    seconds: int,
) -> None:
    """Sign a GA4GH Visa (ControlledAccessGrants) that says LICENCE was usable at a block."""
    from medtoken.interop.visa import Issuer, licence_visa, load_key

    signer = Issuer(issuer, load_key(_read(key), key), jku)
    token = licence_visa(
        context.suite,
        licence_id,
        signer,
        datasets=datasets,
        source=source or issuer,
        block=block,
        lifetime=seconds,
        issued_at=int(time.time()),
    )
    context.done({"visa": token, "jwks": signer.jwks}, token)


@licence.command("check-visa")
@click.argument("file", type=click.Path())
@click.option("--jwks", required=True, type=click.Path(), help="The issuer's JSON Web Key Set.")
@common
def check_visa(context: Context, file: str, jwks: str) -> None:
    """Check the visa in FILE against the keys of its issuer and print its claims."""
    from medtoken.interop.visa import read_visa

    try:
        keys = json.loads(_read(jwks))
        token = _read(file).decode("ascii")
    except (ValueError, RecursionError):
        raise MalformedFile(f"{file} is no visa, or {jwks} is no JSON Web Key Set.") from None
    if not isinstance(keys, dict):
        raise MalformedFile(f"{jwks} is no JSON Web Key Set.")
    claims = read_visa(token, keys, now=int(time.time()))
    context.done(claims, json.dumps(claims, indent=2))


@licence.command("attest-destruction")
@click.argument("licence_id", metavar="LICENCE", type=WORD)
@click.argument("statement", type=click.Path())
@click.option("--yes", is_flag=True, help="Do not ask: what it says is so.")
@common
def attest_destruction(context: Context, licence_id: bytes, statement: str, yes: bool) -> None:
    """Attest on the chain that every copy under LICENCE is destroyed (as the licensee, R35).

    STATEMENT is a file that says which copies, how and when: keep it. Its SHA-256 goes on the chain.
    """
    digest = hashlib.sha256(_read(statement)).digest()
    context.say(CopyDestruction(licence_id, digest).render())
    if not yes:
        click.confirm("Sign this?", abort=True, err=True)
    licensee = Licensee(context.suite, context.wallet("pharma"))
    receipt = licensee.attest_destruction(licence_id, digest, key=context.intent())
    context.done(
        {"licence": hexed(licence_id), "statement": hexed(digest), "new": receipt is not None},
        f"The destruction under licence {hexed(licence_id)} is attested by statement {hexed(digest)}.",
    )


def _read(path: str) -> bytes:
    """A small file."""
    try:
        with Path(path).open("rb") as file:
            return file.read(_FILE_MOST)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None

"""``medtoken licence voucher``: calls counted off the chain and paid by vouchers (R14)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from medtoken.cli._context import WORD, Context, common, dut, hexed
from medtoken.errors import BadInput
from medtoken.metering import (
    Acknowledgement,
    CustodianMeter,
    LicenseeMeter,
    VoucherKey,
    read_terms,
    redeem,
)

_KEY = "voucher-key"


@click.group()
def voucher() -> None:
    """Metered calls off the chain: number, count, acknowledge, redeem."""


def _licensee(context: Context) -> LicenseeMeter:
    key = VoucherKey(context.home.wallet(_KEY, create=True).key)
    folder = context.home.folder / "meters" / "licensee"
    return LicenseeMeter(folder, context.suite.market.domain, key, clock=_clock(context))


def _custodian(context: Context, credit: int = 1_000) -> CustodianMeter:
    folder = context.home.folder / "meters" / "custodian"
    domain = context.suite.market.domain
    return CustodianMeter(folder, domain, credit=credit, clock=_clock(context))


def _clock(context: Context) -> Any:
    # The chain's clock: it is the one by which vouchers are judged.
    now = float(context.suite.node.head().timestamp)
    return lambda: now


@voucher.command()
@common
def key(context: Context) -> None:
    """Show the voucher key's address (as the licensee); it is made when there is none."""
    address = context.home.wallet(_KEY, create=True).address
    context.done({"address": address}, address)


@voucher.command()
@click.argument("licence_id", metavar="LICENCE", type=WORD)
@click.option("--calls", default=1, show_default=True, type=click.IntRange(min=1))
@click.option("--units", default=1, show_default=True, help="Units of each call.")
@common
def begin(context: Context, licence_id: bytes, calls: int, units: int) -> None:
    """Number calls to be sent (as the licensee); the numbers are on the disk then."""
    with _licensee(context) as meter:
        meter.sync(read_terms(context.suite, licence_id))
        numbers = [meter.begin(licence_id, units) for _ in range(calls)]
    context.done(
        {"licence": hexed(licence_id), "numbers": numbers, "units": units},
        f"Calls {numbers[0]} to {numbers[-1]} of {units} units each.",
    )


@voucher.command()
@click.argument("licence_id", metavar="LICENCE", type=WORD)
@click.option("--first", required=True, type=int, help="Number of the first call.")
@click.option("--calls", default=1, show_default=True, type=click.IntRange(min=1))
@click.option("--units", default=1, show_default=True, help="Units of each call.")
@click.option("--credit", default=1_000, show_default=True, help="Units served ahead of vouchers.")
@common
def count(
    context: Context, licence_id: bytes, first: int, calls: int, units: int, credit: int
) -> None:
    """Count calls that arrived (as the custodian); they may be answered then."""
    with _custodian(context, credit) as meter:
        meter.sync(read_terms(context.suite, licence_id))
        new = sum(meter.count(licence_id, first + n, units) for n in range(calls))
        meter.commit()
        counted = meter.counted(licence_id)
    context.done(
        {"licence": hexed(licence_id), "new": new, "counted": counted},
        f"{new} calls counted, {counted:,} units in all.",
    )


@voucher.command()
@click.argument("licence_id", metavar="LICENCE", type=WORD)
@click.option("--calls", type=int, help="How many answers arrived; default: all that wait.")
@click.option("--out", type=click.Path(dir_okay=False), help="File for the acknowledgement.")
@common
def sign(context: Context, licence_id: bytes, calls: int | None, out: str | None) -> None:
    """Note the answers that arrived and acknowledge all so far (as the licensee)."""
    with _licensee(context) as meter:
        meter.sync(read_terms(context.suite, licence_id))
        for call in meter.open_calls(licence_id)[:calls]:
            meter.received(licence_id, call.number)
        data = meter.acknowledge(licence_id).to_json()
    if out:
        Path(out).write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    context.done(data, f"{data['units']:,} units acknowledged.")


@voucher.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@common
def accept(context: Context, file: str) -> None:
    """Check and keep the acknowledgement in FILE (as the custodian)."""
    try:
        data = json.loads(Path(file).read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise BadInput(f"{file} is not JSON.") from None
    ack = Acknowledgement.from_json(data)
    with _custodian(context) as meter:
        meter.sync(read_terms(context.suite, ack.licence))
        meter.accept(ack)
        exposure = meter.exposure(ack.licence)
    context.done(
        {"licence": hexed(ack.licence), "units": ack.units, "exposure": str(exposure)},
        f"{ack.units:,} units are acknowledged; {dut(exposure)} are not.",
    )


@voucher.command(name="redeem")
@click.argument("licence_ids", metavar="[LICENCE]...", nargs=-1, type=WORD)
@common
def redeem_vouchers(context: Context, licence_ids: tuple[bytes, ...]) -> None:
    """Bring the best vouchers to the chain and settle (as the custodian); default: of all."""
    with _custodian(context) as meter:
        done = redeem(
            context.suite,
            context.wallet("hospital"),
            meter,
            list(licence_ids) or None,
            key=context.intent(),
        )
    context.done(
        {"licences": done.licences, "units": done.units, "amount": str(done.amount)},
        f"{done.units:,} units of {done.licences} licences: {dut(done.amount)}.",
    )


@voucher.command(name="top-up")
@click.argument("licence_id", metavar="LICENCE", type=WORD)
@click.argument("units", type=click.IntRange(min=1))
@common
def top_up(context: Context, licence_id: bytes, units: int) -> None:
    """Prepay UNITS more of LICENCE (as the licensee)."""
    market = context.suite.market
    ref = market.licence_ref(licence_id)
    market.top_up(context.wallet("pharma"), ref, units, key=context.intent())
    prepaid = market.licence(licence_id).units
    context.done({"licence": hexed(licence_id), "prepaid": prepaid}, f"{prepaid:,} units prepaid.")


@voucher.command()
@click.argument("licence_id", metavar="LICENCE", type=WORD)
@common
def show(context: Context, licence_id: bytes) -> None:
    """Show what the chain and the custodian's meter here say of LICENCE."""
    terms = read_terms(context.suite, licence_id)
    with _custodian(context) as meter:
        meter.sync(terms)
        counted, acknowledged = meter.counted(licence_id), meter.acknowledged(licence_id)
        exposure = meter.exposure(licence_id)
    context.done(
        {
            "licence": hexed(licence_id),
            "prepaid": terms.prepaid,
            "redeemed": terms.used,
            "counted": counted,
            "acknowledged": acknowledged,
            "exposure": str(exposure),
            "stop": terms.stop,
            "vouchers_until": terms.stop + terms.window,
        },
        f"{counted:,} units counted, {acknowledged:,} acknowledged, {terms.used:,} redeemed, "
        f"{terms.prepaid:,} prepaid.",
    )

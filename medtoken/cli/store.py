"""``medtoken store``: check, repair, export, import."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from medtoken.cli._context import Context, common, storing
from medtoken.errors import BadInput, IntegrityError, MalformedFile, MedtokenError, StoreError
from medtoken.ipfs import (
    CID,
    CarFile,
    FirstOf,
    Health,
    open_source,
    write_car,
)
from medtoken.ipfs import check as check_file
from medtoken.ipfs import repair as repair_file


@click.group()
def store() -> None:
    """Stored blocks: check, repair, export, import."""


@store.command()
@click.argument("contents", metavar="[CID|RECORD]...", nargs=-1)
@common
@storing
def check(context: Context, contents: tuple[str, ...]) -> None:
    """Read and verify every block of the records given, else of all that are pinned or registered.

    Exits with 5 when a block was altered, with 6 when one is missing or a record is not pinned.
    """
    here = context.home.open_store(offline=True)
    pinned = set(here.pins())
    found = [check_file(here, cid) for cid in _chosen(context, contents, pinned)]
    _report(context, found, pinned)
    altered = sum(len(health.altered) for health in found)
    missing = sum(len(health.missing) for health in found)
    if altered:
        raise IntegrityError(
            f"{altered} blocks were altered and {missing} are missing: `medtoken store repair` "
            "gets them from elsewhere."
        )
    if missing:
        raise StoreError(
            f"{missing} blocks are missing: `medtoken store repair` gets them from elsewhere."
        )
    loose = [health.cid for health in found if health.cid not in pinned]
    if loose:
        raise StoreError(f"{loose[0]} is whole but not pinned: `medtoken store repair` pins it.")


@store.command()
@click.argument("contents", metavar="[CID|RECORD]...", nargs=-1)
@click.option(
    "--from",
    "sources",
    multiple=True,
    metavar="SOURCE",
    help="A daemon's multiaddress, a gateway's URL, a CAR file, a store's folder; in this order.",
)
@common
@storing
def repair(context: Context, contents: tuple[str, ...], sources: tuple[str, ...]) -> None:
    """Fetch what is missing or altered from other sources, verify, store and pin it.

    With ``--store kubo`` the daemon's own peers are asked last.
    """
    here = context.home.open_store(offline=True)
    others = [open_source(word) for word in sources]
    if context.store == "kubo":
        others.append(context.home.store)
    if not others:
        raise BadInput("Name at least one source with --from.")
    found: list[Health] = []
    failed: list[MedtokenError] = []
    source = FirstOf(others)
    for cid in _chosen(context, contents, set(here.pins())):
        try:
            found.append(repair_file(here, cid, source))
        except (StoreError, IntegrityError) as error:
            failed.append(error)
            found.append(check_file(here, cid))
    _report(context, found, set(here.pins()), source.faults)
    if failed:
        raise type(failed[0])(f"{len(failed)} records could not be repaired; {failed[0]}.")


@store.command()
@click.argument("content", metavar="CID|RECORD")
@click.option(
    "--car", required=True, type=click.Path(dir_okay=False), help="The file to write, a CARv1."
)
@common
@storing
def export(context: Context, content: str, car: str) -> None:
    """Write a record's blocks into one file, which `ipfs dag import` and other programs read."""
    (cid,) = _chosen(context, [content], set())
    target = Path(car)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with open(part, "xb") as file:
            blocks = write_car(cid, context.home.store.get_block, file)
            file.flush()
            os.fsync(file.fileno())
        size = part.stat().st_size
        os.replace(part, target)
    except OSError as error:
        raise BadInput(f"{car} cannot be written: {error.strerror}.") from None
    finally:
        part.unlink(missing_ok=True)
    context.done(
        {"cid": str(cid), "file": car, "blocks": blocks, "bytes": size},
        f"Wrote {blocks} blocks, {size:,} bytes, to {car}.",
    )


@store.command("import")
@click.argument("car", metavar="FILE", type=click.Path(dir_okay=False))
@common
@storing
def import_(context: Context, car: str) -> None:
    """Verify the records in the CAR file FILE, store their blocks and pin them."""
    source = CarFile(car)
    if source.damage:
        raise MalformedFile(f"{source.name} {source.damage}.")
    if not source.roots:
        raise MalformedFile(f"{source.name} names no root that medtoken can read.")
    for cid in source.roots:
        health = check_file(source, cid)
        if not health.sound:
            bad = (*health.altered, *health.missing)[0]
            raise MalformedFile(f"{source.name} has no good block {bad} of {cid}.")
    here = context.home.open_store(offline=True)
    found = [repair_file(here, cid, source) for cid in source.roots]
    _report(context, found, set(source.roots))


def _chosen(context: Context, contents: Sequence[str], pinned: set[CID]) -> list[CID]:
    """The files meant: by CID or record id, else all pinned ones and all of this folder's."""
    registered, copies = context.home.registered(), context.home.copies()
    if not contents:
        return sorted({*pinned, *registered.values(), *copies})
    chosen = []
    for word in contents:
        if word.startswith("0x"):
            if word[2:].lower() not in registered:
                raise BadInput(f"The record {word} was not sealed from {context.home_folder}.")
            chosen.append(registered[word[2:].lower()])
            chosen += [cid for cid, record in copies.items() if record == word[2:].lower()]
        else:
            chosen.append(CID.parse(word))
    return chosen


def _report(
    context: Context,
    found: Sequence[Health],
    pinned: set[CID],
    faults: dict[str, str] | None = None,
) -> None:
    registered = context.home.registered()
    records = context.home.copies() | {cid: record for record, cid in registered.items()}
    rows, lines = [], []
    for health in found:
        record = records.get(health.cid)
        rows.append(
            {
                "cid": str(health.cid),
                "record": f"0x{record}" if record else None,
                "pinned": health.cid in pinned,
                "blocks": health.blocks,
                "bytes": health.size,
                "missing": [str(cid) for cid in health.missing],
                "altered": [str(cid) for cid in health.altered],
                "repaired": [str(cid) for cid in health.repaired],
            }
        )
        state = "whole" if health.sound else "NOT WHOLE"
        lines.append(
            f"{health.cid}  {state}, {health.blocks} good blocks, {health.size:,} bytes"
            + ("" if health.cid in pinned else ", not pinned")
            + (f", {len(health.repaired)} repaired" if health.repaired else "")
        )
        lines += [f"  missing {cid}" for cid in health.missing]
        lines += [f"  altered {cid}" for cid in health.altered]
    for name, fault in (faults or {}).items():
        lines.append(f"{name} failed: {fault}")
    context.done(
        {"records": rows, "faults": faults or {}}, "\n".join(lines) or "There are no records."
    )

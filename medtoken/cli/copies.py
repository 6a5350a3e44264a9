"""What leaves a record, for ``medtoken record``: mask, query, mark, trace."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from medtoken import masking
from medtoken.cli._context import WORD, Context, common, hexed, storing
from medtoken.errors import BadInput
from medtoken.keys import EVERY_LICENCE
from medtoken.parties import Custodian

if TYPE_CHECKING:
    from medtoken.marking import Suspect

_profile = click.option(
    "--profile",
    "profile_name",
    default="de-identified",
    show_default=True,
    help="A masking profile: its name, or the path of a .json file.",
)
_scope = click.option(
    "--scope", help="Files masked under one scope keep common references; default: the file alone."
)
_role = click.option(
    "--role", help="Who will read it: what this role may not see is left out as well."
)


def _chosen(name: str, role: str | None) -> masking.Profile:
    profile = masking.load_profile(name)
    return masking.narrower(profile, role) if role is not None else profile


@click.command()
@click.argument("file", type=click.Path())
@_profile
@_role
@_scope
@click.option("--out", required=True, type=click.Path(dir_okay=False), help="The masked copy.")
@click.option(
    "--inspected", is_flag=True, help="I looked at the pixels: they show no text and no face."
)
@common
def mask(
    context: Context,
    file: str,
    profile_name: str,
    role: str | None,
    scope: str | None,
    out: str,
    inspected: bool,
) -> None:
    """Write the copy of FILE that a masking profile lets out (as the hospital, R35).

    To seal such a copy under a record, so that consents to the profile open it: `record copy`.
    """
    profile = _chosen(profile_name, role)
    secret = context.home.copies_secret()
    masked = masking.mask_file(file, out, profile, secret, scope=scope, inspected=inspected)
    context.done(
        {
            "file": out,
            "profile": masked.profile,
            "fields": hexed(masked.digest),
            "format": masked.format,
            "kept": masked.kept,
            "dropped": masked.dropped,
            "notes": masked.notes,
        },
        "\n".join(
            [
                f"Masked to {out}: {masked.kept:,} elements left, {masked.dropped:,} stayed behind.",
                f"Profile {masked.profile}, {hexed(masked.digest)}",
                *masked.notes,
            ]
        ),
    )


@click.command()
@click.argument("record_id", metavar="RECORD", type=WORD)
@click.argument("file", type=click.Path())
@click.option(
    "--profile",
    "profile_name",
    help="A masking profile: its name, or the path of a .json file; default: de-identified, or "
    "with --licence that of its consent.",
)
@click.option("--licence", type=WORD, help="Make it for this licence alone, and mark it.")
@_role
@_scope
@click.option(
    "--inspected", is_flag=True, help="I looked at the pixels: they show no text and no face."
)
@click.option("--unmarked", is_flag=True, help="With --licence: leave the watermark out.")
@click.option("--column", "columns", multiple=True, help="Column of a table to mark; repeat.")
@common
@storing
def copy(
    context: Context,
    record_id: bytes,
    file: str,
    profile_name: str | None,
    licence: bytes | None,
    role: str | None,
    scope: str | None,
    inspected: bool,
    unmarked: bool,
    columns: tuple[str, ...],
) -> None:
    """Seal the copy of FILE that a profile lets out, under the RECORD that FILE is (as the hospital).

    Licences whose consent names the profile open this copy and nothing else (R9, R35).
    """
    if role is not None and licence is None:
        raise BadInput("A role narrows the copy of one licence: name it with --licence.")
    custodian = Custodian(context.suite, context.wallet("hospital"), context.home)
    added = custodian.add_rendition(
        record_id,
        file,
        profile=profile_name,
        licence=licence or EVERY_LICENCE,
        role=role,
        scope=scope,
        inspected=inspected,
        marked=not unmarked,
        columns=columns,
        key=context.intent(),
    )
    masked = added.masked
    whom = f"licence {hexed(licence)}" if licence else "every licence whose consent names it"
    context.done(
        {
            "record": hexed(record_id),
            "fields": hexed(added.rendition.fields),
            "licence": hexed(licence) if licence else None,
            "profile": masked.profile,
            "cid": str(added.cid),
            "fingerprint": hexed(added.copy.fingerprint),
            "sha256": hexed(added.sha256),
            "kept": masked.kept,
            "dropped": masked.dropped,
            "marked_places": added.places,
            "new": added.new,
            "notes": masked.notes,
        },
        "\n".join(
            [
                f"{'Sealed' if added.new else 'Was sealed before'}: the copy by {masked.profile}, for "
                f"{whom}: {masked.kept:,} elements left, {masked.dropped:,} stayed behind, "
                f"{added.places:,} places marked.",
                f"Sealed bytes: {added.cid}",
                *masked.notes,
            ]
        ),
    )


@click.command()
@click.argument("file", type=click.Path())
@_profile
@_role
@_scope
@click.option("--type", "kind", default="", help="Only resources of this type (FHIR).")
@click.option("--field", "fields", multiple=True, help="Answer with this field; repeat for more.")
@click.option(
    "--where", "wheres", multiple=True, metavar="NAME=TEXT", help="What a field must be, masked."
)
@click.option("--limit", type=click.IntRange(min=0), help="At most so many rows or resources.")
@common
def query(
    context: Context,
    file: str,
    profile_name: str,
    role: str | None,
    scope: str | None,
    kind: str,
    fields: tuple[str, ...],
    wheres: tuple[str, ...],
    limit: int | None,
) -> None:
    """Ask FILE through a masking profile, without writing a copy: rows as JSON lines (R35)."""
    where = {}
    for text in wheres:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise BadInput(f"{text} is not of the form NAME=TEXT.")
        where[name] = value
    found = masking.select(
        file,
        _chosen(profile_name, role),
        context.home.copies_secret(),
        scope=scope,
        kind=kind,
        fields=fields,
        where=where,
        limit=limit,
    )
    if context.as_json:
        context.done({"rows": list(found)}, "")
        return
    for item in found:
        click.echo(json.dumps(item, ensure_ascii=False))


@click.command()
@click.argument("master", type=click.Path())
@click.option("--for", "licensee", required=True, help="Whom the copy is for: a licence's id, say.")
@click.option("--out", required=True, type=click.Path(), help="The marked copy.")
@click.option("--column", "columns", multiple=True, help="A column of numbers to mark (tables).")
@common
def mark(context: Context, master: str, licensee: str, out: str, columns: tuple[str, ...]) -> None:
    """Write the copy of MASTER for one licensee, so that a leaked one names them (R35).

    MASTER is a masked table or image. Keep it: a leaked copy is compared with it.
    """
    from medtoken.parties.copies import Copies

    marked = Copies(context.home).mark(master, out, licensee, columns=columns)
    context.done(
        {
            "file": out,
            "licensee": licensee,
            "places": marked.places,
            "rms": marked.rms,
            "largest": marked.largest,
        },
        f"Marked for {licensee} in {marked.places:,} places: values moved by {marked.rms:.3g} "
        f"(root mean square), {marked.largest:g} at most.",
    )


@click.command()
@click.argument("leaked", type=click.Path())
@click.option("--master", required=True, type=click.Path(), help="What the copies were made from.")
@click.option("--among", multiple=True, help="One more candidate beside those listed.")
@click.option(
    "--threshold", default=1e-6, show_default=True, help="Chance that an innocent is named."
)
@common
def trace(
    context: Context, leaked: str, master: str, among: tuple[str, ...], threshold: float
) -> None:
    """Say whose marked copy the file LEAKED is, and how sure that is (R35)."""
    from medtoken.parties.copies import Copies

    found = Copies(context.home).trace(leaked, master, among=among, threshold=threshold)
    context.done(
        {
            "sure": bool(found.named),
            "named": [_suspect(one) for one in found.named],
            "nearest": _suspect(found.nearest) if found.nearest else None,
            "candidates": found.candidates,
            "places": found.places,
            "threshold": found.threshold,
            "notes": found.notes,
        },
        "\n".join([found.sentence(), *found.notes]),
    )


def _suspect(one: Suspect) -> dict[str, object]:
    return {"licensee": one.candidate, "log10_false_accusation": round(one.log10_bound, 2)}

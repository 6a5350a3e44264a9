"""``medtoken intake``: records from a folder, a FHIR server or a DICOMweb server (R40)."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from medtoken.cli._context import Context, common, storing
from medtoken.cli.record import added_data, added_text, registering
from medtoken.errors import BadInput
from medtoken.interop._web import Web
from medtoken.parties import Custodian

_AUTHORIZATION = "MEDTOKEN_AUTHORIZATION"
_LINE_MOST = 16 * 1024


@click.group()
def intake() -> None:
    """Intake: seal and register what is in a folder or on a hospital's server, as it is."""


def reading(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say how a server is read; it gets a ``Web``."""

    @click.argument("url")
    @click.option(
        "--authorization-file",
        type=click.Path(),
        help=f"File with the Authorization header's value; default: ${_AUTHORIZATION}.",
    )
    @click.option("--ca", type=click.Path(exists=True), help="Certificates to trust instead.")
    @click.option(
        "--patience",
        default=60.0,
        show_default=True,
        type=click.FloatRange(0.1, 3600),
        help="Seconds for one answer.",
    )
    @functools.wraps(command)
    def wrapped(
        context: Context,
        url: str,
        authorization_file: str | None,
        ca: str | None,
        patience: float,
        **rest: Any,
    ) -> Any:
        authorization = os.environ.get(_AUTHORIZATION)
        if authorization_file:
            try:
                with Path(authorization_file).open(encoding="ascii") as file:
                    authorization = file.read(_LINE_MOST).strip()
            except (OSError, UnicodeDecodeError):
                raise BadInput(f"{authorization_file} cannot be read as plain text.") from None
        web = Web(url, authorization=authorization, patience=patience, authority=ca)
        try:
            return command(context, web=web, **rest)
        finally:
            web.close()

    return wrapped  # fmt: skip


@intake.command("folder")
@click.argument("path", metavar="FOLDER", type=click.Path(exists=True, file_okay=False))
@common
@storing
@registering
def folder_(context: Context, path: str, register: dict[str, Any]) -> None:
    """Register every file below FOLDER for one patient (as the hospital).

    Hidden files are passed over. The DICOM images of one study are one record. When one file cannot
    be read, nothing is registered.
    """
    root = Path(path)
    paths = sorted(
        one
        for one in root.rglob("*")
        if one.is_file() and not any(part.startswith(".") for part in one.relative_to(root).parts)
    )
    if not paths:
        raise BadInput(f"{path} holds no files.")
    from medtoken.formats import by_study, identify

    for one in paths:
        identify(one)
    with context.home.scratch() as folder:
        _register(context, by_study(paths, folder), register)


@intake.command()
@click.option("--patient", required=True, help="The logical id of the Patient on the server.")
@click.option("--type", "types", multiple=True, help="Search these types only. Repeat for each.")
@common
@storing
@registering
@reading
def fhir(
    context: Context, web: Web, patient: str, types: Sequence[str], register: dict[str, Any]
) -> None:
    """Fetch a patient's record from the FHIR R4 server at URL and register it (as the hospital)."""
    from medtoken.interop.fhir_server import fetch_patient

    with context.home.scratch() as folder:
        path = folder / "record.json"
        fetch_patient(web, patient, path, types=types or None)
        _register(context, [path], register)


@intake.command()
@click.option("--study", help="The StudyInstanceUID of the study to fetch.")
@click.option("--patient", help="Or the PatientID: every study of that patient.")
@common
@storing
@registering
@reading
def dicomweb(
    context: Context, web: Web, study: str | None, patient: str | None, register: dict[str, Any]
) -> None:
    """Fetch studies from the DICOMweb server at URL and register each as one record (as the hospital)."""
    from medtoken.formats import by_study
    from medtoken.interop.dicomweb import fetch_instance, find_instances

    if (study is None) == (patient is None):
        raise BadInput("Name a study or a patient.")
    with context.home.scratch() as folder:
        paths = []
        for number, one in enumerate(find_instances(web, study=study, patient=patient)):
            paths.append(folder / f"{number}.dcm")
            fetch_instance(web, one, paths[-1], patient=patient)
        _register(context, by_study(paths, folder / "studies"), register)


def _register(context: Context, paths: Sequence[Path], register: dict[str, Any]) -> None:
    custodian = Custodian(context.suite, context.wallet("hospital"), context.home)
    added = custodian.add_records(paths, **register, key=context.intent())
    context.done(
        {"records": [added_data(one) for one in added]},
        "\n".join(added_text(one) for one in added),
    )

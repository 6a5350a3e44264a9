"""One key keeper without the rest of the command line: ``python -m medtoken.keeper OPTIONS``."""

from __future__ import annotations

import sys

import click

from medtoken.errors import MedtokenError
from medtoken.keeper.serve import serve

try:
    serve.main(prog_name="medtoken keeper serve")
except MedtokenError as error:
    click.echo(f"Error: {error}", err=True)
    sys.exit(error.exit_code)

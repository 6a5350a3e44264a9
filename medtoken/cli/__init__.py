"""The command line. Every verb is one of the Python API's; each takes ``--json``.

Exit code 0 means done. Anything else is one sentence on stderr and changed nothing; the codes are
those of ``medtoken.errors``, and 130 after Ctrl-C.
"""

from __future__ import annotations

import os
import sys

import click

import medtoken
from medtoken.cli._group import LazyGroup
from medtoken.errors import MedtokenError, StateError

_INTERRUPTED = 130


_COMMANDS = (
    "asset",
    "audit",
    "compensation",
    "consent",
    "cover",
    "demo",
    "deploy",
    "devnet",
    "earnings",
    "holding",
    "intake",
    "keeper",
    "licence",
    "passkey",
    "proposal",
    "record",
    "research",
    "rewards",
    "roles",
    "royalty",
    "serve",
    "store",
    "trust",
    "verify",
    "watch",
)


@click.group(
    cls=LazyGroup,
    lazy={name: f"{name}:{name}" for name in _COMMANDS},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(medtoken.__version__, prog_name="medtoken")
def cli() -> None:
    """Medical records, shared on the patient's own terms and paid for."""


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"Error: {error.format_message()}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Stopped.", err=True)
        sys.exit(_INTERRUPTED)
    except MedtokenError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read the output has gone; nothing more can be said to them.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(StateError.exit_code)
    except OSError as error:
        click.echo(f"Error: {error.filename or 'A file'}: {error.strerror}.", err=True)
        sys.exit(StateError.exit_code)
    sys.exit(code if isinstance(code, int) else 0)

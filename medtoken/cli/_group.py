"""A group whose verbs are imported when they are asked for: web3.py or pydicom is not read for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """``lazy`` says for a verb's name where it stands, as "module:name" within ``medtoken.cli``."""

    def __init__(self, *args: Any, lazy: Mapping[str, str], **settings: Any) -> None:
        """As ``click.Group``, with the verbs that are defined elsewhere."""
        super().__init__(*args, **settings)
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every verb's name, in order."""
        return sorted({*super().list_commands(ctx), *self._lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb of this name, or None."""
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module, name = self._lazy[cmd_name].split(":")
        command: click.Command = getattr(import_module(f"medtoken.cli.{module}"), name)
        return command

"""Groups that import a command when it is asked for: nobody waits for Docker and DuckDB to look at the state."""

from __future__ import annotations

import builtins
import importlib
from collections.abc import Sequence
from keyword import iskeyword
from typing import Any

import click


class LazyGroup(click.Group):
    """`modules` are those of `package`, each with the command of the same name in it; of a word of Python's, with a `_`
    behind it."""

    def __init__(self, *arguments: Any, package: str, modules: Sequence[str], **others: Any) -> None:
        super().__init__(*arguments, **others)
        self._package, self._modules = package, tuple(modules)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._modules:
            return None
        name = f"{cmd_name}_" if iskeyword(cmd_name) or hasattr(builtins, cmd_name) else cmd_name
        command: click.Command = getattr(importlib.import_module(f"{self._package}.{name}"), name)
        return command

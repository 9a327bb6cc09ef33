"""`python -m tests.docs.cli_reference`: writes docs/reference/cli.md from the help texts; `--print` only prints it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

import trapline.cli

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"

_HEAD = """\
# The command line

{exit_codes}

Every command explains itself with `--help`. Every option can come from a variable instead: where none is named below,
it is called as `TRAPLINE_DEMO_SEED` is for `trapline demo --seed`. An option that is given wins.

This page is made from the help texts by `python -m tests.docs.cli_reference`.
"""


def page() -> str:
    """The reference page: every command that does something, with its options, in the order of `--help`."""
    told = inspect.getdoc(trapline.cli) or ""
    exit_codes = told.split("\n\n", 1)[1].replace("\n", " ")
    root = click.Context(trapline.cli.cli, info_name="trapline")
    return "\n".join([_HEAD.format(exit_codes=exit_codes), *(_section(context) for context in _commands(root))])


def _commands(context: click.Context) -> Iterator[click.Context]:
    group = context.command
    if not isinstance(group, click.Group):
        yield context
        return
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield from _commands(click.Context(command, info_name=name, parent=context))


def _section(context: click.Context) -> str:
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    options = [_option(parameter, context) for parameter in command.params if isinstance(parameter, click.Option)]
    parts = [f"## `{context.command_path}`", f"```text\n{usage}\n```", _prose(command.help or "")]
    return "\n\n".join([*parts, "\n".join(options)]) + "\n"


def _option(option: click.Option, context: click.Context) -> str:
    record = option.get_help_record(context)
    assert record is not None
    extra = option.get_help_extra(context)
    notes = [f"`{option.envvar}`"] if option.envvar else []
    notes += ["required"] if "required" in extra else []
    notes += [f"default {extra['default'].strip('()')}"] if "default" in extra else []
    shown = f" ({', '.join(notes)})" if notes else ""
    return f"* `{record[0]}`{shown}: {option.help}"


def _prose(text: str) -> str:
    """Paragraphs on one line each: how wide a terminal is has no say in it."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in inspect.cleandoc(text).split("\n\n"))


if __name__ == "__main__":
    if "--print" in sys.argv[1:]:
        sys.stdout.write(page())
    else:
        PAGE.write_text(page())

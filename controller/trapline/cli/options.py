"""The flags that several commands share; each can come from a TRAPLINE_* variable instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from trapline.errors import TraplineError
from trapline.state.database import Database

DEFAULT_HOME = Path.home() / ".trapline"
BACKENDS = ("auto", "docker", "process")


def home_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--home`: where a controller keeps its state, mirror and builds."""
    return click.option(
        "--home",
        type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
        envvar="TRAPLINE_HOME",
        default=DEFAULT_HOME,
        show_default="~/.trapline",
        help="The controller's home: state, mirror, builds and, by default, the lake.",
    )(command)


def sandbox_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--sandbox` and `--base-image`, which win over trapline.yml."""
    command = click.option(
        "--base-image",
        envvar="TRAPLINE_BASE_IMAGE",
        help="The image that detections are built on (docker); wins over trapline.yml.",
    )(command)
    return click.option(
        "--sandbox",
        type=click.Choice(BACKENDS),
        envvar="TRAPLINE_SANDBOX",
        help="How detections are isolated; wins over trapline.yml.",
    )(command)


def repository_url(text: str) -> str:
    """A path made absolute, since git runs elsewhere; any other address as it is."""
    return str(Path(text).resolve()) if Path(text).exists() else text


def make_folder(folder: Path) -> Path:
    """The folder, made where there is none. Raises TraplineError where it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TraplineError(
            f"the folder {folder} cannot be made: {error.strerror}", remedy="name another, or correct the permissions"
        ) from error
    return folder.resolve()


def existing_database(home: Path) -> Database:
    """The state of a home that a controller has used. Raises TraplineError where there is none."""
    if not (home / "trapline.db").is_file():
        raise TraplineError(
            f"{home} is not the home of a controller: it has no trapline.db",
            remedy="name the home with --home or TRAPLINE_HOME, or make one with `trapline controller --once`",
        )
    return Database.in_home(home)

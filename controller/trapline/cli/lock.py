"""`trapline lock`: writes a detection's requirements.lock in a checkout, to be committed beside its requirements."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from trapline.author.validation.locking import differences, lock_path, locker, present
from trapline.cli.options import sandbox_options
from trapline.cli.output import errors, progress, say
from trapline.detection.load import load
from trapline.detection.model import Detection
from trapline.errors import TraplineError
from trapline.requirements.lock import REQUIREMENTS_FILE, check, pins
from trapline.settings import load as load_settings
from trapline.source.worktree import read_directory


@click.command()
@click.argument("name")
@click.option(
    "--repository-folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True),
    default=Path(),
    help="The checkout that the detection is in; by default the current folder.",
)
@sandbox_options
@click.option("--upgrade", is_flag=True, help="Take the newest versions, not those of the lock that is there.")
@click.option("--check", "only_check", is_flag=True, help="Write nothing; exit with 1 where the lock is out of date.")
def lock(
    name: str, repository_folder: Path, sandbox: str | None, base_image: str | None, upgrade: bool, only_check: bool
) -> None:
    """Write requirements.lock for the detection NAME: its name, its id or its folder.

    The lock has exact versions with hashes, for the Python and platform of the sandbox that would run the detection.
    Commit it: a committed lock is used as it is.
    """
    files = read_directory(repository_folder).files
    detection = _find(name, load(files, root="").detections)
    path, settings = lock_path(detection), load_settings(files)[0]
    with progress("resolving"), locker(settings, sandbox=sandbox, base_image=base_image) as resolving:
        text = resolving.lock(detection, upgrade=upgrade)
    if only_check:
        sys.exit(_report(path, present(detection), text))
    header = f"# Written by `trapline lock {detection.name}` for Python {resolving.python} on {resolving.platform}.\n"
    _replace(repository_folder / path, header + text)
    say(f"{path}: {len(pins(text))} locked")


def _find(name: str, detections: tuple[Detection, ...]) -> Detection:
    found = [d for d in detections if name.rstrip("/") in (d.name, d.identity, d.path)]
    if not found:
        raise TraplineError(
            f"there is no detection {name!r} here, or it does not load",
            remedy="name it by its name, its id or its folder; `trapline validate` says what does not load",
        )
    if not found[0].requirements.strip():
        raise TraplineError(
            f"detection {found[0].name} has no {REQUIREMENTS_FILE}, so that there is nothing to lock",
            remedy=f"write {found[0].path}/{REQUIREMENTS_FILE}, one package a line",
        )
    return found[0]


def _report(path: str, before: str, resolved: str) -> int:
    """Says how the lock differs from what the requirements resolve to, keeping its versions; the exit code."""
    if not before:
        say(f"{path} is missing: write it with `trapline lock` and the detection's name", to=errors)
        return 1
    check(before, path=path)
    said = differences(before, resolved)
    for line in said:
        say(f"{path} {line}", to=errors)
    if not said:
        say(f"{path} is up to date")
    return int(bool(said))


def _replace(path: Path, text: str) -> None:
    """Writes the file whole or not at all."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        scratch.write_text(text)
        scratch.replace(path)
    except OSError as error:
        raise TraplineError(f"{path} cannot be written: {error.strerror}", remedy="correct the permissions") from error
    finally:
        scratch.unlink(missing_ok=True)

"""`trapline validate`: every problem of a repository of detections, or of a part of it, before it is merged."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import click

from trapline import suppressions
from trapline.alerts.destinations import build_destinations, make_tools
from trapline.alerts.plugins import load_plugins
from trapline.author.report import github, sarif
from trapline.cli.output import as_json, counted, print_json, print_problems, say
from trapline.clock import system_clock
from trapline.deploy.desired import Desired, read_desired
from trapline.detection.load import load
from trapline.detection.model import File
from trapline.errors import Problem, TraplineError, has_errors
from trapline.query.lake import Lake
from trapline.query.where import problems as where_problems
from trapline.settings import FILE_NAME, Settings, SettingsError
from trapline.source.worktree import read_directory

_OF_ALL = (FILE_NAME, suppressions.FILE_NAME)


@click.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True), default=Path())
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
    help="Look the tables up as the controller of this home does, and check the columns that `where` names.",
)
@click.option(
    "--format",
    "shape",
    type=click.Choice(["text", "json", "sarif", "github"]),
    default="text",
    show_default=True,
    help="How problems are said: for people, for programs, for code scanning, or as annotations of a GitHub workflow.",
)
@as_json
def validate(path: Path, home: Path | None, shape: str, as_json: bool) -> None:
    """Check PATH: a repository of detections, a folder of them, or one. The exit code is 1 where there is an error.

    Looks for trapline.yml at the repository's root; without one, tables and destinations are not checked.
    """
    root = root_of(path.resolve())
    tree = read_directory(root)
    found, count = _check(tree.files, tree.skipped, home, folder=_folder_of(root, path.resolve()))
    problems = sorted(found, key=lambda p: (p.path, p.line, p.column))
    _print(problems, count, "json" if as_json else shape, checkout=_checkout_of(root))
    sys.exit(1 if has_errors(problems) else 0)


def _print(problems: Sequence[Problem], count: int, shape: str, *, checkout: Path) -> None:
    """`checkout` is where the root of the detections lies in what was checked out: that is what others begin from."""
    placed = [replace(problem, path=(checkout / problem.path).as_posix()) for problem in problems]
    match shape:
        case "json":
            print_json({"detections": count, "problems": [asdict(problem) for problem in problems]})
        case "sarif":
            print_json(sarif(placed))
        case "github":
            for line in github(placed):
                click.echo(line)
        case _:
            print_problems(problems)
            errors = sum(problem.severity == "error" for problem in problems)
            warnings = len(problems) - errors
            say(f"{counted(count, 'detection')}, {counted(errors, 'error')}, {counted(warnings, 'warning')}")


def _check(
    files: Mapping[str, File], skipped: Sequence[str], home: Path | None, *, folder: str
) -> tuple[list[Problem], int]:
    """The problems under `folder`, and how many detections are there. The others are loaded too: names may clash."""
    if FILE_NAME in files:
        try:
            desired = read_desired("", files, fallback=None, env=os.environ, skipped=skipped)
        except SettingsError as error:
            problems, paths = _check_alone(files)
            problems += error.problems
        else:
            problems = [*desired.problems, *_destination_problems(desired.settings)]
            problems += desired.suppressions.expired(system_clock())
            if home is not None:
                problems += _column_problems(desired, home)
            paths = [detection.path for detection in desired.detections] + [held.path for held in desired.held]
    else:
        problems, paths = _check_alone(files)
    count = sum(_inside(path, folder) for path in paths)
    if not paths:
        raise TraplineError(
            "there are no detections here",
            remedy="a detection is a folder under detections/ with detect.py and detection.yml",
        )
    return [problem for problem in problems if problem.path in _OF_ALL or _inside(problem.path, folder)], count


def _check_alone(files: Mapping[str, File]) -> tuple[list[Problem], list[str]]:
    """The detections by themselves, with the paths of their folders: no tables and destinations to hold them to."""
    loaded = load(files, root="detections" if _has_folder(files, "detections") else "")
    return list(loaded.problems), [detection.path for detection in loaded.detections] + list(loaded.broken)


def _destination_problems(settings: Settings) -> list[Problem]:
    tools = make_tools(system_clock, lambda _: None)
    with tools.http:
        problems = build_destinations(settings, load_plugins(), env=os.environ, tools=tools, ask_aws=False)[1]
    # Whether the secrets are there is a question to the machine that delivers; loading has warned of it.
    return [problem for problem in problems if problem.code != "secret-missing"]


def _column_problems(desired: Desired, home: Path) -> list[Problem]:
    settings = desired.settings
    with closing(Lake(settings, home=home, scope="validate", now=system_clock)) as lake:
        return [problem for one in desired.detections for problem in where_problems(one, lake, settings)]


def root_of(path: Path) -> Path:
    """The repository's root: the nearest folder upwards with a trapline.yml, a .git or a detections/; else the path."""
    start = path if path.is_dir() else path.parent
    for folder in (start, *start.parents):
        if any((folder / name).exists() for name in (FILE_NAME, ".git", "detections")):
            return folder
    return start


def _checkout_of(root: Path) -> Path:
    """The root, from where its repository begins; nothing where it is in none."""
    for folder in (root, *root.parents):
        if (folder / ".git").exists():
            return root.relative_to(folder)
    return Path()


def _folder_of(root: Path, path: Path) -> str:
    folder = path if path.is_dir() else path.parent
    return "" if folder == root else folder.relative_to(root).as_posix()


def _has_folder(files: Mapping[str, File], name: str) -> bool:
    return any(path.startswith(f"{name}/") for path in files)


def _inside(path: str, folder: str) -> bool:
    return not folder or path == folder or path.startswith(f"{folder}/")

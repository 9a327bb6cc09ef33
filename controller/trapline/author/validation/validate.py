"""All that can be said of a repository of detections, or of a part of it, without running anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

from trapline import suppressions
from trapline.author.checkout import Checkout, nothing_here
from trapline.author.packs import packs_of
from trapline.author.validation.advice import advise
from trapline.author.validation.advice.schemas import Schemas
from trapline.clock import Clock
from trapline.delivery.destinations import build_destinations, make_tools
from trapline.delivery.plugins import load_plugins
from trapline.deploy.desired import read_desired, requirement_problems
from trapline.detection.check import check
from trapline.detection.lint import lint_shared
from trapline.detection.load import collection_paused
from trapline.detection.model import Detection, File
from trapline.detection.shared import shared_files
from trapline.errors import Problem, has_errors
from trapline.query.lake import Lake
from trapline.query.where import problems as where_problems
from trapline.requirements.lock import LOCK_FILE
from trapline.settings import FILE_NAME, Settings, SettingsError

_OF_ALL = (FILE_NAME, suppressions.FILE_NAME)


@dataclass(frozen=True, slots=True)
class Validated:
    """What was found, in the order of the files. `detections` are those asked about that load; `count` is of all."""

    problems: Sequence[Problem]
    detections: Sequence[Detection]
    count: int

    @property
    def unlocked(self) -> Sequence[Detection]:
        """Those whose requirements are resolved when they are deployed, and no sooner."""
        return [one for one in self.detections if one.requirements.strip() and LOCK_FILE not in one.files]


def validate(checkout: Checkout, *, home: Path | None, env: Mapping[str, str], now: Clock) -> Validated:
    """Looks at what is asked about. Tables are looked up as the controller of `home` does, where that is given.

    Raises TraplineError where there is no detection.
    """
    if FILE_NAME in checkout.tree.files:
        problems, paths = _with_settings(checkout, env=env, now=now)
    else:
        problems, paths = _alone(checkout)
    asked = [path for path in paths if checkout.asks_about(path)]
    detections = [one for one in checkout.loaded.detections if one.path in asked]
    shared = {path: file for path, file in shared_files(checkout.tree.files).items() if checkout.asks_about(path)}
    problems += _of_shared(shared)
    # What a detection imports is its own affair, wherever it lies.
    about = {problem for path in asked for problem in checkout.loaded.broken.get(path, ())}
    found = [one for one in problems if one in about or one.path in _OF_ALL or checkout.asks_about(one.path)]
    found += _advice(detections, checkout.settings, home=home, now=now)
    unread = any(one.code == "pack-not-read" for one in found)
    if not (asked or shared or unread or has_errors(found)):
        raise nothing_here(checkout.settings.packs)
    return Validated(in_order(found), detections, len(asked))


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """By file, line and column, each once."""
    return sorted(dict.fromkeys(problems), key=lambda one: (one.path, one.line, one.column))


def _with_settings(checkout: Checkout, *, env: Mapping[str, str], now: Clock) -> tuple[list[Problem], list[str]]:
    """The problems that a controller would have with a commit of this, and the folders of the detections."""
    tree = checkout.tree
    try:
        packs = packs_of(checkout)
        desired = read_desired("", tree.files, fallback=None, env=env, skipped=tree.skipped, packs=packs)
    except SettingsError as error:
        problems, paths = _alone(checkout)
        return [*problems, *error.problems], paths
    problems = [*desired.problems, *_of_destinations(desired.settings, env, now), *desired.suppressions.expired(now())]
    return problems, [detection.path for detection in desired.detections] + [held.path for held in desired.held]


def _alone(checkout: Checkout) -> tuple[list[Problem], list[str]]:
    """The same of detections by themselves: there are no tables and destinations to hold them to."""
    loaded = checkout.loaded
    problems = list(loaded.problems)
    for detection in loaded.detections:
        named = detection.config
        problems += check(detection, tables=named.tables, destinations=named.alert.destinations)
        problems += requirement_problems(detection)
    return problems, [detection.path for detection in loaded.detections] + list(loaded.broken)


def _of_shared(files: Mapping[str, File]) -> Iterator[Problem]:
    for path, file in files.items():
        if path.endswith(".py") and not file.absent:
            yield from lint_shared(path, file.content)


def _of_destinations(settings: Settings, env: Mapping[str, str], now: Clock) -> list[Problem]:
    tools = make_tools(now, lambda _: None)
    with tools.http:
        problems = build_destinations(settings, load_plugins(), env=env, tools=tools, ask_aws=False)[1]
    # Whether the secrets are there is a question to the machine that delivers; loading has warned of it.
    return [problem for problem in problems if problem.code != "secret-missing"]


def _advice(detections: Iterable[Detection], settings: Settings, *, home: Path | None, now: Clock) -> Iterator[Problem]:
    with ExitStack() as ends:
        ends.enter_context(collection_paused())
        lake = Lake(settings, home=home, scope="validate", now=now) if home else None
        if lake:
            ends.enter_context(closing(lake))
        schemas = Schemas(settings, lake)
        for detection in detections:
            yield from advise(detection, schemas)
            for problem in where_problems(detection, schemas, settings):
                # What a table is made like is no proof of what it is like.
                yield problem if lake else replace(problem, severity="warning")

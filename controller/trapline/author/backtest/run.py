"""A backtest: detections of a checkout over a past window, with what each of them would have said."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from trapline.author.checkout import Checkout, nothing_here
from trapline.author.history.run import History, Version, history, lake_of
from trapline.author.history.summary import Summary, price_of, summarise
from trapline.author.packs import packs_of
from trapline.author.workshop import Workshop
from trapline.clock import system_clock
from trapline.deploy.desired import Desired, Held, read_desired
from trapline.detection.model import Detection
from trapline.errors import TraplineError
from trapline.settings import FILE_NAME
from trapline.window import Window


@dataclass(frozen=True, slots=True)
class NotRun:
    """A detection that could not be run at all, by its folder, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Backtest:
    """What came of it, most alerts first. `price` is in US dollars, `sandbox` the name of the backend."""

    history: History
    summaries: Sequence[Summary]
    not_run: Sequence[NotRun]
    price: float
    sandbox: str

    @property
    def window(self) -> Window:
        return self.history.window

    @property
    def troubled(self) -> bool:
        """Whether somebody has to look at it: something was not run whole, or failed on a record."""
        return bool(self.not_run) or any(one.past.troubled for one in self.summaries)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What of a checkout is asked for: detections as they would be deployed, and those that could not be."""

    desired: Desired
    detections: Sequence[Detection]
    held: Sequence[Held]


def choose(checkout: Checkout, names: Sequence[str]) -> Chosen:
    """The detections of these names, ids or paths; without any, those that the checkout asks about.

    What a pack offers and nobody uses yet has to be named.

    Raises TraplineError where there is none of a name, or trapline.yml is of no use.
    """
    tree = checkout.tree
    if FILE_NAME not in tree.files:
        remedy = f"add {FILE_NAME} at its root, with `tables:`; `trapline validate` says what else is wrong"
        raise TraplineError(f"{checkout.root} has no {FILE_NAME}, so that no table is known", remedy=remedy)
    packs = packs_of(checkout)
    desired = read_desired(tree.revision, tree.files, fallback=None, env=os.environ, skipped=tree.skipped, packs=packs)
    detections = [*desired.detections, *(desired.offered if names else ())]
    none = not detections and not desired.held
    for pack in desired.packs:
        if pack.unread and (none or any(name.startswith(f"{pack.name}/") for name in names)):
            raise TraplineError(pack.problems[0].message, remedy=pack.problems[0].remedy)
    if none:
        raise nothing_here(checkout.settings.packs)
    known = {one.path: {one.name, one.identity} for one in detections}
    known |= {one.path: {one.identity or ""} for one in desired.held}
    if names:
        paths = {path for name in names for path in checkout.named(name, known)}
    else:
        paths = {path for path in known if checkout.asks_about(path)}
        if not paths:
            raise nothing_here()
    return Chosen(
        desired,
        [one for one in detections if one.path in paths],
        [one for one in desired.held if one.path in paths],
    )


def backtest(
    chosen: Chosen,
    window: Window,
    *,
    checkout: Checkout,
    home: Path,
    workshop: Workshop,
    most_bytes: int | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Backtest:
    """Builds and runs them. What one of them fails on is in the result; nothing of it is raised."""
    settings = chosen.desired.settings
    with ThreadPoolExecutor(os.cpu_count(), "build") as threads:
        built = list(threads.map(lambda detection: _built(detection, workshop), chosen.detections))
    versions = [one for one in built if isinstance(one, Version)]
    with closing(lake_of(checkout, home, system_clock)) as lake:
        found = history(
            versions,
            window,
            lake=lake,
            workshop=workshop,
            settings=settings,
            suppressions=chosen.desired.suppressions,
            most_bytes=most_bytes,
            on_progress=on_progress,
        )
    summaries = [summarise(past, window, settings) for past in found.pasts.values()]
    summaries.sort(key=lambda one: (-len(one.past.alerts), -one.past.matches, one.past.version.detection.name))
    not_run = [NotRun(one.path, str(next(p for p in one.problems if p.severity == "error"))) for one in chosen.held]
    not_run += [one for one in built if isinstance(one, NotRun)]
    return Backtest(found, summaries, not_run, price_of(found.read, settings), workshop.builder.backend.name)


def _built(detection: Detection, workshop: Workshop) -> Version | NotRun:
    try:
        return Version(detection.identity, detection, workshop.build(detection))
    except TraplineError as error:
        return NotRun(detection.path, str(error))

"""A reconcile that finds nothing to do, which is nearly every one: how it grows with the number of detections."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from unittest import mock

from tests.bench.detections import make_files
from tests.bench.ground import Ground, controller, ground, reconcile
from tests.bench.loading import forget
from tests.bench.measure import Result, Way, timed
from trapline.controller import Controller
from trapline.deploy.build import Builder
from trapline.source.git import Mirror


def measure(*, quick: bool) -> Result:
    """A real repository, mirror, database and process backend; with few detections, then with ten times as many."""
    few, many, runs = (3, 30, 1) if quick else (100, 1_000, 5)
    with ground() as made, controller(made, sandbox="process") as running:
        _deploy(made, running, few, start=0)
        first = timed(_ways(made, running, few, letters="AB"), runs=runs)
        _deploy(made, running, many - few, start=few)
        ways = [*_ways(made, running, many, letters="CD", smaller="B"), *_others(made, running, many)]
        grown = timed(ways, runs=runs)
    return Result(
        "A reconcile that finds nothing to do",
        "detections",
        [*first, *grown],
        note=f"D against B is the growth: 1.00 × B is {many // few} times the work in {many // few} times the time.",
    )


def _deploy(made: Ground, running: Controller, count: int, *, start: int) -> None:
    """Deploys so many more, without trying each one out: what that takes is another benchmark."""
    made.write(make_files(count, start=start))
    made.commit()
    made.push()
    with mock.patch.object(Builder, "smoke"):
        report = running.reconcile()
    assert report.count("deployed") == count, [outcome for outcome in report.outcomes if outcome.message][:3]


def _ways(made: Ground, running: Controller, count: int, *, letters: str, smaller: str = "") -> list[Way]:
    def read() -> None:
        mirror = Mirror(made.url, made.home / "mirror.git")
        mirror.read(mirror.fetch())

    return [
        Way(what=f"git fetch and read alone, {count:,} detections", count=count, work=read, letter=letters[0]),
        Way(
            what=f"reconcile, {count:,} detections",
            count=count,
            work=lambda: reconcile(running, "unchanged", count),
            letter=letters[1],
            against=f"{smaller}{letters[0]}",
        ),
    ]


def _others(made: Ground, running: Controller, count: int) -> Iterator[Way]:
    numbers = itertools.count()
    yield Way(
        what="the first of a controller that was just started",
        count=count,
        before=forget,
        work=lambda: _first(made, count),
        against="C",
    )

    def change() -> None:
        made.append("detections/detection_0/detect.py", f"# {next(numbers)}\n")
        made.commit()
        made.push()

    yield Way(
        what="after a commit that changes one of them",
        count=count,
        before=change,
        work=lambda: _updated(running),
        against="D",
    )


def _first(made: Ground, count: int) -> None:
    with Controller(made.options(sandbox="process"), on_progress=lambda _: None) as started:
        reconcile(started, "unchanged", count)


def _updated(running: Controller) -> None:
    assert running.reconcile().count("updated") == 1

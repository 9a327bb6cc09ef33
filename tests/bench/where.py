"""Where the time of a push goes, once the controller has its hint: the steps of one reconcile, with Docker."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from time import perf_counter
from typing import Any
from unittest import mock

from tests.bench.detections import make_files
from tests.bench.ground import controller, ground, need_docker
from tests.bench.measure import Result, Timed, Way, timed
from trapline.deploy.build import Builder
from trapline.deploy.ledger import Ledger
from trapline.deploy.survey import Surveyor
from trapline.source.git import Mirror

# What does not overlap; together nearly all that happens before a version is live.
_STEPS: dict[str, tuple[tuple[type, str], ...]] = {
    "git: fetch, and whether it follows": ((Mirror, "fetch"), (Mirror, "verify"), (Mirror, "follows")),
    "read and load the commit, look at what there is": ((Mirror, "read"), (Surveyor, "look")),
    "build the image": ((Builder, "lock"), (Builder, "build")),
    "smoke: start a container, run its tests, end it": ((Builder, "smoke"),),
    "promote": ((Ledger, "promote"),),
}


def measure(*, quick: bool) -> Result:
    """A commit that changes one rule of ten, reconciled in this process."""
    need_docker()
    detections, runs = (2, 1) if quick else (10, 10)
    spent: dict[str, list[float]] = {step: [] for step in _STEPS}
    numbers = count()
    with ground() as made, controller(made, sandbox="docker") as running:
        made.write(make_files(detections))
        made.commit()
        made.push()
        running.reconcile()

        def change() -> None:
            made.append("detections/detection_0/detect.py", f"# {next(numbers)}\n")
            made.commit()
            made.push()

        def work() -> None:
            with _clocked() as taken:
                report = running.reconcile()
            assert report.count("updated") == 1
            assert taken.keys() == _STEPS.keys()  # what is called otherwise by now has not been measured
            for step in _STEPS:
                spent[step].append(taken[step])

        [whole] = timed([Way(what="the whole reconcile", work=work, before=change, letter="A")], runs=runs)
    steps = [Timed(_part(step), times) for step, times in spent.items()]
    rest = [taken - sum(parts) for taken, *parts in zip(whole.times, *spent.values(), strict=True)]
    after = Timed(_part("the rest, most of it after: removing what nothing needs any more"), rest)
    return Result("Where a push's time goes: one changed rule, Docker", "", [whole, *steps, after], parts=True)


def _part(what: str) -> Way:
    return Way(what=what, work=lambda: None, against="A")


@contextmanager
def _clocked() -> Iterator[dict[str, float]]:
    """How long each step takes while the context lasts."""
    taken: dict[str, float] = defaultdict(float)

    def clocked(step: str, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def wrapped(*arguments: Any, **named: Any) -> Any:
            start = perf_counter()
            try:
                return original(*arguments, **named)
            finally:
                taken[step] += perf_counter() - start

        return wrapped

    with ExitStack() as ends:
        for step, methods in _STEPS.items():
            for owner, name in methods:
                ends.enter_context(mock.patch.object(owner, name, clocked(step, getattr(owner, name))))
        yield taken

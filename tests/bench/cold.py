"""A cold deploy: a new home, a full repository, until everything in it is live."""

from __future__ import annotations

import os
from collections.abc import Callable
from unittest import mock

from tests.bench.by_hand import ByHand, by_hand
from tests.bench.detections import make_files
from tests.bench.ground import controller, ground, need_docker, reconcile
from tests.bench.measure import Result, Timed, Way, timed
from trapline.controller import Controller
from trapline.settings import Settings
from trapline.workers.interface import Limits, Rule

COUNT = 200
PART = 20  # how many the baseline does, and the deploy that has one thread
_THREADS = os.cpu_count() or 1


def measure_process(*, quick: bool) -> Result:
    """Against starting a worker of each detection, and nothing more."""
    many, few = (6, 3) if quick else (COUNT, PART)
    baseline = f"start a worker of each of {few}, one at a time"
    return _measure("process", many, few, baseline, _start_each)


def measure_docker(*, quick: bool) -> Result:
    """Against `docker build` and `docker run` of each detection."""
    need_docker()
    many, few = (4, 2) if quick else (COUNT, PART)
    with by_hand() as hand:
        baseline = f"docker build, docker run of each of {few}, one at a time"
        return _measure("docker", many, few, baseline, lambda _: _build_each(hand, few))


def _measure(sandbox: str, many: int, few: int, baseline: str, work: Callable[[Controller], None]) -> Result:
    """`work` is given a controller that has deployed the few."""
    with ground() as made, controller(made, sandbox=sandbox) as running:
        made.write(make_files(few))
        made.commit()
        made.push()
        slow = _deploy(running, few, threads=1, letter="B", against="A")
        alone = timed([Way(what=baseline, count=few, work=lambda: work(running), letter="A")], runs=1)
    with ground() as made, controller(made, sandbox=sandbox) as running:
        made.write(make_files(many))
        made.commit()
        made.push()
        fast = _deploy(running, many, threads=_THREADS, against="AB")
    return Result(f"A cold deploy of {many} detections, {sandbox} backend", "detections", [*alone, *slow, *fast])


def _deploy(running: Controller, count: int, *, threads: int, letter: str = "", against: str) -> list[Timed]:
    way = Way(
        what=f"deploy {count}, {threads} at a time",
        count=count,
        work=lambda: reconcile(running, "deployed", count),
        letter=letter,
        against=against,
    )
    with mock.patch("os.cpu_count", return_value=threads):
        return timed([way], runs=1)


def _start_each(running: Controller) -> None:
    reconciler = running.reconciler()
    backend = reconciler.house.backend_for(Settings())
    for change in reconciler.survey(running.memory.source().revision).plan():
        assert change.detection and change.version
        rule = Rule(change.name, change.detection.script, change.detection.mode.value)
        backend.start(change.version.build, rule, Limits()).close()


def _build_each(hand: ByHand, count: int) -> None:
    for number in range(count):
        hand.write("detection/detect.py", f"NUMBER = {number}\n")
        hand.build_and_run()

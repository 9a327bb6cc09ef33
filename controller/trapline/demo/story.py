"""The demonstration: a whole trapline in one folder, run over a few hours of deliveries in a few seconds."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import git
import yaml

from trapline.controller import Controller
from trapline.demo.attacks import happen, of_the_story
from trapline.demo.generate import Planted, deliver, generate
from trapline.deploy.reconcile import Report
from trapline.detection import shared
from trapline.errors import TraplineError
from trapline.run.recorder import TickReport
from trapline.tables.imports import ImportResult, import_cloudtrail

TICKS = 6
TABLE = "aws_cloudtrail"
LANDING = ("public_s3_bucket_policy", "audit_log_tampering")
"""The attacks that happen while the demonstration listens, by the detections that find them."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The demonstration's folder, filled: a table, a repository, and what was planted in the table."""

    home: Path
    repository: Path
    imported: ImportResult
    planted: tuple[Planted, ...]

    @property
    def span(self) -> tuple[datetime, datetime]:
        if self.imported.first is None or self.imported.last is None:
            raise TraplineError("there are no events to run over", remedy="name a folder with CloudTrail deliveries")
        return self.imported.first.replace(microsecond=0), self.imported.last.replace(microsecond=0) + timedelta(
            seconds=1
        )


class Clock:
    """A clock that the demonstration moves by hand, so that hours pass in seconds."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


def set_up(
    home: Path,
    *,
    cloudtrail: Path | None,
    detections: Path,
    sandbox: Mapping[str, str],
    seed: int,
    end: datetime,
    on_progress: Callable[[str], None],
    realtime: bool = False,
) -> Stage:
    """Fills an empty home: deliveries (made up, or the real ones in `cloudtrail`), the table, the repository.

    `sandbox` is what its trapline.yml says under that name. In `realtime` only the detections of the story are there,
    and see what lands after the end of what is made up.
    """
    planted: tuple[Planted, ...] = ()
    source = cloudtrail
    if source is None:
        on_progress("making up deliveries with planted attacks")
        source = home / "deliveries"
        planted = tuple(generate(source, seed=seed, end=end))
    on_progress(f"importing {source}")
    imported = import_cloudtrail(source, home / "lake" / TABLE)
    stage = Stage(home, home / "repository", imported, planted)
    _make_repository(stage, detections, sandbox, realtime=realtime)
    return stage


def land(stage: Stage, detection: str, *, seed: int, at: datetime) -> Planted:
    """Has an attack happen now: its delivery is imported, so that a file appears in the folder of the table."""
    rng = Random(seed)  # noqa: S311  a demonstration wants repeatable numbers, not secret ones
    planted, events = happen(detection, rng, at)
    arrived = stage.home / "arriving" / detection
    deliver(arrived, rng, events)
    import_cloudtrail(arrived, stage.home / "lake" / TABLE)
    return planted


def run(stage: Stage, controller: Controller, clock: Clock, on_tick: Callable[[datetime, TickReport], None]) -> Report:
    """One reconcile, then a few ticks that walk through the hours; alerts are delivered after each."""
    first, last = stage.span
    report = controller.reconcile()
    for number in range(1, TICKS + 1):
        clock.at = first + timedelta(seconds=round((last - first).total_seconds() * number / TICKS))
        tick = controller.tick()
        on_tick(clock.at, tick)
        controller.deliver()
    return report


def _make_repository(stage: Stage, detections: Path, sandbox: Mapping[str, str], *, realtime: bool) -> None:
    if not detections.is_dir():
        raise TraplineError(
            f"there are no detections at {detections}",
            remedy="run the demo in a checkout of Trapline, or name a folder with --detections",
        )
    first, last = stage.span
    settings: dict[str, Any] = {
        "tables": {"aws_cloudtrail": {"path": "lake/aws_cloudtrail", "partition": "day"}},
        "destinations": {"terminal": {"type": "console"}},
        "default_destinations": ["terminal"],
        "schedule": {
            "every": max(60, int((last - first).total_seconds() / TICKS)),
            "start": last if realtime else first,
        },
    }
    if sandbox:
        settings["sandbox"] = dict(sandbox)
    stage.repository.mkdir()
    for name, folder in (("detections", detections), (shared.FOLDER, detections.parent / shared.FOLDER)):
        if folder.is_dir():
            shutil.copytree(folder, stage.repository / name, ignore=shutil.ignore_patterns("__pycache__"))
    if realtime:
        _see_what_lands(stage.repository / "detections")
    text = "# Made by `trapline demo`. Paths are relative to the controller's home.\n" + yaml.safe_dump(
        settings, sort_keys=False
    )
    (stage.repository / "trapline.yml").write_text(text)
    with git.Repo.init(stage.repository, initial_branch="main") as repository:
        repository.git.add(all=True)
        author = git.Actor("Trapline demo", "demo@example.com")
        repository.index.commit("Start with the official pack", author=author, committer=author)


def _see_what_lands(detections: Path) -> None:
    """Leaves the detections of the story alone, and has them see what lands: one line in the config of each."""
    for folder in detections.iterdir():
        if folder.name not in of_the_story():
            shutil.rmtree(folder)
            continue
        for config, line in (("detection.yml", "realtime: true\n"), ("detection.toml", "realtime = true\n")):
            if (path := folder / config).exists():
                path.write_text(line + path.read_text())

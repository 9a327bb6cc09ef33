"""A reconcile that finds nothing to do, which is nearly every one: how it grows with the number of detections."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import git

from tests.bench.detections import make_files
from tests.bench.measure import Result, Timed, Way, timed
from trapline.controller import Controller, Options
from trapline.source.git import Mirror

_SETTINGS = "tables: {events: {path: events}}\n"
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def measure(*, quick: bool) -> Result:
    """A real repository, mirror, database and process backend; with few detections, then with six times as many."""
    few, many, runs = (5, 30, 1) if quick else (50, 300, 5)
    with TemporaryDirectory(prefix="trapline-bench-") as folder:
        home = Path(folder) / "home"
        repository = Path(folder) / "repository"
        repository.mkdir()
        (repository / "trapline.yml").write_text(_SETTINGS)
        git.Repo.init(repository, initial_branch="main").close()
        options = Options(home, str(repository), sandbox="process")
        with Controller(options, now=lambda: _NOW, on_progress=lambda _: None) as controller:
            _deploy(controller, repository, few, start=0)
            first = _measure(controller, options, few, letters="AB", against="A", runs=runs)
            _deploy(controller, repository, many - few, start=few)
            grown = _measure(controller, options, many, letters="CD", against="BC", runs=runs)
    return Result(
        "A reconcile that finds nothing to do",
        "detections",
        [*first, *grown],
        note="Above 1.00 × B it grows more slowly than the number of detections; below, faster.",
    )


def _deploy(controller: Controller, repository: Path, count: int, *, start: int) -> None:
    for path, file in make_files(count, start=start).items():
        target = repository / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
    with git.Repo(repository) as repo:
        repo.git.add(all=True)
        author = git.Actor("Bench", "bench@example.com")
        repo.index.commit(f"Add {count} detections", author=author, committer=author)
    report = controller.reconcile()
    assert report.count("deployed") == count, [outcome for outcome in report.outcomes if outcome.message][:3]


def _measure(
    controller: Controller, options: Options, count: int, *, letters: str, against: str, runs: int
) -> list[Timed]:
    mirror = Mirror(options.repository, options.home / "mirror.git", ref=options.ref)
    ways = [
        Way(
            what=f"git fetch and read alone, {count:,} detections",
            count=count,
            work=lambda: mirror.read(mirror.fetch()),
            letter=letters[0],
        ),
        Way(
            what=f"reconcile, {count:,} detections",
            count=count,
            work=lambda: _no_op(controller, count),
            letter=letters[1],
            against=against,
        ),
    ]
    return timed(ways, runs=runs)


def _no_op(controller: Controller, count: int) -> None:
    report = controller.reconcile()
    assert report.count("unchanged") == count, [outcome for outcome in report.outcomes if outcome.action != "unchanged"]

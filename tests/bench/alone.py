"""Feeds in a process that does nothing else, so that its memory is theirs: how long they take, and what they hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from tests.bench.baselines import Found
from tests.bench.feeds import counted, feeds, found_by
from tests.bench.kernel import families, memory, peak
from tests.bench.lake import Lake

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Task:
    """Rules to be fed a lake so many times, in a sandbox by its name; `auto` is the strongest that works here.

    `first` is how many records what was found is told of.
    """

    lake: Lake
    sources: list[str]
    sandbox: str
    runs: int
    first: int


@dataclass(frozen=True, slots=True)
class Done:
    """How long each feed took, and how much memory there was: of this process, and of each worker that is warm.

    `found` is what was found among the first records, `matches` are all.
    """

    sandbox: str
    seconds: list[float]
    matches: int
    found: Found
    before: int
    peak: int
    workers: list[int]


def run_alone(task: Task) -> Done:
    """In a new process, so that nothing of this one counts."""
    command = [sys.executable, "-m", "tests.bench.alone"]
    asked = json.dumps(asdict(task), default=str)
    answer = subprocess.run(command, cwd=_ROOT, input=asked, stdout=subprocess.PIPE, check=True, text=True).stdout
    values = json.loads(answer)
    return Done(**{**values, "found": {(number, id) for number, id in values["found"]}})


def _run(task: Task) -> Done:
    with feeds(task.sandbox) as here:
        members = here.deploy(task.sources)
        before, seconds = memory(os.getpid(), "Rss"), []
        for _ in range(task.runs):
            start = perf_counter()
            findings = here.feed(task.lake, members)
            seconds.append(perf_counter() - start)
        workers = [peak(family.worker) for family in families(here.backend.name, here.label)]
        found = found_by(findings, first=task.first)
        return Done(here.backend.name, seconds, counted(findings), found, before, peak(), workers)


def _main() -> None:
    values: dict[str, Any] = json.load(sys.stdin)
    lake = values["lake"]
    done = _run(Task(**{**values, "lake": Lake(**{**lake, "home": Path(lake["home"])})}))
    json.dump({**asdict(done), "found": sorted(done.found)}, sys.stdout)


if __name__ == "__main__":
    _main()

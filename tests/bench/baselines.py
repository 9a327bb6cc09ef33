"""The ways in which engines that make dicts run rules: what Trapline's way of a record is compared with.

Each gives the matches as (number of the rule, id of the record), and works out what an alert says of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

from tests.bench.lake import Event, Lake
from tests.bench.measure import Way

Found = set[tuple[int, str]]
_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Script:
    """A rule in this process, as peers run theirs."""

    detect: Callable[[Event], Any]
    title: Callable[[Event], Any]
    dedupe: Callable[[Event], Any]

    @classmethod
    def of(cls, source: str) -> Script:
        namespace: dict[str, Any] = {}
        exec(source, namespace)
        return cls(namespace["detect"], namespace["title"], namespace["dedupe"])

    def said(self, event: Event) -> str:
        """What an alert needs of a match."""
        self.title(event)
        self.dedupe(event)
        return str(event["event"]["id"])


def in_process(events: Iterable[Event], scripts: Sequence[Script]) -> Found:
    """One rule after the other, on one record after the other."""
    found: Found = set()
    for event in events:
        for number, script in enumerate(scripts):
            if script.detect(event):
                found.add((number, script.said(event)))
    return found


def by_futures(events: Iterable[Event], scripts: Sequence[Script], threads: ThreadPoolExecutor) -> Found:
    """A future of a thread pool for each record and rule."""

    def run(number: int, script: Script, event: Event) -> tuple[int, str] | None:
        return (number, script.said(event)) if script.detect(event) else None

    found: Found = set()
    for some in _chunks(iter(events)):
        futures = [
            threads.submit(run, number, script, event) for event in some for number, script in enumerate(scripts)
        ]
        found.update(one for future in futures if (one := future.result()) is not None)
    return found


def json_lines(lake: Lake, scripts: Sequence[Script], lines: int, letter: str) -> Way:
    """What peers do, as a baseline: every record is decoded, over so many."""
    rules = "rule" if len(scripts) == 1 else f"{len(scripts):,} rules"
    return Way(
        what=f"JSON lines, json.loads, dict, {rules} in-process ({lines:,})",
        count=lines,
        work=lambda: in_process(lake.events(lines), scripts),
        letter=letter,
    )


def _chunks(events: Iterator[Event]) -> Iterator[list[Event]]:
    while some := list(islice(events, _AT_ONCE)):
        yield some

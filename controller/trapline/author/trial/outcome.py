"""What came of a trial: the matches of a rule in samples of its tables, the alerts they would make, the near misses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from trapline.alerts.lifecycle import Moment, assign
from trapline.author.trial.near import NearMiss
from trapline.author.trial.sample import Sample
from trapline.detection.inference.predicate import Path
from trapline.detection.model import Detection
from trapline.workers.answer import Answer
from trapline.workers.interface import FailureReply
from trapline.workers.wire import full_records


@dataclass(frozen=True, slots=True)
class Found:
    """A match: its record's number, None where a rule in the batch format named none, its time and what it says.

    One that is `suppressed`, by suppressions.yml, joins no alert.
    """

    number: int | None
    at: datetime
    answer: Answer
    suppressed: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """A record that the rule failed on, by its number; None where it concerns no single one."""

    number: int | None
    failure: FailureReply


@dataclass(frozen=True, slots=True)
class Opened:
    """An alert that would have been opened, with all of its matches, oldest first."""

    dedupe: str
    end: datetime
    matches: tuple[Found, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it. Records have numbers, from 1 on through all samples, which stay while the samples stay.

    `decisive` are the paths that the rule looks at, None where they are not known; `untold` says why there are no near
    misses to tell of. It is not `complete` where the rule failed so often that it was stopped. `windows` are those
    that a rule in the batch format was shown.
    """

    detection: Detection
    samples: tuple[Sample, ...]
    matches: tuple[Found, ...]
    failures: tuple[Failed, ...]
    alerts: tuple[Opened, ...]
    near: tuple[tuple[Sample, NearMiss], ...]
    decisive: tuple[Path, ...] | None
    untold: str
    complete: bool
    windows: int
    log: str
    seconds: float

    @property
    def records(self) -> int:
        return sum(sample.count for sample in self.samples)

    def number(self, sample: Sample, row: int) -> int:
        """The number of a row of a sample."""
        before = self.samples[: self.samples.index(sample)]
        return 1 + row + sum(each.count for each in before)

    def at(self, number: int) -> tuple[Sample, pa.RecordBatch] | None:
        """The record with a number, and the sample that it is of; None where there is none."""
        row = number - 1
        for sample in self.samples:
            if 0 <= row < sample.count:
                return sample, sample.records.slice(row, 1)
            row -= sample.count
        return None

    def record(self, number: int) -> dict[str, Any]:
        """The record with a number, as plain values."""
        found = self.at(number)
        assert found is not None  # whoever asks has the number from here
        return full_records(found[1], [0])[0]

    def decided(self, record: Mapping[str, Any], among: Sequence[Path] | None = None) -> list[tuple[str, Any]]:
        """What a record has at the paths that the rule looks at, or at these."""
        asked = among if among is not None else self.decisive or ()
        return [(".".join(path), value_at(record, path)) for path in asked]


def alerts_of(detection: Detection, matches: Iterable[Found]) -> list[Opened]:
    """The alerts that these matches alone would open, by event time."""
    alert, by_key = detection.config.alert, defaultdict[str, list[Found]](list)
    for found in matches:
        by_key[found.answer.dedupe].append(found)
    opened = []
    for dedupe, group in by_key.items():
        moments = [Moment(found.at, f"{at:09}") for at, found in enumerate(group)]
        for span in assign(moments, pending=(), known=(), threshold=alert.threshold, window=alert.window):
            joined = tuple(group[int(moment.match_id)] for moment in sorted(span.joined))
            opened.append(Opened(dedupe, span.end, joined))
    return sorted(opened, key=lambda one: one.matches[0].at)


def value_at(record: Mapping[str, Any], path: Path) -> Any:
    """What lies at a path, None where nothing does."""
    value: Any = record
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value

"""Where rules are tried: a rule is run over samples of its tables as a tick would run it, in workers that stay warm."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import accumulate
from time import perf_counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from trapline.author.trial.near import NearMiss, near_misses, parts_of
from trapline.author.trial.outcome import Failed, Found, Trial, alerts_of
from trapline.author.trial.sample import Sample
from trapline.author.workshop import Workshop
from trapline.detection.inference.infer import Inferred, infer
from trapline.detection.inference.predicate import TRUE, Path, paths
from trapline.detection.inference.reads import reads_of
from trapline.detection.model import Detection, Mode
from trapline.query.masks import masks
from trapline.run.sift import taken
from trapline.schedule import Every
from trapline.settings import Settings
from trapline.suppressions import Suppressions
from trapline.workers.answer import complete
from trapline.workers.interface import BatchReply, BuildDigest, Limits, MatchReply, ProbeReply, Rule
from trapline.workers.limits import limits_of
from trapline.workers.poison import run_each
from trapline.workers.pool import Pool
from trapline.workers.wire import full_records
from trapline_sandbox.record import jsonable

EXAMPLES = 3
_TOGETHER = 8_192
"""So many records are given to a worker at a time, as in a tick."""


@dataclass(slots=True)
class _Heard:
    """What a rule said of one sample."""

    sample: Sample
    replies: list[tuple[int | None, MatchReply]] = field(default_factory=list)
    matches: list[Found] = field(default_factory=list)
    failures: list[Failed] = field(default_factory=list)
    spoken_of: set[int] = field(default_factory=set)
    complete: bool = True
    shown: int = 0
    log: str = ""

    def near(self, inferred: Inferred) -> Iterator[tuple[Sample, NearMiss]]:
        for one in near_misses(self.sample.records, inferred, spoken_of=sorted(self.spoken_of), examples=EXAMPLES):
            yield self.sample, one


class Bench:
    """Where rules are tried: workers of what a workshop built, kept while the same is tried again."""

    def __init__(self, workshop: Workshop, settings: Settings, suppressions: Suppressions) -> None:
        self._workshop = workshop
        self._settings = settings
        self._suppressions = suppressions
        self._pool = Pool(workshop.builder.backend)
        self.built: set[BuildDigest] = set()

    def close(self) -> None:
        self._pool.close()

    def probe(self, detection: Detection, record: pa.RecordBatch) -> ProbeReply:
        """What the expressions of its condition come to on one record. Raises TraplineError."""
        digest = self._build(detection)
        with self._pool.worker(digest, *self._rule(detection)) as worker:
            return worker.probe(record)

    def run(self, detection: Detection, samples: Sequence[Sample]) -> Trial:
        """Raises TraplineError where the rule cannot be built, started, or run at all."""
        started = perf_counter()
        digest = self._build(detection)
        inferred = infer(*_code(detection)) if detection.mode is Mode.RECORD else None
        heard: list[_Heard] = []
        for sample, first in zip(samples, _firsts(samples), strict=False):
            if inferred is None:
                shown = self._windows(detection, sample)
            else:
                shown = self._candidates(detection, sample, inferred)
            heard.append(self._heard(detection, digest, sample, first, shown))
        matches = sorted((found for one in heard for found in one.matches), key=lambda found: found.at)
        return Trial(
            detection=detection,
            samples=tuple(samples),
            matches=tuple(matches),
            failures=tuple(failed for one in heard for failed in one.failures),
            alerts=tuple(alerts_of(detection, (found for found in matches if not found.suppressed))),
            near=tuple(each for one in heard for each in one.near(inferred)) if inferred else (),
            decisive=_decisive(detection, inferred),
            untold=_untold(detection, inferred),
            complete=all(one.complete for one in heard),
            windows=sum(one.shown for one in heard),
            log="".join(one.log for one in heard),
            seconds=perf_counter() - started,
        )

    def _candidates(self, detection: Detection, sample: Sample, inferred: Inferred) -> Iterator[pa.UInt64Array]:
        """The rows that the rule's predicate lets through, as many together as a tick would show it."""
        predicate = inferred.predicate if self._settings.inference.enabled else TRUE
        [mask] = masks(sample.records, [predicate], sample.records.schema)
        count = sample.count
        rows = pa.array(range(count), pa.uint64()) if mask is None else pc.indices_nonzero(mask)
        most = min(_TOGETHER, self._rule(detection)[1].matches)
        return (rows.slice(start, most) for start in range(0, len(rows), most))

    def _windows(self, detection: Detection, sample: Sample) -> Iterator[pa.UInt64Array]:
        """The rows of each window that the detection's schedule, or else that of all, makes of the time."""
        schedule = detection.config.schedule.moments or Every(self._settings.schedule.every)
        times = self._times(sample, range(sample.count))
        start = 0
        while start < len(times):
            end = max(start + 1, bisect_left(times, schedule.next(times[start]), lo=start))
            yield pa.array(range(start, end), pa.uint64())
            start = end

    def _times(self, sample: Sample, rows: Sequence[int]) -> list[datetime]:
        """When the records of these rows happened; as a tick has it, the end of the window where they do not say."""
        name = self._settings.tables[sample.table].time
        if name not in sample.records.schema.names:
            return [sample.window.end] * len(rows)
        last = sample.window.end - timedelta(microseconds=1)
        found = (record[name] for record in full_records(sample.records.select([name]), rows))
        return [at if isinstance(at, datetime) else last for at in found]

    def _heard(
        self, detection: Detection, digest: BuildDigest, sample: Sample, first: int, shown: Iterable[pa.UInt64Array]
    ) -> _Heard:
        """What the rule says of these rows of a sample, until it has failed too often."""
        heard = _Heard(sample)
        for rows in shown:
            reply = self._reply(detection, digest, taken(sample.records, rows))
            numbers = rows.to_pylist()
            heard.shown += 1
            heard.log += reply.log
            heard.replies += [(None if one.row is None else numbers[one.row], one) for one in reply.matches]
            places = [None if one.row is None else numbers[one.row] for one in reply.failures]
            heard.failures += [
                Failed(None if at is None else first + at, one) for at, one in zip(places, reply.failures, strict=True)
            ]
            heard.spoken_of.update(at for at in places if at is not None)
            if not reply.complete:
                heard.complete = False
                break
        heard.spoken_of.update(row for row, _ in heard.replies if row is not None)
        heard.matches = list(self._found(detection, sample, first, heard.replies))
        return heard

    def _found(
        self, detection: Detection, sample: Sample, first: int, replies: Sequence[tuple[int | None, MatchReply]]
    ) -> Iterator[Found]:
        named = [row for row, _ in replies if row is not None]
        times = dict(zip(named, self._times(sample, named), strict=True))
        entries = self._suppressions.concerning(detection.identity, detection.name)
        for row, reply in replies:
            answer = complete(reply, detection.config, default_destinations=self._settings.default_destinations)
            at = sample.window.end if row is None else times[row]
            record = partial(_record, sample, row)
            quiet = any(entry.covers(answer.dedupe, at, record) for entry in entries)
            yield Found(None if row is None else first + row, at, answer, suppressed=quiet)

    def _reply(self, detection: Detection, digest: BuildDigest, batch: pa.RecordBatch) -> BatchReply:
        rule, limits = self._rule(detection)

        def run(part: pa.RecordBatch) -> BatchReply:
            with self._pool.worker(digest, rule, limits) as worker:
                return worker.run(part)

        return run_each(run, batch, limits) if detection.mode is Mode.RECORD else run(batch)

    def _build(self, detection: Detection) -> BuildDigest:
        digest = self._workshop.build(detection)
        self.built.add(digest)
        return digest

    def _rule(self, detection: Detection) -> tuple[Rule, Limits]:
        rule = Rule(detection.name, detection.script, detection.mode.value)
        return rule, limits_of(self._settings, detection.config.limits)


def _record(sample: Sample, row: int | None) -> Any:
    return None if row is None else jsonable(full_records(sample.records, [row])[0])


def _firsts(samples: Iterable[Sample]) -> Iterator[int]:
    """The number of the first record of each."""
    return accumulate((sample.count for sample in samples), initial=1)


def _code(detection: Detection) -> tuple[bytes, Mapping[str, bytes]]:
    return detection.files[detection.script].content, detection.modules


def _decisive(detection: Detection, inferred: Inferred | None) -> tuple[Path, ...] | None:
    if inferred is None:
        return None
    reads = reads_of(*_code(detection)) or ()
    asked = {path for path in paths(inferred.predicate) if path} | {read.path for read in reads if read.whole}
    return tuple(sorted(asked)) or None


def _untold(detection: Detection, inferred: Inferred | None) -> str:
    """Why there are no near misses to tell of; empty where there may be some."""
    if inferred is None:
        return "a rule in the batch format judges many records at once"
    if inferred.matching == TRUE:
        gap = inferred.gaps[0] if inferred.gaps else None
        return f"{gap.place(detection.script)}: {gap.reason}" if gap else "the rule matches every record"
    return "" if any(parts_of(inferred)) else "its condition has one part only"

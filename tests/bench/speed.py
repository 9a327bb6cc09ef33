"""The way of a record: from the Parquet file on disk to the matches with their records, through the sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench import rules
from tests.bench.baselines import Found, Script, by_futures, in_process, json_lines
from tests.bench.feeds import Feeds, feeds, found_by
from tests.bench.lake import Lake
from tests.bench.measure import Result, Way, timed
from trapline.deploy.ledger import Deployment
from trapline.settings import InferenceSettings

COUNT = 1_000_000
_TITLE = "From a Parquet file to the matches"


def measure_one(*, quick: bool) -> Result:
    """One detection on a million records: understood, opaque, and one that reads everything."""
    count, sampled, runs = (20_000, 5_000, 1) if quick else (COUNT, 200_000, 5)
    slow = min(runs, 3)
    rules.check_understood([rules.FEW, rules.TWO_FIELDS])
    rules.check_opaque(rules.OPAQUE, columns=2)
    rules.check_opaque(rules.WHOLE, columns=None)
    with _lake(count, sampled) as lake, ExitStack() as ends:
        strong, weak = (ends.enter_context(feeds(name)) for name in ("auto", "process"))
        two = [Script.of(rules.TWO_FIELDS)]
        name, audit = strong.backend.name, InferenceSettings().audit_fraction

        def way(
            what: str, source: str, at: Feeds, *, aim: str = "", audit: float = 0.0, runs: int | None = None
        ) -> Way:
            members = at.deploy([source])
            expected = in_process(lake.events(sampled), [Script.of(source)])
            return _way(at, members, lake, expected, what=what, aim=aim, audit=audit, runs=runs)

        ways = [
            *_baselines(lake, two, sampled, sampled // 4, sampled // 10, ends),
            way(f"{name}: understood, a few match", rules.FEW, strong, aim="50 × A"),
            way(f"{name}: understood, 0.07% match", rules.TWO_FIELDS, strong, aim="50 × A"),
            way(f"{name}: the same, {audit:.1%} audited", rules.TWO_FIELDS, strong, audit=audit),
            way(f"{name}: opaque, two fields", rules.OPAQUE, strong, aim="4 × A"),
            way(f"{name}: opaque, whole record", rules.WHOLE, strong, aim="1 × A", runs=slow),
            way("process: understood, 0.07% match", rules.TWO_FIELDS, weak, aim="50 × A"),
            way("process: opaque, two fields", rules.OPAQUE, weak, aim="4 × A"),
            way("process: opaque, whole record", rules.WHOLE, weak, aim="1 × A", runs=slow),
        ]
        result = timed(ways, runs=runs)
    note = "Every way finds the same matches, A's among the records that it is given."
    return Result(f"{_TITLE}, one detection ({_size(count)}, {name})", "records", result, note)


def measure_many(*, quick: bool) -> Result:
    """A hundred detections on a million records: all understood, and five of them opaque."""
    count, sampled, runs, many = (20_000, 500, 1, 10) if quick else (COUNT, 10_000, 3, 100)
    few = many // 20 or 1
    understood, opaque = rules.understood(many), rules.opaque(few)
    rules.check_understood(understood)
    for source in opaque:
        rules.check_opaque(source, columns=2)
    with _lake(count, sampled) as lake, feeds() as strong, ExitStack() as ends:
        members = strong.deploy([*understood, *opaque])
        scripts = [Script.of(source) for source in (*understood, *opaque)]
        name = strong.backend.name
        ways = _baselines(lake, scripts[:many], sampled, sampled // 2, sampled // 10, ends)
        for what, part in (
            (f"{name}: {many} understood", slice(0, many)),
            (f"{name}: {many - few} understood, {few} opaque", slice(few, many + few)),
        ):
            expected = in_process(lake.events(sampled), scripts[part])
            ways.append(_way(strong, members[part], lake, expected, what=what, aim="20 × A"))
        result = timed(ways, runs=runs)
    title = f"{_TITLE}, {many} detections ({_size(count)}, {name})"
    return Result(title, "records", result, "A decodes each record once, and runs every rule on it.")


def _baselines(
    lake: Lake, scripts: Sequence[Script], lines: int, dicts: int, futures: int, ends: ExitStack
) -> list[Way]:
    """The baselines, over the first so many records each; all of them find the same."""
    threads = ends.enter_context(ThreadPoolExecutor())
    memory = list(lake.events(dicts))
    assert in_process(memory[:futures], scripts) == by_futures(lake.events(futures), scripts, threads)
    return [
        json_lines(lake, scripts, lines, "A"),
        Way(
            what=f"the rule over dicts already in memory ({dicts:,})",
            count=dicts,
            work=lambda: in_process(memory, scripts),
            letter="B",
        ),
        Way(
            what=f"as A, a future for each record and rule ({futures:,})",
            count=futures,
            work=lambda: by_futures(lake.events(futures), scripts, threads),
            letter="C",
        ),
    ]


def _way(
    at: Feeds,
    members: Sequence[Deployment],
    lake: Lake,
    expected: Found,
    *,
    what: str,
    aim: str = "",
    audit: float = 0.0,
    runs: int | None = None,
) -> Way:
    """Trapline's way, which is gone once before it is timed: workers are warm, and it has to find what is expected."""
    feed: Callable[[], object] = partial(at.feed, lake, members, audit=audit)
    assert found_by(at.feed(lake, members, audit=audit), first=lake.sampled) == expected
    return Way(what=what, count=lake.records, work=feed, against="ABC", aim=aim, runs=runs)


@contextmanager
def _lake(count: int, sampled: int) -> Iterator[Lake]:
    with TemporaryDirectory(prefix="trapline-bench-") as name:
        yield Lake.fill(Path(name), count, sampled=sampled)


def _size(count: int) -> str:
    return f"{count:,} records, 34 columns"

"""What the lake is asked: queries and bytes of one scan shared by many detections, against a query for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from unittest import mock

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from rich.filesize import decimal

from tests.athena.double import athena_double
from tests.bench import rules
from tests.bench.lake import Lake
from tests.bench.measure import Figures, Result, Way, timed
from tests.playground import NOON, Playground, deploy
from trapline.cli.output import counted
from trapline.clock import system_clock
from trapline.query.athena.engine import AthenaEngine
from trapline.query.engine import ScanRequest, Wanted
from trapline.run.rules import known_of, wanted_by
from trapline.run.sift import let_through
from trapline.settings import AthenaSettings, TableSettings
from trapline.state.schema import alerts

_SIDE_BY_SIDE = 4


@dataclass(frozen=True, slots=True)
class Tally:
    """What scans came to."""

    queries: int
    bytes: int


def measure_sharing(*, quick: bool) -> Figures:
    """On the double of Athena, by its own accounting: one tick of 1, 10 and 100 detections, understood and not."""
    count, sizes = (2_000, (1, 2)) if quick else (200_000, (1, 10, 100))
    rows = []
    with TemporaryDirectory(prefix="trapline-bench-") as name, athena_double() as double:
        lake = Lake.fill(Path(name), count)
        double.put_table("events", pq.read_table(lake.home / "events" / "events.parquet"))
        tables = {"events": TableSettings(engine="athena")}
        with mock.patch.dict("os.environ", double.env):
            engine = AthenaEngine(AthenaSettings(output=double.output), tables, home="bench", now=system_clock)
            request = ScanRequest("events", lake.window())
            known: dict[str, Tally] = {}

            def alone(source: str) -> Tally:
                if source not in known:
                    known[source] = _scanned(engine, request, [source])
                return known[source]

            for size in sizes:
                for what, sources in (
                    ("understood", rules.understood(size)),
                    ("a tenth not understood", [*rules.understood(size - size // 10), *rules.opaque(size // 10)]),
                ):
                    if what == "understood" or size >= 10:
                        with ThreadPoolExecutor(_SIDE_BY_SIDE) as threads:
                            each = list(threads.map(alone, sources))
                        together = _scanned(engine, request, sources)
                        rows.append(_row(f"{counted(size, 'detection')}, {what}", together, each))
            engine.close()
    columns = ("queries", "read", "queries", "read", "read by the widest", "times the widest", "aim")
    note = (
        "Together, then each by itself. That the records which match are fetched whole is in it, if all are understood."
    )
    return Figures(f"What Athena is asked in one tick ({count:,} records, 34 columns)", columns, rows, note)


def measure_overhead(*, quick: bool) -> Result:
    """The embedded engine against DuckDB with the same SQL over the same files."""
    count, runs = (5_000, 1) if quick else (1_000_000, 7)
    with TemporaryDirectory(prefix="trapline-bench-") as name:
        lake = Lake.fill(Path(name), count)
        ways = []
        for letter, what, source in (
            ("A", "two columns, a few records", rules.FEW),
            ("B", "two columns, all records", rules.OPAQUE),
            ("C", "all columns, all records", rules.WHOLE),
        ):
            wanted = _wanted([source])
            request = ScanRequest("events", lake.window())
            with lake.engine.scan(request, wanted) as scan:
                asked = scan.statement.replace('FROM "events"', f"FROM read_parquet('{lake.home}/events/*.parquet')")
            ways += [
                Way(what=f"DuckDB: {what}", count=count, work=partial(_asked, asked), letter=letter),
                Way(what=f"the engine: {what}", count=count, work=partial(_scan, lake, wanted), against=letter),
            ]
        result = timed(ways, runs=runs)
    note = "The engine's scan looks up the schema as well, and says of each record where it lies."
    return Result("What the embedded engine adds to a query", "records", result, note)


def measure_arrival(*, quick: bool) -> Figures:
    """On a simulated clock: a record every 7 seconds, which the table has at once, and a controller by its schedule."""
    minutes = 10 if quick else 120
    rows = [_row_of_delays(every, minutes) for every in (1, 5)]
    columns = ("records", "median", "p95", "longest")
    note = "Of simulated time, from a record's time to the opening of its alert; no lag. A tick takes no time here."
    return Figures("From a record's arrival to its alert", columns, rows, note)


def _row_of_delays(every: int, minutes: int) -> tuple[str, Sequence[str]]:
    with TemporaryDirectory(prefix="trapline-bench-") as name:
        ground = Playground(Path(name))
        ground.settings(schedule={"start": NOON, "every": f"{every}m"})
        ground.detection("one", 'def detect(record): return True\ndef dedupe(record): return record["event"]["id"]\n')
        with ground.controller() as controller:
            deploy(ground, controller)
            for minute in range(every, minutes + 1, every):
                times = range(60 * (minute - every), 60 * minute)
                ground.records(*(second / 60 for second in times if second % 7 == 0))
                ground.at(minute)
                controller.tick()
        delays = sorted((row["opened_at"] - row["first_match_at"]).total_seconds() for row in ground.rows(alerts))
    figures = (median(delays), delays[int(len(delays) * 0.95)], delays[-1])
    return f"a tick every {every} min", [f"{len(delays):,}", *(f"{seconds:.0f} s" for seconds in figures)]


def _row(what: str, together: Tally, alone: Sequence[Tally]) -> tuple[str, Sequence[str]]:
    widest = max(one.bytes for one in alone)
    return what, [
        f"{together.queries:,}",
        decimal(together.bytes),
        f"{sum(one.queries for one in alone):,}",
        decimal(sum(one.bytes for one in alone)),
        decimal(widest),
        f"{together.bytes / widest:.2f}",
        "1.20",
    ]


def _scanned(engine: AthenaEngine, request: ScanRequest, sources: Sequence[str]) -> Tally:
    """One scan for these rules, and what matches fetched whole, as far as that is known without running them."""
    known = [known_of(source.encode(), {}) for source in sources]
    exact = [rule for rule in known if rule.exact]  # of the others it is the rules that say what matches
    with engine.scan(request, _wanted(sources)) as scan:
        places = []
        for batch in scan.batches():
            let = [rows.numbers for rows in let_through(batch, exact, [None] * len(exact), scan.schema)]
            if batch.positions is not None:
                places.append(batch.positions.take(pa.chunked_array(let, pa.uint64()).unique()))
        if sum(map(len, places)):
            scan.whole(pa.concat_batches(places))
        return Tally(scan.queries, scan.bytes_scanned)


def _scan(lake: Lake, wanted: Wanted) -> None:
    with lake.engine.scan(ScanRequest("events", lake.window()), wanted) as scan:
        for _ in scan.batches():
            pass


def _asked(sql: str) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for _ in connection.sql(sql).to_arrow_reader(65_536):
            pass


def _wanted(sources: Sequence[str]) -> Wanted:
    return wanted_by([known_of(source.encode(), {}) for source in sources], [None] * len(sources), audit=0)

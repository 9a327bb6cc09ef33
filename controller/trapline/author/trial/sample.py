"""A sample of a table: fetched once through its engine, and kept, so that a rule can be tried on it again and again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from trapline.clock import Clock
from trapline.errors import TraplineError
from trapline.fingerprint import fingerprint
from trapline.query.engine import Engine, Part, ScanRequest, Wanted
from trapline.query.lake import Lake
from trapline.settings import Settings
from trapline.window import Window

SLICES = 4
"""Into so many parts the window is cut, each of which gives its share: a sample is of all of it, a burst stays whole,
and no table is opened more often."""
AFFORDABLE = 2**30
"""Of a remote table about so many bytes are read: of a larger window the beginning of each slice."""
_OF_THE_UNKNOWN = 0.1
KEPT = 20
"""So many samples of a checkout are kept; the longest unused goes first."""

_NOTES = b"trapline"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a sample is asked of: a window, at most so many records, and the user's own condition on them.

    Of windows that end `now` one is as good as another: a sample is kept for those of the same length.
    """

    window: Window
    most: int
    now: bool = False
    where: str | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """Some records of a table, oldest first; all of the window, if `whole`. `size` is that of the file they are in."""

    table: str
    window: Window
    records: pa.RecordBatch
    whole: bool
    fetched_at: datetime
    bytes_scanned: int
    size: int

    @property
    def count(self) -> int:
        return int(self.records.num_rows)


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of a checkout, in a folder of their own; `lake` is asked for those that are not there yet."""

    folder: Path
    home: Path
    now: Clock

    def sample(
        self,
        settings: Settings,
        table: str,
        asked: Asked,
        *,
        fresh: bool = False,
        on_progress: Callable[[str], None] = lambda _: None,
    ) -> Sample:
        """The sample that is kept of a table, or else a new one. Raises QueryError, and TraplineError."""
        file = self.folder / f"{self.key(settings, table, asked)}.arrow"
        kept = None if fresh else _read(file, table)
        if kept is not None:
            with suppress(OSError):
                os.utime(file)
            return kept
        lake = Lake(settings, home=self.home, scope="author", now=self.now)
        try:
            fetched = _fetch(lake, table, settings, asked, on_progress)
        finally:
            lake.close()
        return self._keep(file, table, fetched, asked)

    def key(self, settings: Settings, table: str, asked: Asked) -> str:
        """One name for one sample: it is another where anything is that another sample would come of."""
        window, known = asked.window, settings.tables.get(table)
        parts = [
            table,
            known.model_dump_json() if known else "",
            settings.athena.model_dump_json() if settings.athena else "",
            json.dumps({name: dict(each) for name, each in settings.catalogs.items()}, sort_keys=True, default=str),
            str(self.home),
            str(window.end - window.start) if asked.now else str(window),
            str(asked.most),
            asked.where or "",
        ]
        return fingerprint(*(part.encode() for part in parts))[:24]

    def _keep(self, file: Path, table: str, fetched: _Fetched, asked: Asked) -> Sample:
        now = self.now()
        notes = {
            "window": [asked.window.start.isoformat(), asked.window.end.isoformat()],
            "whole": fetched.whole,
            "fetched_at": now.isoformat(),
            "bytes_scanned": fetched.bytes_scanned,
        }
        _write(file, fetched.records, notes)
        self._forget()
        kept = _read(file, table)
        assert kept is not None  # it was just written
        return kept

    def _forget(self) -> None:
        files = sorted(self.folder.glob("*.arrow"), key=lambda file: file.stat().st_mtime, reverse=True)
        for file in files[KEPT:]:
            file.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Fetched:
    records: pa.RecordBatch
    whole: bool
    bytes_scanned: int


def _fetch(
    engine: Engine, table: str, settings: Settings, asked: Asked, on_progress: Callable[[str], None]
) -> _Fetched:
    """Reads the slices of a window, newest first, each until it gave its share of what is still wanted."""
    wanted = Wanted(parts=(Part(where=asked.where),))
    parts: list[pa.Table] = []
    known = settings.tables.get(table)
    share = _share(engine, table, asked, wanted, known.budget.query if known else None)
    left, scanned = asked.most, 0
    whole = share == 1
    for number, window in enumerate(_slices(asked.window, share)):
        on_progress(f"reading a sample of {table}: {number + 1} of {SLICES}")
        quota = left // (SLICES - number)
        batches: list[pa.RecordBatch] = []
        with engine.scan(ScanRequest(table, window), wanted) as scan:
            for batch in scan.batches():
                records = batch.records if asked.where is None else batch.records.filter(batch.where[asked.where])
                whole = whole and records.num_rows <= quota
                batches.append(records.slice(0, quota))
                quota, left = quota - batches[-1].num_rows, left - batches[-1].num_rows
                if not quota and not whole:
                    scan.cancel()
                    break
            scanned += scan.bytes_scanned
            parts.append(pa.Table.from_batches(batches, scan.schema))
    return _Fetched(_one_batch(parts, table, settings.tables[table].time), whole, scanned)


def _share(engine: Engine, table: str, asked: Asked, wanted: Wanted, budget: int | None) -> float:
    """How much of each slice is read, for no more to be read in all than is affordable, and the `budget` of a query."""
    if not engine.remote(table):
        return 1
    estimate = engine.estimate(ScanRequest(table, asked.window), wanted)
    return _OF_THE_UNKNOWN if estimate is None else min(1, min(AFFORDABLE, budget or AFFORDABLE) / max(estimate, 1))


def _slices(window: Window, share: float) -> Iterator[Window]:
    length = (window.end - window.start) / SLICES
    for number in reversed(range(SLICES)):
        start = window.start + number * length
        end = window.end if number == SLICES - 1 else start + length
        yield Window(start, end if share == 1 else start + length * share)


def _one_batch(parts: list[pa.Table], table: str, time: str) -> pa.RecordBatch:
    """The slices as one, in order of time. Older files may lack columns that newer ones have."""
    whole = pa.concat_tables(parts, promote_options="permissive").combine_chunks()
    batches = whole.to_batches() or [_nothing(whole.schema)]
    if len(batches) > 1:  # Arrow's limit is 2 GiB of text in one column
        raise TraplineError(f"the sample of {table} is too large", remedy="ask for fewer records with --sample")
    try:
        return batches[0].take(pc.sort_indices(batches[0][time])) if time in whole.schema.names else batches[0]
    except pa.ArrowNotImplementedError:  # some types, those of views among them, cannot be put in order
        return batches[0]


def _write(file: Path, records: pa.RecordBatch, notes: object) -> None:
    """Whole or not at all: two commands may keep the same sample at once."""
    schema = records.schema.with_metadata({_NOTES: json.dumps(notes).encode()})
    new = file.with_suffix(f".{os.getpid()}.new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with pa.OSFile(str(new), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            writer.write_batch(records.replace_schema_metadata(schema.metadata))
        new.replace(file)
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        remedy = "name a folder that you may write to in XDG_CACHE_HOME"
        raise TraplineError(f"the sample cannot be kept in {file.parent}: {error.strerror}", remedy=remedy) from error


def _read(file: Path, table: str) -> Sample | None:
    """The sample of a file; None where there is none that can be read."""
    try:
        with pa.memory_map(str(file)) as source:
            found = pa.ipc.open_file(source).read_all()
        notes = json.loads(found.schema.metadata[_NOTES])
        [records] = found.replace_schema_metadata().combine_chunks().to_batches() or [_nothing(found.schema)]
        return Sample(
            table=table,
            window=Window(*(datetime.fromisoformat(one) for one in notes["window"])),
            records=records,
            whole=notes["whole"],
            fetched_at=datetime.fromisoformat(notes["fetched_at"]),
            bytes_scanned=notes["bytes_scanned"],
            size=file.stat().st_size,
        )
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return None


def _nothing(schema: pa.Schema) -> pa.RecordBatch:
    plain = schema.remove_metadata()
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in plain], schema=plain)

"""What was set aside of a stream, tried again: what there are records of now goes the way of what lands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace

from trapline.errors import TraplineError
from trapline.run.context import Context
from trapline.run.feed import Interrupted
from trapline.run.listen import listening, look
from trapline.run.recorder import TickReport
from trapline.state.streams import SetAside, read_set_aside, set_parcels_aside
from trapline.streams.source import Source, SourceDown, Spoiled


@dataclass(slots=True)
class StreamReplay:
    """What came of it. `left` are still set aside, with the reason of now. `errors` says by table why one could not be
    asked, and by identity which detection did not get through: it finds the rest with its next sweep."""

    tried: int = 0
    settled: int = 0
    left: list[SetAside] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    report: TickReport = field(default_factory=TickReport)


def replay_set_aside(
    context: Context,
    source_of: Callable[[str], Source],
    *,
    table: str | None = None,
    key: str | None = None,
    threads: int,
    stopping: Callable[[], bool],
) -> StreamReplay:
    """Tries again what is set aside: all of it, of one table, or under one key. A table that cannot be asked holds up
    no other. Raises TraplineError where nothing is set aside under that key."""
    replay, aside = StreamReplay(), defaultdict[str, list[SetAside]](list)
    with context.database.reading() as connection:
        for one in read_set_aside(connection, table):
            if key in (None, one.key):
                aside[one.table].append(one)
    if key is not None and not aside:
        raise TraplineError(f"nothing is set aside under the key {key}", remedy="see `trapline streams spoiled`")
    for table, some in aside.items():
        try:
            _of_table(context, table, some, source_of, replay.report, threads=threads, stopping=stopping)
        except TraplineError as error:
            replay.errors[table] = f"{error.message}; {error.remedy}" if error.remedy else error.message
        with context.database.reading() as connection:
            open_ = {one.key: one for one in read_set_aside(connection, table)}
        left = [open_[one.key] for one in some if one.key in open_]
        replay.left += left
        replay.tried += len(some)
        replay.settled += len(some) - len(left)
    replay.errors |= {**replay.report.failures, **replay.report.errors}
    return replay


def _of_table(
    context: Context,
    table: str,
    some: Sequence[SetAside],
    source_of: Callable[[str], Source],
    report: TickReport,
    *,
    threads: int,
    stopping: Callable[[], bool],
) -> None:
    if not listening(context, table):
        message = f"no detection that runs sees what lands in {table}"
        raise SourceDown(message, remedy="it stays set aside; give one of them `realtime: true`")
    source = source_of(table)
    try:
        with ThreadPoolExecutor(threads, thread_name_prefix=f"again {table}") as pool, suppress(Interrupted):
            for one in some:
                if not one.origin:  # nothing was kept of it, as Trapline itself failed; the sweep reads it
                    continue
                what = source.reopen(one.key, one.landed_at, one.origin)
                if isinstance(what, Spoiled):
                    with context.database.transaction() as connection:
                        set_parcels_aside(connection, [replace(one, reason=what.reason)])
                else:
                    look(context, table, [what], report, pool, width=threads, stopping=stopping)
    finally:
        source.close()

"""The listeners of all tables: which are wanted, made, made anew where their table changes, and closed."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

import pyarrow as pa

from trapline.query.engine import QueryError
from trapline.run.context import Context
from trapline.run.listen import Listener, begin_stream, listened_tables, trouble_of
from trapline.run.recorder import TickReport
from trapline.settings import Settings, TableSettings
from trapline.state.streams import keep_stream
from trapline.streams.make import make_source
from trapline.streams.source import Source, SourceDown

COLUMNS_SECONDS = 60.0
"""So often the tables that are listened to are asked for their columns."""


@dataclass(frozen=True, slots=True)
class _Made:
    """A listener, and the settings and columns of its table that it was made for."""

    settings: TableSettings
    schema: pa.Schema
    listener: Listener


class Listeners:
    """One listener for each table. Each table is listened to by one thread; `wanted` may be asked by another."""

    def __init__(self, home: Path, *, stopping: Callable[[], bool]) -> None:
        """`home` is where the paths of tables begin."""
        self._home = home
        self._stopping = stopping
        self._made: dict[str, _Made] = {}
        self._grown: set[str] = set()
        self._looked_at_columns = monotonic()

    def wanted(self, context: Context) -> list[str]:
        """The tables to be listened to now."""
        self._look_at_columns(context)
        return listened_tables(context)

    def listen(self, table: str, context: Context) -> TickReport:
        """One turn of a table's listener, another one where the settings or the columns of the table are.

        Raises SourceDown where the stream cannot be asked now.
        """
        made, settings = self._made.get(table), _known(table, context.settings)
        if made is None or made.settings != settings or table in self._grown:
            self.close(table)
            made = self._made[table] = self._make(table, context)
        return made.listener.turn(context)

    def close(self, table: str) -> None:
        """Gives up the stream of a table; what was not recorded comes again to whoever listens next."""
        made = self._made.pop(table, None)
        if made is not None:
            made.listener.close()

    def close_all(self) -> None:
        with ExitStack() as ends:
            for table in list(self._made):
                ends.callback(self.close, table)

    def reopener(self, table: str, context: Context) -> Source:
        """A source that nobody listens to, to open again what is set aside. Raises SourceDown."""
        settings, schema = _known(table, context.settings), _columns(table, context)
        return make_source(table, settings, schema, home=self._home, since=context.now(), positions={})

    def _make(self, table: str, context: Context) -> _Made:
        """What keeps a listener from being made is kept as the trouble of its stream. Raises SourceDown."""
        self._grown.discard(table)
        settings = context.settings.tables[table]
        kind = settings.lands.type if settings.lands else ""
        state = begin_stream(context.database, table, kind, now=context.now())
        since = state.since if state.positions else state.done_until
        try:
            schema = _columns(table, context)
            source = make_source(table, settings, schema, home=self._home, since=since, positions=state.positions)
        except Exception as error:
            with context.database.transaction() as connection:
                keep_stream(connection, replace(state, trouble=trouble_of(error), per_second=0.0))
            raise
        threads = os.cpu_count() or 1
        return _Made(settings, schema, Listener(table, source, state, threads=threads, stopping=self._stopping))

    def _look_at_columns(self, context: Context) -> None:
        """Now and then: a listener hands its detections the columns that the table had when it began."""
        if monotonic() - self._looked_at_columns < COLUMNS_SECONDS:
            return
        self._looked_at_columns = monotonic()
        for table, made in list(self._made.items()):
            with suppress(QueryError):  # which the sweep says
                if table in context.settings.tables and context.engine.schema(table) != made.schema:
                    self._grown.add(table)


def _columns(table: str, context: Context) -> pa.Schema:
    """Those that what lands in a table is given. Raises SourceDown where it has none yet."""
    time = _known(table, context.settings).time
    try:
        schema = context.engine.schema(table)
    except QueryError as error:
        raise SourceDown(str(error), remedy=error.remedy) from error
    if time not in schema.names:
        said = f"no column {time}" if schema.names else "no records yet"
        raise SourceDown(f"the table {table} has {said}", remedy="nothing: it is listened to once it has")
    return schema


def _known(table: str, settings: Settings) -> TableSettings:
    """Raises SourceDown where the settings have the table no more."""
    if table not in settings.tables:
        raise SourceDown(f"there is no table {table} any more", remedy="add it under tables: in trapline.yml")
    return settings.tables[table]

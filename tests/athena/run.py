"""Runs one query in DuckDB, over copies of the objects of its tables."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb
import pyarrow as pa
from sqlglot import exp

from tests.athena.bind import UNRESOLVED, Bound, bind
from tests.athena.catalog import Catalog
from tests.athena.errors import QueryCancelled, QueryFailed, failed
from tests.athena.objects import Objects
from tests.athena.statement import UNKNOWN, Statement, place_of, place_of_field
from tests.athena.tables import create_view, parts_of, scanned

_MACROS = (
    "CREATE MACRO is_finite(x) AS isfinite(x)",
    "CREATE MACRO is_infinite(x) AS isinf(x)",
    "CREATE MACRO codepoint(x) AS unicode(x)",
    "CREATE MACRO at_timezone(x, zone) AS x",  # the moment stays, and the double knows no other zone than UTC
)


_MATCHES = {
    "any_match": ("list_bool_or", "none"),
    "all_match": ("list_bool_and", "all"),
    "none_match": ("list_bool_or", "none"),
}


_AGAIN = 0.02
"""Seconds between interruptions of a query that was cancelled."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a query gives: the types are DuckDB's."""

    schema: pa.Schema
    types: tuple[duckdb.sqltypes.DuckDBPyType, ...]
    batches: Iterator[pa.RecordBatch]


class Run:
    """One run of a query. `cancel` may be called from another thread, at any time."""

    def __init__(self, objects: Objects, catalog: Catalog) -> None:
        self._objects = objects
        self._catalog = catalog
        self._connection = duckdb.connect(config={"threads": 2})
        self._cancelled = threading.Event()
        self._closing = threading.Lock()
        self._closed = threading.Event()
        self.bytes = 0

    def cancel(self) -> None:
        """Ends the query as soon as can be."""
        self._cancelled.set()
        threading.Thread(target=self._interrupt, daemon=True).start()

    def _interrupt(self) -> None:
        """Again and again: between two steps there is nothing to interrupt, and the next step would not hear of it."""
        while not self._closed.wait(_AGAIN):
            with self._closing:
                if not self._closed.is_set():
                    self._connection.interrupt()

    def close(self) -> None:
        """Lets go of what the query holds."""
        with self._closing:
            self._closed.set()
            self._connection.close()

    def plan(self, statement: Statement, *, catalog: str, database: str) -> Bound:
        """Finds what the query reads, and counts it: from here on `bytes` is known."""
        with self._explained(statement):
            self._connection.execute("SET TimeZone = 'UTC'")
            for macro in _MACROS:
                self._connection.execute(macro)
            bound = bind(statement, self._catalog, named=catalog, database=database)
            for look in bound.looks:
                parts = parts_of(look, self._objects, self._connection)
                self.bytes += scanned(look, parts)
                create_view(look, parts, self._connection)
        return bound

    def start(self, statement: Statement, bound: Bound) -> Result:
        """Starts it; the batches are made as they are asked for."""
        with self._explained(statement):
            relation = self._connection.sql(_duckdb(bound.select))
            wide = [name for name, kind in zip(relation.columns, relation.types, strict=True) if kind.id == "hugeint"]
            if wide:  # sums of integers, which are bigint in Athena
                changed = ", ".join(f'CAST("{name}" AS BIGINT) AS "{name}"' for name in wide)
                relation = relation.select(f"* REPLACE ({changed})")
            reader = relation.to_arrow_reader(8192)
        return Result(reader.schema, tuple(relation.types), self._batches(statement, reader))

    def _batches(self, statement: Statement, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        with self._explained(statement):
            for batch in reader:
                if self._cancelled.is_set():
                    raise QueryCancelled
                yield batch

    @contextmanager
    def _explained(self, statement: Statement) -> Iterator[None]:
        """DuckDB's errors in Athena's words."""
        if self._cancelled.is_set():
            raise QueryCancelled
        try:
            yield
        except (duckdb.Error, pa.ArrowException, RuntimeError) as error:
            if self._cancelled.is_set():
                raise QueryCancelled from error
            raise _failure(statement, str(error).split("\n", 1)[0]) from error


def _failure(statement: Statement, message: str) -> QueryFailed:
    if found := re.search(r'Could not find key "(.+?)" in struct', message):
        where, path = place_of_field(statement, found[1])
        return failed("COLUMN_NOT_FOUND", f"Column '{path}' {UNRESOLVED}", place=where)
    if found := re.search(r"Function with name (\S+) does not exist", message):
        name = found[1].lower()
        return failed("FUNCTION_NOT_FOUND", f"Function '{name}' not registered", place=place_of(statement, name))
    if found := re.search(r"(INVALID_FUNCTION_ARGUMENT): (.*)", message):
        return failed(found[1], found[2])
    if "Conversion Error" in message:
        return failed("INVALID_CAST_ARGUMENT", message)
    if "Binder Error" in message:
        return failed("TYPE_MISMATCH", message, place=UNKNOWN)
    return failed("GENERIC_USER_ERROR", message)


def _duckdb(select: exp.Query) -> str:
    """The query in DuckDB's words. What has more than milliseconds is marked as such: UNLOAD asks."""
    return select.transform(_word).sql("duckdb")


def _word(node: exp.Expression) -> exp.Expression:
    if isinstance(node, exp.DataType) and node.is_type("timestamp") and not _of_literal(node):
        digits = int(node.expressions[0].name) if node.expressions else 3
        return exp.DataType.build("timestamp_ns" if digits > 3 else "timestamp_ms", dialect="duckdb")
    if isinstance(node, exp.AtTimeZone):  # the moment stays, and the double knows no other zone than UTC
        return exp.cast(node.this.copy(), "timestamptz")
    if isinstance(node, exp.Anonymous) and node.name.lower() in _MATCHES:
        return _matches(node)
    if isinstance(node, exp.Bracket) and not node.args.get("safe") and len(node.expressions) == 1:
        return _within(node)
    return node


def _of_literal(kind: exp.DataType) -> bool:
    return isinstance(kind.parent, exp.Cast) and isinstance(kind.parent.this, exp.Literal)


def _within(node: exp.Bracket) -> exp.Expression:
    """`list[7]`, which fails where there is no such item, unlike `element_at`."""
    values, index = node.this, node.expressions[0]
    if index.is_string:
        there = exp.func("map_contains", values.copy(), index.copy())
        said = exp.Literal.string(f"INVALID_FUNCTION_ARGUMENT: Key not present in map: {index.name}")
    else:
        there = exp.GTE(this=exp.func("len", values.copy(), dialect="duckdb"), expression=index.copy())
        message = "INVALID_FUNCTION_ARGUMENT: Array subscript must be less than or equal to array length"
        said = exp.Literal.string(message)
    failing = exp.Anonymous(this="error", expressions=[said])
    return exp.case().when(exp.not_(there), failing).else_(exp.Bracket(this=values, expressions=[index], safe=True))


def _matches(node: exp.Anonymous) -> exp.Expression:
    """`any_match(list, item -> ...)` and its like: a list of truths, what is so of it, and what of an empty one."""
    how, empty = _MATCHES[node.name.lower()]
    found = exp.func(how, exp.func("list_transform", *(part.copy() for part in node.expressions)))
    known = exp.func("coalesce", found, exp.false() if empty == "none" else exp.true())
    given = exp.Is(this=node.expressions[0].copy(), expression=exp.null())
    matches = exp.not_(known) if node.name.lower() == "none_match" else known
    return exp.case().when(given, exp.null()).else_(matches)

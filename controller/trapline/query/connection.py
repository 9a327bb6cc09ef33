"""Connections to DuckDB, which say Athena's words and explain their errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from trapline.query import sql
from trapline.query.engine import QueryError
from trapline.query.outcomes import NOT_ASCII

ROWS_AT_A_TIME = 8_192
"""So many DuckDB makes at once: of whole records more would be tens of megabytes for each of its threads."""


def database() -> duckdb.DuckDBPyConnection:
    """A database of its own in memory, that knows Athena's words."""
    connection = duckdb.connect()
    # Which text is not ASCII is often asked, and known without a look at each letter. Folded before anything runs.
    connection.execute(
        f"CREATE MACRO regexp_like(text, pattern) AS CASE WHEN pattern = {sql.string(NOT_ASCII)} "
        "THEN strlen(text) <> length(text) ELSE regexp_matches(text, pattern) END"
    )
    # DuckDB's own isnan() is false of a whole file where Parquet's statistics, which know of no NaN, have two ends.
    connection.execute("CREATE MACRO is_nan(number) AS NOT isfinite(number) AND NOT isinf(number)")
    return connection


@contextmanager
def connect(*, wide: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database for one scan. `wide` keeps it small where whole records go through it."""
    with database() as connection:
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        connection.execute("SET GLOBAL parquet_metadata_cache = true")  # each file is opened more than once
        if wide:  # each thread holds a row group, with all its columns; and the workers are slower than one thread
            connection.execute("SET threads = 1")
        yield connection


def reader(connection: duckdb.DuckDBPyConnection, query: str) -> pa.RecordBatchReader:
    """The answer to a query, batch by batch as DuckDB makes it. Raises QueryError."""
    with errors_explained():
        return connection.sql(query).to_arrow_reader(ROWS_AT_A_TIME)


@contextmanager
def errors_explained() -> Iterator[None]:
    """Around the reading of an answer: what goes wrong then is a QueryError too."""
    try:
        yield
    except (duckdb.Error, pa.ArrowException) as error:
        raise _query_error(error) from error
    except RuntimeError as error:
        if "interrupted" not in str(error):
            raise
        raise KeyboardInterrupt from error  # DuckDB takes ^C for itself while a query runs


def _query_error(error: Exception) -> QueryError:
    message = str(error).split("\n", 1)[0]
    if isinstance(error, duckdb.BinderException):
        return QueryError("column-missing", message, remedy="check [query] where and the table's time: and partition:")
    if isinstance(error, duckdb.ParserException | duckdb.CatalogException | duckdb.ConversionException):
        return QueryError("syntax", message, remedy="check [query] where")  # the last: a record that it fails on
    return QueryError("internal", message, remedy="check that every file of the table is whole and readable")

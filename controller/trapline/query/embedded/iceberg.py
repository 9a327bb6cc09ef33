"""Iceberg tables: their catalogs, and which of a table's files a window needs."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.conversions import from_bytes
from pyiceberg.exceptions import NoSuchIdentifierError, NoSuchNamespaceError, NoSuchTableError
from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression, GreaterThanOrEqual, LessThan, Reference
from pyiceberg.expressions.literals import literal
from pyiceberg.table import Table
from pyiceberg.types import IcebergType, NestedField, PrimitiveType, TimestampType, TimestamptzType

from trapline.config.redact import hide_secrets
from trapline.config.secrets import SecretError, resolve_secrets
from trapline.config.words import did_you_mean
from trapline.query.embedded.files import changed
from trapline.query.embedded.snapshot import Snapshot, Streamed, readable_by_name
from trapline.query.engine import QueryError
from trapline.settings import IcebergSettings, TableSettings
from trapline.window import Window

T = TypeVar("T")

_PATIENCE = 60.0
_EPOCH, _TICK = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
"""What Iceberg counts a time from, and by what."""
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_CODES = {
    "permissions": ("forbidden", "unauthorized", "expired", "oauth", "accessdenied", "permission"),
    "throttled": ("toomanyrequests", "throttl", "slowdown"),
}
"""What the names of exceptions and AWS's codes tell; after anything else nobody answers."""
_ARROW_CODE = re.compile(r"AWS Error (\w+)")
_REACH = "check the catalog's properties under `catalogs:` in trapline.yml, and that it can be reached from here"


class Catalogs:
    """The catalogs of trapline.yml and their tables. Thread-safe.

    A catalog is set up when a table of its is first read, and asked for the table anew at each scan.
    """

    def __init__(self, catalogs: Mapping[str, Mapping[str, Any]], *, home: Path, env: Mapping[str, str]) -> None:
        self._options = catalogs
        self._home = home
        self._env = env
        self._loaded: dict[str, tuple[Catalog, Mapping[str, Any]]] = {}
        self._lock = threading.Lock()

    def source(self, settings: TableSettings, window: Window | None = None) -> Snapshot:
        """The table as it is now, with the files that may have records of the window; with all where none is given."""
        table = self._table(settings)
        field = _time(table, settings)
        within: BooleanExpression = AlwaysTrue() if window is None else _within(field, window)
        scan = table.scan(row_filter=within)
        with _read(table):
            tasks = list(scan.plan_files())
        kind = Snapshot if readable_by_name(table.metadata, tasks) else Streamed
        return kind(settings.time, scan, tasks)

    def shape(self, settings: TableSettings) -> Snapshot:
        """The table as it is now, without any of its files: its columns."""
        return Snapshot(settings.time, self._table(settings).scan(), ())

    def latest(self, settings: TableSettings) -> datetime | None:
        """The newest record's time by the files' statistics; None where there is no file, or one that has none."""
        table = self._table(settings)
        field = _time(table, settings)
        with _read(table):
            bounds = [(task.file.upper_bounds or {}).get(field.field_id) for task in table.scan().plan_files()]
        known = [_moment(field.field_type, bound) for bound in bounds if bound is not None]
        return max(known, default=None) if len(known) == len(bounds) else None

    def _table(self, settings: TableSettings) -> Table:
        assert settings.iceberg is not None
        asked = settings.iceberg
        catalog, options = self._catalog(asked.catalog)
        with _asked(asked.catalog, options):
            try:
                return _in_time(lambda: catalog.load_table(asked.table))
            except (NoSuchTableError, NoSuchNamespaceError, NoSuchIdentifierError):
                near = did_you_mean(asked.table, _tables_beside(catalog, asked))
        raise QueryError(
            "table-missing",
            f"the catalog {asked.catalog!r} has no table {asked.table!r}",
            remedy=f"{near} correct its `iceberg: table:` in trapline.yml, or make it".strip(),
        )

    def _catalog(self, name: str) -> tuple[Catalog, Mapping[str, Any]]:
        with self._lock:
            if name not in self._loaded:
                try:
                    options = resolve_secrets(self._options[name], self._env)
                except SecretError as error:
                    raise QueryError("permissions", f"catalog {name!r}: {error.message}", remedy=error.remedy) from None
                options = self._at_home(options)
                with _asked(name, options):
                    self._loaded[name] = _in_time(lambda: load_catalog(name, **options)), options
            return self._loaded[name]

    def _at_home(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The properties as PyIceberg takes them: as text, and what is relative within the controller's home."""
        text = {key: _text(value) for key, value in options.items()}
        endpoint = next((self._env[name] for name in _ENDPOINTS if self._env.get(name)), None)
        if endpoint:  # boto3 minds it by itself, Arrow does not
            text.setdefault("s3.endpoint", endpoint)
        if text.get("type") == "sql":
            text.setdefault("init_catalog_tables", "false")  # who only reads makes nothing
            scheme, slashes, path = str(text.get("uri", "")).partition(":///")
            if scheme == "sqlite" and slashes and path:
                text["uri"] = f"sqlite:///{self._home / path}"
            if ":" not in text.get("warehouse", ":"):
                text["warehouse"] = str(self._home / text["warehouse"])
        return text


def _in_time(ask: Callable[[], T]) -> T:
    """What is answered, within a minute: PyIceberg itself would wait for ever for a catalog that says nothing."""
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return answer.result(_PATIENCE)
    except TimeoutError:
        raise TimeoutError(f"there was no answer within {_PATIENCE:g} seconds") from None


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _tables_beside(catalog: Catalog, asked: IcebergSettings) -> list[str]:
    namespace = catalog.namespace_from(asked.table)
    try:
        return [".".join(identifier) for identifier in catalog.list_tables(namespace)]
    except (NoSuchNamespaceError, NoSuchIdentifierError):
        return []


def _time(table: Table, settings: TableSettings) -> NestedField:
    """The column with a record's time. Raises QueryError where there is no such column, or it has no times."""
    try:
        field = table.schema().find_field(settings.time)
    except ValueError:
        raise QueryError(
            "column-missing",
            f"the Iceberg table {_name(table)} has no column {settings.time!r}",
            remedy=f"{did_you_mean(settings.time, table.schema().column_names)} correct its `time:`".strip(),
        ) from None
    if not isinstance(field.field_type, TimestampType | TimestamptzType):
        raise QueryError(
            "unbounded",
            f"the column {settings.time!r} of the Iceberg table {_name(table)} is {field.field_type}, "
            "by which no files can be chosen: every scan would read the whole table",
            remedy="name a column of the type timestamp or timestamptz as its `time:`",
        )
    return field


def _within(field: NestedField, window: Window) -> BooleanExpression:
    """The window as a filter, by which PyIceberg leaves out partitions and files."""

    start, end = (literal((moment - _EPOCH) // _TICK) for moment in (window.start, window.end))
    time = Reference(field.name)
    return And(GreaterThanOrEqual(term=time, value=start), LessThan(term=time, value=end))


def _moment(kind: IcebergType, bound: bytes) -> datetime:
    assert isinstance(kind, PrimitiveType)
    return _EPOCH + int(from_bytes(kind, bound)) * _TICK


def _name(table: Table) -> str:
    return ".".join(table.name())


@contextmanager
def _read(table: Table) -> Iterator[None]:
    """Around the reading of a table's metadata: what goes wrong is a QueryError."""
    what = f"the Iceberg table {_name(table)} cannot be read"
    try:
        yield
    except FileNotFoundError as error:
        raise changed(f"{error}", remedy="keep its snapshots for longer than a scan takes") from error
    except (ValueError, NotImplementedError) as error:  # PyIceberg's word for what it does not know
        remedy = "compact the table, so that it has no equality deletes and nothing newer than PyIceberg"
        raise QueryError("internal", f"{what}: {_first_line(error)}", remedy=remedy) from error
    except Exception as error:  # every storage has errors of its own
        raise QueryError(_code(error), f"{what}: {_first_line(error)}", remedy=_REACH) from error


@contextmanager
def _asked(catalog: str, options: Mapping[str, Any]) -> Iterator[None]:
    """Around what is asked of a catalog: what goes wrong is a QueryError, which says no secret."""
    try:
        yield
    except QueryError:
        raise
    except Exception as error:  # every kind of catalog has errors of its own
        message = hide_secrets(_first_line(error), options)
        raise QueryError(_code(error), f"the catalog {catalog!r} cannot be read: {message}", remedy=_REACH) from error


def _code(error: Exception) -> str:
    response = getattr(error, "response", None)  # of botocore's errors
    said = response.get("Error", {}).get("Code", "") if isinstance(response, dict) else ""
    told = f"{type(error).__name__} {said} {' '.join(_ARROW_CODE.findall(str(error)))}".lower().replace("_", "")
    return next((code for code, words in _CODES.items() if any(word in told for word in words)), "unreachable")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).split("\n", 1)[0]

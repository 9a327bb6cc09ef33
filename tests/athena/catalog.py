"""The tables as the double's Glue has them: columns with Hive's types, and partitions, listed or projected."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.glue.models import FakeTable, GlueBackend, glue_backends
from sqlglot import exp

from tests.athena import iceberg
from tests.athena.projection import projected


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    type: exp.DataType


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition: its values in the order of the table's partition columns, and where its objects are."""

    values: tuple[str, ...]
    location: str


@dataclass(frozen=True, slots=True)
class View:
    """A view's query, and the database of tables in it that name none."""

    sql: str
    database: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table of Glue's, in Parquet or JSON, or a view. An Iceberg table says itself what its files are."""

    database: str
    name: str
    format: str
    columns: tuple[Column, ...]
    keys: tuple[Column, ...]
    partitions: tuple[Partition, ...] = ()
    files: tuple[str, ...] | None = None
    view: View | None = None

    @property
    def visible(self) -> tuple[Column, ...]:
        """What `SELECT *` gives."""
        return self.columns + self.keys


@dataclass(frozen=True, slots=True)
class Catalog:
    """The Glue of an account in a region. `endpoint` is where the double listens. Names have no case."""

    account: str
    region: str
    endpoint: str

    def has(self, database: str) -> bool:
        """Whether there is such a database."""
        return database.lower() in self._glue.databases

    def table(self, database: str, name: str) -> Table | None:
        """The table, or None."""
        try:
            found = self._glue.get_table(database.lower(), name.lower())
        except JsonRESTError:
            return None
        return _read(found, database.lower(), name.lower(), self.endpoint)

    @property
    def _glue(self) -> GlueBackend:
        backend: GlueBackend = glue_backends[self.account][self.region]
        return backend


def _read(found: FakeTable, database: str, name: str, endpoint: str) -> Table:
    entry = found.as_dict()
    storage = entry.get("StorageDescriptor", {})
    parameters = entry.get("Parameters") or {}
    location = storage.get("Location", "")
    keys = tuple(map(_column, entry.get("PartitionKeys") or ()))
    if entry.get("TableType") == "VIRTUAL_VIEW":
        return Table(database, name, "view", (), (), view=_view(entry["ViewOriginalText"]))
    if parameters.get("table_type", "").upper() == "ICEBERG":
        columns, files = iceberg.read(parameters["metadata_location"], endpoint)
        described = tuple(Column(name, kind) for name, kind in columns.items())
        return Table(database, name, "parquet", described, (), files=files)
    if parameters.get("projection.enabled", "").lower() == "true":
        names = [key.name for key in keys]
        partitions = tuple(Partition(values, at) for values, at in projected(names, parameters, location))
    elif keys:
        listed = [partition.as_dict() for partition in list(found.partitions.values())]
        partitions = tuple(Partition(tuple(each["Values"]), _location(each, location)) for each in listed)
    else:
        partitions = (Partition((), location),)
    return Table(database, name, _format(storage), tuple(map(_column, storage["Columns"])), keys, partitions)


def hive_type(text: str) -> exp.DataType:
    """Reads a type of Hive's, such as `struct<user-agent:string>`: its fields need no quotes, SQL's do.

    A timestamp of Hive's has milliseconds, and no more, whatever is in the file.
    """
    read = exp.DataType.build(re.sub(r"([^<>,:\s][^<>,:]*):", r"`\1`:", text), dialect="hive")
    for part in list(read.find_all(exp.DataType)):
        if part.is_type("timestamp"):
            part.set("expressions", [exp.DataTypeParam(this=exp.Literal.number(3))])
    return read


def duckdb_type(kind: exp.DataType) -> str:
    """The type in DuckDB. Nanoseconds stand for what has more than milliseconds: Hive has none, and UNLOAD asks."""
    return kind.transform(
        lambda node: exp.DataType.build("timestamp_ns", dialect="duckdb") if _is_fine(node) else node
    ).sql("duckdb")


def _is_fine(node: exp.Expression) -> bool:
    return isinstance(node, exp.DataType) and node.is_type("timestamp") and node.expressions[0].name > "3"


def _column(entry: Mapping[str, Any]) -> Column:
    return Column(entry["Name"].lower(), hive_type(entry["Type"]))


def _view(text: str) -> View:
    """Athena keeps a view as JSON in base64, in a comment: `/* Presto View: eyJvcm... */`."""
    kept = json.loads(base64.b64decode(text.removeprefix("/* Presto View: ").removesuffix(" */")))
    return View(kept["originalSql"], kept.get("schema") or "default")


def _location(partition: Mapping[str, Any], table: str) -> str:
    location: str = (partition.get("StorageDescriptor") or {}).get("Location") or table
    return location


def _format(storage: Mapping[str, Any]) -> str:
    library = (storage.get("SerdeInfo") or {}).get("SerializationLibrary", "").lower()
    return "json" if "json" in library else "parquet"

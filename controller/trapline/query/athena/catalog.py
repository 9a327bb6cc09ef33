"""A table as AWS Glue has it: its columns, its partitions, and where it lies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from trapline.query import sql
from trapline.query.athena.errors import explained, query_error
from trapline.query.athena.locations import Location
from trapline.query.athena.types import PLAIN, Kind, UnknownType, array_of, decimal, map_of, parse, struct_of
from trapline.query.engine import QueryError
from trapline.settings import AthenaSettings, TableSettings

if TYPE_CHECKING:
    from mypy_boto3_glue.type_defs import TableTypeDef
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.types import IcebergType

    from trapline.query.athena.session import Clients


@dataclass(frozen=True, slots=True)
class AthenaTable:
    """A table and the types of its columns: `columns` are those of a record, `keys` what it is partitioned by."""

    name: str
    settings: TableSettings
    database: str
    glue_name: str
    columns: Mapping[str, Kind]
    keys: Mapping[str, str]
    parameters: Mapping[str, str]
    location: str = ""
    metadata: str | None = None
    view: bool = False

    @property
    def schema(self) -> pa.Schema:
        """The columns as a record has them."""
        return pa.schema([pa.field(name, kind.record) for name, kind in self.columns.items()])

    @property
    def asked(self) -> pa.Schema:
        """The columns as conditions in SQL take them."""
        return pa.schema([pa.field(name, kind.asked) for name, kind in self.columns.items()])

    @property
    def relation(self) -> str:
        """The table as SQL names it."""
        return sql.dotted((self.database, self.glue_name))

    @property
    def taken(self) -> tuple[str, ...]:
        """The names that its columns have, those of partitions too."""
        return (*self.columns, *self.keys)


class Catalog:
    """The tables of trapline.yml that are Athena's, as Glue has them at the moment of asking."""

    def __init__(self, clients: Clients, settings: AthenaSettings, tables: Mapping[str, TableSettings]) -> None:
        self._clients = clients
        self._settings = settings
        self._tables = tables

    def table(self, name: str) -> AthenaTable:
        """Raises QueryError where Trapline or Glue knows no such table, or Trapline cannot read it."""
        settings = self._tables.get(name)
        if settings is None or settings.engine != "athena":
            raise QueryError(
                "table-missing", f"Athena has no table {name!r}", remedy="add it under tables: in trapline.yml"
            )
        database = settings.database or self._settings.database
        with explained(table=name):
            found = self._clients.glue.get_table(DatabaseName=database, Name=settings.name or name)["Table"]
        parameters = found.get("Parameters", {})
        metadata = _metadata_location(name, parameters)
        keys = {key["Name"]: key.get("Type", "string") for key in found.get("PartitionKeys", []) if metadata is None}
        columns = self._of_iceberg(name, metadata) if metadata else _of_glue(name, settings, found, keys)
        table = AthenaTable(
            name=name,
            settings=settings,
            database=database,
            glue_name=settings.name or name,
            columns=columns,
            keys=keys,
            parameters=parameters,
            location=found.get("StorageDescriptor", {}).get("Location", ""),
            metadata=metadata,
            view=found.get("TableType") == "VIRTUAL_VIEW",
        )
        _check(table)
        return table

    def _of_iceberg(self, name: str, location: str) -> dict[str, Kind]:
        """The columns by the table's own metadata: Glue's do not tell its times and UUIDs from others."""
        return {
            field.name: _known(name, field.name, str(field.field_type), partial(_iceberg_kind, field.field_type))
            for field in self._metadata(name, location).schema().fields
        }

    def _metadata(self, name: str, location: str) -> TableMetadata:
        from pyiceberg.exceptions import ValidationError
        from pyiceberg.serializers import Compressor, FromByteStream

        at = Location.parse(location)
        with explained(table=name):
            content = self._clients.s3.get_object(Bucket=at.bucket, Key=at.key)["Body"].read()
        try:
            return FromByteStream.table_metadata(BytesIO(content), compression=Compressor.get_compressor(location))
        except (ValidationError, ValueError, OSError) as error:
            raise query_error("internal", f"{location} is no metadata of an Iceberg table", table=name) from error


def _check(table: AthenaTable) -> None:
    """That the table can be read within bounds."""
    partition = table.settings.partition
    if table.keys and not partition:
        keys = ", ".join(table.keys)
        raise QueryError(
            "unbounded",
            f"the table {table.name} is partitioned by {keys}, and nothing says which partitions a window needs: "
            "each scan would read all of it",
            remedy=f"say under partition: in trapline.yml what of a record's time they hold, such as "
            f'{{{next(iter(table.keys))}: "%Y-%m-%d"}}',
        )
    if table.metadata is None and (missing := set(partition) - set(table.keys)):
        names = ", ".join(sorted(missing))
        raise query_error("column-missing", f"the table is not partitioned by {names}", table=table.name)
    time = table.columns.get(table.settings.time)
    if time is None or not (pa.types.is_timestamp(time.record) or pa.types.is_date(time.record)):
        found = f"is a {time.record}, not a timestamp" if time else "does not exist"
        raise query_error("column-missing", f"the time column {table.settings.time} {found}", table=table.name)


def _metadata_location(table: str, parameters: Mapping[str, str]) -> str | None:
    """Where the metadata of an Iceberg table is; None for any other table."""
    if parameters.get("table_type", "").upper() != "ICEBERG":
        return None
    if location := parameters.get("metadata_location"):
        return location
    raise query_error("internal", "Glue does not say where the metadata of the Iceberg table is", table=table)


def _of_glue(table: str, settings: TableSettings, found: TableTypeDef, keys: Mapping[str, str]) -> dict[str, Kind]:
    named = [(column["Name"], column.get("Type", "string")) for column in found["StorageDescriptor"].get("Columns", [])]
    # The partition columns that hold the time are how the lake is stored, not part of a record.
    named += [(key, kind) for key, kind in keys.items() if key not in settings.partition]
    return {column: _known(table, column, kind, partial(parse, kind)) for column, kind in named}


def _known(table: str, column: str, text: str, kind: Callable[[], Kind]) -> Kind:
    try:
        return kind()
    except UnknownType as error:
        raise QueryError(
            "column-missing",
            f"the column {column} of the table {table} has the type {text}, which Trapline does not know: {error}",
            remedy="correct its type, or read a view that leaves it out",
        ) from None


def _iceberg_kind(kind: IcebergType | Any) -> Kind:
    from pyiceberg import types

    if isinstance(kind, types.StructType):
        return struct_of((field.name, _iceberg_kind(field.field_type)) for field in kind.fields)
    if isinstance(kind, types.ListType):
        return array_of(_iceberg_kind(kind.element_type))
    if isinstance(kind, types.MapType):
        return map_of(_iceberg_kind(kind.key_type), _iceberg_kind(kind.value_type))
    if isinstance(kind, types.DecimalType):
        return decimal(kind.precision, kind.scale)
    if isinstance(kind, types.FixedType):
        return PLAIN["binary"]
    word = "timestamp_micros" if isinstance(kind, types.TimestampType) else str(kind)
    if word not in PLAIN:
        raise UnknownType(word)
    return PLAIN[word]

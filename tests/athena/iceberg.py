"""Iceberg tables: their columns in Athena's types, and the files of their current snapshot."""

from __future__ import annotations

import pyarrow as pa
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.table import StaticTable
from sqlglot import exp

from tests.athena.errors import failed

_SIMPLE = {
    pa.types.is_boolean: "boolean",
    pa.types.is_int32: "integer",
    pa.types.is_int64: "bigint",
    pa.types.is_float32: "real",
    pa.types.is_float64: "double",
    pa.types.is_date: "date",
    pa.types.is_time: "time(6)",
    pa.types.is_binary: "varbinary",
    pa.types.is_large_binary: "varbinary",
    pa.types.is_fixed_size_binary: "varbinary",
}


def read(metadata: str, endpoint: str) -> tuple[dict[str, exp.DataType], tuple[str, ...]]:
    """The types of the columns by their names, and the addresses of the data files."""
    properties = {
        "s3.endpoint": endpoint,
        "s3.access-key-id": "testing",
        "s3.secret-access-key": "testing",
        "s3.region": "us-east-1",
    }
    table = StaticTable.from_metadata(metadata, properties)
    columns = {
        field.name.lower(): exp.DataType.build(_athena_type(field.type), dialect="athena")
        for field in schema_to_pyarrow(table.schema())
    }
    planned = list(table.scan().plan_files())
    if any(task.delete_files for task in planned):
        raise failed("NOT_SUPPORTED", "the double reads no Iceberg tables with delete files")
    return columns, tuple(task.file.file_path for task in planned)


def _athena_type(kind: pa.DataType) -> str:
    """Iceberg's times have microseconds, with or without a time zone."""
    if pa.types.is_timestamp(kind):
        return "timestamp(6) with time zone" if kind.tz else "timestamp(6)"
    if pa.types.is_struct(kind):
        fields = [f'"{field.name}" {_athena_type(field.type)}' for field in kind]
        return f"row({', '.join(fields)})"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"array({_athena_type(kind.value_type)})"
    if pa.types.is_map(kind):
        return f"map({_athena_type(kind.key_type)}, {_athena_type(kind.item_type)})"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    return next((name for is_it, name in _SIMPLE.items() if is_it(kind)), "varchar")

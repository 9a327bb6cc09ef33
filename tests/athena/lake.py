"""Tables put into a double: objects into its S3, columns and partitions into its Glue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

LAKE = "lake"
"""The bucket of the tables."""

_HIVE = {
    pa.types.is_boolean: "boolean",
    pa.types.is_int8: "tinyint",
    pa.types.is_int16: "smallint",
    pa.types.is_int32: "int",
    pa.types.is_integer: "bigint",
    pa.types.is_float32: "float",
    pa.types.is_floating: "double",
    pa.types.is_date: "date",
    pa.types.is_timestamp: "timestamp",
    pa.types.is_binary: "binary",
    pa.types.is_large_binary: "binary",
}


class Lake:
    """The tables of a double, through clients of boto3 for its S3 and its Glue."""

    def __init__(self, s3: Any, glue: Any) -> None:
        self._s3 = s3
        self._glue = glue

    def put(
        self,
        name: str,
        rows: pa.Table | Path,
        partitions: Sequence[str],
        *,
        database: str,
        schema: pa.Schema | None,
        projection: Mapping[str, str] | None,
    ) -> str:
        """Makes a table or adds to it, as `AthenaDouble.put_table` says."""
        location = f"s3://{LAKE}/{database}/{name}/"
        files = _files_of(rows, partitions) if isinstance(rows, pa.Table) else _files_in(rows)
        if schema is None:
            schema = rows.schema if isinstance(rows, pa.Table) else pq.read_schema(next(iter(files.values())))
        for path, content in files.items():
            body = content if isinstance(content, bytes) else content.read_bytes()
            self._s3.put_object(Bucket=LAKE, Key=f"{database}/{name}/{path}", Body=body)
        columns = [_column(field.name, field.type) for field in schema if field.name not in partitions]
        keys = [_column(key, schema.field(key).type if key in schema.names else pa.string()) for key in partitions]
        self._declare(database, name, _storage(location, columns), keys, projection)
        if keys and projection is None:
            self._add_partitions(database, name, columns, sorted({path.rpartition("/")[0] for path in files}))
        return location

    def _declare(
        self,
        database: str,
        name: str,
        storage: dict[str, Any],
        keys: list[dict[str, str]],
        projection: Mapping[str, str] | None,
    ) -> None:
        glue = self._glue
        try:
            glue.create_database(DatabaseInput={"Name": database})
        except glue.exceptions.AlreadyExistsException:
            pass
        parameters = {
            "classification": "parquet",
            **({"projection.enabled": "true", **projection} if projection else {}),
        }
        table = {
            "Name": name,
            "TableType": "EXTERNAL_TABLE",
            "StorageDescriptor": storage,
            "PartitionKeys": keys,
            "Parameters": parameters,
        }
        try:
            glue.create_table(DatabaseName=database, TableInput=table)
        except glue.exceptions.AlreadyExistsException:
            glue.update_table(DatabaseName=database, TableInput=table)

    def _add_partitions(self, database: str, name: str, columns: list[dict[str, str]], folders: list[str]) -> None:
        glue = self._glue
        for folder in folders:
            values = [part.partition("=")[2] for part in folder.split("/")]
            storage = _storage(f"s3://{LAKE}/{database}/{name}/{folder}/", columns)
            try:
                glue.create_partition(
                    DatabaseName=database,
                    TableName=name,
                    PartitionInput={"Values": values, "StorageDescriptor": storage},
                )
            except glue.exceptions.AlreadyExistsException:
                pass


def hive_type(kind: pa.DataType) -> str:
    """An Arrow type as Glue declares it."""
    if pa.types.is_struct(kind):
        return f"struct<{','.join(f'{field.name}:{hive_type(field.type)}' for field in kind)}>"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"array<{hive_type(kind.value_type)}>"
    if pa.types.is_map(kind):
        return f"map<{hive_type(kind.key_type)},{hive_type(kind.item_type)}>"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    return next((name for is_it, name in _HIVE.items() if is_it(kind)), "string")


def _files_of(rows: pa.Table, partitions: Sequence[str]) -> dict[str, bytes]:
    """Rows as Parquet files by their paths, one for each partition."""
    if not partitions:
        return {f"{uuid4().hex}.parquet": _parquet(rows)}
    groups: dict[tuple[str, ...], list[int]] = {}
    values = zip(*(rows[name].to_pylist() for name in partitions), strict=True)
    for number, row in enumerate(values):
        groups.setdefault(tuple(map(str, row)), []).append(number)
    kept = rows.drop_columns(list(partitions))
    return {
        "/".join(f"{key}={value}" for key, value in zip(partitions, row, strict=True))
        + f"/{uuid4().hex}.parquet": _parquet(kept.take(numbers))
        for row, numbers in groups.items()
    }


def _files_in(folder: Path) -> dict[str, Path]:
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*.parquet"))}
    return {name: path for name, path in found.items() if not path.name.startswith((".", "_"))}


def _parquet(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd", row_group_size=20_000)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _column(name: str, kind: pa.DataType) -> dict[str, str]:
    return {"Name": name, "Type": hive_type(kind)}


def _storage(location: str, columns: list[dict[str, str]]) -> dict[str, Any]:
    kind = "org.apache.hadoop.hive.ql.io.parquet"
    return {
        "Columns": columns,
        "Location": location,
        "InputFormat": f"{kind}.MapredParquetInputFormat",
        "OutputFormat": f"{kind}.MapredParquetOutputFormat",
        "SerdeInfo": {"SerializationLibrary": f"{kind}.serde.ParquetHiveSerDe"},
    }

"""A double of Athena, S3, Glue and STS for tests: `with athena_double() as double: ...`.

It is a process of its own, so that any number can stand side by side, and ends with the one that started it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pyarrow as pa
import pyarrow.parquet as pq

from tests.athena.faults import Fault

REGION = "eu-central-1"
LAKE = "lake"
RESULTS = "results"
"""The buckets: what tables are made of, and where queries write."""

CONCURRENCY = 20
"""Queries queued and running at once, beyond which Athena takes no more: the quota of the smaller regions.

That is the `Active DML queries` of "Amazon Athena endpoints and quotas" in the AWS General Reference; large regions
have up to 200, and the quota counts queued and running queries alike.
"""

_ROOT = Path(__file__).parents[2]
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


@dataclass(frozen=True, slots=True)
class QuerySeen:
    """A query that the double was asked for."""

    id: str
    sql: str
    state: str
    reason: str | None
    bytes: int
    token: str | None
    workgroup: str
    database: str
    submitted: float
    started: float | None
    ended: float | None
    account: str


class FaultsOf:
    """Tells a double what to do wrong."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/double/faults"

    def add(self, fault: Fault) -> None:
        """One more, after those before it."""
        _call(self._url, "POST", fault.as_dict())

    def throttle(
        self, operation: str = "StartQueryExecution", *, times: int = 1, code: str = "ThrottlingException"
    ) -> None:
        """The next calls are answered with an error that asks to wait; `code` may be TooManyRequestsException."""
        self.add(Fault("throttle", times, operation, code))

    def server_error(self, operation: str = "StartQueryExecution", *, times: int = 1) -> None:
        """The next calls are answered with the HTTP status 500."""
        self.add(Fault("server-error", times, operation))

    def lose_answer(self, operation: str = "StartQueryExecution", *, times: int = 1) -> None:
        """The next calls are done, and their answers lost with the connection."""
        self.add(Fault("lose-answer", times, operation))

    def fail(self, failure: str = "internal", *, times: int = 1, matching: str = "") -> None:
        """The next queries with this in their text fail, with one of `errors.FAILURES`."""
        self.add(Fault("fail", times, failure=failure, matching=matching))

    def stall(self, seconds: float | None = None, *, times: int = 1, matching: str = "") -> None:
        """The next queries with this in their text run so long more, or until they are cancelled."""
        self.add(Fault("stall", times, seconds=seconds, matching=matching))

    def cut_off(self, *, times: int = 1, matching: str = "") -> None:
        """The next queries with this in their text scan more bytes than their workgroup lets them."""
        self.add(Fault("cut-off", times, matching=matching))

    @property
    def pending(self) -> list[Fault]:
        """What has still to happen."""
        return [Fault.read(entry) for entry in _call(self._url)]

    def clear(self) -> None:
        """Forgets what has not happened yet."""
        _call(self._url, "DELETE")


class AthenaDouble:
    """A running double, with the buckets LAKE and RESULTS."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.faults = FaultsOf(url)
        self.output = f"s3://{RESULTS}/athena/"
        self._make_buckets()

    @property
    def env(self) -> dict[str, str]:
        """The environment in which boto3 speaks to it, and to nothing else."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str) -> Any:
        """A client of boto3 that speaks to it."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    @property
    def queries(self) -> list[QuerySeen]:
        """All that it was asked for, in that order."""
        return [QuerySeen(**entry) for entry in _call(f"{self.url}/double/queries")]

    def reset(self) -> None:
        """Makes it as it was at first: no tables, no queries, no faults, empty buckets."""
        _call(f"{self.url}/double/reset", "POST")
        self._make_buckets()

    def put_table(
        self,
        name: str,
        rows: pa.Table | Path,
        *,
        partitions: Sequence[str] = (),
        database: str = "default",
        schema: pa.Schema | None = None,
        projection: Mapping[str, str] | None = None,
    ) -> str:
        """Makes a table, or adds rows to it, and returns where its objects are.

        `rows` are split by the columns `partitions`, of which the objects themselves have nothing. A folder holds
        Parquet files, below folders such as `day=2026-01-01` where the table has partitions; its table's columns are
        those of `schema`, by default of its first file. `projection` are properties that take the place of partitions
        in Glue.
        """
        location = f"s3://{LAKE}/{database}/{name}/"
        files = _files_of(rows, partitions) if isinstance(rows, pa.Table) else _files_in(rows)
        if schema is None:
            schema = rows.schema if isinstance(rows, pa.Table) else pq.read_schema(next(iter(files.values())))
        columns = [
            {"Name": field.name, "Type": hive_type(field.type)} for field in schema if field.name not in partitions
        ]
        keys = [{"Name": key, "Type": _key_type(schema, key)} for key in partitions]
        s3 = self.client("s3")
        for path, content in files.items():
            body = content if isinstance(content, bytes) else content.read_bytes()
            s3.put_object(Bucket=LAKE, Key=f"{database}/{name}/{path}", Body=body)
        self._declare(database, name, _storage(location, columns), keys, projection)
        if keys and projection is None:
            self._add_partitions(database, name, columns, sorted({path.rpartition("/")[0] for path in files}))
        return location

    def _make_buckets(self) -> None:
        s3 = self.client("s3")
        for bucket in (LAKE, RESULTS):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})

    def _declare(
        self,
        database: str,
        name: str,
        storage: dict[str, Any],
        keys: list[dict[str, str]],
        projection: Mapping[str, str] | None,
    ) -> None:
        glue = self.client("glue")
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
        glue = self.client("glue")
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


@contextmanager
def athena_double(
    *, concurrency: int = CONCURRENCY, running: int = 4, rows_per_file: int = 50_000, port: int = 0
) -> Iterator[AthenaDouble]:
    """Starts a double and ends it. `running` of the queries run at once, of `concurrency` that it takes."""
    options = {"--port": port, "--concurrency": concurrency, "--running": running, "--rows-per-file": rows_per_file}
    command = [sys.executable, "-m", "tests.athena.server"]
    for option, value in options.items():
        command += [option, str(value)]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            if not url:
                raise RuntimeError("the double of Athena did not start")
            yield AthenaDouble(url)
        finally:
            process.stdin.close()
            process.wait(timeout=10)


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


def _key_type(schema: pa.Schema, key: str) -> str:
    return hive_type(schema.field(key).type) if key in schema.names else "string"


def _storage(location: str, columns: list[dict[str, str]]) -> dict[str, Any]:
    kind = "org.apache.hadoop.hive.ql.io.parquet"
    return {
        "Columns": columns,
        "Location": location,
        "InputFormat": f"{kind}.MapredParquetInputFormat",
        "OutputFormat": f"{kind}.MapredParquetOutputFormat",
        "SerdeInfo": {"SerializationLibrary": f"{kind}.serde.ParquetHiveSerDe"},
    }


def _call(url: str, method: str = "GET", body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, method=method)) as answer:
        return json.loads(answer.read())

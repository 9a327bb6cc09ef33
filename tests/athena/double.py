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

import boto3
import pyarrow as pa

from tests.athena.faults import Fault
from tests.athena.lake import LAKE, Lake, hive_type

__all__ = ["CONCURRENCY", "LAKE", "REGION", "RESULTS", "AthenaDouble", "QuerySeen", "athena_double", "hive_type"]

REGION = "eu-central-1"
RESULTS = "results"
"""The bucket that queries write to; the other one is LAKE."""

CONCURRENCY = 20
"""Queries queued and running at once, beyond which Athena takes no more: the quota of the smaller regions.

That is the `Active DML queries` of "Amazon Athena endpoints and quotas" in the AWS General Reference; large regions
have up to 200, and the quota counts queued and running queries alike.
"""

_ROOT = Path(__file__).parents[2]


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
        lake = Lake(self.client("s3"), self.client("glue"))
        return lake.put(name, rows, partitions, database=database, schema=schema, projection=projection)

    def _make_buckets(self) -> None:
        s3 = self.client("s3")
        for bucket in (LAKE, RESULTS):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})


@contextmanager
def athena_double(
    *, concurrency: int = CONCURRENCY, running: int = 4, rows_per_file: int = 50_000, port: int = 0
) -> Iterator[AthenaDouble]:
    """Starts a double and ends it. `running` of the queries run at once, of `concurrency` that it takes."""
    options = {"--port": port, "--concurrency": concurrency, "--running": running, "--rows-per-file": rows_per_file}
    command = [sys.executable, "-m", "tests.athena.server"]
    for option, value in options.items():
        command += [option, str(value)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    # In a group of its own it does not hear of ^C; whoever started it does, and ends it.
    with subprocess.Popen(command, cwd=_ROOT, process_group=0, **pipes) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            if not url:
                raise RuntimeError("the double of Athena did not start")
            yield AthenaDouble(url)
        finally:
            process.stdin.close()
            process.wait(timeout=10)


def _call(url: str, method: str = "GET", body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, method=method)) as answer:
        return json.loads(answer.read())

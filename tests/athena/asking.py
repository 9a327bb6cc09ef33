"""What tests ask a double, and the table that they ask it of."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.athena.double import AthenaDouble

MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = 48


def events() -> pa.Table:
    """An event an hour over two days."""
    times = [MIDNIGHT + timedelta(hours=hour, microseconds=1600) for hour in range(HOURS)]
    return pa.table(
        {
            "ts": pa.array(times, pa.timestamp("us", "UTC")),
            "event": [
                {"id": str(hour), "action": "bad" if hour % 2 else "good", "roles": ["a", "b"][: hour % 3]}
                for hour in range(HOURS)
            ],
            "size": list(range(HOURS)),
            "day": [at.date().isoformat() for at in times],
        }
    )


class Asker:
    """Runs queries on a double, as a user of boto3 does."""

    def __init__(self, double: AthenaDouble, athena: Any = None) -> None:
        self.double = double
        self.athena = athena or double.client("athena")
        self._s3 = double.client("s3")

    def start(self, sql: str, **more: Any) -> str:
        given = {
            "QueryExecutionContext": {"Database": "sec"},
            "ResultConfiguration": {"OutputLocation": self.double.output},
            **more,
        }
        return str(self.athena.start_query_execution(QueryString=sql, **given)["QueryExecutionId"])

    def described(self, query_id: str) -> dict[str, Any]:
        described: dict[str, Any] = self.athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
        return described

    def wait(self, query_id: str, *states: str) -> dict[str, Any]:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            described = self.described(query_id)
            if described["Status"]["State"] in (states or ("SUCCEEDED", "FAILED", "CANCELLED")):
                return described
            time.sleep(0.01)
        raise TimeoutError(query_id)

    def run(self, sql: str, **more: Any) -> dict[str, Any]:
        return self.wait(self.start(sql, **more))

    def rows(self, sql: str, **more: Any) -> list[list[str | None]]:
        """The rows of a SELECT, without their header."""
        described = self.run(sql, **more)
        assert described["Status"]["State"] == "SUCCEEDED", described["Status"]
        pages = self.athena.get_paginator("get_query_results").paginate(QueryExecutionId=described["QueryExecutionId"])
        rows = [row["Data"] for page in pages for row in page["ResultSet"]["Rows"]]
        return [[cell.get("VarCharValue") for cell in row] for row in rows[1:]]

    def scanned(self, sql: str) -> int:
        described = self.run(sql)
        assert described["Status"]["State"] == "SUCCEEDED", described["Status"]
        return int(described["Statistics"]["DataScannedInBytes"])

    def failure(self, sql: str) -> str:
        """Why a query failed."""
        status = self.run(sql)["Status"]
        assert status["State"] == "FAILED", status
        assert status["AthenaError"]["ErrorMessage"] == status["StateChangeReason"]
        return str(status["StateChangeReason"])

    def manifest(self, described: dict[str, Any]) -> list[str]:
        return self.read(described["Statistics"]["DataManifestLocation"]).decode().split()

    def read(self, address: str) -> bytes:
        bucket, _, key = address.removeprefix("s3://").partition("/")
        content: bytes = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    def unloaded(self, described: dict[str, Any]) -> list[pa.Table]:
        assert described["Status"]["State"] == "SUCCEEDED", described["Status"]
        return [pq.read_table(BytesIO(self.read(file))) for file in self.manifest(described)]

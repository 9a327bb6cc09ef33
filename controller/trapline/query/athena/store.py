"""What queries write to S3: read file by file, and removed again."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from boto3.s3.transfer import TransferConfig

from trapline.query.athena.errors import explained, query_error
from trapline.query.athena.locations import Location
from trapline.query.batches import BATCH_BYTES, BATCH_ROWS, coalesced

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_READ_BYTES = 2**20
_AT_ONCE = 1_000  # so many objects one call removes at most
_ALONE = TransferConfig(use_threads=False)


@dataclass(frozen=True, slots=True)
class Stored:
    """One object."""

    at: Location
    size: int
    modified: datetime


class Store:
    """The buckets that Athena reads from and writes to. Thread-safe."""

    def __init__(self, s3: S3Client) -> None:
        self._s3 = s3

    def objects(self, prefix: Location) -> Iterator[Stored]:
        """All that is below a prefix, in the order of the names. Raises QueryError."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=prefix.bucket, Prefix=prefix.key)
        with explained():
            for page in pages:
                for found in page.get("Contents", []):
                    yield Stored(Location(prefix.bucket, found["Key"]), found["Size"], found["LastModified"])

    def batches(self, prefix: Location, *, table: str) -> Iterator[pa.RecordBatch]:
        """The rows of the Parquet files below a prefix, in batches of a good size. Raises QueryError.

        One file at a time is on disk, and of it one piece of a row group in memory: it does not matter how many rows
        there are. A file is fetched whole since what breaks off on the way is then simply fetched again.
        """
        return coalesced(batch for found in self.objects(prefix) for batch in self._rows(found.at, table))

    def _rows(self, at: Location, table: str) -> Iterator[pa.RecordBatch]:
        with tempfile.NamedTemporaryFile(prefix="trapline-") as file:
            with explained(table):
                self._s3.download_fileobj(at.bucket, at.key, file, Config=_ALONE)
            file.flush()
            try:
                with pq.ParquetFile(file.name, buffer_size=_READ_BYTES) as parquet:
                    yield from parquet.iter_batches(_rows_at_a_time(parquet.metadata), use_threads=False)
            except pa.ArrowException as error:
                raise query_error("internal", f"Athena's result {at} cannot be read: {error}", table=table) from error

    def tail(self, at: Location, size: int) -> bytes:
        """The last bytes of an object. Raises QueryError."""
        with explained():
            return self._s3.get_object(Bucket=at.bucket, Key=at.key, Range=f"bytes=-{size}")["Body"].read()

    def remove(self, prefix: Location, *, before: datetime | None = None) -> int:
        """Removes what is below a prefix, or of it what was written before a time; how much. Raises QueryError."""
        old = (found for found in self.objects(prefix) if before is None or found.modified < before)
        count = 0
        while some := list(islice(old, _AT_ONCE)):
            with explained():
                answer = self._s3.delete_objects(
                    Bucket=prefix.bucket,
                    Delete={"Objects": [{"Key": found.at.key} for found in some], "Quiet": True},
                )
            for error in answer.get("Errors", []):
                words = f"{error.get('Code')}: s3://{prefix.bucket}/{error.get('Key')} is not removed"
                raise query_error("permissions", words)
            count += len(some)
        return count


def _rows_at_a_time(metadata: pq.FileMetaData) -> int:
    """So many rows are BATCH_BYTES, by what the file says of itself."""
    groups = [metadata.row_group(at) for at in range(metadata.num_row_groups)]
    size = sum(group.total_byte_size for group in groups)
    fitting: int = BATCH_BYTES * metadata.num_rows // max(1, size)
    return max(1, min(BATCH_ROWS, fitting))

"""The one list of sources: which of them a table's settings mean."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from trapline.settings import TableSettings
from trapline.streams.ahead import Ahead
from trapline.streams.directory import Directory
from trapline.streams.source import Source, SourceDown


def make_source(
    table_name: str,
    settings: TableSettings,
    schema: pa.Schema,
    *,
    home: Path,
    since: datetime,
    positions: Mapping[str, str],
) -> Source:
    """The stream of a table. `since` is from when on it listens, where a source can look back; `positions` is where a
    source that has any went on to before. Raises SourceDown, also where the table has no stream."""
    stream = settings.lands
    if stream is None:
        raise SourceDown(f"the table {table_name} has no stream", remedy=f"give tables.{table_name} a `stream`")
    if stream.type == "directory":
        assert settings.path is not None
        return Directory(home / settings.path, schema, stream, since)
    if stream.type == "s3-events":  # boto3 takes long to load
        from trapline.streams.s3_events import S3Events

        return Ahead(S3Events(schema, stream))
    if stream.type == "sqs":
        from trapline.streams.sqs import Sqs

        return Ahead(Sqs(schema, stream))
    from trapline.streams.kinesis import Kinesis

    return Ahead(Kinesis(schema, stream, since, positions))

"""Which source a table's settings mean."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from trapline.settings import TableSettings
from trapline.streams.ahead import Ahead
from trapline.streams.directory import Directory
from trapline.streams.kinesis import Kinesis
from trapline.streams.make import make_source
from trapline.streams.s3_events import S3Events
from trapline.streams.source import SourceDown
from trapline.streams.sqs import Sqs

QUEUE = "https://sqs.eu-west-1.amazonaws.com/123456789012/landed"


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"path": "lake"}, Directory),
        ({"path": "lake", "stream": {"type": "directory"}}, Directory),
        ({"path": "lake", "stream": {"type": "s3-events", "queue": QUEUE}}, S3Events),
        ({"engine": "athena", "stream": {"type": "sqs", "queue": QUEUE}}, Sqs),
        ({"engine": "athena", "stream": {"type": "kinesis", "name": "landed"}}, Kinesis),
    ],
)
def test_the_source_of_a_table(credentials, tmp_path, settings, kind):
    (tmp_path / "lake").mkdir()
    table = TableSettings.model_validate(settings)
    schema = pa.schema([("id", pa.int64())])
    source = make_source("t", table, schema, home=tmp_path, since=datetime.now(UTC), positions={})
    assert type(source._source if isinstance(source, Ahead) else source) is kind
    assert isinstance(source, Ahead) == (kind is not Directory)
    if kind is Directory:
        assert source.receive(wait=0) == []
        source.close()


def test_a_table_without_a_stream(tmp_path):
    table = TableSettings.model_validate({"engine": "athena"})
    with pytest.raises(SourceDown, match=r"give tables\.logs a `stream`"):
        make_source("logs", table, pa.schema([]), home=tmp_path, since=datetime.now(UTC), positions={})

"""Records of a data stream, from moto's Kinesis."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from tests.aws import Aws
from trapline.settings import StreamSettings
from trapline.streams.kinesis import END, Kinesis
from trapline.streams.source import Handed, Parcel, SourceDown, Spoiled
from trapline_plugins.fake_server import Answer, Request, serving

SCHEMA = pa.schema([("id", pa.int64())])
LONG_AGO = datetime.now(UTC) - timedelta(hours=1)


class Clock:
    """Time goes by only while somebody sleeps."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 0.01)


Listen = Callable[..., Kinesis]


@pytest.fixture
def listen() -> Iterator[Listen]:
    opened: list[Kinesis] = []

    def listening(
        positions: Mapping[str, str] | None = None,
        since: datetime = LONG_AGO,
        schema: pa.Schema = SCHEMA,
        **more: Any,
    ) -> Kinesis:
        clock = Clock()
        settings = StreamSettings.model_validate({"type": "kinesis", "name": "landed"} | more)
        opened.append(Kinesis(schema, settings, since, positions or {}, now=clock, sleep=clock.sleep))
        return opened[-1]

    yield listening
    for source in opened:
        source.close()


class Stream:
    def __init__(self, aws: Aws) -> None:
        self.kinesis = aws.client("kinesis")
        self.kinesis.create_stream(StreamName="landed", ShardCount=1)

    def put(self, *found: Any) -> None:
        for one in found:
            data = one if isinstance(one, bytes) else json.dumps({"id": one}).encode()
            self.kinesis.put_record(StreamName="landed", Data=data, PartitionKey="p")


@pytest.fixture
def stream(aws: Aws) -> Stream:
    return Stream(aws)


def ids(handed: Sequence[Handed]) -> list[int]:
    found = []
    for one in handed:
        assert isinstance(one.what, Parcel), one.what
        found += one.what.records["id"].to_pylist()
    return found


def test_records_come_once_and_the_position_follows_what_is_done_without_a_gap(stream, listen):
    source = listen()
    assert source.receive(wait=1) == []
    stream.put(1, 2, 3)
    handed = source.receive(wait=5)
    assert ids(handed) == [1, 2, 3]
    assert source.receive(wait=1) == []
    assert source.positions == {}
    source.done([handed[1].receipt])
    assert source.positions == {}
    source.done([handed[0].receipt])
    [(shard, number)] = source.positions.items()
    assert (shard, number) == (f"eu-west-1/landed/{handed[1].receipt[0]}", handed[1].receipt[1])
    assert handed[2].what.key == "eu-west-1/landed/{}:{}".format(*handed[2].receipt)
    again = listen(source.positions).receive(wait=5)
    assert [one.what.key for one in again] == [handed[2].what.key]


def test_without_a_position_it_begins_at_since(stream, listen):
    stream.put(1)
    assert ids(listen().receive(wait=5)) == [1]
    assert listen(since=datetime.now(UTC) + timedelta(hours=1)).receive(wait=1) == []


def test_the_oldest_that_waits_is_what_is_not_done(stream, listen):
    source = listen()
    stream.put(1, 2)
    first, second = source.receive(wait=5)
    assert source.backlog().oldest == first.what.landed_at
    source.done([first.receipt])
    assert source.backlog().oldest == second.what.landed_at
    source.done([second.receipt])
    assert source.backlog().oldest is None


def test_a_position_is_one_in_its_own_stream(stream, listen):
    stream.put(1)
    source = listen()
    source.done([one.receipt for one in source.receive(wait=5)])
    stream.kinesis.create_stream(StreamName="other", ShardCount=1)
    stream.kinesis.put_record(StreamName="other", Data=b'{"id": 2}', PartitionKey="p")
    other = listen(source.positions, name="other")
    [handed] = other.receive(wait=5)
    assert ids([handed]) == [2]
    assert handed.what.key.startswith("eu-west-1/other/")
    other.done([handed.receipt])
    assert [key.split("/")[1] for key in other.positions] == ["other"]
    arn = stream.kinesis.describe_stream(StreamName="landed")["StreamDescription"]["StreamARN"]
    assert listen(source.positions, name=arn).receive(wait=1) == []  # the same stream by its other name


def test_the_stream_by_its_arn(stream, listen):
    stream.put(1)
    arn = stream.kinesis.describe_stream(StreamName="landed")["StreamDescription"]["StreamARN"]
    assert ids(listen(name=arn).receive(wait=5)) == [1]


class Resharded:
    """A stream whose shard `a` was split into `b` and `c`, with one record in each: moto closes no shards."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, str]] = []

    def __call__(self, request: Request) -> Answer:
        call = request.headers["x-amz-target"].partition(".")[2]
        asked = json.loads(request.body)
        return Answer(200, json.dumps(getattr(self, call)(asked)).encode())

    def ListShards(self, asked: dict[str, Any]) -> dict[str, Any]:
        if "NextToken" in asked:
            assert asked == {"NextToken": "n"}
            return {"Shards": [{"ShardId": "c", "ParentShardId": "a"}]}
        shards = [{"ShardId": "a", "ParentShardId": "gone"}, {"ShardId": "b", "ParentShardId": "a"}]
        return {"Shards": shards, "NextToken": "n"}

    def GetShardIterator(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.begun.append((asked["ShardId"], asked["ShardIteratorType"]))
        return {"ShardIterator": asked["ShardId"]}

    def GetRecords(self, asked: dict[str, Any]) -> dict[str, Any]:
        at = asked["ShardIterator"]
        if at not in ("a", "b", "c"):
            return {"Records": [], "NextShardIterator": at}
        data = base64.b64encode(b'{"id": %d}' % (ord(at) - ord("a"))).decode()
        record = {"SequenceNumber": "1", "ApproximateArrivalTimestamp": 1.0, "Data": data, "PartitionKey": "p"}
        return {"Records": [record]} | ({} if at == "a" else {"NextShardIterator": f"{at}-later"})


def test_the_children_of_a_shard_are_read_when_all_of_it_is_done(credentials, monkeypatch, listen):
    double = Resharded()
    with serving(double) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        source = listen()
        [parent] = source.receive(wait=1)
        assert ids([parent]) == [0]
        assert source.receive(wait=2) == []
        source.done([parent.receipt])
        assert source.positions == {"eu-west-1/landed/a": END}
        children = source.receive(wait=2)
        assert sorted(ids(children)) == [1, 2]
        assert double.begun == [(shard, "AT_TIMESTAMP") for shard in "abc"]
        double.begun.clear()
        source.done([children[0].receipt])
        assert len(listen(source.positions).receive(wait=1)) == 2
        assert sorted(double.begun) == [("b", "AFTER_SEQUENCE_NUMBER"), ("c", "TRIM_HORIZON")]


def test_what_is_no_record_is_spoiled_and_opened_again(stream, listen):
    source = listen()
    stream.put(b"\xff\x00", 2)
    spoiled, parcel = source.receive(wait=5)
    assert isinstance(spoiled.what, Spoiled)
    assert ids([parcel]) == [2]
    again = source.reopen(spoiled.what.key, spoiled.what.landed_at, spoiled.what.origin)
    assert isinstance(again, Spoiled)
    assert again == spoiled.what


def test_an_event_that_can_be_no_record_is_set_aside_alone(stream, listen):
    source = listen(schema=pa.schema([("ts", pa.timestamp("us", tz="UTC"))]), format="cloudtrail")
    stream.put(json.dumps([{"eventName": "X"}]).encode())
    _, alone = source.receive(wait=5)
    assert isinstance(alone.what, Spoiled)
    again = source.reopen(alone.what.key, alone.what.landed_at, alone.what.origin)
    assert isinstance(again, Spoiled)
    assert "no valid eventTime" in again.reason


def test_a_stream_that_is_missing_is_down(aws, listen):
    with pytest.raises(SourceDown, match="check the stream's queue: or name:"):
        listen().receive(wait=0)


@pytest.mark.parametrize("code", ["ExpiredIteratorException", "ProvisionedThroughputExceededException"])
def test_what_passes_is_waited_for(credentials, monkeypatch, listen, code):
    calls: list[str] = []
    data = {"SequenceNumber": "7", "ApproximateArrivalTimestamp": 1.0, "Data": "eyJpZCI6IDF9", "PartitionKey": "p"}

    def answer(request: Request) -> Answer:
        call = request.headers["x-amz-target"].partition(".")[2]
        calls.append(call)
        if call == "ListShards":
            return Answer(200, b'{"Shards": [{"ShardId": "s", "HashKeyRange": {}, "SequenceNumberRange": {}}]}')
        if call == "GetShardIterator":
            return Answer(200, b'{"ShardIterator": "i"}')
        if calls.count("GetRecords") == 1:
            return Answer(400, json.dumps({"__type": code, "message": "no"}).encode())
        behind = {"Records": [data], "NextShardIterator": "j", "MillisBehindLatest": 5000}
        return Answer(200, json.dumps(behind).encode())

    with serving(answer) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        source = listen()
        assert source.backlog().oldest is None
        assert ids(source.receive(wait=5)) == [1]
        oldest = source.backlog().oldest
        assert oldest is not None
        assert oldest < datetime.now(UTC) - timedelta(seconds=4)
    assert calls.count("GetShardIterator") == (2 if code.startswith("Expired") else 1)


def test_what_came_of_one_shard_is_not_lost_over_another(credentials, monkeypatch, listen):
    double = Resharded()
    refused = Answer(400, b'{"__type": "InternalFailureException", "message": "no"}')

    def answer(request: Request) -> Answer:
        return refused if b'"ShardIterator": "c"' in request.body else double(request)

    with serving(answer) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        source = listen({"eu-west-1/landed/a": END})
        assert ids(source.receive(wait=1)) == [1]
        with pytest.raises(SourceDown, match="InternalFailure"):
            source.receive(wait=5)


def test_a_refusal_names_the_permission(credentials, monkeypatch, listen):
    body = b'{"__type": "AccessDeniedException", "message": "no"}'
    with serving(lambda request: Answer(400, body)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        with pytest.raises(SourceDown, match="allow kinesis:ListShards"):
            listen().receive(wait=0)

"""Objects by their notifications, from moto's S3 and SQS."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pyarrow as pa
import pytest

from tests.aws import Aws
from trapline.settings import StreamSettings
from trapline.streams.queue import HELD_SECONDS
from trapline.streams.s3_events import S3Events
from trapline.streams.source import Handed, Parcel, SourceDown, Spoiled
from trapline_plugins.fake_server import Answer, Request, serving

SCHEMA = pa.schema([("id", pa.int64())])
LANDED = "2024-05-01T12:00:00Z"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Bucket:
    """A bucket, and the queue that is told of it."""

    def __init__(self, aws: Aws, queue: str) -> None:
        self.s3, self.sqs, self.queue = aws.client("s3"), aws.client("sqs"), queue
        self.s3.create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    def put(self, key: str, *ids: int, **more: Any) -> dict[str, Any]:
        """Puts an object, and answers the record of its notification."""
        body = more.pop("body", b"".join(b'{"id": %d}\n' % one for one in ids))
        etag = self.s3.put_object(Bucket="lake", Key=key, Body=body, **more)["ETag"].strip('"')
        return record(key, size=len(body), eTag=etag)

    def tell(self, *records: dict[str, Any]) -> None:
        self.send(json.dumps({"Records": records}))

    def send(self, body: str) -> None:
        self.sqs.send_message(QueueUrl=self.queue, MessageBody=body)

    def left(self) -> tuple[int, int]:
        """How many messages wait, and how many are held."""
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        found = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=list(names))["Attributes"]
        return int(found[names[0]]), int(found[names[1]])


def record(key: str, **found: Any) -> dict[str, Any]:
    s3 = {"bucket": {"name": "lake"}, "object": {"key": key, "sequencer": "1"} | found}
    return {"eventName": "ObjectCreated:Put", "eventTime": LANDED, "s3": s3}


@pytest.fixture
def bucket(aws: Aws, queue: str) -> Bucket:
    return Bucket(aws, queue)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source(bucket: Bucket, clock: Clock) -> Iterator[S3Events]:
    made = listening(bucket.queue, clock=clock)
    yield made
    made.close()


def listening(queue: str, clock: Clock | None = None, schema: pa.Schema = SCHEMA, **more: Any) -> S3Events:
    settings = StreamSettings.model_validate({"type": "s3-events", "queue": queue} | more)
    return S3Events(schema, settings, now=clock or Clock())


def ids(handed: Handed) -> list[int]:
    assert isinstance(handed.what, Parcel), handed.what
    return handed.what.records["id"].to_pylist()


def reason(handed: Handed) -> str:
    assert isinstance(handed.what, Spoiled), handed.what
    return handed.what.reason


def test_an_object_from_its_notification_to_its_end(bucket, source):
    assert source.receive(wait=0) == []
    bucket.tell(bucket.put("a/b c.jsonl", 1, 2) | record("a/b+c.jsonl", eTag="e"))
    [handed] = source.receive(wait=0.5)
    assert ids(handed) == [1, 2]
    assert handed.what.key == "s3://lake/a/b%20c.jsonl#e/1"
    assert handed.what.landed_at == datetime(2024, 5, 1, 12, tzinfo=UTC)
    assert bucket.left() == (0, 1)
    source.done([handed.receipt])
    assert bucket.left() == (0, 0)
    source.done([handed.receipt])  # whose message is gone: nothing that another try would help


def test_objects_of_one_message_share_its_receipt(bucket, source):
    bucket.tell(bucket.put("a", 1), bucket.put("b", 2), record("c"))
    first, second, gone = source.receive(wait=0)
    assert (ids(first), ids(second), reason(gone)) == ([1], [2], "it is gone")
    assert first.receipt == second.receipt == gone.receipt
    source.done([first.receipt, second.receipt, gone.receipt])
    assert bucket.left() == (0, 0)


def test_what_is_told_twice_has_the_same_key(bucket, source):
    told = bucket.put("a", 1)
    bucket.tell(told)
    bucket.tell(told)
    first, second = source.receive(wait=0)
    assert first.what.key == second.what.key
    assert first.receipt != second.receipt


def test_more_than_ten_messages_are_removed(bucket, source):
    for number in range(12):
        bucket.tell(bucket.put(f"{number}", number))
    handed = [one for _ in range(3) for one in source.receive(wait=0)]
    assert sorted(ids(one)[0] for one in handed) == list(range(12))
    source.done([one.receipt for one in handed])
    assert bucket.left() == (0, 0)


def test_other_events_are_done_silently_and_what_is_no_notification_is_not(bucket, source):
    bucket.send('{"Service": "Amazon S3", "Event": "s3:TestEvent"}')
    bucket.tell()
    bucket.send("what is this?")
    [handed] = source.receive(wait=0)
    assert isinstance(handed.what, Spoiled)
    assert "no notification of S3" in handed.what.reason
    assert handed.what.origin == "what is this?"
    assert bucket.left() == (0, 1)
    again = source.reopen(handed.what.key, handed.what.landed_at, handed.what.origin)
    assert isinstance(again, Spoiled)
    assert again.reason == handed.what.reason


def test_an_object_that_cannot_be_read_is_spoiled_and_opened_again(bucket, source):
    bucket.tell(bucket.put("x.jsonl.gz", body=gzip.compress(b'{"id": 1}')[:-5]))
    [handed] = source.receive(wait=0)
    assert reason(handed) == "its gzip stream is cut off"
    bucket.put("x.jsonl.gz", body=gzip.compress(b'{"id": 1}'))
    parcel = source.reopen(handed.what.key, handed.what.landed_at, handed.what.origin)
    assert isinstance(parcel, Parcel)
    assert (parcel.key, parcel.records["id"].to_pylist()) == (handed.what.key, [1])
    bucket.s3.delete_object(Bucket="lake", Key="x.jsonl.gz")
    gone = source.reopen(handed.what.key, handed.what.landed_at, handed.what.origin)
    assert isinstance(gone, Spoiled)
    assert gone.reason == "it is gone"


def test_the_version_that_is_told_of_is_the_one_that_is_read(bucket, source):
    bucket.s3.put_bucket_versioning(Bucket="lake", VersioningConfiguration={"Status": "Enabled"})
    old = bucket.s3.put_object(Bucket="lake", Key="a", Body=b'{"id": 1}')["VersionId"]
    bucket.put("a", 2)
    bucket.tell(record("a", versionId=old))
    [handed] = source.receive(wait=0)
    assert ids(handed) == [1]
    assert handed.what.key == f"s3://lake/a?versionId={old}#/1"


def test_what_is_too_large_is_left_to_the_sweep(bucket):
    source = listening(bucket.queue, largest=20)
    told = bucket.put("a", *range(10))
    bucket.tell(told)
    del (untold := json.loads(json.dumps(told)))["s3"]["object"]["size"]
    bucket.tell(untold)
    handed = [one for _ in range(2) for one in source.receive(wait=0)]
    assert len(handed) == 2
    for one in handed:
        assert reason(one).startswith("it is too large, and is left to the sweep: 100 bytes")
    source.close()


def test_an_archived_object_is_spoiled(bucket, source):
    bucket.tell(bucket.put("a", 1, StorageClass="GLACIER"))
    [handed] = source.receive(wait=0)
    assert "it is archived" in reason(handed)


def test_what_is_much_together_comes_one_by_one(bucket):
    source = listening(bucket.queue, largest=25)
    for number in range(5):
        bucket.tell(bucket.put(str(number), number, number))
    assert [len(source.receive(wait=0)) for _ in range(6)] == [1, 1, 1, 1, 1, 0]
    source.close()


def test_events_of_a_delivery_that_can_be_no_records_are_set_aside_alone(bucket):
    schema = pa.schema([("ts", pa.timestamp("us", tz="UTC"))])
    source = listening(bucket.queue, schema=schema, format="cloudtrail")
    events = [{"eventTime": LANDED, "eventName": "CreateUser"}, {"eventName": "X"}]
    bucket.tell(bucket.put("d.json.gz", body=gzip.compress(json.dumps({"Records": events}).encode())))
    parcel, alone = source.receive(wait=0)
    assert isinstance(parcel.what, Parcel)
    assert parcel.what.records.num_rows == 1
    assert isinstance(alone.what, Spoiled)
    assert alone.what.key == f"{parcel.what.key}!2"
    again = source.reopen(alone.what.key, alone.what.landed_at, alone.what.origin)
    assert isinstance(again, Spoiled)
    assert "no valid eventTime" in again.reason
    source.close()


def test_what_is_worked_on_is_held_and_what_is_done_is_not(bucket, source, clock, caplog):
    caplog.set_level("INFO", "werkzeug")
    bucket.tell(bucket.put("a", 1))
    [handed] = source.receive(wait=0)
    caplog.clear()
    source.extend()
    assert caplog.messages == []  # it is too early to ask for more
    bucket.sqs.change_message_visibility(QueueUrl=bucket.queue, ReceiptHandle=handed.receipt, VisibilityTimeout=60)
    clock.now += HELD_SECONDS / 2 + 1
    caplog.clear()
    source.extend()
    source.extend()
    assert len(caplog.messages) == 1
    source.done([handed.receipt])
    clock.now += HELD_SECONDS
    caplog.clear()
    source.extend()
    assert caplog.messages == []


def test_closing_gives_up_what_is_not_done(bucket, source):
    bucket.tell(bucket.put("a", 1))
    bucket.tell(bucket.put("b", 2))
    first, second = source.receive(wait=0)
    source.done([first.receipt])
    source.close()
    assert bucket.left() == (1, 0)
    source.close()
    [again] = listening(bucket.queue).receive(wait=0)
    assert again.what.key == second.what.key


def test_the_backlog_is_what_waits_and_what_is_held(bucket, source):
    assert (source.backlog().waiting, source.backlog().oldest) == (0, None)
    bucket.tell(bucket.put("a", 1))
    assert (source.backlog().waiting, source.backlog().oldest) == (1, None)
    source.receive(wait=0)
    backlog = source.backlog()
    assert backlog.waiting == 1
    assert backlog.oldest is not None
    assert backlog.oldest <= datetime.now(UTC)


def test_one_object_that_is_denied_does_not_stop_the_others(bucket, aws):
    iam = aws.client("iam")
    iam.create_user(UserName="t")
    allowed = [
        {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"},
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::lake/ours/*"},
    ]
    iam.put_user_policy(
        UserName="t", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": allowed})
    )
    key = iam.create_access_key(UserName="t")["AccessKey"]
    bucket.tell(bucket.put("ours/a", 1))
    bucket.tell(bucket.put("theirs/b", 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        patch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        source = listening(bucket.queue)
        reset = f"{aws.url}/moto-api/reset-auth"
        httpx.post(reset, content="0", trust_env=False).raise_for_status()
        try:
            ours, theirs = source.receive(wait=0)
        finally:
            httpx.post(reset, content="inf", trust_env=False).raise_for_status()
    assert ids(ours) == [1]
    assert "allow s3:GetObject on s3://lake/theirs/b" in reason(theirs)
    source.close()


@pytest.mark.parametrize(
    ("status", "code", "remedy"),
    [
        (403, "AccessDenied", "allow sqs:ReceiveMessage"),
        (403, "InvalidClientTokenId", "renew the AWS credentials"),
        (400, "AWS.SimpleQueueService.NonExistentQueue", "check the stream's queue:"),
        (400, "ThrottlingException", "higher quota"),
        (500, "InternalFailure", "it is asked again"),
    ],
)
def test_what_aws_answers_is_said_with_a_remedy(credentials, monkeypatch, status, code, remedy):
    body = json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": "no"}).encode()
    with serving(lambda request: Answer(status, body)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        source = listening("https://sqs.eu-west-1.amazonaws.com/123456789012/landed")
        with pytest.raises(SourceDown, match=remedy):
            source.receive(wait=0)
        source.close()


def test_aws_that_cannot_be_reached_or_asked(credentials, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    source = listening("https://sqs.eu-west-1.amazonaws.com/123456789012/landed")
    with pytest.raises(SourceDown, match="cannot be reached"):
        source.receive(wait=0)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(SourceDown, match="no credentials"):
        listening("https://sqs.eu-west-1.amazonaws.com/123456789012/landed").receive(wait=0)
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(SourceDown, match="set the stream's region"):
        listening("https://queue.example/landed")


def test_an_object_that_cannot_be_had_now_comes_again_later(credentials, monkeypatch):
    told = {"Records": [record("a", eTag="e")]}
    message = {"MessageId": "m", "ReceiptHandle": "r", "Body": json.dumps(told), "Attributes": {"SentTimestamp": "0"}}
    asked: list[tuple[str, bytes]] = []

    def answer(request: Request) -> Answer:
        call = request.headers.get("x-amz-target", "").partition(".")[2]
        asked.append((call, request.body))
        if call == "ReceiveMessage":
            return Answer(200, json.dumps({"Messages": [message]}).encode())
        return Answer(200, b"{}") if call else Answer(503, b"<Error><Code>SlowDown</Code></Error>")

    with serving(answer) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        source = listening("https://sqs.eu-west-1.amazonaws.com/123456789012/landed")
        with pytest.raises(SourceDown, match="SlowDown"):
            source.receive(wait=0)
        source.extend()
        source.close()
    [change] = [json.loads(body) for call, body in asked if call == "ChangeMessageVisibilityBatch"]
    assert change["Entries"] == [{"Id": "0", "ReceiptHandle": "r", "VisibilityTimeout": 30}]


def test_what_could_not_be_removed_is_tried_again(credentials, monkeypatch):
    tries: list[int] = []

    def answer(request: Request) -> Answer:
        entries = json.loads(request.body)["Entries"]
        tries.append(len(entries))
        failed = [{"Id": one["Id"], "SenderFault": one["ReceiptHandle"] == "old", "Code": "X"} for one in entries[1:]]
        return Answer(200, json.dumps({"Successful": [], "Failed": failed}).encode())

    with serving(answer) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        source = listening("https://sqs.eu-west-1.amazonaws.com/123456789012/landed")
        source.done(["a", "b", "old", "c"])
        assert tries == [4, 2, 1]
        tries.clear()
        with pytest.raises(SourceDown, match="1 messages could not be removed"):
            source.done(["a", "b", "c", "d"])
        source.close()

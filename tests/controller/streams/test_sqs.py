"""Records as messages, from moto's SQS."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest

from tests.aws import Aws
from trapline.settings import StreamSettings
from trapline.streams.source import Handed, Parcel, SourceDown, Spoiled
from trapline.streams.sqs import Sqs
from trapline_plugins.fake_server import Answer, serving

SCHEMA = pa.schema([("id", pa.int64())])
EVENT = {"eventTime": "2024-05-01T12:00:00Z", "eventName": "CreateUser"}

Listen = Callable[..., Sqs]


@pytest.fixture
def listen(queue: str) -> Iterator[Listen]:
    opened: list[Sqs] = []

    def listening(schema: pa.Schema = SCHEMA, **more: Any) -> Sqs:
        opened.append(Sqs(schema, StreamSettings.model_validate({"type": "sqs", "queue": queue} | more)))
        return opened[-1]

    yield listening
    for source in opened:
        source.close()


@pytest.fixture
def send(aws: Aws, queue: str) -> Callable[[Any], str]:
    """Sends a message, and answers its id."""
    sqs = aws.client("sqs")

    def sending(body: Any) -> str:
        text = body if isinstance(body, str) else json.dumps(body)
        return str(sqs.send_message(QueueUrl=queue, MessageBody=text)["MessageId"])

    return sending


def ids(handed: Handed) -> list[int]:
    assert isinstance(handed.what, Parcel), handed.what
    return handed.what.records["id"].to_pylist()


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"id": 1}, [1]),
        ([{"id": 1}, {"id": 2}], [1, 2]),
        ('{"id": 1}\n{"id": 2}\n', [1, 2]),
        ({"Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:1:t", "Message": '{"id": 3}'}, [3]),
    ],
)
def test_a_message_is_its_records(listen, send, body, wanted):
    source = listen()
    key = send(body)
    [handed] = source.receive(wait=0)
    assert (ids(handed), handed.what.key) == (wanted, key)
    source.done([handed.receipt])
    assert source.backlog().waiting == 0


def test_a_table_of_envelopes_keeps_them(listen, send):
    send({"Type": "Notification", "TopicArn": "arn:t", "Message": "{}"})
    [handed] = listen(pa.schema([("TopicArn", pa.string())])).receive(wait=0)
    assert isinstance(handed.what, Parcel)
    assert handed.what.records.to_pylist() == [{"TopicArn": "arn:t"}]


@pytest.mark.parametrize("wrap", [lambda event: event, lambda event: {"detail-type": "x", "detail": event}])
def test_events_of_cloudtrail(listen, send, wrap):
    send(wrap(EVENT))
    [handed] = listen(pa.schema([("ts", pa.timestamp("us", tz="UTC"))]), format="cloudtrail").receive(wait=0)
    assert isinstance(handed.what, Parcel)
    assert handed.what.records.num_rows == 1


def test_what_is_no_record_is_spoiled_and_opened_again(listen, send):
    source = listen()
    key = send('{"id": "x"}')
    [handed] = source.receive(wait=0)
    assert isinstance(handed.what, Spoiled)
    assert handed.what.reason.startswith("column id, row 1: ")
    assert (handed.what.key, handed.what.origin) == (key, '{"id": "x"}')
    again = listen(pa.schema([("id", pa.string())])).reopen(key, handed.what.landed_at, handed.what.origin)
    assert isinstance(again, Parcel)
    assert again.records.to_pylist() == [{"id": "x"}]


def test_many_messages_come_together(listen, send):
    for number in range(25):
        send({"id": number})
    source = listen()
    handed = source.receive(wait=0)
    assert sorted(ids(one)[0] for one in handed) == list(range(25))
    assert source.backlog().waiting == 25
    source.extend()
    source.done([one.receipt for one in handed[:20]])
    source.close()
    assert len(listen().receive(wait=0)) == 5


def test_what_came_is_not_lost_over_a_queue_that_fails_then(credentials, monkeypatch, listen):
    message = {"MessageId": "m", "ReceiptHandle": "r", "Body": '{"id": 1}', "Attributes": {"SentTimestamp": "0"}}
    answers = iter([Answer(200, json.dumps({"Messages": [message]}).encode())])
    with serving(lambda request: next(answers, Answer(500, b"{}"))) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        source = listen()
        assert ids(source.receive(wait=0)[0]) == [1]
        with pytest.raises(SourceDown):
            source.receive(wait=0)
        source.close()

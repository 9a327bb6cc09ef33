"""What messages about objects say, by each way that they come."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trapline.streams.notifications import Landed, NoNotification, landed, place_of

AT = datetime(2024, 5, 1, 12, tzinfo=UTC)
OBJECT = {"key": "a/b+c%3D%C3%BC.json", "size": 5, "eTag": "e1", "sequencer": "001"}
EVENT = {
    "source": "aws.s3",
    "detail-type": "Object Created",
    "time": "2024-05-01T12:00:00Z",
    "detail": {
        "bucket": {"name": "lake"},
        "object": {"key": "a/b c=ü.json", "size": 5, "etag": "e1", "sequencer": "001"},
    },
}
KEYS = ("Records", "source", "detail", "s3", "s3ObjectKey", "eventName")
LANDED = Landed("lake", "a/b c=ü.json", "", "e1/001", 5, AT)


def record(name: str = "ObjectCreated:Put", **more: Any) -> dict[str, Any]:
    s3 = {"bucket": {"name": "lake"}, "object": OBJECT | more}
    return {"eventName": name, "eventTime": "2024-05-01T12:00:00.000Z", "s3": s3}


def notification(*records: Any) -> str:
    return json.dumps({"Records": records})


def by_sns(body: str) -> str:
    return json.dumps({"Type": "Notification", "TopicArn": "arn:aws:sns:eu-west-1:1:t", "Message": body})


@pytest.mark.parametrize(
    "body", [notification(record()), by_sns(notification(record())), json.dumps(EVENT), by_sns(json.dumps(EVENT))]
)
def test_each_way_says_the_same(body):
    assert landed(body) == [LANDED]


def test_the_identity_is_that_of_the_upload():
    [again] = landed(notification(record("s3:ObjectCreated:Copy", sequencer="001")))
    assert again.identity == LANDED.identity == "s3://lake/a/b%20c%3D%C3%BC.json#e1/001"
    for more in ({"sequencer": "002"}, {"eTag": "e2"}, {"versionId": "v"}):
        [other] = landed(notification(record(**more)))
        assert other.identity != LANDED.identity


def test_several_objects_and_other_events():
    records = [record(), record("ObjectRemoved:Delete"), record(key="x")]
    assert [one.key for one in landed(notification(*records))] == ["a/b c=ü.json", "x"]
    assert landed(notification()) == []
    assert landed('{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "lake"}') == []
    assert landed(json.dumps(EVENT | {"detail-type": "Object Deleted"})) == []


def test_cloudtrails_own_word_of_its_deliveries():
    body = json.dumps({"s3Bucket": "trail", "s3ObjectKey": ["AWSLogs/a.json.gz", "AWSLogs/b.json.gz"]})
    assert landed(by_sns(body)) == [Landed("trail", "AWSLogs/a.json.gz"), Landed("trail", "AWSLogs/b.json.gz")]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "text",
        "[]",
        "{}",
        "null",
        "[" * 100_000,
        '{"Records": [1]}',
        '{"Records": [{"eventName": "ObjectCreated:Put"}]}',
        '{"Records": [{"eventName": 1}]}',
        json.dumps({"Type": "SubscriptionConfirmation", "TopicArn": "x", "Message": "confirm"}),
        json.dumps({"source": "aws.s3"}),
        notification(record(key=5)),
        notification(record(size="big")),
        notification(record() | {"eventTime": "now"}),
        by_sns("text"),
    ],
)
def test_what_is_no_notification(body):
    with pytest.raises(NoNotification, match="no notification of S3"):
        landed(body)


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1), st.sampled_from(["", "v.1_x"]))
def test_an_origin_says_where_the_object_lies(key: str, version: str) -> None:
    assert place_of(Landed("lake", key, version).origin) == ("lake", key, version)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS), inner),
    )
)
def test_no_message_breaks_it(found: Any) -> None:
    try:
        assert isinstance(landed(json.dumps(found)), list)
    except NoNotification:
        pass

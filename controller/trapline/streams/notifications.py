"""Which objects a message tells of: notifications of S3 as they come to a queue by each of their ways."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote, unquote_plus


class NoNotification(Exception):
    """A message that tells of no object's fate."""


@dataclass(frozen=True, slots=True)
class Landed:
    """A new object. `version` is empty in a bucket without versions; `upload` tells it from what was there before.

    `size` is in bytes, and None where the message does not say; so is `at`.
    """

    bucket: str
    key: str
    version: str = ""
    upload: str = ""
    size: int | None = None
    at: datetime | None = None

    @property
    def origin(self) -> str:
        """Where it lies, as `place_of` reads it."""
        version = f"?versionId={self.version}" if self.version else ""
        return f"s3://{self.bucket}/{quote(self.key)}{version}"

    @property
    def identity(self) -> str:
        """The same in each message about this upload."""
        return f"{self.origin}#{self.upload}"


def place_of(origin: str) -> tuple[str, str, str]:
    """The bucket, key and version of an origin."""
    path, _, version = origin.removeprefix("s3://").partition("?versionId=")
    bucket, _, key = path.partition("/")
    return bucket, unquote(key), version


def unwrapped(body: str) -> str:
    """What SNS wraps into an envelope, or the body as it is."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return body
    if isinstance(found, dict) and found.get("Type") == "Notification" and "TopicArn" in found:
        return str(found.get("Message"))
    return body


def landed(body: str) -> list[Landed]:
    """The objects that are new by a message, none where it tells of other events. Raises NoNotification.

    Notifications of S3 itself and those of EventBridge, also by SNS, and CloudTrail's own of its deliveries.
    """
    try:
        found = json.loads(unwrapped(body))
        if isinstance(found, dict):
            if isinstance(found.get("Records"), list):
                return [_record(record) for record in found["Records"] if record["eventName"].startswith(_CREATED)]
            if found.get("source") == "aws.s3":
                return [_event(found)] if found["detail-type"] == "Object Created" else []
            if found.get("Event") == "s3:TestEvent":
                return []
            if isinstance(found.get("s3ObjectKey"), list):
                return [Landed(_text(found["s3Bucket"]), _text(key)) for key in found["s3ObjectKey"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise NoNotification("it is no notification of S3, nor one that EventBridge or SNS hands on")


_CREATED = ("ObjectCreated:", "s3:ObjectCreated:")


def _record(record: Mapping[str, Any]) -> Landed:
    s3 = record["s3"]
    found = s3["object"]
    return _landed(s3["bucket"]["name"], unquote_plus(found["key"]), found, "versionId", "eTag", record["eventTime"])


def _event(event: Mapping[str, Any]) -> Landed:
    detail = event["detail"]
    found = detail["object"]
    return _landed(detail["bucket"]["name"], found["key"], found, "version-id", "etag", event["time"])


def _landed(bucket: Any, key: str, found: Mapping[str, Any], version: str, etag: str, at: str) -> Landed:
    upload = f"{found.get(etag) or ''}/{found.get('sequencer') or ''}"
    size = found.get("size")
    moment = datetime.fromisoformat(at)
    return Landed(
        _text(bucket),
        _text(key),
        _text(found.get(version) or ""),
        upload,
        int(size) if size is not None else None,
        moment if moment.tzinfo else moment.replace(tzinfo=UTC),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value

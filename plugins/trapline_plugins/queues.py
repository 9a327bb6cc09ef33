"""The `sqs` and `sns` destinations: each notification as a message with the webhook's body, in order where FIFO.

AWS's requests are signed by boto3, so these have clients of their own, which try once and leave the rest to the router.
It is imported when the first message is sent: who has no such destination needs no boto3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field

from trapline_plugins.api import (
    Delivered,
    Destination,
    DestinationConfig,
    Notification,
    Outcome,
    Rejected,
    Retry,
    Unknown,
)
from trapline_plugins.payload import PAYLOAD_SETTING, Payload, alert_json
from trapline_plugins.text import cut, one_line

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

MAX_BYTES = 256 * 1024
"""The largest message that SNS takes, with its attributes; a queue takes it too, unless it was made for less."""

_MAX_BODY = MAX_BYTES - 2048  # the rest is for the attributes
_MAX_ID = 128
_FIFO = ".fifo"
_QUEUE = re.compile(r"https?://[^\s/?#@]+/\d+/[A-Za-z0-9_-]{1,80}(?:\.fifo)?")
_QUEUE_REGION = re.compile(r"\bsqs\.([a-z]{2}[a-z0-9-]*-\d)\.")
_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:([a-z0-9-]+):\d{12}:[A-Za-z0-9_-]{1,256}(?:\.fifo)?")
# Whole in JSON, and forbidden in a message: both escape to themselves.
_ESCAPED = {0xFFFE: "\\ufffe", 0xFFFF: "\\uffff"}
# Temporary credentials are renewed by whoever gave them.
_MAY_PASS = re.compile("throttl|TooManyRequests|RequestLimitExceeded|ExpiredToken|RequestExpired", re.IGNORECASE)


def _queue_url(value: str) -> str:
    if not _QUEUE.fullmatch(value):
        raise ValueError("this is not a queue's URL such as https://sqs.eu-west-1.amazonaws.com/123456789012/alerts")
    return value


def _topic_arn(value: str) -> str:
    if not _TOPIC.fullmatch(value):
        raise ValueError("this is not a topic's ARN such as arn:aws:sns:eu-west-1:123456789012:alerts")
    return value


class SqsConfig(DestinationConfig):
    """The settings of an `sqs` destination."""

    queue_url: Annotated[str, AfterValidator(_queue_url)] = Field(
        description="The queue's URL. The region is the one it names, or the environment's where it names none."
    )
    payload: Payload = Field("trapline", description=PAYLOAD_SETTING)
    timeout: float = Field(10, gt=0, le=20, description="Seconds to wait for the connection, and for the answer.")


class SnsConfig(DestinationConfig):
    """The settings of an `sns` destination."""

    topic_arn: Annotated[str, AfterValidator(_topic_arn)] = Field(
        description="The topic's ARN. The region is the one it names."
    )
    payload: Payload = Field("trapline", description=PAYLOAD_SETTING)
    timeout: float = Field(10, gt=0, le=20, description="Seconds to wait for the connection, and for the answer.")


class Sqs(Destination[SqsConfig]):
    """Sends each notification to a queue."""

    kind = "sqs"
    config_model = SqsConfig

    def render(self, notification: Notification) -> str:
        return _body(notification, self.config.payload)

    def send(self, notification: Notification, rendered: str, ref: str) -> Outcome:
        url = self.config.queue_url
        more = _more(notification, fifo=url.endswith(_FIFO))
        return _outcome(lambda: self._client.send_message(QueueUrl=url, MessageBody=rendered, **more))

    def check(self) -> str | None:
        """Needs the right to sqs:GetQueueAttributes, which sending does not."""
        return _trouble(lambda: self._client.get_queue_attributes(QueueUrl=self.config.queue_url))

    @cached_property
    def _client(self) -> Any:
        region = _QUEUE_REGION.search(self.config.queue_url)
        return _client("sqs", region[1] if region else None, self.config.timeout)


class Sns(Destination[SnsConfig]):
    """Publishes each notification to a topic."""

    kind = "sns"
    config_model = SnsConfig

    def render(self, notification: Notification) -> str:
        return _body(notification, self.config.payload)

    def send(self, notification: Notification, rendered: str, ref: str) -> Outcome:
        arn = self.config.topic_arn
        more = _more(notification, fifo=arn.endswith(_FIFO))
        return _outcome(lambda: self._client.publish(TopicArn=arn, Message=rendered, **more))

    def check(self) -> str | None:
        """Needs the right to sns:GetTopicAttributes, which publishing does not."""
        return _trouble(lambda: self._client.get_topic_attributes(TopicArn=self.config.topic_arn))

    @cached_property
    def _client(self) -> Any:
        return _client("sns", self.config.topic_arn.split(":")[3], self.config.timeout)


def _body(notification: Notification, payload: Payload) -> str:
    return alert_json(notification, _MAX_BODY, payload).translate(_ESCAPED)


def _more(notification: Notification, *, fifo: bool) -> dict[str, Any]:
    """What goes with the body: attributes to filter by, and the order and identity of a FIFO message."""
    attributes = {
        "kind": notification.kind.value,
        "severity": notification.severity,
        "detection": one_line(notification.detection, 200),
    }
    more: dict[str, Any] = {
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items() if value
        }
    }
    if fifo:
        # By the delivery, not the alert: a resolve within five minutes would be dropped as a repeat.
        more["MessageDeduplicationId"] = cut(notification.delivery_id, _MAX_ID)
        more["MessageGroupId"] = cut(notification.alert_id, _MAX_ID)
    return more


def _client(service: str, region: str | None, timeout: float) -> Any:
    import boto3
    from botocore.config import Config

    once = Config(
        connect_timeout=timeout,
        read_timeout=timeout,
        retries={"total_max_attempts": 1, "mode": "standard"},
        user_agent_extra="trapline",
    )
    session: Any = boto3.Session()  # of its own: the default one is not made for many threads
    return session.client(service, region_name=region, config=once)


def _outcome(call: Callable[[], Mapping[str, Any]]) -> Outcome:
    """Calls AWS once, and says what became of it."""
    try:
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
        from botocore.parsers import ResponseParserError
    except ImportError:
        return Retry("boto3 is not installed: `pip install boto3` beside Trapline")
    try:
        return Delivered(ref=str(call().get("MessageId", "")))
    except ClientError as error:
        return _refused(error)
    except HTTPClientError as error:
        return Unknown(f"sent, and no answer came: {error}")
    except (ResponseParserError, AttributeError, TypeError, ValueError):
        # The last three are how botocore reads JSON that is no object. Their words may quote the request.
        return Unknown("sent, and the answer was not one of AWS")
    except BotoCoreError as error:  # no connection, no credentials, no region: nothing has left
        return Retry(f"not sent: {error}")


def _refused(error: ClientError) -> Retry | Rejected:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code, message = (str(error.response.get("Error", {}).get(name, "")) for name in ("Code", "Message"))
    reason = one_line(f"AWS answered {status} {code}: {message}", 500)
    return Retry(reason) if status == 429 or status >= 500 or _MAY_PASS.search(code) else Rejected(reason)


def _trouble(call: Callable[[], Mapping[str, Any]]) -> str | None:
    outcome = _outcome(call)
    return None if isinstance(outcome, Delivered) else outcome.reason

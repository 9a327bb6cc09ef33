"""The sqs and sns destinations: the contract, and moto's queues and topics over a real socket."""

import json
import sys
import threading
from typing import Any

import boto3
import httpx
import pytest
from pydantic import ValidationError

from tests.aws import REGION, Aws, give_credentials
from trapline_plugins.api import Delivered, Destination, Kind, Notification, Outcome, Rejected, Retry, Tools, Unknown
from trapline_plugins.contract import HttpDestinationContract
from trapline_plugins.fake_server import Answer, FakeServer, Request, serving
from trapline_plugins.queues import MAX_BYTES, Sns, SnsConfig, Sqs, SqsConfig
from trapline_plugins.samples import NOTIFICATIONS, a_notification

ACCOUNT = "123456789012"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:alerts"
QUEUE = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/alerts"
TOOLS = Tools(httpx.Client(trust_env=False), pytest.fail, pytest.fail)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    give_credentials(monkeypatch)


def sqs(url: str = QUEUE, **settings: Any) -> Sqs:
    return Sqs("queue", SqsConfig.model_validate({"queue_url": url, **settings}), TOOLS)


def sns(arn: str = TOPIC, **settings: Any) -> Sns:
    return Sns("topic", SnsConfig.model_validate({"topic_arn": arn, **settings}), TOOLS)


def send(destination: Destination[Any], notification: Notification | None = None) -> Outcome:
    notification = notification or a_notification()
    return destination.send(notification, destination.render(notification), "")


class AwsContract(HttpDestinationContract):
    """AWS at the address of the contract's server. Its calls are all POSTs, and its throttling names no time."""

    secrets = ("s3cret",)
    looks: bytes
    """What stands in the request of a call that only looks."""

    @pytest.fixture(autouse=True)
    def _patching(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch

    def at(self, url: str) -> None:
        self.monkeypatch.setenv("AWS_ENDPOINT_URL", url)

    def assert_within_limits(self, rendered: str) -> None:
        assert len(rendered.encode()) <= MAX_BYTES - 1000
        assert not any(character < " " or character in "\ufffe\uffff" for character in rendered)
        json.loads(rendered)

    def test_a_limit_is_respected(self) -> None:
        assert isinstance(self._failing_with(self.failing(429)), Retry)

    def test_check_changes_nothing(self) -> None:
        with serving(self.taken) as server, self._client() as http:
            self.make(Tools(http, pytest.fail, pytest.fail), server.url).check()
        [request] = server.requests
        assert self.looks in request.headers.get("x-amz-target", "").encode() + request.body


class TestSqsContract(AwsContract):
    looks = b"AmazonSQS.GetQueueAttributes"

    def make(self, tools: Tools, url: str) -> Sqs:
        self.at(url)
        return Sqs("queue", SqsConfig(queue_url=QUEUE), tools)

    def taken(self, request: Request) -> Answer:
        return Answer(200, b'{"MessageId": "1"}')


class TestSnsContract(AwsContract):
    looks = b"Action=GetTopicAttributes"

    def make(self, tools: Tools, url: str) -> Sns:
        self.at(url)
        return Sns("topic", SnsConfig(topic_arn=TOPIC), tools)

    def taken(self, request: Request) -> Answer:
        action = "Publish" if b"Action=Publish" in request.body else "GetTopicAttributes"
        result = f"<{action}Result><MessageId>1</MessageId></{action}Result>"
        return Answer(200, f"<{action}Response>{result}</{action}Response>".encode())

    def failing(self, status: int) -> Answer:
        return Answer(status, b"<ErrorResponse><Error><Code>No</Code><Message>no</Message></Error></ErrorResponse>")


class Queue:
    """A queue in moto that a test reads from."""

    def __init__(self, name: str) -> None:
        self.client: Any = boto3.Session().client("sqs", region_name=REGION)
        attributes = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
        self.url: str = self.client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    @property
    def arn(self) -> str:
        name = self.url.rpartition("/")[2]
        return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"

    def messages(self) -> list[dict[str, Any]]:
        answer = self.client.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["MessageGroupId", "MessageDeduplicationId"],
        )
        found: list[dict[str, Any]] = answer.get("Messages", [])
        return found


def attributes(message: dict[str, Any]) -> dict[str, str]:
    return {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}


@pytest.mark.parametrize("case", NOTIFICATIONS)
def test_every_notification_arrives_in_a_queue(case: str, aws: Aws) -> None:
    queue = Queue(f"standard-{case.replace(' ', '-')}")
    destination = sqs(queue.url)

    outcome = send(destination, NOTIFICATIONS[case])

    [message] = queue.messages()
    assert outcome == Delivered(message["MessageId"])
    assert message["Body"] == destination.render(NOTIFICATIONS[case])
    assert json.loads(message["Body"])["data"]["detection"] == "login_brute_force_by_ip"


def test_a_message_can_be_filtered_by_its_attributes(aws: Aws) -> None:
    queue = Queue("attributes")
    send(sqs(queue.url))
    [message] = queue.messages()
    assert attributes(message) == {"kind": "opened", "severity": "high", "detection": "login_brute_force_by_ip"}


def test_a_fifo_queue_drops_a_repeat_and_no_resolve(aws: Aws) -> None:
    queue = Queue("alerts.fifo")
    opened = a_notification(delivery_id="one")
    for notification in (opened, opened, a_notification(delivery_id="two", kind=Kind.RESOLVED)):
        assert isinstance(send(sqs(queue.url), notification), Delivered)

    messages = queue.messages()
    assert [json.loads(message["Body"])["type"] for message in messages] == ["alert.opened", "alert.resolved"]
    assert [message["Attributes"]["MessageDeduplicationId"] for message in messages] == ["one", "two"]
    assert {message["Attributes"]["MessageGroupId"] for message in messages} == {"a1b2c3"}


@pytest.mark.parametrize("name", ["alerts-topic", "alerts-topic.fifo"])
def test_a_topic_hands_on_what_it_is_sent(name: str, aws: Aws) -> None:
    queue = Queue(name)
    client: Any = boto3.Session().client("sns", region_name=REGION)
    fifo = {"FifoTopic": "true"} if name.endswith(".fifo") else {}
    arn = client.create_topic(Name=name, Attributes=fifo)["TopicArn"]
    raw = {"RawMessageDelivery": "true"}
    client.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue.arn, Attributes=raw)

    assert isinstance(send(sns(arn)), Delivered)

    [message] = queue.messages()
    assert message["Body"] == sns(arn).render(a_notification())
    assert attributes(message)["severity"] == "high"
    if fifo:
        assert message["Attributes"]["MessageGroupId"] == "a1b2c3"
        assert message["Attributes"]["MessageDeduplicationId"] == "5e1f0c8e"


def test_the_attributes_count_towards_the_limit() -> None:
    body = sqs().render(a_notification(description=""))
    nearly_full = a_notification(description="x" * (MAX_BYTES - len(body) - 1))
    assert len(sqs().render(nearly_full).encode()) < MAX_BYTES - 1000


def test_a_character_that_no_message_may_have_is_escaped() -> None:
    body = sqs().render(a_notification(title="a\uffffb\ufffe"))
    assert "a\\uffffb\\ufffe" in body
    assert json.loads(body)["data"]["title"] == "a\uffffb\ufffe"


@pytest.mark.parametrize("destination", [sqs(payload="ocsf"), sns(payload="ocsf")], ids=["sqs", "sns"])
def test_the_body_may_be_an_ocsf_finding(destination: Sqs | Sns) -> None:
    assert json.loads(destination.render(a_notification()))["class_uid"] == 2004


def test_what_is_not_there_needs_a_person(aws: Aws) -> None:
    for destination in (sqs(f"{aws.url}/{ACCOUNT}/missing"), sns(f"{TOPIC}-missing")):
        outcome = send(destination)
        assert isinstance(outcome, Rejected)
        assert outcome.reason.startswith("AWS answered 40")
        assert (destination.check() or "").startswith("AWS answered 40")


def test_check_is_content_with_what_is_there(aws: Aws) -> None:
    queue = Queue("checked")
    client: Any = boto3.Session().client("sns", region_name=REGION)
    arn = client.create_topic(Name="checked")["TopicArn"]
    assert sqs(queue.url).check() is None
    assert sns(arn).check() is None
    assert queue.messages() == []


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ThrottlingException", Retry),
        ("RequestThrottled", Retry),
        ("KmsThrottled", Retry),
        ("ExpiredTokenException", Retry),
        ("InvalidMessageContents", Rejected),
        ("AccessDeniedException", Rejected),
    ],
)
def test_what_an_error_means(code: str, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Answer(400, json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": "so\nit is"}).encode())
    with serving(lambda _: problem) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        assert send(sqs()) == kind(f"AWS answered 400 {code}: so it is")


def test_an_answer_that_takes_too_long_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def slow(_request: Request) -> Answer:
        answered.wait(5)
        return Answer(200, b'{"MessageId": "1"}')

    with serving(slow) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        outcome = send(sqs(timeout=0.2))
        answered.set()
    assert isinstance(outcome, Unknown)
    assert len(server.requests) == 1


@pytest.mark.parametrize("answer", [Answer(200, b"<html>s3cret"), Answer(403, b"<html>s3cret")])
def test_who_answers_in_the_place_of_aws_is_not_believed(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda _: answer) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        assert send(sns()) == Unknown("sent, and the answer was not one of AWS")


def region_asked(server: FakeServer) -> str:
    return server.requests[0].headers["authorization"].split("/")[2]


@pytest.mark.parametrize(
    ("destination", "region"),
    [
        (sqs(f"https://sqs.us-gov-west-1.amazonaws.com/{ACCOUNT}/alerts"), "us-gov-west-1"),
        (sqs(f"https://vpce-1.sqs.ap-south-1.vpce.amazonaws.com/{ACCOUNT}/alerts"), "ap-south-1"),
        (sqs(f"http://queues.internal:9324/{ACCOUNT}/alerts"), REGION),
        (sns(f"arn:aws-cn:sns:cn-north-1:{ACCOUNT}:alerts"), "cn-north-1"),
    ],
)
def test_the_region_is_the_one_that_is_named(
    destination: Destination[Any], region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(lambda _: Answer(500)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        send(destination)
    assert region_asked(server) == region


def test_without_credentials_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert send(sqs()) == Retry("not sent: Unable to locate credentials")


def test_without_boto3_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.exceptions", None)
    assert send(sqs()) == Retry("boto3 is not installed: `pip install boto3` beside Trapline")


@pytest.mark.parametrize(
    ("model", "settings", "words"),
    [
        (SqsConfig, {"queue_url": "alerts"}, "this is not a queue's URL"),
        (SqsConfig, {"queue_url": "https://sqs.eu-west-1.amazonaws.com/"}, "this is not a queue's URL"),
        (SqsConfig, {"queue_url": f"https://key@sqs.example/{ACCOUNT}/alerts"}, "this is not a queue's URL"),
        (SnsConfig, {"topic_arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:alerts"}, "this is not a topic's ARN"),
        (SnsConfig, {"topic_arn": f"{TOPIC}:subscription"}, "this is not a topic's ARN"),
        (SnsConfig, {"topic_arn": TOPIC, "timeout": 60}, "less than or equal to 20"),
    ],
)
def test_wrong_settings_are_named(model: type[Any], settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        model.model_validate(settings)

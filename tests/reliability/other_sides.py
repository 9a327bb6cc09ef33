"""The other sides of six destinations in bad weather: they are slow, refuse, fail, and lose answers, at random."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import boto3
import httpx
from moto.sqs.models import sqs_backends

from tests.aws import CREDENTIALS, serving_aws
from tests.playground import NOON
from trapline_plugins.fake_server import Answer, Request, serving
from trapline_plugins.fakes.faults import Fault, Faults
from trapline_plugins.fakes.jira import FakeJira
from trapline_plugins.fakes.pagerduty import FakePagerDuty
from trapline_plugins.fakes.slack import FakeSlack

KINDS = ("slack", "jira", "pagerduty", "webhook", "sqs", "file")
SPEED = 60
"""So many seconds pass by the test's clock in one: what waits a while does not hold the test up."""

_BAD = 0.15  # of all requests
_KEY = "0123456789abcdef0123456789abcdef"
_TOKEN, _CHANNEL = "xoxb-fake", "C0123456789"

Heard = Mapping[str, list[str]]
"""The ids of the deliveries that came about each alert, in order."""


def moment(ahead: float) -> datetime:
    """Now by the test's clock, the same in every process of this machine, put forward by so many seconds."""
    return NOON + timedelta(seconds=ahead + SPEED * time.monotonic())


@dataclass(slots=True)
class Weather:
    """Makes some requests fail, at random."""

    chance: Random
    faults: Faults

    def around(self, take: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
        careful = self.faults.around(take)

        def answer(request: Request) -> Answer:
            if self.chance.random() < _BAD:
                self.faults.expect(
                    self.chance.choice([Fault.RATE_LIMITED, Fault.BROKEN, Fault.SLOW, Fault.LOST_ANSWER])
                )
            return careful(request)

        return answer


@dataclass(slots=True)
class Inbox:
    """A webhook's receiver, which drops what it has already, as the scheme wants it. `repeats` counts those."""

    taken: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    repeats: int = 0

    def take(self, request: Request) -> Answer:
        id = request.headers["webhook-id"]
        self.repeats += id in self.taken
        self.taken.setdefault(id, json.loads(request.body)["data"])
        return Answer(204)


@dataclass(slots=True)
class OtherSides:
    """What they hold, and the settings that lead to them."""

    slack: FakeSlack
    jira: FakeJira
    pagerduty: FakePagerDuty
    webhook: Inbox
    queue: str
    aws: str
    """Where AWS is, behind its weather."""
    file: Path
    settings: Mapping[str, Mapping[str, Any]]

    def heard_by_slack(self) -> Heard:
        """The message itself has the id of no delivery once it was edited, so it is shown as `message`."""
        heard: defaultdict[str, list[str]] = defaultdict(list)
        for message in self.slack.messages:
            known = message.metadata["event_payload"]
            heard[known["alert_id"]].append(known["delivery_id"] if message.thread_ts else "message")
        return heard

    def heard_by_jira(self) -> Heard:
        heard: defaultdict[str, list[str]] = defaultdict(list)
        for issue in self.jira.issues:
            labels = dict(label.rsplit("-", 1) for label in issue.fields["labels"] if "-" in label)
            comments = (text for comment in issue.comments for text in _texts(comment))
            heard[labels["trapline-alert"]] += [
                labels["trapline-delivery"],
                *(text.removeprefix("Delivery ") for text in comments if text.startswith("Delivery ")),
            ]
        return heard

    def heard_by_webhook(self) -> Heard:
        return _by_alert(self.webhook.taken.values())

    def heard_by_sqs(self) -> Heard:
        """By moto itself: to receive a thousand messages and delete them takes a minute."""
        account, name = self.queue.split("/")[-2:]
        messages = sqs_backends[account][CREDENTIALS["AWS_DEFAULT_REGION"]].queues[name].messages
        return _by_alert(json.loads(message.body)["data"] for message in messages)

    def heard_by_file(self) -> Heard:
        return _by_alert(json.loads(line)["data"] for line in self.file.read_text().splitlines())


@contextmanager
def other_sides(folder: Path, chance: Random, now: Callable[[], datetime]) -> Iterator[OtherSides]:
    """Runs them all on sockets of this machine until the block ends. `now` is the clock that Slack has."""
    with ExitStack() as ends:

        def at(take: Callable[[Request], Answer], faults: Faults) -> str:
            faults.seconds = 0.3
            return ends.enter_context(serving(Weather(chance, faults).around(take))).url

        slack = FakeSlack(_TOKEN, _CHANNEL, lambda: now().timestamp())
        slack.url = f"{at(slack.take, slack.faults)}api/"
        jira = FakeJira("trapline@example.com", "fake-token", "SEC")
        jira.url = at(jira.take, jira.faults)
        pagerduty = FakePagerDuty(_KEY)
        pagerduty.url = f"{at(pagerduty.take, pagerduty.faults)}v2/enqueue"
        inbox, file = Inbox(), folder / "alerts.jsonl"
        moto = ends.enter_context(serving_aws()).url
        forward = partial(_forward, ends.enter_context(httpx.Client(trust_env=False)), moto)
        aws = at(forward, Faults(Answer(403)))
        queue = _sqs(moto).create_queue(QueueName="alerts.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
        yield OtherSides(
            slack=slack,
            jira=jira,
            pagerduty=pagerduty,
            webhook=inbox,
            queue=queue,
            aws=aws,
            file=file,
            settings={
                "slack": {"token": _TOKEN, "channel": _CHANNEL, "url": slack.url},
                "jira": {"url": jira.url, "email": jira.email, "token": jira.token, "project": jira.project},
                "pagerduty": {"routing_key": _KEY, "url": pagerduty.url},
                "webhook": {"url": at(inbox.take, Faults(Answer(401)))},
                "sqs": {"queue_url": queue},
                "file": {"path": str(file)},
            },
        )


def _forward(http: httpx.Client, moto: str, request: Request) -> Answer:
    headers = {name: value for name, value in request.headers.items() if name not in ("host", "content-length")}
    answer = http.request(request.method, f"{moto}{request.path}", headers=headers, content=request.body)
    return Answer(answer.status_code, answer.content, (("Content-Type", answer.headers["content-type"]),))


def _sqs(endpoint: str) -> Any:
    return boto3.Session().client(
        "sqs",
        region_name=CREDENTIALS["AWS_DEFAULT_REGION"],
        endpoint_url=endpoint,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )


def _texts(node: Any) -> Iterator[str]:
    """The text nodes of a document."""
    if "text" in node:
        yield node["text"]
    for inner in node.get("content", []):
        yield from _texts(inner)


def _by_alert(documents: Any) -> Heard:
    heard: defaultdict[str, list[str]] = defaultdict(list)
    for data in documents:
        heard[data["alert_id"]].append(data["delivery_id"])
    return heard

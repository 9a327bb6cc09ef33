"""The webhook destination: the contract, and the wire."""

import base64
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from trapline_plugins.api import Delivered, Rejected, Retry, Tools, Unknown
from trapline_plugins.contract import HttpDestinationContract
from trapline_plugins.fake_server import Answer, FakeServer, serving
from trapline_plugins.http import retry_after
from trapline_plugins.samples import NOTIFICATIONS, NOW, a_notification
from trapline_plugins.webhook import MAX_BYTES, Webhook, WebhookConfig

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()


@pytest.fixture
def tools() -> Iterator[Tools]:
    with httpx.Client(timeout=5, trust_env=False) as http:
        # The verifier compares with the machine's clock.
        yield Tools(http, lambda: datetime.now(UTC), pytest.fail)


def webhook(tools: Tools, url: str, **settings: Any) -> Webhook:
    return Webhook("hook", WebhookConfig.model_validate({"url": url, **settings}), tools)


def send(server: FakeServer, tools: Tools, **settings: Any) -> object:
    destination = webhook(tools, server.url, **settings)
    return destination.send(a_notification(), destination.render(a_notification()), "")


class TestWebhookContract(HttpDestinationContract):
    secrets = (SECRET, SECRET.removeprefix("whsec_"), "t0k3n", "p4ssw0rd", "qu3ry")

    def make(self, tools: Tools, url: str) -> Webhook:
        url = url.replace("http://", "http://user:p4ssw0rd@") + "?key=qu3ry"
        return webhook(tools, url, secret=SECRET, headers={"Authorization": "Bearer t0k3n"})

    def assert_within_limits(self, rendered: str) -> None:
        assert len(rendered.encode()) <= MAX_BYTES
        json.loads(rendered)


def test_the_request_is_signed_and_complete(tools: Tools) -> None:
    with serving(lambda _: Answer(204)) as server:
        outcome = send(server, tools, secret=SECRET, headers={"X-Team": "secops"})

    assert outcome == Delivered()
    [request] = server.requests
    body = Verifier(SECRET).verify(request.body, request.headers)
    assert (request.method, request.headers["content-type"]) == ("POST", "application/json")
    assert request.headers["webhook-id"] == a_notification().delivery_id
    assert request.headers["x-team"] == "secops"
    assert body["type"] == "alert.opened"
    assert body["timestamp"] == "2030-01-02T03:04:05+00:00"
    assert body["truncated"] is False
    assert body["data"]["title"] == "Brute force from 203.0.113.9"
    assert body["data"]["provenance"]["replay"] == "trapline alerts replay a1b2c3"


def test_a_changed_body_fails_the_signature(tools: Tools) -> None:
    with serving(lambda _: Answer(200)) as server:
        send(server, tools, secret=SECRET)
    [request] = server.requests
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(request.body.replace(b"high", b"info"), request.headers)


def test_without_a_secret_nothing_is_signed(tools: Tools) -> None:
    with serving(lambda _: Answer(200)) as server:
        send(server, tools)
    assert "webhook-signature" not in server.requests[0].headers


def test_a_redirect_is_not_followed(tools: Tools) -> None:
    with serving(lambda _: Answer(200)) as target:
        redirect = Answer(307, headers=(("Location", target.url + "?token=s3cret"),))
        with serving(lambda _: redirect) as server:
            outcome = send(server, tools)
    assert isinstance(outcome, Rejected)
    assert outcome.reason == (
        "it answered 307 Temporary Redirect; redirects are not followed, so name the address it leads to"
    )
    assert target.requests == []


@pytest.mark.parametrize("status", [408, 425, 500, 502, 599])
def test_what_may_pass_is_retried(status: int, tools: Tools) -> None:
    with serving(lambda _: Answer(status)) as server:
        outcome = send(server, tools)
    assert isinstance(outcome, Retry)
    assert str(status) in outcome.reason


def test_an_answer_that_takes_too_long_is_unknown(tools: Tools) -> None:
    answered = threading.Event()

    def slow(_request: object) -> Answer:
        answered.wait(2)
        return Answer(200)

    with serving(slow) as server:
        outcome = send(server, tools, timeout=0.2)
        answered.set()
    assert outcome == Unknown("sent, and no answer came: ReadTimeout: timed out")
    assert len(server.requests) == 1


def test_an_endless_answer_is_not_read(tools: Tools) -> None:
    def endless(_request: object) -> Answer:
        return Answer(200, body=b"x" * 50_000_000)

    with serving(endless) as server:
        assert send(server, tools) == Delivered()


def test_check_tells_whether_anybody_is_there(tools: Tools) -> None:
    with serving(lambda _: Answer(405)) as server:
        assert webhook(tools, server.url).check() is None
    assert webhook(tools, server.url).check() == "no connection: ConnectError: [Errno 111] Connection refused"


def test_a_large_notification_loses_its_examples_first(tools: Tools) -> None:
    body = json.loads(webhook(tools, "http://localhost/").render(NOTIFICATIONS["many"]))
    assert body["truncated"] is True
    assert body["data"]["records"] == []
    assert body["data"]["title"] == "Brute force from 203.0.113.9"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"url": "ftp://x/"}, "this is not an http:// or https:// address"),
        ({"url": "hook.example"}, "this is not an http:// or https:// address"),
        ({"url": "http://h:port/"}, "this is not an http:// or https:// address"),
        ({"secret": "whsec_"}, "this is not a Standard Webhooks secret"),
        ({"secret": "not base64!"}, "this is not a Standard Webhooks secret"),
        ({"headers": {"Webhook-Id": "x"}}, "the header Webhook-Id is set by Trapline itself"),
        ({"headers": {"X": "a\r\nHost: evil"}}, "perhaps a line break"),
        ({"headers": {"a b": "x"}}, "a header's name has a character that HTTP does not allow"),
        ({"timeout": 0}, "greater than 0"),
        ({"timeout": 60}, "less than or equal to 20"),
        ({"payload": "xml"}, "'trapline' or 'ocsf'"),
        ({"verify": False}, "Extra inputs are not permitted"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        WebhookConfig.model_validate({"url": "http://localhost/", **settings})


def test_retry_after_as_a_date() -> None:
    tools = Tools(httpx.Client(trust_env=False), lambda: NOW, pytest.fail)
    date = Answer(503, headers=(("Retry-After", "Wed, 02 Jan 2030 03:05:05 GMT"),))
    with serving(lambda _: date) as server, tools.http:
        outcome = send(server, tools)
    assert isinstance(outcome, Retry)
    assert outcome.after is not None
    assert outcome.after.total_seconds() == 60


@pytest.mark.parametrize("value", ["soon", "-5", "²", "9" * 400, ""])
def test_a_senseless_retry_after_is_ignored(value: str, tools: Tools) -> None:
    assert retry_after(httpx.Response(429, headers={"Retry-After": value.encode()}), NOW) is None


def test_the_body_may_be_an_ocsf_finding(tools: Tools) -> None:
    with serving(lambda _: Answer(200)) as server:
        assert send(server, tools, payload="ocsf") == Delivered()
    assert json.loads(server.requests[0].body)["class_uid"] == 2004

"""Delivery over real sockets: order, retries, kills, slow and broken destinations."""

import base64
import json
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook as Verifier

from tests.controller.delivery.recorder import Clock, Recorder, row, state
from trapline.delivery.report import DeliveryReport
from trapline.delivery.router import Router
from trapline.outbox.circuit import FAILURES
from trapline.outbox.queue import CLAIM
from trapline.state.database import Database
from trapline.state.schema import deliveries
from trapline_plugins.api import (
    Delivered,
    DestinationConfig,
    Kind,
    Notification,
    Outcome,
    Rejected,
    Retry,
    Tools,
    Unknown,
)
from trapline_plugins.fake_server import Answer, FakeServer, Request, serving
from trapline_plugins.fakes.faults import Fault
from trapline_plugins.fakes.pagerduty import fake_pagerduty
from trapline_plugins.fakes.slack import fake_slack
from trapline_plugins.pagerduty import PagerDuty, PagerDutyConfig
from trapline_plugins.samples import NOW
from trapline_plugins.slack import Slack, SlackConfig
from trapline_plugins.webhook import Webhook, WebhookConfig

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
OK = Answer(200)


Put = Callable[..., None]
Deliver = Callable[..., DeliveryReport]


def webhook(server: FakeServer, clock: Clock, **settings: Any) -> Webhook:
    config = WebhookConfig.model_validate({"url": server.url, "secret": SECRET, **settings})
    return Webhook("hook", config, Tools(httpx.Client(trust_env=False), clock, pytest.fail))


# Over HTTP


def test_a_webhook_gets_everything_in_order_and_signed(
    put: Put, deliver: Deliver, database: Database, clock: Clock
) -> None:
    ids = [f"d{number}" for number in range(5)]
    for id in ids:
        put(id)
    with serving(lambda _: OK) as server:
        report = deliver(hook=webhook(server, clock))

    assert report == DeliveryReport(delivered=5)
    assert [request.headers["webhook-id"] for request in server.requests] == ids
    for request in server.requests:
        Verifier(SECRET).verify(request.body, request.headers)
    assert {state(database, id) for id in ids} == {("delivered", 1)}


def test_a_retry_waits_its_time_and_keeps_its_id(put: Put, deliver: Deliver, database: Database, clock: Clock) -> None:
    answers = iter([Answer(429, headers=(("Retry-After", "90"),)), Answer(500), OK])
    put("d1")
    put("d2")
    with serving(lambda _: next(answers, OK)) as server:
        hook = webhook(server, clock)
        assert deliver(hook=hook) == DeliveryReport(retrying=1, reasons={"hook": "it answered 429 Too Many Requests"})
        clock.advance(seconds=89)
        assert deliver(hook=hook).retrying == 0, "it was told to wait 90 seconds"
        clock.advance(seconds=1)
        assert deliver(hook=hook).reasons == {"hook": "it answered 500 Internal Server Error"}
        clock.advance(hours=1)
        assert deliver(hook=hook) == DeliveryReport(delivered=2)

    assert [request.headers["webhook-id"] for request in server.requests] == ["d1", "d1", "d1", "d2"]
    assert state(database, "d1") == ("delivered", 3)


def test_a_reset_after_the_request_was_taken_is_sent_again(
    put: Put, deliver: Deliver, database: Database, clock: Clock
) -> None:
    answers = iter([Answer(None), OK])
    put("d1")
    with serving(lambda _: next(answers)) as server:
        hook = webhook(server, clock)
        assert deliver(hook=hook).retrying == 1
        assert state(database, "d1") == ("unknown", 1)
        clock.advance(hours=1)
        assert deliver(hook=hook).delivered == 1
    assert [request.headers["webhook-id"] for request in server.requests] == ["d1", "d1"]


def test_a_refusal_is_dead_and_the_next_is_sent(put: Put, deliver: Deliver, database: Database, clock: Clock) -> None:
    answers = iter([Answer(404), OK])
    put("d1")
    put("d2")
    with serving(lambda _: next(answers)) as server:
        report = deliver(hook=webhook(server, clock))
    assert report == DeliveryReport(delivered=1, dead=1, reasons={"hook": "it answered 404 Not Found"})
    assert row(database, "d1").reason == "it answered 404 Not Found"


def test_nobody_there_and_one_slow_delay_no_other(put: Put, deliver: Deliver, database: Database, clock: Clock) -> None:
    others_are_done = threading.Event()
    fast_seen: list[str] = []

    def slow(_request: Request) -> Answer:
        assert others_are_done.wait(20), "the fast one had to wait for the slow one"
        return OK

    def fast(request: Request) -> Answer:
        fast_seen.append(json.loads(request.body)["data"]["delivery_id"])
        if len(fast_seen) == 3:
            others_are_done.set()
        return OK

    for number in range(3):
        put(f"slow{number}", to="slow", alert=f"a{number}")
        put(f"dead{number}", to="dead", alert=f"a{number}")
        put(f"fast{number}", to="fast", alert=f"a{number}")
    with serving(slow) as slow_server, serving(fast) as fast_server:
        with serving(slow) as dead_server:
            pass
        report = deliver(
            slow=webhook(slow_server, clock), dead=webhook(dead_server, clock), fast=webhook(fast_server, clock)
        )
    assert sorted(fast_seen) == ["fast0", "fast1", "fast2"]
    assert (report.delivered, report.retrying) == (6, 3)
    assert report.reasons == {"dead": "no connection: ConnectError: [Errno 111] Connection refused"}


# Kills


def test_a_kill_between_send_and_settle_is_unknown_and_sent_again(
    put: Put, deliver: Deliver, database: Database, clock: Clock
) -> None:
    put("d1")
    put("d2")
    victim = Recorder()
    Router(database, {"hook": victim}, now=clock).turn()  # and no other turn: it never hears what became of it
    assert wait_for(lambda: victim.sent == ["d1"])
    assert state(database, "d1") == ("unknown", 1)
    assert row(database, "d1").reason.startswith("being sent since ")

    survivor = Recorder()
    assert deliver(hook=survivor) == DeliveryReport(), "another controller may be sending it right now"
    clock.time += CLAIM
    assert deliver(hook=survivor).delivered == 2
    assert survivor.looked_up == ["d1"]
    assert survivor.sent == ["d1", "d2"]


def test_what_is_found_is_not_sent_again(put: Put, deliver: Deliver, database: Database, clock: Clock) -> None:
    put("d1")
    put("d2")
    recorder = Recorder(lambda n: Unknown("lost") if n.delivery_id == "d1" else Delivered(), found=Delivered("ts-1"))
    assert deliver(hook=recorder).retrying == 1
    clock.advance(hours=1)
    assert deliver(hook=recorder).delivered == 2
    assert recorder.sent == ["d1", "d2"]
    assert recorder.refs == ["", "ts-1"]


def test_a_lookup_that_fails_keeps_it_unknown(put: Put, deliver: Deliver, database: Database, clock: Clock) -> None:
    put("d1")
    recorder = Recorder(lambda _: Unknown("lost"), found=RuntimeError("search is down"))
    deliver(hook=recorder)
    clock.advance(hours=1)
    assert deliver(hook=recorder).reasons == {"hook": "a bug in the plugin: RuntimeError: search is down"}
    assert state(database, "d1") == ("unknown", 2)
    assert recorder.sent == ["d1"]


def test_each_alert_is_held_once_whatever_is_lost(put: Put, deliver: Deliver, database: Database, clock: Clock) -> None:
    with (
        fake_slack(clock=NOW.timestamp) as slack,
        fake_pagerduty() as pagerduty,
        httpx.Client(timeout=5, trust_env=False) as http,
    ):
        tools = Tools(http, clock, pytest.fail)
        chat = SlackConfig.model_validate({"token": slack.token, "channel": slack.channel, "url": slack.url})
        page = PagerDutyConfig.model_validate({"routing_key": pagerduty.routing_key, "url": pagerduty.url})
        both = {"chat": Slack("chat", chat, tools), "page": PagerDuty("page", page, tools)}
        for fake in (slack, pagerduty):
            fake.faults.expect(*(Fault.LOST_ANSWER, Fault.BROKEN, Fault.RATE_LIMITED) * 3)
        for kind in Kind:
            for name in both:
                put(f"{name}-{kind}", to=name, kind=kind)
        for _ in range(20):
            deliver(**both)
            clock.advance(hours=1)

    assert {state(database, f"{name}-{kind}")[0] for kind in Kind for name in both} == {"delivered"}
    alert, *replies = slack.messages
    assert alert.text == "✅ RESOLVED: Brute force from 203.0.113.9"
    assert [(reply.thread_ts, reply.text.split(":")[0]) for reply in replies] == [
        (alert.ts, "🔴 *Updated*"),
        (alert.ts, "✅ *Resolved*"),
    ]
    assert [(alert.dedup_key, alert.status) for alert in pagerduty.alerts] == [("trapline:a", "resolved")]


# Plugins that misbehave


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        (lambda _: {}["key"], "a bug in the plugin: KeyError: 'key'"),
        (lambda _: exit(3), "a bug in the plugin: SystemExit: 3"),
        (lambda _: None, "a bug in the plugin: TypeError: send returned None"),
        (lambda _: Retry("x", after=5), "a bug in the plugin: TypeError: send returned Retry("),  # type: ignore[arg-type]
        (lambda _: Retry(RuntimeError()), "a bug in the plugin: TypeError: send returned Retry("),  # type: ignore[arg-type]
    ],
)
def test_a_bug_in_a_plugin_stops_nobody(
    does: Callable[[Notification], Any], reason: str, put: Put, deliver: Deliver, database: Database
) -> None:
    put("d1", to="broken")
    put("d2", to="fine")
    report = deliver(broken=Recorder(does), fine=Recorder())
    assert (report.delivered, report.retrying) == (1, 1)
    assert report.reasons["broken"].startswith(reason)
    assert state(database, "d1")[0] == "unknown", "it may have been sent before the bug struck"


def test_a_bug_while_rendering_has_sent_nothing(put: Put, deliver: Deliver, database: Database) -> None:
    class Broken(Recorder):
        def render(self, notification: Notification) -> str:
            raise ValueError("cannot")

    put("d1")
    assert deliver(hook=Broken()).retrying == 1
    assert state(database, "d1") == ("pending", 1)


def test_a_plugins_careless_reason_shows_no_secret(put: Put, deliver: Deliver, database: Database) -> None:
    class TokenConfig(DestinationConfig):
        token: SecretStr

    recorder: Any = Recorder(lambda _: Rejected("https://u:hunter2@host said no"))
    recorder.config = TokenConfig(token=SecretStr("hunter2"))
    put("d1")
    assert deliver(hook=recorder).reasons == {"hook": "https://u:**********@host said no"}
    assert "hunter2" not in str(row(database, "d1"))


# What is not sent


def test_a_destination_that_is_gone_loses_nothing(put: Put, deliver: Deliver, database: Database) -> None:
    put("d1", to="gone")
    put("d2", to="gone")
    reason = "no destination 'gone' is configured, or not well: see `trapline validate`"
    for _ in range(2):
        assert deliver(hook=Recorder()) == DeliveryReport(retrying=2, reasons={"gone": reason})
    assert state(database, "d1") == ("pending", 0)
    assert row(database, "d2").reason == reason

    back = Recorder()
    assert deliver(gone=back).delivered == 2
    assert back.sent == ["d1", "d2"]


def test_a_kind_it_does_not_want_is_not_sent(put: Put, deliver: Deliver, database: Database) -> None:
    class OnlyOpened(Recorder):
        kinds = frozenset({Kind.OPENED})

    put("d1")
    put("d2", kind=Kind.UPDATED)
    put("d3", kind=Kind.RESOLVED)
    put("d4", alert="b")
    recorder = OnlyOpened(lambda _: Delivered("ref"))
    assert deliver(hook=recorder).delivered == 4
    assert recorder.sent == ["d1", "d4"]


def test_a_delivery_of_another_version_is_set_aside(put: Put, deliver: Deliver, database: Database) -> None:
    put("d1")
    put("d2")
    with database.transaction() as connection:
        connection.execute(deliveries.update().where(deliveries.c.id == "d1").values(notification={"later": 1}))
    assert deliver(hook=Recorder()).delivered == 1
    assert state(database, "d1")[0] == "dead"


def test_a_destination_that_is_down_is_left_alone(put: Put, deliver: Deliver) -> None:
    for number in range(20):
        put(f"d{number}", alert=f"a{number}")
    recorder = Recorder(lambda _: Retry("down"))
    assert FAILURES <= deliver(hook=recorder).retrying <= FAILURES + recorder.at_once
    tried = len(recorder.sent)
    assert deliver(hook=recorder) == DeliveryReport(reasons={"hook": "down"})
    assert len(recorder.sent) == tried


def test_a_pass_comes_to_an_end(put: Put, deliver: Deliver, clock: Clock) -> None:
    class OneAtATime(Recorder):
        at_once = 1

    def slowly(_notification: Notification) -> Outcome:
        clock.advance(seconds=25)
        return Delivered()

    for number in range(10):
        put(f"d{number}", alert=f"a{number}")
    recorder = OneAtATime(slowly)
    assert deliver(hook=recorder).delivered == 3
    assert deliver(hook=recorder).delivered == 3


def test_what_becomes_due_during_a_pass_is_sent_in_it(put: Put, deliver: Deliver) -> None:
    fast = Recorder()

    def slow(_notification: Notification) -> Outcome:
        put("late", to="fast")
        assert wait_for(lambda: fast.sent == ["late"]), "it waited for the slow one"
        return Delivered()

    put("d1", to="slow")
    # The fast one is looked at first, and has nothing to do then.
    assert deliver(fast=fast, slow=Recorder(slow)).delivered == 2


def wait_for(condition: Callable[[], bool]) -> bool:
    tick = threading.Event()
    return any(condition() or tick.wait(0.02) for _ in range(500))


def test_nothing_to_do_needs_no_destination(deliver: Deliver) -> None:
    assert deliver() == DeliveryReport()

"""Turns of delivery: nobody waits for another, a destination that is down catches up, and limits are kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.controller.delivery.recorder import Clock, Recorder, row, state
from trapline.delivery.report import DeliveryReport
from trapline.delivery.router import Router
from trapline.delivery.senders import PATIENCE
from trapline.outbox.circuit import FAILURES, LONGEST_WAIT
from trapline.state.database import Database
from trapline_plugins.api import (
    Delivered,
    Destination,
    Kind,
    Notification,
    Outcome,
    Rate,
    Rejected,
    Retry,
    Tools,
    Unknown,
)
from trapline_plugins.fake_server import Answer, Request, serving
from trapline_plugins.webhook import Webhook, WebhookConfig

Put = Callable[..., None]
OK = Answer(200)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def router(database: Database, clock: Clock) -> Callable[..., Router]:
    def make(rates: dict[str, Rate] | None = None, **destinations: Destination[Any]) -> Router:
        return Router(
            database,
            destinations,
            now=clock,
            random=lambda: 1.0,
            rates=rates,
            sleep=lambda seconds: clock.advance(seconds=seconds),
        )

    return make


Make = Callable[..., Router]


def webhook(url: str, clock: Clock) -> Webhook:
    config = WebhookConfig.model_validate({"url": url})
    return Webhook("hook", config, Tools(httpx.Client(trust_env=False), clock, pytest.fail))


def settled(router: Router) -> DeliveryReport:
    """A turn, and the one that finds what came of it."""
    router.turn()
    router.finish(20)
    return router.turn()


class Held(Recorder):
    """Keeps what it is sent until it is let go, at most so long."""

    def __init__(self) -> None:
        super().__init__(self._hold)
        self.let_go = threading.Event()
        self.most = self._held = 0
        self._lock = threading.Lock()

    def _hold(self, _: Notification) -> Outcome:
        with self._lock:
            self._held += 1
            self.most = max(self.most, self._held)
        assert self.let_go.wait(20)
        with self._lock:
            self._held -= 1
        return Delivered()


# Nobody waits


def test_one_that_hangs_holds_up_no_turn_and_no_other(put: Put, router: Make, database: Database) -> None:
    slow, fast = Held(), Recorder()
    delivering = router(slow=slow, fast=fast)
    put("s", to="slow")
    delivering.turn()
    for number in range(3):
        put(f"f{number}", to="fast")
        delivering.turn()
        assert wait_for(lambda: delivering.turn().delivered == 1), "the turn waited for the slow one"
    assert (fast.sent, state(database, "s")) == (["f0", "f1", "f2"], ("unknown", 1))
    slow.let_go.set()
    assert wait_for(lambda: delivering.turn().delivered == 1)


def test_several_alerts_are_under_way_at_once_and_no_more_than_it_takes(put: Put, router: Make) -> None:
    held = Held()
    for number in range(10):
        put(f"d{number}", alert=f"a{number}", to="hook")
    delivering = router(hook=held)
    for _ in range(3):
        delivering.turn()
    assert wait_for(lambda: len(held.sent) == held.at_once)
    held.let_go.set()
    assert delivering.deliver().delivered == 10
    assert held.most == held.at_once


def test_of_one_alert_nothing_is_sent_before_the_last_has_arrived(put: Put, router: Make) -> None:
    held = Held()
    for number in range(3):
        put(f"d{number}", to="hook")
    delivering = router(hook=held)
    for _ in range(3):
        delivering.turn()
    assert wait_for(lambda: held.sent == ["d0"])
    held.let_go.set()
    assert delivering.deliver().delivered == 3
    assert (held.sent, held.most) == (["d0", "d1", "d2"], 1)


def test_who_commits_a_delivery_or_ends_one_wakes_who_delivers(put: Put, database: Database, clock: Clock) -> None:
    woken = threading.Event()
    delivering = Router(database, {"hook": Recorder()}, now=clock, on_news=woken.set)
    with pytest.raises(RuntimeError), database.transaction():
        raise RuntimeError("nothing is committed")
    assert not woken.is_set()
    put("d1")
    assert woken.is_set()
    woken.clear()
    delivering.turn()
    assert woken.wait(20), "it came to an end"
    assert delivering.turn().delivered == 1


def test_one_that_never_comes_back_is_given_up_on_and_sent_again(
    put: Put, router: Make, database: Database, clock: Clock
) -> None:
    stuck = Held()
    put("d1")
    delivering = router(hook=stuck)
    delivering.turn()
    clock.time += PATIENCE
    assert delivering.turn().reasons == {"hook": "a bug in the plugin: it has not come back for five minutes"}
    assert state(database, "d1") == ("unknown", 1)
    stuck.let_go.set()  # and what it says now comes too late
    clock.time += MINUTE
    assert settled(delivering).retrying == 0
    assert (state(database, "d1"), stuck.sent) == (("delivered", 2), ["d1", "d1"])


def test_what_is_under_way_is_written_down_before_the_end(put: Put, router: Make, database: Database) -> None:
    held = Held()
    put("d1")
    put("d2")
    delivering = router(hook=held)
    delivering.turn()
    delivering.finish(0.05)
    assert state(database, "d1") == ("unknown", 1)
    held.let_go.set()
    delivering.finish(20)
    assert (state(database, "d1"), state(database, "d2")) == (("delivered", 1), ("pending", 0))


def test_what_is_under_way_to_one_that_is_taken_away_is_written_down(
    put: Put, router: Make, database: Database
) -> None:
    held = Held()
    put("d1")
    put("d2")
    delivering = router(hook=held)
    delivering.turn()
    delivering.use({}, operations=(), rates={})
    held.let_go.set()
    delivering.finish(20)
    delivering.turn()
    assert (state(database, "d1"), state(database, "d2")) == (("delivered", 1), ("pending", 0))


# One that is down


class Line:
    """Another side over HTTP that can be cut off."""

    def __init__(self) -> None:
        self.up = True
        self.taken: list[str] = []
        self.refused = 0

    def answer(self, request: Request) -> Answer:
        if not self.up:
            self.refused += 1
            return Answer(503)
        self.taken.append(request.headers["webhook-id"])
        return OK


@contextmanager
def line(clock: Clock) -> Iterator[tuple[Line, Webhook]]:
    other = Line()
    with serving(other.answer) as server:
        yield other, webhook(server.url, clock)


@pytest.mark.parametrize("hours", [1, 25])
def test_one_that_is_down_for_hours_is_left_alone_and_then_catches_up_in_order(
    hours: int, put: Put, router: Make, database: Database, clock: Clock
) -> None:
    with line(clock) as (down, hook), line(clock) as (other, well):
        down.up = False
        destinations = {"hook": hook, "well": well}
        delivering = router(**destinations)
        for minute in range(0, hours * 60, 12):
            if minute % (hours * 12) == 0:
                for kind in (Kind.OPENED, Kind.RESOLVED):
                    for to in destinations:
                        put(f"{to}-{minute}-{kind}", alert=f"a{minute}", to=to, kind=kind)
            assert delivering.deliver().dead == 0
            if minute == 36:  # what it knows of the outage outlives it
                delivering = router(**destinations)
            clock.advance(minutes=12)
        assert down.refused <= FAILURES + hours * 5, "a probe each time, once it is open"
        assert len(other.taken) == 10, "and nobody else has noticed"

        down.up = True
        clock.time += LONGEST_WAIT
        assert delivering.deliver() == DeliveryReport(delivered=10)
    for minute in range(0, hours * 60, hours * 12):
        assert [id for id in down.taken if f"-{minute}-" in id] == [f"hook-{minute}-opened", f"hook-{minute}-resolved"]
    assert row(database, "hook-0-opened").strikes in (0, 1)


def test_a_token_that_has_expired_costs_a_handful_and_not_all(
    put: Put, router: Make, database: Database, clock: Clock
) -> None:
    expired = True
    recorder = Recorder(lambda _: Rejected("it answered 401") if expired else Delivered())
    for number in range(50):
        put(f"d{number}", alert=f"a{number}")
    delivering = router(hook=recorder)
    assert FAILURES <= delivering.deliver().dead <= FAILURES + recorder.at_once
    clock.time += LONGEST_WAIT
    assert delivering.deliver().dead == 1, "a probe"
    expired = False
    clock.time += LONGEST_WAIT
    assert delivering.deliver().delivered >= 50 - FAILURES - recorder.at_once - 1


def test_a_probe_goes_alone(put: Put, router: Make, clock: Clock) -> None:
    with line(clock) as (down, hook):
        down.up = False
        for number in range(20):
            put(f"d{number}", alert=f"a{number}")
        delivering = router(hook=hook)
        delivering.deliver()
        for _ in range(3):
            before = down.refused
            clock.time += LONGEST_WAIT
            delivering.deliver()
            assert down.refused == before + 1


def test_one_delivery_that_it_never_takes_is_its_own_trouble(
    put: Put, router: Make, database: Database, clock: Clock
) -> None:
    """The others go on, and after a day in which they do it is given up; what comes after it then passes."""
    recorder = Recorder(lambda n: Retry("too strange") if n.delivery_id == "strange" else Delivered())
    delivering = router(hook=recorder)
    put("strange", alert="s")
    put("after", alert="s", kind=Kind.RESOLVED)
    number = 0
    while state(database, "strange")[0] != "dead":
        number += 1
        put(f"d{number}", alert=f"a{number}")
        delivering.deliver()
        assert state(database, f"d{number}") == ("delivered", 1), "it waited for the strange one"
        clock.advance(hours=1)
        assert number < 100
    assert number >= 24
    assert row(database, "strange").reason.startswith("given up after ")
    delivering.deliver()
    assert state(database, "after")[0] == "delivered"


def test_the_wait_that_one_delivery_is_told_holds_for_all_and_over_a_restart(
    put: Put, router: Make, clock: Clock
) -> None:
    answers = iter([Answer(429, headers=(("Retry-After", "300"),))])
    seen: list[str] = []

    def answer(request: Request) -> Answer:
        seen.append(request.headers["webhook-id"])
        return next(answers, OK)

    put("d1")
    with serving(answer) as server:
        router(hook=webhook(server.url, clock)).deliver()
        for number in range(2, 5):
            put(f"d{number}", alert=f"a{number}")
        for seconds in (0, 150, 149):
            clock.advance(seconds=seconds)
            assert router(hook=webhook(server.url, clock)).deliver().delivered == 0
        clock.advance(seconds=1)
        assert router(hook=webhook(server.url, clock)).deliver().delivered == 4
    assert seen[0] == "d1"
    assert sorted(seen[1:]) == ["d1", "d2", "d3", "d4"]


# Limits


def test_a_rate_is_kept_and_nothing_is_lost_of_what_is_above_it(put: Put, router: Make, clock: Clock) -> None:
    sent_at = []

    def take(_: Notification) -> Outcome:
        sent_at.append(clock())
        return Delivered()

    recorder = Recorder(take)
    for number in range(6):
        put(f"d{number}", alert=f"a{number}")
    assert router(hook=recorder, rates={"hook": Rate(2, timedelta(seconds=10))}).deliver().delivered == 6
    assert [round((at - sent_at[0]).total_seconds()) for at in sent_at] == [0, 0, 10, 10, 20, 20]


def test_the_class_declares_a_rate_and_a_pass_does_not_wait_beyond_its_end(put: Put, router: Make) -> None:
    class Seldom(Recorder):
        rate = Rate(1, timedelta(hours=1))

    put("d1")
    put("d2", alert="b")
    seldom = Seldom()
    delivering = router(hook=seldom)
    assert delivering.deliver().delivered == 1
    assert delivering.deliver().delivered == 0
    assert router(hook=seldom, rates={"hook": Rate(5, MINUTE)}).deliver().delivered == 1, "the settings say otherwise"


def test_the_pause_between_turns_ends_when_a_rate_lets_something_through(put: Put, router: Make, clock: Clock) -> None:
    put("d1")
    delivering = router(hook=Recorder(), rates={"hook": Rate(1, timedelta(seconds=10))})
    assert delivering.pause(MINUTE) == MINUTE
    settled(delivering)
    clock.advance(seconds=4)
    assert delivering.pause(MINUTE) == timedelta(seconds=6)
    assert delivering.pause(timedelta(seconds=1)) == timedelta(seconds=1)


def test_a_failing_lookup_counts_against_the_destination_too(put: Put, router: Make, clock: Clock) -> None:
    for number in range(8):
        put(f"d{number}", alert=f"a{number}")
    recorder = Recorder(lambda _: Unknown("lost"))
    assert router(hook=recorder).deliver().reasons == {"hook": "lost"}
    assert len(recorder.sent) < 8


def wait_for(condition: Callable[[], bool]) -> bool:
    tick = threading.Event()
    return any(condition() or tick.wait(0.02) for _ in range(500))

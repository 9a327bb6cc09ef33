"""The outbox: order, back-off, giving up, and nothing lost on the way through JSON."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from trapline.outbox.queue import (
    CLAIM,
    QueuedDelivery,
    State,
    claim,
    decode,
    destinations_waiting,
    due,
    encode,
    enqueue,
    explain_waiting,
    settle,
    waiting,
)
from trapline.outbox.verdict import DEFAULT_POLICY
from trapline.state.database import Database
from trapline.state.schema import alerts, deliveries
from trapline_plugins.api import Delivered, Kind, Notification, Outcome, Provenance, Rejected, Retry, Unknown
from trapline_plugins.samples import NOTIFICATIONS, NOW, a_notification
from trapline_plugins.text import plain

LATER = NOW + timedelta(days=365)

text = st.text(st.characters(exclude_categories=["Cs"]))
times = st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2090, 1, 1), timezones=st.sampled_from([UTC]))
json_objects = st.dictionaries(
    text,
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
        lambda inner: st.lists(inner) | st.dictionaries(text, inner),
        max_leaves=5,
    ),
    max_size=3,
)
notifications = st.builds(
    Notification,
    delivery_id=text,
    kind=st.sampled_from(Kind),
    alert_id=text,
    detection=text,
    title=text,
    severity=st.sampled_from(["info", "notice", "low", "medium", "high", "critical"]),
    dedupe=text,
    match_count=st.integers(min_value=0),
    first_match_at=times,
    last_match_at=times,
    at=times,
    provenance=st.builds(Provenance, window_start=times, window_end=times),
    description=st.none() | text,
    runbook=st.none() | text,
    references=st.lists(text).map(tuple),
    tags=st.lists(text).map(tuple),
    context=json_objects,
    records=st.lists(json_objects, max_size=2).map(tuple),
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.in_home(tmp_path)
    with database.transaction() as connection:
        for alert in ("a", "b"):
            connection.execute(alerts.insert().values(**_alert_row(alert)))
    yield database
    database.close()


def _alert_row(id: str) -> dict[str, Any]:
    texts = dict.fromkeys(("identity", "detection", "dedupe", "title", "severity", "status"), "x")
    at = ("first_match_at", "last_match_at", "window_end", "opened_at", "updated_at")
    return {"id": id, **texts, **dict.fromkeys(at, NOW), "destinations": [], "context": {}, "provenance": {}} | {
        "match_count": 1
    }


def put(database: Database, id: str, *, alert: str = "a", destination: str = "hook") -> None:
    with database.transaction() as connection:
        enqueue(connection, a_notification(delivery_id=id, alert_id=alert), destination, now=NOW)


def due_ids(database: Database, now: datetime = NOW, to: str = "hook", **only: Any) -> list[str]:
    with database.reading() as connection:
        return [delivery.id for delivery in due(connection, to, now=now, **only)]


def take(database: Database, id: str, now: datetime = NOW, to: str = "hook") -> QueuedDelivery:
    with database.transaction() as connection:
        [delivery] = [delivery for delivery in due(connection, to, now=now) if delivery.id == id]
        assert claim(connection, delivery, now=now)
        return delivery


def answer(
    database: Database,
    delivery: QueuedDelivery,
    outcome: Outcome,
    now: datetime = NOW,
    jitter: float = 1.0,
    strike: bool = True,
) -> State | None:
    with database.transaction() as connection:
        return settle(connection, delivery, outcome, now=now, random=lambda: jitter, strike=strike)


def row(database: Database, id: str) -> Any:
    with database.reading() as connection:
        return connection.execute(sa.select(deliveries).where(deliveries.c.id == id)).one()


@given(notifications)
def test_a_notification_survives_json(notification: Notification) -> None:
    stored = json.loads(json.dumps(encode(notification)))
    assert decode(stored) == notification


@pytest.mark.parametrize("case", NOTIFICATIONS)
def test_whatever_is_enqueued_can_be_read_again(case: str, database: Database) -> None:
    notification = a_notification() if case == "everyday" else NOTIFICATIONS[case]
    with database.transaction() as connection:
        connection.execute(alerts.insert().values(**_alert_row(notification.alert_id)))
        enqueue(connection, notification, "hook", now=NOW)
    with database.reading() as connection:
        [delivery] = due(connection, "hook", now=NOW)
    assert delivery.notification.context == plain(notification.context)


def test_an_alert_and_its_deliveries_are_one_transaction(database: Database) -> None:
    with pytest.raises(RuntimeError), database.transaction() as connection:
        enqueue(connection, a_notification(alert_id="a"), "hook", now=NOW)
        raise RuntimeError("the tick died")
    assert due_ids(database, LATER) == []


def test_only_the_head_of_each_alert_and_destination_is_due(database: Database) -> None:
    put(database, "a1")
    put(database, "a2")
    put(database, "b1", alert="b")
    put(database, "a1-chat", destination="chat")
    assert due_ids(database) == ["a1", "b1"]
    assert due_ids(database, limit=1) == ["a1"]
    assert due_ids(database, limit=1, under_way=["a1"]) == ["b1"]
    assert due_ids(database, to="chat") == ["a1-chat"]

    answer(database, take(database, "a1"), Delivered())
    assert due_ids(database) == ["a2", "b1"]


def test_what_has_waited_longest_goes_first(database: Database) -> None:
    put(database, "a1")
    put(database, "b1", alert="b")
    answer(database, take(database, "a1"), Retry("down", after=timedelta(seconds=30)))
    assert due_ids(database, NOW + timedelta(minutes=1)) == ["b1", "a1"]


@pytest.mark.parametrize("outcome", [Retry("down"), Unknown("lost")])
def test_a_head_that_waits_holds_its_followers_back(outcome: Outcome, database: Database) -> None:
    put(database, "a1")
    put(database, "a2")
    answer(database, take(database, "a1"), outcome)
    assert due_ids(database) == []
    assert due_ids(database, LATER) == ["a1"]


def test_a_dead_one_lets_the_next_pass(database: Database) -> None:
    put(database, "a1")
    put(database, "a2")
    assert answer(database, take(database, "a1"), Rejected("no such channel")) is State.DEAD
    assert due_ids(database) == ["a2"]
    assert (row(database, "a1").state, row(database, "a1").reason) == ("dead", "no such channel")
    assert row(database, "a1").settled_at == NOW


def test_a_claim_is_unknown_until_it_is_settled(database: Database) -> None:
    put(database, "a1")
    taken = take(database, "a1")
    assert (row(database, "a1").state, row(database, "a1").attempts) == ("unknown", 1)
    assert due_ids(database) == [], "while it is being sent nobody else takes it"
    with database.transaction() as connection:
        assert not claim(connection, taken, now=NOW), "it was taken already"
    assert due_ids(database, NOW + CLAIM) == ["a1"], "who took it never came back"


def test_who_comes_back_too_late_changes_nothing(database: Database) -> None:
    put(database, "a1")
    late = take(database, "a1")
    taken = take(database, "a1", NOW + CLAIM)
    assert answer(database, late, Rejected("too late")) is None
    assert row(database, "a1").state == "unknown"
    assert answer(database, taken, Delivered()) is State.DELIVERED
    assert answer(database, late, Rejected("too late")) is None
    assert row(database, "a1").state == "delivered"


def test_the_last_ref_is_handed_on(database: Database) -> None:
    for id in ("a1", "a2", "a3"):
        put(database, id)
    put(database, "a1-chat", destination="chat")
    for id, ref, before in (("a1", "TICKET-1", ""), ("a2", "", "TICKET-1"), ("a1-chat", "ts", "")):
        taken = take(database, id, to="chat" if id.endswith("chat") else "hook")
        assert taken.ref == before
        answer(database, taken, Delivered(ref))
    assert take(database, "a3").ref == "TICKET-1"


def test_the_wait_grows_to_a_limit(database: Database) -> None:
    put(database, "a1")
    now, waits = NOW, []
    for _ in range(12):
        answer(database, take(database, "a1", now), Retry("down"), now)
        waits.append((row(database, "a1").next_attempt_at - now).total_seconds())
        now = row(database, "a1").next_attempt_at
    assert waits == [10, 20, 40, 80, 160, 320, 600, 600, 600, 600, 600, 600]


@given(st.integers(min_value=1, max_value=10_000), st.floats(min_value=0, max_value=1, exclude_max=True))
def test_every_wait_is_between_a_second_and_ten_minutes(attempts: int, jitter: float) -> None:
    wait = DEFAULT_POLICY.wait(attempts, lambda: jitter)
    assert timedelta(seconds=1) <= wait <= timedelta(minutes=10)


@pytest.mark.parametrize(
    ("after", "waited"),
    [
        (timedelta(seconds=7), timedelta(seconds=7)),
        (timedelta(hours=3), timedelta(hours=3)),
        (timedelta(0), timedelta(seconds=1)),
        (timedelta(seconds=-5), timedelta(seconds=1)),
        (timedelta(days=9999), timedelta(hours=24)),
    ],
)
def test_the_other_sides_wait_is_honoured(after: timedelta, waited: timedelta, database: Database) -> None:
    put(database, "a1")
    assert answer(database, take(database, "a1"), Retry("busy", after=after)) is State.PENDING
    assert row(database, "a1").next_attempt_at == NOW + waited


@pytest.mark.parametrize("outcome", [Retry("down"), Unknown("lost"), Retry("busy", after=timedelta(minutes=30))])
def test_it_is_given_up_after_many_failures_of_its_own_and_a_day(outcome: Outcome, database: Database) -> None:
    put(database, "a1")
    chance, now = random.Random(7), NOW
    state: State | None = State.PENDING
    while state is not State.DEAD:
        taken = take(database, "a1", now)
        state = answer(database, taken, outcome, now, chance.random())
        now = row(database, "a1").next_attempt_at
    assert now - NOW >= timedelta(hours=24)
    assert taken.attempts + 1 >= 20
    assert row(database, "a1").reason.startswith(f"given up after {taken.attempts + 1} attempts: ")


def test_an_outage_never_makes_it_dead(database: Database) -> None:
    put(database, "a1")
    now = NOW
    for _ in range(200):
        assert answer(database, take(database, "a1", now), Retry("down"), now, strike=False) is State.PENDING
        now += timedelta(hours=1)


def test_reasons_are_kept_on_one_safe_line(database: Database) -> None:
    put(database, "a1")
    answer(database, take(database, "a1"), Rejected("no\x1b[2J\n" + "x" * 1000 + "\ud800"))
    assert row(database, "a1").reason.startswith("no xxx")
    assert len(row(database, "a1").reason) == 500


def test_what_waits_can_be_counted_and_explained(database: Database) -> None:
    put(database, "a1")
    put(database, "a2")
    put(database, "b1", alert="b", destination="chat")
    with database.transaction() as connection:
        assert destinations_waiting(connection) == ["chat", "hook"]
        assert [waiting(connection, name) for name in ("hook", "chat", "other")] == [2, 1, 0]
        explain_waiting(connection, "hook", "not configured")
    assert [row(database, id).reason for id in ("a1", "a2", "b1")] == ["not configured", "not configured", ""]
    assert (due_ids(database), due_ids(database, to="chat")) == (["a1"], ["b1"])
    answer(database, take(database, "b1", to="chat"), Delivered())
    with database.reading() as connection:
        assert destinations_waiting(connection) == ["hook"]

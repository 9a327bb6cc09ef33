"""The life of an alert over several ticks, with event times and a clock of our own: one test for each of its rules."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.controller.alerts.beat import NOON, STORM, Beat
from trapline.alerts.record import Policy
from trapline.detection.model import Severity
from trapline.state.database import Database
from trapline.suppressions import parse

ALICE, BOB = "alice", "bob"


@pytest.fixture
def beat(tmp_path: Path) -> Iterator[Beat]:
    database = Database.in_home(tmp_path / "home")
    yield Beat(database)
    database.close()


def test_matches_of_one_key_are_one_alert_and_of_two_are_two(beat: Beat) -> None:
    done = beat.tick(beat.match(1), beat.match(2), beat.match(3, BOB), at=5)
    assert (done.new_matches, done.opened, done.updated) == (3, 2, 0)
    assert beat.said() == [("soc", "opened", ALICE, 2), ("soc", "opened", BOB, 1)]


def test_a_later_match_in_the_window_updates_the_alert_and_one_after_it_opens_another(beat: Beat) -> None:
    beat.tick(beat.match(1), at=5)
    beat.tick(beat.match(15.9), at=20)
    beat.tick(beat.match(16), at=25)
    assert beat.said() == [("soc", "opened", ALICE, 1), ("soc", "updated", ALICE, 2), ("soc", "opened", ALICE, 1)]
    assert [alert["match_count"] for alert in beat.alerts()] == [2, 1]


def test_the_window_is_on_the_time_of_events_so_that_a_backfill_says_the_same(beat: Beat) -> None:
    live = beat
    for minute in (1, 4, 17, 20, 40):
        live.tick(live.match(minute, id=f"e{minute}"), at=minute + 1)
    told = [(alert["id"], alert["match_count"], alert["window_end"]) for alert in live.alerts()]
    with TemporaryDirectory() as folder:
        backfill = Beat(Database.in_home(Path(folder)))
        backfill.tick(*(backfill.match(minute, id=f"e{minute}") for minute in (40, 17, 1, 20, 4)), at=100_000)
        assert [(alert["id"], alert["match_count"], alert["window_end"]) for alert in backfill.alerts()] == told
        backfill.database.close()
    assert [count for _, count, _ in told] == [2, 2, 1]


def test_the_threshold_counts_across_batches(beat: Beat) -> None:
    beat.threshold = 5
    beat.tick(*(beat.match(minute) for minute in (1, 2, 3)), at=5)
    assert (beat.alerts(), beat.said()) == ([], [])
    done = beat.tick(*(beat.match(minute) for minute in (6, 7, 8)), at=10)
    assert done.opened == 1
    [alert] = beat.alerts()
    assert (alert["match_count"], alert["first_match_at"]) == (6, NOON + timedelta(minutes=1))
    assert beat.said() == [("soc", "opened", ALICE, 6)]
    assert {match["alert_id"] for match in beat.matches()} == {alert["id"]}


def test_a_match_that_comes_twice_counts_once(beat: Beat) -> None:
    beat.tick(beat.match(1, id="same"), at=5)
    assert beat.tick(beat.match(1, id="same"), at=10).new_matches == 0
    assert (beat.alerts()[0]["match_count"], len(beat.said())) == (1, 1)


def test_the_severity_rises_and_never_falls(beat: Beat) -> None:
    for minute, severity in ((1, Severity.LOW), (2, Severity.CRITICAL), (3, Severity.INFO)):
        beat.tick(beat.match(minute, severity=severity), at=minute + 1)
    said = [row["notification"]["severity"] for row in beat.deliveries()]
    assert said == ["low", "critical", "critical"]


def test_who_is_named_later_hears_of_it_as_new(beat: Beat) -> None:
    beat.tick(beat.match(1), at=5)
    beat.tick(beat.match(6, to=("soc", "pager")), at=10)
    assert beat.said()[1:] == [("soc", "updated", ALICE, 2), ("pager", "opened", ALICE, 2)]


def test_another_window_length_does_not_reach_back_to_alerts_that_are_there(beat: Beat) -> None:
    beat.tick(beat.match(1), at=5)
    assert beat.alerts()[0]["window_end"] == NOON + timedelta(minutes=16)


# Resolving


def test_somebody_resolves_an_alert_and_who_heard_of_it_is_told(beat: Beat) -> None:
    beat.tick(beat.match(1, to=("soc", "pager")), at=5)
    [alert] = beat.alerts()
    assert beat.resolve(alert["id"][:8], at=7) == 1
    [alert] = beat.alerts()
    assert (alert["status"], alert["resolved_by"], alert["resolution"]) == ("resolved", "carol", "a drill")
    assert alert["resolved_at"] == NOON + timedelta(minutes=7)
    assert beat.said()[2:] == [("soc", "resolved", ALICE, 1), ("pager", "resolved", ALICE, 1)]
    last = beat.deliveries()[-1]["notification"]
    assert last["resolution"] == "carol: a drill"
    assert last["references"] == ["https://example.org/logins"]
    assert last["records"] == [{"user": {"name": ALICE}}]


def test_resolving_it_again_changes_nothing(beat: Beat) -> None:
    beat.tick(beat.match(1), at=5)
    [alert] = beat.alerts()
    beat.resolve(alert["id"], at=7)
    assert beat.resolve(alert["id"], at=9, by="dave") == 0
    assert beat.alerts()[0]["resolved_by"] == "carol"
    assert len(beat.said()) == 2


def test_what_happens_after_it_was_resolved_is_another_alert(beat: Beat) -> None:
    beat.tick(beat.match(1), at=5)
    beat.resolve(beat.alerts()[0]["id"], at=7)
    beat.tick(beat.match(8), at=10)
    assert [(alert["status"], alert["match_count"]) for alert in beat.alerts()] == [("resolved", 1), ("open", 1)]
    assert [kind for _, kind, *_ in beat.said()] == ["opened", "resolved", "opened"]


def test_what_happened_before_joins_it_without_a_word(beat: Beat) -> None:
    beat.tick(beat.match(1), at=5)
    beat.resolve(beat.alerts()[0]["id"], at=7)
    assert beat.tick(beat.match(6), at=10).new_matches == 1
    [alert] = beat.alerts()
    assert (alert["status"], alert["match_count"]) == ("resolved", 2)
    assert [kind for _, kind, *_ in beat.said()] == ["opened", "resolved"]


def test_a_worse_match_from_before_opens_it_again(beat: Beat) -> None:
    beat.tick(beat.match(1), at=5)
    beat.resolve(beat.alerts()[0]["id"], at=7)
    beat.tick(beat.match(6, severity=Severity.CRITICAL), at=10)
    [alert] = beat.alerts()
    assert (alert["status"], alert["severity"], alert["resolved_by"]) == ("open", "critical", "")
    assert [kind for _, kind, *_ in beat.said()] == ["opened", "resolved", "updated"]
    assert beat.deliveries()[-1]["notification"]["resolution"] is None
    beat.resolve(alert["id"], at=12)
    assert [kind for _, kind, *_ in beat.said()][-1] == "resolved"


def test_an_alert_stays_open_after_its_window_unless_its_detection_says_otherwise(beat: Beat) -> None:
    beat.tick(beat.match(1), at=5)
    beat.tick(at=60)
    assert beat.alerts()[0]["status"] == "open"


def test_the_end_of_its_window_resolves_it_once_everything_up_to_then_was_seen(beat: Beat) -> None:
    beat.auto_resolve = True
    beat.tick(beat.match(1), at=5)
    assert beat.tick(at=15.9).resolved == 0
    assert beat.tick(at=16).resolved == 1
    [alert] = beat.alerts()
    assert (alert["status"], alert["resolved_by"], alert["resolution"]) == (
        "resolved",
        "trapline",
        "its window is over",
    )
    assert [kind for _, kind, *_ in beat.said()] == ["opened", "resolved"]
    assert beat.tick(at=30).resolved == 0


def test_a_backfill_opens_and_resolves_in_one_go(beat: Beat) -> None:
    beat.auto_resolve = True
    done = beat.tick(beat.match(1), beat.match(30), at=600)
    assert (done.opened, done.resolved) == (2, 2)


def test_a_replay_moves_no_window(beat: Beat) -> None:
    beat.auto_resolve = True
    beat.tick(beat.match(1), at=5)
    assert beat.tick(at=60, replayed=("failure",)).resolved == 0


# Suppressions


def suppressing(text: str) -> Policy:
    return Policy(parse(text.encode())[0])


QUIET = """
suppressions:
  - detection: logins
    dedupe: ali*
    owner: carol
    reason: a scanner
    expires: 2026-01-02
"""


def test_a_suppressed_match_is_recorded_and_raises_no_alert(beat: Beat) -> None:
    beat.policy = suppressing(QUIET)
    done = beat.tick(beat.match(1), beat.match(2, BOB), at=5)
    assert (done.new_matches, done.suppressed, done.opened) == (2, 1, 1)
    assert [alert["dedupe"] for alert in beat.alerts()] == [BOB]
    [quiet, loud] = beat.matches()
    [entry] = beat.policy.suppressions.entries
    assert (quiet["suppressed_by"], quiet["alert_id"]) == (entry.id, None)
    assert loud["suppressed_by"] is None


def test_a_suppressed_match_never_counts_towards_a_threshold(beat: Beat) -> None:
    beat.threshold, beat.policy = 2, suppressing(QUIET)
    beat.tick(beat.match(1), at=5)
    beat.policy = Policy()
    beat.tick(beat.match(6), at=10)
    assert beat.alerts() == []
    beat.tick(beat.match(7), at=15)
    assert [alert["match_count"] for alert in beat.alerts()] == [2]


def test_a_suppression_ends_by_the_time_of_events(beat: Beat) -> None:
    beat.policy = suppressing(QUIET)
    to_midnight = 12 * 60
    beat.tick(beat.match(to_midnight - 1), beat.match(to_midnight), at=to_midnight + 5)
    assert [match["suppressed_by"] is None for match in beat.matches()] == [False, True]


# Storms


def stormy(beat: Beat, minute: float, keys: range, **more: Any) -> list[Any]:
    return [beat.match(minute, f"user{number:04}", **more) for number in keys]


def test_thousands_of_keys_at_once_are_one_notification_and_all_in_the_database(beat: Beat) -> None:
    done = beat.tick(*stormy(beat, 1, range(3_000), to=("soc", "pager")), at=5)
    assert done.opened == 3_000
    assert len(beat.alerts(identity="logins")) == 3_000
    assert len(beat.matches()) == 3_000
    [storm] = beat.alerts(identity="trapline")
    assert {alert["storm_id"] for alert in beat.alerts(identity="logins")} == {storm["id"]}
    assert beat.said() == [("soc", "opened", STORM, 3_000), ("pager", "opened", STORM, 3_000)]
    said = beat.deliveries()[0]["notification"]
    assert said["title"] == "3,000 alerts at once: Failed logins"
    assert (said["detection"], said["severity"], said["context"]["alerts"]) == ("logins", "low", 3_000)
    assert said["context"]["severities"] == {"low": 3_000}
    assert said["context"]["worst"]["1"] == "low: user0000 failed to log in (1)"
    assert said["dedupe"] == "user0000, user0001, user0002 and 2,997 more"
    assert said["provenance"]["replay"] == f"trapline alerts list --storm {storm['id']}"


def test_as_many_as_may_be_are_told_one_by_one(beat: Beat) -> None:
    beat.tick(*stormy(beat, 1, range(30)), at=5)
    assert [kind for _, kind, *_ in beat.said()] == ["opened"] * 30
    beat.tick(*stormy(beat, 5.1, range(30, 31)), at=5.5)
    assert beat.said()[30:] == [("soc", "opened", STORM, 1)]


def test_a_minute_later_there_is_room_again(beat: Beat) -> None:
    beat.tick(*stormy(beat, 1, range(30)), at=5)
    beat.tick(*stormy(beat, 5.5, range(30, 60)), at=6.1)
    assert len(beat.said()) == 60


def test_updates_count_too(beat: Beat) -> None:
    beat.policy = Policy(storm=2)
    beat.tick(*stormy(beat, 1, range(2)), at=5)
    beat.tick(*stormy(beat, 5.1, range(2)), at=5.2)
    assert beat.said()[2:] == [("soc", "opened", STORM, 2)]


def test_what_comes_to_a_storm_within_a_minute_changes_what_waits_to_be_said(beat: Beat) -> None:
    beat.policy = Policy(storm=5)
    beat.tick(*stormy(beat, 1, range(10)), at=5)
    beat.tick(*stormy(beat, 5.1, range(10, 20)), at=5.2)
    assert beat.said() == [("soc", "opened", STORM, 20)]


def test_once_it_was_said_the_next_word_waits_for_a_minute(beat: Beat) -> None:
    beat.policy = Policy(storm=5)
    beat.tick(*stormy(beat, 1, range(10)), at=5)
    delivered(beat, at=5.1)
    beat.tick(*stormy(beat, 5.1, range(10, 20)), at=5.2)
    beat.tick(*stormy(beat, 5.3, range(20, 30)), at=5.4)
    assert beat.said() == [("soc", "opened", STORM, 10), ("soc", "updated", STORM, 30)]
    assert beat.deliveries()[1]["next_attempt_at"] == NOON + timedelta(minutes=6.1)


def test_each_destination_hears_of_its_own_alone(beat: Beat) -> None:
    """A rule that sends what is critical to the pager must not have it drown in what is not."""
    beat.policy = Policy(storm=5)
    found = [*stormy(beat, 1, range(50)), beat.match(1, "root", severity=Severity.CRITICAL, to=("soc", "pager"))]
    found += stormy(beat, 1, range(50, 56), severity=Severity.CRITICAL)
    beat.tick(*found, at=5)
    assert beat.said() == [("pager", "opened", "root", 1), ("soc", "opened", STORM, 57)]
    assert beat.deliveries()[1]["notification"]["context"]["worst"]["1"].startswith("critical: ")


def test_nothing_that_is_worse_drowns_in_a_storm(beat: Beat) -> None:
    beat.policy = Policy(storm=5)
    worse = [beat.match(1, key, severity=Severity.CRITICAL) for key in ("root", "admin")]
    beat.tick(*stormy(beat, 1, range(50)), *worse, at=5)
    assert beat.said() == [
        ("soc", "opened", "admin", 1),
        ("soc", "opened", "root", 1),
        ("soc", "opened", STORM, 50),
    ]
    beat.tick(*stormy(beat, 5.1, range(50, 60)), beat.match(5.1, "third", severity=Severity.CRITICAL), at=5.2)
    assert beat.said()[-1] == ("soc", "opened", "third", 1)


def test_resolving_a_storm_resolves_what_is_in_it(beat: Beat) -> None:
    beat.policy = Policy(storm=5)
    beat.tick(*stormy(beat, 1, range(50)), at=5)
    [storm] = beat.alerts(identity="trapline")
    assert beat.resolve(storm["id"], at=7) == 51
    assert {alert["status"] for alert in beat.alerts()} == {"resolved"}
    assert beat.said()[1:] == [("soc", "resolved", STORM, 50)]


def test_a_storm_that_is_over_is_resolved_with_its_alerts_where_they_are(beat: Beat) -> None:
    beat.auto_resolve, beat.policy = True, Policy(storm=5)
    beat.tick(*stormy(beat, 1, range(50)), at=5)
    assert beat.tick(at=17).resolved == 50
    assert beat.tick(at=19.9).resolved == 0
    assert beat.tick(at=20).resolved == 1
    assert {alert["status"] for alert in beat.alerts()} == {"resolved"}
    assert beat.said() == [("soc", "opened", STORM, 50), ("soc", "resolved", STORM, 50)]


def test_after_the_storm_an_alert_that_goes_on_is_told_as_new(beat: Beat) -> None:
    beat.policy = Policy(storm=5)
    beat.tick(*stormy(beat, 1, range(50)), at=5)
    beat.tick(beat.match(8, "user0007"), at=9)
    assert beat.said()[1:] == [("soc", "opened", "user0007", 2)]
    beat.tick(beat.match(10, "user0007"), at=11)
    assert beat.said()[2:] == [("soc", "updated", "user0007", 3)]


def test_the_next_storm_after_a_while_is_another(beat: Beat) -> None:
    beat.policy = Policy(storm=5)
    beat.tick(*stormy(beat, 1, range(10)), at=5)
    beat.tick(*stormy(beat, 30, range(10)), at=31)
    assert [storm["context"]["alerts"] for storm in beat.alerts(identity="trapline")] == [10, 10]
    assert [kind for _, kind, *_ in beat.said()] == ["opened", "opened"]


def delivered(beat: Beat, *, at: float) -> None:
    from trapline.outbox.queue import State
    from trapline.state.schema import deliveries

    with beat.database.transaction() as connection:
        moment = NOON + timedelta(minutes=at)
        connection.execute(deliveries.update().values(state=State.DELIVERED.value, attempts=1, settled_at=moment))


# As properties


times = st.lists(st.tuples(st.integers(0, 90), st.sampled_from("abc")), min_size=1, max_size=40)


@settings(max_examples=30, deadline=None)
@given(times, st.integers(1, 4), st.randoms(use_true_random=False), st.data())
def test_however_matches_are_split_into_ticks_the_alerts_are_the_same(
    found: list[tuple[int, str]], threshold: int, chance: random.Random, data: st.DataObject
) -> None:
    ordered = sorted(set(found))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(ordered)), max_size=4)))
    told = []
    for edges in ([0, *cuts, len(ordered)], [0, len(ordered)]):
        with TemporaryDirectory() as folder:
            beat = Beat(Database.in_home(Path(folder)), threshold=threshold)
            for start, end in pairwise(edges):
                some = ordered[start:end]
                chance.shuffle(some)
                beat.tick(*(beat.match(minute, key, id=f"{minute}{key}") for minute, key in some), at=100)
            alerts = [(alert["id"], alert["match_count"], alert["last_match_at"]) for alert in beat.alerts()]
            told.append((alerts, [(match["id"], match["alert_id"]) for match in beat.matches()]))
            last = {row["alert_id"]: row["notification"]["match_count"] for row in beat.deliveries()}
            assert last == {id: count for id, count, _ in alerts}
            beat.database.close()
    assert told[0] == told[1]


@pytest.mark.parametrize("key", ["storm:logins", "", "*", "'; DROP TABLE alerts; --"])
def test_any_text_is_a_dedupe_key(beat: Beat, key: str) -> None:
    beat.policy = Policy(storm=1)
    beat.tick(beat.match(1, key), beat.match(1, "another"), at=5)
    beat.tick(beat.match(9, key), at=10)
    assert beat.alerts(identity="logins", dedupe=key)[0]["match_count"] == 2

"""A destination's trouble is told through another, once, and so is its end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.controller.delivery.recorder import Clock, Recorder
from trapline.alerts.store import list_alerts
from trapline.delivery.report import DeliveryReport
from trapline.delivery.router import Router
from trapline.delivery.watch import EVERY, FAILING_AFTER, MISSING_AFTER, others
from trapline.outbox.redrive import newest_deliveries, revive
from trapline.outbox.verdict import State
from trapline.state.database import Database
from trapline_plugins.api import Delivered, Notification, Outcome, Rejected, Retry

Put = Callable[..., None]


class Side(Recorder):
    """Another side that is well or not, and keeps the titles that it took."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.failure: Outcome | None = None
        self.told: list[tuple[str, str]] = []

    def _answer(self, notification: Notification) -> Outcome:
        if self.failure is None and notification.detection == "trapline":
            self.told.append((notification.kind.value, notification.title))
        return self.failure or Delivered()


class Site:
    """Three destinations, of which some are told of trouble."""

    def __init__(self, database: Database, clock: Clock, operations: list[str]) -> None:
        self.sides = {name: Side() for name in ("hook", "pager", "chat")}
        self.clock = clock
        self.router = Router(database, dict(self.sides), now=clock, random=lambda: 0.5, operations=operations)

    def go_on(self, **by: float) -> DeliveryReport:
        """So long, with a pass each minute."""
        report = DeliveryReport()
        for _ in range(int(timedelta(**by) / timedelta(minutes=1))):
            report = self.router.deliver()
            self.clock.advance(minutes=1)
        return report

    def told(self, name: str) -> list[str]:
        return [f"{kind} {title.rpartition(' since ')[0] or title}" for kind, title in self.sides[name].told]


@pytest.fixture
def site(database: Database, clock: Clock) -> Callable[..., Site]:
    return lambda *operations: Site(database, clock, list(operations))


Sites = Callable[..., Site]


def test_a_destination_that_fails_is_told_of_once_through_another_and_so_is_its_end(
    put: Put, site: Sites, database: Database
) -> None:
    here = site("hook", "pager")
    here.sides["hook"].failure = Retry("it answered 503")
    for number in range(10):
        put(f"d{number}", alert=f"a{number}")
    here.go_on(minutes=2)
    assert here.told("pager") == [], "it may be a blip"
    here.go_on(minutes=50)
    assert here.told("pager") == ["opened Destination hook has been failing"]
    [alarm] = list_alerts(database, detection="trapline")
    assert alarm["dedupe"] == "destination:hook"
    assert alarm["description"] == "it answered 503\nDeliveries that wait for it: 10"
    assert alarm["destinations"] == ["pager"]

    here.go_on(minutes=20)
    assert here.told("pager")[1:] == ["updated Destination hook has been failing"], "a reminder, after an hour"
    here.sides["hook"].failure = None
    here.go_on(minutes=15)
    assert here.told("pager")[2:] == ["resolved Destination hook has been failing"]
    assert len(here.sides["hook"].sent) >= 10
    assert (here.told("hook"), here.told("chat")) == ([], [])


def test_a_blip_is_told_to_nobody(put: Put, site: Sites, database: Database) -> None:
    here = site("pager")
    here.sides["hook"].failure = Retry("down")
    put("d1")
    here.go_on(minutes=1)
    here.sides["hook"].failure = None
    here.go_on(minutes=30)
    assert list_alerts(database, detection="trapline") == []


def test_where_all_who_should_hear_of_it_fail_the_others_do(put: Put, site: Sites) -> None:
    here = site("hook")
    here.sides["hook"].failure = Retry("down")
    put("d1")
    put("d2", alert="b")
    here.go_on(minutes=20)
    assert here.told("pager") == here.told("chat") == ["opened Destination hook has been failing"]


def test_nobody_is_told_where_nobody_is_to_hear_of_troubles(put: Put, site: Sites, database: Database) -> None:
    here = site()
    here.sides["hook"].failure = Retry("down")
    put("d1")
    here.go_on(minutes=20)
    [alarm] = list_alerts(database, detection="trapline")
    assert (alarm["status"], alarm["destinations"]) == ("open", [])


def test_what_waits_for_one_that_is_not_there_is_told_after_a_while(put: Put, site: Sites, database: Database) -> None:
    here = site("pager")
    put("d1", to="gone")
    here.go_on(minutes=MISSING_AFTER.total_seconds() / 60)
    assert here.told("pager") == []
    here.go_on(minutes=2)
    assert here.told("pager") == ["opened Destination gone is not there, and deliveries wait for it"]
    here.router.use({**here.sides, "gone": Side()}, operations=["pager"], rates={})
    here.go_on(minutes=2)
    assert [told.partition(" ")[0] for told in here.told("pager")] == ["opened", "resolved"]


def test_what_is_given_up_is_told_once_with_a_count_until_it_is_sent_again(
    put: Put, site: Sites, database: Database, clock: Clock
) -> None:
    here = site("hook", "pager")
    here.sides["hook"].failure = Rejected("it answered 404")
    for number in range(4):
        put(f"d{number}", alert=f"a{number}")
    here.go_on(minutes=5)
    assert here.told("pager") == ["opened Deliveries to hook were given up"]
    [alarm] = list_alerts(database, detection="trapline")
    assert alarm["description"] == "it answered 404\nDeliveries to it that are given up by now, and kept: 4"
    assert alarm["context"] == {"destination": "hook", "given_up": 4}

    here.sides["hook"].failure = None
    with database.transaction() as connection:
        dead = newest_deliveries(connection, state=State.DEAD, destination="hook", limit=None)
        revive(connection, [row["id"] for row in dead], now=clock())
    here.go_on(minutes=2)
    assert here.told("pager")[1:] == ["resolved Deliveries to hook were given up"]
    assert here.told("hook") == []


def test_what_was_given_up_is_over_after_a_day(put: Put, site: Sites, clock: Clock) -> None:
    here = site("pager")
    here.sides["hook"].failure = Rejected("it answered 404")
    put("d1")
    here.go_on(minutes=2)
    clock.advance(hours=24)
    here.go_on(minutes=2)
    assert [told.partition(" ")[0] for told in here.told("pager")] == ["opened", "resolved"]


def test_after_a_restart_nobody_is_told_again(put: Put, site: Sites, database: Database, clock: Clock) -> None:
    here = site("pager")
    here.sides["hook"].failure = Retry("down")
    put("d1")
    here.go_on(minutes=20)
    again = Site(database, clock, ["pager"])
    again.sides["hook"].failure = Retry("down")
    again.go_on(minutes=20)
    assert (len(here.told("pager")), again.told("pager")) == (1, [])


@pytest.mark.parametrize(
    ("operations", "failing", "told"),
    [
        (["b", "c"], [], ["b", "c"]),
        (["a", "b"], [], ["b"]),
        (["a"], [], ["b", "c"]),
        (["b"], ["b"], ["c"]),
        (["a", "gone"], [], ["b", "c"]),
        (["b"], ["b", "c"], ["b"]),
        (["a"], ["b", "c"], []),
        ([], [], []),
    ],
)
def test_who_hears_of_it(operations: list[str], failing: list[str], told: list[str]) -> None:
    assert others("a", ["a", "b", "c"], operations, failing=failing) == told


def test_the_waits_fit_together() -> None:
    assert EVERY < FAILING_AFTER < MISSING_AFTER

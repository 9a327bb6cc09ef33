"""The scans of a tick: what they cost, what they may cost, and what one of them does to the others."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.playground import Playground, column, deploy
from trapline.controller import Controller
from trapline.query.embedded.scan import DuckDBScan
from trapline.query.engine import QueryError
from trapline.query.lake import Lake
from trapline.state.schema import alerts, costs, matches

DAY = 24 * 60


@pytest.fixture
def ground(tmp_path: Path) -> Playground:
    return Playground(tmp_path)


@pytest.fixture
def controller(ground: Playground) -> Iterator[Controller]:
    with ground.controller() as controller:
        yield controller


def tables(ground: Playground, **budget: Any) -> None:
    ground.settings(tables={"logs": {"path": "lake/logs", "budget": budget}}, operations=["terminal"])


def spent(ground: Playground) -> dict[str, int]:
    return Counter({row["identity"]: row["bytes"] for row in ground.rows(costs)})


# What they cost


def test_what_is_read_is_kept_by_table_and_detection(ground: Playground, controller: Controller) -> None:
    ground.detection("one")
    ground.detection("two")
    deploy(ground, controller)
    ground.records(1)
    ground.at(5)
    [scan] = controller.tick().scans
    assert spent(ground) == {"": scan.bytes_scanned, "one": scan.bytes_scanned // 2, "two": scan.bytes_scanned // 2}
    assert scan.bytes_scanned > 0


def test_a_scan_that_fails_has_cost_something_too(
    ground: Playground, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise QueryError("internal", "it broke in the middle")

    ground.detection("one")
    deploy(ground, controller)
    ground.records(1)
    ground.at(5)
    with monkeypatch.context() as patch:
        patch.setattr(DuckDBScan, "batches", broken)
        assert "it broke in the middle" in controller.tick().errors["one"]
    once = spent(ground)[""]
    assert once > 0
    controller.tick()
    assert spent(ground)[""] == 2 * once


# What they may cost


def test_a_query_that_would_read_too_much_waits_and_operations_hear_of_it(
    ground: Playground, controller: Controller
) -> None:
    tables(ground, query=10)
    ground.detection("one")
    deploy(ground, controller)
    ground.records(1)
    ground.at(5)
    report = controller.tick()
    assert "one query may read 10 bytes" in report.errors["one"]
    assert "[over-budget]" in report.errors["one"]
    assert report.scans == []
    assert spent(ground) == {}
    [alarm] = ground.rows(alerts)
    assert alarm["title"] == "Table logs is over its budget: nothing of it is read"
    assert "tables.logs.budget.query" in alarm["runbook"]

    tables(ground, query="1GB")
    deploy(ground, controller)
    assert controller.tick().matches == 1
    assert Counter(row["status"] for row in ground.rows(alerts) if row["identity"] == "trapline") == {"resolved": 1}


def test_a_days_budget_puts_the_rest_off_until_midnight(ground: Playground, controller: Controller) -> None:
    ground.detection("one")
    deploy(ground, controller)
    ground.records(1)
    ground.at(5)
    controller.tick()
    tables(ground, day=spent(ground)[""] + 10)
    deploy(ground, controller)
    ground.records(6)
    ground.at(10)
    report = controller.tick()
    assert "a day's queries may read" in report.errors["one"]
    assert report.scans == []
    ground.at(DAY / 2 + 1)  # the day after, all of the two files is within it again
    tables(ground, day="1GB")
    deploy(ground, controller)
    report = controller.tick()
    assert report.errors == {}
    assert len(ground.rows(matches)) == 2


def test_a_table_over_its_budget_holds_up_no_other(ground: Playground, controller: Controller) -> None:
    (ground.lake / "flows").mkdir()
    ground.settings(
        tables={"logs": {"path": "lake/logs", "budget": {"query": 1}}, "flows": {"path": "lake/flows"}},
    )
    ground.detection("one")
    ground.detection("two", tables=["flows"])
    deploy(ground, controller)
    ground.records(1)
    ground.records(1, table="flows")
    ground.at(5)
    report = controller.tick()
    assert set(report.errors) == {"one"}
    assert column(ground.rows(matches), "identity") == ["two"]


# One and the others


@pytest.mark.parametrize(
    ("where", "code"),
    [("event.nonesuch = 'bad'", "column-missing"), ("CAST(event.action AS bigint) = 1", "syntax")],
)
def test_a_condition_that_fails_holds_up_only_its_own_detection(
    ground: Playground, controller: Controller, where: str, code: str
) -> None:
    ground.detection("one")
    ground.detection("two", query={"where": "event.action = 'bad'"})
    ground.detection("wrong", query={"where": where})
    deploy(ground, controller)
    ground.records(1)
    ground.at(5)
    report = controller.tick()
    assert set(report.errors) == {"wrong"}
    assert f"[{code}]" in report.errors["wrong"]
    assert sorted(column(ground.rows(matches), "identity")) == ["one", "two"]


def test_remote_scans_are_made_side_by_side(
    ground: Playground, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits for the others: one after another, none would ever end."""
    names = ["logs", "flows", "trails"]
    for name in names:
        (ground.lake / name).mkdir(exist_ok=True)
        ground.detection(f"d_{name}", tables=[name])
    ground.settings(tables={name: {"path": f"lake/{name}"} for name in names})
    deploy(ground, controller)
    for name in names:
        ground.records(1, table=name)
    ground.at(5)
    together = threading.Barrier(len(names), timeout=30)
    original = Lake.scan

    @contextmanager
    def scan(lake: Lake, *asked: Any) -> Iterator[Any]:
        together.wait()
        with original(lake, *asked) as found:
            yield found

    monkeypatch.setattr(Lake, "remote", lambda *_: True)
    monkeypatch.setattr(Lake, "scan", scan)
    report = controller.tick()
    assert report.errors == {}
    assert sorted(column(ground.rows(matches), "identity")) == sorted(f"d_{name}" for name in names)


def test_a_controller_that_stops_does_not_wait_for_its_queries(
    ground: Playground, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.detection("one")
    deploy(ground, controller)
    ground.records(1)
    ground.at(5)
    cancelled = threading.Event()

    def batches(scan: DuckDBScan) -> Iterator[Any]:
        controller.halt.set()
        assert cancelled.wait(30), "nobody cancelled it"
        raise QueryError("cancelled", "the query was not waited for")
        yield

    monkeypatch.setattr(DuckDBScan, "batches", batches)
    monkeypatch.setattr(DuckDBScan, "cancel", lambda _: cancelled.set())
    report = controller.tick()
    assert (report.scans, report.errors) == ([], {})
    assert ground.rows(matches) == []

"""What reading costs, by day, table and detection."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trapline.state.costs import Cost, Costs
from trapline.state.database import Database

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def costs(tmp_path: Path) -> Iterator[Costs]:
    database = Database.in_home(tmp_path)
    yield Costs(database)
    database.close()


def test_a_scan_is_shared_by_its_detections(costs: Costs) -> None:
    costs.add("logs", ["one", "two", "three"], queries=2, bytes=100, at=NOON)
    costs.add("logs", ["one"], queries=1, bytes=10, at=NOON)
    costs.add("flows", ["one"], queries=1, bytes=7, at=NOON)
    day = date(2026, 1, 1)
    assert costs.since(day) == [
        Cost(day, "flows", "", 1, 7),
        Cost(day, "flows", "one", 1, 7),
        Cost(day, "logs", "", 3, 110),
        Cost(day, "logs", "one", 3, 43),
        Cost(day, "logs", "three", 2, 33),
        Cost(day, "logs", "two", 2, 33),
    ]
    assert costs.spent("logs", at=NOON) == 110
    assert costs.spent("nonesuch", at=NOON) == 0


def test_days_are_in_utc_and_apart(costs: Costs) -> None:
    costs.add("logs", ["one"], queries=1, bytes=5, at=NOON)
    costs.add("logs", ["one"], queries=1, bytes=6, at=datetime.fromisoformat("2026-01-02T00:30:00+02:00"))
    costs.add("logs", ["one"], queries=1, bytes=7, at=NOON + timedelta(hours=12))
    assert costs.spent("logs", at=NOON) == 11
    assert [(cost.day.day, cost.bytes) for cost in costs.since(date(2026, 1, 1)) if not cost.identity] == [
        (2, 7),
        (1, 11),
    ]
    assert [cost.day.day for cost in costs.since(date(2026, 1, 2))] == [2, 2]


def test_what_read_nothing_costs_nothing(costs: Costs) -> None:
    costs.add("logs", ["one"], queries=0, bytes=0, at=NOON)
    assert costs.since(date(2026, 1, 1)) == []


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 10**15), st.sets(st.sampled_from("abcd"))), max_size=8))
def test_shares_never_come_to_more_than_the_whole(costs: Costs, scans: list[tuple[int, set[str]]]) -> None:
    before = {cost.identity: cost.bytes for cost in costs.since(date(2026, 1, 1))}
    for size, identities in scans:
        costs.add("logs", identities, queries=1, bytes=size, at=NOON)
    after = {cost.identity: cost.bytes for cost in costs.since(date(2026, 1, 1))}
    added = {identity: size - before.get(identity, 0) for identity, size in after.items()}
    whole = added.pop("", 0)
    assert whole == sum(size for size, _ in scans)
    assert sum(added.values()) <= whole
    assert whole - sum(added.values()) <= 4 * len(scans) + sum(size for size, members in scans if not members)

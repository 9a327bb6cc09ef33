"""The pack on the day that `trapline demo` makes up: it alerts on what was planted there, and on nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest

from trapline.demo.generate import generate
from trapline.tables.imports import import_cloudtrail

END = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
LONGEST = timedelta(minutes=11)
"""What the longest of the attacks takes: guessing until a password fits."""


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """The default deliveries as records, and what was planted among them."""
    home = tmp_path_factory.mktemp("demo")
    planted = generate(home / "deliveries", seed=7, end=END)
    import_cloudtrail(home / "deliveries", home / "table")
    files = sorted((home / "table").rglob("*.parquet"))
    return planted, [record for path in files for record in pq.ParquetFile(path).read().to_pylist()]


def test_each_detection_finds_what_was_planted_for_it_and_nothing_else(rule, demo):
    planted, records = demo
    expected = [attack.at for attack in planted if rule.config.name in attack.detections]
    alerts: dict[str, list[datetime]] = {}
    for match in rule.matches(records):
        alerts.setdefault(match["dedupe"], []).append(match["record"]["ts"])
    loud = [min(times) for times in alerts.values() if _is_loud(times, rule.config.alert)]
    assert len(loud) == len(expected), alerts
    for at, first in zip(sorted(expected), sorted(loud), strict=True):
        assert at <= first < at + LONGEST


def _is_loud(times, alert):
    """Whether some window holds as many matches as it takes to alert."""
    return any(sum(start <= time < start + alert.window for time in times) >= alert.threshold for start in times)

"""Gates: each is exceeded by more than it allows, and by no less."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.controller.author.change.test_pairing import alert
from trapline.author.change.base import Base
from trapline.author.change.compare import Compared, Comparison
from trapline.author.change.differing import Differing, Kind, Version
from trapline.author.change.gates import Fate, Gates
from trapline.author.change.pairing import Pair, Pairing
from trapline.author.history.past import Past, PastAlert
from trapline.author.history.past import Version as Running
from trapline.detection.model import Detection, DetectionConfig, Mode
from trapline.source.tree import Tree
from trapline.window import Window
from trapline.workers.interface import BuildDigest

START = datetime(2026, 1, 1, tzinfo=UTC)
DETECTION = Detection(config=DetectionConfig(name="one", tables=("logs",)), mode=Mode.RECORD, path="one", files={})
ONE = alert("a")
NOTHING = Pairing()


def comparison(pairing: Pairing = NOTHING, *, alerts: int = 0, days: float = 2, read: int = 0) -> Comparison:
    several: list[PastAlert] = [ONE] * alerts
    past = Past(Running("head one", DETECTION, BuildDigest("")), several)
    what = Differing("one", Kind.CHANGED, None, Version("one", "one", DETECTION))
    window = Window(START, START + timedelta(days=days))
    return Comparison(Base("main", "0", Tree("", {})), window, [Compared(what, None, past, pairing)], (), read)


@pytest.mark.parametrize(("alerts", "days", "passes"), [(6, 2, True), (7, 2, False), (1, 0.5, True), (2, 0.5, False)])
def test_alerts_a_day(alerts: int, days: float, passes: bool) -> None:
    said = Gates(max_alerts_per_day=3).exceeded(comparison(alerts=alerts, days=days))
    assert (said == []) == passes
    if (alerts, days) == (7, 2):
        assert said == ["one raises 3.5 alerts a day, and 3 are the most (--max-alerts-per-day)"]


def test_no_alert_at_all_may_be_a_gate() -> None:
    assert Gates(max_alerts_per_day=0).exceeded(comparison(alerts=1))
    assert Gates(max_alerts_per_day=0).exceeded(comparison()) == []


def test_bytes() -> None:
    assert Gates(max_bytes=1000).exceeded(comparison(read=1000)) == []
    said = Gates(max_bytes=1000).exceeded(comparison(read=2000))
    assert said == ["the comparison read 2.0 kB, and 1.0 kB are the most (--max-bytes)"]


@pytest.mark.parametrize(
    ("fate", "pairing"),
    [
        (Fate.ADDED, Pairing(added=[ONE])),
        (Fate.REMOVED, Pairing(removed=[ONE])),
        (Fate.CHANGED, Pairing(changed=[Pair(ONE, replace(ONE, title="other"))])),
    ],
)
def test_fates(fate: Fate, pairing: Pairing) -> None:
    said = Gates(fail_on=list(Fate)).exceeded(comparison(pairing))
    assert said == [f"one: 1 alert is {fate.value} (--fail-on {fate.value})"]
    others = [other for other in Fate if other is not fate]
    assert Gates(fail_on=others).exceeded(comparison(pairing)) == []


def test_without_gates_everything_passes() -> None:
    assert Gates().exceeded(comparison(Pairing(added=[ONE]), alerts=10_000, read=10**12)) == []

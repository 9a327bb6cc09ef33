"""A detection whose matches are recorded tick by tick, at times of our own, and what is said of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import sqlalchemy as sa

from trapline.alerts.match import Match, match_id
from trapline.alerts.origin import Origin, ScanSummary
from trapline.alerts.record import DEFAULT_POLICY, Policy, Recorded, record
from trapline.alerts.resolve import resolve_alert
from trapline.detection.model import DetectionConfig, Severity
from trapline.state.database import Database
from trapline.state.schema import alerts, deliveries, matches
from trapline.window import Window
from trapline.workers.answer import Answer
from trapline.workers.interface import BuildDigest

STORM = "a storm"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass
class Beat:
    """The detection `logins` on its beat: threshold 1 and a window of 15 minutes, to the destination `soc`."""

    database: Database
    threshold: int = 1
    auto_resolve: bool = False
    policy: Policy = DEFAULT_POLICY
    now: datetime = NOON
    seen_to: datetime = NOON - timedelta(hours=1)
    _numbers: Iterator[int] = field(default_factory=count)

    @property
    def origin(self) -> Origin:
        config = {
            "name": "logins",
            "display_name": "Failed logins",
            "tables": ["events"],
            "references": ["https://example.org/logins"],
            "alert": {
                "destinations": ["soc"],
                "threshold": self.threshold,
                "deduplication_window_minutes": 15,
                "auto_resolve": self.auto_resolve,
            },
        }
        return Origin("logins", DetectionConfig.model_validate(config), "r1", BuildDigest("b1"))

    def match(
        self,
        minute: float,
        key: str = "alice",
        *,
        severity: Severity = Severity.LOW,
        to: tuple[str, ...] = ("soc",),
        record: Mapping[str, Any] | None = None,
        id: str | None = None,
    ) -> Match:
        """A match whose event was so many minutes after noon."""
        event = id or f"e{next(self._numbers)}"
        answer = Answer(f"{key} failed to log in", key, severity, to, "Many failures.", "Ask.", {"user": key})
        content = json.dumps({"user": {"name": key}, **(record or {})})
        return Match(match_id("logins", "events", event), NOON + timedelta(minutes=minute), answer, content)

    def tick(self, *found: Match, at: float, replayed: tuple[str, ...] = ()) -> Recorded:
        """A tick at so many minutes after noon, whose scan saw everything up to then and found these."""
        self.now = NOON + timedelta(minutes=at)
        window = Window(self.seen_to, max(self.now, self.seen_to + timedelta(seconds=1)))
        self.seen_to = window.end
        scan = ScanSummary(f"q{next(self._numbers)}", "events", window, self.now, 0.1, 10, 100, ["logins"])
        return record(self.database, self.origin, scan, found, [], now=self.now, replayed=replayed, policy=self.policy)

    def resolve(self, alert_id: str, *, at: float, by: str = "carol", reason: str = "a drill") -> int:
        """Somebody resolves an alert; how many that were."""
        self.now = NOON + timedelta(minutes=at)
        return resolve_alert(self.database, alert_id, by=by, reason=reason, now=self.now)[1]

    def alerts(self, **wanted: Any) -> list[Mapping[str, Any]]:
        """The alerts with these values in their rows, oldest first."""
        query = sa.select(alerts).order_by(alerts.c.first_match_at, alerts.c.dedupe, alerts.c.id)
        for name, value in wanted.items():
            query = query.where(alerts.c[name] == value)
        return self._rows(query)

    def matches(self) -> list[Mapping[str, Any]]:
        """All matches, oldest first."""
        return self._rows(sa.select(matches).order_by(matches.c.event_at, matches.c.id))

    def said(self) -> list[tuple[str, str, str, int]]:
        """What was said, in order: to whom, of which kind, its dedupe key (or STORM) and how many matches."""
        return [
            (row["destination"], row["kind"], self._about(row["notification"]), row["notification"]["match_count"])
            for row in self.deliveries()
        ]

    def deliveries(self) -> list[Mapping[str, Any]]:
        """All deliveries in their order."""
        return self._rows(sa.select(deliveries).order_by(deliveries.c.sequence))

    def _about(self, notification: Mapping[str, Any]) -> str:
        return STORM if "--storm" in notification["provenance"]["replay"] else str(notification["dedupe"])

    def _rows(self, query: sa.Select[Any]) -> list[Mapping[str, Any]]:
        with self.database.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

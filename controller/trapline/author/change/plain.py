"""A comparison for programs; docs/how-to/review-changes-in-ci.md says what it compares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trapline.author.backtest.plain import plain_alert
from trapline.author.change.compare import Compared, Comparison
from trapline.author.change.pairing import Pair
from trapline.author.history.past import Past, PastAlert
from trapline.author.history.summary import per_day
from trapline.window import Window


def as_plain(comparison: Comparison, exceeded: Sequence[str]) -> dict[str, Any]:
    """The comparison as JSON has it, but for times, which are datetimes, and the gates that are exceeded."""
    return {
        "base": {"revision": comparison.base.revision, "commit": comparison.base.commit},
        "since": comparison.window.start,
        "until": comparison.window.end,
        "records": comparison.records,
        "bytes_scanned": comparison.bytes_scanned,
        "seconds": round(comparison.seconds, 3),
        "changed_for_all": list(comparison.unlike),
        "detections": [_detection(one, comparison.window) for one in comparison.detections],
        "exceeded": list(exceeded),
    }


def _detection(one: Compared, window: Window) -> dict[str, Any]:
    alerts = one.alerts
    return {
        "name": one.differing.name,
        "identity": one.differing.identity,
        "path": one.differing.now.path,
        "kind": one.differing.kind.value,
        "files": list(one.differing.files),
        "trouble": list(one.trouble),
        "trouble_before": list(one.before),
        "before": _past(one.base, window),
        "now": _past(one.head, window),
        "added": [_alert(alert) for alert in alerts.added],
        "removed": [_alert(alert) for alert in alerts.removed],
        "changed": [_pair(pair) for pair in alerts.changed],
        "same": len(alerts.same),
    }


def _past(past: Past | None, window: Window) -> dict[str, Any] | None:
    if past is None:
        return None
    return {
        "alerts": len(past.alerts),
        "alerts_per_day": round(per_day(len(past.alerts), window), 3),
        "matches": past.matches,
        "pending": past.pending,
        "suppressed": past.suppressed,
        "failures": past.failures,
    }


def _alert(alert: PastAlert) -> dict[str, Any]:
    return plain_alert(alert) | {"description": alert.description, "runbook": alert.runbook}


def _pair(pair: Pair) -> dict[str, Any]:
    return {"fields": list(pair.fields), "before": _alert(pair.base), "now": _alert(pair.head)}

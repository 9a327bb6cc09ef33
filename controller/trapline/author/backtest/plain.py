"""A backtest for programs; docs/how-to/backtest-a-detection.md says what each key is."""

from __future__ import annotations

from typing import Any

from trapline.author.backtest.run import Backtest
from trapline.author.history.past import PastAlert
from trapline.author.history.summary import Summary, per_day


def as_plain(backtest: Backtest) -> dict[str, Any]:
    """The backtest as JSON has it, but for times, which are datetimes."""
    history = backtest.history
    alerts = sum(len(one.past.alerts) for one in backtest.summaries)
    return {
        "since": backtest.window.start,
        "until": backtest.window.end,
        "sandbox": backtest.sandbox,
        "totals": {
            "detections": len(backtest.summaries),
            "alerts": alerts,
            "alerts_per_day": round(per_day(alerts, backtest.window), 3),
            "matches": sum(one.past.matches for one in backtest.summaries),
            "failures": sum(one.past.failures for one in backtest.summaries),
            "scans": len(history.scans),
            "records": history.records,
            "bytes_scanned": history.bytes_scanned,
            "price_usd": round(backtest.price, 6),
            "seconds": round(history.seconds, 3),
        },
        "detections": [_detection(one) for one in backtest.summaries],
        "not_run": [{"path": one.path, "reason": one.reason} for one in backtest.not_run],
    }


def _detection(summary: Summary) -> dict[str, Any]:
    past, histogram = summary.past, summary.histogram
    detection = past.version.detection
    return {
        "name": detection.name,
        "identity": past.version.identity,
        "path": detection.path,
        "enabled": detection.config.enabled,
        "alerts": len(past.alerts),
        "alerts_per_day": round(summary.alerts_per_day, 3),
        "matches": past.matches,
        "pending": past.pending,
        "suppressed": past.suppressed,
        "severities": {severity.value: count for severity, count in summary.severities.items()},
        "dedupe_keys": [{"dedupe": key.dedupe, "alerts": key.alerts, "matches": key.matches} for key in summary.keys],
        "other_dedupe_keys": summary.other_keys,
        "histogram": {
            "start": histogram.start,
            "step_seconds": int(histogram.step.total_seconds()),
            "matches": list(histogram.matches),
            "alerts": list(histogram.alerts),
        },
        "examples": [plain_alert(alert) for alert in summary.examples],
        "errors": list(past.errors),
        "failures": past.failures,
        "first_failure": past.first_failure or None,
        "windows": past.windows,
        "records": past.records,
        "bytes_scanned": summary.bytes_scanned,
        "price_usd": round(summary.price, 6),
    }


def plain_alert(alert: PastAlert) -> dict[str, Any]:
    """An alert without its matches."""
    return {
        "title": alert.title,
        "dedupe": alert.dedupe,
        "severity": alert.severity.value,
        "destinations": list(alert.destinations),
        "context": alert.context,
        "match_count": alert.match_count,
        "first_match_at": alert.first_match_at,
        "last_match_at": alert.last_match_at,
        "table": alert.table,
    }

"""What is said about an alert: its row in the database, put into the words of the plugin API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from trapline.alerts.origin import Origin, ScanSummary
from trapline.detection.model import DetectionConfig
from trapline.fingerprint import fingerprint
from trapline_plugins.api import Kind, Notification, Provenance

_provenance = TypeAdapter(Provenance)


def provenance_of(origin: Origin, scan: ScanSummary, *, replay: str = "") -> Provenance:
    """Where an alert comes from that this scan raised; `replay` is the command that shows it again."""
    return Provenance(
        revision=origin.revision,
        digest=origin.build_digest,
        table=scan.table,
        window_start=scan.window.start,
        window_end=scan.window.end,
        query_id=scan.query_id,
        bytes_scanned=scan.bytes_scanned,
        replay=replay,
    )


def provenance_to_json(provenance: Provenance) -> dict[str, Any]:
    """A provenance as the JSON column keeps it."""
    plain: dict[str, Any] = _provenance.dump_python(provenance, mode="json")
    return plain


def provenance_from_json(value: Mapping[str, Any]) -> Provenance:
    """The provenance that a JSON column holds."""
    return _provenance.validate_python(value)


def delivery_id_of(alert: Mapping[str, Any], destination: str, kind: Kind, *more: str) -> str:
    """The id of a delivery: what is said of an alert in the state that it has now, to one destination."""
    parts = (alert["id"], destination, kind.value, str(alert["match_count"]), *more)
    return fingerprint(*(part.encode() for part in parts))[:32]


def notification_of(
    alert: Mapping[str, Any],
    config: DetectionConfig | None,
    *,
    kind: Kind,
    delivery_id: str,
    records: tuple[Mapping[str, Any], ...],
    now: datetime,
) -> Notification:
    """`alert` is a row of the table `alerts`, `config` what the detection ran with; None where none did."""
    said = Notification(
        delivery_id=delivery_id,
        kind=kind,
        alert_id=alert["id"],
        detection=alert["detection"],
        title=alert["title"],
        severity=alert["severity"],
        dedupe=alert["dedupe"],
        match_count=alert["match_count"],
        first_match_at=alert["first_match_at"],
        last_match_at=alert["last_match_at"],
        at=now,
        provenance=provenance_from_json(alert["provenance"]),
        description=alert["description"],
        runbook=alert["runbook"],
        context=alert["context"],
        records=records,
        resolution=_resolution(alert),
    )
    if config is None:
        return said
    return replace(
        said,
        references=config.references,
        false_positives=config.false_positives,
        attack=config.reports.attack,
        tags=config.tags,
    )


def _resolution(alert: Mapping[str, Any]) -> str | None:
    if alert["status"] != "resolved":
        return None
    return ": ".join(filter(None, (alert["resolved_by"], alert["resolution"]))) or None

"""Where what is recorded comes from: the deployment that ran, and the scan that fed it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from trapline.detection.model import DetectionConfig
from trapline.window import Window


@dataclass(frozen=True, slots=True)
class Origin:
    """The deployment that ran."""

    identity: str
    config: DetectionConfig
    revision: str
    build_digest: str
    deploy_digest: str = ""


@dataclass(frozen=True, slots=True)
class ScanSummary:
    """The scan that fed it. `seconds` is wall time, `bytes_scanned` what the engine says it read."""

    query_id: str
    table: str
    window: Window
    started_at: datetime
    seconds: float
    records: int
    bytes_scanned: int
    detections: Sequence[str]

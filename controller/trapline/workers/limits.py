"""The limits that hold for one detection: its own, else those of trapline.yml, and never above the ceiling there."""

from __future__ import annotations

from typing import Any

from trapline.config.limits import LimitSettings
from trapline.settings import Settings
from trapline.workers.interface import Limits


def limits_of(settings: Settings, wanted: LimitSettings) -> Limits:
    """What the worker of a detection may use that asks for these limits."""
    sandbox = settings.sandbox

    def limit(name: str) -> Any:
        asked, most = getattr(wanted, name), getattr(sandbox.ceiling, name)
        value = getattr(sandbox, name) if asked is None else asked
        return value if most is None else min(value, most)

    return Limits(
        memory_bytes=limit("memory"),
        record_seconds=limit("record_timeout").total_seconds(),
        batch_seconds=limit("batch_timeout").total_seconds(),
        cpus=limit("cpus"),
        pids=limit("pids"),
        matches=limit("matches"),
        reply_bytes=limit("output"),
        log_bytes=limit("log"),
        failures=settings.error_budget.failures,
    )

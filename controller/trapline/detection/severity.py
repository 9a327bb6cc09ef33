"""How bad an alert is."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """The severities of the documented format, least first; comparable by `rank`."""

    INFO = "info"
    NOTICE = "notice"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return _RANKS[self]


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}
